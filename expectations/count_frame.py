"""The frame of a count sheet that comes back. Building never raises and never judges, as in `seller_frames`."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from expectations.cells import Kind, column, instant, raw, text
from expectations.seller_frames import quantity_of

COUNT_COLUMNS: dict[str, Kind] = {
    "row_key": Kind.TEXT,
    "row": Kind.NUMBER,
    "sku": Kind.TEXT,
    "location": Kind.TEXT,
    "quantity": Kind.NUMBER,
    "quantity_raw": Kind.TEXT,
    "form": Kind.TEXT,
    "on_hand": Kind.NUMBER,
    "counted_at": Kind.INSTANT,
    "created_at": Kind.INSTANT,
    "readable": Kind.FLAG,
    "line_known": Kind.FLAG,
    "same_bin": Kind.FLAG,
    "once": Kind.FLAG,
    "open": Kind.FLAG,
    "another_person": Kind.FLAG,
}


@dataclass(frozen=True, slots=True)
class CountRow:
    """One line of a sheet with its count. `quantity` as written; None: the row could not be read."""

    row: int
    key: str
    """Sheet and line, `17/3`."""
    sku: str
    """By the ledger; as written where the line is unknown."""
    location: str
    quantity: str | None
    counted_at: datetime | str
    """As written, or the instant that stands for an empty cell."""
    created_at: datetime | None
    """When the sheet was made. None: no such line."""
    on_hand: float
    """Units by the ledger now; NaN: no such line."""
    line_known: bool
    same_bin: bool
    """The SKU and location written beside are those of the line, or nothing is written."""
    open: bool
    """The line waits for its count, or had this very number before."""
    another_person: bool
    """Nobody of the same name has counted the bin before."""


def counts_frame(rows: Iterable[CountRow]) -> pd.DataFrame:
    given = list(rows)
    times = Counter(row.key for row in given if row.quantity is not None)
    made = []
    for row in given:
        quantity, form = quantity_of(row.quantity if row.quantity is not None else "")
        named = row.quantity is not None and row.line_known
        made.append(
            {
                "row_key": f"count/{row.key}" if named else f"row[{row.row}]",
                "row": float(row.row),
                "sku": text(row.sku),
                "location": text(row.location),
                "quantity": quantity,
                "quantity_raw": raw(row.quantity),
                "form": form.value,
                "on_hand": row.on_hand if math.isfinite(row.on_hand) else math.nan,
                "counted_at": instant(row.counted_at),
                "created_at": instant(row.created_at),
                "readable": row.quantity is not None,
                "line_known": row.line_known,
                "same_bin": row.same_bin,
                "once": times[row.key] <= 1 or not named,
                "open": row.open,
                "another_person": row.another_person,
            }
        )
    return pd.DataFrame(
        {name: column([row[name] for row in made], kind) for name, kind in COUNT_COLUMNS.items()},
        index=pd.RangeIndex(len(made)),
    )
