"""What `beyond_one_machine.py` runs: each part of a production installation as processes of its own on loopback, two of
each where there may be two, with a balancer in front, and somebody who starts again what dies."""

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import tomli_w

from adapters.database import migrate
from adapters.settings import ANALYTICS_OFF, PROJECT_ROOT, Settings
from onhand import children
from onhand.children import HOST, Shop, answers, choose_port, listens
from onhand.processes import ManagedProcess, end, marked
from onhand.trading_day.stage import COMMON
from onhand.trading_day.stage_channels import CHANNELS, channel_tables

SHOPS = ("shopify", "ebay", "website")
_PREFECT = [sys.executable, "-m", "prefect"]
_AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
DOWN_S = 3.0
"""So long nobody starts again what died: a supervisor's pause, a node that has to be noticed."""


class Missing(RuntimeError):
    """Something that this needs is not installed; the message says what."""


def postgres_programs() -> Path:
    """The folder with `initdb` and `postgres` of Debian's newest PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda one: int(one.parts[4]))
    if not found:
        raise Missing("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent


def redis_program() -> str:
    found = shutil.which("redis-server")
    if found is None:
        raise Missing("Redis is not installed: apt-get install redis-server")
    return found


def redis_package(folder: Path) -> Path:
    """Prefect's Redis package, which only the production servers need, in a folder of its own."""
    if importlib.util.find_spec("prefect_redis") is None:
        lock = PROJECT_ROOT / "deploy" / "redis.lock"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(lock)]
        subprocess.run([*command, "--target", str(folder)], check=True)
    return folder


