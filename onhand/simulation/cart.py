"""A shop that asks before it sells: what it asks is decided by the real ledger, and calls get lost on both ways."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from adapters.database import in_transaction
from adapters.sandbox.asking import Asking, Held
from inventory.holds.hold_terms import ChangeResult, Commit, HoldChanged, Release, change_holds
from inventory.holds.reservations import HoldRequest, HoldResult, HoldStatus, reserve
from onhand.simulation.scenario import TroubleKind
from onhand.simulation.steps import Steps
from onhand.simulation.world import World

PATIENCE = timedelta(seconds=90)
"""How long a hold lasts."""


class LedgerAsking(Asking):
    """As the reservation API answers, without its HTTP."""

    def __init__(self, world: World, steps: Steps, engine: Engine, code: str) -> None:
        self.counts: Counter[str] = Counter()
        self.milliseconds: list[float] = []
        self._world, self._steps, self._engine, self._code = world, steps, engine, code

    def ask(self, wanted: Mapping[str, int]) -> Held | None:
        key = f"cart-{self._world.number()}"
        if self._lost(TroubleKind.REQUEST_LOST):
            return None
        request = HoldRequest(key, self._code, (), PATIENCE, listings=tuple(wanted.items()), partial=True)
        [result] = self._decide(lambda connection: reserve(connection, [request], now=self._world.now()))
        if self._lost(TroubleKind.ANSWER_LOST):
            self._world.note(f"{self._code} has no answer for {key} and does not sell")
            return None
        if not isinstance(result, HoldResult) or result.status is not HoldStatus.HELD:
            return None
        return Held(key, {line.name: line.held for line in result.hold.lines})

    def commit(self, key: str, order_id: str) -> None:
        """Until it has an answer."""
        for _ in range(2 if self._lost(TroubleKind.ANSWER_LOST) else 1):
            changed = self._change(Commit(f"hold:{self._code}:{key}", order_id))
            assert changed.result in (ChangeResult.DONE, ChangeResult.ALREADY_COMMITTED, ChangeResult.OVER)

    def release(self, key: str) -> None:
        self._change(Release(f"hold:{self._code}:{key}"))

    def close(self) -> None:
        pass

    def _lost(self, kind: TroubleKind) -> bool:
        return self._world.strikes(self._code, kind) is not None

    def _change(self, change: Commit | Release) -> HoldChanged:
        [changed] = self._decide(lambda connection: change_holds(connection, [change], now=self._world.now()))
        assert isinstance(changed, HoldChanged)
        return changed

    def _decide(self, work: Callable[[Connection], list[Any]]) -> list[Any]:
        """It is another process than the one that happens to wait for a call."""
        with self._steps.aside():
            return in_transaction(self._engine, work)
