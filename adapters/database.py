"""The ledger's database: engine, unit of work, retry of what the database asks to be retried, migration."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import URL, Connection, Dialect, Engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from adapters.embedded_postgres import EmbeddedPostgres
from adapters.settings import PROJECT_ROOT, Settings

MIGRATIONS = PROJECT_ROOT / "inventory" / "migrations"

RETRIABLE = frozenset({"40001", "40P01"})
"""SQLSTATEs after which the same transaction may succeed: serialization failure, deadlock."""

SESSION_LIMITS = {
    "statement_timeout": "30min",
    "lock_timeout": "10min",
    "idle_in_transaction_session_timeout": "30min",
}
"""Far above everything that goes well: what hangs ends one day, and lets go of what others wait for."""

_UNUSED_SINCE = "onhand unused since"
_SURELY_THERE_S = 0.1
"""Seconds for which a connection that was just used is taken to be there still."""

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 1.0
_MIGRATION_LOCK = 0x6F6E68616E64
"""Advisory lock, so that processes that start together migrate one after the other."""

Result = TypeVar("Result")


def database_url(settings: Settings) -> str:
    """Where the ledger is, with the password. Of the embedded server: the URL, running or not."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return EmbeddedPostgres(settings.data_dir).url


def create_engine(url: str | URL, *, application_name: str = "onhand", pool_size: int = 10, **options: Any) -> Engine:
    """An engine for PostgreSQL with psycopg 3. `options` go to SQLAlchemy and win.

    `pool_size` connections are kept, as many again are opened under load; a connection that the
    server closed while nobody used it is replaced before use. `application_name` is shown by pg_stat_activity.
    """
    parsed = make_url(url)
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    defaults: dict[str, Any] = {
        "pool_size": pool_size,
        "max_overflow": pool_size,
        "pool_timeout": 30,
        "pool_recycle": 1800,
        # The values of a statement that fails would stand in its error.
        "hide_parameters": True,
        "connect_args": {"application_name": application_name, "connect_timeout": 10, "options": _session(parsed)},
    }
    if "poolclass" in options:
        for name in ("pool_size", "max_overflow", "pool_timeout"):
            del defaults[name]
    engine = sqlalchemy.create_engine(parsed, **{**defaults, **options})
    event.listen(engine, "checkin", _lay_down)
    event.listen(engine, "checkout", partial(_ask_whether_it_is_there, engine.dialect))
    event.listen(engine, "connect", _send_lists_as_binary)
    return engine


def _lay_down(connection: object, record: ConnectionPoolEntry) -> None:
    record.info[_UNUSED_SINCE] = time.monotonic()


def _ask_whether_it_is_there(
    dialect: Dialect, connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: object
) -> None:
    """As SQLAlchemy's `pool_pre_ping`, but not where it was used a moment ago: asking takes as long as a statement."""
    since = record.info.get(_UNUSED_SINCE)
    if since is not None and time.monotonic() - since > _SURELY_THERE_S:
        try:
            dialect.do_ping(connection)
        except psycopg.Error as error:
            raise InvalidatePoolError from error


def _session(url: URL) -> str:
    """A plan that was kept since a table was small reads all of it when it has grown: plan for what is there."""
    given = url.query.get("options", ())
    # The later of two wins: whoever states a limit in the URL has it.
    limits = [f"-c {name}={value}" for name, value in SESSION_LIMITS.items()]
    return " ".join([*limits, *([given] if isinstance(given, str) else given), "-c plan_cache_mode=force_custom_plan"])


def _send_lists_as_binary(connection: "psycopg.Connection[Any]", record: object) -> None:
    """Set-wise statements take whole columns as arrays; as text they cost three times as much to write and read."""
    connection.adapters.register_dumper(list, ListBinaryDumper)


@contextmanager
def unit_of_work(engine: Engine) -> Iterator[Connection]:
    """One transaction: committed at the end of the block, rolled back when it raises."""
    with engine.begin() as connection:
        yield connection


def in_transaction(engine: Engine, work: Callable[[Connection], Result], attempts: int = 5) -> Result:
    """Run `work` in a transaction of its own, again from the start when the database asks for it.

    `work` may run up to `attempts` times, so its only lasting effect must be in the database. Every
    other error, and the last of the retriable ones, is raised as it came.
    """
    if attempts < 1:
        raise ValueError("attempts must be at least 1")
    for attempt in range(1, attempts + 1):
        try:
            with unit_of_work(engine) as connection:
                return work(connection)
        except DBAPIError as error:
            if attempt == attempts or sqlstate(error) not in RETRIABLE:
                raise
        # Full jitter: those who collided must not collide again.
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
        time.sleep(random.uniform(0, longest))  # noqa: S311 - not a secret
    raise AssertionError("unreachable")


def sqlstate(error: DBAPIError) -> str | None:
    """PostgreSQL's five-character code of an error, if the server gave one."""
    code = getattr(error.orig, "sqlstate", None)
    return code if isinstance(code, str) else None


def migrate(url: str | URL, scripts: Path = MIGRATIONS) -> None:
    """Bring the database to the newest revision, in one transaction. Without effect when it is there."""
    engine = create_engine(url, application_name="onhand migrate", poolclass=sqlalchemy.NullPool)
    try:
        with engine.begin() as connection:
            # A table may be large.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config = _config(scripts)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def revisions(connection: Connection, scripts: Path = MIGRATIONS) -> tuple[set[str], set[str]]:
    """The revisions that the database is at, and those it should be at; equal when it is migrated."""
    wanted = set(ScriptDirectory.from_config(_config(scripts)).get_heads())
    return set(MigrationContext.configure(connection).get_current_heads()), wanted


def _config(scripts: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
