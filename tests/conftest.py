"""One embedded PostgreSQL for the session, and a fresh, migrated database for each test that asks for one.

And how the files are shared out when several processes run them (`--dist loadfile`).
"""

import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine, text

from adapters.database import create_engine, migrate
from adapters.embedded_postgres import EmbeddedPostgres

SHARED = Path(__file__).resolve().parents[2] / "shared"
_MEMORY = Path("/dev/shm")
_ROOM = 4 * 2**30
"""Bytes that must be free; a run takes up to a quarter of it."""
ON_THE_MARKET = ("test_flows.py", "test_user_interface.py", "test_up_advice.py")
"""They trade on one running stack, so one process runs them all: starting it takes 20 s of a core."""
LONGEST_FIRST = (
    *ON_THE_MARKET,
    "test_calibrated_keeps_epsilon.py",
    "test_gate_equivalence.py",
    "test_services_schemathesis.py",
    "test_credential_blocks.py",
    "test_embedded_postgres.py",
    "test_stack.py",
    "test_portal_contract.py",
    "test_benchmarks.py",
    "test_replay_command.py",
    "test_kill_nine.py",
    "test_trace_ledger.py",
    "test_amazon_contract.py",
    "test_reservation_model.py",
    "test_onboarding_flows.py",
    "test_publishing.py",
    "test_amazon_publishing.py",
    "test_ebay_publishing.py",
    "test_mixed_faults.py",
)
"""Files of more than about ten seconds: left to the end, one would keep one core while the other has nothing to do."""
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order within a file stays."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile` in our order; by itself it begins with the files that have the most tests."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class OneMarket(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = str(super()._split_scope(nodeid))
            return "the market" if Path(file).name in ON_THE_MARKET else file

    config.option.loadscopereorder = False
    return OneMarket(config, log)


def _work_in_memory() -> None:
    """Databases live for one test: the 500 files of each cost a disk ten times what they cost memory.

    Nothing here pulls the plug, so nothing is tried less. With TMPDIR set everything is there, and what failed stays.
    """
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK | os.X_OK):
        return
    if min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available) > _ROOM:
        # The paths of sockets are to be short. Other processes of this run inherit the folder.
        folder = os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="oh-", dir=_MEMORY)
        tempfile.tempdir = None
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


_work_in_memory()


@pytest.fixture(scope="session")
def _server() -> Iterator[Engine]:
    """A server of this session's own, with the database `template_ledger` migrated to the newest revision."""
    with tempfile.TemporaryDirectory(prefix="onhand-test-") as folder:
        server = EmbeddedPostgres(Path(folder))
        server.start(timeout=120)
        with server:
            admin = create_engine(server.url, pool_size=1, isolation_level="AUTOCOMMIT")
            _do(admin, "CREATE DATABASE template_ledger")
            migrate(_url(admin, "template_ledger"))
            yield admin
            admin.dispose()


def _do(admin: Engine, statement: str) -> None:
    with admin.connect() as connection:
        connection.execute(text(statement))


def _url(admin: Engine, database: str) -> str:
    return admin.url.set(database=database).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres(_server: Engine) -> str:
    """URL of the template database."""
    return _url(_server, "template_ledger")


@pytest.fixture
def database_url(_server: Engine) -> Iterator[str]:
    """URL of a database of this test's own."""
    name = f"ledger_{os.getpid()}_{next(_numbers)}"
    _do(_server, f'CREATE DATABASE "{name}" TEMPLATE template_ledger')
    yield _url(_server, name)
    _do(_server, f'DROP DATABASE "{name}" WITH (FORCE)')


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
