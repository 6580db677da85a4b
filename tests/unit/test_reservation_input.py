"""What the reservation API says to requests that make no sense, without any ledger behind it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from adapters.sandbox.server import serve
from onhand.services.reservation_api import create_app
from onhand.services.reservation_desk import Desk
from onhand.services.tokens import TokenError, Tokens

TOKEN = "token-of-the-website"


def no_ledger(work: Any) -> Any:
    raise AssertionError("a request that makes no sense came to the ledger")


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    tokens = Tokens({"web": [("WEB", SecretStr(TOKEN)), ("WEB_NEXT", SecretStr(TOKEN + "-next"))]})
    app = create_app(Desk(no_ledger, lambda: datetime.now(UTC)), tokens)
    headers = {"authorization": f"Bearer {TOKEN}"}
    with serve(app) as url, httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


def fields(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return [one["field"] for one in answer.json()["errors"]]


def line(**more: Any) -> dict[str, Any]:
    return {"sku": "A", "quantity": 1, **more}


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, "lines"),
        ({"lines": []}, "lines"),
        ({"lines": [line()] * 201}, "lines"),
        ({"lines": "A"}, "lines"),
        ({"lines": [line()], "key": ""}, "key"),
        ({"lines": [line()], "key": "a/b"}, "key"),
        ({"lines": [line()], "key": ".."}, "key"),
        ({"lines": [line()], "key": "k" * 101}, "key"),
        ({"lines": [line()], "key": 7}, "key"),
        ({"lines": [line()], "color": "red"}, "color"),
        ({"lines": [line()], "partial": "yes"}, "partial"),
        ({"lines": [line()], "ttl_seconds": 0}, "ttl_seconds"),
        ({"lines": [line()], "ttl_seconds": 10**400}, "ttl_seconds"),
        ({"lines": [line(), line(quantity=0)]}, "lines[1].quantity"),
        ({"lines": [line(quantity=-1)]}, "lines[0].quantity"),
        ({"lines": [line(quantity=1.5)]}, "lines[0].quantity"),
        ({"lines": [line(quantity="2")]}, "lines[0].quantity"),
        ({"lines": [line(quantity=True)]}, "lines[0].quantity"),
        ({"lines": [line(quantity=10**30)]}, "lines[0].quantity"),
        ({"lines": [{"quantity": 1}]}, "lines[0]"),
        ({"lines": [line(listing_ref="B")]}, "lines[0]"),
        ({"lines": [line(sku="A\x00")]}, "lines[0].sku"),
        ({"lines": [line(sku="A\n")]}, "lines[0].sku"),
        ({"lines": [line(sku="A" * 201)]}, "lines[0].sku"),
        ({"lines": [line(), None]}, "lines[1]"),
        ([], "body"),
        ("text", "body"),
        (7, "body"),
    ],
    ids=str,
)
def test_a_mistake_is_named_by_its_field(client: httpx.Client, body: Any, wrong: str) -> None:
    assert wrong in fields(client.post("/v1/reservations", json=body))


@pytest.mark.parametrize(
    "raw",
    [
        b"{", b"\xff\xfe", b"nul", b'{"lines": [{"sku": "\\ud800", "quantity": 1}]}', b"[" * 30_000, b'{"a":' * 9_000,
        b'{"key": "\xc3\x28"}', b"NaN", b"1e999", b"-" , b"9" * 30_000,
    ],
    ids=lambda raw: repr(raw[:20]),
)  # fmt: skip
def test_what_is_no_json_is_told(client: httpx.Client, raw: bytes) -> None:
    answer = client.post("/v1/reservations", content=raw)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "body", "wrong"),
    [
        ("k/extend", {"ttl_seconds": 3601}, "ttl_seconds"),
        ("k/extend", {"ttl_seconds": -1}, "ttl_seconds"),
        ("k/commit", {}, "order_id"),
        ("k/commit", {"order_id": ""}, "order_id"),
        ("k/commit", {"order_id": 1001}, "order_id"),
        ("k/commit", {"order_id": "\x00"}, "order_id"),
        ("%00/commit", {"order_id": "1"}, "key"),
        ("k%0A/release", {}, "key"),
        ("%ff%fe/release", {}, "key"),
        ("-k/extend", {"ttl_seconds": 5}, "key"),
    ],
)
def test_the_other_calls_name_theirs(client: httpx.Client, path: str, body: Any, wrong: str) -> None:
    assert fields(client.post(f"/v1/reservations/{path}", json=body)) == [wrong]


@pytest.mark.parametrize(
    "query", ["", "sku=", "sku=%00", "listing_ref=" + "x" * 201, "&".join(f"sku=S{i}" for i in range(101))]
)
def test_a_question_names_what_it_asks_for(client: httpx.Client, query: str) -> None:
    assert fields(client.get(f"/v1/availability?{query}"))


def test_what_is_not_there_is_a_problem_too(client: httpx.Client) -> None:
    for answer, status in ((client.get("/nowhere"), 404), (client.delete("/v1/reservations"), 405)):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_a_fault_of_ours_tells_nothing(client: httpx.Client) -> None:
    answer = client.get("/v1/reservations/k")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:onhand:unforeseen")
    assert "came to the ledger" not in answer.text


@settings(max_examples=150, deadline=None)
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["key", "lines", "sku", "quantity", "partial", "ttl_seconds"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    ).filter(lambda body: not (isinstance(body, dict) and body.get("lines")))
)
def test_no_json_whatever_is_a_fault_of_ours(client: httpx.Client, body: Any) -> None:
    answer = client.post("/v1/reservations", content=json.dumps(body).encode())
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("value", ["é" * 20, "a b", "x" * 60_000, "Bearer " + TOKEN])
def test_a_strange_token_is_nobodys(client: httpx.Client, value: str) -> None:
    answer = client.get("/v1/reservations/k", headers={"authorization": b"Bearer " + value.encode("latin-1")})
    assert answer.status_code == 401


def test_tokens_can_be_rotated_and_are_not_kept() -> None:
    tokens = Tokens({"web": [("OLD", SecretStr("o" * 16)), ("NEW", SecretStr("n" * 16))]})
    assert [tokens.channel_of(f"Bearer {letter * 16}") for letter in "onx"] == ["web", "web", None]
    assert tokens.channel_of(f"bearer  {'n' * 16}") == "web"
    assert "n" * 16 not in repr(vars(tokens))


@pytest.mark.parametrize("token", ["", "short", "with a space in it", "ü" * 20, "x" * 20 + "\n"])
def test_a_token_that_protects_nothing_is_refused_by_the_name_of_its_place(token: str) -> None:
    with pytest.raises(TokenError, match="WEB_TOKEN holds no usable token") as caught:
        Tokens({"web": [("WEB_TOKEN", SecretStr(token))]})
    assert not token or token not in str(caught.value)


def test_two_channels_cannot_share_a_token() -> None:
    shared = SecretStr("s" * 16)
    with pytest.raises(TokenError, match="POS_TOKEN holds a token of another channel"):
        Tokens({"web": [("WEB_TOKEN", shared)], "pos": [("POS_TOKEN", shared)]})
