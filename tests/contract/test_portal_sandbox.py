"""The imitated portal by itself: its own specification, its versions, its webhooks, and what it refuses."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from channel_stage import Clock
from openapi_spec_validator import validate
from portal_stage import API, API_KEY, CLIENT_ID, SECRET, PortalStage, example, load_spec
from pydantic import SecretStr
from spec_traffic import Exchange

from adapters.channels.declared.declared_webhooks import DeclaredWebhooks
from adapters.channels.http_config import HttpConfig
from adapters.sandbox.portal.portal import create_app_from_token
from adapters.sandbox.portal.portal_openapi import document
from adapters.sandbox.portal.portal_webhooks import WebhookMessages
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop


@pytest.fixture
def stage() -> Iterator[PortalStage]:
    made = PortalStage("http://127.0.0.1:1")
    made.add("A", 10)
    yield made
    made.close()


@pytest.fixture
def portal(stage: PortalStage) -> Iterator[httpx.Client]:
    with serve(stage.app) as url, httpx.Client(base_url=url, headers={"X-Portal-Key": API_KEY}, timeout=60) as client:
        yield client


def test_its_specification_is_valid_and_served(portal: httpx.Client) -> None:
    validate(document())
    assert portal.get("/openapi.json").json() == document()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/orders?limit=0", None, 400),
        ("GET", "/orders?limit=٣", None, 400),
        ("GET", "/orders?cursor=nonsense", None, 400),
        ("GET", "/orders?changed_from=yesterday", None, 400),
        ("GET", "/orders/999", None, 404),
        ("GET", "/orders/x", None, 404),
        ("GET", "/stock?articles=", None, 400),
        ("GET", "/stock?articles=ART/1,x,ART/,ART/-1", None, 200),
        ("POST", "/stock/batch", [], 400),
        ("POST", "/stock/batch", {"updates": []}, 400),
        ("POST", "/stock/batch", {"updates": [{}] * 51}, 413),
        ("POST", "/stock/batch", {"updates": [{"article": "ART/1", "available": 1}]}, 200),
        ("POST", "/stock/batch", {"updates": [{"article": "ART/1002", "available": -1}]}, 200),
        ("PUT", "/storefront", {"open": 1}, 400),
        ("PUT", "/storefront", {"open": True}, 200),
    ],
)
def test_what_it_refuses_is_in_its_specification(
    portal: httpx.Client, method: str, path: str, body: Any, status: int
) -> None:
    answer = portal.request(method, f"{API}{path}", json=body)
    assert answer.status_code == status
    problems = load_spec().check(Exchange.of(answer))
    assert [str(one) for one in problems if one.where.startswith("answer")] == []


def test_credentials() -> None:
    app = create_app_from_token(Shop(), f"{CLIENT_ID}:{SECRET}")
    with serve(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        path, form = f"{API}/oauth/token", {"grant_type": "client_credentials"}
        given = client.post(path, data=form, auth=(CLIENT_ID, SECRET))
        assert load_spec().check(Exchange.of(given)) == []
        token = given.json()["access_token"]
        for headers, status in (
            ({"Authorization": f"Bearer {token}"}, 200),
            ({"X-Portal-Key": SECRET}, 200),
            ({"Authorization": "Bearer x"}, 401),
            ({"Authorization": f"Basic {token}"}, 401),
            ({"X-Portal-Key": "x"}, 401),
            ({}, 401),
        ):
            assert client.get(f"{API}/orders", headers=headers).status_code == status
        assert client.post(path, data=form, auth=(CLIENT_ID, "wrong")).status_code == 401
        assert client.post(path, data={"grant_type": "password"}).status_code == 400


def test_a_version_changes_even_when_the_number_comes_back(stage: PortalStage, portal: httpx.Client) -> None:
    product = stage.shop.product("A")

    def version() -> int:
        (row,) = portal.get(f"{API}/stock", params={"articles": stage.ref(product)}).json()["stock"]
        return int(row["version"])

    seen = [version()]
    order = stage.buy(("A", 3))
    seen.append(version())
    stage.shop.cancel(order.number)
    seen.append(version())
    assert product.quantity == 10
    stage.shop.set_quantity(product.number, 10, by="somebody else")
    seen.append(version())
    assert seen == sorted(set(seen))


def test_it_asked_before_it_sold(stage: PortalStage, portal: httpx.Client) -> None:
    stage.channel.close()
    order = stage.buy(("A", 1))
    order.hold = "hold-77"
    url = str(portal.base_url)
    stage.url = url.rstrip("/")
    channel = stage.another()
    (page,) = channel.pull_orders(stage.clock.now().replace(year=2025))
    assert page.orders[0]["hold"] == "hold-77"


def test_its_webhooks_are_read_by_the_example(stage: PortalStage) -> None:
    clock: Clock = stage.clock
    described = HttpConfig(**example()).webhook
    assert described is not None
    messages = WebhookMessages(stage.shop)
    order = stage.buy(("A", 2))
    message = messages.build(order, True)
    assert message.sign is not None
    headers = {name.lower(): value for name, value in {**message.headers, **message.sign(message.body, "s1")}.items()}
    receiver = DeclaredWebhooks(described, [SecretStr("s0"), SecretStr("s1")], clock.now)
    assert receiver.verify(headers, message.body)
    assert not receiver.verify(headers, message.body.replace(b"placed", b"chased"))
    (notice,) = receiver.read(headers, message.body)
    assert (notice.topic, notice.order_ids) == ("order.placed", (stage.order_id(order),))
    assert notice.listing_refs == (stage.ref(stage.shop.product("A")),)
    assert not [one for one in order.buyer.strings() if one in repr(notice)]
    assert messages.build(order, True).body == message.body, "the same id when it comes again"
    clock.seconds += 301
    assert not receiver.verify(headers, message.body), "too old"
    assert json.loads(message.body)["event"] == notice.event_id
