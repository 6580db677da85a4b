"""The suite `shipments`: what somebody says was routed or sent, before units leave the ledger.

A unit that is posted as sent and was not is lost to sale; one that was sent and is not posted counts as reserved for
ever. So a row is posted only when it is beyond doubt which units it means; everything else waits for a person.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import pandas as pd

from expectations.parameters import Parameters
from expectations.rule import Action, Scope, Suite, make_rule, schema_rule
from expectations.seller_frames import Form
from expectations.shipment_frame import SHIPMENT_COLUMNS

NAME = "shipments"
INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class Shipments(Parameters):
    quantity_limit: int = 100_000
    """Units in one row."""
    max_rows: int = 50_000
    unknown_share: float = 0.5
    unknown_rows: int = 10
    """The share of unknown orders is judged from so many rows on."""
    skew: timedelta = timedelta(minutes=10)
    """By which another clock may be ahead of ours."""


Frame = pd.DataFrame

_rule = partial(make_rule, NAME)


def _units(frame: Frame, _: Shipments) -> pd.Series:
    """A quantity that is not written as one is another rule's finding."""
    return frame["units"].fillna(INFINITE).mask(frame["form"] != Form.WHOLE.value, 1.0)


def _ahead(frame: Frame, told: Shipments) -> pd.Series:
    """Seconds by which it was sent in the future; what cannot be read counts as infinitely many."""
    return frame["ahead"].fillna(INFINITE)


def _unknown(frame: Frame, told: Shipments) -> pd.Series:
    if len(frame) < told.unknown_rows:
        return pd.Series(0.0, index=frame.index)
    return (~frame["order_known"]).astype("float64")


def _is(name: str) -> dict[str, object]:
    return {"column": name, "value_set": [True]}


ROW_RULES = (
    _rule(
        "SHP-001", "the row could be read whole",
        lambda frame, told: frame["readable"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("readable"), columns=("readable",),
    ),
    _rule(
        "SHP-002", "the channel is one of ours",
        lambda frame, told: frame["channel_known"] & frame["channel"].notna(),
        "ExpectColumnValuesToBeInSet", lambda told: _is("_channel_ours"), columns=("channel_known", "channel"),
        derive={"_channel_ours": lambda frame, told: frame["channel_known"] & frame["channel"].notna()},
    ),
    _rule(
        "SHP-003", "the ledger knows the order: pull the channel first, then post it again",
        lambda frame, told: frame["order_known"] & frame["order_id"].notna(),
        "ExpectColumnValuesToBeInSet", lambda told: _is("_order_ours"), columns=("order_known", "order_id"),
        derive={"_order_ours": lambda frame, told: frame["order_known"] & frame["order_id"].notna()},
    ),
    _rule(
        "SHP-004", "the SKU is in the catalogue",
        lambda frame, told: frame["sku_known"] & frame["sku"].notna(),
        "ExpectColumnValuesToBeInSet", lambda told: _is("_sku_ours"), columns=("sku_known", "sku"),
        derive={"_sku_ours": lambda frame, told: frame["sku_known"] & frame["sku"].notna()},
    ),
    _rule(
        "SHP-005", "the quantity is written in digits alone: no fraction, no thousands separator, no words",
        lambda frame, told: frame["form"] == Form.WHOLE.value,
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "_form", "value_set": [Form.WHOLE.value]},
        columns=("form", "quantity_raw"), derive={"_form": lambda frame, told: frame["form"].fillna("")},
    ),
    _rule(
        "SHP-006", "something was sent, and not more than a lorry takes: what came back goes to process_returns",
        lambda frame, told: (_units(frame, told) >= 1) & (_units(frame, told) <= told.quantity_limit),
        "ExpectColumnValuesToBeBetween",
        lambda told: {"column": "_units", "min_value": 1, "max_value": told.quantity_limit},
        columns=("units", "quantity_raw", "form"), derive={"_units": _units},
    ),
    _rule(
        "SHP-007", "the step is allocate or ship, and what is allocated says at which location",
        lambda frame, told: frame["step_known"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("step_known"), columns=("step_known",),
    ),
    _rule(
        "SHP-008", "the location is one of ours, or none is named",
        lambda frame, told: frame["location_known"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("location_known"), columns=("location_known",),
    ),
    _rule(
        "SHP-009", "the shipment has a name: without one nobody knows whether it was posted before",
        lambda frame, told: frame["shipment"].notna(),
        "ExpectColumnValuesToNotBeNull", lambda told: {"column": "shipment"}, columns=("shipment",),
    ),
    _rule(
        "SHP-010", "it was sent at a moment that can be read, not in the future, with its offset from UTC",
        lambda frame, told: _ahead(frame, told) <= told.skew.total_seconds(),
        "ExpectColumnValuesToBeBetween",
        lambda told: {"column": "_ahead", "max_value": told.skew.total_seconds()},
        columns=("ahead",), derive={"_ahead": _ahead},
    ),
    _rule(
        "SHP-011", "a SKU of an order comes once a shipment and location: of two rows nobody knows whether to add them",
        lambda frame, told: frame["once"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("once"), columns=("once", "shipment", "order_id", "sku"),
    ),
    _rule(
        "SHP-012", "this shipment has not said another quantity of it: name another shipment",
        lambda frame, told: frame["unchanged"],
        "ExpectColumnValuesToBeInSet", lambda told: _is("unchanged"), columns=("unchanged",),
    ),
)  # fmt: skip

BATCH_RULES = (
    schema_rule(NAME, "SHP-101", SHIPMENT_COLUMNS, lambda: DERIVED),
    _rule(
        "SHP-102", "the table is neither empty nor larger than any day's shipments",
        lambda frame, told: 1 <= len(frame) <= told.max_rows,
        "ExpectTableRowCountToBeBetween", lambda told: {"min_value": 1, "max_value": told.max_rows},
        columns=("row_key",), action=Action.BLOCK, scope=Scope.BATCH,
    ),
    _rule(
        "SHP-103", "most orders are ours: when more are not than the limit, the table is another shop's",
        lambda frame, told: bool(_unknown(frame, told).mean() <= told.unknown_share),
        "ExpectColumnMeanToBeBetween", lambda told: {"column": "_unknown", "max_value": told.unknown_share},
        columns=("order_known",), derive={"_unknown": _unknown}, action=Action.BLOCK, scope=Scope.BATCH,
    ),
)  # fmt: skip

DERIVED: tuple[str, ...] = tuple({name: None for rule in (*ROW_RULES, *BATCH_RULES) for name in rule.derive})

SUITE = Suite(NAME, SHIPMENT_COLUMNS, Shipments, (*ROW_RULES, *BATCH_RULES), schema_rule="SHP-101")
