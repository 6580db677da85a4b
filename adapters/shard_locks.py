"""Which shards of the work this process has: advisory locks of the database that all processes share.

Nobody hands out shards, and nothing is stored. Each process that wants to work announces itself by a shared lock,
counts the others, and takes its fair part of what is free by one lock a shard. The locks end with the session, so the
shards of a process that was killed are free at once, and those of a machine that vanished within half a minute. Needs a
session of its own at the server, as `adapters.wakeups`.
"""

import logging
import secrets
import time
from contextlib import suppress
from types import TracebackType
from typing import Any

import psycopg
from sqlalchemy import Engine

from inventory.publishing.outbox import PUBLISHERS

log = logging.getLogger(__name__)

MOST_SHARDS = 64
_PRESENT = 0x6F6E6861
"""First key of the shared lock by which a process announces itself; the second is the number of shards."""
_HELD = 0x6F6E6862
"""First key of a shard's lock; the second is 1,000 times the number of shards, plus the shard: locks for another
number of shards are other locks, so that both may be at work while the number changes."""
_LONGEST_PAUSE = 30.0
_LARGEST_KEY = 2**31 - 1
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_ENDS_WHEN_SILENT = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"

_OTHERS = """
SELECT pid, pid = pg_backend_pid() FROM pg_locks
WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND objsubid = 2 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY pid
"""


def fair_part(shards: int, processes: int, rank: int) -> int:
    """How many shards the process with that rank (from 0) is due; together they are due all."""
    return shards // processes + (rank < shards % processes)


class ShardLocks:
    """For one thread. `look` says which shards are held now; without the database it is none."""

    def __init__(self, engine: Engine, shards: int) -> None:
        if not 1 <= shards <= MOST_SHARDS:
            raise ValueError(f"from 1 to {MOST_SHARDS} shards, not {shards}")
        self._engine, self._shards = engine, shards
        self._connection: psycopg.Connection[Any] | None = None
        self._held: set[int] = set()
        self._present: set[int] = set()
        self.number = secrets.randbelow(_LARGEST_KEY) + 1
        """Second key of the lock `inventory.publishing.outbox.PUBLISHERS` that this process holds for as long as it
        lives."""
        self.somebody_left = False
        """At the last look, or nobody knows: it was the first."""
        self._pause, self._not_before = 1.0, 0.0

    def __enter__(self) -> "ShardLocks":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def look(self) -> frozenset[int]:
        """Take what is free up to a fair part, give back what is more, and say what is held. Call it every second or
        so. It costs one statement when nothing changed."""
        try:
            connection = self._connected()
            if connection is not None:
                self._balance(connection)
                self._pause = 1.0
        except psycopg.Error as error:
            log.warning("which shards are whose cannot be asked: %s", type(error).__name__)
            self.close()
            self._not_before = time.monotonic() + self._pause
            self._pause = min(_LONGEST_PAUSE, 2 * self._pause)
        return frozenset(self._held)

    def close(self) -> None:
        """Gives all shards back."""
        self._held.clear()
        self._present.clear()
        self.somebody_left = False
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection[Any] | None:
        if self._connection is None and time.monotonic() >= self._not_before:
            arguments, options = self._engine.dialect.create_connect_args(self._engine.url)
            settings = {**options, **_KEEPALIVE, "connect_timeout": 5, "application_name": "onhand shards"}
            settings["options"] = f"{options.get('options', '')} {_ENDS_WHEN_SILENT}".strip()
            self._connection = psycopg.connect(*arguments, **settings, autocommit=True)
            self._connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (PUBLISHERS, self.number))
            self._connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", (_PRESENT, self._shards))
        return self._connection

    def _balance(self, connection: psycopg.Connection[Any]) -> None:
        present = connection.execute(_OTHERS, (_PRESENT, self._shards)).fetchall()
        pids = {pid for pid, _ in present}
        self.somebody_left = not self._present <= pids or not self._present
        self._present = pids
        rank = next(number for number, (_, mine) in enumerate(present) if mine)
        due = fair_part(self._shards, len(present), rank)
        for shard in sorted(self._held)[due:]:
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", (_HELD, self._key(shard)))
            self._held.discard(shard)
        for shard in range(self._shards):
            if len(self._held) >= due:
                break
            if shard not in self._held and self._take(connection, shard):
                self._held.add(shard)

    def _take(self, connection: psycopg.Connection[Any], shard: int) -> bool:
        row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (_HELD, self._key(shard))).fetchone()
        assert row is not None
        return bool(row[0])

    def _key(self, shard: int) -> int:
        return 1000 * self._shards + shard
