"""From a channel's order to ours by description alone, and what is told of a sample that does not fit."""

import json
from typing import Any

import pytest
from declared_stage import described, order
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.channels.declared.declared_mapping import translate_order
from adapters.channels.declared.declared_trial import try_mapping
from adapters.channels.declared.declared_values import UntranslatableError, Value, parse_moment, whole, write_moment
from adapters.channels.protocol import OrderDocument
from inventory.words import ReversalKind, ReversalReason

FIELDS: dict[str, Any] = described().model_dump()["orders"]["fields"]
PLAIN_FIELDS: dict[str, Any] = {
    "order_id": "id",
    "placed_at": "placed",
    "updated_at": "changed",
    "status": "state",
    "lines": "lines",
    "line": {"line_id": "id", "listing_ref": "ref", "sku": "sku", "quantity": "units"},
}


def translated(row: Any, line: dict[str, Any] | None = None, **changes: Any) -> OrderDocument | None:
    fields = {**PLAIN_FIELDS, "line": {**PLAIN_FIELDS["line"], **(line or {})}, **changes.pop("fields", {})}
    return translate_order(described(orders={"fields": fields, **changes}).orders, row)


def row(**changes: Any) -> dict[str, Any]:
    return {**order(7), "state": "new", **changes}


def one_line(**changes: Any) -> list[dict[str, Any]]:
    return [{"id": 1, "ref": "A", "sku": "SKU", "units": 5, **changes}]


def reversals(document: OrderDocument | None) -> list[tuple[Any, ...]]:
    assert document is not None
    names = ("reversal_id", "line_id", "quantity", "kind", "reason", "restocked")
    return [tuple(one[name] for name in names) for one in document["reversals"]]


def test_an_order_with_all_its_keys() -> None:
    document = translated(row(state="new", buyer={"name": "Wilhelmina"}, note="ring twice"))
    assert document == {
        "order_id": "7",
        "placed_at": "2026-11-20T10:00:00+00:00",
        "updated_at": "2026-11-20T11:00:00+00:00",
        "cancelled": False,
        "test": False,
        "lines": [{"line_id": "1", "listing_ref": "A", "sku": "SKU", "quantity": 1}],
        "reversals": [],
    }


def test_a_hold_a_test_and_an_order_that_is_no_sale_yet() -> None:
    fields = {"hold": "key", "test": "demo"}
    document = translated(row(key="h-1", demo=True), fields=fields)
    assert document and (document["hold"], document["test"]) == ("h-1", True)
    assert "hold" not in (translated(row(key=None, demo=False), fields=fields) or {})
    assert translated(row(state="draft"), statuses={"ignored": ["draft"]}) is None


@pytest.mark.parametrize(
    ("line", "values", "ordered", "gone"),
    [
        ({"left": "open"}, {"units": 5, "open": 3}, 5, 2),
        ({"left": "open"}, {"units": 5, "open": 5}, 5, 0),
        ({"left": "open"}, {"units": 5, "open": 9}, 5, 0),
        ({"left": "open"}, {"units": 5, "open": None}, 5, 0),
        ({"left": "open"}, {"units": 5, "open": "many"}, 5, 0),
        ({"gone": "lost"}, {"units": 5, "lost": 2}, 5, 2),
        ({"gone": "lost"}, {"units": 5, "lost": 50}, 5, 5),
        ({"gone": "lost", "quantity_is": "left"}, {"units": 3, "lost": 2}, 5, 2),
        ({"gone": "lost", "quantity_is": "left"}, {"units": 3, "lost": None}, 3, 0),
        ({}, {"units": 3}, 3, 0),
    ],
)
def test_units_that_vanish_from_a_line(line: dict[str, Any], values: dict[str, Any], ordered: int, gone: int) -> None:
    document = translated(row(lines=one_line(**values)), line)
    assert document and document["lines"][0]["quantity"] == ordered
    expected = [(f"1:gone:{unit}", "1", 1, "cancellation", "other", None) for unit in range(1, gone + 1)]
    assert reversals(document) == expected


def test_ids_of_vanished_units_stay_as_more_vanish_and_as_the_order_is_closed() -> None:
    statuses = {"closed": {"off": {"reason": {"constant": "customer"}, "restocked": {"constant": True}}}}
    seen: dict[str, int] = {}
    for state, left in [("new", 5), ("new", 4), ("new", 2), ("off", 2), ("off", 0)]:
        document = translated(row(state=state, lines=one_line(open=left)), {"left": "open"}, statuses=statuses)
        assert document and document["cancelled"] is (state == "off")
        now = {one["reversal_id"]: one["quantity"] for one in document["reversals"]}
        if (state, left) != ("off", 0):
            assert now.items() >= seen.items(), "what was told stays"
            seen = now
        assert sum(now.values()) == (5 - left if state == "new" else 5)
    assert set(seen) == {"1:gone:1", "1:gone:2", "1:gone:3", "1:closed"}


