"""`python -m benchmarks.reconciliation --rows N`: one channel's N listings against the ledger, beside a floor.

Three runs: the day's first look (a seventh of the listings is noted as seen), a second one (they agree, and were seen
lately), and one in which every hundredth number is wrong. The floor is what a plain query would cost: the channel's
numbers copied into a table and joined with the listings, with nothing classed, opened or noted. The channel is in
memory, so what is measured is the comparison and the database, not a vendor's network.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

import pandas as pd
import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text

from adapters.channels.protocol import Reading
from benchmarks.drift_week import Shop
from benchmarks.figures import Result, Say, Target
from benchmarks.ledger import laboratory, now, open_ledger
from benchmarks.memory import peak_mb
from expectations import gate
from expectations.parameters import Parameters
from expectations.verdict import Verdict
from tasks.reconciling.compare import compare_channel
from tasks.runtime import Runtime

CHANNEL = "wide"
SHOWN = 10
CHUNK = 10_000
LATE = timedelta(minutes=30)
Check = Callable[[str, pd.DataFrame, Parameters], Verdict]


class WideShop(Shop):
    """So many listings that they are not kept: each shows what it should, but every `off`-th."""

    off: int = 0

    def read_quantities(self, listing_refs: Sequence[str]) -> list[Reading]:
        if not self.off:
            return [Reading(ref, SHOWN, True) for ref in listing_refs]
        return [Reading(ref, SHOWN + (int(ref[1:]) % self.off == 0), True) for ref in listing_refs]


@dataclass(frozen=True)
class Measured:
    what: str
    seconds: float
    cpu: float
    """Of this process and of its sessions in the database, however busy the machine is."""
    differing: int


def fill(engine: Engine, rows: int) -> None:
    """A channel with `rows` listings, each of which shows what the ledger knows of."""
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO item (sku, title, safety_stock, accuracy_margin) "
                 "SELECT 'W' || n, '', 0, 0 FROM generate_series(1, :rows) AS n"), {"rows": rows},
        )  # fmt: skip
        connection.execute(
            text(
                "INSERT INTO channel (code, vendor, mode, write_mode, share, settle_seconds, in_doubt_seconds, "
                "overlap_seconds, pulled_at, watermark) "
                "VALUES (:code, 'memory', 'live', 'compare_and_set', 1, 60, 60, 60, :now, :now)"
            ),
            {"code": CHANNEL, "now": now()},
        )
        connection.execute(
            text(
                "INSERT INTO listing (channel, ref, sku, units_per_listing, tracked, exposure, observed, observed_at) "
                "SELECT :code, 'W' || n, 'W' || n, 1, true, :shown, :shown, :then FROM generate_series(1, :rows) AS n"
            ),
            {"code": CHANNEL, "shown": SHOWN, "then": now() - timedelta(days=1), "rows": rows},
        )
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE item, listing"))


def floor(engine: Engine, rows: int) -> Measured:
    """Copy and join."""
    begun, cpu = time.perf_counter(), cpu_seconds(engine)
    with engine.connect() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE shown (ref text, quantity int) ON COMMIT PRESERVE ROWS"))
        connection.commit()
        driver = connection.connection.driver_connection
        assert driver is not None
        with driver.cursor() as cursor, cursor.copy("COPY shown FROM STDIN") as copy:
            for number in range(1, rows + 1):
                copy.write_row((f"W{number}", SHOWN))
        found = connection.execute(
            text(
                "SELECT count(*) FROM listing JOIN shown USING (ref) "
                "WHERE listing.channel = :code AND listing.exposure IS DISTINCT FROM shown.quantity"
            ),
            {"code": CHANNEL},
        ).scalar_one()
        connection.rollback()
    return Measured(FLOOR, time.perf_counter() - begun, cpu_seconds(engine) - cpu, found)


def cpu_seconds(engine: Engine) -> float:
    """Used so far by this process and by the sessions that it has in the database."""
    with engine.connect() as connection:
        pids = connection.execute(
            text(
                "SELECT pid FROM pg_stat_activity "
                "WHERE datname = current_database() AND backend_type = 'client backend'"
            )
        ).scalars()
        times = [psutil.Process(pid).cpu_times() for pid in pids]
    return time.process_time() + float(sum(one.user + one.system for one in times))


FLOOR = "floor: copy and join"
LOOKS = ("first look of the day", "all agree, seen lately", "one in a hundred differs")
SIZES = {100_000: 3, 300_000: 1, 1_000_000: 3, 3_000_000: 1}
"""{listings: times that the three looks are taken}"""
REACH = (1_000_000, 30.0, 1000.0)
"""(listings, seconds, MB)"""
LINEAR = 1.1
"""What time grows with: listings to the power of this at most."""


def measure(quick: bool, say: Say) -> Result:
    """Each size in a process of its own, so that its memory is its own."""
    result, found = Result(), {}
    for rows, times in {1000: 1}.items() if quick else SIZES.items():
        say(f"{rows:,} listings, {times} times")
        found[rows] = measured_apart(rows, times)
        runs = found[rows]["runs"]
        plain = [run[FLOOR] for run in runs]
        for look in LOOKS:
            targets = [Target(REACH[1], most=True)] if rows == REACH[0] else ()
            result.add(
                f"{rows:,} listings: {look}", "s", [run[look] for run in runs], beside="copied and joined, no more",
                floor=plain, targets=targets, series=look, x=rows,
            )  # fmt: skip
        result.add(f"{rows:,} listings: copied and joined, no more", "s", plain, series="copied and joined", x=rows)
        peak, base = found[rows]["peak_mb"], found[rows]["base_mb"]
        result.add(
            f"{rows:,} listings: peak memory of the process", "MB", [peak], beside="before the first look",
            floor=[base], targets=[Target(REACH[2], most=True)] if rows == REACH[0] else (), series="peak memory",
            x=rows,
        )  # fmt: skip
    if len(found) > 1:
        targets = [Target(LINEAR, most=True)]
        result.add("growth: time as a power of the listings", "power", [_power(found)], targets=targets)
    return result


def measured_apart(rows: int, times: int) -> dict[str, Any]:
    """{"runs": [{look: seconds}], "base_mb", "peak_mb"}"""
    command = [sys.executable, "-m", "benchmarks.reconciliation", "--rows", str(rows), "--json", str(times)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603 - this program
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _power(found: dict[int, dict[str, Any]]) -> float:
    """Of a line through all sizes on logarithmic axes, by least squares; all three looks together."""
    points = [
        (math.log(rows), math.log(median(sum(run[look] for look in LOOKS) for run in one["runs"])))
        for rows, one in found.items()
    ]
    across, up = (sum(column) / len(points) for column in zip(*points, strict=True))
    slope = sum((x - across) * (y - up) for x, y in points) / sum((x - across) ** 2 for x, _ in points)
    return float(slope)


def looks(engine: Engine, rows: int, check: Check = gate.check) -> list[Measured]:
    shop = WideShop(CHANNEL, lambda: now(), True, {})  # type: ignore[arg-type]
    runtime = Runtime(engine, lambda code: shop, now, check=check)
    if check is gate.check:
        gate.load()
    results = [floor(engine, rows)]
    for what, off in zip(LOOKS, (0, 0, 100), strict=True):
        shop.off = off
        with engine.begin() as connection:
            connection.execute(text("UPDATE channel SET pulled_at = :now"), {"now": now()})
        begun, cpu = time.perf_counter(), cpu_seconds(engine)
        result = compare_channel(runtime, CHANNEL, stale_after=LATE, heal=True, chunk=CHUNK)
        assert (result.compared, result.differing, result.blocked) == (rows, rows // off if off else 0, "")
        results.append(Measured(what, time.perf_counter() - begun, cpu_seconds(engine) - cpu, result.differing))
    return results


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.reconciliation", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=int, metavar="TIMES", help="so many times, as JSON")
    chosen = parser.parse_args(arguments)
    rows, runs = chosen.rows, []
    gate.load()
    base = peak_mb()
    with laboratory() as lab:
        for _ in range(chosen.json or 1):
            engine = open_ledger(lab.fresh())
            fill(engine, rows)
            runs.append(looks(engine, rows))
            engine.dispose()
    if chosen.json:
        seconds = [{one.what: one.seconds for one in run} for run in runs]
        print(json.dumps({"runs": seconds, "base_mb": base, "peak_mb": peak_mb()}))
        return 0
    _show(Console(), rows, runs[0])
    return 0


def _show(console: Console, rows: int, results: Sequence[Measured]) -> None:
    table = Table(title=f"{rows:,} listings reconciled", title_justify="left")
    for heading in ("run", "seconds", "rows/s", "× floor", "CPU s, with the database", "differ"):
        table.add_column(heading, justify="left" if heading == "run" else "right")
    for one in results:
        table.add_row(one.what, f"{one.seconds:.2f}", f"{rows / one.seconds:,.0f}",
                      f"{one.seconds / results[0].seconds:.2f}", f"{one.cpu:.2f}", f"{one.differing:,}")  # fmt: skip
    console.print(table)
    console.print(f"Peak memory of this process {peak_mb():.0f} MB, with Great Expectations loaded.")


if __name__ == "__main__":
    sys.exit(main())
