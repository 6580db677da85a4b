"""From a number to a scenario: what a seed holds is decided by this file alone."""

import random
from collections.abc import Sequence

from inventory.words import ReversalReason
from onhand.simulation.scenario import (
    KIT,
    Buys,
    Cancels,
    ChannelPlan,
    ClockJumps,
    ForeignWrite,
    Happening,
    Scenario,
    ServerRestarts,
    Task,
    TokenEnds,
    Trouble,
    TroubleKind,
    Works,
)
from onhand.simulation.totals import REAL_GATE_EVERY
from onhand.simulation.vendors import TRAITS

DAY = 86_400.0
LIE = 240.0
"""Seconds that a channel's clock is wrong, at most. `playing.OVERLAP` is made for it."""
RESTART_EVERY = 400
_WEIGHTS = {"shopify": 5, "woocommerce": 5, "portal": 4, "ebay": 3, "amazon": 3, "bigcommerce": 2}
_CHANCES: dict[TroubleKind, tuple[float, float]] = {
    TroubleKind.DARK: (1.0, 0),
    TroubleKind.SLOW: (0.5, 12),
    TroubleKind.THROTTLED: (0.6, 0),
    TroubleKind.ERROR_BEFORE: (0.3, 0),
    TroubleKind.ERROR_AFTER: (0.3, 0),
    TroubleKind.REQUEST_LOST: (0.3, 0),
    TroubleKind.ANSWER_LOST: (0.3, 0),
    TroubleKind.APPLIED_LATE: (0.4, 25),
    TroubleKind.MALFORMED: (0.3, 0),
    TroubleKind.HTML: (0.3, 0),
    TroubleKind.REPEATED: (0.4, 0),
    TroubleKind.STALE_READ: (0.5, 10),
    TroubleKind.SILENT_REJECT: (0.3, 0),
    TroubleKind.PARTIAL: (0.5, 0),
    TroubleKind.REFUSED: (0.5, 0),
    TroubleKind.UNAUTHORISED: (0.7, 0),
    TroubleKind.ORDER_LATE: (0.5, 30),
    TroubleKind.HOOK_LOST: (0.5, 0),
    TroubleKind.HOOK_TWICE: (0.5, 0),
    TroubleKind.HOOK_LATE: (0.5, 90),
    TroubleKind.HOOK_CUT: (0.5, 0),
    TroubleKind.HOOK_FORGED: (0.5, 0),
    TroubleKind.STANDS_STILL: (0.15, 200),
}
"""How likely a call is struck while the trouble lasts, and how many seconds it costs at most."""
_STEPS = {Task.PULL: 14, Task.PUBLISH: 45, Task.RECONCILE: 20, Task.PAUSE: 20, Task.RESUME: 40, Task.FALL_BACK: 8}
"""About how many steps a task has in which a process can be killed."""


