"""The embedded stack: PostgreSQL, Prefect server, a worker, a warm server for its runs, and the sandbox shops.

On loopback, supervised.

Whatever can start at the same time does. A child that dies is started again, with growing pauses, for
as long as the stack is up. Everything ends in reverse order, flow runs included; what a killed supervisor leaves
behind is ended by the next start in the same data folder.
"""

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self, TextIO

import psutil

from adapters.database import database_url, migrate
from adapters.embedded_postgres import EmbeddedPostgres
from adapters.settings import Settings, read_settings
from onhand import children
from onhand.children import Shop
from onhand.processes import ManagedProcess, ProcessError, end, marked

_LOOK_EVERY = 0.5
_LONGEST_PAUSE = 15.0
"""Between two tries to start what does not stay up, a full disk for instance. It is tried for as long as the stack is
wanted: what it waits for may come back, and nobody else would start it then."""
_FORGIVEN_AFTER = 120.0
"""A child that has lived this many seconds since its last restart starts with a clean record."""

SERVICES = ("intake", "reservations")
"""What of ours listens besides Prefect; each is a command of `onhand`."""

Progress = Callable[[str], None]


class StackError(RuntimeError):
    """The stack cannot start or go on; the message says what to do."""


@dataclass
class _Record:
    restarts: int = 0
    last: float = 0.0
    not_before: float = 0.0


@dataclass(frozen=True)
class StackState:
    """What a running stack tells other processes, in `<data_dir>/stack.json`."""

    pid: int
    api_url: str
    ui_url: str
    shop_urls: dict[str, str] = field(default_factory=dict)
    service_urls: dict[str, str] = field(default_factory=dict)


