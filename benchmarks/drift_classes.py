"""`python -m benchmarks.drift_classes`: a week of the trace with drift of every class planted, and what was made of it.

Of each class: how much was planted, found, and classed right (recall), and how much of what was given that class
deserved it (precision); and what became of it. Uses `--trace FILE` (an order history), else the recorded one beside the
project if it is there, else a generated week.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text

from adapters.sandbox.generator import generate
from adapters.sandbox.trace import Trace, read_trace
from benchmarks.drift_score import Scores, score
from benchmarks.drift_week import Clock, Drifter, Shop
from benchmarks.ledger import laboratory, open_ledger
from expectations import gate
from inventory import setup
from inventory.ledger import stock
from inventory.ledger.ledger import Move
from inventory.skus import is_non_stock
from inventory.words import (
    ChannelMode,
    Comparison,
    DiscrepancyClass,
    MovementReason,
    StockState,
    WriteMode,
)
from tasks.publishing.publish import publish
from tasks.reconciling.compare import Scope, compare_channel
from tasks.reconciling.compare_ledger import compare_ledger
from tasks.reconciling.compare_orders import compare_orders
from tasks.reconciling.compare_warehouse import compare_warehouse
from tasks.reconciling.discrepancy_report import report_discrepancies
from tasks.runtime import Runtime
from tasks.selling.pull import pull

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data" / "online_retail" / "two_ordinary_weeks.csv.gz"
LATE = timedelta(minutes=30)
SHOPS = {"north": True, "south": True, "west": False}
"""{channel: takes numbers by compare-and-set}"""


@dataclass(frozen=True)
class Plan:
    days: int = 6
    skus: int = 200
    each: int = 2
    """Plants of each kind a day."""
    seed: int = 1
    until: int = 20
    """Hour at which the shops close; the evening's comparisons come after eight all the same."""


@dataclass
class Week:
    engine: Engine
    runtime: Runtime
    clock: Clock
    shops: dict[str, Shop]
    drifter: Drifter
    skus: list[str]
    units: dict[str, int]
    healed_while_blocked: int = 0
    blocked: int = 0
    sold: int = 0

    def execute(self, sql: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql), values)


