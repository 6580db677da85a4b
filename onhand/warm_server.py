"""Flow runs without a Python start-up each: a process that has imported everything forks itself for every run.

`python -m onhand.warm_server SOCKET` listens on a unix socket that only its account can enter. Prefect's
stock process worker starts `onhand/warm_start.py` where it would start `python -m prefect.engine`; that
hands over its environment, folder and output, and the fork becomes `prefect.engine` with them. So a run is a
process of its own as before (isolation, cancellation, exit code, memory limits), but it begins in some
hundredths of a second, and what all runs have imported is in memory once.

The protocol, one connection a run: the client sends its three standard streams (SCM_RIGHTS) with a
four-byte length and a JSON object {"environment", "folder", "arguments"}; then one line a signal number.
The server sends one line: {"code": exit code, negative for a signal}. A client that goes away was killed, and so
is its run.

What has been imported is old when a source file changes (an upgrade under a running stack): such a run starts
cold from the new files, until the server is started again.

A unix platform is needed (fork, SCM_RIGHTS). Nothing may start threads or open connections before a fork:
`preload` imports, and that is all.
"""

import array
import atexit
import gc
import importlib
import json
import os
import random
import re
import runpy
import selectors
import signal
import socket
import struct
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy

LIBRARIES = (
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.runner.storage",
    "prefect.deployments.steps",
    "prefect.utilities.visualization",
    "anyio._backends._asyncio",
    "pandas",
    "sqlmodel",
    "psycopg",
    "great_expectations",
)
"""What every run would import before its first line, by a look at `sys.modules` at its end."""
PACKAGES = ("flows", "tasks", "inventory", "adapters", "expectations")
_LENGTH = struct.Struct("!I")
_MOST = 4_000_000
"""Bytes of a request: an environment."""


def preload(flows: Path) -> int:
    """Import the libraries and every flow with what it needs; returns how many modules there are then."""
    for name in LIBRARIES:
        importlib.import_module(name)
    for file in sorted(flows.glob("*.py")):
        importlib.import_module(f"{flows.name}.{file.stem}")
    return len(sys.modules)


@dataclass(frozen=True)
class Request:
    """What a run is to become."""

    environment: dict[str, str]
    folder: str
    arguments: list[str]
    streams: tuple[int, int, int]
    """File descriptors for standard input, output and error."""


@dataclass
class _Client:
    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)
    streams: list[int] = field(default_factory=list)
    pid: int | None = None
    """Of its run, once that has begun."""

    def request(self) -> Request | None:
        """The request once all of it is there. Raises ValueError when it is none."""
        if len(self.received) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self.received)
        if length > _MOST:
            raise ValueError(f"a request of {length} bytes")
        if len(self.received) < _LENGTH.size + length:
            return None
        asked = json.loads(self.received[_LENGTH.size : _LENGTH.size + length])
        if len(self.streams) != 3:
            raise ValueError(f"{len(self.streams)} streams in place of three")
        del self.received[: _LENGTH.size + length]
        return Request(asked["environment"], asked["folder"], asked["arguments"], tuple(self.streams))  # type: ignore[arg-type]

    def signals(self) -> list[int]:
        """Numbers of signals to pass on, from whole lines."""
        *lines, rest = bytes(self.received).split(b"\n")
        self.received = bytearray(rest)
        return [int(line) for line in lines if line.isdigit()]

    def close_streams(self) -> None:
        for stream in self.streams:
            with suppress(OSError):
                os.close(stream)
        self.streams.clear()


