"""Where a process of ours can be killed: before and after each commit, before and after each call of a channel.

A killed process does nothing any more: whatever its code still tries while it unwinds fails in the same way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from traceback import walk_tb
from types import TracebackType
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from onhand.simulation.world import World


class Died(BaseException):
    """The process was killed. No `except Exception` may catch it."""


@dataclass
class Doing:
    """One piece of work of one process."""

    name: str
    killed: int = 0
    cut: int = 0
    steps: int = 0
    statements: int = 0
    doomed: str = ""
    """Where it is killed: from its next step on nothing of it happens."""


@dataclass
class Steps:
    """Counts the steps of whatever runs; several processes interleave only within calls of channels."""

    world: World
    running: list[Doing] = field(default_factory=list)

    def listen(self, engine: Engine) -> None:
        event.listen(engine, "before_cursor_execute", self._statement)
        event.listen(engine, "commit", self._commit)

    def unlisten(self, engine: Engine) -> None:
        event.remove(engine, "before_cursor_execute", self._statement)
        event.remove(engine, "commit", self._commit)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What another process than the running one does meanwhile: it is not killed with it."""
        running, self.running = self.running, []
        try:
            yield
        finally:
            self.running = running

    def before(self, what: str) -> None:
        """Of a call: nothing of it happens when the process dies here."""
        self._alive()
        self._step(f"before {what}")
        self._alive()

    def after(self, what: str) -> None:
        """Of a call: the channel has done its part."""
        self._step(f"after {what}")
        self._alive()

    def end(self) -> None:
        """Of a piece of work."""
        self._alive()

    def _alive(self) -> None:
        if self.running and self.running[-1].doomed:
            raise Died

    def _step(self, where: str) -> None:
        if not self.running:
            return
        doing = self.running[-1]
        doing.steps += 1
        if doing.steps == doing.killed:
            doing.doomed = where

    def _statement(self, connection: Connection, *_: Any) -> None:
        self._alive()
        if not self.running:
            return
        doing = self.running[-1]
        doing.statements += 1
        if doing.statements == doing.cut:
            self.world.faults["connection cut"] += 1
            self.world.note(f"the database cuts the connection of {doing.name}")
            cut(connection)

    def _commit(self, connection: Connection) -> None:
        self._alive()
        self._step("before a commit")
        self._alive()
        # What is killed after its commit has done that, and nothing more: the next thing that it does fails.
        self._step("after a commit")


def cut(connection: Connection) -> None:
    """End the session at the server, as a restart of the server does."""
    raw: Any = connection.connection.dbapi_connection
    with psycopg.connect(raw.info.dsn, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (raw.info.backend_pid,))


def is_lost_connection(error: BaseException) -> bool:
    return isinstance(error, OperationalError) and error.connection_invalidated


def place_of(trace: TracebackType | None) -> str:
    """The function of ours in which it happened: `tasks.publishing.publish._begin`."""
    found = ""
    for frame, _ in walk_tb(trace):
        module = frame.f_globals.get("__name__", "")
        if module.split(".")[0] == "tasks":
            found = f"{module.removeprefix('tasks.')}.{frame.f_code.co_name}"
    return found
