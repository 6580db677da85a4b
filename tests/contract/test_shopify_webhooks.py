"""Shopify's webhooks: what the sandbox sends, and what we believe and take of it."""

import base64
import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from webhook_stage import SECRET, SECRETS, receiving

from adapters.channels.notices import Notice
from adapters.channels.shopify.shopify import Shopify
from adapters.channels.shopify.shopify_config import ShopifyConfig
from adapters.channels.shopify.shopify_webhooks import ShopifyWebhooks
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop
from adapters.sandbox.shopify.shopify import LOCATION_ID, create_app

DOMAIN = "a-shop.myshopify.com"
WEBHOOKS = ShopifyWebhooks(SECRETS, shop_domain=DOMAIN, location_id=LOCATION_ID)
EVENT = "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"


def signed(body: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def headers(body: bytes = b"", topic: str = "orders/create", secret: str = SECRET, **more: str) -> dict[str, str]:
    made = {
        "x-shopify-topic": topic,
        "x-shopify-hmac-sha256": signed(body, secret),
        "x-shopify-shop-domain": DOMAIN,
        "x-shopify-webhook-id": EVENT,
    }
    return {**made, **{f"x-shopify-{name.replace('_', '-')}": value for name, value in more.items()}}


def read(topic: str, body: Any) -> list[Notice]:
    raw = json.dumps(body).encode()
    return WEBHOOKS.read(headers(raw, topic), raw)


def test_what_one_of_the_secrets_signed_is_believed() -> None:
    body = b'{"id": 1}'
    assert WEBHOOKS.verify(headers(body), body)
    assert WEBHOOKS.verify(headers(body, secret="whsec_the_old_one"), body)
    assert WEBHOOKS.verify(headers(body, shop_domain="A-Shop.myshopify.com"), body)
    assert not WEBHOOKS.verify(headers(body, secret="whsec_else"), body)
    assert not WEBHOOKS.verify(headers(body), body + b" ")
    assert not WEBHOOKS.verify(headers(body), body[:-1])
    for wrong in (
        {"hmac_sha256": ""},
        {"hmac_sha256": "ü" * 44},
        {"hmac_sha256": signed(body).lower()},
        {"shop_domain": "other-shop.myshopify.com"},
        {"shop_domain": ""},
        {"topic": ""},
        {"topic": "orders/create\n"},
    ):
        assert not WEBHOOKS.verify({**headers(body), **headers(body, **wrong)}, body)
    assert not WEBHOOKS.verify({}, body)
    assert not ShopifyWebhooks([]).verify(headers(body), body)
    assert not ShopifyWebhooks([SecretStr("")]).verify(headers(body, secret=""), body)


def test_a_shop_whose_domain_is_not_known_must_have_one_of_the_vendors() -> None:
    anyone = ShopifyWebhooks(SECRETS)
    assert anyone.verify(headers(b"{}"), b"{}")
    assert not anyone.verify(headers(b"{}", shop_domain="a-shop.myshopify.com.evil.example"), b"{}")


ORDER = "gid://shopify/Order/820982911946154508"


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("orders/create", {"id": 820982911946154508, "admin_graphql_api_id": ORDER, "email": "jon@example.com"}),
        ("orders/updated", {"id": 820982911946154508}),
        ("orders/cancelled", {"admin_graphql_api_id": ORDER}),
        ("orders/delete", {"id": 820982911946154508}),
        ("orders/edited", {"order_edit": {"id": 1, "order_id": 820982911946154508}}),
        ("refunds/create", {"id": 5, "admin_graphql_api_id": "gid://shopify/Refund/5", "order_id": 820982911946154508}),
        ("returns/request", {"id": 5, "order": {"id": 820982911946154508, "admin_graphql_api_id": ORDER}}),
    ],
)
def test_an_order_is_named_as_the_api_names_it(topic: str, body: dict[str, Any]) -> None:
    assert read(topic, body) == [Notice(EVENT, topic, (ORDER,))]


def test_a_level_names_its_listing_where_it_is_ours() -> None:
    level = {"inventory_item_id": 271878346596884015, "location_id": 1, "available": 4}
    ref = "gid://shopify/InventoryItem/271878346596884015"
    assert read("inventory_levels/update", level) == [Notice(EVENT, "inventory_levels/update", (), (ref,))]
    assert read("inventory_levels/update", {**level, "location_id": 24826418}) == []


