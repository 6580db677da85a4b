"""A warehouse and a shop with planted errors, and ways to choose what to count each day, at equal work.

Every unit is known: what lies there and what the record says. Demand, errors and deliveries are drawn once from a seed
and are the same for every way of counting. Errors keep to a real seller's rate: 17 adjustments per 1,000 SKU-weeks,
1.37 weeks of demand in the median (docs/counting.md has the source).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from inventory.counting.counting_plan import Bin, PlanPolicy, plan
from inventory.words import CountCause

START = datetime(2026, 1, 5, tzinfo=UTC)
HISTORY = 91
"""Days of sales that are known before the first day."""
RATE = 0.017 / 7
"""Errors a bin and day."""
KINDS = ("theft", "mis-scan", "unit swap", "damaged", "unrecorded return")
SHOP, WAREHOUSE = "shop", "warehouse"
"""In the shop buyers look at the shelf: an empty one sells nothing, in silence. From the warehouse orders are picked:
a missing unit is noticed by the picker."""

Array = np.ndarray


@dataclass(frozen=True)
class World:
    """What happens, whoever counts what. Arrays are by day and bin unless they say otherwise."""

    bins: int
    days: int
    lines: Array
    """Order lines of each bin and day."""
    units: Array
    rates: Array
    """By bin: order lines a day, as the history shows them."""
    demand: Array
    """By bin: units a day, as the history shows them."""
    cost: Array
    stock: Array
    target: Array
    """By bin: deliveries each Monday fill the record up to this."""
    since: Array
    """By bin: day of the last count before the beginning, 0 or less."""
    errors: list[tuple[int, int, int, str]]
    """(day, bin, units with their sign, kind)"""
    shop: Array


def build(seed: int, *, bins: int, days: int, busy: bool) -> World:
    """`busy`: theft prefers what is dear and sells, mis-scans and returns happen where is picked. Else every bin is as
    likely as any other, as the real seller's adjustments were."""
    rng = np.random.default_rng(seed)
    weekly = rng.lognormal(np.log(3), 1.08, bins)
    size = np.maximum(rng.lognormal(np.log(3), 0.8, bins), 1)
    cost = rng.lognormal(np.log(5), 1.0, bins)
    lines = rng.poisson(weekly / 7, (HISTORY + days, bins))
    units = rng.poisson(lines * (size - 1)) + lines
    rates, demand = lines[:HISTORY].mean(axis=0), units[:HISTORY].mean(axis=0)
    target = np.ceil(weekly * size * rng.uniform(2, 6, bins)).astype(np.int64)
    return World(
        bins, days, lines[HISTORY:], units[HISTORY:], rates, demand, cost,
        np.ceil(target * rng.uniform(0.5, 1, bins)).astype(np.int64), target, -rng.integers(0, 90, bins),
        _errors(rng, bins, days, weekly, size, cost, busy), rng.random(bins) < 0.5,
    )  # fmt: skip


def _errors(
    rng: np.random.Generator, bins: int, days: int, weekly: Array, size: Array, cost: Array, busy: bool
) -> list[tuple[int, int, int, str]]:
    even = np.full(bins, 1 / bins)
    picked, coveted = weekly / weekly.sum(), np.sqrt(weekly) * cost
    where = dict.fromkeys(KINDS, even)
    if busy:
        where |= {"theft": coveted / coveted.sum(), "mis-scan": picked, "unrecorded return": picked}
    found = []
    for day in range(days):
        for _ in range(rng.poisson(RATE * bins)):
            kind = KINDS[rng.integers(len(KINDS))]
            one = int(rng.choice(bins, p=where[kind]))
            weeks = min(rng.lognormal(np.log(1.37), 2.2), 8.0)
            units = max(1, round(weeks * weekly[one] * size[one]))
            sign = {"unrecorded return": 1, "mis-scan": int(rng.choice([-1, 1]))}.get(kind, -1)
            found.append((day, one, sign * units, kind))
            if kind == "unit swap":
                found.append((day, int(rng.choice(bins)), units, kind))
    return found


@dataclass
class State:
    """The same warehouse as one way of counting leaves it."""

    world: World
    there: Array
    record: Array
    since: Array
    last_sale: Array
    short: Array
    """Day of the last pick that found too little; −1: none."""
    counts: Array
    wrong: Array
    """Counts that found something else than the record had."""
    open: dict[int, list[int]] = field(default_factory=dict)
    """{bin: numbers of its errors that nobody has found}"""
    planted: dict[int, int] = field(default_factory=dict)
    """{number of an error: units that it moved}"""
    delays: dict[int, int] = field(default_factory=dict)
    """{number of an error: days until it was found}"""