LISTED = {
    "records": "changes",
    "items": "lines",
    "fields": {
        "reversal_id": {"join": ["reversal.id", "item.line"], "separator": "/"},
        "line_id": "item.line",
        "quantity": "item.units",
        "kind": {"path": "reversal.kind", "words": {"cancel": "cancellation", "rma": "return"}},
        "reason": {"path": "reversal.why", "words": {"lost": "inventory"}},
        "restocked": {"path": "reversal.back", "words": {"yes": True, "no": False}},
        "occurred_at": {"path": "reversal.at", "date_format": "%d.%m.%Y", "zone": "Europe/Berlin"},
    },
}


def change(**changes: Any) -> dict[str, Any]:
    lines = [{"line": 1, "units": 2}]
    return {"id": "c1", "kind": "cancel", "why": "lost", "back": "no", "at": "20.11.2026", "lines": lines, **changes}


def test_listed_reversals_and_what_the_closing_of_the_order_leaves() -> None:
    statuses = {"closed": {"off": {"reason": {"path": "why", "words": {"unpaid": "payment"}, "otherwise": "other"}}}}
    given = row(lines=one_line(), changes=[change(), change(id="c2", kind="rma", back="yes", why="She was sad")])
    document = translated(given, reversals=LISTED)
    assert reversals(document) == [
        ("c1/1", "1", 2, "cancellation", "inventory", False),
        ("c2/1", "1", 2, "return", "other", True),
    ]
    assert document and document["reversals"][0]["occurred_at"] == "2026-11-20T00:00:00+01:00"
    closed = translated({**given, "state": "off", "why": "unpaid"}, reversals=LISTED, statuses=statuses)
    assert reversals(closed)[2:] == [("1:closed", "1", 1, "cancellation", "payment", None)]


def test_reversals_below_each_line_and_negative_numbers() -> None:
    below = {
        "of": "line",
        "records": "returns",
        "fields": {
            "reversal_id": "reversal.id",
            "line_id": "line.id",
            "quantity": "reversal.units",
            "kind": {"constant": "return"},
            "occurred_at": "order.changed",
        },
    }
    given = row(lines=[*one_line(returns=[{"id": "r1", "units": -2}, {"id": "r2", "units": 0}]), *one_line(id=2)])
    assert reversals(translated(given, reversals=below)) == [("r1", "1", 2, "return", "other", None)]


def test_a_flag_cancels_where_no_status_does() -> None:
    fields = {"status": None, "cancelled": "void", "cancel_restocked": "back"}
    given = row(lines=one_line(), void=True, back=False)
    assert reversals(translated(given, fields=fields)) == [("1:closed", "1", 5, "cancellation", "other", False)]
    assert reversals(translated({**given, "void": "maybe"}, fields=fields)) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "the order is a list"),
        ("x", "the order is a str"),
        (row(id=None), "the order's id at id is nothing"),
        (row(id={"name": "Wilhelmina"}), "a object stands at id"),
        (row(id="x" * 501), "a long text stands at id"),
        (row(state=None), "the status at state is nothing"),
        (row(lines=None), "at lines is nothing"),
        (row(lines="none"), "at lines is a str"),
        (row(lines=[1]), "at lines is a list"),
        (row(lines=one_line(units=["Wilhelmina"])), "a list stands at units"),
        (row(changed=["Wilhelmina"]), "a list stands at changed"),
        (row(changes="Wilhelmina"), "at changes is a str"),
        (row(changes=[change(kind="gift")]), "what kind of reversal reversal.kind means is not described"),
        (row(changes=[change(lines=None)]), "at lines is nothing"),
    ],
)
def test_a_shape_that_cannot_be_translated(given: Any, told: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        translated(given, reversals=LISTED)
    assert told in str(caught.value)
    assert "Wilhelmina" not in str(caught.value)


def test_strange_values_are_passed_on_for_the_gate_to_judge() -> None:
    document = translated(row(placed="yesterday", changed=17, lines=one_line(units="a few", ref=None)))
    assert document and (document["placed_at"], document["updated_at"]) == ("yesterday", 17)
    assert document["lines"][0] == {"line_id": "1", "listing_ref": None, "sku": "SKU", "quantity": "a few"}
    huge = translated(row(lines=one_line(units=10**400)))
    assert huge and huge["lines"][0]["quantity"] == 10**400
    with pytest.raises(UntranslatableError, match="more than 10000 units"):
        translated(row(lines=one_line(units=10**9, open=0)), {"left": "open"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "line", "units"]), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(where=st.sampled_from(["id", "placed", "changed", "state", "lines", "changes"]), value=json_values)
def test_no_value_anywhere_breaks_more_than_its_own_order(where: str, value: Any) -> None:
    try:
        document = translated(row(changes=[change()], **{}) | {where: value}, reversals=LISTED)
    except UntranslatableError:
        return
    if document is not None:
        assert not [one for one in document["reversals"] if one["kind"] not in list(ReversalKind)]
        assert not [one for one in document["reversals"] if one["reason"] not in list(ReversalReason)]
        values = [document[name] for name in ("order_id", "placed_at", "updated_at")]
        assert not [one for one in values if isinstance(one, list | dict)]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"path": "n", "as": "integer"}, 3),
        ({"path": "text", "as": "integer"}, 12),
        ({"path": "float", "as": "integer"}, 4),
        ({"path": "word", "as": "integer"}, "none"),
        ({"path": "n", "as": "text"}, "3"),
        ({"path": "float", "as": "text"}, "4"),
        ({"path": "yes", "as": "text"}, True),
        ({"path": "word", "as": "boolean"}, "none"),
        ({"path": "one", "as": "boolean"}, True),
        ({"path": "yes", "words": {"true": "shown"}}, "shown"),
        ({"path": "nothing", "words": {"null": "empty"}}, "empty"),
        ({"path": "word", "words": {"a": "b"}}, "none"),
        ({"path": "word", "words": {"a": "b"}, "otherwise": "c"}, "c"),
        ({"path": "nothing", "otherwise": 0}, 0),
        ({"join": ["n", "text"], "separator": "-"}, "3-12"),
        ({"join": ["n", "nothing"]}, None),
        ({"constant": 5}, 5),
        ({"path": "epoch", "as": "datetime", "date_format": "epoch_ms"}, "2026-11-20T12:00:00+00:00"),
        ({"path": "epoch", "as": "datetime", "date_format": "epoch_s"}, 1795176000000),
        ({"path": "inf", "as": "datetime", "date_format": "epoch_s"}, float("inf")),
        ("a.b[0]", None),
        ("list[?x=='1'].y | [0]", "z"),
        ("!yes", False),
    ],
)
def test_conversions(value: Any, found: Any) -> None:
    answer = {
        "n": 3, "text": "12", "float": 4.0, "word": "none", "yes": True, "one": 1, "nothing": None,
        "epoch": 1795176000000, "inf": float("inf"), "list": [{"x": "1", "y": "z"}],
    }  # fmt: skip
    assert Value.model_validate(value).of(answer) == found


