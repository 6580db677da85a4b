"""The migrations make exactly the tables that the models declare."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import Engine, inspect, make_url, text
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from adapters.database import create_engine, revisions
from adapters.settings import Settings
from inventory import tables, traffic_tables
from onhand.commands import migrate_command
from onhand.commands.ledger_access import LedgerUnreachable


def test_models_and_migrations_agree(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_every_check_of_the_models_is_in_the_database(engine: Engine) -> None:
    """Alembic does not compare check constraints."""
    with engine.connect() as connection:
        inspected = inspect(connection)
        for name, table in SQLModel.metadata.tables.items():
            declared = [one for one in table.constraints if type(one).__name__ == "CheckConstraint"]
            assert len(inspected.get_check_constraints(name)) == len(declared), name
    assert {tables.Movement.__tablename__, traffic_tables.Notice.__tablename__} <= set(SQLModel.metadata.tables)


def test_an_empty_database_comes_to_the_newest_revision_and_stays_there(
    postgres: str, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = make_url(database_url).database
    fresh = make_url(postgres).set(database=f"{name}_empty")
    admin = create_engine(make_url(postgres).set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{fresh.database}"'))
    engine = create_engine(fresh, poolclass=NullPool)
    try:
        configured = Settings(database_url=SecretStr(fresh.render_as_string(hide_password=False)))
        monkeypatch.setattr(migrate_command, "settings", lambda: configured)
        for said in ("went from nothing to", "is at"):
            assert migrate_command.run_migrate() == 0
            assert said in capsys.readouterr().out
            with engine.connect() as connection:
                present, wanted = revisions(connection)
                assert present == wanted
                assert set(SQLModel.metadata.tables) <= set(inspect(connection).get_table_names())
    finally:
        engine.dispose()
        with admin.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{fresh.database}" WITH (FORCE)'))


def test_an_embedded_ledger_is_not_migrated_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate_command, "settings", lambda: Settings(database_url=None))
    with pytest.raises(LedgerUnreachable, match="ONHAND_DATABASE_URL is not set"):
        migrate_command.run_migrate()
