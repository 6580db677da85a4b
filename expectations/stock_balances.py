"""The suite `stock_balances`: what a seller says lies on the shelf, before the ledger opens with it.

Too much opens the door to overselling everything at once, too little hides stock; either way the ledger would be
wrong from its first day. A number is taken only if there is one way to read it.
"""

from functools import partial

import pandas as pd

from expectations.parameters import StockBalances
from expectations.rule import Action, Scope, Suite, make_rule, schema_rule
from expectations.seller_frames import BALANCE_COLUMNS, Form
from inventory.words import Severity

NAME = "stock_balances"
INFINITE = float("inf")

Frame = pd.DataFrame
Told = StockBalances

_rule = partial(make_rule, NAME)


def _most(frame: Frame, _: Told) -> pd.Series:
    """A quantity that is not written as one is another rule's finding."""
    return frame["quantity"].fillna(INFINITE).mask(frame["form"] != Form.WHOLE.value, 0.0)


def _least(frame: Frame, _: Told) -> pd.Series:
    return frame["quantity"].fillna(0.0)


def _unknown(frame: Frame, told: Told) -> pd.Series:
    """1.0 for each SKU that is not ours; all 0 when there are too few rows for a share."""
    if len(frame) < told.unknown_rows:
        return pd.Series(0.0, index=frame.index)
    return (~frame["sku_known"]).astype("float64")


def _beyond(frame: Frame, told: Told) -> float:
    """Units by which the whole changes more than it may, where the rows replace numbers; 0 or less: it does not."""
    known = frame["prior"].notna() & frame["quantity"].notna()
    prior, quantity = frame["prior"][known].sum(), frame["quantity"][known].sum()
    if prior < told.compared_units:
        return 0.0
    return float(abs(quantity - prior) - told.change_share * prior)


def _changes(frame: Frame, told: Told) -> pd.Series:
    return pd.Series(_beyond(frame, told), index=frame.index, dtype="float64")


def _zero(frame: Frame, told: Told) -> pd.Series:
    if len(frame) < told.unknown_rows:
        return pd.Series(0.0, index=frame.index)
    return (frame["quantity"] == 0).astype("float64")


def _is(name: str) -> dict[str, object]:
    return {"column": name, "value_set": [True]}


ROW_RULES = (
    _rule(
        "STK-001", "the row could be read whole",
        lambda frame, told: frame["readable"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("readable"), columns=("readable",),
    ),
    _rule(
        "STK-002", "the SKU is in the catalogue: add the item first, or an alias",
        lambda frame, told: frame["sku_known"] & frame["sku"].notna(),
        "ExpectColumnValuesToBeInSet", lambda told: _is("_sku_ours"), columns=("sku_known", "sku"),
        derive={"_sku_ours": lambda frame, told: frame["sku_known"] & frame["sku"].notna()},
    ),
    _rule(
        "STK-003", "the SKU is no bundle: count its components",
        lambda frame, told: frame["stocked"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("stocked"), columns=("stocked",),
    ),
    _rule(
        "STK-004", "the location is one of ours",
        lambda frame, told: frame["location_known"] & frame["location"].notna(),
        "ExpectColumnValuesToBeInSet", lambda told: _is("_place_ours"), columns=("location_known", "location"),
        derive={"_place_ours": lambda frame, told: frame["location_known"] & frame["location"].notna()},
    ),
    _rule(
        "STK-005", "the quantity is written in digits alone: no fraction, no thousands separator, no words, not empty",
        lambda frame, told: frame["form"] == Form.WHOLE.value,
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "_form", "value_set": [Form.WHOLE.value]},
        columns=("form", "quantity_raw"), derive={"_form": lambda frame, told: frame["form"].fillna("")},
    ),
    _rule(
        "STK-006", "the quantity is not negative: a shelf cannot hold less than nothing",
        lambda frame, told: frame["quantity"].fillna(0.0) >= 0,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_least", "min_value": 0},
        columns=("quantity",), derive={"_least": _least},
    ),
    _rule(
        "STK-007", "the quantity is not larger than any shelf of ours: a barcode in the wrong column looks like that",
        lambda frame, told: _most(frame, told) <= told.quantity_limit,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_most", "max_value": told.quantity_limit},
        columns=("quantity", "quantity_raw", "form"), derive={"_most": _most},
    ),
    _rule(
        "STK-008", "SKU and location come once: of two rows nobody knows whether to add them",
        lambda frame, told: frame["once"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("once"), columns=("once", "sku", "location"),
    ),
    _rule(
        "STK-009", "the SKU has not been opened with another number and has not moved: that would be a correction",
        lambda frame, told: frame["first"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("first"), columns=("first",),
    ),
    _rule(
        "STK-010", "a correction takes away no more than is free: what is promised to a buyer is released first",
        lambda frame, told: frame["coverable"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("coverable"), columns=("coverable", "prior", "quantity"),
    ),
    _rule(
        "STK-011", "an unusually large quantity is worth a look",
        lambda frame, told: _most(frame, told) <= told.outlier_quantity,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_most", "max_value": told.outlier_quantity},
        columns=("quantity", "form"), derive={"_most": _most}, action=Action.WARN, severity=Severity.WARNING,
    ),
)  # fmt: skip

BATCH_RULES = (
    schema_rule(NAME, "STK-101", BALANCE_COLUMNS, lambda: DERIVED),
    _rule(
        "STK-102", "the file is neither empty nor larger than any warehouse",
        lambda frame, told: 1 <= len(frame) <= told.max_rows,
        "ExpectTableRowCountToBeBetween", lambda told: {"min_value": 1, "max_value": told.max_rows},
        columns=("row_key",), action=Action.BLOCK, scope=Scope.BATCH,
    ),
    _rule(
        "STK-103", "most SKUs are ours: when more are not than the limit, the file is another's, or a column slipped",
        lambda frame, told: bool(_unknown(frame, told).mean() <= told.unknown_share),
        "ExpectColumnMeanToBeBetween", lambda told: {"column": "_unknown", "max_value": told.unknown_share},
        columns=("sku_known",), derive={"_unknown": _unknown}, action=Action.BLOCK, scope=Scope.BATCH,
    ),
    _rule(
        "STK-104", "all together the file says about what the ledger said before, where it replaces numbers",
        lambda frame, told: _beyond(frame, told) <= 0,
        "ExpectColumnMaxToBeBetween", lambda told: {"column": "_changes", "max_value": 0},
        columns=("prior", "quantity"), derive={"_changes": _changes}, action=Action.BLOCK, scope=Scope.BATCH,
    ),
    _rule(
        "STK-105", "most rows hold something: a file of zeros is worth a look",
        lambda frame, told: bool(_zero(frame, told).mean() <= told.zero_share),
        "ExpectColumnMeanToBeBetween", lambda told: {"column": "_zero", "max_value": told.zero_share},
        columns=("quantity",), derive={"_zero": _zero},
        action=Action.WARN, severity=Severity.WARNING, scope=Scope.BATCH,
    ),
)  # fmt: skip

DERIVED: tuple[str, ...] = tuple({name: None for rule in (*ROW_RULES, *BATCH_RULES) for name in rule.derive})

SUITE = Suite(NAME, BALANCE_COLUMNS, StockBalances, (*ROW_RULES, *BATCH_RULES), schema_rule="STK-101")
