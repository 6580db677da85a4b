"""Break every part of a running stack while it trades, and measure what becomes of it: `make faults`.

One real stack as a seller starts it (`onhand up --no-shops`) between imitated vendors that are no part of it. One fault
after the other; of each the time until it was noticed, until an order that is placed afterwards is known to all other
channels, and the shops' own books against the ledger. About twenty minutes. Needs root for the full disk; says so when
it cannot. Ends with 1 when a promise is broken.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from broken_page import page  # noqa: E402
from broken_parts import FAULTS, Fault, drop_filler  # noqa: E402
from broken_trade import OPENING, Trade, buy_one, one, settled_books  # noqa: E402
from broken_watch import LogWatch, first_trace, open_incidents  # noqa: E402
from broken_world import SHOPS, World  # noqa: E402
from market_stage import until  # noqa: E402
from sqlalchemy import NullPool, text  # noqa: E402
from sqlalchemy.exc import SQLAlchemyError  # noqa: E402

from adapters.database import create_engine  # noqa: E402
from adapters.embedded_postgres import EmbeddedPostgres  # noqa: E402
from onhand.prefect_api import PrefectApi  # noqa: E402
from onhand.trading_day.promises import Line, Truth, verdict  # noqa: E402
from onhand.trading_day.stage import set_up  # noqa: E402

QUIET_S = 30.0
WATCHED_S = 25.0
"""So long after the end of a fault orders are watched: what a kill takes along may fall later."""
SLOW_S = 3.0
"""The longest that a sale should take to reach all other channels; on a busy machine twice what 95 % of them need while
nothing is broken."""
PATIENCE_S = 300.0
"""For one order to be known everywhere after a fault, and the same for the outbox."""
CALM_S = 900.0
"""For channels to be called well again."""
KEPT_SCHEDULES = frozenset({"all-channels", "channels", "holds", "fallback", "watch"})
PULLS = {"channels": list(SHOPS), "minutes": 15, "every_seconds": 5}


@dataclass
class Outcome:
    name: str
    done: str = ""
    lasted: float = 0.0
    noticed: float | None = None
    """Seconds after the fault."""
    noticed_by: str = ""
    recovered: float | None = None
    """Seconds from the end of the fault until the last order that had to wait for long (`SLOW_S`) was known to all
    other channels; where none had to, until the first one was."""
    longest: float | None = None
    """Seconds from a sale to all other channels, the longest of those after the fault."""
    drained: float | None = None
    """As `recovered`, until nothing of that time waited to be published or applied."""
    load: float = 0.0
    """Of the machine, when the fault struck."""
    orders: int = 0
    oversold: int | None = None
    lost: int | None = None
    doubled: int | None = None
    unproved: int | None = None
    incidents: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def kept(self) -> bool:
        counts = (self.oversold, self.lost, self.doubled, self.unproved)
        return not self.problem and counts == (0, 0, 0, 0) and None not in (self.noticed, self.recovered, self.drained)


class Trial:
    def __init__(self, world: World) -> None:
        self.world = world
        self.engine = create_engine(EmbeddedPostgres(world.data_dir).url, application_name="faults", poolclass=NullPool)
        self.trade, self.logs = Trade(world), LogWatch(world)
        self._number = 0
        self._slow = SLOW_S

    def begin(self) -> None:
        """The stack, the shops' goods, the first numbers, and an open door."""
        self.logs.start()
        self.world.start_stack(deploy=True)
        self._configure()
        set_up(self.world.as_stage(), self.engine, OPENING)
        for code in SHOPS:
            self.world.introduce(code)
        waiting = (
            "SELECT (SELECT count(*) FROM outbox WHERE eager) + (SELECT count(*) FROM channel WHERE pulled_at IS NULL)"
        )
        if not until(lambda: one(self.engine, waiting) == 0, 600):
            raise RuntimeError("the first numbers were not confirmed")
        self.trade.start()

    def _configure(self) -> None:
        """The schedules that a shop needs all the time; the others would only disturb the measurement."""
        state = self.world.state
        assert state is not None
        api = PrefectApi(state.api_url)
        try:
            for deployment in api.deployments():
                path = f"/deployments/{deployment['id']}"
                if deployment["name"] == "channels":
                    api._call("PATCH", path, {"parameters": PULLS})
                for schedule in [] if deployment["name"] in KEPT_SCHEDULES else deployment["schedules"]:
                    api._call("PATCH", f"{path}/schedules/{schedule['id']}", {"active": False})
        finally:
            api.close()

    def quiet(self) -> dict[str, float]:
        """The time from a sale to all other channels while nothing is broken."""
        began = datetime.now(UTC)
        time.sleep(QUIET_S)
        ended = datetime.now(UTC)
        asks = (
            "SELECT count(*) AS orders, percentile_cont(0.5) WITHIN GROUP (ORDER BY synced_at - placed_at) AS half, "
            "percentile_cont(0.95) WITHIN GROUP (ORDER BY synced_at - placed_at) AS most "
            "FROM reservation WHERE kind = 'order' AND placed_at BETWEEN :began AND :ended AND synced_at IS NOT NULL"
        )
        until(lambda: one(self.engine, "SELECT count(*) FROM reservation WHERE kind = 'order' AND synced_at IS NULL "
                          "AND placed_at < :ended", ended=ended) == 0, 60)  # fmt: skip
        with self.engine.connect() as connection:
            row = connection.execute(text(asks), {"began": began, "ended": ended}).one()
        half, most = row.half.total_seconds(), row.most.total_seconds()
        self._slow = max(SLOW_S, 2 * most)
        return {"orders": row.orders, "p50": half, "p95": most, "slow": self._slow}

    def run(self, fault: Fault) -> Outcome:
        outcome = Outcome(fault.name)
        try:
            self._run(fault, outcome)
        except Exception as error:
            outcome.problem = f"{type(error).__name__}: {error}"
        return outcome

    def _run(self, fault: Fault, outcome: Outcome) -> None:
        placed, outcome.load = self.trade.placed, os.getloadavg()[0]
        known = set(open_incidents(self.engine))
        self.trade.rush()
        struck = time.time()
        outcome.done = fault.strike(self.world, self.engine)
        ended = struck
        failures: list[BaseException] = []
        if fault.lasts:
            time.sleep(max(0.0, struck + fault.lasts / 2 - time.time()))
            self.trade.rush()
            time.sleep(max(0.0, struck + fault.lasts - time.time()))
            ended = time.time()
            outcome.lasted = ended - struck
            ending = threading.Thread(target=_catch(lambda: fault.end(self.world), failures), daemon=True)
            ending.start()
        self._await_orders(fault, outcome, ended, failures)
        self.trade.rush()
        drained = self._await_drained(time.time())
        outcome.drained = None if drained is None else drained - ended
        drop_filler(self.engine)
        found = settled_books(self.engine, self.world, datetime.now(UTC), 120)
        if found is not None:
            outcome.oversold, outcome.lost = found.oversold, found.lost
            outcome.doubled, outcome.unproved = found.doubled, found.unproved
        trace = first_trace(self.world, self.logs, self.engine, fault.trace, struck)
        if trace is not None:
            outcome.noticed, outcome.noticed_by = trace[0] - struck, trace[1][:200]
        outcome.incidents = sorted(set(open_incidents(self.engine)) - known)
        outcome.orders = self.trade.placed - placed
        if not self.world.stack_is_up:
            outcome.problem = "the supervisor has given up"
            self.world.start_stack(deploy=False)
        if failures:
            outcome.problem = f"{type(failures[0]).__name__}: {failures[0]}"

    def _await_orders(self, fault: Fault, outcome: Outcome, ended: float, failures: list[BaseException]) -> None:
        """Orders of our own, each second, beside those of the trade, until none of them waits any more."""
        deadline, bought, synced = time.monotonic() + PATIENCE_S, {}, {}
        while time.monotonic() < deadline and not failures:
            self._number += 1
            if (order := buy_one(self.world, fault.sells, self._number)) is not None:
                bought[order[0]] = order[1]
            synced = self._synced(list(bought))
            is_watched = time.time() - ended > WATCHED_S
            if is_watched and synced and all(holder in synced for holder, at in bought.items() if time.time() - at > 2):
                break
            time.sleep(1.0)
        gaps = {holder: at - bought[holder] for holder, at in synced.items()}
        if not gaps or min(bought.values()) != min(bought[holder] for holder in gaps):
            outcome.problem = f"{len(bought) - len(gaps)} of {len(bought)} orders were not known everywhere"
            return
        slow = [synced[holder] for holder, gap in gaps.items() if gap > self._slow]
        first = synced[min(gaps, key=lambda holder: bought[holder])]
        outcome.recovered = (max(slow) if slow else first) - ended
        outcome.longest = max(gaps.values())

    def _synced(self, holders: list[str]) -> dict[str, float]:
        try:
            with self.engine.connect() as connection:
                asks = "SELECT holder, synced_at FROM reservation WHERE holder = ANY(:holders) AND synced_at NOTNULL"
                rows = connection.execute(text(asks), {"holders": holders}).all()
        except SQLAlchemyError:
            return {}
        return {row.holder: row.synced_at.timestamp() for row in rows}

    def _await_drained(self, asked: float) -> float | None:
        waiting = (
            "SELECT (SELECT count(*) FROM outbox WHERE dirty_at < :asked) + "
            "(SELECT count(*) FROM inbox WHERE status = 'pending' AND received_at < :asked)"
        )
        before = datetime.fromtimestamp(asked, UTC)
        done = until(lambda: one(self.engine, waiting, asked=before) == 0, PATIENCE_S)
        return time.time() if done else None

    def end(self) -> tuple[list[Line], list[str]]:
        """Every promise once more after the last order has reached every shop; and whether all are well."""
        self.trade.stop()
        waiting = (
            "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM inbox WHERE status = 'pending') "
            "+ (SELECT count(*) FROM listing WHERE settling IS NOT NULL OR unconfirmed_until IS NOT NULL) "
            "+ (SELECT count(*) FROM reservation WHERE kind = 'order' AND synced_at IS NULL)"
        )
        until(lambda: one(self.engine, waiting) == 0, PATIENCE_S)
        until(lambda: not open_incidents(self.engine), 120, 1.0)
        # A channel that was in trouble is well again after a calm time, at the next look of the fallback.
        ill = "SELECT count(*) FROM source_health WHERE kind = 'channel' AND state NOT IN ('live', 'recovering')"
        until(lambda: one(self.engine, ill) == 0, CALM_S, 1.0)
        with self.engine.connect() as connection:
            lines = verdict(connection, Truth.of(self.world.states()), OPENING)
            states = connection.execute(text("SELECT subject, state FROM source_health WHERE kind = 'channel'")).all()
        lines.append(_command(self.world, "rebuild"))
        lines.append(_command(self.world, "watchdog", "--once"))
        well = self.world.stack_is_up
        lines.append(Line("the supervisor has not given up", "it runs" if well else "it has ended", well))
        health = ", ".join(f"{row.subject} {row.state}" for row in states)
        lines.append(Line("channels", health, all(row.state in ("live", "recovering") for row in states)))
        return lines, open_incidents(self.engine)

    def close(self) -> None:
        self.trade.stop()
        self.logs.stop()
        self.engine.dispose()


