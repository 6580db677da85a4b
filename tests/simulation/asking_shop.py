"""A simulated shop that asks before it sells: reserve, then commit with the order, or let the cart go.

What it asks is decided by the real ledger. Calls get lost on both ways; a shop that has no answer does not sell,
and one that has no answer to its commit asks until it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from market_world import BEGIN, Offer, SimulatedShop, World
from sqlalchemy import Connection, Engine

from adapters.database import in_transaction
from inventory.hold_terms import ChangeResult, Commit, HoldChanged, Release, change_holds
from inventory.reservations import HoldRequest, HoldResult, HoldStatus, reserve

PATIENCE = 90.0
"""Seconds that a hold lasts."""


class AskingShop(SimulatedShop):
    """`shown` is only what it offers; what it sells was held before."""

    def __init__(self, world: World, code: str, offers: Sequence[Offer], engine: Engine) -> None:
        super().__init__(world, code, offers, compare_and_set=False)
        self.engine = engine

    def _buy(self, lines: list[tuple[int, str, int]]) -> None:
        world = self.world
        key = f"cart-{world.number()}"
        asked = tuple((ref, units) for _, ref, units in lines)
        request = HoldRequest(key, self.code, (), timedelta(seconds=PATIENCE), listings=asked)
        if world.strikes("hold not asked", 0.05):
            return
        result = self._decide(lambda connection: reserve(connection, [request], now=self._our_now()))[0]
        assert isinstance(result, HoldResult)
        if world.strikes("answer to a hold lost", 0.08):
            world.note(f"{self.code} has no answer for {key} and does not sell")
            return
        world.note(f"{self.code} asks for {asked}: {result.status}")
        if result.status is not HoldStatus.HELD:
            return
        fate = world.random.random()
        if world.calm or fate < 0.75:
            world.later(world.random.uniform(0, PATIENCE * 1.2), lambda: self._check_out(key, lines))
        elif fate < 0.9:
            self._change(Release(request.holder))

    def _check_out(self, key: str, lines: list[tuple[int, str, int]]) -> None:
        """The customer pays: a committed hold is sold, whatever comes."""
        number = self.world.number()
        changed = self._change(Commit(f"hold:{self.code}:{key}", str(number)))
        if self.world.strikes("answer to a commit lost", 0.1):
            changed = self._change(Commit(f"hold:{self.code}:{key}", str(number)))
            assert changed.result in (ChangeResult.ALREADY_COMMITTED, ChangeResult.OVER)
        if changed.result in (ChangeResult.DONE, ChangeResult.ALREADY_COMMITTED):
            for _, ref, units in lines:
                self.shown[ref] -= units
            self._place(lines, key)
        else:
            self.world.note(f"{self.code} came too late for {key}: {changed.result}")

    def _change(self, change: Commit | Release) -> HoldChanged:
        [changed] = self._decide(lambda connection: change_holds(connection, [change], now=self._our_now()))
        assert isinstance(changed, HoldChanged)
        return changed

    def _decide(self, work: Callable[[Connection], list[Any]]) -> list[Any]:
        return in_transaction(self.engine, work)

    def _our_now(self) -> Any:
        return BEGIN + timedelta(seconds=self.world.clock)