class WarmServer:
    """The loop of the parent: one thread, no wait that blocks."""

    def __init__(self, path: Path, prepare: Callable[[Request], None] = lambda request: None) -> None:
        """`prepare` is called before each fork."""
        self._path = path
        self._prepare = prepare
        self._selector = selectors.DefaultSelector()
        self._runs: dict[int, _Client] = {}
        self._ended = False

    def serve(self) -> Request | None:
        """Fork for each request until SIGTERM. Returns None in the parent, its request in each child."""
        listener = self._listen()
        wake, waker = socket.socketpair()
        for end in (wake, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno())
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(wake, selectors.EVENT_READ)
        # What is there now stays as it is: the collector does not touch, and so does not copy, it in the children.
        gc.collect()
        gc.freeze()
        while not self._ended:
            for key, _ in self._selector.select():
                if key.fileobj is listener:
                    self._accept(listener)
                elif key.fileobj is wake:
                    wake.recv(4096)
                    self._reap()
                elif (request := self._hear(key.data)) is not None:
                    self._forget_all(listener, wake, waker)
                    return request
        for pid in self._runs:
            _send(pid, signal.SIGTERM)
        self._path.unlink(missing_ok=True)
        return None

    def _listen(self) -> socket.socket:
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(str(self._path))
        finally:
            os.umask(before)
        listener.listen(64)
        listener.setblocking(False)
        return listener

    def _stop(self, number: int, frame: Any) -> None:
        self._ended = True

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ, _Client(connection))

    def _hear(self, client: _Client) -> Request | None:
        """Read what a client says. A request is returned in the child that has just been forked for it."""
        try:
            data, streams = _receive(client.connection)
        except ConnectionError:
            data, streams = b"", []
        client.streams += streams
        if not data:
            # It was killed, or its run has ended and it has been told.
            if client.pid is not None:
                _send(client.pid, signal.SIGKILL)
            self._drop(client)
            return None
        client.received += data
        try:
            if client.pid is None and (request := client.request()) is not None:
                return self._fork(client, request)
        except (ValueError, KeyError, TypeError) as error:
            print(f"not a request: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            self._drop(client)
            return None
        if client.pid is not None:
            for number in client.signals():
                _send(client.pid, number)
        return None

    def _fork(self, client: _Client, request: Request) -> Request | None:
        self._prepare(request)
        pid = os.fork()
        if pid == 0:
            return request
        client.pid = pid
        client.close_streams()
        self._runs[pid] = client
        return None

    def _reap(self) -> None:
        """Tell the clients whose runs have ended."""
        for pid in list(self._runs):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                client = self._runs.pop(pid)
                client.pid = None
                with suppress(OSError):
                    client.connection.send(f'{{"code": {os.waitstatus_to_exitcode(status)}}}\n'.encode())

    def _drop(self, client: _Client) -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(client.connection)
        client.close_streams()
        client.connection.close()

    def _forget_all(self, *others: socket.socket) -> None:
        """In a child: what belongs to the parent is closed here, else other clients would not see it go."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        connections = [key.fileobj for key in self._selector.get_map().values()]
        self._selector.close()
        for one in {*connections, *others}:
            if isinstance(one, socket.socket):
                one.close()


def newest_source(root: Path) -> float:
    """When a source file that a run may import was last changed: seconds since 1970."""
    return max(file.stat().st_mtime for package in PACKAGES for file in (root / package).rglob("*.py"))


def take_over(request: Request) -> None:
    """Have the streams, the environment and the folder of the client, and random numbers of one's own."""
    for number, stream in enumerate(request.streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.folder)
    random.seed()
    numpy.random.seed()


class PrefectSettings:
    """Reads Prefect's settings anew (a tenth of a second) when a run comes with others, not once a run."""

    def __init__(self) -> None:
        self._read: dict[str, str] = {}

    def __call__(self, request: Request) -> None:
        # With two underscores they are of one run, and no settings.
        given = {key: value for key, value in request.environment.items() if re.match("PREFECT_(?!_)", key)}
        if given == self._read:
            return
        from prefect.context import refresh_global_settings_context

        for key in self._read.keys() - given.keys():
            os.environ.pop(key, None)
        os.environ.update(given)
        refresh_global_settings_context()
        self._read = given


def run_engine(request: Request) -> None:
    """Be `python -m prefect.engine`; ends as that ends."""
    sys.argv = ["prefect.engine", *request.arguments]
    with warnings.catch_warnings():
        # It is imported already, and is to be run.
        warnings.filterwarnings("ignore", message=".*prefect.engine.*", category=RuntimeWarning)
        runpy.run_module("prefect.engine", run_name="__main__")


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Bytes and file descriptors; no bytes when the other end has closed."""
    room = socket.CMSG_LEN(3 * array.array("i").itemsize)
    data, ancillary, _, _ = connection.recvmsg(65536, room)
    return data, list(_descriptors(ancillary))


def _descriptors(ancillary: Iterable[tuple[int, int, bytes]]) -> Iterable[int]:
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found = array.array("i")
            found.frombytes(content[: len(content) - len(content) % found.itemsize])
            yield from found


def to_the_end(work: Callable[[], None]) -> NoReturn:
    """Do the work and exit as Python does, threads joined and exit functions called, but without taking apart what is
    in memory: that would touch, and so copy, every page which is shared with the parent."""
    code = 0
    try:
        work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code & 0xFF)


def main(arguments: list[str]) -> None:
    root = Path(__file__).resolve().parents[1]
    read = newest_source(root)
    modules = preload(root / "flows")
    print(f"{modules} modules are imported; runs start by fork from here", flush=True)
    if request := WarmServer(Path(arguments[0]), PrefectSettings()).serve():
        take_over(request)
        if newest_source(root) > read:
            print("source files have changed since the start: this run starts cold", file=sys.stderr, flush=True)
            os.execv(sys.executable, [sys.executable, "-m", "prefect.engine", *request.arguments])  # noqa: S606
        to_the_end(lambda: run_engine(request))


if __name__ == "__main__":
    main(sys.argv[1:])