def _catch(work: Any, failures: list[BaseException]) -> Any:
    def run() -> None:
        try:
            work()
        except Exception as error:
            failures.append(error)

    return run


def _command(world: World, *words: str) -> Line:
    environment = {**os.environ, **world.environment}
    if (state := world.state) is not None:
        environment |= {"ONHAND_PREFECT_API_URL": state.api_url}
    done = subprocess.run(
        [sys.executable, "-m", "onhand", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    said = "ends with 0" if done.returncode == 0 else f"ends with {done.returncode}: {done.stdout.strip()[-400:]}"
    return Line(f"onhand {' '.join(words)}", said, done.returncode == 0)


def told(outcome: Outcome) -> str:
    times = ("noticed", "recovered", "longest", "drained")
    counts = ("orders", "oversold", "lost", "doubled", "unproved")
    figures = [f"{name} {seconds(getattr(outcome, name))}" for name in times]
    figures += [f"{name} {getattr(outcome, name)}" for name in counts]
    kept = "kept  " if outcome.kept else "BROKEN"
    return f"{kept} {outcome.name}: {', '.join(figures)}; {outcome.done} / {outcome.noticed_by} {outcome.problem}"


def seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Break every part of a running stack, and measure.")
    parser.add_argument("--only", help="faults whose name has one of these words, comma between")
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--page", type=Path, help="where the page with the table goes")
    parser.add_argument(
        "--keep", type=Path, help="an empty folder for data and logs, which stay; default: one that goes"
    )
    chosen = parser.parse_args(arguments)
    words = [word.strip() for word in (chosen.only or "").split(",") if word.strip()]
    faults = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="onhand-faults-") as name:
        folder = chosen.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        result = _measure(folder, faults)
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1))
    if chosen.page and not words:
        chosen.page.write_text(page(result))
    print("\nall promises were kept" if result["kept"] else "\nPROMISES WERE BROKEN")
    return 0 if result["kept"] else 1