def open_week(engine: Engine, trace: Trace, plan: Plan) -> Week:
    """A ledger and three shops that sell the trace's best sellers and as many others."""
    demand: Counter[str] = Counter()
    for order in trace.orders:
        for line in order.lines:
            if not is_non_stock(line.sku):
                demand[line.sku] += line.quantity
    chance = Random(plan.seed)  # noqa: S311 - not a secret
    ranked = [sku for sku, _ in demand.most_common()]
    skus = ranked[: plan.skus // 2] + chance.sample(ranked[plan.skus // 2 :], plan.skus // 2)
    units = {sku: 60 + min(2 * demand[sku], 4000) for sku in skus}
    clock = Clock(trace.orders[0].placed_at.replace(hour=5, minute=0, second=0))
    shops = {code: Shop(code, clock, mode, {f"{code}:{sku}": 0 for sku in skus}) for code, mode in SHOPS.items()}
    with engine.begin() as connection:
        setup.add_items(connection, dict.fromkeys(skus, ""))
        setup.add_locations(connection, ["main"])
        for code, mode in SHOPS.items():
            write_mode = WriteMode.COMPARE_AND_SET if mode else WriteMode.ABSOLUTE
            setup.add_channel(
                connection,
                setup.ChannelSetup(code, "memory", write_mode, ("main",), mode=ChannelMode.LIVE),
            )
            setup.add_listings(connection, code, [(f"{code}:{sku}", sku, 1) for sku in skus])
        lines = [(sku, "main", count) for sku, count in units.items()]
        stock.receive(connection, lines, receipt="opening", now=clock() - timedelta(days=2))
    runtime = Runtime(engine, shops.__getitem__, clock, check=gate.recheck, at_once=1)
    drifter = Drifter(shops, clock, chance, chance.sample(skus, len(skus)))
    week = Week(engine, runtime, clock, shops, drifter, skus, units)
    for _ in range(3):
        catch_up(week)
        clock.forward(700)
    return week


def catch_up(week: Week, rounds: int = 2) -> None:
    """Every channel is pulled and written to."""
    for _ in range(rounds):
        for shop in week.shops.values():
            if not shop.orders_away:
                pull(week.runtime, shop.code)
        while publish(week.runtime).sent:
            week.clock.forward(1)
        week.clock.forward(5)


def play(week: Week, trace: Trace, plan: Plan) -> None:
    for number, day in enumerate(trace.trading_days()[: plan.days]):
        orders = trace.day(day).orders
        hours: dict[int, list[Any]] = defaultdict(list)
        for order in orders:
            hours[order.placed_at.hour].append(order)
        for hour in range(8, plan.until):
            begin = orders[0].placed_at.replace(hour=hour, minute=0, second=0)
            week.clock.at = max(week.clock.at, begin.astimezone(week.clock.at.tzinfo))
            _hour(week, hours[hour - 1], plan, hour, number)
        week.clock.at = max(week.clock.at, begin.replace(hour=20))
        _evening(week, number)


def _hour(week: Week, orders: Sequence[Any], plan: Plan, hour: int, day: int) -> None:
    drifter = week.drifter
    away = hour == 11 and day % 2 == 1
    unseen: set[str] = set()
    for order in orders:
        shop = week.shops[sorted(SHOPS)[sum(map(ord, order.order_id)) % len(SHOPS)]]
        for line in order.lines:
            ref = f"{shop.code}:{line.sku}"
            if ref in shop.shown:
                sold = shop.sell(ref, line.quantity, at=week.clock())
                week.sold += sold
                unseen |= {ref} if sold and shop.code == "south" else set()
    week.shops["south"].orders_away = away
    catch_up(week)
    if hour in (9, 13):
        for _ in range(plan.each):
            drifter.raised()
            drifter.lowered()
            drifter.missed()
            drifter.negative()
    if away:
        _sell_unseen(week, unseen)
        week.clock.forward(3600)
    week.clock.forward(900)
    if hour == 14:
        for _ in range(plan.each):
            _lazy(week, 10**9)
        for _ in range(plan.each):
            _lazy(week, 500.0)
            drifter.late()
        week.clock.forward(60)
    _look(week, Scope("full" if hour in (11, 14) else "hot"))
    if hour == 15 and day == 0:
        _wipe(week)


def _sell_unseen(week: Week, unseen: set[str]) -> None:
    """Sales at a channel whose orders cannot be read: whatever differs there is stale. `unseen`: sold already."""
    south = week.shops["south"]
    for ref in [f"south:{sku}" for sku in week.skus]:
        few = week.skus.index(ref.partition(":")[2]) < len(week.skus) // 8
        if (few and south.sell(ref, 1, at=week.clock())) or ref in unseen:
            week.drifter.note("sold while the orders were away", DiscrepancyClass.STALE, Comparison.QUANTITIES,
                              f"south/{ref}")  # fmt: skip


def _lazy(week: Week, seconds: float) -> None:
    """A raise that the channel confirms, and applies later or never."""
    found = week.drifter.pick(0)
    if found is None:
        return
    shop, ref, sku = found
    shop.lazy[ref] = seconds
    with week.engine.begin() as connection:
        stock.receive(connection, [(sku, "main", 90)], receipt=f"lazy {sku}", now=week.clock())
    week.units[sku] += 90
    before = len(shop.pending)
    while publish(week.runtime).sent:
        week.clock.forward(1)
    if len(shop.pending) == before:
        shop.lazy.pop(ref, None)
        return
    if seconds > 10**6:
        shop.pending.pop()
        # The terms of the channel are over: what is not there now will not come.
        week.clock.forward(700)
        pull(week.runtime, shop.code)
        week.drifter.note("write that got lost", DiscrepancyClass.MISMATCH, Comparison.QUANTITIES, f"{shop.code}/{ref}")
    else:
        week.drifter.note("write that is applied late", DiscrepancyClass.DELAYED, Comparison.QUANTITIES,
                          f"{shop.code}/{ref}")  # fmt: skip


def _look(week: Week, scope: Scope) -> None:
    for code, shop in week.shops.items():
        if not shop.orders_away:
            pull(week.runtime, code)
        result = compare_channel(week.runtime, code, stale_after=LATE, heal=True, scope=scope)
        week.blocked += bool(result.blocked)
        week.healed_while_blocked += result.healing if result.blocked or result.stale else 0
    report_discrepancies(week.runtime)


def _wipe(week: Week) -> None:
    """A cache that answers zero for everything, for one look."""
    shop = week.shops["north"]
    shop.wiped = True
    pull(week.runtime, "north")
    result = compare_channel(week.runtime, "north", stale_after=LATE, heal=True)
    shop.wiped = False
    week.blocked += bool(result.blocked)
    week.healed_while_blocked += result.healing


def _evening(week: Week, day: int) -> None:
    drifter = week.drifter
    drifter.phantom()
    drifter.changed()
    drifter.stolen()
    drifter.swapped()
    if drifter.skus:
        _arrives(week, drifter.skus.pop())
    _break(week, day)
    week.clock.forward(3600)
    catch_up(week)
    for code in week.shops:
        pull(week.runtime, code)
        compare_orders(week.runtime, code, window=timedelta(days=2), heal=True)
    taken_at = week.clock()
    rows = [f"{sku},main,{week.units[sku] + drifter.off_shelf.get(sku, 0)}" for sku in week.skus]
    week.clock.forward(1800)
    compare_warehouse(
        week.runtime, "\n".join(["sku,location,quantity", *rows, ""]), folder=Path(), taken_at=taken_at, complete=True
    )
    compare_ledger(week.runtime, heal=True)
    report_discrepancies(week.runtime)


def _arrives(week: Week, sku: str) -> None:
    """Goods that are on the shelf and not booked yet."""
    move = Move(sku, "main", StockState.SUPPLIER, StockState.INBOUND, 12, MovementReason.RECEIPT, "supplier",
                f"inbound {sku}", week.clock() - timedelta(hours=5))  # fmt: skip
    with week.engine.begin() as connection:
        stock.move_stock(connection, [move], now=week.clock())
    week.drifter.off_shelf[sku] = 12
    week.drifter.note("arrived and not booked", DiscrepancyClass.DELAYED, Comparison.WAREHOUSE, f"{sku}@main")


def _break(week: Week, day: int) -> None:
    """Somebody writes to the ledger's tables past the ledger."""
    if not week.drifter.skus:
        return
    sku = week.drifter.skus.pop()
    if day % 2 == 0:
        week.execute(
            "INSERT INTO balance VALUES (:sku, 'main', 'quarantined', 2) "
            "ON CONFLICT (sku, location, state) DO UPDATE SET quantity = balance.quantity + 2",
            sku=sku,
        )
        # It is on hand by that balance, so the warehouse has two fewer as well.
        week.drifter.off_shelf[sku] = 2
        week.drifter.note("balance past the journal", DiscrepancyClass.MISMATCH, Comparison.LEDGER,
                          f"balance/{sku}@main/quarantined")  # fmt: skip
        return
    week.execute(
        "INSERT INTO reservation (holder, kind, channel, status, placed_at, updated_at, recorded_at, fingerprint) "
        "VALUES (:holder, 'hold', 'north', 'released', :now, :now, :now, '')",
        holder=f"hold:north:{sku}", now=week.clock(),
    )  # fmt: skip
    week.execute(
        "INSERT INTO reservation_line VALUES (:holder, :sku, 'main', 3, 0, true)", holder=f"hold:north:{sku}", sku=sku
    )
    week.drifter.note("hold that is over and holds", DiscrepancyClass.MISMATCH, Comparison.LEDGER,
                      f"orphaned_hold/hold:north:{sku}/{sku}@main")  # fmt: skip


def the_week(trace: Path | None, plan: Plan) -> tuple[Trace, str]:
    """The orders, and where they are from."""
    file = trace or (RECORDED if RECORDED.is_file() else None)
    if file is not None:
        return read_trace(file, ZoneInfo("Europe/London")), file.name
    return generate(plan.seed, plan.days, start=date(2026, 11, 2)), f"generated, seed {plan.seed}"


def show(console: Console, week: Week, scores: Scores) -> None:
    table = Table(title="Planted drift, and what was made of it", title_justify="left")
    for heading in ("class", "planted", "found", "recall", "precision", "what became of it"):
        table.add_column(heading, justify="left" if heading in ("class", "what became of it") else "right")
    for kind, one in scores.by_class.items():
        fates = ", ".join(f"{many} {fate}" for fate, many in one.fates.most_common())
        table.add_row(kind.value, str(one.planted), str(one.found), f"{one.recall:.2f}", f"{one.precision:.2f}", fates)
    console.print(table)
    console.print(f"{week.sold:,} units were sold; {week.blocked} answers were not believed, and "
                  f"{week.healed_while_blocked} listings healed by such or by stale ones.")  # fmt: skip
    for name, rows in (
        ("Not found", Counter(one.what for one in scores.missed)),
        ("Classed otherwise", Counter(f"{one.what} as {kind}" for one, kind in scores.wrong)),
        ("Nobody planted", Counter(one.partition(" ")[0] + one.rpartition(":")[2] for one in scores.unplanted)),
    ):
        if rows:
            console.print(f"{name}: " + ", ".join(f"{many} {what}" for what, many in _sorted(rows)))


def _sorted(rows: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(rows.items(), key=lambda one: (-one[1], one[0]))


def run(engine: Engine, trace: Trace, plan: Plan) -> tuple[Week, Scores]:
    week = open_week(engine, trace, plan)
    play(week, trace, plan)
    return week, score(week.engine, week.drifter.planted)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.drift_classes", description=__doc__)
    parser.add_argument("--trace", type=Path, help="an order history (docs/orders_csv.md)")
    parser.add_argument("--days", type=int, default=Plan.days)
    parser.add_argument("--skus", type=int, default=Plan.skus)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    chosen = parser.parse_args(arguments)
    plan = Plan(days=chosen.days, skus=chosen.skus, seed=chosen.seed)
    trace, source = the_week(chosen.trace, plan)
    console = Console()
    began = datetime.now(ZoneInfo("UTC"))
    with laboratory() as lab:
        engine = open_ledger(_empty(lab.fresh()))
        week, scores = run(engine, trace, plan)
        show(console, week, scores)
        engine.dispose()
    seconds = (datetime.now(ZoneInfo("UTC")) - began).total_seconds()
    console.print(f"{plan.days} days of {source}, {plan.skus} SKUs at {len(SHOPS)} channels, in {seconds:.0f} s")
    return 0


def _empty(url: str) -> str:
    """The laboratory's ledger is stocked for other measurements; a week begins with none of it."""
    engine = open_ledger(url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE movement DISABLE TRIGGER ALL"))
        connection.execute(text("TRUNCATE item, location, channel, movement, reservation, outbox, incident CASCADE"))
        connection.execute(text("ALTER TABLE movement ENABLE TRIGGER ALL"))
    engine.dispose()
    return url


if __name__ == "__main__":
    sys.exit(main())
