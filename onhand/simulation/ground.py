"""The database that seeds are played on: one embedded server, one database, swept clean between two seeds."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
from sqlalchemy import event, text

from adapters.database import create_engine, migrate
from adapters.embedded_postgres import EmbeddedPostgres

VACUUM_EVERY = 100
"""Seeds: what was deleted is in the way of those that follow."""
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
_ROOM = 2 * 2**30
_SETTINGS = "-c synchronous_commit=off -c lock_timeout=5000"
"""Nobody pulls the plug here. A lock that is waited for while another process of ours has it would never be free."""


class OfAKilledProcess(psycopg.Connection[Any]):
    """Closed without a word when nobody has it any more, as the machine does with what a killed process had open."""

    def __del__(self) -> None:  # type: ignore[override]
        self.close()


def _close_quietly(connection: Any, record: object) -> None:
    connection.__class__ = OfAKilledProcess


class Ground:
    """`restart` is there where the server is ours."""

    def __init__(self, url: str, server: EmbeddedPostgres | None = None) -> None:
        self.engine = create_engine(url, pool_size=4, connect_args={"options": _SETTINGS})
        event.listen(self.engine, "connect", _close_quietly)
        self._server = server
        self._swept = 0
        with self.engine.connect() as connection:
            rows = connection.execute(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
            )
            names = sorted(row.tablename for row in rows)
            # What migrations put there belongs to the empty ledger.
            kept = [f"SELECT '{name}' AS name WHERE EXISTS (SELECT FROM \"{name}\")" for name in names]  # noqa: S608
            filled = {row.name for row in connection.execute(text(" UNION ALL ".join(kept)))}
        self._tables = [name for name in names if name not in filled]

    def sweep(self) -> None:
        """As if it had just been made. Triggers and foreign keys are not asked: the journal takes no deletion."""
        deletions = "; ".join(f'DELETE FROM "{name}"' for name in self._tables)  # noqa: S608
        with self.engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL session_replication_role = replica; {deletions}")
        self._swept += 1
        if self._swept % VACUUM_EVERY == 0:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))

    def restart(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server.start(timeout=120)

    def server_cpu(self) -> float:
        """Seconds that the server has used so far."""
        if self._server is None:
            return 0.0
        total = 0.0
        with suppress(psutil.Error, OSError, ValueError):
            first = psutil.Process(int((self._server.cluster / "postmaster.pid").read_text().split()[0]))
            ended = first.cpu_times()
            total = ended.user + ended.system + ended.children_user + ended.children_system
            for child in first.children():
                with suppress(psutil.Error):
                    spent = child.cpu_times()
                    total += spent.user + spent.system
        return total

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def own_ground() -> Iterator[Ground]:
    """A server of this process's own, gone at the end."""
    roomy = _MEMORY.is_dir() and min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available) > _ROOM
    with tempfile.TemporaryDirectory(prefix="onhand-sim-", dir=_MEMORY if roomy else None) as folder:
        server = EmbeddedPostgres(Path(folder))
        url = server.start(timeout=120)
        with server:
            migrate(url)
            ground = Ground(url, server)
            try:
                yield ground
            finally:
                ground.close()
