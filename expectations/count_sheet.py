"""The suite `count_sheet`: what a person says was counted, before it is held against the ledger.

A number goes in only if it is certain which bin it is about, what it says, who counted, and roughly when. That the
number may be wrong is no matter of the gate: a second person finds out.
"""

from functools import partial

import pandas as pd

from expectations.count_frame import COUNT_COLUMNS
from expectations.parameters import CountSheet
from expectations.rule import Action, Scope, Suite, limit, make_rule, schema_rule, seconds
from expectations.seller_frames import Form
from inventory.words import Severity

NAME = "count_sheet"
INFINITE = float("inf")

Frame = pd.DataFrame
Told = CountSheet

_rule = partial(make_rule, NAME)


def _most(frame: Frame, _: Told) -> pd.Series:
    """A quantity that is not written as one is another rule's finding."""
    return frame["quantity"].fillna(INFINITE).mask(frame["form"] != Form.WHOLE.value, 0.0)


def _least(frame: Frame, _: Told) -> pd.Series:
    return frame["quantity"].fillna(0.0)


def _ahead(frame: Frame, told: Told) -> pd.Series:
    """Seconds by which the count lies in the future."""
    return seconds(frame["counted_at"] - pd.Timestamp(told.now))


def _before(frame: Frame, _: Told) -> pd.Series:
    """Seconds by which the count lies before its sheet was made; of an unknown line or time another rule speaks."""
    unknown = ~frame["line_known"] | frame["counted_at"].isna() | frame["created_at"].isna()
    return seconds(frame["created_at"] - frame["counted_at"]).mask(unknown, 0.0)


def _line(frame: Frame, _: Told) -> pd.Series:
    found = frame["sku"].notna() & frame["location"].notna() & frame["on_hand"].notna() & frame["created_at"].notna()
    return frame["line_known"] & found


def _excess(frame: Frame, told: Told) -> pd.Series:
    """Units by which a count is more than anybody expects; 0 or less: it is not."""
    usual = (frame["on_hand"].fillna(0.0) * told.outlier_factor).clip(lower=told.outlier_floor)
    return _most(frame, told) - usual


def _unknown(frame: Frame, told: Told) -> pd.Series:
    if len(frame) < told.unknown_rows:
        return pd.Series(0.0, index=frame.index)
    return (~frame["line_known"]).astype("float64")


def _emptied(frame: Frame, told: Told) -> pd.Series:
    return pd.Series(_emptied_share(frame, told), index=frame.index, dtype="float64")


def _emptied_share(frame: Frame, told: Told) -> float:
    """Of the bins that hold something by the ledger, those counted as empty; 0 when there are too few for a share."""
    holding = frame["on_hand"].fillna(0.0) > 0
    if holding.sum() < told.unknown_rows:
        return 0.0
    return float((frame["quantity"][holding] == 0).mean())


def _is(name: str) -> dict[str, object]:
    return {"column": name, "value_set": [True]}


