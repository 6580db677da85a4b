"""`make beyond`: a production installation as processes, traded on for minutes while one of each part is killed.

Debian's PostgreSQL and Redis, two Prefect servers without services and two processes of services, two stock workers
with a publisher and a puller each, two intakes, two reservation services, three imitated shops; two more workers join
at the end for a wide reconciliation. It is no part of the suite: it takes ten minutes, and needs
`apt-get install postgresql redis-server`. Exit code 1 when a promise was broken.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil
from many_machines import Machines, Missing
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from adapters.database import create_engine
from onhand.prefect_api import PrefectApi
from onhand.trading_day.promises import Line, Truth, verdict
from onhand.trading_day.stage import set_up, shop_state, shop_urls
from onhand.trading_day.stage_channels import introduce

SHARDS = 4
SLOW_S = 3.0
"""A sync gap up to this is nobody's doing."""
BEFORE_S = 5.0
"""Orders placed so long before a kill may be hit by it."""
SKUS = {f"SKU-{number:03d}": 60 + 3 * number for number in range(150)}


@dataclass
class Killed:
    what: str
    at: datetime
    orders: int = 0
    median_s: float = 0.0
    longest_s: float = 0.0
    slow: int = 0
    recovered_s: float = 0.0
    """From the kill until the last order that it had delayed was confirmed on all other channels."""
    api_failed: int = 0
    """Of the calls to Prefect's API, one every half second."""
    refused: int = 0
    """Shoppers' orders that failed (not: for want of stock)."""


@dataclass
class Trade:
    """Shoppers on all shops, and somebody who asks Prefect's API all the time."""

    urls: dict[str, str]
    api_url: str
    every_s: float
    stopped: threading.Event = field(default_factory=threading.Event)
    answers: list[tuple[datetime, bool]] = field(default_factory=list)
    """Of Prefect's API."""
    failed: list[datetime] = field(default_factory=list)
    placed: int = 0

    def start(self) -> None:
        for number, (code, url) in enumerate(sorted(self.urls.items())):
            threading.Thread(target=self._shop, args=(code, url, random.Random(number)), daemon=True).start()
        threading.Thread(target=self._probe, daemon=True).start()

    def _shop(self, code: str, url: str, chance: random.Random) -> None:
        skus, weights = list(SKUS), [1 / (rank + 5) for rank in range(len(SKUS))]
        with httpx.Client(timeout=20, trust_env=False) as client:
            while not self.stopped.wait(chance.expovariate(1 / (self.every_s * len(self.urls)))):
                wanted = set(chance.choices(skus, weights, k=chance.choice((1, 1, 2, 3))))
                lines = [{"sku": sku, "quantity": chance.choice((1, 1, 1, 2))} for sku in sorted(wanted)]
                try:
                    done = client.post(f"{url}/sandbox/checkout", json={"lines": lines}).is_success
                except httpx.HTTPError:
                    done = False
                self.placed += done
                if not done:
                    self.failed.append(datetime.now(UTC))

    def _probe(self) -> None:
        while not self.stopped.wait(0.5):
            at = datetime.now(UTC)
            try:
                ok = httpx.post(f"{self.api_url}/flow_runs/count", json={}, timeout=5, trust_env=False).is_success
            except httpx.HTTPError:
                ok = False
            self.answers.append((at, ok))


def say(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", flush=True)


def until(met: Callable[[], Any], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(SQLAlchemyError, httpx.HTTPError):
            if met():
                return
        time.sleep(0.3)
    raise RuntimeError(f"not within {seconds:.0f} s: {what}")


def count(engine: Engine, sql: str, **values: object) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(sql), values).scalar_one())


class Runs:
    """The long-lived runs, two of each; who is killed is started anew, as at its next schedule."""

    def __init__(self, api: PrefectApi, channels: list[str]) -> None:
        self.api, self.channels = api, channels
        self.live: dict[str, str] = {}

    def start(self, name: str) -> None:
        if name.startswith("publisher"):
            run = self.api.start(
                "publish_availability", "all-channels", minutes=60, every_seconds=0.5, shards=SHARDS, at_once=2
            )
        else:
            run = self.api.start("pull_channels", "channels", channels=self.channels, minutes=60, every_seconds=5)
        self.live[name] = run

    def running(self) -> bool:
        return all(self.api.state(run)[0] == "RUNNING" for run in self.live.values())


