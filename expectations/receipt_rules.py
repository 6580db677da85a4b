"""The suite `receipts`: what somebody says has arrived, before it becomes stock.

A receipt that books too much sells goods that are not there; one that books a purchase as whole when one of three
cartons came is the classic of them. So more than was ordered waits for a person.
"""

from functools import partial

import pandas as pd

from expectations.goods_frames import RECEIPT_COLUMNS, Receipts
from expectations.rule import Action, Scope, Suite, make_rule, schema_rule
from expectations.seller_frames import Form

NAME = "receipts"
INFINITE = float("inf")

Frame = pd.DataFrame
Told = Receipts

_rule = partial(make_rule, NAME)


def _units(frame: Frame, _: Told) -> pd.Series:
    """A quantity that is not written as one, or is negative, is another rule's finding."""
    sound = (frame["form"] == Form.WHOLE.value) & (frame["least"] >= 0)
    return frame["units"].fillna(INFINITE).mask(~sound, 1.0)


def _over(frame: Frame, _: Told) -> pd.Series:
    """Units beyond what is left of the purchase; unknown counts as infinitely many."""
    sound = (frame["form"] == Form.WHOLE.value) & (frame["least"] >= 0) & frame["ordered"]
    return (frame["units"] - frame["left"]).fillna(INFINITE).mask(~sound, 0.0)


def _unknown(frame: Frame, told: Told) -> pd.Series:
    if len(frame) < told.unknown_rows:
        return pd.Series(0.0, index=frame.index)
    return (~frame["sku_known"]).astype("float64")


def _is(name: str) -> dict[str, object]:
    return {"column": name, "value_set": [True]}


ROW_RULES = (
    _rule(
        "RCP-001", "the row could be read whole",
        lambda frame, told: frame["readable"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("readable"), columns=("readable",),
    ),
    _rule(
        "RCP-002", "the SKU is in the catalogue: add the item first, or an alias",
        lambda frame, told: frame["sku_known"] & frame["sku"].notna(),
        "ExpectColumnValuesToBeInSet", lambda told: _is("_sku_ours"), columns=("sku_known", "sku"),
        derive={"_sku_ours": lambda frame, told: frame["sku_known"] & frame["sku"].notna()},
    ),
    _rule(
        "RCP-003", "the SKU is no bundle: receive its components",
        lambda frame, told: frame["stocked"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("stocked"), columns=("stocked",),
    ),
    _rule(
        "RCP-004", "the location is one of ours",
        lambda frame, told: frame["location_known"] & frame["location"].notna(),
        "ExpectColumnValuesToBeInSet", lambda told: _is("_place_ours"), columns=("location_known", "location"),
        derive={"_place_ours": lambda frame, told: frame["location_known"] & frame["location"].notna()},
    ),
    _rule(
        "RCP-005", "each quantity is written in digits alone: no fraction, no thousands separator, no words",
        lambda frame, told: frame["form"] == Form.WHOLE.value,
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "_form", "value_set": [Form.WHOLE.value]},
        columns=("form", "quantity_raw"), derive={"_form": lambda frame, told: frame["form"].fillna("")},
    ),
    _rule(
        "RCP-006", "no quantity is negative: what goes back to the supplier is written off or adjusted",
        lambda frame, told: (frame["least"] >= 0) | (frame["form"] != Form.WHOLE.value),
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_least", "min_value": 0},
        columns=("least",),
        derive={"_least": lambda frame, told: frame["least"].fillna(-1.0).mask(frame["form"] != Form.WHOLE.value, 0.0)},
    ),
    _rule(
        "RCP-007", "something arrived, and not more than a lorry brings: a barcode in the wrong column looks like that",
        lambda frame, told: (_units(frame, told) >= 1) & (_units(frame, told) <= told.quantity_limit),
        "ExpectColumnValuesToBeBetween",
        lambda told: {"column": "_units", "min_value": 1, "max_value": told.quantity_limit},
        columns=("units", "quantity_raw", "form"), derive={"_units": _units},
    ),
    _rule(
        "RCP-008", "a SKU of a purchase comes once a location: of two rows nobody knows whether to add them",
        lambda frame, told: frame["once"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("once"), columns=("once", "purchase", "sku", "location"),
    ),
    _rule(
        "RCP-009", "the purchase has a line of it: say what is expected first, or leave the purchase empty",
        lambda frame, told: frame["ordered"] & frame["purchase"].notna(),
        "ExpectColumnValuesToBeInSet", lambda told: _is("_ordered"), columns=("ordered", "purchase"),
        derive={"_ordered": lambda frame, told: frame["ordered"] & frame["purchase"].notna()},
    ),
    _rule(
        "RCP-010", "no more arrived than is left of the purchase: count again, or approve it",
        lambda frame, told: _over(frame, told) <= 0,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_over", "max_value": 0},
        columns=("units", "left"), derive={"_over": _over},
    ),
    _rule(
        "RCP-011", "this receipt has not booked it with other numbers: name another receipt, or adjust the stock",
        lambda frame, told: frame["unchanged"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("unchanged"), columns=("unchanged",),
    ),
)  # fmt: skip

BATCH_RULES = (
    schema_rule(NAME, "RCP-101", RECEIPT_COLUMNS, lambda: DERIVED),
    _rule(
        "RCP-102", "the receipt is neither empty nor larger than any delivery",
        lambda frame, told: 1 <= len(frame) <= told.max_rows,
        "ExpectTableRowCountToBeBetween", lambda told: {"min_value": 1, "max_value": told.max_rows},
        columns=("row_key",), action=Action.BLOCK, scope=Scope.BATCH,
    ),
    _rule(
        "RCP-103", "most SKUs are ours: when more are not than the limit, the file is another's, or a column slipped",
        lambda frame, told: bool(_unknown(frame, told).mean() <= told.unknown_share),
        "ExpectColumnMeanToBeBetween", lambda told: {"column": "_unknown", "max_value": told.unknown_share},
        columns=("sku_known",), derive={"_unknown": _unknown}, action=Action.BLOCK, scope=Scope.BATCH,
    ),
)  # fmt: skip

DERIVED: tuple[str, ...] = tuple({name: None for rule in (*ROW_RULES, *BATCH_RULES) for name in rule.derive})

SUITE = Suite(NAME, RECEIPT_COLUMNS, Receipts, (*ROW_RULES, *BATCH_RULES), schema_rule="RCP-101")