class Balancer:
    """Takes connections for several servers in turn, and for those that live when one does not."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.port = choose_port(None)
        self._ports = list(ports)
        self._turn = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        threading.Thread(target=self._run, name=f"balancer {self.port}", daemon=True).start()
        self._ready.wait(30)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def _run(self) -> None:
        self._loop.run_until_complete(asyncio.start_server(self._serve, HOST, self.port))
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._turn += 1
        for offset in range(len(self._ports)):
            try:
                behind = await asyncio.open_connection(HOST, self._ports[(self._turn + offset) % len(self._ports)])
            except OSError:
                continue
            await asyncio.gather(_pipe(reader, behind[1]), _pipe(behind[0], writer))
            return
        writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.close()


class Machines:
    """As a context manager: everything up, and at the end everything of it ended. Has what the stage asks of a stack:
    `shops`, `service_urls`, `environment`, `settings`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.logs = folder, folder / "logs"
        # PostgreSQL refuses to run as root.
        self._as_postgres = _AS_POSTGRES if os.geteuid() == 0 else []
        ports = {
            name: choose_port(None) for name in ("postgres", "redis", "api1", "api2", "in1", "in2", "res1", "res2")
        }
        self._ports = ports
        self.balancers = {
            "api": Balancer([ports["api1"], ports["api2"]]),
            "intake": Balancer([ports["in1"], ports["in2"]]),
            "reservations": Balancer([ports["res1"], ports["res2"]]),
        }
        self.api_url = f"{self.balancers['api'].url}/api"
        self.database_url = f"postgresql://postgres@{HOST}:{ports['postgres']}/ledger"
        self.shops = {CHANNELS[code].vendor: Shop.on_free_port(CHANNELS[code].vendor) for code in SHOPS}
        self.service_urls = {name: self.balancers[name].url for name in ("intake", "reservations")}
        self.environment: dict[str, str] = {}
        self.children: dict[str, ManagedProcess] = {}
        self._stopping = threading.Event()
        self._down: set[str] = set()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for name in sorted(self.children, key=lambda name: name in ("postgres", "redis")):
            self.children[name].stop()
        end(marked(str(self.folder)), grace=3.0)

    def kill(self, name: str) -> None:
        """SIGKILL to the process and all that it has started, as when its machine goes; started again after a while."""
        leader = psutil.Process(self.children[name].pid)
        kill([leader, *leader.children(recursive=True)])

    def kill_run(self, run_id: str) -> None:
        """SIGKILL to the processes of a flow run."""
        found = [one for one in marked(str(self.folder)) if one.environ().get("PREFECT__FLOW_RUN_ID") == run_id]
        if not found:
            raise RuntimeError(f"no process of the run {run_id}")
        kill(found)

    # Starting

    def _start(self) -> None:
        self.logs.mkdir(parents=True)
        package = redis_package(self.folder / "packages")
        self._base = children.environment(self.folder, self.database_url, self.api_url, "INFO") | {
            "ONHAND_CHANNELS_FILE": str(self.folder / "channels.toml"),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        }
        self._base["PYTHONPATH"] += f"{os.pathsep}{package}"
        tables = channel_tables(self, COMMON)  # type: ignore[arg-type]
        (self.folder / "channels.toml").write_text(tomli_w.dumps({"channel": tables}))
        self.settings = Settings(data_dir=self.folder, channels_file=self.folder / "channels.toml")
        for shop in self.shops.values():
            self.environment |= shop.environment()
        self._base |= self.environment
        self._start_stores()
        for shop in self.shops.values():
            self._add(children.sandbox_shop(self._base, self.logs, shop))
        self._start_prefect()
        children.ensure_pool(self.api_url)
        children.deploy_all(self._base, self.logs, self._stopping)
        for name, service in (("in1", "intake"), ("in2", "intake"), ("res1", "reservations"), ("res2", "reservations")):
            child = children.service(self._base, self.logs, service, self._ports[name])
            child.name, child.log = name, self.logs / f"{name}.log"
            self._add(child)
        threading.Thread(target=self._supervise, name="supervisor", daemon=True).start()

    def _start_stores(self) -> None:
        data, programs = self.folder / "pg", postgres_programs()
        data.mkdir()
        if self._as_postgres:
            shutil.chown(data, "postgres", "postgres")
        make = [str(programs / "initdb"), "-D", str(data), "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
        subprocess.run([*self._as_postgres, *make, "-U", "postgres"], check=True, stdout=subprocess.DEVNULL, cwd="/")
        options = ["listen_addresses=127.0.0.1", f"unix_socket_directories={data}", "max_connections=300"]
        serve = [str(programs / "postgres"), "-D", str(data), "-p", str(self._ports["postgres"])]
        for option in options:
            serve += ["-c", option]
        ready = [str(programs / "pg_isready"), "-q", "-h", HOST, "-p", str(self._ports["postgres"])]
        self._add(self._child("postgres", [*self._as_postgres, *serve], lambda: subprocess.call(ready) == 0))
        for name in ("ledger", "prefect"):
            create = [str(programs / "createdb"), "-h", HOST, "-p", str(self._ports["postgres"]), "-U", "postgres"]
            subprocess.run([*create, name], check=True)
        migrate(self.database_url)
        port = self._ports["redis"]
        command = [redis_program(), "--port", str(port), "--bind", HOST, "--dir", str(self.folder)]
        self._add(self._child("redis", [*command, "--save", "", "--appendonly", "yes"], lambda: listens(port)))

    def _start_prefect(self) -> None:
        redis = f"redis://{HOST}:{self._ports['redis']}"
        database = f"postgresql+asyncpg://postgres@{HOST}:{self._ports['postgres']}/prefect"
        server = {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
            "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
            "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "prefect_redis.messaging",
            "PREFECT_SERVER_EVENTS_MESSAGING_CACHE": "prefect_redis.messaging",
            "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
            "PREFECT_REDIS_MESSAGING_URL": f"{redis}/0",
            "PREFECT_SERVER_DOCKET_URL": f"{redis}/1",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        }
        upgrade = [*_PREFECT, "server", "database", "upgrade", "-y"]
        with (self.logs / "upgrade.log").open("wb") as log:
            subprocess.run(upgrade, check=True, env=self._base | server, cwd=PROJECT_ROOT, stdout=log, stderr=log)
        for name in ("api1", "api2"):
            port = str(self._ports[name])
            command = [
                sys.executable,
                "-m",
                "prefect",
                "server",
                "start",
                "--no-services",
                "--host",
                HOST,
                "--port",
                port,
            ]
            self._add(self._child(name, command, _healthy(f"http://{HOST}:{port}/api/health"), server))
        for name in ("services1", "services2"):
            command = [*_PREFECT, "server", "services", "start"]
            self._add(self._child(name, command, lambda: True, server))

    def start_worker(self, name: str, limit: int) -> None:
        """A stock process worker, as on a machine of its own."""
        command = [
            sys.executable,
            "-m",
            "prefect",
            "worker",
            "start",
            "--pool",
            children.WORK_POOL,
            "--type",
            "process",
        ]
        command += ["--name", name, "--limit", str(limit), "--install-policy", "never"]
        self._add(self._child(name, command, lambda: True))

    def _child(
        self, name: str, command: Sequence[str], healthy: Callable[[], bool], more: Mapping[str, str] = ANALYTICS_OFF
    ) -> ManagedProcess:
        log = self.logs / f"{name}.log"
        return ManagedProcess(name, command, {**self._base, **more}, PROJECT_ROOT, log, healthy, timeout=180)

    def _add(self, child: ManagedProcess) -> None:
        child.start()
        self.children[child.name] = child
        child.wait_until_healthy()

    def _supervise(self) -> None:
        """What systemd or Kubernetes does."""
        while not self._stopping.wait(0.2):
            for name, child in list(self.children.items()):
                if not child.is_alive() and name not in self._down:
                    self._down.add(name)
                    threading.Thread(target=self._again, args=(name, child), daemon=True).start()

    def _again(self, name: str, child: ManagedProcess) -> None:
        if not self._stopping.wait(DOWN_S):
            child.start()
            time.sleep(1)
            self._down.discard(name)


def kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


def _healthy(url: str) -> Callable[[], Any]:
    return lambda: answers(url)