Choice = Callable[[State, int, int], list[int]]
"""(state, day, lines) → the bins to count on that day"""


def run(world: World, choose: Choice, lines: int) -> State:
    size = world.bins
    state = State(
        world, world.stock.copy(), world.stock.copy(), world.since.copy(), np.zeros(size, int), np.full(size, -1),
        np.zeros(size, int), np.zeros(size, int),
    )  # fmt: skip
    by_day: dict[int, list[int]] = {}
    for number, (day, *_) in enumerate(world.errors):
        by_day.setdefault(day, []).append(number)
    for day in range(world.days):
        for number in by_day.get(day, ()):
            _plant(state, number)
        _trade(state, day)
        for one in choose(state, day, lines):
            _count(state, one, day)
    return state


def _plant(state: State, number: int) -> None:
    _, one, units, _ = state.world.errors[number]
    moved = max(units, -int(state.there[one]))
    if moved:
        state.there[one] += moved
        state.planted[number] = moved
        state.open.setdefault(one, []).append(number)


def _trade(state: State, day: int) -> None:
    world = state.world
    wanted = np.minimum(world.units[day], np.maximum(state.record, 0))
    sold = np.minimum(wanted, state.there)
    state.short[(sold < wanted) & ~world.shop] = day
    state.last_sale[sold > 0] = day
    state.there -= sold
    state.record -= sold
    if day % 7 == 0:
        delivered = np.maximum(world.target - state.record, 0)
        state.there += delivered
        state.record += delivered


def _count(state: State, one: int, day: int) -> None:
    state.counts[one] += 1
    state.wrong[one] += state.there[one] != state.record[one]
    state.record[one] = state.there[one]
    state.since[one] = day
    for number in state.open.pop(one, ()):
        state.delays[number] = day - state.world.errors[number][0]


def abc_of(world: World) -> Array:
    """0, 1, 2 for A, B, C: those that make 80, 15 and 5 per cent of what is sold, in money."""
    value = world.demand * world.cost
    order = np.argsort(-value)
    before = np.concatenate([[0.0], np.cumsum(value[order])[:-1]]) / value.sum()
    found = np.empty(world.bins, int)
    found[order] = np.where(before < 0.8, 0, np.where(before < 0.95, 1, 2))
    return found


def at_random(seed: int) -> Choice:
    rng = np.random.default_rng([seed, 1])
    return lambda state, day, lines: [int(one) for one in rng.choice(state.world.bins, lines, replace=False)]


def oldest_first(state: State, day: int, lines: int) -> list[int]:
    return [int(one) for one in np.lexsort((np.arange(state.world.bins), state.since))[:lines]]


def plain_abc(listens: bool) -> Choice:
    """A twelve times, B four times, C once a year, or as often as the work allows in these proportions. `listens`: bins
    where a picker found too little go first."""
    every = np.array([365 / 12, 365 / 4, 365.0])
    known: dict[int, Array] = {}

    def choose(state: State, day: int, lines: int) -> list[int]:
        abc = known.setdefault(id(state.world), abc_of(state.world))
        urgency = (day - state.since) / every[abc]
        if listens:
            urgency = urgency + 1e6 * ((state.short >= 0) & (state.short >= state.since))
        return [int(one) for one in np.argsort(-urgency, kind="stable")[:lines]]

    return choose


def onhand(state: State, day: int, lines: int) -> list[int]:
    """The product's own plan."""
    world, now = state.world, START + timedelta(days=day, hours=12)
    bins = [
        Bin(
            sku=str(one),
            location="here",
            on_hand=int(state.record[one]),
            since=START + timedelta(days=int(state.since[one])),
            unit_cost=float(world.cost[one]),
            picks=float(world.rates[one]),
            demand=float(world.demand[one]),
            last_sale=START + timedelta(days=int(state.last_sale[one])),
            counts=int(state.counts[one]),
            errors=int(state.wrong[one]),
            prompts=frozenset({CountCause.OVERSELL} if state.short[one] >= max(state.since[one], 0) else ()),
        )
        for one in range(world.bins)
    ]
    found, _ = plan(bins, now, PlanPolicy(capacity=lines))
    return [int(one.bin.sku) for one in found]
