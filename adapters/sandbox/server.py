"""Serve a sandbox app on loopback: in a thread for tests, or as a process.

ONHAND_SANDBOX_TOKEN=… python -m adapters.sandbox.server shopify --port 8101 --token-env ONHAND_SANDBOX_TOKEN
"""

import argparse
import importlib
import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from adapters.sandbox.books import Books, Kept
from adapters.sandbox.deliveries import Deliveries
from adapters.sandbox.shop import Shop

HOST = "127.0.0.1"
VENDORS = {
    name: f"adapters.sandbox.{name}.{name}"
    for name in ("amazon", "bigcommerce", "ebay", "portal", "shopify", "woocommerce")
}
"""Each module has `create_app(shop, …) -> Starlette` and `create_app_from_token(shop, token)`."""
STOP_S = 10.0


@contextmanager
def serve(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Run the app in a thread; gives its base URL (`port` 0 = any free one), stops it at the end.

    Calls that still hang are cut off at the stop, and so are the webhooks of an app that sends some.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        ws="none",
        # The date of an answer is the shop's own, which may be wrong: an app that needs one sets it.
        date_header=False,
        timeout_graceful_shutdown=0,
    )
    server = uvicorn.Server(config)
    bound = _listening(port)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="sandbox", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(STOP_S)
        bound.close()
        deliveries = getattr(getattr(app, "state", None), "deliveries", None)
        if isinstance(deliveries, Deliveries):
            deliveries.close()


def _listening(port: int) -> socket.socket:
    """asyncio turns Nagle's algorithm off only where the protocol is named; else each answer takes 40 ms."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    bound.listen()
    return bound


def app_for(vendor: str, shop: Shop, token: str) -> Starlette:
    """The vendor's app by name. `token` is its credential in one string (`key:secret` where it has two)."""
    module = importlib.import_module(VENDORS[vendor])
    app: Starlette = module.create_app_from_token(shop, token)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="adapters.sandbox.server", description="Run one imitated shop on loopback.")
    parser.add_argument("vendor", choices=sorted(VENDORS))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token-env", required=True, help="name of the environment variable with the credential")
    parser.add_argument("--books", type=Path, help="file that keeps what was sold when the process is killed")
    chosen = parser.parse_args(arguments)
    token = os.environ.get(chosen.token_env, "")
    if not token:
        print(f"set {chosen.token_env} to the credential that the shop should ask for", file=sys.stderr)
        return 2
    shop = Shop()
    app: ASGIApp = app_for(chosen.vendor, shop, token)
    if chosen.books is not None:
        app = Kept(app, Books(shop, chosen.books))
    uvicorn.run(
        app,
        host=HOST,
        port=chosen.port,
        log_level="warning",
        access_log=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
