"""The suite `listing_map`: which listing sells which SKU, before the ledger believes it.

A wrong mapping sells one thing and takes another from the shelf, silently; so a row is held for any doubt.
"""

from functools import partial

import pandas as pd

from expectations.parameters import ListingMap
from expectations.rule import Action, Scope, Suite, make_rule, schema_rule
from expectations.seller_frames import MAPPING_COLUMNS

NAME = "listing_map"

Frame = pd.DataFrame
Told = ListingMap

_rule = partial(make_rule, NAME)


def _units(frame: Frame, _: Told) -> pd.Series:
    return frame["units"].fillna(0)


def _unknown(frame: Frame, told: Told) -> pd.Series:
    """1.0 for each SKU that is not ours; all 0 when there are too few rows for a share."""
    if len(frame) < told.unknown_rows:
        return pd.Series(0.0, index=frame.index)
    return (~frame["sku_known"]).astype("float64")


def _is(name: str) -> dict[str, object]:
    return {"column": name, "value_set": [True]}


ROW_RULES = (
    _rule(
        "MAP-001", "the row could be read whole",
        lambda frame, told: frame["readable"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("readable"), columns=("readable",),
    ),
    _rule(
        "MAP-002", "the row says which listing of which channel it is for",
        lambda frame, told: frame["channel"].notna() & frame["listing_ref"].notna(),
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_parts_missing", "max_value": 0},
        columns=("channel", "listing_ref"),
        derive={"_parts_missing": lambda frame, told: frame[["channel", "listing_ref"]].isna().sum(axis=1)},
    ),
    _rule(
        "MAP-003", "the channel lists it now",
        lambda frame, told: frame["listed"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("listed"), columns=("listed", "listing_ref"),
    ),
    _rule(
        "MAP-004", "the SKU is one of ours",
        lambda frame, told: frame["sku_known"] & frame["sku"].notna(),
        "ExpectColumnValuesToBeInSet", lambda told: _is("_sku_ours"), columns=("sku_known", "sku"),
        derive={"_sku_ours": lambda frame, told: frame["sku_known"] & frame["sku"].notna()},
    ),
    _rule(
        "MAP-005", "one listing sells a whole number of units, one or more, and not more than anybody would",
        lambda frame, told: (frame["units"] >= 1) & (frame["units"] <= told.units_limit),
        "ExpectColumnValuesToBeBetween",
        lambda told: {"column": "_units", "min_value": 1, "max_value": told.units_limit},
        columns=("units", "units_raw"), derive={"_units": _units},
    ),
    _rule(
        "MAP-006", "the listing comes once: of two rows nobody knows which is meant",
        lambda frame, told: frame["once"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("once"), columns=("once", "listing_ref"),
    ),
    _rule(
        "MAP-007", "it is sent from our stock, not by the channel's own warehouse: that is never written to",
        lambda frame, told: frame["ours"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("ours"), columns=("ours",),
    ),
    _rule(
        "MAP-008", "it is not mapped to something else already, unless that is to be changed",
        lambda frame, told: frame["unchanged"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("unchanged"), columns=("unchanged",),
    ),
)  # fmt: skip

BATCH_RULES = (
    schema_rule(NAME, "MAP-101", MAPPING_COLUMNS, lambda: DERIVED),
    _rule(
        "MAP-102", "the file is neither empty nor larger than any catalogue",
        lambda frame, told: 1 <= len(frame) <= told.max_rows,
        "ExpectTableRowCountToBeBetween", lambda told: {"min_value": 1, "max_value": told.max_rows},
        columns=("row_key",), action=Action.BLOCK, scope=Scope.BATCH,
    ),
    _rule(
        "MAP-103", "most SKUs are ours: when more are not than the limit, the file is another's, or a column slipped",
        lambda frame, told: bool(_unknown(frame, told).mean() <= told.unknown_share),
        "ExpectColumnMeanToBeBetween", lambda told: {"column": "_unknown", "max_value": told.unknown_share},
        columns=("sku_known",), derive={"_unknown": _unknown}, action=Action.BLOCK, scope=Scope.BATCH,
    ),
)  # fmt: skip

DERIVED: tuple[str, ...] = tuple({name: None for rule in (*ROW_RULES, *BATCH_RULES) for name in rule.derive})

SUITE = Suite(NAME, MAPPING_COLUMNS, ListingMap, (*ROW_RULES, *BATCH_RULES), schema_rule="MAP-101")
