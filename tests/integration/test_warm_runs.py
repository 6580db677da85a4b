"""A forked run is, towards whoever has started it, what a process of its own would be."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from onhand.warm_server import PACKAGES, newest_source

ROOT = Path(__file__).resolve().parents[2]
START = ROOT / "onhand" / "warm_start.py"

# The loop itself, with Python code where Prefect's engine would be.
SERVER = """
import sys
from pathlib import Path
from onhand.warm_server import WarmServer, take_over, to_the_end
if request := WarmServer(Path(sys.argv[1])).serve():
    take_over(request)
    to_the_end(lambda: exec(request.arguments[0], {}))
"""
SLEEP = "import sys, time; print('begun', flush=True); time.sleep(600)"


def until(met: Callable[[], object], seconds: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def start(path: Path, code: str, **more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-S", "-E", str(START), str(path), code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **more},
        cwd=path.parent,
        text=True,
    )


@dataclass
class Warm:
    path: Path
    process: "subprocess.Popen[str]"

    def run(self, code: str, **more: str) -> "subprocess.Popen[str]":
        return start(self.path, code, **more)

    def runs(self) -> list[psutil.Process]:
        return [one for one in psutil.Process(self.process.pid).children() if one.status() != psutil.STATUS_ZOMBIE]

    def say(self, *parts: bytes) -> bytes:
        """What comes back for bytes that no client of ours would send."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
            stranger.settimeout(60)
            stranger.connect(str(self.path))
            for part in parts:
                stranger.sendall(part)
            try:
                return stranger.recv(100)
            except ConnectionResetError:
                return b""


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with tempfile.TemporaryDirectory(prefix="oh-") as folder:
        path = Path(folder) / "warm.sock"
        command = [sys.executable, "-c", SERVER, str(path)]
        process = subprocess.Popen(command, cwd=ROOT, text=True, stderr=subprocess.PIPE)
        assert until(path.exists)
        yield Warm(path, process)
        process.terminate()
        _, said = process.communicate(timeout=120)
        assert "Traceback" not in said
        assert not path.exists()


def test_it_has_output_environment_folder_and_exit_code_of_its_starter(warm: Warm) -> None:
    code = "import os, sys; print(os.environ['SHOE'], os.getcwd()); print('oh', file=sys.stderr); sys.exit(7)"
    run = warm.run(code, SHOE="43 ½")
    said, complained = run.communicate(timeout=120)
    assert (said.split(), complained.strip(), run.returncode) == (["43", "½", str(warm.path.parent)], "oh", 7)
    assert warm.path.stat().st_mode & 0o777 == 0o600


def test_what_one_run_does_to_itself_no_other_sees(warm: Warm) -> None:
    spoil = (
        "import json, os, random; os.environ['SHOE'] = 'x'; json.spoilt = True; os.chdir('/'); print(random.random())"
    )
    first = warm.run(spoil).communicate(timeout=120)[0]
    look = "import json, os, random; print(hasattr(json, 'spoilt'), 'SHOE' in os.environ, os.getcwd(), random.random())"
    *second, drawn = warm.run(look).communicate(timeout=120)[0].split()
    assert second == ["False", "False", str(warm.path.parent)]
    assert drawn != first.strip()


@pytest.mark.parametrize(
    ("code", "said", "complained", "expected"),
    [
        ("import atexit; atexit.register(print, 'at exit')", "at exit", "", 0),
        (
            "import threading, time; threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()",
            "thread",
            "",
            0,
        ),
        ("from concurrent.futures import ThreadPoolExecutor as P; print(P().submit(sum, [1, 2]).result())", "3", "", 0),
        ("raise SystemExit", "", "", 0),
        ("raise SystemExit('no stock')", "", "no stock", 1),
        ("raise ValueError('a bug')", "", "ValueError: a bug", 1),
        ("import sys; sys.stdout.write('no line end')", "no line end", "", 0),
    ],
)
def test_it_ends_as_python_ends(warm: Warm, code: str, said: str, complained: str, expected: int) -> None:
    run = warm.run(code)
    out, err = run.communicate(timeout=120)
    assert (out.strip(), run.returncode) == (said, expected)
    assert complained in err and bool(complained) == bool(err)


