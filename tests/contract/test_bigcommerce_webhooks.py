"""BigCommerce's webhooks: what the sandbox sends, and what we believe and take of it."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from webhook_stage import SECRET, SECRETS, receiving

from adapters.channels.bigcommerce.bigcommerce_config import BigCommerceConfig
from adapters.channels.bigcommerce.bigcommerce_webhooks import HEADER, BigCommerceWebhooks, signature
from adapters.channels.notices import KnowsWhenSigned, Notice
from adapters.sandbox.bigcommerce.bigcommerce import create_app
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop

CLIENT_SECRET = "the-apps-client-secret"
WEBHOOKS = BigCommerceWebhooks(SECRETS)
SIGNED = BigCommerceWebhooks(SECRETS, client_secrets=[SecretStr("older"), SecretStr(CLIENT_SECRET)])
HASH = "3f9ea420af83450d7ef9f78b08c8af25b2213637"
EVENT = {
    "store_id": "11111",
    "producer": "stores/abcde",
    "scope": "store/order/statusUpdated",
    "data": {"type": "order", "id": 173331},
    "hash": HASH,
    "created_at": 1561479335,
}


def read(event: Any, webhooks: BigCommerceWebhooks = WEBHOOKS, **headers: str) -> list[Notice]:
    return webhooks.read({HEADER: SECRET, **headers}, json.dumps(event).encode())


def signed(body: bytes, secret: str = CLIENT_SECRET) -> dict[str, str]:
    message_id, stamp = "msg_1", "1561479335"
    made = signature(secret, message_id, stamp, body)
    proof = {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": f"v2,x v1,{made}"}
    return {HEADER: SECRET, **proof}


def test_who_knows_one_of_the_secrets_is_believed() -> None:
    assert WEBHOOKS.verify({HEADER: SECRET}, b"{}")
    assert WEBHOOKS.verify({HEADER: "whsec_the_old_one"}, b"{}")
    for wrong in ("", "whsec_else", SECRET + " ", SECRET[:-1], "é"):
        assert not WEBHOOKS.verify({HEADER: wrong}, b"{}")
    assert not WEBHOOKS.verify({}, b"{}")
    assert not BigCommerceWebhooks([SecretStr("")]).verify({HEADER: ""}, b"{}")
    assert not BigCommerceWebhooks([]).verify({HEADER: ""}, b"{}")


def test_with_a_client_secret_the_body_must_be_signed_too() -> None:
    body = b'{"a": 1}'
    assert SIGNED.verify(signed(body), body)
    assert SIGNED.verify(signed(body, "older"), body)
    assert not SIGNED.verify(signed(body), body + b" ")
    assert not SIGNED.verify(signed(body, "another"), body)
    assert not SIGNED.verify({HEADER: SECRET}, body)
    assert not SIGNED.verify({**signed(body), HEADER: "whsec_else"}, body)
    for changed in ({"webhook-id": "msg_2"}, {"webhook-timestamp": "1561479336"}, {"webhook-timestamp": "now"}):
        assert not SIGNED.verify({**signed(body), **changed}, body)


def test_the_key_is_the_client_secret_itself() -> None:
    """The vendor's sample hands its base64 to a library, which takes that off again."""
    digest = hmac.new(CLIENT_SECRET.encode(), b"msg_1.1561479335.{}", hashlib.sha256).digest()
    assert signature(CLIENT_SECRET, "msg_1", "1561479335", b"{}") == base64.b64encode(digest).decode()


def test_a_signed_time_is_told_and_an_unsigned_one_is_not() -> None:
    assert isinstance(WEBHOOKS, KnowsWhenSigned)
    headers = signed(b"{}")
    assert SIGNED.signed_at(headers, b"{}") == datetime(2019, 6, 25, 16, 15, 35, tzinfo=UTC)
    assert WEBHOOKS.signed_at(headers, b"{}") is None
    assert SIGNED.signed_at({}, b"{}") is None


@pytest.mark.parametrize(
    ("scope", "data", "orders", "refs"),
    [
        ("store/order/created", {"type": "order", "id": 250}, ("250",), ()),
        ("store/order/archived", {"type": "order", "id": 250}, ("250",), ()),
        ("store/order/refund/created", {"type": "order", "id": 250, "refund": {"refund_id": 9}}, ("250",), ()),
        ("store/order/message/created", {"type": "order", "id": 250, "message": {}}, ("250",), ()),
        (
            "store/channel/*/inventory/product/stock_changed",
            {"variant_id": 127, "product_id": 113, "location_id": 2},
            (),
            ("113/127",),
        ),
        ("store/channel/1/inventory/product/stock_changed", {"product_id": 113, "location_id": 2}, (), ()),
        ("store/product/inventory/updated", {"type": "product", "id": 167, "inventory": {}}, (), ()),
        ("store/customer/created", {"type": "customer", "id": 4}, (), ()),
        ("store/inventory/location/created", {"location_id": 2}, (), ()),
    ],
)
def test_orders_and_listings_are_named_and_other_things_nothing(
    scope: str, data: Any, orders: tuple[str, ...], refs: tuple[str, ...]
) -> None:
    notices = read({**EVENT, "scope": scope, "data": data})
    assert [(notice.topic, notice.order_ids, notice.listing_refs) for notice in notices] == (
        [(scope, orders, refs)] if orders or refs else []
    )


