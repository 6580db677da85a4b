"""`onhand migrate`: bring the ledger's tables to the newest version, before the new processes start."""

from adapters.database import create_engine, database_url, migrate, revisions
from adapters.settings import settings
from onhand.commands.ledger_access import LedgerUnreachable


def run_migrate() -> int:
    """Print what was done. Raises LedgerUnreachable for an embedded ledger, which migrates by itself."""
    configured = settings()
    if configured.database_url is None:
        raise LedgerUnreachable("ONHAND_DATABASE_URL is not set: the embedded ledger is migrated by `onhand up`")
    url = database_url(configured)
    engine = create_engine(url, application_name="onhand migrate", pool_size=1)
    try:
        with engine.connect() as connection:
            before, wanted = revisions(connection)
        if before == wanted:
            print(f"the ledger is at {_named(wanted)} already")
            return 0
        migrate(url)
    finally:
        engine.dispose()
    print(f"the ledger went from {_named(before)} to {_named(wanted)}")
    return 0


def _named(revisions: set[str]) -> str:
    return ", ".join(sorted(revisions)) or "nothing"
