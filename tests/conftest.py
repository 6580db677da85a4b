"""One embedded PostgreSQL for the session, and a fresh, migrated database for each test that asks for one."""

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.pool import NullPool

from adapters.database import create_engine, migrate
from adapters.embedded_postgres import EmbeddedPostgres

SHARED = Path(__file__).resolve().parents[2] / "shared"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of an empty server's template database, migrated to the newest revision."""
    with tempfile.TemporaryDirectory(prefix="onhand-test-") as folder, EmbeddedPostgres(Path(folder)) as server:
        admin = create_engine(server.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text("CREATE DATABASE template_ledger"))
        url = make_url(server.url).set(database="template_ledger").render_as_string(hide_password=False)
        migrate(url)
        yield url


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """URL of a database of this test's own."""
    name = f"ledger_{os.getpid()}_{next(_numbers)}"
    admin = create_engine(make_url(postgres).set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE template_ledger'))
    yield make_url(postgres).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url, pool_size=20)
    yield engine
    engine.dispose()


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED.name} (vendors' specifications and the order trace) is not beside the project")
    return SHARED
