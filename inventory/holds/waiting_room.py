"""Who waits for a decision, and who goes with the next set: first come first served.

The writer is called once for as many callers as are expected, not for each of them: a thread that wakes costs more than
a caller that waits for another.
"""

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

_LULL = 0.0005
"""Seconds without a newcomer after which a set goes, although as many as are expected have not come yet."""

Asked = TypeVar("Asked")


@dataclass(slots=True)
class Waiting(Generic[Asked]):
    request: Asked
    answer: Future[Any]


class WaitingRoom(Generic[Asked]):
    """Any number of callers enter; one writer takes them out in sets of at most `largest`."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._door = threading.Lock()
        self._news = threading.Condition(self._door)
        self._waiting: list[Waiting[Asked]] = []
        self._closed = False
        self._came = 0
        self._call_at: int | None = None
        """How many must have come for the writer to be called."""
        self._expected = 0
        """Callers in sight after the last set: those of it, who are likely to come again, and those still waiting."""

    def enter(self, request: Asked, answer: "Future[Any]") -> bool:
        """False: it is closed."""
        with self._door:
            if self._closed:
                return False
            self._waiting.append(Waiting(request, answer))
            self._came += 1
            if self._call_at is not None and self._came >= self._call_at:
                self._news.notify()
            return True

    def close(self) -> None:
        """Nobody else comes in; whoever waits is still let through."""
        with self._door:
            self._closed = True
            self._news.notify()

    def next_set(self) -> list[Waiting[Asked]]:
        """Who goes next: waits for the first of them, and while others are coming. Empty: closed, and nobody waits."""
        with self._door:
            while going := self._ready():
                # A request whose caller has gone is dropped here; from here on it cannot be taken back.
                if members := [one for one in going if one.answer.set_running_or_notify_cancel()]:
                    return members
            return []

    def settle(self, members: list[Waiting[Asked]]) -> None:
        """They are decided, and will be told now."""
        with self._door:
            self._expected = len(members) + len(self._waiting)

    def _ready(self) -> list[Waiting[Asked]]:
        """Take out of the queue who goes next."""
        lull = False
        while self._waiting or not self._closed:
            wanted = max(1, min(self._largest, self._expected))
            if self._waiting and (lull or self._closed or len(self._waiting) >= wanted):
                going, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
                return going
            if lull:
                # It is quiet: whoever comes next is not kept waiting for others.
                self._expected = 0
            lull = self._nobody_comes(wanted - len(self._waiting))
        return []

    def _nobody_comes(self, missing: int) -> bool:
        """Wait until so many more have come, but where some are expected only while they keep coming."""
        before, briefly = self._came, self._expected > 0
        self._call_at = self._came + (max(1, missing) if briefly else 1)
        self._news.wait(_LULL if briefly else None)
        self._call_at = None
        return briefly and self._came == before
