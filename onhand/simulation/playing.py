"""One scenario from its beginning until all is quiet, and what came of it."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from expectations import gate
from inventory import setup
from inventory.ledger import stock
from inventory.policies.policy_store import bring_in_force
from inventory.words import ChannelMode
from onhand.simulation.cart import LedgerAsking
from onhand.simulation.company import Check, Company
from onhand.simulation.drawing import LIE
from onhand.simulation.ground import Ground
from onhand.simulation.market import Storefront, open_market
from onhand.simulation.oracle import Oracle
from onhand.simulation.scenario import (
    KIT,
    Buys,
    Cancels,
    ClockJumps,
    ForeignWrite,
    Happening,
    Scenario,
    Task,
    TokenEnds,
    Trouble,
    Works,
)
from onhand.simulation.steps import Steps
from onhand.simulation.world import BEGIN, World

OVERLAP = 2 * LIE + 90
QUIET_ROUNDS = 14
"""So often everything is done once more in calm; by then all must be at rest."""
WAREHOUSE = "main"


@dataclass
class Outcome:
    """What one seed was. `violation` is empty when every promise was kept."""

    seed: int
    days: float
    violation: str = ""
    orders: int = 0
    units: int = 0
    cancelled: int = 0
    pushes: int = 0
    confirmed: int = 0
    pulls: int = 0
    calls: int = 0
    webhooks: int = 0
    steps: int = 0
    oversold: int = 0
    by_strangers: int = 0
    """Units oversold that somebody else had put on sale at a channel: no policy can keep that from happening."""
    faults: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    history: list[str] = field(default_factory=list)
    cpu_s: float = 0.0


class Play:
    """Furnishes the ground, and plays."""

    def __init__(self, scenario: Scenario, ground: Ground, check: Check | None = None) -> None:
        self.scenario, self.ground, self.engine = scenario, ground, ground.engine
        self.world = World(scenario.seed)
        self.steps = Steps(self.world)
        self.truth, self.shops = open_market(self.world, self.steps, scenario)
        for code, shop in self.shops.items():
            if shop.plan.asks_first:
                shop.shop.ask = LedgerAsking(self.world, self.steps, self.engine, code)
        self.oracle = Oracle(self.world, self.engine, self.truth, self.shops, may_oversell=bool(scenario.policy))
        checking = check or (gate.check if scenario.real_gate else gate.recheck)
        self.company = Company(
            self.world, self.steps, self.engine, self.shops, self.truth, checking, self.oracle.at_this_step
        )

    def run(self) -> None:
        """Raises whatever goes wrong: `oracle.Broken`, or an error that nobody should see."""
        with self.engine.begin() as connection:
            furnish(connection, self.scenario, self.shops)
        self.steps.listen(self.engine)
        try:
            for happening in self.scenario.happenings:
                self.world.later(happening.at, self._action(happening))
            self.world.play_out()
            self._calm_down()
        finally:
            self.steps.unlisten(self.engine)
        self.oracle.at_the_end()

    def _action(self, happening: Happening) -> Callable[[], None]:
        match happening:
            case Works():
                return lambda: self.company.works(happening)
            case Buys():
                return lambda: self.shops[happening.channel].buys(happening)
            case Cancels():
                return lambda: self.shops[happening.channel].cancels(happening)
            case ForeignWrite():
                return lambda: self.shops[happening.channel].foreign(happening)
            case Trouble():
                return lambda: self.world.begin_trouble(happening)
            case ClockJumps():
                return lambda: self._jump(happening)
            case TokenEnds():
                return lambda: self._end_token(happening)
            case _:
                return self._restart

    def _jump(self, jump: ClockJumps) -> None:
        self.world.faults["clock jumps"] += 1
        self.world.note(jump.tell())
        self.shops[jump.channel].ahead = jump.ahead

    def _end_token(self, end: TokenEnds) -> None:
        self.world.faults["token ends"] += 1
        self.world.note(end.tell())
        self.shops[end.channel].front.end_token()

    def _restart(self) -> None:
        if self.company.busy:
            # In the middle of a call: who waits for it finds its connections gone.
            self.world.note("the database server restarts while a call is on its way")
        self.world.faults["database restart"] += 1
        self.ground.restart()
        self.engine.dispose()

    def _calm_down(self) -> None:
        """No more faults, no more shoppers: everything comes to rest within some rounds."""
        self.world.calm = True
        self.world.note("calm")
        strange = self.world.faults["foreign write"] > 0
        for number in range(QUIET_ROUNDS):
            self.world.pass_time(max(shop.traits.in_doubt + shop.traits.settle for shop in self.shops.values()) + 1)
            for code in self.shops:
                self._do(Task.PULL, code)
            if number == 0:
                self.company.tidy()
            self._do(Task.RESUME)
            if number in (1, 2) and strange:
                for code in self.shops:
                    self._do(Task.RECONCILE, code)
            self._do(Task.SWEEP)
            self._do(Task.PUBLISH)
            if number >= (2 if strange else 1) and self._is_quiet():
                return

    def _do(self, task: Task, channel: str = "") -> None:
        self.company.works(Works(self.world.seconds, task, channel))

    def _is_quiet(self) -> bool:
        with self.engine.connect() as connection:
            return bool(
                connection.execute(
                    text(
                        "SELECT NOT EXISTS (SELECT FROM outbox WHERE due_at <= :now + interval '5 minutes') "
                        "AND NOT EXISTS (SELECT FROM listing "
                        "                WHERE unconfirmed_until IS NOT NULL OR settling IS NOT NULL) "
                        "AND NOT EXISTS (SELECT FROM channel_pause WHERE status <> 'lifted')"
                    ),
                    {"now": self.world.now()},
                ).scalar_one()
            )


def furnish(connection: Connection, scenario: Scenario, shops: dict[str, Storefront]) -> None:
    """Items, channels, listings and the opening stock."""
    kit = [KIT] if scenario.bundle else []
    setup.add_items(connection, dict.fromkeys([*scenario.stock, *kit], ""))
    if scenario.bundle:
        setup.add_bundle(connection, KIT, scenario.bundle)
    setup.add_locations(connection, [WAREHOUSE])
    for code, shop in shops.items():
        setup.add_channel(
            connection,
            setup.ChannelSetup(
                code, shop.plan.vendor, shop.traits.write_mode, (WAREHOUSE,), mode=ChannelMode.LIVE,
                share=shop.plan.share, asks_first=shop.plan.asks_first, settle_seconds=shop.traits.settle,
                in_doubt_seconds=shop.traits.in_doubt, overlap_seconds=OVERLAP,
            ),
        )  # fmt: skip
        setup.add_listings(connection, code, shop.listings())
    lines = [(sku, WAREHOUSE, units) for sku, units in scenario.stock.items()]
    stock.receive(connection, lines, receipt="opening", now=BEGIN)
    if scenario.policy:
        bring_in_force(connection, scenario.policy, actor="the seed", reason="to try it", now=BEGIN)


def play(scenario: Scenario, ground: Ground, check: Check | None = None) -> Outcome:
    """Play it on the ground, which is swept before. Never raises for what goes wrong in it: that is the outcome."""
    began = time.process_time()
    ground.sweep()
    played = Play(scenario, ground, check)
    outcome = Outcome(scenario.seed, scenario.days)
    quiet = logging.getLogger("tasks")
    level, quiet.level = quiet.level, logging.CRITICAL
    try:
        played.run()
    except Exception as error:
        # Whatever it is: in production nobody would have expected it either.
        outcome.violation = f"{type(error).__name__}: {error}"
        played.world.note(outcome.violation)
        ground.engine.dispose()
    finally:
        quiet.level = level
    _count(outcome, played)
    outcome.cpu_s = time.process_time() - began
    return outcome


def _count(outcome: Outcome, played: Play) -> None:
    done, world = played.company.done, played.world
    orders = [order for shop in played.shops.values() for order in shop.shop.orders.values()]
    outcome.orders = len(orders)
    outcome.units = sum(line.quantity for order in orders for line in order.lines)
    outcome.cancelled = sum(one.quantity for order in orders for one in order.reversals)
    outcome.pushes, outcome.confirmed, outcome.pulls = done.pushes, done.confirmed, done.pulls
    outcome.webhooks, outcome.steps = done.webhooks, done.steps
    outcome.calls = sum(shop.wire.calls for shop in played.shops.values())
    outcome.oversold = len(played.truth.oversold)
    outcome.by_strangers = played.truth.by_strangers
    outcome.faults, outcome.kills = world.faults, done.kills
    outcome.history = world.history
