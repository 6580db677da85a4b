"""Orders and reversals from the sandbox shop through the Shopify adapter, over real HTTP on loopback."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from shopify_stage import DAWN, Place, Stage, served

from adapters.channels.protocol import Channel
from adapters.channels.shopify.shopify import Shopify


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served() as place:
        yield place


@pytest.fixture
def stage(place: Place) -> Iterator[Stage]:
    with place.stage(orders_per_page=3, lines_per_page=2, lines_per_call=50) as built:
        yield built


def is_a_channel(channel: Shopify) -> Channel:
    """Checked by mypy: the class fits the protocol."""
    return channel


# Orders


def test_an_order_has_all_keys_and_what_was_sold(stage: Stage) -> None:
    order = stage.buy(("A", 2), ("B", 1))
    assert stage.only() == {
        "order_id": f"gid://shopify/Order/{order.number}",
        "placed_at": "2026-11-20T06:00:01Z",
        "updated_at": "2026-11-20T06:00:01Z",
        "cancelled": False,
        "test": False,
        "lines": [
            {
                "line_id": f"gid://shopify/LineItem/{line.number}",
                "listing_ref": stage.ref(line.sku),
                "sku": line.sku,
                "quantity": line.quantity,
            }
            for line in order.lines
        ],
        "reversals": [],
    }


def test_incremental_pull_reads_from_the_whole_second_on(stage: Stage) -> None:
    for _ in range(5):
        stage.buy(("A", 1))
    since = DAWN + timedelta(seconds=3, microseconds=900_000)
    assert [order["placed_at"][-3:] for order in stage.pull(since)] == ["03Z", "04Z", "05Z"]
    assert stage.pull(since.astimezone(UTC) + timedelta(seconds=10)) == []
    with pytest.raises(ValueError, match="time zone"):
        stage.pull(datetime(2026, 11, 20))  # noqa: DTZ001


def test_an_order_of_1112_lines_is_read_whole(place: Place) -> None:
    with place.stage() as stage:
        for number in range(1112):
            stage.shop.add_product(f"W{number}", "wholesale", 5)
        order = stage.buy(*((f"W{number}", 1 + number % 5) for number in range(1112)))
        document = stage.only()
        assert [line["quantity"] for line in document["lines"]] == [line.quantity for line in order.lines]
        assert len({line["line_id"] for line in document["lines"]}) == 1112
        stage.shop.cancel(order.number, reason="inventory", restock=False)
        document = stage.only()
        assert len(document["reversals"]) == 1112
        assert sum(reversal["quantity"] for reversal in document["reversals"]) == sum(x.quantity for x in order.lines)


# Reversals


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("inventory", "inventory"),
        ("customer", "customer"),
        ("fraud", "fraud"),
        ("payment", "payment"),
        ("damaged", "other"),
        ("other", "other"),
    ],
)
def test_a_cancelled_order_says_why_and_what_was_put_back(stage: Stage, reason: str, told: str) -> None:
    order = stage.buy(("A", 3))
    stage.clock.seconds += 5
    stage.shop.cancel(order.number, reason=reason, restock=reason == "customer")
    document = stage.only()
    (reversal,) = document["reversals"]
    assert document["cancelled"] is True
    assert (reversal["quantity"], reversal["kind"], reversal["reason"]) == (3, "cancellation", told)
    assert reversal["restocked"] is (reason == "customer")
    assert reversal["occurred_at"] == "2026-11-20T06:00:06Z"
    assert reversal["line_id"] == document["lines"][0]["line_id"]
    assert document["lines"][0]["quantity"] == 3


def test_refunds_returns_and_removals_have_stable_ids(stage: Stage) -> None:
    order = stage.buy(("A", 10), ("B", 4))
    a, b = (line.number for line in order.lines)
    stage.shop.cancel(order.number, [(a, 2)], restock=False)
    stage.shop.cancel(order.number, [(a, 1)], restock=True, how="return")
    stage.shop.cancel(order.number, [(b, 1)], restock=True)
    stage.shop.cancel(order.number, [(a, 2)], how="remove")
    first = stage.only()["reversals"]
    kinds = [(reversal["kind"], reversal["quantity"], reversal["restocked"]) for reversal in first]
    assert kinds == [
        ("refund", 2, False),
        ("return", 1, True),
        ("cancellation", 1, True),
        ("cancellation", 1, None),
        ("cancellation", 1, None),
    ]
    stage.shop.cancel(order.number, [(a, 1)], how="remove")
    second = {reversal["reversal_id"]: reversal for reversal in stage.only()["reversals"]}
    assert len(second) == len(first) + 1
    assert {reversal["reversal_id"] for reversal in first} < set(second)
    assert sum(reversal["quantity"] for reversal in second.values()) == sum(line.reversed for line in order.lines)


def test_units_of_an_order_cancelled_without_a_refund_are_reversed_once(stage: Stage) -> None:
    order = stage.buy(("A", 3))
    stage.shop.cancel(order.number, [(order.lines[0].number, 1)], how="remove")
    before = {reversal["reversal_id"] for reversal in stage.only()["reversals"]}
    stage.shop.cancel(order.number, how="remove", reason="payment")
    document = stage.only()
    assert document["cancelled"] is True
    assert len(document["reversals"]) == 3
    assert before < {reversal["reversal_id"] for reversal in document["reversals"]}
    assert {reversal["reason"] for reversal in document["reversals"]} == {"payment"}


def test_more_refunds_and_refund_lines_than_a_page_holds(stage: Stage) -> None:
    order = stage.buy(*[("A", 8)] * 60)
    for line in order.lines[:7]:
        stage.shop.cancel(order.number, [(line.number, 1)])
    stage.shop.cancel(order.number, reason="customer")
    reversals = stage.only()["reversals"]
    assert sum(reversal["quantity"] for reversal in reversals) == 480
    assert len({reversal["reversal_id"] for reversal in reversals}) == 67


def test_a_refund_between_two_pages_of_lines_is_not_counted_twice(stage: Stage, monkeypatch: Any) -> None:
    order = stage.buy(*[("A", 2)] * 5)
    run = stage.channel._client.run

    def run_and_refund(operation: Any, variables: Any) -> Any:
        if operation.name == "OrderLines":
            stage.shop.cancel(order.number, [(order.lines[-1].number, 1)])
        return run(operation, variables)

    monkeypatch.setattr(stage.channel._client, "run", run_and_refund)
    reversals = stage.only()["reversals"]
    assert [":gone:" in reversal["reversal_id"] for reversal in reversals] == [False]
