"""Many callers ask for holds at once; one writer decides all that wait at this moment as one set.

A transaction costs the same whether it carries one hold or a hundred, and holds on one SKU would wait for
each other's commit. So callers queue, and the writer takes whatever waits, first come first served: one alone
and at once when it is quiet. Under load the callers who have just been answered come again within a moment,
and the writer lets them in before it goes (`_LULL`): otherwise every batch would hold half of the callers
while the other half waits.

Nothing here decides about stock. Two of these in two processes are correct, because the database decides.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from enum import Enum
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from inventory.holds.hold_terms import HoldChange, HoldChanged, change_holds, check_change
from inventory.holds.reservations import HoldRequest, HoldResult, check, reserve


class Request(Protocol):
    @property
    def holder(self) -> str: ...


Asked = TypeVar("Asked", bound=Request)
Answered = TypeVar("Answered")

Work = Callable[[Connection], list[Answered]]
Transaction = Callable[[Work[Answered]], list[Answered]]
"""Runs the work in a transaction of its own, and commits before it returns; it may run the work again."""

LARGEST = 256
"""Requests in one transaction. More would make the first of them wait for longer than they save."""

_LULL = 0.0005
"""Seconds without a newcomer after which a batch goes, although as many as last time have not come yet."""

_OUTAGES = ("08", "53", "57P")
"""How SQLSTATEs begin that say nothing about the request: connection, resources, server going down."""


class NotDecided(RuntimeError):
    """The request was not looked at, and nothing was done. It may be sent again."""


class InDoubt(RuntimeError):
    """No answer came; the hold may exist or not. Asking again with the same key tells, and does nothing twice."""


_Waiting = tuple[Asked, Future[Answered]]


class _Nobody(Enum):
    CAME = 0


class AnyBatcher(ABC, Generic[Asked, Answered]):
    """`submit` from any number of threads; `enqueue` from an event loop. Close it, or use it as a context.

    `transaction` is how the work reaches the database (`adapters.database.in_transaction` with its engine),
    `now` the clock, read once for each transaction.
    """

    def __init__(
        self, transaction: Transaction[Answered], now: Callable[[], datetime], *, largest: int = LARGEST
    ) -> None:
        if largest < 1:
            raise ValueError("a batch has room for one request at least")
        self._transaction, self._now, self._largest = transaction, now, largest
        self._queue: SimpleQueue[_Waiting[Asked, Answered] | None] = SimpleQueue()
        self._door = threading.Lock()
        self._closed = False
        self._writer = threading.Thread(target=self._write, name=type(self).__name__, daemon=True)
        self._writer.start()

    @abstractmethod
    def check(self, request: Asked) -> None:
        """Raises ValueError for a request that makes no sense."""

    @abstractmethod
    def decide(self, connection: Connection, requests: Sequence[Asked], now: datetime) -> list[Answered]:
        """One answer each, in the order of the requests."""

    def submit(self, request: Asked, timeout: float | None = None) -> Answered:
        """The decision, once it is durable. Raises what `check` and `decide` raise for this request, and

        `NotDecided` (closed, or not begun within `timeout` seconds), `InDoubt` (begun, no answer yet).
        """
        answer = self.enqueue(request)
        try:
            return answer.result(timeout)
        except TimeoutError:
            if answer.cancel():
                raise NotDecided(f"{request.holder} was not begun within {timeout} s; nothing was done") from None
            if answer.done():
                return answer.result()
            raise InDoubt(f"{request.holder} was begun but has no answer after {timeout} s") from None

    def enqueue(self, request: Asked) -> Future[Answered]:
        """The same without waiting. Cancelling the future takes the request back if it was not begun."""
        self.check(request)
        answer: Future[Answered] = Future()
        with self._door:
            if self._closed:
                raise NotDecided(f"{request.holder} came after closing; nothing was done")
            self._queue.put((request, answer))
        return answer

    def close(self, timeout: float | None = None) -> bool:
        """Take no more requests, answer those that wait, and stop. False when that took longer than `timeout`."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._writer.join(timeout)
        return not self._writer.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # The writer's thread

    def _write(self) -> None:
        in_sight, last = 0, False
        while not last:
            batch, last = self._gather(in_sight)
            self._answer(batch)
            in_sight = len(batch) + self._queue.qsize()

    def _gather(self, in_sight: int) -> tuple[list[_Waiting[Asked, Answered]], bool]:
        """What waits at this moment, at least one; and whether it is the last. Waits for `in_sight` while they come."""
        batch: list[_Waiting[Asked, Answered]] = []
        one = self._next(_LULL if in_sight else None)
        if isinstance(one, _Nobody):
            # It is quiet: whoever comes next is not kept waiting for others.
            one, in_sight = self._next(None), 0
        while isinstance(one, tuple):
            # A request whose caller has gone is dropped here; from here on it cannot be taken back.
            if one[1].set_running_or_notify_cancel():
                batch.append(one)
            if len(batch) == self._largest:
                return batch, False
            one = self._next(_LULL if len(batch) < in_sight else 0)
        return batch, one is None

    def _next(self, timeout: float | None) -> _Waiting[Asked, Answered] | _Nobody | None:
        """The next in the queue; None is the end of it."""
        try:
            return self._queue.get(timeout != 0, timeout)
        except Empty:
            return _Nobody.CAME

    def _answer(self, batch: Sequence[_Waiting[Asked, Answered]]) -> None:
        if not batch:
            return
        requests = [request for request, _ in batch]
        try:
            results = self._transaction(lambda connection: self.decide(connection, requests, self._now()))
        except Exception as error:
            self._failed(batch, error)
        else:
            for (_, answer), result in zip(batch, results, strict=True):
                answer.set_result(result)

    def _failed(self, batch: Sequence[_Waiting[Asked, Answered]], error: Exception) -> None:
        """One request must not fail the others: the halves are tried in their order, down to the culprit."""
        if is_outage(error):
            for request, answer in batch:
                doubt = InDoubt(f"the ledger did not answer for {request.holder}")
                doubt.__cause__ = error
                answer.set_exception(doubt)
        elif len(batch) == 1:
            batch[0][1].set_exception(error)
        else:
            middle = len(batch) // 2
            self._answer(batch[:middle])
            self._answer(batch[middle:])


class Batcher(AnyBatcher[HoldRequest, HoldResult]):
    """Gathers requests for holds."""

    def check(self, request: HoldRequest) -> None:
        check(request)

    def decide(self, connection: Connection, requests: Sequence[HoldRequest], now: datetime) -> list[HoldResult]:
        return reserve(connection, requests, now=now)


class ChangeBatcher(AnyBatcher[HoldChange, HoldChanged]):
    """Gathers extensions, commits and releases of holds."""

    def check(self, request: HoldChange) -> None:
        check_change(request)

    def decide(self, connection: Connection, requests: Sequence[HoldChange], now: datetime) -> list[HoldChanged]:
        return change_holds(connection, requests, now=now)


def is_outage(error: Exception) -> bool:
    """The database is what failed, so that trying the requests singly would fail as often."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolExhausted)
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        # The driver's own word: no server behind it. (It calls unusable values DataError.)
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return str(state).startswith(_OUTAGES)
