"""What the reservation API does, without HTTP: requests of an event loop, gathered into transactions.

Answers come from the writers' threads. Those of one batch are brought to the event loop together: signalling the
loop for each of them costs more than everything else that happens to an answer there.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import Connection, text

from inventory.holds.batching import Batcher, ChangeBatcher, InDoubt, NotDecided, is_outage
from inventory.holds.hold_readings import free_units, read_holds
from inventory.holds.hold_terms import HoldChange, HoldChanged
from inventory.holds.reservations import HeldLine, HoldRequest, HoldResult, HoldState, HoldStatus

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_READERS = 4
_WAKE_PAUSE = 0.02
"""Seconds between two wake-ups: whoever is woken is not done sooner with the first."""


class Transact(Protocol):
    """`adapters.database.in_transaction` with its engine."""

    def __call__(self, work: Callable[[Connection], Result]) -> Result: ...


class Desk:
    """For one event loop at a time. `wake` is called after stock has changed, at most once a batch.

    Every answer comes within `answer_s` seconds, or raises `NotDecided` (nothing was done) or `InDoubt` (asking the
    same again tells).
    """

    def __init__(
        self,
        transact: Transact,
        now: Callable[[], datetime],
        *,
        wake: Callable[[], object] = lambda: None,
        answer_s: float = 5.0,
    ) -> None:
        self._transact, self._now, self._answer_s = transact, now, answer_s
        self._bell = _Bell(wake)
        self._asks = Batcher(self._then_ring(_took), now)
        self._changes = ChangeBatcher(self._then_ring(_gave_back), now)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="hold-reader")
        self._landing: _Landing | None = None

    async def ask(self, request: HoldRequest) -> HoldResult:
        return await self._answer(self._asks.enqueue(request))

    async def change(self, change: HoldChange) -> HoldChanged:
        return await self._answer(self._changes.enqueue(change))

    async def state(self, holder: str) -> HoldState | None:
        found = await self._read(lambda connection: read_holds(connection, [holder], now=self._now()))
        return found.get(holder)

    async def free(self, channel: str, skus: Sequence[str], refs: Sequence[str]) -> list[HeldLine]:
        return await self._read(lambda connection: free_units(connection, channel, skus, refs, now=self._now()))

    async def check_database(self) -> None:
        """Raises NotDecided when it does not answer."""
        await self._read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())

    def close(self, timeout: float | None = None) -> None:
        """Answer what waits, take no more."""
        self._asks.close(timeout)
        self._changes.close(timeout)
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._bell.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _answer(self, coming: "Future[Result]") -> Result:
        loop = asyncio.get_running_loop()
        if self._landing is None or self._landing.loop is not loop:
            self._landing = _Landing(loop)
        try:
            async with asyncio.timeout(self._answer_s):
                return await self._landing.expect(coming)
        except TimeoutError:
            if coming.cancel():
                raise NotDecided("the ledger is too slow at the moment; nothing was done") from None
            raise InDoubt("the ledger has not answered in time") from None

    async def _read(self, work: Callable[[Connection], Result]) -> Result:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._answer_s):
                return await loop.run_in_executor(self._readers, lambda: self._transact(work))
        except TimeoutError:
            raise NotDecided("the ledger has not answered in time") from None
        except Exception as error:
            if not is_outage(error):
                raise
            raise NotDecided("the ledger cannot be reached") from error

    def _then_ring(self, changed: Callable[[Any], bool]) -> Any:
        """`transact`, and the bell when one of its results changed the stock."""

        def transaction(work: Callable[[Connection], list[Any]]) -> list[Any]:
            results = self._transact(work)
            if any(map(changed, results)):
                self._bell.ring()
            return results

        return transaction


def _took(result: HoldResult) -> bool:
    return result.status is HoldStatus.HELD


def _gave_back(changed: HoldChanged) -> bool:
    return changed.gave_back


class _Landing:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._arrived: deque[tuple[Future[Any], asyncio.Future[Any]]] = deque()
        self._signalled = False

    def expect(self, coming: "Future[Result]") -> "asyncio.Future[Result]":
        waiting: asyncio.Future[Result] = self.loop.create_future()
        coming.add_done_callback(lambda done: self._landed(done, waiting))
        return waiting

    def _landed(self, done: "Future[Any]", waiting: "asyncio.Future[Any]") -> None:
        """In the writer's thread. Appended before the flag is read, cleared before it is emptied: none stays behind."""
        self._arrived.append((done, waiting))
        if not self._signalled:
            self._signalled = True
            try:
                self.loop.call_soon_threadsafe(self._hand_out)
            except RuntimeError:
                log.debug("an answer came after the event loop had been closed")

    def _hand_out(self) -> None:
        self._signalled = False
        while self._arrived:
            done, waiting = self._arrived.popleft()
            if waiting.done() or done.cancelled():
                continue
            if error := done.exception():
                waiting.set_exception(error)
            else:
                waiting.set_result(done.result())


class _Bell:
    """Rings in a thread of its own, so that nobody waits for it; rings that come meanwhile are one."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._rung, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="wake-publisher", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        self._rung.set()

    def close(self) -> None:
        self._closing.set()
        self._rung.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._rung.wait()
            self._rung.clear()
            if self._closing.is_set():
                return
            try:
                self._wake()
            except Exception:
                log.exception("nobody was woken")
            self._closing.wait(_WAKE_PAUSE)
