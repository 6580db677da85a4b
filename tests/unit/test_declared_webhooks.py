"""Webhooks by description: the right signature, in time, of any valid secret; and only ids are taken."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from declared_stage import described
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from adapters.channels.declared.declared_webhooks import DeclaredWebhooks
from adapters.channels.notices import KnowsWhenSigned, Notice

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
BODY = json.dumps(
    {"id": "e-1", "type": "order.changed", "order": 7, "refs": ["A", "B", "A"], "buyer": "Wilhelmina"}
).encode()
PLAIN: dict[str, Any] = {
    "secret_envs": ["NEW", "OLD"],
    "signature_header": "X-Signature",
    "prefix": "v1=",
    "signed": "{timestamp}.{body}",
    "timestamp_header": "X-Timestamp",
    "event_id": "id",
    "topic": "type",
    "order_ids": "order",
    "listing_refs": "refs",
}


def receiver(now: datetime = NOW, **changes: Any) -> DeclaredWebhooks:
    table = {name: value for name, value in {**PLAIN, **changes}.items() if value is not None}
    webhook = described(webhook=table).webhook
    assert webhook is not None
    return DeclaredWebhooks(webhook, [SecretStr("new"), SecretStr("old")], lambda: now)


def sign(key: str = "new", body: bytes = BODY, stamp: str = STAMP, algorithm: str = "sha256") -> bytes:
    return hmac.new(key.encode(), stamp.encode() + b"." + body, algorithm).digest()


def headers(signature: str | None = None, stamp: str = STAMP) -> dict[str, str]:
    return {"x-signature": f"v1={sign().hex()}" if signature is None else signature, "x-timestamp": stamp}


def test_right_signatures() -> None:
    assert receiver().verify(headers(), BODY)
    assert receiver().verify(headers(f"v1={sign('old').hex()}"), BODY), "the old secret, while it is rotated"
    assert receiver().verify(headers(f"v0=00, v1={sign('x').hex()} v1={sign().hex()}"), BODY), "several signatures"
    assert receiver().verify(headers(f"v1={sign().hex().upper()}"), BODY)
    coded = base64.b64encode(sign(algorithm="sha512")).decode()
    assert receiver(encoding="base64", prefix="", algorithm="sha512").verify(headers(coded), BODY)


@pytest.mark.parametrize(
    ("given_headers", "body"),
    [
        (headers(), BODY + b" "),
        (headers(), b""),
        (headers(f"v1={sign('stranger').hex()}"), BODY),
        (headers(f"v1={sign('').hex()}"), BODY),
        (headers(sign().hex()), BODY),
        (headers("v1="), BODY),
        (headers("v1=zz"), BODY),
        (headers(f"v1={sign().hex()[:32]}"), BODY),
        (headers(f"v1={sign().hex()}00"), BODY),
        (headers("v1=ü" + sign().hex()), BODY),
        (headers(""), BODY),
        ({}, BODY),
        ({"x-signature": headers()["x-signature"]}, BODY),
        (headers(stamp="soon"), BODY),
        (headers(stamp=str(int(STAMP) + 1)), BODY),
        (headers(stamp="9" * 400), BODY),
        (headers(stamp="ü"), BODY),
        (headers(", ".join(["v1=00"] * 50)), BODY),
    ],
)
def test_wrong_signatures(given_headers: dict[str, str], body: bytes) -> None:
    assert not receiver().verify(given_headers, body)


@pytest.mark.parametrize(("seconds", "right"), [(299, True), (301, False), (-299, True), (-301, False)])
def test_a_message_is_good_for_a_while_only(seconds: int, right: bool) -> None:
    late = receiver(NOW + timedelta(seconds=seconds))
    assert late.verify(headers(), BODY) is right
    assert isinstance(late, KnowsWhenSigned) and late.signed_at(headers(), BODY) == NOW


def test_without_a_time_and_with_an_id_that_is_signed() -> None:
    plain = receiver(signed="{body}", timestamp_header=None, prefix="")
    assert plain.verify({"x-signature": hmac.new(b"new", BODY, hashlib.sha256).hexdigest()}, BODY)
    assert plain.signed_at({}, BODY) is None
    by_id = {"signed": "{event_id}.{timestamp}.{body}", "event_id_header": "X-Id", "event_id": None}
    standard = receiver(**by_id, prefix="v1,", encoding="base64")
    message = f"m-1.{STAMP}.".encode() + BODY
    given_headers = {**headers("v1=x"), "x-id": "m-1"}
    assert not standard.verify(given_headers, BODY)
    coded = base64.b64encode(hmac.new(b"old", message, hashlib.sha256).digest()).decode()
    assert standard.verify({**given_headers, "x-signature": f"v1,{'A' * 43}= v1,{coded}"}, BODY)
    assert standard.read({**given_headers}, BODY)[0].event_id == "m-1"
    bare = receiver(**by_id, prefix="")
    right = hmac.new(b"new", message, hashlib.sha256).hexdigest()
    assert bare.verify({**headers(right), "x-id": "m-1"}, BODY)
    assert not bare.verify({**headers(right), "x-id": "m-2"}, BODY)
    assert not bare.verify(headers(right), BODY)


def test_only_ids_are_taken() -> None:
    assert receiver().read(headers(), BODY) == [Notice("e-1", "order.changed", ("7",), ("A", "B"))]
    by_header = receiver(topic=None, topic_header="X-Topic", event_id=None, order_ids="orders[].id")
    told = json.dumps({"orders": [{"id": "a"}, {"id": 5}, {"id": None}]}).encode()
    (notice,) = by_header.read({"x-topic": "t"}, told)
    assert notice == Notice(hashlib.sha256(told).hexdigest(), "t", ("a", "5"))
    assert receiver().read(headers(), b'{"type": "ping"}') == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, json.dumps({"order": ["x"] * 2000}).encode()])
def test_nonsense_is_told_without_its_content(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"no JSON|names more") as caught:
        receiver().read(headers(), body)
    assert "Wilhelmina" not in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=60), signature=st.text(max_size=80), stamp=st.text(max_size=20))
def test_nothing_breaks_it(body: bytes, signature: str, stamp: str) -> None:
    assert not receiver().verify({"x-signature": signature, "x-timestamp": stamp}, body)


def test_an_empty_secret_is_refused() -> None:
    config = described(webhook=PLAIN)
    assert config.webhooks(lambda name: SecretStr("s")) is not None
    with pytest.raises(ValueError, match="a secret of the webhooks is empty"):
        config.webhooks(lambda name: SecretStr(""))
    assert described().webhooks(lambda name: SecretStr("s")) is None
