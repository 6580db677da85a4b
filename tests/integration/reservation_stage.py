"""The reservation API on a real ledger, served on loopback, for tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
from ledger_stage import START
from pydantic import SecretStr
from sqlalchemy import Engine

from adapters.database import in_transaction
from adapters.sandbox.server import serve
from onhand.services.reservation_api import Terms, create_app
from onhand.services.reservation_desk import Desk
from onhand.services.tokens import Tokens

TOKENS = {"web": "token-of-the-website", "pos": "token-of-the-counter"}


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = START + timedelta(minutes=1)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


def real_clock() -> datetime:
    return datetime.now(UTC)


def tokens() -> Tokens:
    return Tokens({code: [(f"TOKEN_{code}", SecretStr(token))] for code, token in TOKENS.items()})


@contextmanager
def desk_of(engine: Engine, now: Callable[[], datetime], **options: Any) -> Iterator[Desk]:
    with Desk(partial(in_transaction, engine), now, **options) as desk:
        yield desk


@contextmanager
def served(engine: Engine, now: Callable[[], datetime], terms: Terms | None = None, **options: Any) -> Iterator[str]:
    """Base URL of the API."""
    with desk_of(engine, now, **options) as desk, serve(create_app(desk, tokens(), terms or Terms())) as url:
        yield url


class Caller:
    """One channel's side of it."""

    def __init__(self, url: str, channel: str = "web") -> None:
        self.client = httpx.Client(
            base_url=url, headers={"authorization": f"Bearer {TOKENS[channel]}"}, timeout=30, trust_env=False
        )

    def ask(
        self, key: str, *skus: tuple[str, int], refs: tuple[tuple[str, int], ...] = (), **more: Any
    ) -> httpx.Response:
        lines = [{"sku": sku, "quantity": units} for sku, units in skus]
        lines += [{"listing_ref": ref, "quantity": units} for ref, units in refs]
        return self.client.post("/v1/reservations", json={"key": key, "lines": lines, **more})

    def read(self, key: str) -> httpx.Response:
        return self.client.get(f"/v1/reservations/{key}")

    def extend(self, key: str, seconds: int = 60) -> httpx.Response:
        return self.client.post(f"/v1/reservations/{key}/extend", json={"ttl_seconds": seconds})

    def commit(self, key: str, order_id: str = "1001") -> httpx.Response:
        return self.client.post(f"/v1/reservations/{key}/commit", json={"order_id": order_id})

    def release(self, key: str) -> httpx.Response:
        return self.client.post(f"/v1/reservations/{key}/release")

    def free(self, *skus: str) -> dict[str, int]:
        found = self.client.get("/v1/availability", params={"sku": list(skus)}).json()["free"]
        return {line["sku"]: line["free"] for line in found}

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
