"""The suite `supplier_feed`: what a supplier says it has, before we believe it.

A feed fails quietly: half a file, a file of yesterday, a column of zeros. So it is held against the one before it. What
is blocked changes nothing; the old numbers stay, grow old, and count as nothing once they are too old.
"""

from functools import partial

import pandas as pd

from expectations.goods_frames import FEED_COLUMNS, SupplierFeeds
from expectations.rule import Action, Scope, Suite, limit, make_rule, schema_rule
from expectations.seller_frames import Form
from inventory.words import Severity

NAME = "supplier_feed"
INFINITE = float("inf")

Frame = pd.DataFrame
Told = SupplierFeeds

_rule = partial(make_rule, NAME)
_batch = partial(_rule, action=Action.BLOCK, scope=Scope.BATCH)


def _most(frame: Frame, _: Told) -> pd.Series:
    """A quantity that is not written as one is another rule's finding."""
    return frame["quantity"].fillna(INFINITE).mask(frame["form"] != Form.WHOLE.value, 0.0)


def _least(frame: Frame, _: Told) -> pd.Series:
    return frame["quantity"].fillna(-1.0).mask(frame["form"] != Form.WHOLE.value, 0.0)


def _jump(frame: Frame, told: Told) -> pd.Series:
    """Units above what is usual after what was said before."""
    usual = frame["prior"].fillna(0.0).clip(lower=told.outlier_floor) * told.outlier_factor
    return _most(frame, told) - usual


def _lost(now: int, before: int, told: Told) -> float:
    """By how many there are too few; 0 or less: enough."""
    return (1 - told.lost_share) * before - now if before >= told.compared_rows else 0.0


def _zeros(frame: Frame, told: Told) -> float:
    """SKUs beyond the allowed share that had stock before and have none now, or are missing."""
    if told.stocked < told.compared_rows:
        return 0.0
    emptied = int(((frame["prior"] > 0) & (frame["quantity"] == 0)).sum())
    return emptied + told.gone - told.zero_share * told.stocked


def _changes(frame: Frame, told: Told) -> float:
    """SKUs beyond the allowed share whose number differs from the one before."""
    known = frame["prior"].notna() & frame["quantity"].notna()
    if int(known.sum()) < told.compared_rows:
        return 0.0
    return float((frame["quantity"] != frame["prior"])[known].sum() - told.changed_share * known.sum())


def _failing(frame: Frame, told: Told) -> pd.Series:
    """1.0 for each row that cannot be taken; all 0 when there are too few for a share."""
    if len(frame) < told.compared_rows:
        return pd.Series(0.0, index=frame.index)
    sound = frame["readable"] & (frame["form"] == Form.WHOLE.value) & (frame["quantity"] >= 0) & frame["once"]
    return (~sound).astype("float64")


def _same(frame: Frame, value: float) -> pd.Series:
    return pd.Series(value, index=frame.index, dtype="float64")


def _at_most(name: str, most: float = 0) -> dict[str, object]:
    return {"column": name, "max_value": most}


ROW_RULES = (
    _rule(
        "SUP-001", "the row could be read whole",
        lambda frame, told: frame["readable"] & frame["sku"].notna(),
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "_read", "value_set": [True]},
        columns=("readable", "sku"), derive={"_read": lambda frame, told: frame["readable"] & frame["sku"].notna()},
    ),
    _rule(
        "SUP-002", "the quantity is written in digits, or as suppliers.toml says: no words, no thousands separator",
        lambda frame, told: frame["form"] == Form.WHOLE.value,
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "_form", "value_set": [Form.WHOLE.value]},
        columns=("form", "quantity_raw"), derive={"_form": lambda frame, told: frame["form"].fillna("")},
    ),
    _rule(
        "SUP-003", "the quantity is not negative: nobody has less than nothing",
        lambda frame, told: _least(frame, told) >= 0,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_least", "min_value": 0},
        columns=("quantity",), derive={"_least": _least},
    ),
    _rule(
        "SUP-004", "the quantity is not larger than any warehouse: a barcode in the wrong column looks like that",
        lambda frame, told: _most(frame, told) <= told.quantity_limit,
        "ExpectColumnValuesToBeBetween", lambda told: _at_most("_most", told.quantity_limit),
        columns=("quantity", "quantity_raw", "form"), derive={"_most": _most},
    ),
    _rule(
        "SUP-005", "the SKU comes with one number: of two nobody knows which holds",
        lambda frame, told: frame["once"],
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "once", "value_set": [True]}, columns=("once", "sku"),
    ),
    _rule(
        "SUP-006", "the date of the promise can be read; a number without it is taken",
        lambda frame, told: frame["date_ok"],
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "date_ok", "value_set": [True]},
        columns=("date_ok",), action=Action.WARN, severity=Severity.WARNING,
    ),
    _rule(
        "SUP-007", "a quantity that leaps up is worth a look",
        lambda frame, told: _jump(frame, told) <= 0,
        "ExpectColumnValuesToBeBetween", lambda told: _at_most("_jump"),
        columns=("quantity", "prior", "form"), derive={"_jump": _jump},
        action=Action.WARN, severity=Severity.WARNING,
    ),
)  # fmt: skip

