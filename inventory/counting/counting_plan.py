"""Which bins to count today. Pure: a list of bins with what is known of them in, a list of counts out.

Two aims pull apart. Every bin must be counted within `within_days` of its last count, the slow ones too: errors happen
to them as often as to the fast ones. And what is probably wrong, and dear, should be counted first. So a day's work
has two parts. First those whose turn it is: as many of the earliest deadlines as an even load to meet all deadlines
asks for today, which keeps tomorrow's load from growing. What is left of the day's capacity goes to the bins where a
count is expected to find most: chance of an error × what it costs.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from inventory.words import CountCause

SALES_DAYS = 91
"""Sales are looked at so far back."""


@dataclass(frozen=True, slots=True)
class PlanPolicy:
    within_days: int = 91
    capacity: int = 50
    """Lines a day that a location can count."""
    capacities: Mapping[str, int] = field(default_factory=dict)
    """Of locations with another capacity."""
    working: Collection[int] = frozenset(range(7))
    """Weekdays on which is counted; Monday is 0."""
    catch_up_days: int = 20
    """Bins that are late already, as all may be when counting begins, are spread: each working day one in so many of
    those still late."""
    rest_days: float = 7
    """A bin that was counted so lately is not counted for its risk alone, without evidence newer than the count."""
    daily_hazard: float = 0.0024
    """Chance a day that a bin's record goes wrong by itself: 17 adjustments per 1,000 SKU-weeks of a real seller, about
    the same for fast and slow ones."""
    pick_hazard: float = 0.0003
    """And with each order line picked from it."""
    empty_share: float = 0.25
    """Of the errors, those that leave a shelf empty that the ledger has units on."""

    def __post_init__(self) -> None:
        if self.within_days < 1 or not self.working or not set(self.working) <= set(range(7)):
            raise ValueError("counting needs at least one day, and a weekday to count on")
        if min(self.capacity, self.catch_up_days) < 1 or any(one < 1 for one in self.capacities.values()):
            raise ValueError("a location that counts nothing cannot keep the promise: at least one line a day")

    def lines(self, location: str) -> int:
        return self.capacities.get(location, self.capacity)


@dataclass(frozen=True, slots=True)
class Bin:
    """One SKU at one location, and what speaks for counting it. Times are aware, rates are per day."""

    sku: str
    location: str
    on_hand: int
    since: datetime
    """The last count that was believed; before the first one, when stock was first put there."""
    unit_cost: float
    picks: float = 0.0
    """Order lines a day that took from it."""
    demand: float = 0.0
    """Units a day that were sold from it."""
    last_sale: datetime | None = None
    counts: int = 0
    """Earlier counts …"""
    errors: int = 0
    """… and how many of them found something else than the ledger had."""
    prompts: frozenset[CountCause] = frozenset()
    """Evidence newer than the last count: drift, oversell, late movement, rejected, asked."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    chance: float
    """Of the record being wrong now, 0 to 1."""
    weight: float
    """What it costs while it is wrong, beside a middling bin's 1."""
    causes: tuple[CountCause, ...]
    """The strongest first; empty: nothing in particular."""

    @property
    def score(self) -> float:
        return self.chance * self.weight


@dataclass(frozen=True, slots=True)
class Planned:
    bin: Bin
    causes: tuple[CountCause, ...]
    prompted: bool
    abc: str
    score: float
    due: datetime


@dataclass(frozen=True, slots=True)
class Load:
    """Of one location today."""

    location: str
    bins: int
    planned: int
    turns: int
    """Of the planned, those whose turn it is."""
    needed: int
    """Lines a working day that the promise asks for from now on, evenly."""
    capacity: int
    overdue: int


_EVIDENCE = {
    CountCause.ASKED: 1.0,
    CountCause.OVERSELL: 0.9,
    CountCause.LATE_MOVEMENT: 0.9,
    CountCause.REJECTED: 0.9,
    CountCause.DRIFT: 0.5,
}
"""Chance of an error at least, with this evidence."""