class Stack:
    """Everything that `onhand up` and the demo run on.

    `shops` are names of vendors in `adapters.sandbox`; their addresses and credentials are known
    before the start (`shops`), so that the caller can put channel settings into `environment`, which every
    child inherits. `ports` are where services listen if nobody else does. `progress` gets short lines for people.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        shops: Sequence[str] = ("shopify", "woocommerce"),
        services: Sequence[str] = (),
        ports: Mapping[str, int] | None = None,
        worker: bool = True,
        worker_limit: int = 16,
        deploy: bool = True,
        environment: Mapping[str, str] | None = None,
        progress: Progress = lambda line: None,
    ) -> None:
        self.settings = settings or read_settings()
        self.data_dir = self.settings.data_dir
        self.logs = self.data_dir / "logs"
        self.postgres = None if self.settings.database_url else EmbeddedPostgres(self.data_dir)
        self.database_url = database_url(self.settings)
        self.prefect_port = children.choose_port(self.settings.prefect_port, preferred=4200)
        self.api_url = self.settings.prefect_api_url or f"http://{children.HOST}:{self.prefect_port}/api"
        self.ui_url = self.api_url.removesuffix("/api")
        # With a server of others' the pool may have other workers, to which a command of this machine says nothing.
        self._warm_socket = (
            children.warm_socket(self.data_dir) if worker and not self.settings.prefect_api_url else None
        )
        self.shops = {name: Shop.on_free_port(name) for name in shops}
        self._ports = {name: children.choose_port(None, (ports or {}).get(name)) for name in services}
        self.environment = dict(environment or {})
        self.failure: str | None = None
        self._with_worker, self._worker_limit, self._with_deploy = worker, worker_limit, deploy
        self._progress = progress
        self._children: list[ManagedProcess] = []
        self._records: dict[str, _Record] = {}
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None
        self._lock_file: TextIO | None = None
        self._list_lock = threading.Lock()

    @property
    def service_urls(self) -> dict[str, str]:
        """Where our own services listen: `intake` for webhooks, `reservations` for channels that ask first."""
        return {name: f"http://{children.HOST}:{port}" for name, port in self._ports.items()}

    @property
    def processes(self) -> dict[str, int]:
        """The process id of each child that lives, by name."""
        return {child.name: child.pid for child in self._children if child.pid is not None and child.is_alive()}

    def starts_runs_at_its_best(self) -> bool:
        """Runs that begin now are forked from the warm server, where there is to be one."""
        return self._warm_socket is None or children.takes(self._warm_socket)

    def start(self) -> Self:
        """Start everything and return when all of it answers. Raises StackError, with nothing left running."""
        self._lock()
        try:
            self._clear_leftovers()
            self._start_all()
        except BaseException as error:
            self.stop()
            if isinstance(error, ProcessError):
                raise StackError(str(error)) from error
            raise
        self._write_state()
        self._watcher = threading.Thread(target=self._watch, name="stack watcher", daemon=True)
        self._watcher.start()
        return self

    def stop(self) -> None:
        """End everything that this stack started, in reverse order. Safe to call twice."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join(timeout=30)
        if self._lock_file is None:
            return
        self._progress("stopping")
        for child in reversed(self._children):
            child.stop()
        end(marked(str(self.data_dir)), grace=2.0)
        if self.postgres is not None:
            self.postgres.stop()
        if self._warm_socket is not None:
            self._warm_socket.unlink(missing_ok=True)
            if self._warm_socket.parent != self.data_dir.expanduser().resolve():
                self._warm_socket.parent.rmdir()
        self._state_file.unlink(missing_ok=True)
        self._lock_file.close()
        self._lock_file = None
        self._ended.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the stack has stopped or given up; False when `timeout` seconds pass before."""
        return self._ended.wait(timeout)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Starting

    @property
    def _state_file(self) -> Path:
        return self.data_dir / "stack.json"

    def _lock(self) -> None:
        """One stack a data folder. The lock goes with this process, however it ends."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        file = (self.data_dir / "stack.lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise StackError(
                f"a stack runs already on {self.data_dir} (process {holder}): stop it, or set another ONHAND_DATA_DIR"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock_file = file
        self._stopping.clear()

    def _clear_leftovers(self) -> None:
        if left := end(marked(str(self.data_dir)), grace=3.0):
            self._progress(f"ended {left} processes that an earlier stack left behind")

    def _start_all(self) -> None:
        with ThreadPoolExecutor(max_workers=3 + len(self.shops) + len(self._ports), thread_name_prefix="stack") as pool:
            database = pool.submit(self._start_database)
            server = pool.submit(self._start_server)
            shops = [pool.submit(self._start_shop, shop) for shop in self.shops.values()]
            try:
                # The first that fails ends the wait for the others.
                for future in wait([database, server, *shops], return_when=FIRST_EXCEPTION).done:
                    future.result()
                # Both import Prefect for seconds, so they do it at the same time.
                ours = [pool.submit(self._start_service, name) for name in self._ports]
                if self._with_worker:
                    ours += [pool.submit(self._start_worker), pool.submit(self._start_warm_server)]
                if self._with_deploy:
                    self._deploy()
                for future in ours:
                    future.result()
            except BaseException:
                self._stopping.set()
                raise

    def _start_database(self) -> None:
        if self.postgres is not None:
            self.postgres.start()
            self._progress("PostgreSQL runs")
        migrate(self.database_url)
        self._progress("the ledger's tables are ready")

    def _start_server(self) -> None:
        if self.settings.prefect_api_url is None:
            self._run(children.prefect_server(self._inherited(), self.logs, self.prefect_port, self.data_dir))
            self._progress(f"Prefect answers at {self.ui_url}")
        elif not children.answers(f"{self.api_url}/health"):
            raise StackError(f"no Prefect server answers at {self.api_url}: start it, or unset ONHAND_PREFECT_API_URL")

    def _start_shop(self, shop: Shop) -> None:
        self._run(children.sandbox_shop(self._inherited(), self.logs, shop))
        self._progress(f"the imitated {shop.name} shop answers at {shop.url}")

    def _start_service(self, name: str) -> None:
        self._run(children.service(self._inherited(), self.logs, name, self._ports[name]))
        self._progress(f"the service {name} answers at {self.service_urls[name]}")

    def _start_warm_server(self) -> None:
        if self._warm_socket is not None:
            self._run(children.warm_server(self._inherited(), self.logs, self._warm_socket))
            self._progress("flow runs start warm")

    def _ensure_pool(self) -> None:
        command = children.warm_command(self._warm_socket) if self._warm_socket else None
        children.ensure_pool(self.api_url, command)

    def _start_worker(self) -> None:
        self._ensure_pool()
        self._run(children.worker(self._inherited(), self.logs, self.api_url, self._worker_limit))
        self._progress("the worker is online")

    def _deploy(self) -> None:
        self._ensure_pool()
        # The server that is started here is on SQLite.
        theirs = self.settings.prefect_api_url is not None
        count = children.deploy_all(self._inherited(), self.logs, self._stopping, automations=theirs)
        self._progress(f"{count} flows are deployed")

    def _run(self, child: ManagedProcess) -> None:
        with self._list_lock:
            if self._stopping.is_set():
                raise StackError("the stack is stopping")
            child.start()
            self._children.append(child)
        child.wait_until_healthy(self._stopping.is_set)

    def _inherited(self) -> dict[str, str]:
        base = children.environment(self.data_dir, self.database_url, self.api_url, self.settings.log_level)
        for shop in self.shops.values():
            base |= shop.environment()
        return base | self.environment

    def _write_state(self) -> None:
        urls = {name: shop.url for name, shop in self.shops.items()}
        state = {
            "pid": os.getpid(),
            "api_url": self.api_url,
            "ui_url": self.ui_url,
            "shop_urls": urls,
            "service_urls": self.service_urls,
        }
        draft = self._state_file.with_suffix(".new")
        draft.write_text(json.dumps(state))
        draft.replace(self._state_file)

    # Watching

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY):
            try:
                if self.postgres is not None and not self.postgres.is_running():
                    self._again("PostgreSQL", self._restart_postgres)
                for child in self._children:
                    if not child.is_alive():
                        self._again(child.name, lambda child=child: self._restart(child))  # type: ignore[misc]
            except Exception as error:
                # A mistake of ours: better an end that is seen than a stack that nobody looks after.
                self.failure = f"{type(error).__name__}: {error}"
                self._progress(f"gave up: {self.failure}")
                self._ended.set()
                return

    def _again(self, name: str, restart: Callable[[], Any]) -> None:
        """At once the first time, then in growing pauses, in which the others are looked after."""
        record = self._records.setdefault(name, _Record())
        if time.monotonic() < record.not_before or self._stopping.is_set():
            return
        if time.monotonic() - record.last > _FORGIVEN_AFTER:
            record.restarts = 0
        record.restarts += 1
        self._progress(f"{name} has died and is started again")
        try:
            restart()
        except (ProcessError, RuntimeError, OSError, psutil.Error) as error:
            if not self._stopping.is_set():
                self._progress(f"{name} did not come back: {error}")
        record.last = time.monotonic()
        record.not_before = record.last + min(_LONGEST_PAUSE, 0.5 * 2**record.restarts)

    def _restart_postgres(self) -> None:
        if self.postgres is not None:
            self.postgres.start()

    def _restart(self, child: ManagedProcess) -> None:
        child.end_leftovers()
        child.start()
        child.wait_until_healthy(self._stopping.is_set)


def running_stack(data_dir: Path) -> StackState | None:
    """The stack that runs on this data folder now, if one does."""
    try:
        state = StackState(**json.loads((data_dir / "stack.json").read_text()))
        with (data_dir / "stack.lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return state
    except (OSError, ValueError, TypeError):
        return None
    return None


@contextmanager
def interruptible() -> Iterator[None]:
    """Within this block (main thread only) SIGTERM and SIGHUP end the program as Ctrl-C does.

    Only the first signal counts: a second one must not cut the clean end short.
    """
    seen = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not seen.is_set():
            seen.set()
            raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
