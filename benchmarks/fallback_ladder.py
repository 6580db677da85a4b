"""`python -m benchmarks.fallback_ladder`: the ladder on recorded orders with outages, beside doing nothing and pausing.

One channel is away for six hours: it is neither read nor written, and goes on selling what it shows. What differs is
what the others do from the moment it is noticed. Nothing: they mirror on. The ladder: they leave it all,
or a part, of what it may sell. All paused: they sell nothing. And what needs no ladder: the
fence of `calibrated`, the slices of `strict`. The replay takes each SKU by itself, so steps that choose among SKUs
(hiding the riskiest only) cannot be shown by it: here every SKU is hidden, or every one is throttled.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from adapters.history_csv import read_history
from inventory.outages.fallback_settings import Fallback
from inventory.outages.ladder import allowed_beside
from inventory.policies.policy import USUAL_DAYS, Offer, Policy
from inventory.policies.policy_text import parse_policy
from inventory.replaying.outage_pattern import parse_pattern
from inventory.replaying.replay import Outcome, Plan, run

SLICES = ("busiest_week.csv.gz", "two_ordinary_weeks.csv.gz")
RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data" / "online_retail"
CHANNELS = 4


@dataclass(frozen=True, slots=True)
class WhileDark:
    """A policy whose listings leave all but so much of what a channel may sell while it is known to be dark. `percent`
    None: they show nothing at all."""

    text: str
    inner: Policy
    percent: int | None

    def entitled(self, sellable: int, offers: Sequence[Offer], restock: float = USUAL_DAYS) -> list[int]:
        found = self.inner.entitled(sellable, offers, restock)
        if all(one.reachable for one in offers):
            return found
        exposed = sum(one.exposure for one in offers if not one.reachable)
        most = 0 if self.percent is None else allowed_beside(sellable, self.percent, exposed)
        return [min(number, most) for number in found]

    def counted(self, which: int, sellable: int, offers: Sequence[Offer], restock: float = USUAL_DAYS) -> int:
        return self.inner.counted(which, sellable, offers, restock)

    def lowers(self, sellable: int, offers: Sequence[Offer], entitled: Sequence[int]) -> bool:
        return not all(one.reachable for one in offers) or self.inner.lowers(sellable, offers, entitled)

    def restless(self, sellable: int, offers: Sequence[Offer]) -> bool:
        return self.inner.restless(sellable, offers)


def contenders() -> list[Policy]:
    mirror = parse_policy("mirror")
    throttled = [WhileDark(f"the ladder: throttled to {one} %", mirror, one) for one in Fallback().throttles]
    return [
        mirror,
        *throttled,
        WhileDark("the ladder: hidden", mirror, 0),
        WhileDark("everything paused", mirror, None),
        parse_policy("calibrated:0.001"),
        parse_policy("strict"),
    ]


def compare(orders: Path, outage: str, *, lag: float, cover_weeks: float, processes: int = 1) -> Iterator[Outcome]:
    """One outcome for each contender. Raises TraceError, OutageError."""
    history, _ = read_history(orders, shares=[1.0] * CHANNELS, split="customer", seed=0)
    plan = Plan(
        contenders(), [lag], [parse_pattern(outage, CHANNELS)], cover_weeks=cover_weeks, writes="compare-and-set",
        processes=processes,
    )  # fmt: skip
    return run(history, plan)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.fallback_ladder", description=__doc__)
    parser.add_argument("--orders", type=Path, help="default: the recorded slices, where they are")
    parser.add_argument("--outage", default="channel=2,weekday=all,from=10:00,to=16:00")
    parser.add_argument("--lag", type=float, default=60.0)
    parser.add_argument("--cover-weeks", type=float, default=0.5)
    chosen = parser.parse_args(arguments)
    files = [chosen.orders] if chosen.orders else [RECORDED / name for name in SLICES]
    console = Console()
    for file in files:
        if not file.exists():
            console.print(f"{file.name} is not here: skipped", markup=False)
            continue
        table = Table(
            title=f"{file.name}, {chosen.outage}, lag {chosen.lag:g} s, {chosen.cover_weeks:g} weeks of stock"
        )
        for column in ("what is done", "oversold outside", "in outages", "fill", "lines not shown in full"):
            table.add_column(column, justify="left" if column == "what is done" else "right")
        for outcome in compare(file, chosen.outage, lag=chosen.lag, cover_weeks=chosen.cover_weeks):
            found = outcome.tally
            table.add_row(
                {"mirror": "nothing (mirror)"}.get(outcome.policy.text, outcome.policy.text),
                f"{found.oversold_lines - found.oversold_lines_in_outage:,}",
                f"{found.oversold_lines_in_outage:,}",
                f"{found.delivered_units / max(1, found.counter_units):.2%}",
                f"{found.hidden_lines / max(1, found.demand_lines):.2%}",
            )
        console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