_HEAVIEST = 12.0
"""No bin's money weighs more, beside a middling one's."""


def suspicion(one: Bin, typical: float, now: datetime, policy: PlanPolicy) -> Suspicion:
    """`typical`: the stake (`stake`) of a middling bin."""
    days = max((now - one.since).total_seconds() / 86_400, 0.0)
    picks = one.picks * min(days, SALES_DAYS)
    # Beta-like: what its own counts say, held to the average while there are few of them.
    habit = (2 + 4 * one.errors) / (2 + one.counts)
    chance = -math.expm1(-habit * (policy.daily_hazard * days + policy.pick_hazard * picks))
    causes: list[tuple[float, CountCause]] = []
    silence = _silence(one, chance, now, policy)
    if silence > max(chance, 0.2):
        causes.append((silence, CountCause.ZERO_SALES))
    for cause in one.prompts:
        causes.append((_EVIDENCE[cause], cause))
    if habit > 1.5:
        causes.append((chance * 0.99, CountCause.ERROR_HISTORY))
    chance = max([chance, *(strength for strength, _ in causes)])
    weight = min(max((stake(one) / typical) ** 0.6, 0.25), _HEAVIEST) if typical > 0 else 1.0
    if weight > 1.5:
        picky = one.demand * 7 > 2 * max(one.unit_cost, 0.01)
        causes.append((0.0, CountCause.VELOCITY if picky else CountCause.VALUE))
    if one.prompts - {CountCause.DRIFT}:
        # Somebody stood before that shelf and it was wrong: whatever it costs, it is looked at today.
        weight = _HEAVIEST
    return Suspicion(chance, weight, tuple(cause for _, cause in sorted(causes, key=lambda it: (-it[0], it[1].value))))


def _silence(one: Bin, chance: float, now: datetime, policy: PlanPolicy) -> float:
    """Chance that the shelf is empty, given how long nothing has been sold from it.

    Nothing sells from an empty shelf; from a full one nothing sells for `quiet` expected order lines with exp(−quiet).
    """
    if one.on_hand <= 0 or one.last_sale is None:
        return 0.0
    days = (now - max(one.last_sale, one.since)).total_seconds() / 86_400
    quiet = min(one.picks * days, 20.0)
    if quiet < 3:
        return 0.0
    empty = policy.empty_share * chance
    return empty / (empty + (1 - empty) * math.exp(-quiet))


def stake(one: Bin) -> float:
    """Money that a usual error of the bin is about: ten days of its demand, at least a unit, at most what is there."""
    units = max(1.0, min(10 * one.demand, max(one.on_hand, 1)))
    return units * max(one.unit_cost, 0.01)


def classes(bins: Iterable[Bin]) -> dict[tuple[str, str], str]:
    """A, B or C of each bin: those that make the first 80, the next 15 and the last 5 per cent of what is sold, in
    money. What is not sold is C."""
    given = sorted(bins, key=lambda one: (-one.demand * one.unit_cost, one.sku, one.location))
    total = sum(one.demand * one.unit_cost for one in given)
    found, before = {}, 0.0
    for one in given:
        value = one.demand * one.unit_cost
        found[one.sku, one.location] = (
            "C" if value <= 0 else "A" if before < 0.8 * total else "B" if before < 0.95 * total else "C"
        )
        before += value
    return found


