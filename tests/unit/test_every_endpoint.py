"""Every route of every service of ours: nothing without credentials but what is named here, compared in constant time;
and the head of a request within limits."""

import ast
import asyncio
import logging
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import SecretStr
from sqlalchemy import create_engine

from adapters.channels.bigcommerce.bigcommerce_webhooks import BigCommerceWebhooks
from adapters.channels.shopify.shopify_webhooks import ShopifyWebhooks
from onhand.services import heads, intake, reservation_api
from onhand.services.log_lines import OneLine
from onhand.services.reservation_desk import Desk
from onhand.services.serve import serving
from onhand.services.tokens import Tokens

ROOT = Path(__file__).resolve().parents[2]
SECRET = SecretStr("a-token-of-the-tests")
OPEN = {
    ("GET", "/health"): "says whether the ledger answers, and nothing of it",
    ("GET", "/openapi.json"): "the API's description, the same as in the documentation",
    ("HEAD", "/openapi.json"): "as above",
    ("GET", "/webhooks/{channel}"): "a vendor's challenge: the answer is a hash over a secret",
}
"""Routes that need no credentials, and why."""
MADE_IN = {"onhand/services/intake.py", "onhand/services/reservation_api.py"}
"""Where an app is made; the imitated vendors have theirs."""
WRONG = [
    {},
    {"authorization": "Bearer wrong"},
    {"authorization": "Basic YTpi"},
    {"authorization": f"Token {SECRET.get_secret_value()}"},
    {"x-shopify-hmac-sha256": "YWJj", "x-shopify-topic": "orders/create", "x-shopify-shop-domain": "a.myshopify.com"},
    {"x-onhand-secret": "wrong", "webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": "v1,YWJj"},
    {"cookie": f"token={SECRET.get_secret_value()}"},
]


def no_ledger(work: Any) -> Any:
    raise AssertionError("it came to the ledger without credentials")


@pytest.fixture(scope="module")
def apps() -> Iterator[dict[str, FastAPI]]:
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:9/nothing?connect_timeout=1")
    receivers: dict[str, Any] = {"shopify": ShopifyWebhooks([SECRET]), "bigcommerce": BigCommerceWebhooks([SECRET])}
    with Desk(no_ledger, lambda: datetime.now(UTC)) as desk:
        yield {
            "intake": intake.create_app(engine, receivers),
            "reservations": reservation_api.create_app(desk, Tokens({"web": [("WEB", SECRET)]})),
        }
    engine.dispose()


def routes(app: FastAPI) -> list[tuple[str, str]]:
    return [(method, route.path) for route in app.routes for method in sorted(route.methods)]  # type: ignore[attr-defined]


def ask(app: FastAPI, calls: list[tuple[str, str, dict[str, str]]]) -> list[httpx.Response]:
    async def all_of_them() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://onhand.test") as client:
            return [await client.request(method, path, headers=headers) for method, path, headers in calls]

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("name", ["intake", "reservations"])
def test_no_route_without_credentials_but_the_named_ones(apps: dict[str, FastAPI], name: str) -> None:
    app = apps[name]
    guarded = [route for route in routes(app) if route not in OPEN]
    assert guarded and all(isinstance(one, APIRoute) for one in app.routes if one.path not in ("/openapi.json",))  # type: ignore[attr-defined]
    calls = [
        (method, path.replace("{channel}", code).replace("{key}", "k-1"), wrong)
        for method, path in guarded
        for wrong in WRONG
        for code in ("shopify", "bigcommerce")
    ]
    answers = ask(app, calls)
    assert {answer.status_code for answer in answers} == {401}
    assert not [answer for answer in answers if SECRET.get_secret_value() in answer.text]


def test_the_open_routes_are_those_and_no_page_shows_the_api(apps: dict[str, FastAPI]) -> None:
    known = {route for app in apps.values() for route in routes(app)}
    assert OPEN.keys() - known == set()
    for app in apps.values():
        others = [("GET", path, {}) for path in ("/docs", "/redoc", "/", "/metrics", "/admin", "/v1", "/webhooks")]
        others += [(method, "/health", {}) for method in ("POST", "PUT", "DELETE", "TRACE", "OPTIONS")]
        assert {answer.status_code for answer in ask(app, others)} <= {404, 405}


