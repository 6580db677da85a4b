"""Waking other processes over the database that they share: NOTIFY and LISTEN.

A wake-up is a hint that there is work, never the work: whoever waits looks for work now and then anyway, so a
wake-up that is lost costs a moment. Needs a session of its own at the server: through a pooler that hands
out transactions (PgBouncer in that mode) nothing is heard, and the beat is what is left.
"""

import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any

import psycopg
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger(__name__)

PUBLISH = "publish"
"""Something is dirty."""

_CHANNEL = "onhand"
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

_NOTIFY = text(
    "SELECT set_config('synchronous_commit', 'off', true), pg_notify(:channel, topic) "
    "FROM unnest(CAST(:topics AS text[])) AS given (topic)"
)


def pull_topic(channel: str) -> str:
    """Notices of this channel wait."""
    return f"pull:{channel}"


def wake(engine: Engine, *topics: str) -> bool:
    """Wake whoever waits for one of the topics. Call it AFTER the work's commit; False when it could not be said.

    Never as a part of the work's own transaction: a transaction that has notified takes a lock on the whole
    server's queue before its commit and holds it until the commit is on the disk, so that all commits of all
    who notify stand in one line. Alone, and without waiting for the disk, this holds that lock for microseconds.
    """
    if not topics:
        return True
    try:
        # A transaction of one statement needs no round trips of its own for its beginning and its end.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(_NOTIFY, {"channel": _CHANNEL, "topics": sorted(set(topics))})
    except SQLAlchemyError as error:
        # The work is committed, and will be found at the next beat.
        log.warning("nobody was woken: %s", type(error).__name__)
        return False
    return True


class Wakeups:
    """Waits for wake-ups of some topics, on a connection of its own. For one thread.

    Without a connection it waits for the whole time, and connects again in growing pauses. After each new
    connection it reports all its topics, because some may have been called while nobody listened.
    """

    def __init__(self, engine: Engine, topics: Iterable[str]) -> None:
        self._engine = engine
        self._topics = frozenset(topics)
        self._connection: psycopg.Connection[Any] | None = None
        self._pause = _FIRST_PAUSE
        self._not_before = 0.0

    def __enter__(self) -> "Wakeups":
        self._connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drop()

    def wait(self, timeout_s: float) -> set[str]:
        """The topics that were called since the last time, at once if there are any; else after `timeout_s` none."""
        end = time.monotonic() + timeout_s
        while True:
            if self._connection is not None:
                called = self._listen(max(0.0, end - time.monotonic()))
            else:
                time.sleep(max(0.0, min(end, self._not_before) - time.monotonic()))
                called = set(self._topics) if time.monotonic() >= self._not_before and self._connect() else set()
            if called or time.monotonic() >= end:
                return called

    def _listen(self, timeout_s: float) -> set[str]:
        assert self._connection is not None
        called: set[str] = set()
        try:
            for one in self._connection.notifies(timeout=timeout_s, stop_after=1):
                called.add(one.payload)
            if called:
                called.update(one.payload for one in self._connection.notifies(timeout=0))
        except psycopg.Error as error:
            log.warning("wake-ups are lost until the database is back: %s", type(error).__name__)
            self._drop()
            self._not_before = time.monotonic() + self._pause
        return called & self._topics

    def _connect(self) -> bool:
        arguments, options = self._engine.dialect.create_connect_args(self._engine.url)
        settings = {"connect_timeout": 5, **_KEEPALIVE, **options, "application_name": "onhand wake-ups"}
        try:
            self._connection = psycopg.connect(*arguments, **settings, autocommit=True)
            self._connection.execute(f"LISTEN {_CHANNEL}")
        except psycopg.Error as error:
            log.warning("cannot listen for wake-ups now: %s", type(error).__name__)
            self._drop()
            self._not_before = time.monotonic() + self._pause
            self._pause = min(_LONGEST_PAUSE, 2 * self._pause)
            return False
        self._pause = _FIRST_PAUSE
        return True

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
