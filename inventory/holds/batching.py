"""Many callers ask for holds at once; one writer decides all that wait at this moment as one set.

A transaction costs the same whether it carries one hold or a hundred, and holds on one SKU would wait for
each other's commit. So callers queue, and the writer takes whatever waits, first come first served: one alone
and at once when it is quiet. Under load the callers who have just been answered come again within a moment,
and the writer lets them in before it goes (`inventory.holds.waiting_room`): otherwise every batch would hold a few of
the callers while the others wait. A second writer, whose set would be decided while the first one's is made durable,
gave nothing on two cores, whatever a flush took: each set was half as large.

Nothing here decides about stock. Two of these in two processes are correct, because the database decides.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from inventory.holds.hold_terms import HoldChange, HoldChanged, change_holds, check_change
from inventory.holds.reservations import HoldRequest, HoldResult, check, reserve
from inventory.holds.waiting_room import WaitingRoom


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

_OUTAGES = ("08", "53", "57P")
"""How SQLSTATEs begin that say nothing about the request: connection, resources, server going down."""


class NotDecided(RuntimeError):
    """The request was not looked at, and nothing was done. It may be sent again."""


class InDoubt(RuntimeError):
    """No answer came; the hold may exist or not. Asking again with the same key tells, and does nothing twice."""


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
        self._transaction, self._now = transaction, now
        self._room: WaitingRoom[Asked] = WaitingRoom(largest)
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
        if not self._room.enter(request, answer):
            raise NotDecided(f"{request.holder} came after closing; nothing was done")
        return answer

    def close(self, timeout: float | None = None) -> bool:
        """Take no more requests, answer those that wait, and stop. False when that took longer than `timeout`."""
        self._room.close()
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
        while members := self._room.next_set():
            outcomes = self._outcomes([one.request for one in members])
            # Before the answers: whoever comes again because of one is expected, and not counted twice.
            self._room.settle(members)
            for one, outcome in zip(members, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    one.answer.set_exception(outcome)
                else:
                    one.answer.set_result(outcome)

    def _outcomes(self, requests: Sequence[Asked]) -> list[Answered | Exception]:
        try:
            return [*self._transaction(lambda connection: self.decide(connection, requests, self._now()))]
        except Exception as error:
            return self._failed(requests, error)

    def _failed(self, requests: Sequence[Asked], error: Exception) -> list[Answered | Exception]:
        """One request must not fail the others: the halves are tried in their order, down to the culprit."""
        if is_outage(error):
            doubts = [InDoubt(f"the ledger did not answer for {request.holder}") for request in requests]
            for doubt in doubts:
                doubt.__cause__ = error
            return [*doubts]
        if len(requests) == 1:
            return [error]
        middle = len(requests) // 2
        return self._outcomes(requests[:middle]) + self._outcomes(requests[middle:])


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
