"""How a command reaches the ledger that is there: never starts anything, and says in one line what is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from adapters.database import create_engine, database_url, revisions
from adapters.embedded_postgres import EmbeddedPostgres
from adapters.settings import Settings, read_settings

STAGES = ("up", "demo")
"""Folders in the data folder where `onhand up` and `onhand demo` keep the ledger of the imitated shops."""


class LedgerUnreachable(Exception):
    """There is no ledger to ask, or not one of this version. The message says what to do."""


@contextmanager
def reach_ledger() -> Iterator[Engine]:
    """The ledger of the settings, reachable and migrated. Raises `LedgerUnreachable`, `SettingsError`."""
    engine = create_engine(_url(read_settings()), application_name="onhand command", poolclass=NullPool)
    try:
        try:
            with engine.connect() as connection:
                present, wanted = revisions(connection)
        except OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise LedgerUnreachable(f"the ledger cannot be reached ({reason}): see `onhand doctor`") from error
        if present != wanted:
            raise LedgerUnreachable(
                "the ledger is of another version: `onhand migrate` migrates it; the embedded one, `onhand up`"
            )
        yield engine
    finally:
        engine.dispose()


def _url(settings: Settings) -> str:
    """The ledger that is configured, or the embedded one that runs: the seller's own, else that of `up` or `demo`."""
    if settings.database_url is not None:
        return database_url(settings)
    for folder in (settings.data_dir, *(settings.data_dir / stage for stage in STAGES)):
        server = EmbeddedPostgres(folder)
        if server.is_running():
            return server.url
    raise LedgerUnreachable("the ledger is not running: start it with `onhand up`, or set ONHAND_DATABASE_URL")
