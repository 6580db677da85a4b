"""The frame of `channel_snapshot`: one row for what one channel showed when all its numbers were read."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from expectations.cells import Kind, column, instant, own_whole, text

SNAPSHOT_COLUMNS: dict[str, Kind] = {
    "row_key": Kind.TEXT,
    "channel": Kind.TEXT,
    "asked": Kind.NUMBER,
    "answered": Kind.NUMBER,
    "unusable": Kind.NUMBER,
    "compared": Kind.NUMBER,
    "differing": Kind.NUMBER,
    "selling": Kind.NUMBER,
    "zeroed": Kind.NUMBER,
    "read_at": Kind.INSTANT,
    "pulled_at": Kind.INSTANT,
}
COUNTS = ("asked", "answered", "unusable", "compared", "differing", "selling", "zeroed")


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """Counts of listings. However many there are, the gate judges these sums."""

    channel: str
    asked: int
    answered: int
    """The channel knows them."""
    unusable: int
    """Of those, how many numbers no shelf can hold: they are set aside and named."""
    compared: int
    """Of which the ledger knows what they should show."""
    differing: int
    selling: int
    """Should show more than zero."""
    zeroed: int
    """Of those, how many show nothing."""
    read_at: datetime | None
    """When the oldest of the numbers was asked for."""
    pulled_at: datetime | None
    """Start of the last complete pull of the channel's orders; None: never."""


def snapshot_frame(rows: Iterable[SnapshotRow]) -> pd.DataFrame:
    given = list(rows)
    cells: dict[str, list[object]] = {
        "row_key": [text(row.channel) or f"row[{number}]" for number, row in enumerate(given)],
        "channel": [text(row.channel) for row in given],
        "read_at": [instant(row.read_at) for row in given],
        "pulled_at": [instant(row.pulled_at) for row in given],
    }
    for name in COUNTS:
        cells[name] = [_count(getattr(row, name)) for row in given]
    return pd.DataFrame(
        {name: column(cells[name], kind) for name, kind in SNAPSHOT_COLUMNS.items()}, index=pd.RangeIndex(len(given))
    )


def _count(value: object) -> float:
    """Unknown if it is no count, as a negative one."""
    found = own_whole(value)
    return found if found >= 0 else math.nan
