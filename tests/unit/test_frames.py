"""Frames from any input: nothing raises, nothing is lost, everything unreadable fails a rule under its own key."""

import json
import math
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from gate_samples import KNOWN, NOW, document, line, orders, orders_told, push_told, reversal, row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.frames import ORDER_COLUMNS, PUSH_COLUMNS, orders_frame, push_frame
from expectations.gate import masks, recheck
from expectations.rule import has_schema
from expectations.verdict import Status

UTC_TEXT = NOW.isoformat()

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["L1", "O1", "ref-1", "SKU-1", "\x00", "\ud800", UTC_TEXT, "9999-12-31T23:59:59-12:00", "2026-11-20"]
    )
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def likely(keys: list[str], nested: dict[str, Any] | None = None) -> st.SearchStrategy[Any]:
    """A mapping with the right keys, any of them absent, and any values."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, anything) | (nested or {})) | anything


lines = likely(["line_id", "listing_ref", "sku", "quantity"])
reversals = likely(["reversal_id", "line_id", "quantity", "kind", "reason", "restocked", "occurred_at"])
documents = likely(
    ["order_id", "placed_at", "updated_at", "cancelled", "test"],
    {"lines": st.lists(lines, max_size=3) | anything, "reversals": st.lists(reversals, max_size=3) | anything},
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(documents, max_size=4))
def test_no_document_breaks_the_frame_and_none_gets_lost(given_documents: list[Any]) -> None:
    frame = orders(given_documents)
    assert has_schema(frame, ORDER_COLUMNS)
    assert frame["row_key"].notna().all()
    assert frame["quantity_raw"].str.len().le(80).all()
    seen = {json.dumps(each, sort_keys=True) for each in given_documents}
    for position, each in enumerate(given_documents):
        empty = isinstance(each, dict) and each.get("lines") == [] and each.get("reversals") == []
        if not empty and len(seen) == len(given_documents):
            assert (frame["document"] == position).any()
    if not frame.empty:
        holds = masks("orders_pulled", frame, orders_told())
        assert not holds.loc[~frame["document_ok"], "ORD-001"].any()
        recheck("orders_pulled", frame, orders_told()).to_dict()


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(likely(list(PUSH_COLUMNS)), max_size=5))
def test_no_row_breaks_the_push_frame(rows: list[Any]) -> None:
    frame = push_frame(rows)
    assert has_schema(frame, PUSH_COLUMNS) and len(frame) == len(rows)
    if rows:
        recheck("outgoing_push", frame, push_told()).to_dict()


@pytest.mark.parametrize(
    "garbage", [None, 7, "x", [], {}, {"lines": {}}, {"order_id": "O1", "lines": "abc"}, [[[]]]], ids=str
)
def test_an_unreadable_document_is_one_row_that_fails_under_its_key(garbage: Any) -> None:
    frame = orders([document(1), garbage])
    assert frame["row_key"].tolist()[0] == "shop/O1/line/L1"
    assert frame["row_key"].tolist()[1] in ("shop/document[1]", "shop/O1")
    assert frame["document"].tolist() == [0, 1]
    verdict = recheck("orders_pulled", frame, orders_told())
    assert list(verdict.failed_rows) == [1] and "ORD-001" in verdict.failed_rows[1]


@pytest.mark.parametrize("entry", [None, 7, "x", [], {}], ids=str)
def test_an_unreadable_line_fails_alone(entry: Any) -> None:
    frame = orders([document(1, lines=[line(1), entry], reversals=[reversal(), entry])])
    assert frame["row_key"].tolist() == [
        "shop/O1/line/L1", "shop/O1/line[1]", "shop/O1/reversal/R1", "shop/O1/reversal[1]",
    ]  # fmt: skip
    assert list(recheck("orders_pulled", frame, orders_told()).failed_rows) == [1, 3]


@pytest.mark.parametrize("name", ["order_id", "cancelled", "test", "lines", "reversals", "placed_at", "updated_at"])
def test_a_missing_field_of_the_header_is_noticed(name: str) -> None:
    broken = document(1)
    del broken[name]
    verdict = recheck("orders_pulled", orders([broken, document(2)]), orders_told())
    assert verdict.status is Status.PARTIAL and list(verdict.failed_rows) == [0]


def test_an_order_without_lines_has_no_rows() -> None:
    assert orders([document(1, lines=[]), document(2)])["document"].tolist() == [1]
    assert has_schema(orders([]), ORDER_COLUMNS) and has_schema(push_frame([]), PUSH_COLUMNS)


@pytest.mark.parametrize(
    "value", [True, False, "3", 2.5, 3.0, 1e30, 10**30, 10**5000, None, [3], {"q": 3}, math.nan], ids=type
)
def test_what_is_no_json_integer_is_no_quantity(value: Any) -> None:
    frame = orders([document(1, lines=[line(quantity=value)])])
    assert math.isnan(frame.loc[0, "quantity"])
    assert recheck("orders_pulled", frame, orders_told()).failed_rows == {0: ["ORD-005", "ORD-006"]}


@pytest.mark.parametrize("value", [1, 80_995, 0, -4, 10**9])
def test_a_json_integer_is_kept_exactly(value: int) -> None:
    frame = orders([document(1, lines=[line(quantity=value)])])
    assert (frame.loc[0, "quantity"], frame.loc[0, "quantity_raw"]) == (value, str(value))


def test_the_raw_quantity_is_short_and_ascii() -> None:
    shown = orders([document(1, lines=[line(quantity="\ud800ü" * 200)])]).loc[0, "quantity_raw"]
    assert len(shown) == 80 and shown.isascii()


@pytest.mark.parametrize("given_text", ["a\x00b", "\ud800", "", "  ", "x" * 256, 7, None, ["a"]], ids=ascii)
def test_an_id_that_a_database_cannot_hold_is_no_id(given_text: Any) -> None:
    frame = orders([document(1, order_id=given_text), document(2, lines=[line(line_id=given_text)])])
    verdict = recheck("orders_pulled", frame, orders_told())
    assert verdict.failed_rows == {0: ["ORD-001", "ORD-002"], 1: ["ORD-003"]}


@pytest.mark.parametrize(
    "value",
    ["2026-11-20T10:00:00", "yesterday", "2026-11-20", "", None, 1_790_000_000, True, "9999-12-31T23:59:59-05:00"],
)
def test_what_is_no_instant_is_not_a_time(value: Any) -> None:
    frame = orders([document(1, placed_at=value, updated_at=value)])
    assert frame["placed_at"].isna().all() and frame["updated_at"].isna().all()
    assert recheck("orders_pulled", frame, orders_told()).failed_rows == {0: ["ORD-008", "ORD-009"]}


def test_instants_come_to_utc() -> None:
    frame = orders([document(1, placed_at="2026-11-20T19:00:00+09:00", updated_at="2026-11-20T10:30:00Z")])
    assert frame.loc[0, "placed_at"] == pd.Timestamp("2026-11-20T10:00:00Z")
    assert frame.loc[0, "occurred_at"] == frame.loc[0, "placed_at"]
    assert str(frame["updated_at"].dtype) == "datetime64[us, UTC]"


def test_the_sku_is_ours_where_the_listing_is_known() -> None:
    frame = orders(
        [
            document(1, lines=[
                line(1, listing_ref="ref-2", sku="their name"),
                line(2, listing_ref="unknown", sku="SKU-1"),
                line(3, listing_ref=None, sku="SHIPPING"),
                line(4, listing_ref=None, sku=None),
            ])
        ]
    )  # fmt: skip
    assert frame["sku"].tolist() == ["SKU-2", "SKU-1", "SHIPPING", None]
    assert frame["mapped"].tolist() == [True, False, True, False]


def test_a_reversal_takes_after_its_line() -> None:
    frame = orders(
        [
            document(1, lines=[line(1), line(2, listing_ref="unknown")],
                     reversals=[reversal(n, line_id=each) for n, each in enumerate(("L1", "L2", "L9", None))])
        ]
    )  # fmt: skip
    back = frame[frame["kind"] == "reversal"]
    assert back["mapped"].tolist() == [True, False, True, True]
    assert back["line_known"].tolist() == [True, True, False, False]
    assert back["sku"].tolist() == ["SKU-1", "SKU-1", None, None]


@pytest.mark.parametrize(
    "changes", [{"kind": "gift"}, {"reason": None}, {"restocked": "yes"}, {"kind": ["refund"]}], ids=str
)
def test_a_reversal_in_unknown_words_fails(changes: dict[str, Any]) -> None:
    frame = orders([document(1, reversals=[reversal(**changes)])])
    assert recheck("orders_pulled", frame, orders_told()).failed_rows == {1: ["ORD-012"]}


def test_the_same_document_again_has_no_rows() -> None:
    again = dict(reversed(document(1).items()))
    assert orders([document(1), again, document(2), document(1)])["document"].tolist() == [0, 2]


def test_an_order_that_changed_between_two_pages_is_no_contradiction() -> None:
    later = document(1, updated_at=UTC_TEXT, reversals=[reversal()])
    frame = orders([document(1), later])
    assert len(frame) == 3 and not frame["duplicate"].any()


def test_one_line_with_two_contents_marks_both() -> None:
    frame = orders([document(1), document(1, lines=[line(quantity=3), line(2)]), document(2)])
    assert frame["duplicate"].tolist() == [True, True, False, False]


def test_one_reversal_with_two_contents_marks_both() -> None:
    frame = orders([document(1, reversals=[reversal()]), document(1, reversals=[reversal(quantity=2)])])
    assert frame["duplicate"].tolist() == [False, True, False, True]


def test_a_line_twice_in_one_document_marks_both() -> None:
    assert orders([document(1, lines=[line(1), line(1), line(2)])])["duplicate"].tolist() == [True, True, False]


def test_the_same_line_number_in_two_orders_is_no_duplicate() -> None:
    assert not orders([document(1), document(2)])["duplicate"].any()


def test_a_deeply_nested_document_is_read_too() -> None:
    nested: Any = 1
    for _ in range(5000):
        nested = [nested]
    frame = orders([document(1, lines=nested), document(2, lines=[line(quantity=nested)]), document(2)])
    assert len(frame) == 3 + len(nested) - 1


def test_a_mapping_that_is_only_read() -> None:
    frame = orders_frame("shop", (document(1),), known_refs=dict(KNOWN), non_stock=(), now=NOW)
    assert frame["mapped"].all()


@pytest.mark.parametrize("value", [5, np.int64(5), 5.0, np.float64(5), Decimal(5), Decimal("5.0")], ids=type)
def test_our_own_numbers_come_in_several_types(value: Any) -> None:
    assert push_frame([row(quantity=value)]).loc[0, "quantity"] == 5


@pytest.mark.parametrize(
    "value", ["5", True, np.True_, 5.5, Decimal("5.5"), Decimal("NaN"), math.inf, 10**16, 1e30, None, [5]], ids=str
)
def test_what_is_no_whole_number_is_unknown(value: Any) -> None:
    assert math.isnan(push_frame([row(quantity=value)]).loc[0, "quantity"])


def test_no_cap_is_no_cap_but_an_unreadable_one_stops_everything() -> None:
    frame = push_frame([row(0), row(1, cap=math.nan), row(2, cap=5), row(3, cap="none"), row(4, cap=5.5)])
    assert frame["cap"].tolist()[2:] == [5, -math.inf, -math.inf]
    assert recheck("outgoing_push", frame, push_told()).failed_rows == {3: ["PSH-006"], 4: ["PSH-006"]}


def test_only_true_is_true() -> None:
    frame = push_frame([row(0, tracked="yes"), row(1, tracked=1), row(2, tracked=np.True_), row(3, tracked=None)])
    assert frame["tracked"].tolist() == [False, False, True, False]


def test_times_of_rows_may_be_stamps_or_text() -> None:
    moments: list[Any] = [NOW, pd.Timestamp(NOW), UTC_TEXT, datetime(2026, 11, 20), pd.NaT, None]  # noqa: DTZ001
    known = push_frame([row(number, computed_at=moment) for number, moment in enumerate(moments)])["computed_at"]
    assert known.notna().tolist() == [True, True, True, False, False, False]
    assert (known.dropna() - NOW).abs().max() == timedelta(0)
