"""Shifts that go on: a run that was killed begins again within seconds, not at its next scheduled time.

A shift is a deployment whose schedule is on and whose runs go on for `minutes`. Prefect starts one a quarter of an
hour, or an hour; when its process dies in between, or the machine starts in between, nothing would run until the next
one. `ShiftKeeper.look` starts what is missing, until then.

A run says itself, or its worker does, that it has crashed. One whose worker died with it says nothing and stays
"running" for ever: its process is looked for on this machine, and where there is none the keeper says it.
"""

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psutil

from adapters.http import ChannelFault
from adapters.prefect_server import ENDED_BADLY, Deployment, PrefectServer, Run

RUN_ID = "PREFECT__FLOW_RUN_ID"
"""Environment variable that the worker gives each process of a run."""

LOOK_EVERY = 3.0
DEPLOYMENTS_EVERY = 60.0
"""So often they are read while nothing is missing."""
NOT_WORTH_IT = timedelta(seconds=20)
"""The next scheduled run is nearer than this."""
GONE_FOR = 2.5
"""Seconds without a process until a run counts as lost: one is found missing twice."""
PENDING_FOR = 60.0
"""The same for a run that a worker has taken and not yet begun."""
READY_WITHIN = 45.0
"""So long runs wait for what starts them fast; then they start as they can."""
LONGEST_PAUSE = 60.0
GOOD_FOR = 120.0
"""Seconds that a shift must have lived for the pauses to be short again."""

Progress = Callable[[str], None]


@dataclass
class _Tries:
    number: int = 0
    last: float = 0.0

    def pause(self) -> float:
        """0 s, then 5, 10, 20 … for a shift that dies again and again."""
        return 0.0 if self.number == 0 else min(LONGEST_PAUSE, 2.5 * 2**self.number)


class ShiftKeeper:
    """For one thread. `processes` gives the ids of the runs that have a process; None where runs may be elsewhere, and
    nothing can be concluded from there being none here. `ready`: whether a run that is started now starts fast."""

    def __init__(
        self,
        prefect: PrefectServer,
        pool: str,
        *,
        processes: Callable[[], Collection[str]] | None,
        ready: Callable[[], bool] = lambda: True,
        progress: Progress = lambda line: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prefect, self._pool, self._processes, self._progress = prefect, pool, processes, progress
        self._now, self._monotonic = now, monotonic
        self._missing: dict[str, float] = {}
        """Run → since when no process of it is found."""
        self._tries: dict[str, _Tries] = {}
        self._ready = ready
        self._not_ready_since: float | None = None
        self._shifts: dict[str, Deployment] = {}
        self._shifts_at = float("-inf")
        self._is_away = False

    def look(self) -> list[str]:
        """Start what is missing; `flow/deployment` of each that was started. While Prefect does not answer: nothing."""
        try:
            started = self._look()
        except ChannelFault as fault:
            if not self._is_away:
                self._progress(f"Prefect does not answer, so nobody looks after the runs: {fault}")
            self._is_away = True
            return []
        self._is_away = False
        return started

    def close(self) -> None:
        self._prefect.close()

    def _look(self) -> list[str]:
        begun = self._without_lost(self._prefect.begun(self._pool))
        running = {run.deployment_id for run in begun}
        if self._shifts.keys() <= running and self._monotonic() - self._shifts_at < DEPLOYMENTS_EVERY:
            return []
        shifts = self._shifts = {
            one.id: one for one in self._prefect.deployments().values() if _minutes(one) and one.is_scheduled
        }
        self._shifts_at = self._monotonic()
        missing = shifts.keys() - running
        if not missing:
            return []
        if not self._may_start():
            return []
        now = self._now()
        longest = max(_minutes(shifts[one]) for one in missing)
        planned = self._prefect.planned(now + timedelta(minutes=longest))
        # Once more, after those that are to begin: one that has begun in between would be in neither.
        missing -= {run.deployment_id for run in self._prefect.begun(self._pool)}
        return [shifts[one].name for one in sorted(missing) if self._try(shifts[one], planned, now)]

    def _try(self, shift: Deployment, planned: Iterable[Run], now: datetime) -> bool:
        """One that Prefect does not take just now (its SQLite is locked) does not keep the others waiting."""
        try:
            return self._start(shift, planned, now)
        except ChannelFault as fault:
            self._progress(f"{shift.name} could not be started: {fault}")
            return False

    def _may_start(self) -> bool:
        """What starts runs warm may be on its way back itself; several that start cold at once take longer."""
        if self._ready():
            self._not_ready_since = None
            return True
        instant = self._monotonic()
        if self._not_ready_since is None:
            self._not_ready_since = instant
        return instant - self._not_ready_since > READY_WITHIN

    def _start(self, shift: Deployment, planned: Iterable[Run], now: datetime) -> bool:
        length = timedelta(minutes=_minutes(shift))
        nexts = [run.due_at for run in planned if run.deployment_id == shift.id and run.due_at is not None]
        until = min(nexts, default=now + length)
        newest = self._prefect.newest(shift.id)
        is_new = newest is None or newest.started_at is None or now - newest.started_at > length
        # One that a person has cancelled, or that has done its work, is left in peace until the next.
        if until - now < NOT_WORTH_IT or not (is_new or (newest is not None and newest.state in ENDED_BADLY)):
            return False
        tries, instant = self._tries.setdefault(shift.id, _Tries()), self._monotonic()
        if instant - tries.last > GOOD_FOR + tries.pause():
            tries.number = 0
        if instant - tries.last < tries.pause():
            return False
        minutes = round((until - now).total_seconds() / 60, 2)
        self._prefect.start(shift.id, {"minutes": minutes}, uuid4().hex)
        tries.number, tries.last = tries.number + 1, instant
        why = "was not running" if is_new else f"has {newest.state.lower() if newest else ''}"
        self._progress(f"{shift.name} {why} and is started, until {until:%H:%M} UTC")
        return True

    def _without_lost(self, begun: list[Run]) -> list[Run]:
        if self._processes is None:
            return begun
        here = self._processes()
        instant = self._monotonic()
        gone = [run for run in begun if run.id not in here]
        self._missing = {run.id: self._missing.get(run.id, instant) for run in gone}
        lost = {
            run.id
            for run in gone
            if instant - self._missing[run.id] >= (PENDING_FOR if run.state == "PENDING" else GONE_FOR)
        }
        for run in gone:
            if run.id in lost:
                self._prefect.say_crashed(run.id, "Its process has gone, and so has the worker that would say so.")
                self._progress(f"the run {run.name} had lost its process")
        return [run for run in begun if run.id not in lost]


def _minutes(deployment: Deployment) -> float:
    """For how long a run of it goes on; 0 for one that does its work and ends."""
    minutes = deployment.parameters.get("minutes")
    return float(minutes) if isinstance(minutes, int | float) else 0.0


def runs_of(processes: Iterable[psutil.Process]) -> set[str]:
    """The ids of the flow runs that these processes are."""
    found = set()
    for process in processes:
        with suppress(psutil.Error, OSError):
            if run := process.environ().get(RUN_ID):
                found.add(run)
    return found
