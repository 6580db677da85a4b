"""The gate in a warm process on frames of numbers to send, beside the same rules as plain pandas masks."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median

import pandas as pd

from benchmarks.figures import Result, Say, Target
from expectations import gate
from expectations.frames import push_frame
from expectations.parameters import ChannelCounts, OutgoingPush
from expectations.verdict import Status, Verdict

SUITE = "outgoing_push"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ROWS = {10: 11, 100: 11, 500: 11, 10_000: 5, 100_000: 3}
"""{rows: times that the frame is judged}"""
BAD = 50
"""Every so many-th row fails in the second kind of frame: the gate must name it."""
WARM_MS = 100.0
WARM_ROWS = 500

Judge = Callable[[str, pd.DataFrame, OutgoingPush], Verdict]


def measure(quick: bool, say: Say) -> Result:
    result = Result()
    spent: list[str] = []
    sizes = {10: 2} if quick else ROWS
    say("importing Great Expectations")
    gate.load()
    told = OutgoingPush(now=NOW, counts={"shop": ChannelCounts(10**6, 10**5, 0)})
    for bad, kind in ((0, "all rows sound"), (BAD, f"one row in {BAD} fails")):
        for rows, times in sizes.items():
            if bad and rows < bad:
                continue
            say(f"{rows:,} rows, {kind}")
            frame = frame_of(rows, bad)
            wanted = len(range(0, rows, bad)) if bad else 0
            mine, plain, cpu = [], [], []
            for number in range(times + 1):
                taken = _timed(gate.check, frame, told, wanted), _timed(gate.recheck, frame, told, wanted)
                if number:  # the first one warms up
                    mine.append(taken[0][0])
                    cpu.append(taken[0][1])
                    plain.append(taken[1][0])
            spent.append(f"{median(cpu):.0f} ms for {rows:,} rows, {kind}")
            result.add(
                f"gate, {rows:,} rows, {kind}", "ms", mine, beside="the same rules in plain pandas", floor=plain,
                targets=[Target(WARM_MS, most=True)] if rows <= WARM_ROWS else (), series=f"gate: {kind}", x=rows,
            )  # fmt: skip
            result.add(f"plain pandas, {rows:,} rows, {kind}", "ms", plain, series=f"plain pandas: {kind}", x=rows)
    result.notes.append(f"Of the processor alone, whoever else used it: {'; '.join(spent)}.")
    return result


def frame_of(rows: int, bad: int) -> pd.DataFrame:
    """Raises from 3 to 5 that are backed by stock; of every `bad`-th, more than its ceiling."""
    return push_frame(
        {
            "listing_id": number,
            "channel": "shop",
            "listing_ref": f"ref-{number}",
            "sku": f"SKU-{number}",
            "quantity": 9 if bad and number % bad == 0 else 5,
            "previous": 3,
            "units_per_listing": 1,
            "ceiling": 8,
            "sellable": 10,
            "exposure_others": 2,
            "exposure_after": 5,
            "cap": None,
            "tracked": True,
            "mapped": True,
            "mode": "live",
            "computed_at": NOW - timedelta(seconds=2),
            "must_lower": False,
        }
        for number in range(rows)
    )


def _timed(judge: Judge, frame: pd.DataFrame, told: OutgoingPush, wanted: int) -> tuple[float, float]:
    """(milliseconds, of the processor)"""
    begun, cpu = time.perf_counter(), time.process_time()
    verdict = judge(SUITE, frame, told)
    taken = (time.perf_counter() - begun) * 1000, (time.process_time() - cpu) * 1000
    assert verdict.status is not Status.ERROR and len(verdict.failed_rows) == wanted, verdict.findings
    return taken
