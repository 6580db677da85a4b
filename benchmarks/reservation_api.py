"""`python -m benchmarks.reservation_api`: holds over loopback HTTP, beside two floors of the same run.

The service runs in a process of its own, the clients in this one: connections that are kept, each asking again as
soon as it was answered. Floors, on the same server with the same settings: `constant` reads the body and answers a
constant JSON; `update` does one bare conditional UPDATE of one row besides, by the asynchronous driver.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from statistics import median
from typing import Any

import psycopg
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url

from adapters.database import in_transaction
from adapters.wakeups import PUBLISH, wake
from benchmarks.audit import audit, audit_floor
from benchmarks.clients import Load, orders_of
from benchmarks.figures import Result, Say
from benchmarks.ledger import POOL, Laboratory, laboratory, now, open_ledger
from onhand.services.reservation_api import create_app
from onhand.services.reservation_desk import Desk
from onhand.services.serve import run
from onhand.services.tokens import Tokens

HOST = "127.0.0.1"
TOKEN = "token-of-the-benchmark"  # noqa: S105 - throw-away
KINDS = ("constant", "update", "hold", "hold and commit")
CLIENTS = (1, 16, 64)


# The service's process


def serve(kind: str, url: str, port: int) -> None:
    """Serve one of KINDS until it is ended."""
    if kind in ("constant", "update"):
        run(floor_app(None if kind == "constant" else url), HOST, port)
        return
    engine = open_ledger(url)
    with Desk(partial(in_transaction, engine), now, wake=lambda: wake(engine, PUBLISH)) as desk:
        run(create_app(desk, Tokens({POOL: [("TOKEN", SecretStr(TOKEN))]})), HOST, port)
    engine.dispose()


def floor_app(url: str | None) -> Callable[..., Awaitable[None]]:
    """The least an ASGI app can do; with `url`, one bare conditional UPDATE a request as well."""
    free: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()
    answer = b'{"status":"held"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]

    async def open_connections() -> None:
        assert url is not None
        address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        for _ in range(16):
            free.put_nowait(await psycopg.AsyncConnection.connect(address, autocommit=True, prepare_threshold=0))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                if url is not None:
                    await open_connections()
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        if url is not None and body:
            connection = await free.get()
            sku = json.loads(body)["lines"][0]["sku"]
            done = await connection.execute(
                "UPDATE floor SET quantity = quantity - 1 WHERE sku = %s AND quantity >= 1", (sku,)
            )
            assert done.rowcount == 1
            free.put_nowait(connection)
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


# The clients' process


class Connection(asyncio.Protocol):
    """One kept connection: `ask` sends bytes and gives the status of the answer. As little else as can be."""

    def __init__(self) -> None:
        self._buffer = b""
        self._waiting: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        place = self._buffer.lower().index(b"content-length:", 0, head)
        length = int(self._buffer[place + 15 : self._buffer.index(b"\r\n", place)])
        if len(self._buffer) >= head + 4 + length and self._waiting:
            status, self._buffer = int(self._buffer[9:12]), b""
            self._waiting.set_result(status)

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionError("closed"))

    def ask(self, request: bytes) -> "asyncio.Future[int]":
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._waiting


def request_of(path: str, document: Any) -> bytes:
    body = json.dumps(document).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def drive(port: int, load: Load, commits: bool) -> tuple[list[float], int, int, float]:
    """(milliseconds of each hold that was measured, holds in all, units in all, seconds measured)."""
    loop = asyncio.get_running_loop()
    measured_from = time.perf_counter() + load.warm_up
    end = measured_from + load.seconds
    times: list[float] = []
    holds = units = 0

    async def client(number: int) -> None:
        nonlocal holds, units
        _, connection = await loop.create_connection(Connection, HOST, port)
        for turn, lines in enumerate(orders_of(load, seed=number)):
            key = f"{number}-{turn}"
            asked = [{"sku": sku, "quantity": n} for sku, n in lines]
            request = request_of("/v1/reservations", {"key": key, "lines": asked, "ttl_seconds": 3600})
            started = time.perf_counter()
            if started >= end:
                break
            status = await connection.ask(request)
            if status != 201:
                raise RuntimeError(f"answered {status}")
            if started >= measured_from:
                times.append((time.perf_counter() - started) * 1000)
            holds, units = holds + 1, units + len(lines)
            if commits:
                request = request_of(f"/v1/reservations/{key}/commit", {"order_id": key})
                assert await connection.ask(request) == 200
        connection.transport.close()

    await asyncio.gather(*(client(number) for number in range(load.clients)))
    return times, holds, units, time.perf_counter() - measured_from


@contextmanager
def service(kind: str, url: str) -> Iterator[int]:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.reservation_api", "--serve", kind, url, str(port)]
    process = subprocess.Popen(command)  # noqa: S603 - this program
    try:
        deadline = time.monotonic() + 30
        while True:
            with suppress(OSError):
                socket.create_connection((HOST, port), timeout=1).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the {kind} service did not start")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def measure(quick: bool, say: Say) -> Result:
    """For the registry: holds and sales, beside the update by HTTP; with the time to the answer."""
    rounds, seconds, some = (1, 0.2, (2,)) if quick else (3, 1.5, CLIENTS)
    result = Result()
    with laboratory() as lab:
        for clients in some:
            say(f"{clients} connections")
            load = Load(clients, "spread", seconds)
            found = [{kind: measured(lab, kind, load) for kind in KINDS} for _ in range(rounds)]
            beside = [one["update"][0] for one in found]
            for kind in KINDS:
                rates, p50, p99 = (list(column) for column in zip(*(one[kind] for one in found), strict=True))
                result.add(
                    f"{kind} by HTTP, {clients} connections", "1/s", rates, series=kind, x=clients,
                    beside="" if kind == "update" else "update by HTTP", floor=[] if kind == "update" else beside,
                )  # fmt: skip
                if kind == "hold":
                    result.add(f"hold by HTTP, {clients} connections: answered, median", "ms", p50)
                    result.add(f"hold by HTTP, {clients} connections: answered, 99 of 100", "ms", p99)
    return result


def measured(lab: Laboratory, kind: str, load: Load) -> tuple[float, float, float]:
    """(holds per second, p50, p99 in milliseconds); audited."""
    url = lab.fresh()
    with service(kind, url) as port:
        times, holds, units, seconds = asyncio.run(drive(port, load, commits=kind == "hold and commit"))
    engine = open_ledger(url)
    if kind == "update":
        audit_floor(engine, holds)
    else:
        audit(engine, **({} if kind == "constant" else {"held": holds, "units": units}))
    engine.dispose()
    times.sort()
    return len(times) / seconds, times[len(times) // 2], times[int(len(times) * 0.99)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.reservation_api", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--serve", nargs=3, metavar=("KIND", "URL", "PORT"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.serve:
        serve(chosen.serve[0], chosen.serve[1], int(chosen.serve[2]))
        return 0
    load_before = os.getloadavg()[0]
    table = Table(title="Holds over loopback HTTP, 1 to 3 lines each, beside floors of the same run")
    for heading in ("what", "clients", "1/s", "min", "max", "p50 ms", "p99 ms", "x update"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    with laboratory() as lab:
        for clients in chosen.clients:
            load = Load(clients, "spread", chosen.seconds)
            rounds = [{kind: measured(lab, kind, load) for kind in KINDS} for _ in range(chosen.rounds)]
            beside = median(one["update"][0] for one in rounds)
            for kind in KINDS:
                rates, p50, p99 = zip(*(one[kind] for one in rounds), strict=True)
                rate = median(rates)
                table.add_row(kind, str(clients), f"{rate:,.0f}", f"{min(rates):,.0f}", f"{max(rates):,.0f}",
                              f"{median(p50):.2f}", f"{median(p99):.2f}", f"{rate / beside:.2f}")  # fmt: skip
    console = Console(width=110)
    console.print(table)
    console.print(f"{os.cpu_count()} cores, load {load_before:.1f} before and {os.getloadavg()[0]:.1f} after. Audited.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