ROW_RULES = (
    _rule(
        "CNT-001", "the row could be read whole",
        lambda frame, told: frame["readable"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("readable"), columns=("readable",),
    ),
    _rule(
        "CNT-002", "there is such a line on such a sheet",
        _line,
        "ExpectColumnValuesToBeInSet", lambda told: _is("_line"),
        columns=("line_known", "sku", "location", "on_hand", "created_at"), derive={"_line": _line},
    ),
    _rule(
        "CNT-003", "SKU and location are those of the line: rows that slipped would count one bin for another",
        lambda frame, told: frame["same_bin"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("same_bin"), columns=("same_bin",),
    ),
    _rule(
        "CNT-004", "the quantity is written in digits alone: no fraction, no thousands separator, no words",
        lambda frame, told: frame["form"] == Form.WHOLE.value,
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "_form", "value_set": [Form.WHOLE.value]},
        columns=("form", "quantity_raw"), derive={"_form": lambda frame, told: frame["form"].fillna("")},
    ),
    _rule(
        "CNT-005", "the quantity is not negative: a shelf cannot hold less than nothing",
        lambda frame, told: frame["quantity"].fillna(0.0) >= 0,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_least", "min_value": 0},
        columns=("quantity",), derive={"_least": _least},
    ),
    _rule(
        "CNT-006", "the quantity is not larger than any shelf of ours: a scanned barcode looks like that",
        lambda frame, told: _most(frame, told) <= told.quantity_limit,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_most", "max_value": told.quantity_limit},
        columns=("quantity", "quantity_raw", "form"), derive={"_most": _most},
    ),
    _rule(
        "CNT-007", "the line comes once: of two numbers nobody knows which is meant",
        lambda frame, told: frame["once"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("once"), columns=("once",),
    ),
    _rule(
        "CNT-008", "the line waits for its count: one that was counted with another number needs a new count",
        lambda frame, told: frame["open"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("open"), columns=("open",),
    ),
    _rule(
        "CNT-009", "another person counts than before: whoever knows the first number does not count, but confirm",
        lambda frame, told: frame["another_person"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("another_person"), columns=("another_person",),
    ),
    _rule(
        "CNT-010", "the time of the count is a time with its offset from UTC, and not in the future",
        lambda frame, told: _ahead(frame, told) <= limit(told.skew),
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_ahead", "max_value": limit(told.skew)},
        columns=("counted_at",), derive={"_ahead": _ahead},
    ),
    _rule(
        "CNT-011", "it was counted after its sheet was made: an older number is of another count, or its clock lies",
        lambda frame, told: _before(frame, told) <= limit(told.skew),
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_before", "max_value": limit(told.skew)},
        columns=("counted_at", "created_at"), derive={"_before": _before},
    ),
    _rule(
        "CNT-012", "a count of many times what was expected is worth a look",
        lambda frame, told: _excess(frame, told) <= 0,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_excess", "max_value": 0},
        columns=("quantity", "on_hand", "form"), derive={"_excess": _excess},
        action=Action.WARN, severity=Severity.WARNING,
    ),
)  # fmt: skip

BATCH_RULES = (
    schema_rule(NAME, "CNT-101", COUNT_COLUMNS, lambda: DERIVED),
    _rule(
        "CNT-102", "the sheet is neither empty nor larger than any warehouse",
        lambda frame, told: 1 <= len(frame) <= told.max_rows,
        "ExpectTableRowCountToBeBetween", lambda told: {"min_value": 1, "max_value": told.max_rows},
        columns=("row_key",), action=Action.BLOCK, scope=Scope.BATCH,
    ),
    _rule(
        "CNT-103", "most lines are ours: when more are not than the limit, the file is another's",
        lambda frame, told: bool(_unknown(frame, told).mean() <= told.unknown_share),
        "ExpectColumnMeanToBeBetween", lambda told: {"column": "_unknown", "max_value": told.unknown_share},
        columns=("line_known",), derive={"_unknown": _unknown}, action=Action.BLOCK, scope=Scope.BATCH,
    ),
    _rule(
        "CNT-104", "most bins that hold something hold something: a sheet of zeros was not counted",
        lambda frame, told: _emptied_share(frame, told) <= told.zero_share,
        "ExpectColumnMaxToBeBetween", lambda told: {"column": "_emptied", "max_value": told.zero_share},
        columns=("quantity", "on_hand"), derive={"_emptied": _emptied}, action=Action.BLOCK, scope=Scope.BATCH,
    ),
)  # fmt: skip

DERIVED: tuple[str, ...] = tuple({name: None for rule in (*ROW_RULES, *BATCH_RULES) for name in rule.derive})

SUITE = Suite(NAME, COUNT_COLUMNS, CountSheet, (*ROW_RULES, *BATCH_RULES), schema_rule="CNT-101")
