"""What each child of the embedded stack is: its command, its environment, and when it is healthy."""

import functools
import importlib.util
import json
import os
import secrets
import shlex
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from adapters.embedded_postgres import LONGEST_SOCKET_PATH
from adapters.settings import ANALYTICS_OFF, PREFIX, PROJECT_ROOT
from onhand.nobody import certificate_of_nobody
from onhand.processes import MARK, ManagedProcess, ProcessError

HOST = "127.0.0.1"
WORK_POOL = "onhand"
WORKER = "onhand"

_CLIENT = functools.partial(httpx.Client, trust_env=False, timeout=5.0)
_DEPLOY_TIMEOUT = 180.0
_DEPLOY_TRIES = 3
_DAYS = 86_400
_RETENTION = {
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(30 * _DAYS),
}
"""What happened to an order is in the ledger for good; Prefect by default keeps runs for ever, events a week."""


@dataclass(frozen=True)
class Shop:
    """An imitated shop: where it listens and what it asks for. The credential lives as long as the stack."""

    name: str
    port: int
    token: str = field(repr=False)

    @classmethod
    def on_free_port(cls, name: str) -> "Shop":
        # One string for any vendor: those with a key and a secret split it at the colon.
        return cls(name, choose_port(None), f"key_{secrets.token_hex(16)}:secret_{secrets.token_hex(16)}")

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def variable(self) -> str:
        return f"{PREFIX}SANDBOX_{self.name.upper()}"

    def environment(self) -> dict[str, str]:
        return {f"{self.variable}_URL": self.url, f"{self.variable}_TOKEN": self.token}


def choose_port(wanted: int | None, preferred: int | None = None) -> int:
    """`wanted` as it is, else `preferred` if nothing listens there, else any free port."""
    if wanted is not None:
        return wanted
    for port in (preferred, 0):
        if port is None:
            continue
        with socket.socket() as probe:
            # As servers do it: a port whose last connections are still closing counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ProcessError("no free port on loopback")


def environment(data_dir: Path, database_url: str, api_url: str, log_level: str) -> dict[str, str]:
    """What every child inherits, over the caller's own environment."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_SERVER_DATABASE_")}
    if api_url.startswith("http://"):
        inherited.setdefault("PREFECT_API_SSL_CERT_FILE", str(certificate_of_nobody(data_dir / "prefect")))
    no_proxy = ",".join(filter(None, [os.environ.get("NO_PROXY", ""), HOST, "localhost"]))
    return {
        **inherited,
        **ANALYTICS_OFF,
        MARK: str(data_dir),
        f"{PREFIX}DATA_DIR": str(data_dir),
        f"{PREFIX}DATABASE_URL": database_url,
        f"{PREFIX}PREFECT_API_URL": api_url,
        "PREFECT_API_URL": api_url,
        "PREFECT_HOME": str(data_dir / "prefect"),
        "PREFECT_LOGGING_LEVEL": log_level,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH")])),
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }


def prefect_server(inherited: Mapping[str, str], logs: Path, port: int, data_dir: Path) -> ManagedProcess:
    home = data_dir / "prefect"
    home.mkdir(parents=True, exist_ok=True)
    return ManagedProcess(
        "prefect-server",
        _prefect("server", "start", "--host", HOST, "--port", str(port)),
        {
            **inherited,
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
            **_RETENTION,
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        },
        PROJECT_ROOT,
        logs / "prefect-server.log",
        healthy=lambda: answers(f"http://{HOST}:{port}/api/health"),
        timeout=120,
    )


def worker(inherited: Mapping[str, str], logs: Path, api_url: str, limit: int) -> ManagedProcess:
    command = _prefect("worker", "start", "--pool", WORK_POOL, "--type", "process", "--name", WORKER)
    return ManagedProcess(
        "worker",
        [*command, "--limit", str(limit), "--install-policy", "never"],
        # Prefect looks every ten seconds by default; every two costs one more hundredth of a core.
        {"PREFECT_WORKER_QUERY_SECONDS": "2", **inherited},
        PROJECT_ROOT,
        logs / "worker.log",
        healthy=lambda: _worker_is_online(api_url),
        timeout=120,
    )


def warm_server(inherited: Mapping[str, str], logs: Path, path: Path) -> ManagedProcess:
    return ManagedProcess(
        "warm",
        [sys.executable, "-m", "onhand.warm_server", str(path)],
        # A forked process has one thread: those that a library would start by itself would be missing in it. And what
        # several threads of a run free is to be used again by others.
        {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", **inherited},
        PROJECT_ROOT,
        logs / "warm.log",
        healthy=lambda: takes(path),
        timeout=120,
    )


def warm_socket(data_dir: Path) -> Path:
    """In the data folder, or in a new folder of this account's where that path is too long for a socket."""
    near = data_dir.expanduser().resolve() / "warm.sock"
    if len(os.fsencode(near)) <= LONGEST_SOCKET_PATH:
        return near
    return Path(tempfile.mkdtemp(prefix="onhand-", dir="/tmp")) / near.name


def warm_command(path: Path) -> str:
    """What the worker starts for a run, in place of `python -m prefect.engine`."""
    return shlex.join([sys.executable, "-S", "-E", str(PROJECT_ROOT / "onhand" / "warm_start.py"), str(path)])