def test_what_nobody_needs_is_no_notice() -> None:
    assert read("app/uninstalled", {"id": 1}) == []
    assert read("returns/update", {"id": 5, "return_line_items": []}) == []


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("orders/create", b""),
        ("orders/create", b"[" * 100_000),
        ("orders/create", b"[1]"),
        ("orders/create", b'{"id": "17"}'),
        ("orders/create", b'{"id": true}'),
        ("orders/create", b'{"id": -4, "admin_graphql_api_id": "gid://shopify/Customer/4"}'),
        ("orders/edited", b'{"order_edit": 4}'),
        ("refunds/create", b"{}"),
        ("returns/request", b'{"order": {}}'),
        ("inventory_levels/update", b'{"location_id": 1}'),
        ("nonsense", b"{}"),
    ],
)
def test_nonsense_is_refused_with_a_reason(topic: str, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"body|Topic") as caught:
        WEBHOOKS.read(headers(body, topic), body)
    assert "17" not in str(caught.value)
    with pytest.raises(ValueError, match="Webhook-Id"):
        WEBHOOKS.read(headers(body, topic, webhook_id="x"), body)


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=60)), st.binary(max_size=200))
def test_no_noise_is_believed_or_breaks_anything(noise: dict[str, str], body: bytes) -> None:
    assert not WEBHOOKS.verify(noise, body)
    assert not WEBHOOKS.verify({**headers(), **noise, "x-shopify-hmac-sha256": noise.get("a", "")}, body)
    try:
        WEBHOOKS.read({**headers(body), **noise}, body)
    except ValueError:
        return


def test_from_the_sandbox_to_the_api_with_no_personal_data() -> None:
    shop = Shop()
    shop.add_product("A", "Thing", 50)
    app = create_app(shop, access_token="t")
    webhooks = ShopifyWebhooks(SECRETS, location_id=LOCATION_ID)
    with receiving(webhooks) as received, serve(app) as base:
        wishes = {"url": received.url, "secret": SECRET, "twice": 1.0, "forged": 1.0}
        httpx.put(f"{base}/sandbox/webhooks", json=wishes, timeout=60).raise_for_status()
        order = shop.checkout([("A", 3)]).order
        assert order is not None
        shop.cancel(order.number, [(order.lines[0].number, 1)])
        shop.cancel(order.number)
        assert app.state.deliveries.settle()
        assert received.refused == 3
        assert sorted(notice.topic for notice in received.notices) == sorted(
            ["orders/create", "orders/updated", "orders/cancelled"] * 2
        )
        assert len({notice.event_id for notice in received.notices}) == 3
        (order_id,) = {order_id for notice in received.notices for order_id in notice.order_ids}
        sent = {name for call, _ in received.calls for name in call if name.startswith("x-shopify-")}
        names = "topic hmac-sha256 shop-domain api-version webhook-id event-id triggered-at"
        assert sent == {f"x-shopify-{name}" for name in names.split()}
        assert all(secret in received.calls[0][1].decode() for secret in (order.buyer.email, order.buyer.street))
        assert not [each for each in order.buyer.strings() if each in repr(received.notices)]
        channel = Shopify("shop", base_url=base, access_token=SecretStr("t"), location_id=LOCATION_ID)
        (document,) = channel.read_orders([order_id]).orders
        assert document["cancelled"] and document["lines"][0]["quantity"] == 3
        channel.close()


@pytest.mark.parametrize("names", ["SECRET", ("SECRET", "OLD_SECRET")])
def test_the_configuration_names_the_secrets(names: Any) -> None:
    config = ShopifyConfig(
        code="shop",
        vendor="shopify",
        base_url=f"https://{DOMAIN}",
        locations=("main",),
        location_id=LOCATION_ID,
        access_token_env="TOKEN",
        webhook_secret_env=names,
    )
    known = {"SECRET": SECRET, "OLD_SECRET": "whsec_the_old_one"}
    webhooks = config.webhooks(lambda name: SecretStr(known[name]))
    assert webhooks is not None
    assert webhooks.verify(headers(b"{}"), b"{}")
    assert webhooks.verify(headers(b"{}", secret="whsec_the_old_one"), b"{}") is isinstance(names, tuple)
    assert not webhooks.verify(headers(b"{}", shop_domain="other-shop.myshopify.com"), b"{}")
    assert config.model_copy(update={"webhook_secret_env": ()}).webhooks(SecretStr) is None
