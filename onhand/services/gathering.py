"""Many webhooks in one transaction: whatever waits while a commit is under way goes into the next one.

A transaction costs the same for one row or for hundreds, so under load the batches grow by themselves, and a
webhook that comes alone is stored at once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from inventory.orders.notice_store import Key, NewNotice

log = logging.getLogger(__name__)

Argument = TypeVar("Argument")
Result = TypeVar("Result")

_OUTAGE = (OperationalError, InterfaceError, PoolExhausted)

Write = Callable[[Sequence[NewNotice]], set[Key]]
"""Stores and commits; returns the keys of those that were new. Runs in a thread, as what comes `after` the
commit does, which must not raise."""


class NotStored(Exception):
    """Nothing is known to be stored; the sender must come again."""


_Waiting = tuple[Sequence[NewNotice], "asyncio.Future[int]"]


class Gatherer:
    """For one event loop: `run` as a task, `store` from any other, `close` to end."""

    def __init__(self, write: Write, *, after: Callable[[set[Key]], object], largest: int, most_waiting: int) -> None:
        self._write, self._after, self._largest, self._most = write, after, largest, most_waiting
        # A thread of its own: it must not wait for a place behind others who wait for something else.
        self._thread = ThreadPoolExecutor(1, "notice-writer")
        self._waiting: deque[_Waiting] = deque()
        self._something = asyncio.Event()
        self._closed = False

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def store(self, notices: Sequence[NewNotice], timeout_s: float) -> int:
        """How many of these were new, once they are committed. Raises NotStored."""
        if self._closed or len(self._waiting) >= self._most:
            raise NotStored
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((notices, answer))
        self._something.set()
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise NotStored from None

    async def run(self) -> None:
        """Until `close`; what waits then is stored before it ends."""
        while True:
            await self._something.wait()
            self._something.clear()
            while batch := self._take():
                new = await self._commit(batch)
                if new:
                    await self._in_thread(self._after, new)
            if self._closed:
                self._thread.shutdown(wait=False)
                return

    async def _in_thread(self, function: Callable[[Argument], Result], argument: Argument) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, argument)

    def close(self) -> None:
        self._closed = True
        self._something.set()

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._largest:
            one = self._waiting.popleft()
            if not one[1].done():  # else its sender has been told to come again
                batch.append(one)
        return batch

    async def _commit(self, batch: Sequence[_Waiting]) -> set[Key]:
        try:
            new = await self._in_thread(self._write, [one for notices, _ in batch for one in notices])
        except Exception as error:
            return await self._failed(batch, error)
        left = set(new)
        for notices, answer in batch:
            own = {one.key for one in notices} & left
            left -= own
            if not answer.done():
                answer.set_result(len(own))
        return new

    async def _failed(self, batch: Sequence[_Waiting], error: Exception) -> set[Key]:
        """One that cannot be stored must not fail the others, so the halves are tried; unless the ledger is away."""
        if len(batch) > 1 and not isinstance(error, _OUTAGE):
            middle = len(batch) // 2
            return await self._commit(batch[:middle]) | await self._commit(batch[middle:])
        # The type only: a message of the database can quote what was to be stored.
        log.error("%s webhooks were not stored: %s", len(batch), type(error).__name__)
        for _, answer in batch:
            if not answer.done():
                answer.set_exception(NotStored())
        return set()
