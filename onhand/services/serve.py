"""How our services are served: one process each, behind whatever ends TLS."""

import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import uvicorn
from rich.console import Console
from starlette.types import ASGIApp

from onhand.services.heads import LimitedHead
from onhand.services.log_lines import log_to_stderr


@runtime_checkable
class Closes(Protocol):
    def close(self) -> None: ...


KEEP_ALIVE_S = 30
STOP_S = 10
"""A stop waits so long for what is under way."""
CONNECTIONS = 1000
"""More at once are answered 503 by the server itself."""


def config(app: ASGIApp, host: str, port: int) -> uvicorn.Config:
    """The settings that every service has. Nothing of a request is logged: an address can hold a key."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="none",
        server_header=False,
        headers=[("cache-control", "no-store"), ("x-content-type-options", "nosniff")],
        backlog=512,
        limit_concurrency=CONNECTIONS,
        http=LimitedHead,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
        # Who asks is decided by secrets, never by an address that a proxy may have written.
        proxy_headers=False,
    )


def run(app: ASGIApp, host: str, port: int) -> int:
    """Serve until a signal; 0 after a wish to stop, 1 when it could not start."""
    server = uvicorn.Server(config(app, host, port))
    # What is there now stays: a collection that looked through it would keep everybody waiting.
    gc.collect()
    gc.freeze()
    server.run()
    return 0 if server.started else 1


def run_reservations(host: str, port: int) -> int:
    """`onhand reservations`: the channels of channels.toml that ask first and have a token."""
    from adapters.channels.registry import read_channels
    from adapters.database import database_url
    from adapters.pulse import pulse
    from adapters.settings import settings
    from onhand.services.reservation_setup import open_app, tokens_from
    from tasks.named_secrets import named_secret

    configured = settings()
    log_to_stderr(configured.log_level)
    tokens = tokens_from(read_channels(configured.channels_file), named_secret)
    console = Console()
    for code in sorted(tokens.channels):
        console.print(f"  {code} may ask at http://{host}:{port}/v1/reservations", highlight=False, soft_wrap=True)
    with open_app(configured, tokens) as app, pulse(database_url(configured), "service/reservations", host, port):
        return run(app, host, port)


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve in a thread, on a free port of loopback, and stop at the end; gives the base URL."""
    # asyncio turns Nagle's algorithm off only where the protocol is named; else each answer takes 40 ms.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.bind(("127.0.0.1", 0))
    bound.listen(512)
    server = uvicorn.Server(config(app, "127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="service", daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(STOP_S + 5)
        bound.close()


def run_intake(host: str, port: int) -> int:
    """`onhand intake`: the webhooks of every channel of channels.toml that has any."""
    from adapters.channels.registry import read_channels
    from adapters.database import create_engine, database_url
    from adapters.pulse import pulse
    from adapters.settings import settings
    from onhand.services.intake import create_app, limits_from
    from tasks.named_secrets import named_secret

    configured = settings()
    log_to_stderr(configured.log_level)
    receivers = {
        code: receiver
        for code, channel in read_channels(configured.channels_file).items()
        if (receiver := channel.webhooks(named_secret)) is not None
    }
    console = Console()
    for code in sorted(receivers):
        console.print(f"  {code}: http://{host}:{port}/webhooks/{code}", highlight=False, soft_wrap=True)
    if not receivers:
        console.print("  no channel of channels.toml has webhooks; see docs/operations.md", highlight=False)
    engine = create_engine(
        database_url(configured), application_name="onhand intake", pool_size=configured.database_pool_size
    )
    try:
        with pulse(database_url(configured), "service/intake", host, port):
            return run(create_app(engine, receivers, limits=limits_from(configured)), host, port)
    finally:
        engine.dispose()
        for receiver in receivers.values():
            if isinstance(receiver, Closes):
                receiver.close()
