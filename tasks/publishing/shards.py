"""One of several publishers: the part of the outbox that this process takes, kept up to date in a thread."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from adapters.database import in_transaction
from adapters.shard_locks import ShardLocks
from adapters.wakeups import PUBLISH, wake
from inventory.publishing import outbox
from inventory.publishing.outbox import Part
from tasks.runtime import Runtime

log = logging.getLogger(__name__)

EVERY_S = 1.0
"""So often each process looks who is there; a killed one's shards are taken over within this time."""
PATIENCE = timedelta(seconds=30)
"""What has been due for so long anybody takes: its publisher hangs, or has more to do than the others."""

_part: ContextVar[Part | None] = ContextVar("part", default=None)


def current_part() -> Part | None:
    """The part that this process takes; None: everything."""
    return _part.get()


@contextmanager
def sharing(runtime: Runtime, shards: int) -> Iterator[Part | None]:
    """Until the end of the block this process publishes its fair part of so many shards. With one shard it takes
    everything, and shares by leases alone."""
    if shards == 1:
        yield None
        return
    with ShardLocks(runtime.engine, shards) as locks:
        part = Part(shards, PATIENCE, owner=f"publisher-{locks.number}")
        _look(runtime, locks, part)
        stop = threading.Event()
        thread = threading.Thread(target=_keep, args=(runtime, locks, part, stop), name="shards", daemon=True)
        thread.start()
        token = _part.set(part)
        try:
            yield part
        finally:
            _part.reset(token)
            stop.set()
            thread.join()


def _keep(runtime: Runtime, locks: ShardLocks, part: Part, stop: threading.Event) -> None:
    while not stop.wait(EVERY_S):
        try:
            _look(runtime, locks, part)
        except SQLAlchemyError as error:
            log.warning("the leases of publishers that left end by themselves: %s", type(error).__name__)


def _look(runtime: Runtime, locks: ShardLocks, part: Part) -> None:
    held = locks.look()
    if held != part.mine:
        log.info("shards %s of %s", ", ".join(map(str, sorted(held))) or "none", part.shards)
        part.mine = held
    if locks.somebody_left and in_transaction(runtime.engine, outbox.free_leases_of_the_dead):
        wake(runtime.engine, PUBLISH)
