"""Child processes that are started, watched and ended as one, with all that they start themselves."""

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MARK = "ONHAND_STACK"
PART = "ONHAND_STACK_PART"
"""Environment variables that every descendant inherits, so that none is lost when its parent dies:
whose it is, and which child of the stack it came from."""

_LOG_LIMIT = 5_000_000


class ProcessError(RuntimeError):
    """A child ended or does not answer. The message ends with the last lines of its log."""


@dataclass
class ManagedProcess:
    """One child in a session of its own: Ctrl-C in the terminal reaches the supervisor only."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    cwd: Path
    log: Path
    healthy: Callable[[], bool]
    timeout: float = 60.0
    """Seconds until it must be healthy."""
    grace: float = 5.0
    """Seconds between asking it to end and killing it."""
    starts: int = 0
    _child: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def returncode(self) -> int | None:
        """Its exit code once it has ended."""
        return self._child.poll() if self._child else None

    def is_alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(  # noqa: S603 - commands of this package
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self.environment, PART: self.name},
                cwd=self.cwd,
                start_new_session=True,
            )
        self.starts += 1

    def wait_until_healthy(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Return when it answers. Raises ProcessError when it ends before, or after `timeout` seconds."""
        deadline = time.monotonic() + self.timeout
        while not self.healthy():
            if not self.is_alive():
                code = self._child.returncode if self._child else None
                raise ProcessError(f"{self.name} ended with code {code}: {self.last_words()}")
            if cancelled():
                raise ProcessError(f"{self.name} was not waited for: the stack is stopping")
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.name} does not answer after {self.timeout:.0f} s: {self.last_words()}")
            time.sleep(0.1)

    def last_words(self) -> str:
        """The last line of the log, and where the rest is."""
        try:
            lines = self.log.read_text(errors="replace")[-4000:].splitlines()
        except OSError:
            lines = []
        said = [line.strip() for line in lines if line.strip()]
        return f"{said[-1] if said else 'it said nothing'} (see {self.log})"

    def stop(self) -> None:
        """End it and all its descendants. Without effect when it has ended already."""
        if self._child is None:
            return
        with suppress(psutil.NoSuchProcess):
            leader = psutil.Process(self._child.pid)
            end([leader, *leader.children(recursive=True)], self.grace)
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(self.grace)
        self.end_leftovers()

    def end_leftovers(self) -> int:
        """End what it started and left behind, for instance when it was killed itself."""
        return end(marked(self.environment[MARK], self.name), self.grace)


def marked(value: str, part: str | None = None) -> list[psutil.Process]:
    """The processes that carry `value` as their mark (of one part, or all), this one and its ancestors left out."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        with suppress(psutil.Error, OSError):
            carried = process.environ()
            if carried.get(MARK) == value and part in (None, carried.get(PART)):
                found.append(process)
    return found


def end(processes: Iterable[psutil.Process], grace: float) -> int:
    """Ask the processes to end, kill those that have not after `grace` seconds; returns how many there were."""
    alive = [process for process in processes if process.is_running()]
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(alive, timeout=grace)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=5)
    return len(alive)
