"""The embedded server: idempotent, shared, owned by one, and hard to break by killing."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from adapters.embedded_postgres import DATABASE, EmbeddedPostgres, EmbeddedPostgresError
from adapters.server_account import ServerAccount

ROOT = Path(__file__).resolve().parents[2]

STARTER = """
import sys
from pathlib import Path
from adapters.embedded_postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.started_here, flush=True)
sys.stdin.read()
server.stop()
"""


def libpq(server: EmbeddedPostgres) -> str:
    return server.url.replace("+psycopg", "")


def ask(server: EmbeddedPostgres, statement: str) -> object:
    with psycopg.connect(libpq(server)) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]


def start_elsewhere(folder: Path) -> "tuple[subprocess.Popen[str], bool]":
    """Another process that starts the server and holds it until its input ends; did it become the owner?"""
    child = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(folder)],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    return child, child.stdout.readline().strip() == "True"


def finish(child: "subprocess.Popen[str]") -> None:
    child.communicate(timeout=120)
    assert child.returncode == 0


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="onhand-test-") as name:
        yield Path(name)


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A server that this process owns; the cluster is made once for the module."""
    found = EmbeddedPostgres(folder)
    found.start()
    yield found
    EmbeddedPostgres(folder).start()
    found.started_here = True
    found._own()
    found.stop()
    assert not found.is_running()


def test_it_is_postgresql_18_set_for_durability(server: EmbeddedPostgres) -> None:
    assert str(ask(server, "SHOW server_version")).startswith("18")
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "shared_buffers": "256MB",
        "max_connections": "200",
        "jit": "off",
        "TimeZone": "UTC",
        "listen_addresses": "",
    }
    assert {name: ask(server, f"SHOW {name}") for name in wanted} == wanted
    assert ask(server, "SELECT string_agg(x, '' ORDER BY x) FROM (VALUES ('a'), ('B'), ('é'), ('_')) t(x)") == "B_aé"


def test_only_its_own_account_can_enter(server: EmbeddedPostgres) -> None:
    assert server.socket_dir.stat().st_mode & 0o077 == 0
    assert server.cluster.stat().st_mode & 0o077 == 0


def test_a_second_start_finds_it_and_does_not_own_it(server: EmbeddedPostgres) -> None:
    second = EmbeddedPostgres(server.home.parent)
    assert second.start() == server.url
    assert not second.started_here
    assert not second.stop()
    assert server.is_running()


def test_another_process_uses_it_and_leaves_it_running(server: EmbeddedPostgres) -> None:
    child, owned = start_elsewhere(server.home.parent)
    finish(child)
    assert not owned
    assert ask(server, "SELECT 1") == 1


def test_data_survives_a_stop(server: EmbeddedPostgres) -> None:
    with psycopg.connect(libpq(server)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    assert server.stop()
    assert not server.is_running()
    server.start()
    assert ask(server, "SELECT max(n) FROM kept") == 7


def test_the_killed_server_and_its_stale_pid_file_are_no_obstacle(server: EmbeddedPostgres) -> None:
    process = server._postmaster()
    assert process is not None
    process.kill()
    process.wait(60)
    pid_file = server.cluster / "postmaster.pid"
    assert pid_file.exists()
    assert not server.is_running()
    # The number now belongs to a living process of the same account: to PostgreSQL that looks like a server.
    stale = pid_file.read_text().split("\n", 1)[1]
    bystander = subprocess.Popen(["sleep", "60"], **ServerAccount.for_folder(server.cluster).switch())
    try:
        pid_file.write_text(f"{bystander.pid}\n{stale}")
        assert not server.is_running()
        server.start()
        assert ask(server, "SELECT 1") == 1
    finally:
        bystander.kill()
        bystander.wait()


def test_one_killed_an_instant_ago_is_started_and_not_waited_for(server: EmbeddedPostgres) -> None:
    """It still looks alive when the start begins. (A start that waited for its answer would wait in vain.)"""
    process = server._postmaster()
    assert process is not None
    process.kill()
    server.start(timeout=120)
    assert ask(server, "SELECT 1") == 1
    assert server._postmaster() != process


def test_a_killed_starter_leaves_it_running_and_the_next_owns_it(tmp_path: Path) -> None:
    child, owned = start_elsewhere(tmp_path)
    assert owned
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    heir = EmbeddedPostgres(tmp_path)
    assert heir.is_running()
    heir.start()
    assert heir.started_here
    assert heir.stop()
    assert not heir.is_running()


@pytest.mark.parametrize("after", [0.3, 0.6, 0.9])
def test_a_kill_in_the_middle_of_the_first_start(tmp_path: Path, after: float) -> None:
    """The dead starter's initdb or pg_ctl may still be at work while the next one starts."""
    child = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    time.sleep(after)
    child.kill()
    child.communicate()
    with EmbeddedPostgres(tmp_path) as server:
        assert server.started_here
        assert ask(server, "SELECT 1") == 1
    assert not server.is_running()


def test_an_empty_pid_file_of_long_ago_is_no_obstacle(server: EmbeddedPostgres) -> None:
    server.stop()
    pid_file = server.cluster / "postmaster.pid"
    pid_file.touch()
    os.utime(pid_file, (1, 1))
    server.start()
    assert ask(server, "SELECT 1") == 1


def test_processes_that_start_at_once_have_one_server_and_one_owner(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(tmp_path)],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    owners = [child.stdout.readline().strip() for child in started if child.stdout is not None]
    assert sorted(owners) == ["False", "False", "False", "True"]
    for child in started:
        finish(child)
    assert not EmbeddedPostgres(tmp_path).is_running()


def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / ("long-" * 25)) as server:
        assert len(str(server.socket_dir)) < 40
        assert ask(server, "SELECT 1") == 1
    server.socket_dir.rmdir()


def test_spaces_and_quotes_in_the_path(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "it's 100% here") as server:
        assert ask(server, "SELECT current_database()") == "onhand"


def test_a_cluster_of_another_version_is_left_alone(tmp_path: Path) -> None:
    cluster = tmp_path / "postgres" / "data"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 16"):
        EmbeddedPostgres(tmp_path).start()


def test_nothing_of_the_caller_reaches_the_server(server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONHAND_SLACK_WEBHOOK_URL", "https://hooks.example.com/secret")
    server.stop()
    server.start()
    process = server._postmaster()
    assert process is not None
    try:
        carried = process.environ()
    except psutil.AccessDenied:
        pytest.skip("this system does not show the environment of another account's process")
    assert not any(name.startswith("ONHAND_") for name in carried)


def test_two_who_make_the_database_at_once(tmp_path: Path) -> None:
    """As when a starter was killed while the server still makes the database for it."""
    with EmbeddedPostgres(tmp_path) as server, ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            with server._connect(time.monotonic() + 60) as connection:
                connection.execute(f'DROP DATABASE "{DATABASE}"')
            both = [pool.submit(server._make_database, time.monotonic() + 60) for _ in range(2)]
            assert [one.result() for one in both] == [None, None]
