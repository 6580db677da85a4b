"""The bound over a day of trading beside what was really oversold: sampled while it goes on, told at its end."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from rich.table import Table
from sqlalchemy import Connection, Engine

from adapters.database import in_transaction
from inventory.publishing.exposure_view import Sample, sample, samples

EVERY = timedelta(seconds=2)
MOST_ROWS = 12
BAR_TITLE = "worst case as part of sellable"
_BAR = 24
"""Characters."""


class Sampler:
    """Call it as often as you like; it notes the bound every `EVERY`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.began = datetime.now(UTC)
        self.next = self.began

    def __call__(self) -> None:
        now = datetime.now(UTC)
        if now >= self.next:
            in_transaction(self.engine, lambda connection: sample(connection, now=now))
            self.next = now + EVERY

    def taken(self, connection: Connection) -> list[Sample]:
        return samples(connection, since=self.began)


def story(taken: Sequence[Sample]) -> Table:
    """At most `MOST_ROWS` moments, evenly spread; of those between two, the worst is in the row."""
    table = Table(title="\nExposure over the day (units)", title_justify="left", box=None, pad_edge=False)
    for column in (
        "after",
        "worst case on sale",
        "sellable",
        "beyond it",
        "oversold",
        "worst case as part of sellable",
    ):
        table.add_column(column, justify="left" if column == BAR_TITLE else "right")
    if not taken:
        return table
    begin = taken[0].at
    size = -(-len(taken) // MOST_ROWS)
    for start in range(0, len(taken), size):
        part = taken[start : start + size]
        last, worst = part[-1], max(part, key=lambda one: (one.beyond, one.exposed / max(1, one.sellable)))
        filled = min(_BAR, round(_BAR * worst.exposed / max(1, worst.sellable)))
        table.add_row(
            f"{(last.at - begin).total_seconds():.0f} s",
            f"{worst.exposed:,}",
            f"{worst.sellable:,}",
            f"{worst.beyond:,}",
            f"{last.oversold:,}",
            "█" * filled + "░" * (_BAR - filled),
        )
    return table


def summed_up(taken: Sequence[Sample]) -> str:
    """For the verdict."""
    above = [one for one in taken if one.beyond]
    if not above:
        return f"never in {len(taken)} samples"
    return f"in {len(above)} of {len(taken)} samples, at most {max(one.beyond for one in above):,} units"
