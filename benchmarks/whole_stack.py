"""What needs everything at once: start-up, the idle stack, a scheduled run with nothing to do, the sync gap.

The stack is that of `onhand up` (`onhand.trading_day.stage`, `onhand.up.start_shifts`): five imitated shops that tell
by webhook or queue, the shifts of the publisher and of the pulls, gates on. Processor time is that of all its
processes, the ended ones included; memory is PSS, in which a page that n processes share counts 1/n in each. The shops
are the world outside: they are measured apart. The sync gap is counted from the instant in the shop's own book to the
moment when the last other channel has confirmed (`onhand.trading_day.promises`).
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from sqlalchemy import Engine, text

from adapters.database import create_engine
from adapters.sandbox.demand import stock_for
from adapters.sandbox.generator import generate
from adapters.sandbox.shoppers import Shoppers
from adapters.sandbox.timetable import Storefront
from adapters.sandbox.trace import Trace
from adapters.settings import settings
from benchmarks.audit import Violation
from benchmarks.figures import Result, Say, Target
from onhand.prefect_api import PrefectApi
from onhand.processes import marked
from onhand.stack import Stack
from onhand.trading_day.promises import Truth
from onhand.trading_day.stage import fresh_stack, set_up, shop_state, shop_urls
from onhand.trading_day.stage_channels import introduce
from onhand.up import start_shifts

STARTS = 2
IDLE_S = 60.0
CALM_S = 20.0
EMPTY_RUNS = 10
UNASKED_S = 6.0
"""Long enough for a run with nothing to do."""
DAYS = 3
DAY_S = 75.0
"""As in `onhand demo`."""
SEED = 7
COVER = 1.5
"""Opening stock, as a share of what the customers of a day want."""
PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Use:
    at: float
    cpu: float
    """Seconds of all processes so far, of those that have ended too."""
    server_cpu: float
    """Of these, those of Prefect's server."""
    pss_mb: float
    rss_mb: float
    processes: int
    shops_mb: float
    """PSS of the imitated shops, which is in nothing else here."""


@dataclass(frozen=True, slots=True)
class Idle:
    """CPU-seconds a second: of all, and of Prefect's server among them."""

    cpu: float
    server_cpu: float


def measure(quick: bool, say: Say) -> Result:
    result = Result()
    imports = [_import_prefect() for _ in range(3)]
    starts = []
    with tempfile.TemporaryDirectory(prefix="onhand-bench-") as folder:
        for number in range(STARTS):
            say(f"start {number + 1} of {STARTS}")
            with _started(Path(folder)) as (stack, seconds):
                starts.append(seconds)
                if number == STARTS - 1:
                    _in_service(result, stack, imports, say)
    result.add(
        "start-up of everything, with a new database and all deployments", "s", starts,
        beside="one Python that imports Prefect", floor=[wall for wall, _ in imports],
    )  # fmt: skip
    return result


@contextmanager
def _started(folder: Path) -> Iterator[tuple[Stack, float]]:
    its = settings().model_copy(update={"data_dir": folder, "database_url": None, "prefect_api_url": None})
    begun = time.monotonic()
    stack = fresh_stack(its, "stack", lambda line: None)
    # Whoever ends this program by a signal ends the stack too.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with stack:
            yield stack, time.monotonic() - begun
    finally:
        signal.signal(signal.SIGTERM, before)


def _in_service(result: Result, stack: Stack, imports: list[tuple[float, float]], say: Say) -> None:
    engine = create_engine(stack.database_url, application_name="onhand bench")
    api = PrefectApi(stack.api_url)
    try:
        say("the first numbers go out")
        day = generate(SEED)
        set_up(stack, engine, stock_for(day, DAYS * COVER, np.random.default_rng(SEED)))
        introduce(stack)
        start_shifts(stack)
        _until(engine, "SELECT count(*) FROM outbox WHERE eager", "the first numbers")
        time.sleep(CALM_S)
        say(f"idle for {IDLE_S:.0f} s")
        idle = _idle(result, stack)
        say("runs with nothing to do")
        _empty_runs(result, stack, api, idle, imports)
        _sync_gap(result, stack, engine, day, say)
    finally:
        api.close()
        engine.dispose()


def _idle(result: Result, stack: Stack) -> Idle:
    parts, before = [], use(stack)
    for _ in range(3):
        time.sleep(IDLE_S / 3)
        after = use(stack)
        took = after.at - before.at
        parts.append(Idle((after.cpu - before.cpu) / took, (after.server_cpu - before.server_cpu) / took))
        before = after
    result.add("idle stack of five channels: of one core", "%", [part.cpu * 100 for part in parts],
               targets=[Target(10, most=True)])  # fmt: skip
    result.add("idle stack: memory (PSS)", "MB", [before.pss_mb], targets=[Target(1200, most=True)])
    result.notes.append(
        f"Idle means: nobody buys; the publisher and the pulls of five channels go on. {before.processes} processes; "
        f"their resident sizes add up to {before.rss_mb:,.0f} MB, shared pages counted in each. The five imitated "
        f"shops beside them take {before.shops_mb:,.0f} MB (PSS)."
    )
    return Idle(median(part.cpu for part in parts), median(part.server_cpu for part in parts))