def draw(seed: int, days: float = 1.0) -> Scenario:
    """The scenario of a seed: mixed faults, several at once, over `days` of virtual time."""
    chance = random.Random(f"scenario/{seed}")  # noqa: S311 - repeatable on purpose, protects nothing
    skus = [f"S{number}" for number in range(1, chance.randint(2, 4) + 1)]
    stock = {sku: chance.choice((1, 2, 3, 6, 12, 40)) for sku in skus}
    bundle = {skus[0]: 1, skus[1]: chance.choice((1, 2))} if chance.random() < 0.4 else {}
    channels = _channels(chance, skus, bool(bundle))
    happenings: list[Happening] = [Works(0.0, Task.PULL, plan.code) for plan in channels]
    happenings.append(Works(10.0, Task.PUBLISH))
    for start in _starts(chance, days):
        happenings += _scene(chance, start, channels, skus)
    if seed % RESTART_EVERY == RESTART_EVERY - 1:
        happenings.append(ServerRestarts(happenings[len(happenings) // 2].at))
    return Scenario(
        seed, days, stock, bundle, tuple(channels), tuple(sorted(happenings, key=lambda one: one.at)),
        real_gate=seed % REAL_GATE_EVERY == 0,
    )  # fmt: skip


def _starts(chance: random.Random, days: float) -> list[float]:
    """One or two busy spells a day, hours apart, in which everything comes at once."""
    spells = max(1, sum(1 + (chance.random() < 0.4) for _ in range(round(days))))
    gap = days * DAY / spells
    return [60.0 + one * gap + chance.uniform(0, gap * 0.9) for one in range(spells)]


def _channels(chance: random.Random, skus: Sequence[str], kit: bool) -> list[ChannelPlan]:
    names = list(_WEIGHTS)
    chosen: list[str] = []
    while len(chosen) < chance.choice((2, 2, 3)):
        vendor = chance.choices(names, [_WEIGHTS[name] for name in names])[0]
        if vendor not in chosen:
            chosen.append(vendor)
    plans = []
    for vendor in chosen:
        listed = tuple(sku for sku in skus if chance.random() < 0.9) or (skus[0],)
        packs = {skus[-1]: 2} if chance.random() < 0.25 else {}
        if kit and chance.random() < 0.7:
            listed = (*listed, KIT)
        share = chance.choice((1, 1, 3))
        # With webhooks or without; and of those whose orders can name a hold, some ask before they sell.
        asks = vendor in ("woocommerce", "portal") and chance.random() < 0.3
        plans.append(ChannelPlan(vendor, vendor, listed, packs, share, asks, chance.random() < 0.5))
    return plans


def _scene(
    chance: random.Random, start: float, channels: Sequence[ChannelPlan], skus: Sequence[str]
) -> list[Happening]:
    """Two or three rounds of ours, and what happens beside them."""
    found: list[Happening] = []
    at, rounds = start, chance.choice((2, 3, 3))
    for _ in range(rounds):
        for plan in channels:
            if chance.random() < 0.85:
                found.append(_work(chance, at, Task.PULL, plan.code))
            if plan.webhooks and chance.random() < 0.5:
                found.append(_work(chance, at + chance.uniform(0, 5), Task.NOTICED, plan.code))
        found.append(_work(chance, at + chance.uniform(0.5, 6), Task.PUBLISH))
        found += _operations(chance, at, channels, skus)
        at += chance.choice((5.0, 15.0, 40.0, 90.0))
    length = at - start
    for _ in range(chance.randint(3, 9)):
        found.append(_buys(chance, start + chance.uniform(0, length), chance.choice(channels)))
    for _ in range(chance.choice((0, 1, 1, 2))):
        when = start + chance.uniform(length / 4, length)
        plan = chance.choice(channels)
        reason = chance.choice((ReversalReason.CUSTOMER, ReversalReason.CUSTOMER, ReversalReason.PAYMENT))
        found.append(Cancels(when, plan.code, chance.random(), chance.choice((0, 1)), reason, chance.random() < 0.7))
    return found + _troubles(chance, start, length, channels)


def _buys(chance: random.Random, at: float, plan: ChannelPlan) -> Buys:
    products = [*plan.skus, *(f"{sku}-PACK" for sku in plan.packs)]
    wanted = chance.sample(products, k=min(len(products), chance.choice((1, 1, 1, 2))))
    return Buys(at, plan.code, tuple((product, chance.choice((1, 1, 1, 2, 3))) for product in wanted))


def _work(chance: random.Random, at: float, task: Task, channel: str = "", sku: str = "", units: int = 0) -> Works:
    killed = chance.randint(1, _STEPS.get(task, 4)) if chance.random() < 0.13 else 0
    cut = chance.randint(1, 2 * _STEPS.get(task, 4)) if not killed and chance.random() < 0.015 else 0
    return Works(at, task, channel, sku, units, killed, cut)


def _operations(
    chance: random.Random, at: float, channels: Sequence[ChannelPlan], skus: Sequence[str]
) -> list[Happening]:
    """What people and the slower flows do now and then."""
    plan, sku = chance.choice(channels), chance.choice(list(skus))
    likely = (
        (Task.SWEEP, 0.3, "", ""), (Task.WATCH, 0.2, "", ""), (Task.RECONCILE, 0.07, plan.code, ""),
        (Task.FALL_BACK, 0.1, "", ""), (Task.PAUSE, 0.05, plan.code, ""), (Task.RESUME, 0.06, "", ""),
        (Task.PROMOTE, 0.05, plan.code if chance.random() < 0.5 else "", sku), (Task.DISPUTE, 0.03, plan.code, sku),
        (Task.RECEIVE, 0.08, "", sku),
    )  # fmt: skip
    return [
        _work(chance, at + chance.uniform(0, 8), task, code, item, chance.randint(1, 6))
        for task, probability, code, item in likely
        if chance.random() < probability
    ]


def _troubles(chance: random.Random, start: float, length: float, channels: Sequence[ChannelPlan]) -> list[Happening]:
    found: list[Happening] = []
    for _ in range(chance.choice((0, 2, 4, 6, 8))):
        kind, plan = chance.choice(list(_CHANCES)), chance.choice(channels)
        at = start + chance.uniform(-10, length * 0.6)
        likely, most = _CHANCES[kind]
        lasts = chance.choice((40.0, 90.0, 200.0))
        found.append(Trouble(max(0.0, at), at + lasts, kind, plan.code, likely, chance.uniform(most / 2, most)))
    plan = chance.choice(channels)
    if chance.random() < 0.2:
        # All the time, and as late as is allowed: what settles too early is wrong only while an order is hidden.
        late = chance.uniform(20, _CHANCES[TroubleKind.ORDER_LATE][1])
        found.append(Trouble(start, start + length + late, TroubleKind.ORDER_LATE, plan.code, 0.9, late))
    plan = chance.choice(channels)
    if chance.random() < 0.15:
        found.append(ClockJumps(start, plan.code, chance.uniform(-LIE, LIE)))
    if chance.random() < 0.2 and TRAITS[plan.vendor].short_token:
        found.append(TokenEnds(start + chance.uniform(0, length), plan.code))
    if chance.random() < 0.08:
        sku, by = chance.choice(plan.skus), chance.choice((1, 2, 5, 1, 2, -1))
        found.append(ForeignWrite(start + chance.uniform(0, length), plan.code, sku, by))
    return found
