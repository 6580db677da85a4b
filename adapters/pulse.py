"""How a service of ours says that it is alive: it asks itself, over its own port, and writes down that it answered.

A process that lives but no longer answers therefore falls silent. Nothing of this is in the way of the service.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from adapters.database import create_engine, unit_of_work
from adapters.http import make_client
from inventory.outages.liveness import beat, retire

log = logging.getLogger(__name__)

EVERY_S = 30.0
AGAIN_WITHIN = timedelta(minutes=2)


@contextmanager
def pulse(url: str, part: str, host: str, port: int, *, every_s: float = EVERY_S) -> Iterator[None]:
    """Within the block a thread says so again and again; at its end nobody waits for this process any more.

    `url`: of the ledger. `host`, `port`: where the service listens; its `/health` is asked.
    """
    instance = f"{socket.gethostname()}:{os.getpid()}"
    engine = create_engine(url, application_name="onhand pulse", poolclass=NullPool)
    stop = threading.Event()
    health = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}/health"  # noqa: S104 - compared only
    thread = threading.Thread(
        target=_go_on, args=(engine, part, instance, lambda: _answers(health), stop, every_s), name="pulse", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)
        try:
            with unit_of_work(engine) as connection:
                retire(connection, part, instance)
        except SQLAlchemyError as error:
            log.warning("%s could not say that it ends: %s", part, type(error).__name__)
        engine.dispose()


def _go_on(
    engine: Engine, part: str, instance: str, answers: Callable[[], bool], stop: threading.Event, every_s: float
) -> None:
    # The first time soon, when the service has begun to listen.
    pause = min(1.0, every_s)
    while not stop.wait(pause):
        pause = every_s
        if not answers():
            log.warning("%s does not answer its own question", part)
            continue
        try:
            with unit_of_work(engine) as connection:
                beat(connection, part, instance, now=datetime.now(UTC), again_within=AGAIN_WITHIN)
        except SQLAlchemyError as error:
            log.warning("%s could not say that it is alive: %s", part, type(error).__name__)


def _answers(url: str) -> bool:
    with make_client(base_url="", timeout_s=5.0) as client:
        try:
            return client.get(url).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False