def test_no_other_app_is_made_anywhere() -> None:
    made = {
        str(path.relative_to(ROOT))
        for package in ("adapters", "inventory", "expectations", "tasks", "flows", "onhand")
        for path in (ROOT / package).rglob("*.py")
        if "sandbox" not in path.parts and re.search(r"\b(FastAPI|Starlette|HTTPServer)\(", path.read_text())
    }
    assert made == MADE_IN


SECRETS = re.compile(r"(^|_)(secret|token|signature|hmac|password|digest)s?$")


def names_in(node: ast.AST) -> set[str]:
    return {one.attr if isinstance(one, ast.Attribute) else one.id for one in ast.walk(node)
            if isinstance(one, ast.Attribute | ast.Name)}  # fmt: skip


def test_no_secret_is_compared_but_in_constant_time() -> None:
    found = []
    judges = [*(ROOT / "adapters/channels").rglob("*webhooks.py"), ROOT / "adapters/channels/signatures.py",
              ROOT / "adapters/channels/ebay/ebay_notifications.py",
              *(ROOT / "onhand/services").glob("*.py")]  # fmt: skip
    for path in judges:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                plain = [one for one in (node.left, *node.comparators) if isinstance(one, ast.Name | ast.Attribute)]
                if any(SECRETS.search(name) for one in plain for name in names_in(one)):
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []
    assert len(judges) > 10
    assert all("compare_digest" in (ROOT / place).read_text() for place in
               ("adapters/channels/signatures.py", "adapters/channels/bigcommerce/bigcommerce_webhooks.py",
                "adapters/channels/declared/declared_webhooks.py", "onhand/services/tokens.py"))  # fmt: skip


def exchange(url: str, *pieces: bytes) -> bytes:
    """What is answered until the other side hangs up; pieces after a hang-up are lost."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as line:
        said = b""
        try:
            for piece in pieces:
                line.sendall(piece)
            while more := line.recv(65536):
                said += more
        except ConnectionError:
            pass
        return said


def test_a_head_that_has_no_end_is_cut(apps: dict[str, FastAPI], monkeypatch: pytest.MonkeyPatch) -> None:
    begin = b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n"
    with serving(apps["reservations"]) as url:
        fine = exchange(url, begin + b"connection: close\r\n", b"x: 1\r\n" * 90 + b"\r\n")
        assert fine.startswith(b"HTTP/1.1 200")
        assert b"x-content-type-options: nosniff" in fine and b"cache-control: no-store" in fine
        assert b"server:" not in fine.lower()
        assert exchange(url, begin + b"x: 1\r\n" * 200 + b"\r\n").startswith(b"HTTP/1.1 400"), "too many headers"
        long = exchange(url, begin + b"x: ", *[b"a" * 65536] * 8)
        assert long.startswith(b"HTTP/1.1 431") or not long, "a header without an end"
        # Not before: on a slow machine what is sound would be too slow, too.
        monkeypatch.setattr(heads, "HEAD_S", 0.2)
        assert exchange(url, begin) == b"", "a head that never ends"
        assert exchange(url) == b"", "a client that says nothing"


def test_what_comes_from_outside_begins_no_line_of_a_log() -> None:
    said = "of\nshop\r\x1b[2J\u202e 2026-11-21 00:00:00 INFO forged"
    record = logging.LogRecord("n", logging.ERROR, "f", 1, "a fault %s", (said,), None)
    try:
        raise ValueError(said)
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    first, *rest = OneLine("%(levelname)s %(message)s").format(record).split("\n")
    assert first == r"ERROR a fault of\nshop\r\x1b[2J\u202e 2026-11-21 00:00:00 INFO forged"
    assert rest and all(line.startswith("    ") and line.isprintable() for line in rest)