def test_many_at_once_each_end_for_themselves(warm: Warm) -> None:
    runs = [warm.run(f"import time, sys; time.sleep({number % 3 / 20}); sys.exit({number})") for number in range(12)]
    assert [run.wait(timeout=120) for run in runs] == list(range(12))
    for run in runs:
        run.communicate()


def test_signals_reach_the_run_and_its_end_by_one_is_told(warm: Warm) -> None:
    kind = "import signal, sys; signal.signal(15, lambda *_: sys.exit(3)); "
    for code, expected in ((kind + SLEEP, 3), (SLEEP, -signal.SIGTERM)):
        run = warm.run(code)
        assert run.stdout is not None and run.stdout.readline() == "begun\n"
        run.terminate()
        run.communicate(timeout=120)
        assert run.returncode == expected


def test_a_killed_client_takes_its_run_along_and_a_killed_run_is_told(warm: Warm) -> None:
    run = warm.run(SLEEP)
    assert run.stdout is not None and run.stdout.readline() == "begun\n"
    (child,) = warm.runs()
    run.kill()
    run.communicate(timeout=120)
    assert until(lambda: not warm.runs())

    run = warm.run(SLEEP)
    assert run.stdout is not None and run.stdout.readline() == "begun\n"
    (child,) = warm.runs()
    child.kill()
    run.communicate(timeout=120)
    assert run.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    "parts",
    [
        (b"\xff\xff\xff\xff",),
        (b"\x00\x00\x00\x05", b"not j"),
        (b"\x00\x00\x00\x02", b"[]"),
        (b"\x00\x00\x00\x02", b"{}"),
        (b"GET / HTTP/1.1\r\n\r\n",),
    ],
)
def test_what_is_no_request_is_refused_and_the_rest_goes_on(warm: Warm, parts: tuple[bytes, ...]) -> None:
    assert warm.say(*parts) == b""
    run = warm.run("print('well')")
    assert run.communicate(timeout=120)[0] == "well\n"


def test_without_a_server_a_run_starts_cold(tmp_path: Path) -> None:
    run = start(tmp_path / "none.sock", "no-run-id")
    complained = run.communicate(timeout=120)[1]
    assert "starts cold" in complained
    assert "Invalid flow run id" in complained, "it is Prefect's engine that speaks"
    assert run.returncode == 1


def test_a_server_that_goes_takes_its_runs_along() -> None:
    with tempfile.TemporaryDirectory(prefix="oh-") as folder:
        path = Path(folder) / "warm.sock"
        server = Warm(path, subprocess.Popen([sys.executable, "-c", SERVER, str(path)], cwd=ROOT, text=True))
        assert until(path.exists)
        run = server.run(SLEEP)
        assert run.stdout is not None and run.stdout.readline() == "begun\n"
        (child,) = server.runs()
        server.process.terminate()
        assert server.process.wait(timeout=120) == 0
        assert run.wait(timeout=120) == 1
        assert "the warm server has gone" in run.communicate()[1]
        assert until(lambda: not child.is_running())


def test_the_request_is_what_the_command_says() -> None:
    """The pool's command is one string; a path with blanks must survive it."""
    from onhand.children import warm_command, warm_socket

    with tempfile.TemporaryDirectory(prefix="oh a b ") as folder:
        path = warm_socket(Path(folder))
        said = subprocess.run(
            ["/bin/sh", "-c", f"{warm_command(path)} x"], capture_output=True, text=True, timeout=120, check=False
        )
        assert "starts cold" in said.stderr


def test_a_path_too_long_for_a_socket_is_replaced(tmp_path: Path) -> None:
    from onhand.children import warm_socket

    path = warm_socket(tmp_path / ("x" * 120))
    assert len(os.fsencode(path)) < 100
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.parent.rmdir()


def test_a_run_after_an_upgrade_starts_from_the_new_files(tmp_path: Path) -> None:
    """A flow file of today with the tasks of yesterday in memory would be neither."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "one.py").touch()
    before = newest_source(tmp_path)
    os.utime(tmp_path / "tasks" / "one.py", (before + 5, before + 5))
    assert newest_source(tmp_path) == before + 5