def plan(
    bins: Sequence[Bin],
    now: datetime,
    policy: PlanPolicy,
    *,
    taken: Mapping[str, int] | None = None,
    turns_taken: Mapping[str, int] | None = None,
) -> tuple[list[Planned], list[Load]]:
    """The bins to put on sheets now, by location and score, and the load of each location.

    `bins`: all that are not on an open sheet. `taken`: lines by location that take their part of today's capacity: of
    sheets not yet recorded, and of those made today; `turns_taken`: of the latter, those whose turn it was. What the
    promise asks for is planned even above the capacity.
    """
    stakes = sorted(stake(one) for one in bins)
    typical = stakes[len(stakes) // 2] if stakes else 0.0
    abc = classes(bins)
    shelves: dict[str, list[Bin]] = defaultdict(list)
    for one in bins:
        shelves[one.location].append(one)
    planned: list[Planned] = []
    loads = []
    for location in sorted(shelves):
        its = shelves[location]
        needed, overdue = needed_lines(its, now, policy), sum(_due(one, policy) < now for one in its)
        room = max(policy.lines(location) - (taken or {}).get(location, 0), 0)
        turns_left = max(needed - (turns_taken or {}).get(location, 0), 0)
        found = _day(its, turns_left, room, typical, abc, now, policy)
        planned += found
        turns = sum(not one.prompted for one in found)
        loads.append(Load(location, len(its), len(found), turns, needed, policy.lines(location), overdue))
    return planned, loads


def _day(
    bins: Sequence[Bin],
    turns_left: int,
    room: int,
    typical: float,
    abc: Mapping[tuple[str, str], str],
    now: datetime,
    policy: PlanPolicy,
) -> list[Planned]:
    judged = {id(one): suspicion(one, typical, now, policy) for one in bins}
    asked = [one for one in bins if CountCause.ASKED in one.prompts]
    asked_ids = {id(one) for one in asked}
    by_deadline = sorted(
        (one for one in bins if id(one) not in asked_ids), key=lambda one: (one.since, one.sku, one.location)
    )
    # What a person asked for comes on top: it must not push out a turn.
    turns = by_deadline[:turns_left]
    turn_ids = {id(one) for one in turns}
    by_score = sorted(
        (one for one in by_deadline if id(one) not in turn_ids and (one.prompts or _rested(one, now, policy))),
        key=lambda one: (-judged[id(one)].score, one.since, one.sku, one.location),
    )
    risky = by_score[: max(room - len(turns) - len(asked), 0)]
    chosen = [(one, True) for one in asked] + [(one, True) for one in risky] + [(one, False) for one in turns]
    return [
        Planned(
            one,
            judged[id(one)].causes or (CountCause.DUE,),
            prompted,
            abc[one.sku, one.location],
            judged[id(one)].score,
            _due(one, policy),
        )
        for one, prompted in sorted(chosen, key=lambda it: (-judged[id(it[0])].score, it[0].sku))
    ]


def _rested(one: Bin, now: datetime, policy: PlanPolicy) -> bool:
    return one.counts == 0 or now - one.since >= timedelta(days=policy.rest_days)


def _due(one: Bin, policy: PlanPolicy) -> datetime:
    return one.since + timedelta(days=policy.within_days)


def needed_lines(bins: Sequence[Bin], now: datetime, policy: PlanPolicy) -> int:
    """Lines a working day, beginning today, that meet every deadline when they are worked off evenly, earliest first.

    The largest, over all deadlines, of bins due by then ÷ working days until then. The promise to the late ones is
    broken already; they come first, but not all on one day.
    """
    needed = 0.0
    days: dict[date, int] = {}
    for number, one in enumerate(sorted(bins, key=lambda it: it.since), start=1):
        # A day early, so that a sheet made on the deadline's day is still counted in time.
        last = (_due(one, policy) - timedelta(days=1)).date()
        if last not in days:
            late = _due(one, policy) < now
            days[last] = policy.catch_up_days if late else max(_working_days(now.date(), last, policy.working), 1)
        needed = max(needed, number / days[last])
    return math.ceil(needed - 1e-9)


def _working_days(first: date, last: date, working: Collection[int]) -> int:
    """Working days from `first` to `last`, both included."""
    days = (last - first).days + 1
    if days <= 0:
        return 0
    weeks, rest = divmod(days, 7)
    return weeks * len(set(working)) + sum((first.weekday() + ahead) % 7 in working for ahead in range(rest))
