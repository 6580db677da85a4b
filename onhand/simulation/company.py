"""Our side of the market: processes that come and go, and what each of them does. All real but the clock."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from adapters.channels.protocol import Channel
from adapters.database import in_transaction
from adapters.http import ChannelFault
from expectations.verdict import Verdict
from inventory.ledger import stock
from inventory.orders import notice_store
from inventory.publishing.outbox import mark_dirty
from inventory.publishing.promotions import Limits, Window, end_promotion, set_guards
from inventory.words import IntakeOutcome, PauseOwner
from onhand.services.intake import judge
from onhand.simulation.market import Storefront, Truth
from onhand.simulation.scenario import Task, TroubleKind, Works
from onhand.simulation.steps import Died, Doing, Steps, is_lost_connection, place_of
from onhand.simulation.world import World
from tasks.channel_pool import ChannelPool
from tasks.outages import fall_back
from tasks.outages.lift import NotLiftable, resume_channel
from tasks.outages.pause import LiftedSince, pause_channel
from tasks.publishing.publish import publish
from tasks.publishing.sweep import sweep
from tasks.publishing.watch import watch
from tasks.reconciling.compare import compare_channel
from tasks.runtime import Runtime
from tasks.selling import noticed
from tasks.selling.pull import pull

LEASE = 45.0
"""Seconds that a claim lasts: a lively process must be done before, a dead one's claims come back after."""
REPLAY = timedelta(minutes=5)
_HOME = {Task.PUBLISH: "publisher", Task.PULL: "puller", Task.NOTICED: "puller"}
_SWITCHES = frozenset({Task.PAUSE, Task.RESUME, Task.FALL_BACK})
"""They turn switches, under a lock that another would wait for."""
Check = Callable[..., Verdict]


@dataclass
class Process:
    """One process: dies with its memory."""

    role: str
    runtime: Runtime
    memories: dict[str, Any]


@dataclass
class Done:
    """What was done, for the report."""

    pushes: int = 0
    """Numbers sent."""
    confirmed: int = 0
    lowered: int = 0
    raised: int = 0
    pulls: int = 0
    webhooks: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    """How often a process was killed, by task and step."""
    steps: int = 0
    """At which one could have been killed."""


