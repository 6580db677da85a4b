"""An imitated shop that asks before it sells."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from adapters.sandbox.asking import Asking
from adapters.sandbox.shop import Shop

Say = Callable[[str, dict[str, Any]], httpx.Response]


class Counter:
    """Stands for the API: notes what it was asked, and answers as told."""

    def __init__(self, free: dict[str, int]) -> None:
        self.free = free
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.say: Say | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer token-of-the-shop"
        action, body = request.url.path.rpartition("/")[2], json.loads(request.content)
        self.calls.append((action, body))
        if self.say and (said := self.say(action, body)):
            return said
        if action != "reservations":
            return httpx.Response(200, json={"status": "committed"})
        lines = [
            {**line, "held": min(line["quantity"], self.free.get(line["listing_ref"], 0))} for line in body["lines"]
        ]
        if not any(line["held"] for line in lines):
            return httpx.Response(409, json={"type": "urn:onhand:refused"})
        return httpx.Response(201, json={"status": "held", "lines": lines})

    @property
    def actions(self) -> list[str]:
        return [action for action, _ in self.calls]


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.add_product("CUP", "cup", 9)
    shop.add_product("POT", "pot", 1)
    return shop


def asking(shop: Shop, free: dict[str, int]) -> Counter:
    """`free` by SKU."""
    counter = Counter({str(shop.product(sku).number): units for sku, units in free.items()})
    shop.ask = Asking("http://api", SecretStr("token-of-the-shop"), transport=httpx.MockTransport(counter))
    return counter


def test_what_was_held_is_sold_and_committed(shop: Shop) -> None:
    counter = asking(shop, {"CUP": 3, "POT": 5})
    done = shop.checkout([("CUP", 2), ("POT", 2), ("CUP", 2), ("HAT", 1)])
    assert done.order and done.asked_ms is not None
    assert [(line.sku, line.quantity) for line in done.order.lines] == [("CUP", 2), ("POT", 1), ("CUP", 1)]
    assert done.refused == [("POT", 1), ("CUP", 1), ("HAT", 1)]
    asked, committed = counter.calls
    cup, pot = (str(shop.product(sku).number) for sku in ("CUP", "POT"))
    assert asked[1]["lines"] == [{"listing_ref": cup, "quantity": 4}, {"listing_ref": pot, "quantity": 1}]
    assert done.order.hold == asked[1]["key"]
    assert committed == ("commit", {"order_id": str(done.order.number)})
    assert (shop.product("CUP").quantity, shop.product("POT").quantity) == (6, 0)
    assert shop.ask and shop.ask.counts == {"asked": 1, "held": 1, "committed": 1}


def test_what_is_not_shown_is_not_asked_for(shop: Shop) -> None:
    counter = asking(shop, {"POT": 5})
    shop.checkout([("POT", 1)])
    done = shop.checkout([("POT", 1)])
    assert (done.order, done.refused, done.asked_ms) == (None, [("POT", 1)], None)
    assert counter.actions == ["reservations", "commit"]


def test_nothing_held_is_nothing_sold(shop: Shop) -> None:
    asking(shop, {})
    done = shop.checkout([("CUP", 2)])
    assert (done.order, done.refused) == (None, [("CUP", 2)])
    assert shop.product("CUP").quantity == 9
    assert shop.ask and shop.ask.counts == {"asked": 1, "refused": 1}


def test_without_an_answer_it_asks_once_more_with_the_same_key_and_sells_nothing(shop: Shop) -> None:
    counter = asking(shop, {"CUP": 9})
    counter.say = lambda action, body: httpx.Response(503, headers={"retry-after": "1"})
    assert shop.checkout([("CUP", 2)]).order is None
    assert counter.calls[0] == counter.calls[1] and len(counter.calls) == 2
    assert shop.ask and shop.ask.counts == {"asked": 1, "unanswered": 1}
    assert not shop.orders


def test_an_answer_that_got_lost_is_asked_for_again(shop: Shop) -> None:
    counter = asking(shop, {"CUP": 9})

    def lose_the_first(action: str, body: dict[str, Any]) -> httpx.Response:
        if len(counter.calls) == 1:
            raise httpx.ReadTimeout("lost")
        return None  # type: ignore[return-value]

    counter.say = lose_the_first
    assert shop.checkout([("CUP", 2)]).order is not None
    assert counter.actions == ["reservations", "reservations", "commit"]


def test_a_sale_whose_commit_got_lost_is_a_sale(shop: Shop) -> None:
    counter = asking(shop, {"CUP": 9})
    counter.say = lambda action, body: httpx.Response(500) if action == "commit" else None  # type: ignore[return-value]
    done = shop.checkout([("CUP", 2)])
    assert done.order and done.order.hold
    assert shop.ask and shop.ask.counts == {"asked": 1, "held": 1, "uncommitted": 1}


def test_what_cannot_be_sold_any_more_is_released(shop: Shop) -> None:
    counter = asking(shop, {"CUP": 9})

    def close(action: str, body: dict[str, Any]) -> httpx.Response:
        shop.closed = True
        return None  # type: ignore[return-value]

    counter.say = close
    assert shop.checkout([("CUP", 2)]).order is None
    assert counter.actions == ["reservations", "release"]
    assert shop.ask and shop.ask.counts == {"asked": 1, "held": 1, "released": 1}
