"""Unit of work, retry and migration on a real PostgreSQL."""

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from adapters.database import (
    MIGRATIONS,
    SESSION_LIMITS,
    create_engine,
    in_transaction,
    migrate,
    revisions,
    unit_of_work,
)
from adapters.embedded_postgres import EmbeddedPostgres

ENVIRONMENT = """
from alembic import context
context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
"""

REVISION = """
from alembic import op
revision = "{revision}"
down_revision = {before}
branch_labels = None
depends_on = None

def upgrade() -> None:
    op.execute("{statement}")
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="onhand-test-") as name, EmbeddedPostgres(Path(name)) as server:
        yield server.url


@pytest.fixture(scope="module")
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url, application_name="onhand tests")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE account (name text PRIMARY KEY, units int NOT NULL)"))
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def _fresh(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE account"))
        connection.execute(text("INSERT INTO account VALUES ('a', 10), ('b', 10)"))


def units(engine: Engine, name: str = "a") -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT units FROM account WHERE name = :n"), {"n": name}).scalar_one())


def take(connection: Connection, name: str = "a") -> None:
    connection.execute(text("UPDATE account SET units = units - 1 WHERE name = :n"), {"n": name})


def test_connections_say_who_they_are(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.execute(text("SHOW application_name")).scalar_one() == "onhand tests"


def test_a_unit_of_work_commits_at_its_end(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        take(connection)
        assert units(engine) == 10
    assert units(engine) == 9


def test_a_unit_of_work_that_raises_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(KeyError), unit_of_work(engine) as connection:
        take(connection)
        raise KeyError
    assert units(engine) == 10


def test_a_serialization_failure_is_tried_again(engine: Engine) -> None:
    calls = []

    def work(connection: Connection) -> str:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        seen = connection.execute(text("SELECT units FROM account WHERE name = 'a'")).scalar_one()
        calls.append(seen)
        if len(calls) == 1:
            with unit_of_work(engine) as other:
                take(other)
        take(connection)
        return "done"

    assert in_transaction(engine, work) == "done"
    assert calls == [10, 9]
    assert units(engine) == 8


def test_a_deadlock_is_tried_again(engine: Engine) -> None:
    both_hold_one = threading.Barrier(2)
    calls: list[str] = []

    def crossing(first: str, second: str) -> None:
        def work(connection: Connection) -> None:
            calls.append(first)
            take(connection, first)
            if calls.count(first) == 1:
                both_hold_one.wait(10)
            take(connection, second)

        in_transaction(engine, work)

    threads = [threading.Thread(target=crossing, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(calls) == 3
    assert (units(engine, "a"), units(engine, "b")) == (8, 8)


def test_it_gives_up_after_the_attempts(engine: Engine) -> None:
    calls = []

    def work(connection: Connection) -> None:
        calls.append(1)
        take(connection)
        connection.execute(text("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$"))

    with pytest.raises(OperationalError, match="again"):
        in_transaction(engine, work, attempts=3)
    assert len(calls) == 3
    assert units(engine) == 10


def test_other_errors_are_not_tried_again(engine: Engine) -> None:
    calls = []

    def work(connection: Connection) -> None:
        calls.append(1)
        connection.execute(text("INSERT INTO account VALUES ('a', 1)"))

    with pytest.raises(IntegrityError):
        in_transaction(engine, work)
    assert len(calls) == 1


def test_a_connection_that_the_server_dropped_is_replaced(engine: Engine) -> None:
    with engine.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with engine.connect() as first, engine.connect() as second:
        killer = second if first.execute(text("SELECT pg_backend_pid()")).scalar_one() == pid else first
        killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        for connection in (first, second):
            if connection is not killer:
                connection.invalidate()
    assert units(engine) == 10


def make_scripts(folder: Path, *statements: str) -> Path:
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENVIRONMENT)
    for number, statement in enumerate(statements, 1):
        before = repr(str(number - 1)) if number > 1 else "None"
        script = REVISION.format(revision=number, before=before, statement=statement)
        (folder / "versions" / f"{number}.py").write_text(script)
    return folder


def test_migrating_reaches_the_head_once(url: str, engine: Engine, tmp_path: Path) -> None:
    scripts = make_scripts(tmp_path / "100% mine", "CREATE TABLE one (n int)", "CREATE TABLE two (n int)")
    with engine.connect() as connection:
        assert revisions(connection, scripts) == (set(), {"2"})
    threads = [threading.Thread(target=migrate, args=(url, scripts)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with engine.begin() as connection:
        assert revisions(connection, scripts) == ({"2"}, {"2"})
        connection.execute(text("DROP TABLE one, two, alembic_version"))


def test_a_migration_that_fails_leaves_nothing(url: str, engine: Engine, tmp_path: Path) -> None:
    scripts = make_scripts(tmp_path / "bad", "CREATE TABLE one (n int)", "SELECT no_such_function()")
    with pytest.raises(Exception, match="no_such_function"):
        migrate(url, scripts)
    with engine.connect() as connection:
        assert revisions(connection, scripts) == (set(), {"2"})
        assert connection.execute(text("SELECT to_regclass('one')")).scalar_one() is None


@pytest.mark.skipif(not (MIGRATIONS / "env.py").exists(), reason="there are no migrations yet")
def test_our_own_migrations_run(url: str, engine: Engine) -> None:
    migrate(url)
    with engine.connect() as connection:
        present, wanted = revisions(connection)
    assert present == wanted


def test_what_hangs_ends_one_day_and_an_error_quotes_no_value(url: str) -> None:
    def shown(address: str, name: str) -> str:
        engine = create_engine(address, pool_size=1)
        try:
            with engine.connect() as connection:
                return str(connection.execute(text(f"SHOW {name}")).scalar_one())
        finally:
            engine.dispose()

    limits = {name: shown(url, name) for name in SESSION_LIMITS}
    assert limits == SESSION_LIMITS
    assert shown(f"{url}{'&' if '?' in url else '?'}options=-c%20lock_timeout%3D5s", "lock_timeout") == "5s"
    engine = create_engine(url, pool_size=1)
    with pytest.raises(OperationalError) as caught, engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = '50ms'"))
        connection.execute(text("SELECT pg_sleep(600), CAST(:value AS text)"), {"value": "told-to-nobody"})
    assert "told-to-nobody" not in str(caught.value)
    engine.dispose()


def test_a_connection_that_lay_unused_is_asked_for_before_use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, other = create_engine(url, pool_size=1), create_engine(url, pool_size=1)

    def backend() -> int:
        with engine.connect() as connection:
            return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())

    monkeypatch.setattr("adapters.database._SURELY_THERE_S", -1.0)
    first = backend()
    assert backend() == first
    with other.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": first})
    second = backend()
    assert second != first, "replaced, and nobody noticed"
    monkeypatch.setattr("adapters.database._SURELY_THERE_S", 3600.0)
    assert backend() == second
    with other.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": second})
    with pytest.raises(OperationalError):
        backend()
    assert backend() not in (first, second), "one use notices, the next has another"
    engine.dispose()
    other.dispose()
