"""Adapters that are kept open between calls: making one costs milliseconds of CPU and a handshake."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable

from adapters.channels.protocol import Channel

KEPT_S = 300.0
"""An adapter older than this is closed, so that a credential that was changed is used within this time."""


class ChannelPool:
    """`take` and `give_back` from any thread; who has taken an adapter has it alone."""

    def __init__(self, make: Callable[[str], Channel], clock: Callable[[], float] = time.monotonic) -> None:
        self._make, self._clock = make, clock
        self._idle: dict[str, list[Channel]] = defaultdict(list)
        self._made: dict[int, float] = {}
        self._lock = threading.Lock()

    def take(self, code: str) -> Channel:
        """An adapter of the channel. Raises what making one raises."""
        while True:
            with self._lock:
                adapter = self._idle[code].pop() if self._idle[code] else None
                old = adapter is not None and self._clock() - self._made[id(adapter)] > KEPT_S
            if adapter is None:
                adapter = self._make(code)
                with self._lock:
                    self._made[id(adapter)] = self._clock()
                return adapter
            if not old:
                return adapter
            self.drop(adapter)

    def give_back(self, code: str, adapter: Channel) -> None:
        with self._lock:
            self._idle[code].append(adapter)

    def drop(self, adapter: Channel) -> None:
        """It is not to be used again."""
        with self._lock:
            self._made.pop(id(adapter), None)
        adapter.close()
