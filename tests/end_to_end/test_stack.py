"""The embedded stack with a real Prefect server: it starts, heals, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from adapters.embedded_postgres import EmbeddedPostgres
from adapters.settings import Settings
from onhand.processes import end, marked
from onhand.stack import Stack, StackError, running_stack

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).resolve().parents[2]

HOLD = """
import sys
from pathlib import Path
from adapters.settings import Settings
from onhand.stack import Stack, interruptible
with interruptible(), Stack(Settings(data_dir=Path(sys.argv[1])), shops=(), worker=False, deploy=False) as stack:
    print(*stack.processes.values(), flush=True)
    stack.wait()
print("ended", flush=True)
"""


def until(met: Callable[[], bool], seconds: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One data folder for the module: Prefect's own database is then made once."""
    with tempfile.TemporaryDirectory(prefix="onhand-test-") as name:
        yield Path(name)
        assert end(marked(name), grace=3) == 0
        assert not EmbeddedPostgres(Path(name)).is_running()


def test_it_starts_heals_and_stops(folder: Path) -> None:
    lines: list[str] = []
    stack = Stack(Settings(data_dir=folder), shops=(), deploy=False, progress=lines.append)
    with stack:
        assert set(stack.processes) == {"prefect-server", "warm", "worker"}
        assert httpx.get(f"{stack.api_url}/health", timeout=60, trust_env=False).json() is True
        assert httpx.get(stack.ui_url, timeout=60, trust_env=False, follow_redirects=True).status_code == 200
        pool = httpx.get(f"{stack.api_url}/work_pools/onhand", timeout=60, trust_env=False).json()
        assert pool["type"] == "process"
        assert "command" in pool["base_job_template"]["variables"]["properties"]
        state = running_stack(folder)
        assert state is not None
        assert (state.pid, state.api_url) == (os.getpid(), stack.api_url)

        with pytest.raises(StackError, match="runs already"):
            Stack(Settings(data_dir=folder), shops=(), deploy=False).start()
        assert set(stack.processes) == {"prefect-server", "warm", "worker"}

        killed = stack.processes["worker"]
        os.kill(killed, signal.SIGKILL)
        assert until(lambda: stack.processes.get("worker", killed) != killed)
        assert stack.failure is None
        started = [psutil.Process(pid) for pid in stack.processes.values()]
        descendants = [child for process in started for child in process.children(recursive=True)]
    assert not any(process.is_running() for process in [*started, *descendants])
    assert marked(str(folder)) == []
    assert running_stack(folder) is None
    assert not EmbeddedPostgres(folder).is_running()
    assert "worker has died and is started again" in lines
    stack.stop()


def hold(folder: Path) -> "tuple[subprocess.Popen[str], list[int]]":
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, text=True, stdout=subprocess.PIPE, start_new_session=True
    )
    assert holder.stdout is not None
    pids = [int(pid) for pid in holder.stdout.readline().split()]
    assert pids
    return holder, pids


def test_a_signal_stops_it_and_a_kill_is_cleared_up_by_the_next_start(folder: Path) -> None:
    holder, pids = hold(folder)
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate(timeout=60)
    assert any(psutil.pid_exists(pid) for pid in pids)

    heir, _ = hold(folder)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    heir.send_signal(signal.SIGTERM)
    said, _ = heir.communicate(timeout=120)
    assert heir.returncode == 0
    assert said.strip() == "ended"
    assert marked(str(folder)) == []
    assert not EmbeddedPostgres(folder).is_running()


def test_a_start_that_fails_leaves_nothing(folder: Path) -> None:
    stack = Stack(Settings(data_dir=folder), shops=("no_such_vendor",), worker=False, deploy=False)
    with pytest.raises(StackError, match="sandbox-no_such_vendor ended"):
        stack.start()
    assert marked(str(folder)) == []
    assert not EmbeddedPostgres(folder).is_running()
