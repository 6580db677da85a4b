"""The suite `orders_pulled`: what a channel says it sold, before the ledger believes it.

A row that fails is quarantined with its key and the others are applied. Quarantining a sale means that its
units stay on sale elsewhere, so each of these findings is urgent; the reversals err the harmless way.
"""

from functools import partial

import pandas as pd

from expectations.frames import LINE, ORDER_COLUMNS, REVERSAL
from expectations.parameters import OrdersPulled
from expectations.rule import Action, Scope, Suite, limit, make_rule, schema_rule, seconds
from inventory.words import Severity

NAME = "orders_pulled"

Frame = pd.DataFrame
Told = OrdersPulled


_rule = partial(make_rule, NAME)


def _is(frame: Frame, kind: str) -> pd.Series:
    return frame["kind"] == kind


def _entry_id(frame: Frame, _: Told) -> pd.Series:
    own_id = frame["reversal_id"].where(_is(frame, REVERSAL))
    return own_id.mask(_is(frame, LINE), frame["line_id"])


def _line_quantity(frame: Frame, _: Told) -> pd.Series:
    return frame["quantity"].fillna(0).where(_is(frame, LINE), 1)


def _reversal_quantity(frame: Frame, _: Told) -> pd.Series:
    return frame["quantity"].fillna(0).where(_is(frame, REVERSAL), 1)


def _quantity_at_most(frame: Frame, _: Told) -> pd.Series:
    return frame["quantity"].fillna(float("inf"))


def _placed_ahead(frame: Frame, told: Told) -> pd.Series:
    return seconds(frame["placed_at"] - pd.Timestamp(told.now))


def _updated_off(frame: Frame, told: Told) -> pd.Series:
    """How far `updated_at` is outside [placed_at, now], in seconds; unknown if either is."""
    ahead = seconds(frame["updated_at"] - pd.Timestamp(told.now))
    behind = seconds(frame["placed_at"] - frame["updated_at"])
    return ahead.where(ahead > behind, behind)


def _occurred_ahead(frame: Frame, told: Told) -> pd.Series:
    return seconds(frame["occurred_at"] - pd.Timestamp(told.now)).where(_is(frame, REVERSAL), 0.0)


def _placed_in_time(frame: Frame, told: Told) -> pd.Series:
    return frame["placed_at"] <= told.now + told.skew


def _updated_in_time(frame: Frame, told: Told) -> pd.Series:
    updated = frame["updated_at"]
    return (updated <= told.now + told.skew) & (frame["placed_at"] - updated <= told.skew)


def _occurred_in_time(frame: Frame, told: Told) -> pd.Series:
    return (frame["occurred_at"] <= told.now + told.skew) | ~_is(frame, REVERSAL)


def _failing(frame: Frame, told: Told) -> pd.Series:
    """1.0 for a row that some quarantining rule fails; all 0 when there are too few rows for a share."""
    failing = pd.Series(0.0, index=frame.index)
    if len(frame) < told.failing_rows:
        return failing
    for rule in ROW_RULES:
        if rule.action is Action.QUARANTINE:
            failing[~pd.Series(rule.ok(frame, told), index=frame.index)] = 1.0
    return failing


def _since_watermark(frame: Frame, told: Told) -> pd.Series:
    return seconds(frame["updated_at"] - pd.Timestamp(told.watermark), unknown=float("-inf"))


def _watermark_holds(frame: Frame, told: Told) -> bool:
    return bool(frame["updated_at"].max() >= told.watermark - told.overlap)


