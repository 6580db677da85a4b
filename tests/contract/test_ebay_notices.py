"""eBay's notifications: what eBay signed is read, what anybody else sends is not, and nobody makes us ask too often."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from ebay_stage import CLIENT_ID, CLIENT_SECRET, ENDPOINT, VERIFICATION_TOKEN, EbayStage, staged

from adapters.channels.ebay.ebay_config import EbayConfig
from adapters.channels.ebay.ebay_keys import STRANGER_EVERY_S, STRANGERS
from adapters.channels.ebay.ebay_notifications import EbayWebhooks
from adapters.channels.notices import AnswersChallenges, Notice
from adapters.sandbox.ebay.ebay_documents import order_id
from adapters.sandbox.ebay.ebay_signing import account_deletion, envelope, notification_for
from adapters.sandbox.server import serve

KEY = "/commerce/notification/v1/public_key/"


@pytest.fixture
def stage() -> Iterator[EbayStage]:
    made = staged()
    made.add("A", 100)
    yield made
    made.close()


def signer(stage: EbayStage) -> Any:
    return stage.app.state.signer  # type: ignore[attr-defined]


def receiver(stage: EbayStage) -> EbayWebhooks:
    return stage.webhooks(stage.wire)  # type: ignore[attr-defined]


def keys_asked(stage: EbayStage) -> int:
    return sum(request.url.path.startswith(KEY) for request in stage.wire.requests)  # type: ignore[attr-defined]


def header(proof: Any) -> dict[str, str]:
    return {"x-ebay-signature": base64.b64encode(json.dumps(proof).encode()).decode()}


def test_the_challenge_is_answered(stage: EbayStage) -> None:
    webhooks = receiver(stage)
    assert isinstance(webhooks, AnswersChallenges)
    parts = f"a8628072-3d33{VERIFICATION_TOKEN}{ENDPOINT}".encode()
    assert webhooks.challenge("a8628072-3d33") == hashlib.sha256(parts).hexdigest()
    assert keys_asked(stage) == 0


def test_a_signed_order_is_read(stage: EbayStage) -> None:
    order = stage.buy(("A", 1), ("A", 2))
    body, webhooks = notification_for(stage.shop, order), receiver(stage)
    headers = signer(stage).sign(body)
    assert webhooks.verify(headers, body)
    (notice,) = webhooks.read(headers, body)
    assert isinstance(notice, Notice)
    assert (notice.topic, notice.order_ids, notice.listing_refs) == (
        "ORDER_CONFIRMATION",
        (order_id(order.number),),
        (),
    )
    assert notice.event_id == json.loads(body)["notification"]["notificationId"]
    (document,) = stage.channel.read_orders(notice.order_ids).orders
    assert document["order_id"] == notice.order_ids[0]


def test_an_account_that_is_deleted_is_acknowledged_and_told_to_nobody(stage: EbayStage) -> None:
    body, webhooks = account_deletion(stage.shop), receiver(stage)
    assert webhooks.verify(signer(stage).sign(body), body)
    assert webhooks.read({}, body) == []
    assert webhooks.read({}, envelope(stage.shop, "ITEM_AVAILABILITY", {"itemId": "1"})) == []


@pytest.mark.parametrize(
    "forge",
    [
        lambda proof, body: ({}, body),
        lambda proof, body: ({"x-ebay-signature": ""}, body),
        lambda proof, body: ({"x-ebay-signature": "no base64!"}, body),
        lambda proof, body: ({"x-ebay-signature": "A" * 9000}, body),
        lambda proof, body: (header([proof]), body),
        lambda proof, body: (header("text"), body),
        lambda proof, body: (header({**proof, "alg": "none"}), body),
        lambda proof, body: (header({**proof, "signature": ""}), body),
        lambda proof, body: (header({**proof, "signature": 7}), body),
        lambda proof, body: (header({**proof, "kid": "../../../sell/account"}), body),
        lambda proof, body: (header({**proof, "kid": ["a"]}), body),
        lambda proof, body: (header({**proof, "kid": "another"}), body),
        lambda proof, body: (header(proof), body + b" "),
        lambda proof, body: (header(proof), body.replace(b"ORDER", b"order")),
        lambda proof, body: (header(proof), b""),
    ],
)
def test_what_ebay_did_not_sign_is_refused(
    stage: EbayStage, forge: Callable[[Any, bytes], tuple[dict[str, str], bytes]]
) -> None:
    body, webhooks = notification_for(stage.shop, stage.buy(("A", 1))), receiver(stage)
    proof = json.loads(base64.b64decode(signer(stage).sign(body)["x-ebay-signature"]))
    assert webhooks.verify(header(proof), body)
    assert not webhooks.verify(*forge(proof, body))
    assert not any("account" in request.url.path for request in stage.wire.requests)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"metadata": 1, "notification": {}}',
        b'{"metadata": {"topic": "ORDER_CONFIRMATION"}, "notification": {"data": {"orderId": "1"}}}',
        b'{"metadata": {"topic": "ORDER_CONFIRMATION"}, "notification": {"notificationId": "1", "data": {}}}',
        b'{"metadata": {"topic": "ORDER_CONFIRMATION"}, "notification": {"notificationId": 7, "data": {}}}',
        b'{"metadata": {"topic": 7}, "notification": {}}',
        b"[" * 100_000,
    ],
)
def test_nonsense_has_a_plain_reason(stage: EbayStage, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the message \w"):
        receiver(stage).read({}, body)


def test_an_order_is_found_on_any_level_of_the_data(stage: EbayStage) -> None:
    for data in ({"order": {"orderId": "1-2-3"}}, {"orders": [{"orderId": "1-2-3"}, {"orderId": "1-2-3"}]}):
        (notice,) = receiver(stage).read({}, envelope(stage.shop, "ORDER_CONFIRMATION", data))
        assert notice.order_ids == ("1-2-3",)


# Keys


def test_a_key_is_asked_for_once_an_hour_and_a_new_one_is_found(stage: EbayStage) -> None:
    body, webhooks = notification_for(stage.shop, stage.buy(("A", 1))), receiver(stage)
    for _ in range(20):
        assert webhooks.verify(signer(stage).sign(body), body)
    assert keys_asked(stage) == 1
    old = signer(stage).sign(body)
    signer(stage).rotate()
    assert webhooks.verify(signer(stage).sign(body), body) and webhooks.verify(old, body)
    assert keys_asked(stage) == 2
    stage.clock.seconds += 3601
    assert webhooks.verify(old, body)
    assert keys_asked(stage) == 3


def test_invented_keys_cannot_make_us_hammer_the_vendor(stage: EbayStage) -> None:
    body, webhooks = notification_for(stage.shop, stage.buy(("A", 1))), receiver(stage)
    right = signer(stage).sign(body)
    assert webhooks.verify(right, body)
    for number in range(5000):
        assert not webhooks.verify(header({"alg": "ecdsa", "kid": f"kid-{number}", "signature": "AA=="}), body)
    assert keys_asked(stage) <= 1 + STRANGERS
    assert webhooks.verify(right, body), "what is known goes on"
    signer(stage).rotate()
    new = signer(stage).sign(body)
    assert not webhooks.verify(new, body), "no question is left"
    stage.clock.seconds += STRANGER_EVERY_S
    assert webhooks.verify(new, body)
    before = keys_asked(stage)
    for _ in range(50):
        webhooks.verify(header({"alg": "ecdsa", "kid": "kid-1", "signature": "AA=="}), body)
    assert keys_asked(stage) == before, "what eBay does not know is remembered"


def test_a_known_key_is_good_while_ebay_is_away(stage: EbayStage) -> None:
    away = False

    def see(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(503) if away and request.url.path.startswith(KEY) else None

    other = staged(see)
    other.add("A", 5)
    body, webhooks = notification_for(other.shop, other.buy(("A", 1))), receiver(other)
    assert webhooks.verify(signer(other).sign(body), body)
    away = True
    other.clock.seconds += 3700
    for _ in range(5):
        assert webhooks.verify(signer(other).sign(body), body)
    assert keys_asked(other) == 2, "asked again in a minute, not at once"
    signer(other).rotate()
    assert not webhooks.verify(signer(other).sign(body), body)
    other.close()


@pytest.mark.parametrize(
    "answer", [{}, [], {"key": 7, "digest": "SHA1"}, {"key": "AAAA", "digest": "SHA1"}, {"key": "", "digest": "MD5"}]
)
def test_a_key_that_is_none_verifies_nothing(answer: Any) -> None:
    stage = staged(lambda request: httpx.Response(200, json=answer) if request.url.path.startswith(KEY) else None)
    body = account_deletion(stage.shop)
    assert not receiver(stage).verify(signer(stage).sign(body), body)
    stage.close()


# In front of a receiver


def test_the_sandbox_sends_what_the_adapter_verifies() -> None:
    stage = staged()
    stage.add("A", 10)
    got: list[tuple[dict[str, str], bytes]] = []

    async def receive(scope: Any, hear: Any, say: Any) -> None:
        body = (await hear())["body"]
        got.append(({name.decode(): value.decode() for name, value in scope["headers"]}, body))
        await say({"type": "http.response.start", "status": 204, "headers": []})
        await say({"type": "http.response.body", "body": b""})

    with serve(receive) as url:
        deliveries = stage.app.state.deliveries  # type: ignore[attr-defined]
        deliveries.configure({"url": f"{url}/", "forged": 1.0})
        order = stage.buy(("A", 1))
        stage.shop.cancel(order.number)
        assert deliveries.settle()
        deliveries.close()
    webhooks = receiver(stage)
    verdicts = sorted(webhooks.verify(headers, body) for headers, body in got)
    assert verdicts == [False, True], "the forged one, and the one of the checkout; a cancellation tells nothing"
    assert {webhooks.read(headers, body)[0].order_ids for headers, body in got} == {(order_id(order.number),)}
    stage.close()


def test_the_configuration_makes_both() -> None:
    from pydantic import SecretStr

    table = {
        "code": "ebay",
        "vendor": "ebay",
        "base_url": "https://api.ebay.com",
        "locations": ("main",),
        "marketplace_id": "EBAY_DE",
        "client_id_env": "ID",
        "client_secret_env": "SECRET",
        "refresh_token_env": "REFRESH",
    }
    secrets = {"ID": CLIENT_ID, "SECRET": CLIENT_SECRET, "REFRESH": "r", "TOKEN": VERIFICATION_TOKEN}
    plain = EbayConfig.model_validate(table)
    assert plain.webhooks(lambda name: SecretStr(secrets[name])) is None
    plain.open(lambda name: SecretStr(secrets[name])).close()
    assert (plain.write_mode.value, plain.setup().vendor) == ("absolute", "ebay")
    with pytest.raises(ValueError, match="go together"):
        EbayConfig.model_validate({**table, "notification_endpoint": ENDPOINT})
    told = EbayConfig.model_validate({**table, "notification_endpoint": ENDPOINT, "verification_token_env": "TOKEN"})
    webhooks = told.webhooks(lambda name: SecretStr(secrets[name]))
    assert webhooks is not None and len(webhooks.challenge("x")) == 64
    webhooks.close()