def _measure(folder: Path, faults: Sequence[Fault]) -> dict[str, Any]:
    begun, load = time.time(), os.getloadavg()

    def say(line: str) -> None:
        print(f"{time.time() - begun:6.0f} s  {line}", flush=True)

    outcomes: list[Outcome] = []
    with World(folder) as world:
        say(world.disk_story)
        trial = Trial(world)
        try:
            trial.begin()
            say("the stack is up and trades")
            quiet = trial.quiet()
            say(f"quiet: sync gap p50 {quiet['p50']:.1f} s, p95 {quiet['p95']:.1f} s, {quiet['orders']} orders")
            for fault in faults:
                if "disk" in fault.name and world.disk is None:
                    say(f"{fault.name}: left out, {world.disk_story}")
                    continue
                outcome = trial.run(fault)
                outcomes.append(outcome)
                say(told(outcome))
            lines, still_open = trial.end()
        finally:
            trial.close()
        story = world.disk_story
    for line in lines:
        say(f"{line.what}: {line.figure} {'' if line.kept is None else 'kept' if line.kept else 'BROKEN'}")
    for incident in still_open:
        say(f"still open: {incident}")
    kept = all(outcome.kept for outcome in outcomes) and all(line.kept is not False for line in lines)
    return {
        "kept": kept and bool(outcomes),
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()},
        "load": {"before": load[0], "after": os.getloadavg()[0]},
        "minutes": round((time.time() - begun) / 60, 1),
        "disk": story,
        "quiet": quiet,
        "faults": [asdict(outcome) | {"kept": outcome.kept} for outcome in outcomes],
        "end": [asdict(line) for line in lines],
        "still_open": still_open,
        "orders": {"placed": trial.trade.placed, "refused": trial.trade.refused, "cancelled": trial.trade.cancelled},
    }


if __name__ == "__main__":
    sys.exit(main())