def _empty_runs(result: Result, stack: Stack, api: PrefectApi, idle: Idle, imports: list[tuple[float, float]]) -> None:
    spent, of_server, lasted = [], [], []
    for number in range(EMPTY_RUNS + 1):
        before = use(stack)
        run = api.start("expire_reservations", "holds", minutes=0)
        # Whoever asks for its state keeps the server busy: of every other run that is done once, when it is long over.
        asked = number % 2 == 0
        time.sleep(0.0 if asked else UNASKED_S)
        state, message = api.wait(run, PATIENCE_S)
        ended = time.monotonic()
        if state != "COMPLETED":
            raise Violation(f"an empty run ended as {state}: {message}")
        time.sleep(1.0)  # what its process does after the last state
        after = use(stack)
        if asked and number:  # the first one warms up
            lasted.append(ended - before.at)
        elif not asked:
            took = after.at - before.at
            server = after.server_cpu - before.server_cpu - idle.server_cpu * took
            of_server.append(server)
            spent.append(after.cpu - before.cpu - idle.cpu * took - server)
    cpu = [two for _, two in imports]
    result.add(
        "a scheduled run with nothing to do: the run and its worker", "CPU s", spent, targets=[Target(0.5, most=True)],
        beside="one Python that imports Prefect (the stock worker starts two)", floor=cpu,
    )  # fmt: skip
    result.add("a scheduled run with nothing to do: Prefect's server beside it", "CPU s", of_server)
    result.add("a run with nothing to do, from the wish to its end (looked at every 0.5 s)", "s", lasted)


def _sync_gap(result: Result, stack: Stack, engine: Engine, day: Trace, say: Say) -> None:
    days = []
    for number in range(DAYS):
        say(f"trading day {number + 1} of {DAYS}")
        begun = datetime.now(UTC)
        storefronts = [Storefront(code, url) for code, url in shop_urls(stack).items()]
        shoppers = Shoppers(storefronts, day, seconds=DAY_S, timeout=10.0)
        shoppers.start()
        shoppers.join(timeout=DAY_S + PATIENCE_S)
        days.append((begun, datetime.now(UTC)))
        _until(engine, "SELECT count(*) FROM reservation WHERE kind = 'order' AND synced_at IS NULL", "the last orders")
    truth = Truth.of({code: shop_state(url) for code, url in shop_urls(stack).items()})
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT holder, synced_at FROM reservation WHERE kind = 'order'")).all()
    halves, most, orders = [], [], 0
    for begun, ended in days:
        gaps = [
            (row.synced_at - truth.placed[row.holder]).total_seconds()
            for row in rows
            if row.holder in truth.placed and begun <= truth.placed[row.holder] <= ended and row.synced_at
        ]
        if not gaps:
            raise Violation("a day went by without an order")
        orders += len(gaps)
        half, ninety_five = np.percentile(gaps, [50, 95])
        halves.append(float(half))
        most.append(float(ninety_five))
    result.add("sync gap by webhook, gates on: half of the orders", "s", halves, targets=[Target(1.0, most=True)])
    result.add("sync gap by webhook, gates on: 95 of 100", "s", most, targets=[Target(3.0, most=True)])
    result.notes.append(
        f"The sync gap is that of {orders:,} orders: one generated day, traded {DAYS} times within {DAY_S:.0f} s each "
        f"on five channels, {sum(len(one.lines) for one in day.orders) / len(day.orders):.0f} lines in an order."
    )


def _until(engine: Engine, query: str, what: str) -> None:
    """Until it counts none."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with engine.connect() as connection:
            if not connection.execute(text(query)).scalar_one():
                return
        time.sleep(0.5)
    raise Violation(f"{what} were not done within {PATIENCE_S:.0f} s")


def use(stack: Stack) -> Use:
    """What all processes of the stack use."""
    cpu = server = pss = rss = shops = 0.0
    count = 0
    for process in _processes(stack):
        try:
            command = process.cmdline()
            times, memory = process.cpu_times(), process.memory_full_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if "adapters.sandbox.server" in command:
            shops += memory.pss
            continue
        spent = times.user + times.system + times.children_user + times.children_system
        cpu += spent
        server += spent if "server" in command and "prefect" in command else 0.0
        pss += memory.pss
        rss += memory.rss
        count += 1
    return Use(time.monotonic(), cpu, server, pss / 2**20, rss / 2**20, count, shops / 2**20)


def _processes(stack: Stack) -> list[psutil.Process]:
    """Ours by their mark, and the database's by its postmaster."""
    found = {process.pid: process for process in marked(str(stack.data_dir))}
    if stack.postgres is not None:
        pid = int((stack.postgres.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        postmaster = psutil.Process(pid)
        found |= {one.pid: one for one in (postmaster, *postmaster.children(recursive=True))}
    return list(found.values())


def _import_prefect() -> tuple[float, float]:
    """(seconds, CPU-seconds)"""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", "import prefect.flow_engine"], check=True, env=dict(os.environ))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - begun, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
