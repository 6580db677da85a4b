"""The ground of the tests that play whole seeds: one database for all tests of a file, swept between two seeds."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from onhand.simulation.ground import Ground


@pytest.fixture(scope="module")
def swept_ground(_server: Engine) -> Iterator[Ground]:
    name = "simulated"
    with _server.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template_ledger"))
    ground = Ground(_server.url.set(database=name).render_as_string(hide_password=False))
    yield ground
    ground.close()
