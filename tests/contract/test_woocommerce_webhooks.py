"""WooCommerce's webhooks: what the sandbox sends, and what we believe and take of it."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from webhook_stage import SECRET, SECRETS, receiving

from adapters.channels.notices import KnowsGreetings, Notice
from adapters.channels.woocommerce.woocommerce import WooCommerce
from adapters.channels.woocommerce.woocommerce_config import WooCommerceConfig
from adapters.channels.woocommerce.woocommerce_webhooks import WooCommerceWebhooks
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop
from adapters.sandbox.woocommerce.woocommerce import create_app

WEBHOOKS = WooCommerceWebhooks(SECRETS)
DELIVERY = "0c1d5f8e"
PING = {"content-type": "application/x-www-form-urlencoded"}


def headers(body: bytes = b"", topic: str = "order.updated", secret: str = SECRET, **more: str) -> dict[str, str]:
    made = {
        "x-wc-webhook-topic": topic,
        "x-wc-webhook-signature": base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode(),
        "x-wc-webhook-source": "https://shop.example/",
        "x-wc-webhook-delivery-id": DELIVERY,
    }
    return {**made, **{f"x-wc-webhook-{name.replace('_', '-')}": value for name, value in more.items()}}


def read(topic: str, body: Any) -> list[Notice]:
    raw = json.dumps(body).encode()
    return WEBHOOKS.read(headers(raw, topic), raw)


def test_what_one_of_the_secrets_signed_is_believed() -> None:
    body = b'{"id": 1}'
    assert WEBHOOKS.verify(headers(body), body)
    assert WEBHOOKS.verify(headers(body, secret="whsec_the_old_one"), body)
    assert not WEBHOOKS.verify(headers(body, secret="whsec_else"), body)
    assert not WEBHOOKS.verify(headers(body), body[:-1])
    for wrong in ({"signature": ""}, {"topic": "x"}, {"source": ""}, {"source": "http://[::1"}, {"source": "ftp://a"}):
        assert not WEBHOOKS.verify({**headers(body), **headers(body, **wrong)}, body)
    assert not WEBHOOKS.verify({}, body)


def test_the_unsigned_ping_is_a_greeting_and_nothing_else_is() -> None:
    assert isinstance(WEBHOOKS, KnowsGreetings)
    assert WEBHOOKS.greets(PING, b"webhook_id=7")
    assert WEBHOOKS.read(PING, b"webhook_id=7") == []
    assert not WEBHOOKS.verify(PING, b"webhook_id=7")
    assert not WEBHOOKS.greets(PING, b"webhook_id=7&id=1")
    assert not WEBHOOKS.greets(PING, b'{"id": 1}')
    assert not WEBHOOKS.greets(headers(b"webhook_id=7"), b"webhook_id=7")
    assert not WEBHOOKS.greets({**PING, **headers(b"webhook_id=7")}, b"webhook_id=7")


@pytest.mark.parametrize("event", ["created", "updated", "deleted", "restored"])
def test_an_order_is_named(event: str) -> None:
    body = {"id": 727, "date_modified_gmt": "2017-03-22T16:28:08", "billing": {"email": "john.doe@example.com"}}
    (notice,) = read(f"order.{event}", body)
    assert (notice.topic, notice.order_ids, notice.listing_refs) == (f"order.{event}", ("727",), ())
    assert notice.event_id.startswith("order:727:2017-03-22T16:28:08:0c1d5f8e:")
    assert "john" not in repr(notice)


def test_what_differs_is_another_event_though_the_delivery_id_repeats() -> None:
    body = {"id": 727, "date_modified_gmt": "2017-03-22T16:28:08", "status": "pending"}
    first, again = read("order.updated", body), read("order.updated", body)
    later = read("order.updated", {**body, "date_modified_gmt": "2017-03-22T16:28:09"})
    same_second = read("order.updated", {**body, "status": "processing"})
    assert first == again
    assert len({first[0].event_id, later[0].event_id, same_second[0].event_id}) == 3


def test_products_name_their_listing_and_other_things_nothing() -> None:
    assert read("product.updated", {"id": 799, "parent_id": 0})[0].listing_refs == ("799",)
    assert read("product.updated", {"id": 732, "parent_id": 22})[0].listing_refs == ("22/732",)
    assert read("order.deleted", {"id": 3})[0].order_ids == ("3",)
    assert read("customer.updated", {"id": 3}) == []
    assert read("action.woocommerce_add_to_cart", ["x"]) == []


@pytest.mark.parametrize("body", [b"", b"[" * 100_000, b"[]", b'{"id": "17"}', b'{"id": true}', b'{"id": 0}', b"{}"])
def test_nonsense_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(ValueError, match="the body"):
        WEBHOOKS.read(headers(body), body)
    with pytest.raises(ValueError, match="Delivery-ID"):
        WEBHOOKS.read(headers(b'{"id": 1}', delivery_id=""), b'{"id": 1}')


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=60)), st.binary(max_size=200))
def test_no_noise_is_believed_or_breaks_anything(noise: dict[str, str], body: bytes) -> None:
    assert not WEBHOOKS.verify(noise, body)
    assert not WEBHOOKS.greets(noise, body)
    try:
        WEBHOOKS.read({**headers(body), **noise}, body)
    except ValueError:
        return


def test_from_the_sandbox_to_the_api_with_no_personal_data() -> None:
    times = [datetime(2026, 11, 20, 9, 0, tzinfo=UTC)]
    shop = Shop(now=lambda: times[0])
    shop.add_product("A", "Thing", 50)
    app = create_app(shop, consumer_key="ck_1", consumer_secret="cs_1")
    with receiving(WEBHOOKS) as received, serve(app) as base:
        wishes = {"url": received.url, "secret": SECRET, "forged": 1.0}
        httpx.put(f"{base}/sandbox/webhooks", json=wishes, timeout=60).raise_for_status()
        order = shop.checkout([("A", 3)]).order
        assert order is not None
        assert app.state.deliveries.settle()
        times[0] += timedelta(seconds=5)
        shop.cancel(order.number, [(order.lines[0].number, 1)])
        assert app.state.deliveries.settle()
        times[0] += timedelta(seconds=60)
        with shop.lock:
            order.hold = "hold-1"
        shop.cancel(order.number)
        assert app.state.deliveries.settle()
        assert app.state.deliveries.counts()["silent"] == 1
        assert received.refused == 2
        assert [(call, body) for call, body in received.calls if b"webhook_id=" in body]
        assert sorted(notice.topic for notice in received.notices) == ["order.created", "order.updated"]
        (order_id,) = {order_id for notice in received.notices for order_id in notice.order_ids}
        bodies = [body.decode() for _, body in received.calls]
        assert [body for body in bodies if order.buyer.email in body and order.buyer.phone in body]
        assert not [each for each in order.buyer.strings() if each in repr(received.notices)]
        secrets = {"consumer_key": SecretStr("ck_1"), "consumer_secret": SecretStr("cs_1")}
        channel = WooCommerce("woo", base_url=base, **secrets)
        (document,) = channel.read_orders([order_id]).orders
        assert (document["cancelled"], document["hold"]) == (True, "hold-1")
        assert not [each for each in order.buyer.strings() if each in repr(document)]
        channel.close()


def test_the_configuration_names_the_secrets() -> None:
    config = WooCommerceConfig(
        code="woo",
        vendor="woocommerce",
        base_url="https://shop.example",
        locations=("main",),
        consumer_key_env="KEY",
        consumer_secret_env="SECRET",
        webhook_secret_env=("NEW", "OLD"),
    )
    webhooks = config.webhooks(lambda name: SecretStr({"NEW": SECRET, "OLD": "whsec_the_old_one"}[name]))
    assert webhooks is not None
    assert webhooks.verify(headers(b"{}"), b"{}") and webhooks.verify(headers(b"{}", secret="whsec_the_old_one"), b"{}")
    assert config.model_copy(update={"webhook_secret_env": ()}).webhooks(SecretStr) is None
