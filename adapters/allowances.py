"""The vendors' allowances of one channel, as all processes share them in the ledger's database."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from adapters.http import ChannelFault, Resolution
from inventory.publishing import call_budgets
from inventory.publishing.call_budgets import Bucket

Result = TypeVar("Result")


class Allowances:
    """Thread safe. Each call is one short transaction. Without the database no call may leave: raises ChannelFault."""

    def __init__(self, engine: Engine, channel: str) -> None:
        self._engine, self._channel = engine, channel

    def take(self, operation: str, rate: float, burst: float, most_s: float) -> float:
        """Seconds to wait before the call, whose place is taken by this; not taken if over `most_s`."""
        bucket = Bucket(self._channel, operation, rate, burst)
        return self._do(lambda connection: call_budgets.take(connection, bucket, most_s))

    def left(self, operation: str, rate: float, burst: float) -> int:
        """How many calls may leave now."""
        bucket = Bucket(self._channel, operation, rate, burst)
        return self._do(lambda connection: call_budgets.left(connection, bucket))

    def refused(self, operation: str) -> None:
        """The vendor says that nothing is left."""
        self._do(lambda connection: call_budgets.refused(connection, Bucket(self._channel, operation, 0, 0)))

    def _do(self, work: Callable[[Connection], Result]) -> Result:
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            what = f"its allowance cannot be asked, {type(error).__name__}"
        raise ChannelFault(self._channel, Resolution.RETRY, what)