def sandbox_shop(inherited: Mapping[str, str], logs: Path, shop: Shop) -> ManagedProcess:
    command = [sys.executable, "-m", "adapters.sandbox.server", shop.name]
    return ManagedProcess(
        f"sandbox-{shop.name}",
        [*command, "--port", str(shop.port), "--token-env", f"{shop.variable}_TOKEN"],
        inherited,
        PROJECT_ROOT,
        logs / f"sandbox-{shop.name}.log",
        healthy=lambda: listens(shop.port),
        grace=3,
    )


def service(inherited: Mapping[str, str], logs: Path, name: str, port: int) -> ManagedProcess:
    """A service of ours by its command's name: `intake` or `reservations`."""
    return ManagedProcess(
        name,
        [sys.executable, "-m", "onhand", name, "--host", HOST, "--port", str(port)],
        inherited,
        PROJECT_ROOT,
        logs / f"{name}.log",
        healthy=lambda: answers(f"http://{HOST}:{port}/health"),
        grace=5,
    )


def ensure_pool(api_url: str, command: str | None = None) -> None:
    """Make the work pool if there is none, with Prefect's own template for processes.

    With a `command` every run of the pool is started by it, in a pool that is there already too: the path of the
    socket may be another than last time. By the API: `prefect work-pool create` would import Prefect for seconds,
    and fail if the pool exists.
    """
    template = _process_template()
    if command is not None:
        template["variables"]["properties"]["command"]["default"] = command
    with _CLIENT(timeout=30.0) as client:
        found = client.get(f"{api_url}/work_pools/{WORK_POOL}")
        if found.status_code != httpx.codes.OK:
            pool = {"name": WORK_POOL, "type": "process", "base_job_template": template}
            answer = client.post(f"{api_url}/work_pools/", json=pool)
            wanted = {httpx.codes.CREATED, httpx.codes.OK, httpx.codes.CONFLICT}
        elif command is not None and found.json()["base_job_template"] != template:
            answer = client.patch(f"{api_url}/work_pools/{WORK_POOL}", json={"base_job_template": template})
            wanted = {httpx.codes.NO_CONTENT, httpx.codes.OK}
        else:
            return
        if answer.status_code not in wanted:
            raise ProcessError(f"the work pool {WORK_POOL} cannot be made: {answer.status_code} {answer.text[:200]}")


def deploy_all(
    inherited: Mapping[str, str], logs: Path, cancelled: threading.Event, *, automations: bool = True
) -> int:
    """Register the credential blocks and every deployment of prefect.yaml; returns how many of these there are then.

    Tried again when it fails: a server on SQLite that is busy with its start refuses a call now and then, and
    registering twice is registering once. Raises ProcessError with the last words of the last try.
    """
    for left in reversed(range(_DEPLOY_TRIES)):
        try:
            _deploy_once(inherited, logs, cancelled, automations)
            break
        except ProcessError:
            if not left or cancelled.wait(1.0):
                raise
    with _CLIENT(timeout=30.0) as client:
        return int(client.post(f"{inherited['PREFECT_API_URL']}/deployments/count", json={}).json())


def _deploy_once(inherited: Mapping[str, str], logs: Path, cancelled: threading.Event, automations: bool) -> None:
    deploying = ManagedProcess(
        "deploy",
        [sys.executable, "-m", "onhand.deploying", *([] if automations else ["--no-automations"])],
        inherited,
        PROJECT_ROOT,
        logs / "deploy.log",
        healthy=lambda: False,
    )
    deploying.log.unlink(missing_ok=True)
    deploying.start()
    waited = 0.0
    while deploying.is_alive() and waited < _DEPLOY_TIMEOUT and not cancelled.wait(0.1):
        waited += 0.1
    code = deploying.returncode
    deploying.stop()
    if code != 0:
        raise ProcessError(f"`python -m onhand.deploying` failed: {deploying.last_words()}")


def answers(url: str) -> bool:
    """The URL answers with 200 now."""
    try:
        with _CLIENT() as client:
            return client.get(url).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _worker_is_online(api_url: str) -> bool:
    try:
        with _CLIENT() as client:
            answer = client.post(f"{api_url}/work_pools/{WORK_POOL}/workers/filter", json={})
            return answer.status_code == httpx.codes.OK and any(
                found["name"] == WORKER and found["status"] == "ONLINE" for found in answer.json()
            )
    except httpx.HTTPError:
        return False


def listens(port: int) -> bool:
    """Somebody listens at this port of loopback."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def takes(path: Path) -> bool:
    """Somebody listens at this unix socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(str(path))
    except OSError:
        return False
    return True


def _prefect(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "prefect", *arguments]


def _process_template() -> dict[str, Any]:
    """Prefect's default template, from its own file: importing the worker class for it costs seconds."""
    package = importlib.util.find_spec("prefect")
    if package is None or not package.submodule_search_locations:
        raise ProcessError("prefect is not installed: run `make install`")
    collections = Path(package.submodule_search_locations[0]) / "server" / "api" / "collections_data" / "views"
    known = json.loads((collections / "aggregate-worker-metadata.json").read_text())
    template: dict[str, Any] = known["prefect"]["process"]["default_base_job_configuration"]
    return template