BATCH_RULES = (
    schema_rule(NAME, "SUP-101", FEED_COLUMNS, lambda: DERIVED),
    _batch(
        "SUP-102", "the feed has about as many rows as the one before: half a file is no news of the other half",
        lambda frame, told: _lost(told.rows, told.previous_rows, told) <= 0,
        "ExpectColumnMaxToBeBetween", lambda told: _at_most("_rows"), columns=("row",),
        derive={"_rows": lambda frame, told: _same(frame, _lost(told.rows, told.previous_rows, told))},
    ),
    _batch(
        "SUP-103", "about as many of its rows are ours as before: otherwise it is another's file, or a column slipped",
        lambda frame, told: _lost(told.known, told.previous_known, told) <= 0,
        "ExpectColumnMaxToBeBetween", lambda told: _at_most("_known"), columns=("sku",),
        derive={"_known": lambda frame, told: _same(frame, _lost(told.known, told.previous_known, told))},
    ),
    _batch(
        "SUP-104", "not too much of what the supplier had is gone at once: a wiped file looks like that",
        lambda frame, told: _zeros(frame, told) <= 0,
        "ExpectColumnMaxToBeBetween", lambda told: _at_most("_zeros"), columns=("quantity", "prior"),
        derive={"_zeros": lambda frame, told: _same(frame, _zeros(frame, told))},
    ),
    _batch(
        "SUP-105", "not nearly every number has changed at once: a shifted column looks like that",
        lambda frame, told: _changes(frame, told) <= 0,
        "ExpectColumnMaxToBeBetween", lambda told: _at_most("_changes"), columns=("quantity", "prior"),
        derive={"_changes": lambda frame, told: _same(frame, _changes(frame, told))},
    ),
    _batch(
        "SUP-106", "the feed is fresh, and not from the future: what was true yesterday has been sold since",
        lambda frame, told: -told.skew <= told.now - told.as_of <= told.max_age,
        "ExpectColumnMaxToBeBetween",
        lambda told: {"column": "_age", "min_value": -limit(told.skew), "max_value": limit(told.max_age)},
        columns=("row",), derive={"_age": lambda frame, told: _same(frame, limit(told.now - told.as_of))},
    ),
    _batch(
        "SUP-107", "the feed is no older than the one that was applied last: a file that was left over is no news",
        lambda frame, told: told.as_of >= told.previous_as_of,
        "ExpectColumnMaxToBeBetween", lambda told: _at_most("_behind"), columns=("row",),
        derive={"_behind": lambda frame, told: _same(frame, limit(told.previous_as_of - told.as_of))},
    ),
    _batch(
        "SUP-108", "most rows can be taken: when more cannot than the limit, the feed is written in another way",
        lambda frame, told: bool(_failing(frame, told).mean() <= told.failing_share),
        "ExpectColumnMeanToBeBetween", lambda told: _at_most("_failing", told.failing_share),
        columns=("readable", "form", "quantity", "once"), derive={"_failing": _failing},
    ),
)  # fmt: skip

DERIVED: tuple[str, ...] = tuple({name: None for rule in (*ROW_RULES, *BATCH_RULES) for name in rule.derive})

SUITE = Suite(NAME, FEED_COLUMNS, SupplierFeeds, (*ROW_RULES, *BATCH_RULES), schema_rule="SUP-101")
