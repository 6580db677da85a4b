"""What answers the burst: the intake, and two floors beside it. Each is served by a process of its own."""

import asyncio
import hmac
import json
import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from typing import Any

from sqlalchemy import text
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.channels.notices import Notice
from adapters.database import create_engine
from benchmarks.webhook_client import sign
from onhand.services import serve
from onhand.services.intake import create_app

CHANNEL = "marketplace"


class HmacReceiver:
    """An HMAC over the raw body in hexadecimal, as most vendors sign."""

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        return hmac.compare_digest(headers.get("x-signature", "").encode(), sign(body).encode())

    def read(self, headers: Mapping[str, str], body: bytes) -> list[Notice]:
        document = json.loads(body)
        return [Notice(document["event_id"], document["topic"], (document["order_id"],))]


def intake(url: str) -> ASGIApp:
    return create_app(create_engine(url, application_name="bench intake"), {CHANNEL: HmacReceiver()})


def bare(url: str) -> ASGIApp:
    """Reads the body and answers: what HTTP itself costs here."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _body(receive)
            await _answer(send)

    return _with_lifespan(app)


def one_insert_each(url: str) -> ASGIApp:
    """The least that stores durably before it answers: one row, one transaction a request; nothing is verified."""
    engine = create_engine(url, application_name="bench inserts", pool_size=16)
    threads = ThreadPoolExecutor(16)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS floor_notice (id bigserial PRIMARY KEY, body text)"))

    def insert(body: bytes) -> None:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO floor_notice (body) VALUES (:body)"), {"body": body[:100].decode()})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            body = await _body(receive)
            await asyncio.get_running_loop().run_in_executor(threads, insert, body)
            await _answer(send)

    return _with_lifespan(app)


def _with_lifespan(app: ASGIApp) -> ASGIApp:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for _ in range(2):
            event = (await receive())["type"]
            await send({"type": f"{event}.complete"})

    return wrapped


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    return body


async def _answer(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"12")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"stored":1}'})


APPS = {"intake": intake, "bare": bare, "inserts": one_insert_each}


def _serve(name: str, url: str, pipe: "Pipe[Any, Any]") -> None:
    with serve.serving(APPS[name](url)) as address:
        pipe.send(int(address.rpartition(":")[2]))
        pipe.recv()


@contextmanager
def served(name: str, url: str) -> Iterator[int]:
    """One of APPS on loopback, in a process of its own; gives its port."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(name, url, theirs))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("stop")
        process.join(30)
