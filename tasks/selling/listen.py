"""How a pull shift spends the time between two polls: it reads what the channel tells of meanwhile."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from adapters.database import in_transaction, unit_of_work
from adapters.wakeups import Wakeups, pull_topic
from inventory.orders import notice_store
from inventory.publishing.left_claims import drop_events
from tasks.runtime import Runtime
from tasks.selling.noticed import NoticeReport, read_noticed
from tasks.selling.queue import draining

_LOOK_AT_LEAST = 0.05
"""Seconds until a notice is looked for again that should be due by now and is not (another holds it)."""


@dataclass
class Listener:
    """Made by `listening`. `attend` goes to `tasks.shift.beats`."""

    runtime: Runtime
    channel: str
    wakeups: Wakeups
    reports: list[NoticeReport] = field(default_factory=list)
    """What was read because of notices, where there were any."""

    def attend(self, seconds: float) -> None:
        """For so long, read whatever the channel tells of, as soon as it does. Also what waited already."""
        end = time.monotonic() + seconds
        while True:
            report = read_noticed(self.runtime, self.channel)
            if report.claimed:
                self.reports.append(report)
            left = end - time.monotonic()
            if left <= 0:
                return
            if pause := min(left, self._until_next()):
                self.wakeups.wait(pause)

    def _until_next(self) -> float:
        with unit_of_work(self.runtime.engine) as connection:
            due = notice_store.next_due(connection, self.channel)
        if due is None:
            return float("inf")
        return max(_LOOK_AT_LEAST, (due - self.runtime.now()).total_seconds())


@contextmanager
def listening(runtime: Runtime, channel: str) -> Iterator[Listener]:
    """Hear the channel's wake-ups, and drain its queue if it has one, until the end of the block. What this process had
    claimed of the channel before is free again: an attempt that a lost connection ended would else keep it."""
    in_transaction(runtime.engine, lambda connection: drop_events(connection, runtime.owner, channel))
    with Wakeups(runtime.engine, [pull_topic(channel)]) as wakeups, draining(runtime, channel):
        yield Listener(runtime, channel, wakeups)
