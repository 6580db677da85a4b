"""A channel that puts its notices in a queue: take them out, store them, and only then acknowledge them."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.channels.notices import UNREADABLE, Notice, NoticeQueue, rows
from adapters.database import in_transaction
from adapters.http import ChannelFault
from adapters.wakeups import pull_topic, wake
from inventory.orders import notice_store
from inventory.words import IntakeOutcome
from tasks.runtime import Runtime

log = logging.getLogger(__name__)

WAIT_S = 10.0
"""A call waits so long for the first message; a shift that ends waits as long for the thread."""
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0


def drain(runtime: Runtime, channel: str, queue: NoticeQueue, wait_s: float) -> int:
    """Store what waits in the queue; returns how many notices were new. Raises ChannelFault.

    A process that dies before it acknowledges gets the messages again, and stores nothing twice.
    """
    messages = queue.receive(wait_s)
    if not messages:
        return 0
    told = [notice for message in messages for notice in message.notices if _tells(notice)]
    notices = rows(channel, told)
    now = runtime.now()
    new = in_transaction(runtime.engine, lambda connection: notice_store.store(connection, notices, now=now))
    queue.acknowledge(messages)
    repeated = len({one.key for one in notices}) - len(new)
    counts = {(channel, IntakeOutcome.ACCEPTED): len(new), (channel, IntakeOutcome.REPEATED): repeated}
    counts = {pair: times for pair, times in counts.items() if times}
    in_transaction(runtime.engine, lambda connection: notice_store.count(connection, counts, now=now))
    if new:
        wake(runtime.engine, pull_topic(channel))
    return len(new)


def _tells(notice: Notice) -> bool:
    """A queue also brings messages that have nothing to do with our orders and listings."""
    return bool(notice.order_ids or notice.listing_refs or notice.topic == UNREADABLE)


@contextmanager
def draining(runtime: Runtime, channel: str) -> Iterator[None]:
    """Drain the channel's queue, if it has one, in a thread of its own until the end of the block."""
    stop = threading.Event()
    queue = runtime.queue(channel)
    if queue is None:
        yield
        return
    thread = threading.Thread(
        target=_drain_until, args=(runtime, channel, queue, stop), name=f"queue-{channel}", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(WAIT_S + 1)


def _drain_until(runtime: Runtime, channel: str, queue: NoticeQueue, stop: threading.Event) -> None:
    """Polling goes on whatever happens here, so that nothing but time is lost with the queue."""
    pause = _FIRST_PAUSE
    while not stop.is_set():
        try:
            drain(runtime, channel, queue, WAIT_S)
            pause = _FIRST_PAUSE
        except ChannelFault as fault:
            log.warning("the queue of %s: %s", channel, fault)
            stop.wait(max(pause, fault.retry_after or 0))
            pause = min(_LONGEST_PAUSE, 2 * pause)
        except Exception:
            log.exception("the queue of %s could not be drained", channel)
            stop.wait(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)
