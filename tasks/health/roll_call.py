"""Look whether everybody is alive, open and close incidents about it, and say that the watchdog is alive itself."""

import json
import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from pydantic import SecretStr
from sqlalchemy import Connection, text

from adapters.database import in_transaction
from adapters.http import ChannelFault, make_client
from adapters.messenger import NotDelivered
from adapters.prefect_server import ENDED_BADLY, Deployment, PrefectServer, Run, intervals
from adapters.settings import Settings, SettingsError, secret
from inventory.alerting.alert_policy import Occasion
from inventory.alerting.alert_text import Fact, compose
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.outages.liveness import Sign, beat, note_signs, read_signs
from inventory.words import IncidentKind, Severity
from tasks.health.tell import Office
from tasks.runtime import Runtime

log = logging.getLogger(__name__)

PART = "watchdog"
EVERY = timedelta(minutes=1)
LATE = timedelta(minutes=5)
"""A run that has not begun so long after its time."""
OVERDUE = timedelta(minutes=15)
"""A run that goes on for so much longer than it was to."""
LONGEST = timedelta(hours=6)
"""The same, for a run that does not say how long it is to go on."""
LOOK_BACK = timedelta(hours=2)
TOLD_AGAIN = timedelta(hours=1)
"""While the ledger is away, so often."""


@dataclass
class RollCall:
    at: datetime
    signs: list[Sign] = field(default_factory=list)
    troubled: dict[str, str] = field(default_factory=dict)
    """`flow/deployment` → what is wrong with its runs."""

    @property
    def silent(self) -> list[Sign]:
        return [sign for sign in self.signs if not sign.is_alive]

    def rows(self) -> list[dict[str, object]]:
        parts: list[dict[str, object]] = [
            {
                "part": sign.part,
                "state": "alive" if sign.is_alive else "silent",
                "last": sign.last_at.isoformat(timespec="seconds") if sign.last_at else "",
                "story": "" if sign.is_alive else sign.story,
            }
            for sign in sorted(self.signs, key=lambda one: (one.is_alive, one.part))
        ]
        runs: list[dict[str, object]] = [
            {"part": name, "state": "runs fail", "last": "", "story": why} for name, why in self.troubled.items()
        ]
        return [*runs, *parts]


def call_the_roll(
    runtime: Runtime,
    prefect: PrefectServer | None,
    *,
    by: str = PART,
    again_within: timedelta = 3 * EVERY,
) -> RollCall:
    """One look at everything. `by` and `again_within`: who looks, and when it means to look again at the latest."""
    found = RollCall(runtime.now())
    deployments: dict[str, Deployment] = {}
    troubles: dict[str, tuple[Run, str]] | None = None
    asked: list[Sign] = []
    if prefect is not None:
        try:
            deployments = prefect.deployments()
            known = in_transaction(runtime.engine, _known_troubles)
            troubles = _troubles(prefect, deployments, known, found.at)
            idle = ", ".join(prefect.idle_pools())
            asked.append(Sign("prefect/server", True, found.at))
            asked.append(Sign("prefect/worker", not idle, None, f"no worker is online for the work pool {idle}"))
        except ChannelFault as fault:
            troubles = None
            asked = [Sign("prefect/server", False, None, f"Prefect's server does not answer: {fault}")]
    # What was not asked stays as it was.
    unseen = () if troubles is not None else ("prefect/",) if prefect is None else ("prefect/worker",)

    def work(connection: Connection) -> list[Sign]:
        beat(connection, by, instance(), now=found.at, again_within=again_within)
        signs = [*asked, *read_signs(connection, runtime.configs or None, intervals(deployments), now=found.at)]
        note_signs(connection, signs, now=found.at, but=unseen)
        if troubles is not None:
            _note_runs(connection, troubles, found.at)
        return signs

    found.signs = in_transaction(runtime.engine, work)
    found.troubled = {name: story for name, (_, story) in (troubles or {}).items()}
    return found


def instance() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def prefect_of(settings: Settings) -> PrefectServer | None:
    """Prefect's server as the settings or Prefect's own environment name it; None where none is named."""
    named = _set("PREFECT_API_URL")
    url = settings.prefect_api_url or (named.get_secret_value() if named else None)
    return PrefectServer(url, auth=_set("PREFECT_API_AUTH_STRING")) if url else None


def _set(name: str) -> SecretStr | None:
    try:
        return secret(name)
    except SettingsError:
        return None


