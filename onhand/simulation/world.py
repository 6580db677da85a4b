"""The clock, what is still to happen, and what has happened. Time passes only in `pass_time`."""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from onhand.simulation.scenario import Trouble, TroubleKind, clock

BEGIN = datetime(2026, 3, 1, 8, tzinfo=UTC)


class World:
    """`calm`: no trouble any more, no shoppers."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.seconds = 0.0
        self.calm = False
        self.history: list[str] = []
        self.faults: Counter[str] = Counter()
        self.troubles: dict[str, list[tuple[Trouble, random.Random]]] = {}
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count(1)

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def chance(self, what: str) -> random.Random:
        """A source of chance of its own: what is taken from one does not change another."""
        return random.Random(f"{self.seed}/{what}")  # noqa: S311 - repeatable on purpose, protects nothing

    def number(self) -> int:
        return next(self._numbers)

    def later(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._waiting, (at, next(self._numbers), action))

    def pass_time(self, seconds: float) -> None:
        """What is due meanwhile happens meanwhile."""
        end = self.seconds + seconds
        while self._waiting and self._waiting[0][0] <= end:
            at, _, action = heapq.heappop(self._waiting)
            self.seconds = max(self.seconds, at)
            action()
        self.seconds = max(self.seconds, end)

    def play_out(self) -> None:
        """Until nothing waits."""
        while self._waiting:
            self.pass_time(max(0.0, self._waiting[0][0] - self.seconds))

    def begin_trouble(self, trouble: Trouble) -> None:
        self.note(trouble.tell())
        source = self.chance(f"{trouble.kind}/{trouble.channel}/{trouble.at}")
        self.troubles.setdefault(trouble.channel, []).append((trouble, source))

    def strikes(self, channel: str, kind: TroubleKind) -> Trouble | None:
        """The trouble of this kind that strikes this call, if any."""
        if self.calm:
            return None
        for trouble, source in self.troubles.get(channel, ()):
            if trouble.kind is kind and self.seconds < trouble.until and source.random() < trouble.chance:
                self.faults[kind.value] += 1
                return trouble
        return None

    def note(self, what: str) -> None:
        self.history.append(f"{clock(self.seconds)} {what}")
