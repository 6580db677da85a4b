"""The strict policy while people work at it: channels paused by switch and by zeros and put back, promotions, disputes,
reconciliations that heal, channels noticed to be dark.

The same market as in `test_strict_never_oversells`, and the same faults.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from asking_shop import AskingShop
from market_world import Died, SimulatedShop
from sqlalchemy import Engine, text
from test_strict_never_oversells import FIRST, SEEDS, Play, quick_engine  # noqa: F401 - the fixture

from adapters.channels.protocol import PauseState, Remember, forget
from adapters.http import ChannelFault
from expectations import gate
from inventory.outbox import mark_dirty
from inventory.promotions import Limits, Window, end_promotion, set_guards
from inventory.words import PauseOwner
from tasks.compare import compare_channel
from tasks.lift import NotLiftable, resume_channel
from tasks.pause import pause_channel
from tasks.watch import watch


class PausingShop(SimulatedShop):
    """Is hidden by a switch, or shows zeros."""

    closed: bool
    by_switch: bool

    def customer(self) -> None:
        if not self.closed:
            super().customer()
        elif self.orders and self.world.random.random() < 0.12:
            self._cancel(self.orders[self.world.random.choice(sorted(self.orders))])

    def pause(self, listing_refs: Sequence[str], remember: Remember = forget) -> PauseState:
        self._on_the_way()
        self._fail("pause", 0.1)
        state: PauseState = {"by_switch": self.by_switch, "closed": self.closed}
        remember(state)
        self._die("killed before the switch was turned", 0.1)
        if self.by_switch:
            self.closed = True
        else:
            self.shown |= dict.fromkeys(listing_refs, 0)
        self.world.note(f"{self.code} is off sale, by switch: {self.by_switch}")
        self._on_the_way()
        self._die("killed after the switch was turned", 0.1)
        return state

    def resume(self, state: PauseState) -> None:
        self._on_the_way()
        self._fail("resume", 0.1)
        if state["by_switch"]:
            self.closed = bool(state["closed"])
            self.world.note(f"{self.code} is closed: {self.closed}")
        self._on_the_way()
        self._die("killed after the switch was turned back", 0.1)


class OperatedPlay(Play):
    """Every round somebody does something, perhaps."""

    def __init__(self, seed: int, engine: Engine, check: Callable[..., gate.Verdict]) -> None:
        super().__init__(seed, engine, check)
        self.runtimes["person"] = self._runtime()
        self.promotions: set[str] = set()
        for shop in self.pausing():
            shop.closed, shop.by_switch = False, self.world.random.random() < 0.6

    def _furnish(self) -> None:
        super()._furnish()
        for shop in self.world.shops.values():
            if not isinstance(shop, AskingShop):
                shop.__class__ = PausingShop

    def pausing(self) -> list[PausingShop]:
        return [shop for shop in self.world.shops.values() if isinstance(shop, PausingShop)]

    def sweep(self) -> None:
        super().sweep()
        chance = self.world.random
        if self.world.calm:
            self.tidy()
            return
        acts = (
            (self.pause, 0.15), (self.resume, 0.25), (self.promote, 0.1), (self.dispute, 0.1), (self.reconcile, 0.15),
            (self.look, 0.5),
        )  # fmt: skip
        for act, probability in acts:
            if chance.random() < probability:
                act()
                self.bounded()

    def pause(self) -> None:
        shop = self.world.random.choice(self.pausing())
        owner = self.world.random.choice((PauseOwner.PERSON, PauseOwner.ONHAND))
        self.world.note(f"{owner} pauses {shop.code}")
        try:
            pause_channel(self.runtimes["person"], shop.code, owner=owner, actor="Wanda", reason="to try it")
        except Died:
            self._replace("person")
        except ChannelFault as fault:
            self.world.note(f"not paused: {fault}")

    def resume(self) -> None:
        rows = self.rows("SELECT channel, owner FROM channel_pause WHERE status <> 'lifted' ORDER BY id")
        for code, owner in rows[:1]:
            by = PauseOwner(owner)
            self.world.note(f"{by} resumes {code}")
            try:
                report = resume_channel(self.runtimes["person"], code, by=by, actor="Walter", reason="it is mended")
                self.world.note(f"resumed: {report}")
            except Died:
                self._replace("person")
            except (ChannelFault, NotLiftable) as fault:
                self.world.note(f"not resumed: {fault}")

    def promote(self) -> None:
        chance, now = self.world.random, self.world.now()
        window = Window(now, now + timedelta(seconds=chance.uniform(20, 200)))
        channels = chance.sample(sorted(self.world.shops), k=chance.choice((0, 1)))
        limits = chance.choice((Limits(cap=1), Limits(reserve=2), Limits(no_raises=True), Limits(cap=0)))
        name = f"sale-{self.world.number()}"
        self.promotions.add(name)
        sku = chance.choice(sorted(self.world.stock))
        self.world.note(f"{name}: {limits} of {sku} at {channels or 'all'}")
        with self.engine.begin() as connection:
            set_guards(connection, name, [sku], channels, window, limits, actor="Wanda", reason="sale", now=now)

    def dispute(self) -> None:
        number, ref, sku = self.world.random.choice(self.rows("SELECT id, ref, sku FROM listing ORDER BY id"))
        self.world.note(f"{ref} is in dispute")
        with self.engine.begin() as connection:
            values = {"id": number, "now": self.world.now()}
            connection.execute(text("UPDATE listing SET disputed_since = :now WHERE id = :id"), values)
            mark_dirty(connection, {sku}, now=self.world.now())

    def reconcile(self) -> None:
        code = self.world.random.choice(sorted(self.world.shops))
        try:
            found = compare_channel(self.runtimes["person"], code, stale_after=timedelta(minutes=5), heal=True)
            self.world.note(f"reconciled {code}: {found.by_class}, disputed {found.disputed} {found.blocked}")
        except Died:
            self._replace("person")
        except ChannelFault as fault:
            self.world.note(f"not reconciled: {fault}")

    def look(self) -> None:
        seen = watch(self.runtimes["other"])
        self.world.note(f"dark: {seen.went_dark} {seen.longer_dark}")

    def tidy(self) -> None:
        """Everything is taken back, so that in the end nothing may be stranded."""
        open_ = {row[0] for row in self.rows("SELECT DISTINCT name FROM promotion_guard WHERE turned <> 'over'")}
        with self.engine.begin() as connection:
            for name in sorted(open_):
                end_promotion(connection, name, now=self.world.now())
            rows = connection.execute(
                text("UPDATE listing SET disputed_since = NULL WHERE disputed_since IS NOT NULL RETURNING sku")
            )
            mark_dirty(connection, {row.sku for row in rows}, now=self.world.now())
        self.resume()

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def bounded(self) -> None:
        """What a switch hides is not on sale."""
        hidden = {shop.code: shop.shown for shop in self.pausing() if shop.closed}
        try:
            for code in hidden:
                self.world.shops[code].shown = dict.fromkeys(hidden[code], 0)
            super().bounded()
        finally:
            for code, shown in hidden.items():
                self.world.shops[code].shown = shown


@pytest.mark.parametrize("seed", range(FIRST, FIRST + max(1, SEEDS // 3)))
def test_no_unit_is_sold_twice_while_people_work_at_it(seed: int, quick_engine: Engine) -> None:  # noqa: F811
    play = OperatedPlay(seed, quick_engine, gate.recheck)
    try:
        play.run()
        play.run()
        play.verify()
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n{play.world.tell()}") from error
