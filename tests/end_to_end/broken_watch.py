"""When was it noticed, and when was all well again: read from what the stack itself leaves."""

import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from broken_world import World
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

_TRACES = """
SELECT first_at AS at, 'incident ' || kind || ' ' || subject || ': ' || message AS said
FROM incident WHERE first_at > :since
UNION ALL SELECT last_at, 'incident ' || kind || ' ' || subject || ': ' || message
FROM incident WHERE last_at > :since
UNION ALL SELECT at, 'health ' || subject || ' ' || before || ' to ' || after || ': ' || cause
FROM health_change WHERE at > :since
UNION ALL SELECT first_at, 'fault ' || channel || ' ' || call || ': ' || resolution
FROM channel_fault WHERE first_at > :since
UNION ALL SELECT noticed_at, 'health ' || channel || ' dark' FROM channel_outage WHERE noticed_at > :since
"""


@dataclass
class LogWatch:
    """Notes each line of the logs with the instant at which it was there."""

    world: World
    lines: list[tuple[float, str]] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _read: dict[Path, int] = field(default_factory=dict)

    def start(self) -> None:
        threading.Thread(target=self._go_on, name="log watch", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _go_on(self) -> None:
        while not self._stopping.wait(0.1):
            files = [*(self.world.data_dir / "logs").glob("*.log"), self.world.data_dir / "postgres" / "server.log"]
            for file in files:
                self._more(file)

    def _more(self, file: Path) -> None:
        try:
            size, done = file.stat().st_size, self._read.get(file, 0)
            if size == done:
                return
            with file.open("rb") as opened:
                opened.seek(done if size > done else 0)
                content = opened.read()
                self._read[file] = opened.tell()
        except OSError:
            return
        at = time.time()
        self.lines += [(at, f"{file.stem}: {line}") for line in content.decode(errors="replace").splitlines() if line]


def first_trace(world: World, logs: LogWatch, engine: Engine, pattern: str, since: float) -> tuple[float, str] | None:
    """(instant, what) of the first sign of the fault."""
    wanted = re.compile(pattern, re.IGNORECASE)
    found = [(at, f"supervisor: {line}") for at, line in world.lines if at > since and wanted.search(line)]
    found += [(at, f"log {line}") for at, line in logs.lines if at > since and wanted.search(line)]
    found += [(at, line) for at, line in _in_ledger(engine, since) if wanted.search(line)]
    return min(found, default=None)


def _in_ledger(engine: Engine, since: float) -> list[tuple[float, str]]:
    try:
        with engine.connect() as connection:
            rows = connection.execute(text(_TRACES), {"since": datetime.fromtimestamp(since, UTC)}).all()
    except SQLAlchemyError:
        return []
    return [(row.at.timestamp(), str(row.said)) for row in rows]


def open_incidents(engine: Engine) -> list[str]:
    try:
        with engine.connect() as connection:
            rows = connection.execute(
                text("SELECT kind, subject, message FROM incident WHERE status = 'open' ORDER BY kind, subject")
            )
            return [f"{row.kind} {row.subject}: {row.message}" for row in rows]
    except SQLAlchemyError as error:
        return [f"the ledger does not answer: {type(error).__name__}"]
