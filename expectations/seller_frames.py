"""The frames of what a seller tells us in files: which listing is which SKU, and how much lies where.

As in `expectations.frames`, building never raises and never judges: what cannot be read becomes the missing value
of its kind in a row that carries its key, and a rule fails that row.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from expectations.cells import Kind, column, raw, text, whole

MAPPING_COLUMNS: dict[str, Kind] = {
    "row_key": Kind.TEXT,
    "row": Kind.NUMBER,
    "channel": Kind.TEXT,
    "listing_ref": Kind.TEXT,
    "sku": Kind.TEXT,
    "units": Kind.NUMBER,
    "units_raw": Kind.TEXT,
    "readable": Kind.FLAG,
    "listed": Kind.FLAG,
    "sku_known": Kind.FLAG,
    "ours": Kind.FLAG,
    "once": Kind.FLAG,
    "unchanged": Kind.FLAG,
}

BALANCE_COLUMNS: dict[str, Kind] = {
    "row_key": Kind.TEXT,
    "row": Kind.NUMBER,
    "sku": Kind.TEXT,
    "location": Kind.TEXT,
    "quantity": Kind.NUMBER,
    "quantity_raw": Kind.TEXT,
    "form": Kind.TEXT,
    "prior": Kind.NUMBER,
    "readable": Kind.FLAG,
    "sku_known": Kind.FLAG,
    "stocked": Kind.FLAG,
    "location_known": Kind.FLAG,
    "once": Kind.FLAG,
    "first": Kind.FLAG,
    "coverable": Kind.FLAG,
}


class Form(StrEnum):
    """How a quantity is written."""

    WHOLE = "whole"
    EMPTY = "empty"
    THOUSANDS = "thousands"
    FRACTION = "fraction"
    WORDS = "words"


_WHOLE = re.compile(r"-?[0-9]{1,18}")
_THOUSANDS = re.compile("-?[0-9]{1,3}([.,' \u2019\u00a0\u202f\u2009][0-9]{3})+")
_FRACTION = re.compile(r"-?[0-9]*[.,][0-9]+")


def quantity_of(written: str) -> tuple[float, Form]:
    """Digits alone are a quantity. `1,000` is a thousand to some and one to others, so it is neither."""
    if _WHOLE.fullmatch(written):
        return whole(int(written)), Form.WHOLE
    if not written:
        return math.nan, Form.EMPTY
    if _THOUSANDS.fullmatch(written):
        return math.nan, Form.THOUSANDS
    return math.nan, Form.FRACTION if _FRACTION.fullmatch(written) else Form.WORDS


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One listing that is to sell a SKU. `units` as written; None: the row could not be read."""

    row: int
    channel: str
    listing_ref: str
    sku: str | None
    """As the ledger spells it; None: it is no SKU of ours."""
    units: str | None
    listed: bool
    """The channel lists it now."""
    ours: bool
    """Not sent by the channel's own warehouse."""
    unchanged: bool
    """It is not mapped to something else, or that is meant to change."""


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """What lies at one location. `quantity` as written; None: the row could not be read."""

    row: int
    sku: str
    """As the ledger spells it, or as written if it is no SKU of ours."""
    location: str
    quantity: str | None
    sku_known: bool
    stocked: bool
    """Not a bundle: those have no stock of their own."""
    location_known: bool
    first: bool
    """Nothing else opened or moved this SKU, or it is a correction."""
    prior: float
    """Units that the ledger has there, where the row replaces a number; else NaN."""
    available: int
    """Units that a correction can take away."""


def mapping_frame(rows: Iterable[MappingRow]) -> pd.DataFrame:
    given = list(rows)
    times = Counter((row.channel, row.listing_ref) for row in given)
    made = []
    for row in given:
        units, form = quantity_of(row.units if row.units is not None else "")
        named = text(row.listing_ref) is not None and row.units is not None
        made.append(
            {
                "row_key": f"{row.channel}/{row.listing_ref}" if named else f"row[{row.row}]",
                "row": float(row.row),
                "channel": text(row.channel),
                "listing_ref": text(row.listing_ref),
                "sku": text(row.sku),
                "units": units if form is Form.WHOLE else math.nan,
                "units_raw": raw(row.units),
                "readable": row.units is not None,
                "listed": row.listed,
                "sku_known": row.sku is not None,
                "ours": row.ours,
                "once": times[row.channel, row.listing_ref] == 1 or not named,
                "unchanged": row.unchanged,
            }
        )
    return _frame(made, MAPPING_COLUMNS)


def balances_frame(rows: Iterable[BalanceRow]) -> pd.DataFrame:
    given = list(rows)
    times = Counter((row.sku, row.location) for row in given)
    made = []
    for row in given:
        quantity, form = quantity_of(row.quantity if row.quantity is not None else "")
        named = row.quantity is not None and text(row.sku) is not None
        less = row.prior - quantity
        made.append(
            {
                "row_key": f"{row.sku}@{row.location}" if named else f"row[{row.row}]",
                "row": float(row.row),
                "sku": text(row.sku),
                "location": text(row.location),
                "quantity": quantity,
                "quantity_raw": raw(row.quantity),
                "form": form.value,
                "prior": row.prior,
                "readable": row.quantity is not None,
                "sku_known": row.sku_known,
                "stocked": row.stocked,
                "location_known": row.location_known,
                "once": times[row.sku, row.location] == 1 or not named,
                "first": row.first,
                "coverable": not less > row.available,
            }
        )
    return _frame(made, BALANCE_COLUMNS)


def _frame(rows: Sequence[Mapping[str, object]], kinds: Mapping[str, Kind]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: column([row[name] for row in rows], kind) for name, kind in kinds.items()},
        index=pd.RangeIndex(len(rows)),
    )