class Company:
    """`checks` is called after each piece of work, in whatever state it ended."""

    def __init__(
        self, world: World, steps: Steps, engine: Engine, shops: Mapping[str, Storefront], truth: Truth, check: Check,
        checks: Callable[[], None],
    ) -> None:  # fmt: skip
        self.world, self.steps, self.engine, self.shops, self.truth = world, steps, engine, shops, truth
        self.check, self.checks = check, checks
        self.done = Done()
        self.processes: dict[str, Process] = {}
        self.busy: list[tuple[str, Task]] = []
        self.received: set[str] = set()
        for shop in shops.values():
            shop.deliver = self._intake(shop)

    def works(self, work: Works) -> None:
        """At once, or when whoever could do it has the time."""
        roles = {role for role, _ in self.busy}
        role = next((one for one in (_HOME.get(work.task, "other"), "other", "spare") if one not in roles), "")
        turns = work.task in _SWITCHES and any(task in _SWITCHES for _, task in self.busy)
        if not role or turns or len(self.busy) > 1:
            self.world.later(self.world.seconds + 1.0, lambda: self.works(work))
            return
        process = self.processes.setdefault(role, self._start(role))
        doing = Doing(f"{role} ({work.tell()})", work.killed, work.cut)
        self.busy.append((role, work.task))
        self.steps.running.append(doing)
        try:
            self._do(process.runtime, work)
            self.steps.end()
        except Died as death:
            self._bury(role, work, doing, place_of(death.__traceback__))
        except ChannelFault as fault:
            self.world.note(f"{work.task.value} {work.channel} failed: {fault}")
        except (NotLiftable, LiftedSince) as refusal:
            self.world.note(f"{work.task.value} {work.channel}: {refusal}")
        except DBAPIError as error:
            if not is_lost_connection(error):
                raise
            self.world.note(f"{work.task.value} {work.channel} lost its connection to the database")
            self._book_again(work)
        finally:
            self.done.steps += doing.steps
            self.steps.running.pop()
            self.busy.pop()
        self.checks()

    def _bury(self, role: str, work: Works, doing: Doing, place: str) -> None:
        step = f"{work.task.value}: {doing.doomed}, {place or 'at its end'}"
        self.done.kills[step] += 1
        self.world.faults["process killed"] += 1
        self.world.note(f"{role} is killed {doing.doomed} in {place or work.task.value}")
        del self.processes[role]
        if work.task in (*_SWITCHES, Task.RECONCILE):
            # The locks and temporary tables of a session end with the process that had it.
            self.engine.dispose()
        self._book_again(work)

    def _book_again(self, work: Works) -> None:
        """Whoever has goods in his hands books them until they are booked."""
        if work.task is Task.RECEIVE:
            again = replace(work, killed=0, cut=0)
            self.world.later(self.world.seconds + 60, lambda: self.works(again))

    def _start(self, role: str) -> Process:
        memories = {code: shop.front.memory() for code, shop in self.shops.items()}

        def open_channel(code: str) -> Channel:
            if still := self.world.strikes(code, TroubleKind.STANDS_STILL):
                self.world.note(f"{role} stands still for {still.amount:.0f} s before it calls {code}")
                self.world.pass_time(still.amount)
            shop = self.shops[code]
            return shop.front.open(shop.wire, memories[code])

        runtime = Runtime(
            self.engine, open_channel, self.world.now, owner=f"{role}-{self.world.number()}",
            lease=timedelta(seconds=LEASE), check=self.check, at_once=1,
            expects_notices=lambda code: self.shops[code].plan.webhooks,
            pool=ChannelPool(open_channel, self.world.monotonic),
        )  # fmt: skip
        return Process(role, runtime, memories)

    def _do(self, runtime: Runtime, work: Works) -> None:
        code, note = work.channel, self.world.note
        match work.task:
            case Task.PULL:
                self.done.pulls += 1
                pulled = pull(runtime, code, approved_by="Wanda" if self.world.calm else "")
                note(f"pulled {code} since {pulled.since:%H:%M:%S}: {pulled.documents} orders, {pulled.stored} new")
            case Task.PUBLISH:
                report = publish(runtime)
                self.done.pushes += report.sent
                self.done.confirmed += report.confirmed
                falls = [int(str(row["sent"])) < int(str(row["shown before"])) for row in report.rows]
                self.done.lowered += sum(falls)
                self.done.raised += len(falls) - sum(falls)
                if report.claimed:
                    sent = ", ".join(
                        f"{row['channel']} {row['SKU']} {row['shown before']}→{row['sent']} {row['answer']}"
                        for row in report.rows
                    )
                    unread = f", unread {', '.join(report.unread)}" if report.unread else ""
                    note(f"published: {sent or 'nothing'}, {report.held} held{unread}")
            case Task.SWEEP:
                sweep(runtime)
            case Task.NOTICED:
                noticed.read_noticed(runtime, code)
            case Task.WATCH:
                watch(runtime)
            case Task.RECONCILE:
                found = compare_channel(runtime, code, stale_after=timedelta(minutes=5), heal=True)
                note(f"reconciled {code}: {found.differing} differ, {found.blocked}")
            case Task.FALL_BACK:
                looked = fall_back.look(runtime)
                if looked.turned:
                    note(f"fallback: {looked.turned}")
            case Task.PAUSE:
                pause_channel(runtime, code, owner=PauseOwner.PERSON, actor="Wanda", reason="to try it")
                note(f"{code} is paused")
            case Task.RESUME:
                self._resume(runtime)
            case Task.PROMOTE:
                self._promote(runtime, work)
            case Task.DISPUTE:
                self._dispute(runtime, work)
            case Task.RECEIVE:
                self._receive(runtime, work)

    def _resume(self, runtime: Runtime) -> None:
        with runtime.engine.connect() as connection:
            rows = connection.execute(
                text("SELECT channel, owner FROM channel_pause WHERE status <> 'lifted' ORDER BY id LIMIT 1")
            ).all()
        for code, owner in rows:
            report = resume_channel(runtime, code, by=PauseOwner(owner), actor="Walter", reason="it is mended")
            self.world.note(f"{code} is resumed, on sale: {report.on_sale}")

    def _promote(self, runtime: Runtime, work: Works) -> None:
        now = self.world.now()
        limits = (Limits(cap=1), Limits(reserve=2), Limits(no_raises=True), Limits(cap=0))[work.units % 4]
        window = Window(now, now + timedelta(seconds=30 + 20 * work.units))
        channels = [work.channel] if work.channel else []
        name = f"sale-{self.world.number()}"
        in_transaction(
            runtime.engine,
            lambda connection: set_guards(
                connection, name, [work.sku], channels, window, limits, actor="Wanda", reason="sale", now=now
            ),
        )

    def _dispute(self, runtime: Runtime, work: Works) -> None:
        now = self.world.now()
        with runtime.engine.begin() as connection:
            connection.execute(
                text("UPDATE listing SET disputed_since = :now WHERE channel = :code AND sku = :sku"),
                {"now": now, "code": work.channel, "sku": work.sku},
            )
            mark_dirty(connection, {work.sku}, now=now)

    def _receive(self, runtime: Runtime, work: Works) -> None:
        """Goods are on the shelf before anybody books them; booked again when that was in doubt."""
        receipt = f"delivery-{work.at:.3f}"
        if receipt not in self.received:
            self.received.add(receipt)
            self.truth.stock[work.sku] += work.units
        for _ in range(2):
            in_transaction(
                runtime.engine,
                lambda connection: stock.receive(
                    connection, [(work.sku, "main", work.units)], receipt=receipt, now=self.world.now()
                ),
            )

    def tidy(self) -> None:
        """In the end everything is taken back, so that nothing may be stranded."""
        with self.engine.begin() as connection:
            names = connection.execute(text("SELECT DISTINCT name FROM promotion_guard WHERE turned <> 'over'"))
            for (name,) in names.all():
                end_promotion(connection, name, now=self.world.now())
            rows = connection.execute(
                text("UPDATE listing SET disputed_since = NULL WHERE disputed_since IS NOT NULL RETURNING sku")
            )
            mark_dirty(connection, {row.sku for row in rows}, now=self.world.now())

    def _intake(self, shop: Storefront) -> Callable[[Mapping[str, str], bytes], None]:
        """What the webhook intake does with a call, without its HTTP."""

        def take(headers: Mapping[str, str], body: bytes) -> None:
            receiver = shop.front.receiver
            assert receiver is not None
            lower = {name.lower(): value for name, value in headers.items()}
            judged = judge(shop.code, receiver, lower, body, self.world.now(), REPLAY)
            self.done.webhooks += 1
            self.world.note(f"a webhook of {shop.code}: {judged.outcome.value}")
            if judged.outcome is IntakeOutcome.ACCEPTED and judged.notices:
                with self.steps.aside():
                    in_transaction(
                        self.engine,
                        lambda connection: notice_store.store(connection, judged.notices, now=self.world.now()),
                    )

        return take