def _troubles(
    prefect: PrefectServer, deployments: Mapping[str, Deployment], known: Mapping[str, str], now: datetime
) -> dict[str, tuple[Run, str]]:
    """`flow/deployment` → its run that is in trouble, and in which. A later run that is well ends it.

    A run that a person has started and that fails is told to that person by the UI; only if it crashes it is told here.
    """
    found: dict[str, tuple[Run, str]] = {}

    def name_of(run: Run) -> str:
        known = deployments.get(run.deployment_id or "")
        return known.name if known else f"{run.name} (no deployment)"

    suspects = {run.deployment_id for run in prefect.ended_badly(now - LOOK_BACK)}
    # One that is known stays until a later run is well, however long ago it was.
    suspects |= {one.id for one in deployments.values() if one.name in known}
    for deployment_id in suspects & set(deployments):
        newest = prefect.newest(deployment_id) if deployment_id else None
        if newest is None or newest.state not in ENDED_BADLY:
            continue
        if newest.state == "CRASHED" or deployments[newest.deployment_id or ""].is_scheduled:
            found[name_of(newest)] = newest, f"{newest.name} {newest.state.lower()}: {_first_line(newest.message)}"
    for run in prefect.running():
        longest = timedelta(minutes=run.minutes) + OVERDUE if run.minutes else LONGEST
        if run.started_at is not None and now - run.started_at > longest:
            found[name_of(run)] = run, f"{run.name} goes on for longer than it was to: it hangs or has lost its process"
    late: dict[str, list[Run]] = {}
    for run in prefect.late(now - LATE):
        late.setdefault(name_of(run), []).append(run)
    for name, runs in late.items():
        oldest = min(runs, key=lambda one: one.due_at or now)
        due = f", the oldest was due at {oldest.due_at:%H:%M} UTC" if oldest.due_at else ""
        many = "1 run has" if len(runs) == 1 else f"{len(runs)} runs have"
        found.setdefault(name, (oldest, f"{many} not begun{due}: no worker takes them"))
    return found


def _first_line(message: str) -> str:
    """Of what Prefect says; an exception's text may go on for pages."""
    return (message.strip().splitlines() or ["no reason given"])[0][:200]


def _known_troubles(connection: Connection) -> dict[str, str]:
    """The open incidents of runs: subject → run."""
    rows = connection.execute(
        text("SELECT subject, detail FROM incident WHERE status = 'open' AND kind = :kind"),
        {"kind": IncidentKind.RUN_FAILED.value},
    )
    return {row.subject: str(row.detail.get("flow_run_id", "")) for row in rows}


def _note_runs(connection: Connection, troubles: Mapping[str, tuple[Run, str]], now: datetime) -> None:
    known = _known_troubles(connection)
    closed = connection.execute(
        text(
            "SELECT detail->>'flow_run_id' AS run FROM incident "
            "WHERE kind = :kind AND detail->>'flow_run_id' = ANY(:runs) AND detail ? 'closed_by'"
        ),
        {"kind": IncidentKind.RUN_FAILED.value, "runs": [run.id for run, _ in troubles.values()]},
    )
    # The same run, looked at again, is no repeat; nor is one that a person has dealt with.
    dealt_with = {row.run for row in closed}
    new = [
        NewIncident(IncidentKind.RUN_FAILED, Severity.WARNING, name, f"{name}: {story}", {"flow_run_id": run.id})
        for name, (run, story) in troubles.items()
        if known.get(name) != run.id and run.id not in dealt_with
    ]
    open_incidents(connection, new, now=now)
    resolve_incidents(connection, IncidentKind.RUN_FAILED, [name for name in known if name not in troubles], now=now)


def pinger(url: SecretStr | None, transport: httpx.BaseTransport | None = None) -> Callable[[], bool] | None:
    """Calls somebody outside, who raises the alarm when no call comes. The address is a secret and never told.

    To be called when people have been told, too: whoever waits for it then learns of a watchdog that cannot tell.
    """
    if url is None:
        return None

    def ping() -> bool:
        with make_client(base_url="", timeout_s=10.0, transport=transport) as client:
            try:
                answer = client.get(url.get_secret_value())
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                log.warning("the ping did not arrive: %s", type(error).__name__)
                return False
        if answer.status_code >= 400:
            log.warning("the ping was answered with %s", answer.status_code)
        return answer.status_code < 400

    return ping


def tell_without_ledger(office: Office, memory: Path, why: str, *, now: datetime) -> list[str]:
    """The ledger is away, and with it all that is known of messages: say so straight to everybody, once an hour.

    `why`: in a word. `memory`: a file that says since when, and when it was told last. Returns who was told.
    """
    since, last = _remembered(memory)
    if last is not None and now - last < TOLD_AGAIN:
        return []
    story = f"the ledger's database does not answer ({why}): nothing is read, published or reserved"
    told = _tell_all(office, Occasion.OPENED, story, since or now, now)
    if told:
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps({"since": (since or now).isoformat(), "told_at": now.isoformat()}))
    return told


def tell_ledger_is_back(office: Office, memory: Path, *, now: datetime) -> list[str]:
    """The end of that, to those who can be told now. Says nothing where nothing was told."""
    since, last = _remembered(memory)
    if last is None:
        return []
    memory.unlink(missing_ok=True)
    return _tell_all(office, Occasion.RESOLVED, "the ledger's database answers again", since or last, now)


def _tell_all(office: Office, occasion: Occasion, story: str, since: datetime, now: datetime) -> list[str]:
    kind = IncidentKind.NOT_RUNNING.value
    fact = Fact(0, kind, "database", Severity.CRITICAL, story, since, now, 1, occasion is not Occasion.RESOLVED)
    message = compose(occasion, [fact], office.links, key=f"database-{occasion}-{now:%Y%m%d%H%M}", now=now)
    told = []
    for config in office.targets:
        try:
            messenger = office.open(config)
            try:
                messenger.send(message)
            finally:
                messenger.close()
            told.append(config.name)
        except (NotDelivered, SettingsError) as fault:
            log.error("%s was not told of the ledger's database: %s", config.name, fault)
    return told


def _remembered(memory: Path) -> tuple[datetime | None, datetime | None]:
    try:
        kept = json.loads(memory.read_text())
        return datetime.fromisoformat(kept["since"]), datetime.fromisoformat(kept["told_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, None
