"""The Shopify adapter when the wire or the vendor says no, and the demands of the sandbox itself."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from shopify_stage import LOCATION_ID, TOKEN, Place, Stage, served, statuses

from adapters.channels.protocol import Change
from adapters.channels.shopify.shopify import Shopify
from adapters.channels.shopify.shopify_client import MAX_WAIT_S
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.faults import FaultKind


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served() as place:
        yield place


@pytest.fixture
def stage(place: Place) -> Iterator[Stage]:
    with place.stage(orders_per_page=3, lines_per_page=2, lines_per_call=50) as built:
        yield built


# Faults of the wire


def test_a_shop_that_is_not_there_was_certainly_not_written() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    channel = Shopify(
        "shop", base_url=f"http://127.0.0.1:{port}", access_token=SecretStr(TOKEN), location_id=LOCATION_ID
    )
    with pytest.raises(ChannelFault) as caught:
        channel.set_quantities([Change("i1", 1, 1)], "k")
    channel.close()
    assert caught.value.resolution is Resolution.RETRY


# Throttling


def test_a_throttled_call_waits_and_is_sent_again(stage: Stage) -> None:
    stage.fault(FaultKind.THROTTLE, times=1)
    assert statuses(stage.channel.set_quantities([Change(stage.ref("A"), 7, 1000)], "k1")) == ["done"]
    assert stage.shop.calls["write"] == 2
    assert len(stage.clock.slept) == 1


def test_waits_before_it_is_throttled(place: Place) -> None:
    """Twice the bucket's content is asked for; only the first call can come too early."""
    with place.stage(restore_rate=100.0, maximum=1000.0) as stage:
        for _ in range(30):
            stage.buy(("A", 1))
        for _ in range(20):
            assert len(stage.pull()) == 30
        assert stage.shop.calls["orders"] == 40
        assert sum(stage.clock.slept) > 5
        assert max(stage.clock.slept) <= 10


def test_gives_up_waiting_in_the_end(stage: Stage) -> None:
    stage.fault(FaultKind.THROTTLE)
    with pytest.raises(ChannelFault) as caught:
        stage.channel.set_quantities([Change(stage.ref("A"), 7, 1000)], "k1")
    assert caught.value.resolution is Resolution.RATE_LIMITED
    assert caught.value.retry_after is not None
    assert sum(stage.clock.slept) <= MAX_WAIT_S
    assert stage.quantity("A") == 1000


# What the vendor demands and its schema does not tell


def raw(stage: Stage, text: str, variables: Any) -> Any:
    answer = httpx.post(
        f"{stage.url}/admin/api/2026-10/graphql.json",
        json={"query": text, "variables": variables},
        headers={"x-shopify-access-token": TOKEN},
        timeout=60,
        trust_env=False,
    )
    assert answer.status_code == 200
    return answer.json()


def test_the_sandbox_demands_what_the_vendor_demands(stage: Stage) -> None:
    text = "mutation($i: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $i) %s { userErrors { code } } }"
    row = {"inventoryItemId": stage.ref("A"), "locationId": LOCATION_ID, "quantity": 1}
    given: dict[str, Any] = {"name": "available", "reason": "correction", "quantities": [row]}
    assert "changeFromQuantity" in raw(stage, text % '@idempotent(key: "k1")', {"i": given})["errors"][0]["message"]
    row["changeFromQuantity"] = None
    assert "@idempotent" in raw(stage, text % "", {"i": given})["errors"][0]["message"]
    twice = given | {"quantities": [row, row]}
    payload = raw(stage, text % '@idempotent(key: "k2")', {"i": twice})["data"]["inventorySetQuantities"]
    assert payload["userErrors"] == [{"code": "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"}]
    many = given | {"quantities": [row] * 251}
    assert "250" in raw(stage, text % '@idempotent(key: "k3")', {"i": many})["errors"][0]["message"]
    assert stage.quantity("A") == 1000
    costly = "{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { id } } } } }"
    assert raw(stage, costly, {})["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"


def test_the_sandbox_has_personal_data_to_lose(stage: Stage) -> None:
    order = stage.buy(("A", 1))
    text = "{ orders(first: 1) { nodes { email phone note customer { displayName } shippingAddress { address1 } } } }"
    said = json.dumps(raw(stage, text, {}), ensure_ascii=False)
    assert all(secret in said for secret in order.buyer.strings())
