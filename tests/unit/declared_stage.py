"""A small description and a server in memory, to vary one thing at a time."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import SecretStr

from adapters.channels.declared.declared import DeclaredChannel
from adapters.channels.declared.declared_wire import Shared
from adapters.channels.http_config import HttpConfig

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRET = "tok-88-very-secret"
Respond = Callable[[httpx.Request], httpx.Response]

PLAIN: dict[str, Any] = {
    "code": "shop",
    "vendor": "http",
    "base_url": "https://shop.test/api",
    "locations": ["main"],
    "auth": {"kind": "bearer", "token_env": "TOKEN"},
    "orders": {
        "path": "/orders",
        "params": {"since": "{updated_since}"},
        "sort": "steady",
        "page_size": 10,
        "records": "orders",
        "fields": {
            "order_id": "id",
            "placed_at": "placed",
            "updated_at": "changed",
            "lines": "lines",
            "line": {"line_id": "id", "listing_ref": "ref", "sku": "sku", "quantity": "units"},
        },
    },
    "stock": {
        "read": {
            "path": "/stock",
            "params": {"refs": "{listing_refs}"},
            "batch": 50,
            "records": "stock",
            "fields": {"listing_ref": "ref", "quantity": "units"},
        },
        "write": {"path": "/stock/{listing_ref}", "method": "PUT", "body": {"units": "{quantity}"}},
    },
}


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.seconds += seconds


def described(**changes: Any) -> HttpConfig:
    """`orders`, `stock_read` and `stock_write` are merged into the plain ones; other keys replace."""
    table = json.loads(json.dumps(PLAIN))
    table["orders"] |= changes.pop("orders", {})
    table["stock"]["read"] |= changes.pop("stock_read", {})
    table["stock"]["write"] |= changes.pop("stock_write", {})
    return HttpConfig(**{**table, **changes})


def opened(respond: Respond, clock: Clock | None = None, **changes: Any) -> DeclaredChannel:
    clock = clock or Clock()
    return described(**changes).open(
        lambda name: SecretStr(SECRET),
        transport=httpx.MockTransport(respond),
        shared=Shared(clock=clock),
        sleep=clock.sleep,
        now=lambda: NOW,
    )


def order(number: int, changed: int = 0) -> dict[str, Any]:
    return {
        "id": number,
        "placed": "2026-11-20T10:00:00Z",
        "changed": f"2026-11-20T11:{changed // 60:02}:{changed % 60:02}Z",
        "lines": [{"id": 1, "ref": "A", "sku": "SKU", "units": 1}],
    }