def test_a_repetition_is_the_same_event_and_a_later_one_is_another() -> None:
    (first,), (again,) = read(EVENT), read(EVENT)
    assert first == again
    later = [read({**EVENT, **change})[0].event_id for change in ({"created_at": 1561479336}, {"hash": HASH[::-1]})]
    assert len({first.event_id, *later}) == 3
    assert read(EVENT, SIGNED, **{"webhook-id": "msg_7"})[0].event_id == "msg_7"
    assert read(EVENT, WEBHOOKS, **{"webhook-id": "msg_7"}) == [first], "unsigned, it proves nothing"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[" * 100_000,
        b"[]",
        b"{}",
        *(
            json.dumps({**EVENT, **change}).encode()
            for change in (
                {"scope": 7},
                {"scope": "a scope"},
                {"data": None},
                {"data": {"type": "order", "id": "17"}},
                {"data": {"type": "order", "id": True}},
                {"hash": None},
                {"hash": "a\nb"},
            )
        ),
    ],
)
def test_nonsense_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(ValueError, match="the body"):
        WEBHOOKS.read({HEADER: SECRET}, body)


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=60)), st.binary(max_size=200))
def test_no_noise_is_believed_or_breaks_anything(noise: dict[str, str], body: bytes) -> None:
    for webhooks in (WEBHOOKS, SIGNED):
        assert not webhooks.verify(noise, body)
        webhooks.signed_at(noise, body)
        try:
            webhooks.read(noise, body)
        except ValueError:
            continue


@pytest.mark.parametrize("client_secret", ["", CLIENT_SECRET])
def test_from_the_sandbox_with_no_personal_data(client_secret: str) -> None:
    shop = Shop()
    shop.add_product("A", "Thing", 50)
    app = create_app(shop, access_token="t", client_secret=client_secret)
    with receiving(SIGNED if client_secret else WEBHOOKS) as received, serve(app) as base:
        wishes = {"url": received.url, "secret": SECRET, "forged": 1.0, "twice": 1.0}
        httpx.put(f"{base}/sandbox/webhooks", json=wishes, timeout=60).raise_for_status()
        order = shop.checkout([("A", 3)]).order
        assert order is not None
        shop.cancel(order.number)
        assert app.state.deliveries.settle()
    assert received.refused == 2
    assert sorted({notice.topic for notice in received.notices}) == ["store/order/created", "store/order/updated"]
    assert len(received.notices) == 4
    assert len({notice.event_id for notice in received.notices}) == 2
    assert {notice.order_ids for notice in received.notices} == {(str(order.number),)}
    said = repr(received.calls)
    assert not [text for text in order.buyer.strings() if text in said]


def test_the_configuration_names_its_secrets_and_opens() -> None:
    settings: dict[str, Any] = {
        "code": "big",
        "vendor": "bigcommerce",
        "store_hash": "abcde",
        "locations": ("main",),
        "access_token_env": "TOKEN",
        "webhook_secret_env": ("NEW", "OLD"),
        "webhook_client_secret_env": "CLIENT",
        "webhook_header": "X-Ours",
    }
    values = {"TOKEN": "t-0", "NEW": SECRET, "OLD": "whsec_the_old_one", "CLIENT": CLIENT_SECRET}
    config = BigCommerceConfig(**settings)
    webhooks = config.webhooks(lambda name: SecretStr(values[name]))
    assert webhooks is not None
    assert webhooks.verify({**signed(b"{}"), "x-ours": SECRET}, b"{}")
    assert not webhooks.verify({**signed(b"{}"), "x-ours": ""}, b"{}")
    assert config.tells_by_itself()
    assert not config.model_copy(update={"webhook_secret_env": ()}).tells_by_itself()
    channel = config.open(lambda name: SecretStr(values[name]))
    assert (channel.code, config.setup().write_mode.value) == ("big", "absolute")
    assert "t-0" not in f"{vars(channel)} {channel!r}"
    channel.close()
    with pytest.raises(ValidationError):
        BigCommerceConfig(**{**settings, "store_hash": "../x"})
    with pytest.raises(ValueError, match="https"):
        config.model_copy(update={"base_url": "http://shop.example"}).open(lambda name: SecretStr(values[name]))