def play(machines: Machines, engine: Engine, api: PrefectApi, options: argparse.Namespace) -> dict[str, Any]:
    urls = shop_urls(machines)  # type: ignore[arg-type]
    api.pause_schedules()
    set_up(machines, engine, SKUS)  # type: ignore[arg-type]
    introduce(machines)  # type: ignore[arg-type]
    runs = Runs(api, list(urls))
    for number in ("1", "2"):
        machines.start_worker(f"worker{number}", limit=2)
        runs.start(f"publisher{number}")
        runs.start(f"puller{number}")
        until(runs.running, 240, f"the runs of worker {number}")
    say("two workers with a publisher and a puller each")
    until(lambda: not count(engine, "SELECT count(*) FROM outbox WHERE eager"), 300, "the first numbers")
    say(f"{count(engine, 'SELECT count(*) FROM listing WHERE confirmed > 0')} listings show a confirmed number")
    trade = Trade(urls, machines.api_url, options.every)
    cpu = Cpu(machines)
    began = datetime.now(UTC)
    trade.start()
    time.sleep(options.quiet)
    quiet = Killed("nothing", began + timedelta(seconds=BEFORE_S))
    kills = []
    for what, strike, again in strikes(machines, runs):
        say(f"kill -9: {what}")
        kills.append(Killed(what, datetime.now(UTC)))
        strike()
        time.sleep(options.pause)
        for name in again:
            runs.start(name)
        if again:
            until(runs.running, 240, "the runs that were started anew")
            time.sleep(5)
    trade.stopped.set()
    ended = datetime.now(UTC)
    used = cpu.used()
    drain(engine)
    time.sleep(2)
    machines.start_worker("worker3", limit=8)
    machines.start_worker("worker4", limit=8)
    wide_began = time.monotonic()
    state, why = api.wait(api.start("reconcile", "quantities", channels=list(urls), runs=6), 600)
    parts = reconciled_parts(machines.api_url)
    say(f"a wide reconciliation: {state.lower()} {why} ({time.monotonic() - wide_began:.0f} s)")
    drain(engine)
    for run in runs.live.values():
        api.cancel(run)
    truth = Truth.of({code: shop_state(url) for code, url in urls.items()})
    with engine.connect() as connection:
        lines = verdict(connection, truth, SKUS)
    compared = sum(int(part["listings"]) for part in parts)
    figure = f"{state.lower()}: {compared} of {len(SKUS) * len(urls)} listings compared by {len(parts)} runs"
    whole = state == "COMPLETED" and compared == len(SKUS) * len(urls)
    lines.append(Line("a reconciliation divided among two more workers, in one report", figure, whole))
    judge(engine, truth, trade, [quiet, *kills])
    seconds = (ended - began).total_seconds()
    return {
        "seconds": seconds, "orders": trade.placed, "orders a second": round(trade.placed / seconds, 2), "cpu": used,
        "kills": [asdict(one) for one in (quiet, *kills)], "verdict": [asdict(line) for line in lines],
    }  # fmt: skip


def reconciled_parts(api_url: str) -> list[dict[str, Any]]:
    """The rows of the newest report."""
    wanted = {"artifacts": {"key": {"any_": ["reconciliation"]}}, "sort": "CREATED_DESC", "limit": 1}
    answer = httpx.post(f"{api_url}/artifacts/filter", json=wanted, timeout=30, trust_env=False)
    answer.raise_for_status()
    rows: list[dict[str, Any]] = json.loads(answer.json()[0]["data"]) if answer.json() else []
    return rows


def strikes(machines: Machines, runs: Runs) -> list[tuple[str, Callable[[], None], list[str]]]:
    """(what is killed, how, which runs are to be started anew after it)"""
    return [
        ("a publisher", lambda: machines.kill_run(runs.live["publisher1"]), ["publisher1"]),
        ("a puller", lambda: machines.kill_run(runs.live["puller1"]), ["puller1"]),
        ("an intake", lambda: machines.kill("in1"), []),
        ("a reservation service", lambda: machines.kill("res1"), []),
        ("a worker, with its runs", lambda: machines.kill("worker2"), ["publisher2", "puller2"]),
        ("a Prefect server", lambda: machines.kill("api1"), []),
        ("Prefect's services", lambda: machines.kill("services1"), []),
        ("Redis", lambda: machines.kill("redis"), []),
        ("PostgreSQL", lambda: machines.kill("postgres"), []),
    ]