ROW_RULES = (
    _rule(
        "ORD-001", "the document's header is readable: order_id, cancelled, test, and lists of lines and reversals",
        lambda frame, told: frame["document_ok"],
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "document_ok", "value_set": [True]},
        columns=("document_ok",),
    ),
    _rule(
        "ORD-002", "the order has an id",
        lambda frame, told: frame["order_id"].notna(),
        "ExpectColumnValuesToNotBeNull", lambda told: {"column": "order_id"},
        columns=("order_id",),
    ),
    _rule(
        "ORD-003", "the line, or the reversal, has its own id: without it a repeat could not be told from a second one",
        lambda frame, told: (_is(frame, LINE) & frame["line_id"].notna())
        | (_is(frame, REVERSAL) & frame["reversal_id"].notna()),
        "ExpectColumnValuesToNotBeNull", lambda told: {"column": "_entry_id"},
        columns=("kind", "line_id", "reversal_id"), derive={"_entry_id": _entry_id},
    ),
    _rule(
        "ORD-004", "the listing is mapped to a SKU, or is explicitly no stock: an unmapped sale is reserved nowhere",
        lambda frame, told: frame["mapped"],
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "mapped", "value_set": [True]},
        columns=("mapped", "listing_ref", "sku"),
    ),
    _rule(
        "ORD-005", "a line sells a whole number of units, one or more",
        lambda frame, told: (frame["quantity"] >= 1) | ~_is(frame, LINE),
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_line_quantity", "min_value": 1},
        columns=("kind", "quantity", "quantity_raw"), derive={"_line_quantity": _line_quantity},
    ),
    _rule(
        "ORD-006", "no line or reversal is larger than any plausible order",
        lambda frame, told: frame["quantity"] <= told.quantity_limit,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_quantity_most", "max_value": told.quantity_limit},
        columns=("quantity", "quantity_raw"), derive={"_quantity_most": _quantity_at_most},
    ),
    _rule(
        "ORD-007", "one id says one thing: a line or reversal that comes twice with different contents is neither",
        lambda frame, told: ~frame["duplicate"],
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "duplicate", "value_set": [False]},
        columns=("duplicate", "order_id", "line_id", "reversal_id"),
    ),
    _rule(
        "ORD-008", "the order was placed at a known time that is not in the future",
        _placed_in_time,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_placed_ahead", "max_value": limit(told.skew)},
        columns=("placed_at",), derive={"_placed_ahead": _placed_ahead},
    ),
    _rule(
        "ORD-009", "the last change has a known time, not in the future and not before the order was placed",
        _updated_in_time,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_updated_off", "max_value": limit(told.skew)},
        columns=("updated_at", "placed_at"), derive={"_updated_off": _updated_off},
    ),
    _rule(
        "ORD-010", "a reversal takes back a whole number of units, one or more",
        lambda frame, told: (frame["quantity"] >= 1) | ~_is(frame, REVERSAL),
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_reversal_quantity", "min_value": 1},
        columns=("kind", "quantity", "quantity_raw"), derive={"_reversal_quantity": _reversal_quantity},
    ),
    _rule(
        "ORD-011", "the line that a reversal takes back is in the same document",
        lambda frame, told: frame["line_known"],
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "line_known", "value_set": [True]},
        columns=("line_known", "line_id"), action=Action.WARN, severity=Severity.WARNING,
    ),
    _rule(
        "ORD-012", "kind, reason and restocked of a reversal are words we know: they decide whether units come back",
        lambda frame, told: frame["words_known"],
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "words_known", "value_set": [True]},
        columns=("words_known",),
    ),
    _rule(
        "ORD-013", "a reversal happened at a known time that is not in the future",
        _occurred_in_time,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_occurred_ahead", "max_value": limit(told.skew)},
        columns=("kind", "occurred_at"), derive={"_occurred_ahead": _occurred_ahead},
    ),
    _rule(
        "ORD-014", "an unusually large quantity is worth a look",
        lambda frame, told: frame["quantity"] <= told.outlier_quantity,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_quantity_most", "max_value": told.outlier_quantity},
        columns=("quantity",), derive={"_quantity_most": _quantity_at_most},
        action=Action.WARN, severity=Severity.WARNING,
    ),
)  # fmt: skip

BATCH_RULES = (
    schema_rule(NAME, "ORD-101", ORDER_COLUMNS, lambda: DERIVED),
    _rule(
        "ORD-102", "most rows are sound: when more fail than the limit, the channel or our reading of it has changed",
        lambda frame, told: bool(_failing(frame, told).mean() <= told.failing_share),
        "ExpectColumnMeanToBeBetween", lambda told: {"column": "_failing", "max_value": told.failing_share},
        columns=tuple(ORDER_COLUMNS), derive={"_failing": _failing}, action=Action.BLOCK, scope=Scope.BATCH,
    ),
    _rule(
        "ORD-103", "the newest change is not older than what had been read before: the channel did not go back in time",
        _watermark_holds,
        "ExpectColumnMaxToBeBetween",
        lambda told: {"column": "_since_watermark", "min_value": -limit(told.overlap)},
        columns=("updated_at",), derive={"_since_watermark": _since_watermark},
        action=Action.WARN, severity=Severity.WARNING, scope=Scope.BATCH,
    ),
)  # fmt: skip

DERIVED: tuple[str, ...] = tuple({name: None for rule in (*ROW_RULES, *BATCH_RULES) for name in rule.derive})

SUITE = Suite(NAME, ORDER_COLUMNS, OrdersPulled, (*ROW_RULES, *BATCH_RULES), schema_rule="ORD-101")
