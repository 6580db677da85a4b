"""Children end with all that they started, also when they are killed or refuse."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from onhand.processes import MARK, ManagedProcess, ProcessError, end, marked

# A child that starts a grandchild in a session of its own, tells its pid, and refuses SIGTERM.
PARENT = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(grandchild.pid, flush=True)
time.sleep(60)
"""


def child_of(tmp_path: Path, code: str, name: str = "child") -> ManagedProcess:
    return ManagedProcess(
        name,
        [sys.executable, "-c", code],
        {**os.environ, MARK: str(tmp_path)},
        tmp_path,
        tmp_path / f"{name}.log",
        healthy=lambda: bool((tmp_path / f"{name}.log").read_text().strip()),
        timeout=120,
        grace=0.3,
    )


def test_a_stop_ends_the_stubborn_child_and_its_grandchild(tmp_path: Path) -> None:
    child = child_of(tmp_path, PARENT)
    child.start()
    child.wait_until_healthy()
    grandchild = int(child.log.read_text())
    assert {process.pid for process in marked(str(tmp_path))} == {child.pid, grandchild}
    child.stop()
    assert not child.is_alive()
    assert not psutil.pid_exists(grandchild)
    child.stop()


def test_the_grandchild_of_a_killed_child_is_found(tmp_path: Path) -> None:
    child, other = child_of(tmp_path, PARENT), child_of(tmp_path, PARENT, "other")
    for each in (child, other):
        each.start()
        each.wait_until_healthy()
    grandchild = int(child.log.read_text())
    assert child.pid is not None
    psutil.Process(child.pid).kill()
    while child.is_alive():
        time.sleep(0.01)
    assert psutil.pid_exists(grandchild)
    assert child.end_leftovers() == 1
    assert not psutil.pid_exists(grandchild)
    assert other.is_alive()
    other.stop()
    assert marked(str(tmp_path)) == []


def test_a_child_that_ends_early_says_why(tmp_path: Path) -> None:
    child = child_of(tmp_path, "raise SystemExit('the port is taken')")
    child.healthy = lambda: False
    child.start()
    with pytest.raises(ProcessError, match=r"child ended with code 1: the port is taken \(see .*child.log\)"):
        child.wait_until_healthy()


def test_a_child_that_does_not_answer_in_time(tmp_path: Path) -> None:
    child = child_of(tmp_path, "import time; time.sleep(60)")
    child.timeout = 0.2
    child.start()
    with pytest.raises(ProcessError, match="does not answer"):
        child.wait_until_healthy()
    with pytest.raises(ProcessError, match="is stopping"):
        child.wait_until_healthy(lambda: True)
    child.stop()


def test_processes_without_the_mark_are_left_alone(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        assert end(marked(str(tmp_path)), grace=0.1) == 0
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
