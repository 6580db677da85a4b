"""The frames of goods: the rows of a receipt, and those of a supplier's feed, with what their suites must be told.

As in `expectations.frames`, building never raises and never judges.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd

from expectations.cells import Kind, column, raw, text
from expectations.parameters import Parameters
from expectations.seller_frames import Form, quantity_of

RECEIPT_COLUMNS: dict[str, Kind] = {
    "row_key": Kind.TEXT,
    "row": Kind.NUMBER,
    "purchase": Kind.TEXT,
    "sku": Kind.TEXT,
    "location": Kind.TEXT,
    "units": Kind.NUMBER,
    "least": Kind.NUMBER,
    "quantity_raw": Kind.TEXT,
    "form": Kind.TEXT,
    "left": Kind.NUMBER,
    "readable": Kind.FLAG,
    "sku_known": Kind.FLAG,
    "stocked": Kind.FLAG,
    "location_known": Kind.FLAG,
    "ordered": Kind.FLAG,
    "once": Kind.FLAG,
    "unchanged": Kind.FLAG,
}

FEED_COLUMNS: dict[str, Kind] = {
    "row_key": Kind.TEXT,
    "row": Kind.NUMBER,
    "sku": Kind.TEXT,
    "quantity": Kind.NUMBER,
    "quantity_raw": Kind.TEXT,
    "form": Kind.TEXT,
    "prior": Kind.NUMBER,
    "readable": Kind.FLAG,
    "once": Kind.FLAG,
    "date_ok": Kind.FLAG,
}

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""For a feed without a date, and for the first: None would be a forgotten baseline."""


@dataclass(frozen=True, slots=True)
class Receipts(Parameters):
    quantity_limit: int = 100_000
    """Units in one row."""
    max_rows: int = 50_000
    unknown_share: float = 0.5
    unknown_rows: int = 10
    """The share of unknown SKUs is judged from so many rows on."""


@dataclass(frozen=True, slots=True)
class SupplierFeeds(Parameters):
    as_of: datetime = NEVER
    """When the supplier says that its numbers were true; `NEVER` where nobody can say."""
    previous_as_of: datetime = NEVER
    """Of the last feed that was applied."""
    max_age: timedelta = timedelta(hours=26)
    skew: timedelta = timedelta(minutes=10)
    rows: int = 0
    """Of the whole feed, with those of SKUs that are not ours."""
    previous_rows: int = 0
    known: int = 0
    """Rows of SKUs that are ours."""
    previous_known: int = 0
    stocked: int = 0
    """SKUs of which the supplier had more than zero before."""
    gone: int = 0
    """Of these, such as the feed no longer has."""
    quantity_limit: int = 10_000_000
    outlier_factor: int = 100
    outlier_floor: int = 1000
    lost_share: float = 0.5
    zero_share: float = 0.5
    changed_share: float = 0.9
    failing_share: float = 0.2
    compared_rows: int = 10
    """Shares are judged from so many on."""


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """One row of a receipt; quantities as written, all None: the row could not be read."""

    row: int
    purchase: str
    sku: str
    """As the ledger spells it, or as written if it is no SKU of ours."""
    location: str
    sound: str | None
    damaged: str
    quarantined: str
    sku_known: bool
    stocked: bool
    """Not a bundle: those have no stock of their own."""
    location_known: bool
    ordered: bool
    """The purchase has a line of it, or no purchase is named."""
    left: float
    """Units of the purchase that have not come; inf: no purchase is named, or more was approved."""
    unchanged: bool
    """This receipt has not booked it with other numbers."""


@dataclass(frozen=True, slots=True)
class FeedStockRow:
    """One row of a feed whose SKU is ours, or that could not be read: then `quantity` is None."""

    row: int
    sku: str
    quantity: str | None
    prior: float
    """What the supplier said before; NaN: nothing."""
    date_ok: bool = True
    """The date of its promise can be read, or there is none."""


def receipts_frame(rows: Iterable[ReceiptRow]) -> pd.DataFrame:
    given = list(rows)
    times = Counter((row.purchase, row.sku, row.location) for row in given if row.sound is not None)
    made = []
    for row in given:
        # What is not said of the damaged is none.
        parts = [quantity_of(part) for part in (row.sound or "", row.damaged or "0", row.quarantined or "0")]
        forms = [form for _, form in parts if form is not Form.WHOLE]
        named = row.sound is not None and text(row.sku) is not None
        made.append(
            {
                "row_key": f"{row.purchase or '-'}/{row.sku}@{row.location}" if named else f"row[{row.row}]",
                "row": float(row.row),
                "purchase": row.purchase,
                "sku": text(row.sku),
                "location": text(row.location),
                "units": sum(units for units, _ in parts),
                "least": min((units for units, _ in parts), key=lambda one: math.inf if math.isnan(one) else one),
                "quantity_raw": raw(f"{row.sound}+{row.damaged}+{row.quarantined}"),
                "form": forms[0].value if forms else Form.WHOLE.value,
                "left": row.left,
                "readable": row.sound is not None,
                "sku_known": row.sku_known,
                "stocked": row.stocked,
                "location_known": row.location_known,
                "ordered": row.ordered,
                "once": times[row.purchase, row.sku, row.location] == 1 or not named,
                "unchanged": row.unchanged,
            }
        )
    return _frame(made, RECEIPT_COLUMNS)


def feed_frame(rows: Iterable[FeedStockRow]) -> pd.DataFrame:
    given = list(rows)
    said: dict[str, set[str]] = defaultdict(set)
    for row in given:
        if row.quantity is not None:
            said[row.sku].add(row.quantity)
    made = []
    for row in given:
        quantity, form = quantity_of(row.quantity if row.quantity is not None else "")
        named = row.quantity is not None and text(row.sku) is not None
        made.append(
            {
                "row_key": row.sku if named else f"row[{row.row}]",
                "row": float(row.row),
                "sku": text(row.sku),
                "quantity": quantity,
                "quantity_raw": raw(row.quantity),
                "form": form.value,
                "prior": row.prior,
                "readable": row.quantity is not None,
                # The same said twice is harmless; of two numbers nobody knows which holds.
                "once": len(said.get(row.sku, ())) <= 1,
                "date_ok": row.date_ok,
            }
        )
    return _frame(made, FEED_COLUMNS)


def _frame(rows: list[dict[str, object]], kinds: dict[str, Kind]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: column([row[name] for row in rows], kind) for name, kind in kinds.items()},
        index=pd.RangeIndex(len(rows)),
    )
