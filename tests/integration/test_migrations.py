"""The migrations make exactly the tables that the models declare."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, make_url, text
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from adapters.database import create_engine, migrate, revisions
from inventory import tables, traffic_tables


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


def test_an_empty_database_comes_to_the_newest_revision_and_stays_there(postgres: str, database_url: str) -> None:
    name = make_url(database_url).database
    fresh = make_url(postgres).set(database=f"{name}_empty")
    admin = create_engine(make_url(postgres).set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{fresh.database}"'))
    engine = create_engine(fresh, poolclass=NullPool)
    try:
        for _ in range(2):
            migrate(fresh)
            with engine.connect() as connection:
                present, wanted = revisions(connection)
                assert present == wanted
                assert set(SQLModel.metadata.tables) <= set(inspect(connection).get_table_names())
    finally:
        engine.dispose()
        with admin.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{fresh.database}" WITH (FORCE)'))
