"""The world around a stack that is to be broken: vendors whose books survive, wires that can be cut, and the stack.

The vendors are processes of their own, as they are in life: nothing that happens to the stack happens to them. Between
them and the stack lie links, in both directions, so that addresses stay what they are when the stack starts again.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import httpx
import psutil
import tomli_w
from faulty_link import HOST, Link

from adapters.settings import PROJECT_ROOT
from onhand.children import answers, choose_port
from onhand.processes import PART, ManagedProcess, marked
from onhand.shifts import RUN_ID
from onhand.stack import SERVICES, StackState, running_stack
from onhand.trading_day.stage import COMMON, shop_state
from onhand.trading_day.stage_channels import CHANNELS, channel_tables

SHOPS = ("shopify", "ebay", "website")
"""Two that are blind and one that asks first."""
DISK_MB = 640
READY = "onhand is up"


class Disk:
    """A small file system of its own for PostgreSQL: a file, mounted over a loop device. Needs root."""

    def __init__(self, file: Path, place: Path) -> None:
        self.place = place
        self._filler = place / "filler"
        place.mkdir(parents=True)
        with file.open("wb") as made:
            made.truncate(DISK_MB * 1024 * 1024)
        _run("mkfs.ext4", "-q", "-m", "0", str(file))
        _run("mount", "-o", "loop", str(file), str(place))
        # The cluster's folder must be empty or absent.
        with suppress(OSError):
            (place / "lost+found").rmdir()

    def fill(self) -> None:
        """To the last byte."""
        with self._filler.open("wb", buffering=0) as file:
            most = shutil.disk_usage(self.place).free - (1 << 20)
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, most)
            file.seek(0, os.SEEK_END)
            for size in (1 << 16, 1 << 12, 1):
                with suppress(OSError):
                    while True:
                        file.write(b"x" * size)

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        _run("umount", "-l", str(self.place))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{command[0]}: {done.stderr.strip()}")


@dataclass
class Vendor:
    """One shop: its process, its books, and the wire to it."""

    code: str
    process: ManagedProcess
    port: int
    token: str = field(repr=False)
    link: Link

    @property
    def url(self) -> str:
        """For shoppers, who do not come over the wire of the stack."""
        return f"http://{HOST}:{self.port}"


class World:
    """Within the block vendors, links and disk are there; the stack is started by `start_stack`."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.folder = folder
        self.lines: list[tuple[float, str]] = []
        """(instant, line) of what the stack has said."""
        self.vendors: dict[str, Vendor] = {}
        self.services: dict[str, Link] = {}
        self.environment: dict[str, str] = {}
        self.disk: Disk | None = None
        self.disk_story = ""
        self._prefect_port = choose_port(None)
        self._stack: subprocess.Popen[str] | None = None
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *why: object) -> None:
        self._exit.close()

    def _open(self) -> None:
        self.data_dir.mkdir(parents=True)
        place = self.data_dir / "postgres"
        try:
            self.disk = Disk(self.folder / "disk.img", place)
            self._exit.callback(self.disk.close)
            self.disk_story = f"PostgreSQL on an ext4 of its own of {DISK_MB} MB, a file mounted over a loop device"
        except OSError as error:
            shutil.rmtree(place, ignore_errors=True)
            self.disk_story = f"no disk of its own: {error}"
        for name in SERVICES:
            self.services[name] = self._exit.enter_context(Link(lambda name=name: self._service_port(name)))  # type: ignore[misc]
        for code in SHOPS:
            self._add_vendor(code)
        file = self.data_dir / "channels.toml"
        file.write_text(tomli_w.dumps({"channel": channel_tables(self.as_stage(), COMMON)}))
        self.environment |= {
            "ONHAND_DATA_DIR": str(self.data_dir),
            "ONHAND_CHANNELS_FILE": str(file),
            "ONHAND_PREFECT_PORT": str(self._prefect_port),
            "PYTHONUNBUFFERED": "1",
        }
        # The last that is opened is the first that is closed: PostgreSQL ends before its disk goes.
        self._exit.callback(self._end_all)

    def _add_vendor(self, code: str) -> None:
        port, token = choose_port(None), f"key_{secrets.token_hex(16)}:secret_{secrets.token_hex(16)}"
        books = self.folder / f"{code}.books"
        command = [sys.executable, "-m", "adapters.sandbox.server", CHANNELS[code].vendor, "--port", str(port)]
        process = ManagedProcess(
            f"vendor-{code}",
            [*command, "--token-env", "ONHAND_SANDBOX_TOKEN", "--books", str(books)],
            {**os.environ, "ONHAND_SANDBOX_TOKEN": token, "ONHAND_STACK": f"vendors of {self.folder}"},
            PROJECT_ROOT,
            self.folder / f"{code}.log",
            healthy=lambda: answers(f"http://{HOST}:{port}/sandbox/state"),
            grace=3,
        )
        link = self._exit.enter_context(Link(lambda: port))
        self.vendors[code] = Vendor(code, process, port, token, link)
        self._exit.callback(process.stop)
        process.start()
        process.wait_until_healthy()

    def as_stage(self) -> Any:
        """What `onhand.trading_day.stage` needs of a stack: where the shops and our services are, seen over the
        links."""
        shops = {
            CHANNELS[code].vendor: SimpleNamespace(url=vendor.link.url, token=vendor.token)
            for code, vendor in self.vendors.items()
        }
        urls = {name: link.url for name, link in self.services.items()}
        settings = SimpleNamespace(channels_file=self.data_dir / "channels.toml")
        return SimpleNamespace(shops=shops, service_urls=urls, environment=self.environment, settings=settings)

    def introduce(self, code: str) -> None:
        """Tell a shop where our services are: from here on it sends webhooks, and asks before it sells."""
        channel, url = CHANNELS[code], self.vendors[code].url
        if channel.webhooks:
            secret = self.environment[f"ONHAND_STAGE_{code.upper()}_WEBHOOK"]
            address = f"{self.services['intake'].url}/webhooks/{code}"
            # A vendor that is not answered comes again after minutes and hours: here sixty times as fast.
            _put(f"{url}/sandbox/webhooks", {"url": address, "secret": secret, "hurry": 60})
        if channel.asks_first:
            token = self.environment[f"ONHAND_STAGE_{code.upper()}_RESERVATION"]
            _put(f"{url}/sandbox/ask", {"url": self.services["reservations"].url, "token": token, "ttl_seconds": 60})

    def restart_vendor(self, code: str) -> None:
        """It comes back with its books; what it was told of webhooks it is told again."""
        process = self.vendors[code].process
        process.start()
        process.wait_until_healthy()
        self.introduce(code)

    def states(self) -> dict[str, dict[str, Any]]:
        """The shops' own books, by channel."""
        return {code: shop_state(vendor.url) for code, vendor in self.vendors.items()}

    # The stack

    @property
    def state(self) -> StackState | None:
        return running_stack(self.data_dir)

    @property
    def stack_is_up(self) -> bool:
        return self._stack is not None and self._stack.poll() is None

    def _service_port(self, name: str) -> int:
        state = self.state
        if state is None:
            raise ConnectionRefusedError(f"{name} is not there")
        return int(state.service_urls[name].rsplit(":", 1)[1])

    def start_stack(self, *, deploy: bool, seconds: float = 600) -> None:
        """`onhand up --no-shops`, as a seller starts it; returns when it says that it is up."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ONHAND_", "PREFECT_"))}
        command = [sys.executable, "-m", "onhand", "up", "--no-shops", *([] if deploy else ["--no-deploy"])]
        self._stack = subprocess.Popen(
            command,
            cwd=PROJECT_ROOT,
            env=inherited | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(self._stack,), daemon=True).start()
        begun, deadline = time.time(), time.monotonic() + seconds
        while not any(READY in line for at, line in self.lines if at >= begun):
            if not self.stack_is_up or time.monotonic() > deadline:
                raise RuntimeError(f"the stack does not start: {[line for _, line in self.lines][-5:]}")
            time.sleep(0.1)

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append((time.time(), line.strip()))
            with (self.folder / "stack.log").open("a") as log:
                log.write(f"{time.strftime('%H:%M:%S')} {line}")

    def stop_stack(self) -> None:
        if self._stack is not None and self.stack_is_up:
            self._stack.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._stack.wait(120)

    def processes(self) -> list[psutil.Process]:
        """Everything of the stack, PostgreSQL and the supervisor as well."""
        found = {one.pid: one for one in marked(str(self.data_dir))}
        for root in (self._stack.pid if self.stack_is_up and self._stack else None, self.postmaster()):
            # No number means this very process to psutil.
            with suppress(psutil.NoSuchProcess):
                if root is None:
                    continue
                leader = psutil.Process(root)
                found |= {one.pid: one for one in (leader, *leader.children(recursive=True))}
        return list(found.values())

    def child(self, name: str) -> int:
        """The process id of a supervised child."""
        assert self._stack is not None
        for process in psutil.Process(self._stack.pid).children():
            with suppress(psutil.Error):
                if process.environ().get(PART) == name:
                    return process.pid
        raise RuntimeError(f"no process {name}")

    def postmaster(self) -> int | None:
        try:
            return int((self.data_dir / "postgres" / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def run_process(self, run_id: str) -> int:
        """The process in which a flow run works. One that was forked from the warm server does not carry the run's
        environment for others to see, but has its output in common with the process that stands for it."""
        standing = []
        for process in marked(str(self.data_dir)):
            with suppress(psutil.Error, OSError):
                if process.environ().get(RUN_ID) == run_id:
                    standing.append(process)
        outputs = {_output(one.pid) for one in standing} - {""}
        for process in psutil.Process(self.child("warm")).children():
            if _output(process.pid) in outputs:
                return process.pid
        for process in standing:
            with suppress(psutil.Error):
                if "prefect.engine" in process.cmdline():
                    return process.pid
        raise RuntimeError(f"no process of the run {run_id}")

    def _end_all(self) -> None:
        """Whatever is left, by its number."""
        self.stop_stack()
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()


def _output(pid: int) -> str:
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/fd/1").readlink())
    return ""


def _put(url: str, body: Mapping[str, Any]) -> None:
    httpx.put(url, json=body, timeout=10, trust_env=False).raise_for_status()


def kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def checkout(vendor: Vendor, lines: Mapping[str, int], timeout: float = 30) -> dict[str, Any] | None:
    """A shopper buys; None when the shop is closed."""
    body = {"lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()]}
    try:
        answer = httpx.post(f"{vendor.url}/sandbox/checkout", json=body, timeout=timeout, trust_env=False)
        answer.raise_for_status()
    except httpx.HTTPError:
        return None
    receipt: dict[str, Any] = answer.json()
    return receipt