def test_whole_numbers_and_dates() -> None:
    assert [whole(one) for one in (3, 3.0, "3", "-3", "3.00", " 7 ")] == [3, 3, 3, -3, 3, 7]
    strange = (3.5, "3.5", True, None, "", "x", "1e3", float("nan"), float("inf"), [], "9" * 30, "٣", "+-3", "--1")
    assert [whole(one) for one in strange] == [None] * len(strange)
    for date_format in ("iso", "epoch_ms", "%Y-%m-%d %H:%M:%S"):
        moment = parse_moment("2026-11-20T12:00:00Z", "iso")
        assert moment and parse_moment(write_moment(moment, date_format), date_format) == moment
    assert parse_moment("2026-11-20T12:00:00", "iso", "Europe/Berlin").isoformat() == "2026-11-20T12:00:00+01:00"  # type: ignore[union-attr]
    assert [parse_moment(one, "iso") for one in (None, 5, "x", [], "2026-13-01")] == [None] * 5
    assert [parse_moment(one, "epoch_s") for one in (None, True, "x", 10**400, [])] == [None] * 5


def test_a_path_that_does_not_fit_the_answer_says_so_without_the_value() -> None:
    with pytest.raises(UntranslatableError, match=r"the path length\(a\) does not fit the answer") as caught:
        Value.model_validate("length(a)").of({"a": 5})
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_a_trial_on_a_saved_answer() -> None:
    config = described(orders={"statuses": {"known": ["new"], "ignored": ["draft"]}, "fields": PLAIN_FIELDS})
    whole_page = {"orders": [row(), row(id=8, state="odd"), row(id=9, state="draft"), row(id=None)]}
    trial = try_mapping(config, whole_page)
    assert [one["order_id"] for one in trial.orders] == ["7", "8"]
    assert trial.problems == [
        "order 8: the status 'odd' is none of orders.statuses; it counts as a sale",
        "order in row 3: the order's id at id is nothing",
    ]
    assert try_mapping(config, row()).orders == trial.orders[:1], "one order alone"
    assert "there is no list at orders" in try_mapping(config, {"data": []}).problems[0]
    assert "is empty" in try_mapping(config, {"orders": []}).problems[0]
    for nonsense in (None, 5, "x", [], [[]], {"orders": 5}):
        assert try_mapping(config, nonsense).problems


def test_a_trial_tells_what_the_gate_would_hold_back() -> None:
    config = described(orders={"fields": PLAIN_FIELDS, "reversals": LISTED})
    strange = [change(back="?"), change(lines=[{"line": 5, "units": 1}])]
    given = row(placed="soon", lines=one_line(units=-1, ref=None), changes=strange)
    problems = try_mapping(config, json.loads(json.dumps(given))).problems
    text = "\n".join(problems)
    for told in (
        "placed_at is no date with an offset",
        "line 0 has no line_id or no listing_ref",
        "line 0: quantity is no number of units",
        "reversal c1/1: restocked is neither true nor false",
        "reversal c1/5: is of no line of the order",
    ):
        assert told in text