def drain(engine: Engine) -> None:
    asked = datetime.now(UTC) + timedelta(seconds=1)
    waiting = (
        "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM inbox WHERE status = 'pending') "
        "+ (SELECT count(*) FROM listing WHERE settling IS NOT NULL OR unconfirmed_until IS NOT NULL)"
    )
    say("the last orders are synchronised")
    with suppress(RuntimeError):
        until(lambda: not count(engine, f"{waiting} + (SELECT count(*) FROM channel WHERE pulled_at < :asked)",
                                asked=asked), 90, "rest")  # fmt: skip


def judge(engine: Engine, truth: Truth, trade: Trade, kills: list[Killed]) -> None:
    """Fills in the figures. The first of `kills` is the quiet time: what took longer than most did then was delayed."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT holder, synced_at FROM reservation WHERE kind = 'order'")).all()
    known = [row for row in rows if row.synced_at and row.holder in truth.placed]
    placed = sorted((truth.placed[row.holder], row.synced_at) for row in known)
    usual = SLOW_S
    for one, following in zip(kills, [*kills[1:], None], strict=True):
        first = one.at - timedelta(seconds=BEFORE_S)
        last = following.at - timedelta(seconds=BEFORE_S) if following else datetime.max.replace(tzinfo=UTC)
        mine = [(at, synced) for at, synced in placed if first <= at < last]
        gaps = sorted((synced - at).total_seconds() for at, synced in mine)
        if one is kills[0] and gaps:
            usual = max(SLOW_S, gaps[int(0.95 * len(gaps))])
        late = [synced for at, synced in mine if (synced - at).total_seconds() > usual and synced > one.at]
        one.orders, one.slow = len(mine), len(late)
        one.median_s, one.longest_s = (round(median(gaps), 2), round(gaps[-1], 2)) if gaps else (0.0, 0.0)
        one.recovered_s = round((max(late) - one.at).total_seconds(), 1) if late else 0.0
        one.api_failed = sum(not ok for at, ok in trade.answers if one.at <= at < last)
        one.refused = sum(one.at <= at < last for at in trade.failed)


class Cpu:
    """CPU seconds by part, between two instants."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._began, self._before = time.monotonic(), self._look()

    def _look(self) -> dict[tuple[str, int], float]:
        found = {}
        for name, child in self._machines.children.items():
            with suppress(psutil.Error):
                leader = psutil.Process(child.pid)
                for one in [leader, *leader.children(recursive=True)]:
                    with suppress(psutil.Error):
                        times = one.cpu_times()
                        found[name, one.pid] = times.user + times.system
        return found

    def used(self) -> dict[str, float]:
        """{part: share of a core}, of processes that live now."""
        seconds, total = time.monotonic() - self._began, {}
        for (name, pid), spent in self._look().items():
            part = name.rstrip("12")
            total[part] = total.get(part, 0.0) + spent - self._before.get((name, pid), 0.0)
        return {part: round(spent / seconds, 3) for part, spent in sorted(total.items())}


def show(result: dict[str, Any]) -> bool:
    print(f"\n{result['orders']} orders in {result['seconds']:.0f} s; cores used: {result['cpu']}\n")
    print("| killed | orders | gap p50 | longest | delayed | recovered after | shoppers failed | API calls failed |")
    print("|---|---|---|---|---|---|---|---|")
    for one in result["kills"]:
        gaps = f"{one['median_s']:.1f} s | {one['longest_s']:.1f} s | {one['slow']} | {one['recovered_s']:.0f} s"
        print(f"| {one['what']} | {one['orders']} | {gaps} | {one['refused']} | {one['api_failed']} |")
    print()
    for line in result["verdict"]:
        print(f"{ {True: 'kept  ', False: 'BROKEN', None: '      '}[line['kept']] } {line['what']}: {line['figure']}")
    return all(line["kept"] is not False for line in result["verdict"])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--every", type=float, default=0.4, help="seconds between two orders, on all shops together")
    parser.add_argument("--quiet", type=float, default=40, help="seconds of trade before the first kill")
    parser.add_argument("--pause", type=float, default=20, help="seconds after each kill")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="onhand-beyond-"))
    folder.chmod(0o755)
    try:
        with Machines(folder / "run") as machines:
            engine, api = create_engine(machines.database_url), PrefectApi(machines.api_url)
            try:
                result = play(machines, engine, api, options)
            finally:
                engine.dispose()
                api.close()
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 2
    except BaseException:
        print(f"the logs are in {folder}", file=sys.stderr)
        raise
    if options.json:
        options.json.write_text(json.dumps(result, indent=1, default=str))
    good = show(result)
    if good and not options.keep:
        shutil.rmtree(folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
