"""A ledger to measure on: an embedded PostgreSQL of its own, and a fresh database for every measurement.

Every database is a copy of one template: 1,000 SKUs with stock at one location, two channels, a listing of
each SKU, and the tables of the floor and of the peers' pattern. So each measurement begins with the same tables
and the same statistics.
"""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from adapters.database import create_engine as create_ledger_engine
from adapters.database import migrate
from adapters.embedded_postgres import EmbeddedPostgres
from benchmarks.peer_pattern import Base
from inventory import setup
from inventory.holds.hold_terms import release
from inventory.holds.reservations import HoldRequest, reserve
from inventory.ledger.stock import receive
from inventory.words import WriteMode

SKUS = [f"SKU-{number:04d}" for number in range(1000)]
LOCATION = "warehouse"
POOL = "website"
"""A channel that asks before it sells."""
BLIND = "marketplace"
"""A channel whose orders are pulled."""
STOCK = 1_000_000
"""Units of each SKU: more than a measurement can sell."""

FLUSHES = {"disk": 0, "4 ms flush": 4000}
"""{how a commit becomes durable: microseconds that PostgreSQL waits before each flush of its log}. The first
is the disk of the machine as it is; a virtual one may answer at once from a cache. The second has the pace of
a disk that really writes: a wait before the flush, shared by all who commit meanwhile, is what such a disk does."""


def now() -> datetime:
    return datetime.now(UTC)


class Laboratory:
    """The server, and how to get a fresh ledger from it."""

    def __init__(self, url: str) -> None:
        self.template = make_url(url).set(database="template_bench")
        self._admin = create_engine(make_url(url), poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._numbers = itertools.count(1)
        with self._admin.connect() as connection:
            connection.execute(text("CREATE DATABASE template_bench"))
        migrate(self.template)
        engine = create_ledger_engine(self.template, poolclass=NullPool)
        with engine.begin() as connection:
            stock(connection)
            connection.execute(text("CREATE TABLE floor (sku text PRIMARY KEY, quantity bigint CHECK (quantity >= 0))"))
            connection.execute(text("INSERT INTO floor SELECT sku, :n FROM item"), {"n": STOCK})
            Base.metadata.create_all(connection)
            connection.execute(text("INSERT INTO peer_stock SELECT sku, :n FROM item"), {"n": STOCK})
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(
                text("VACUUM ANALYZE item, balance, floor, peer_stock")
            )

    def fresh(self, flush: str = "disk") -> str:
        """URL of a new copy of the template; `flush` is one of FLUSHES."""
        name = f"bench_{next(self._numbers)}"
        with self._admin.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE template_bench'))
            if FLUSHES[flush]:
                connection.execute(text(f'ALTER DATABASE "{name}" SET commit_delay = {FLUSHES[flush]}'))
                connection.execute(text(f'ALTER DATABASE "{name}" SET commit_siblings = 0'))
        return self.template.set(database=name).render_as_string(hide_password=False)

    def settings(self) -> dict[str, str]:
        names = ["server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "wal_level"]
        with self._admin.connect() as connection:
            return {name: str(connection.execute(text(f"SHOW {name}")).scalar_one()) for name in names}


_open: list[Laboratory] = []


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    """A server of its own; within another one's block, that one."""
    if _open:
        yield _open[-1]
        return
    with tempfile.TemporaryDirectory(prefix="onhand-bench-") as folder, EmbeddedPostgres(Path(folder)) as server:
        _open.append(Laboratory(server.url))
        try:
            yield _open[-1]
        finally:
            _open.pop()


def open_ledger(url: str) -> Engine:
    """As the application opens it."""
    return create_ledger_engine(url, application_name="onhand bench", pool_size=4)


def stock(connection: Connection) -> None:
    setup.add_locations(connection, [LOCATION])
    setup.add_items(connection, {sku: "" for sku in SKUS})
    for channel in (POOL, BLIND):
        setup.add_channel(connection, setup.ChannelSetup(channel, "bench", WriteMode.ABSOLUTE, (LOCATION,)))
    setup.add_listings(connection, BLIND, [(sku, sku, 1) for sku in SKUS])
    receive(connection, [(sku, LOCATION, STOCK) for sku in SKUS], receipt="first", now=now())
    # As in any ledger that has been used, the rows of reserved units exist.
    everything = HoldRequest("first", POOL, tuple((sku, 1) for sku in SKUS), timedelta(hours=1))
    reserve(connection, [everything], now=now())
    release(connection, [everything.holder], now=now())
