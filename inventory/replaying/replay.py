"""A seller's order history under each policy, lag and outage pattern. SKUs are independent of each other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from math import ceil
from multiprocessing import get_context

import numpy as np

from inventory.orders.order_history import DAY, OrderHistory
from inventory.policies.demand_model import Knowledge, learn
from inventory.policies.foreseen import foresee, moments
from inventory.policies.policy import Bounded, Calibrated, Habit, Policy, Strict
from inventory.replaying.outage_pattern import Pattern
from inventory.replaying.replay_demand import SkuDemand
from inventory.replaying.replay_shelf import Setting, Shelf, Tally

TRAILING_WEEKS = 8
CHUNKS = 48
WORTH_PROCESSES = 60_000
"""Entries of a history from which on further processes pay."""

Progress = Callable[[str, float], None]
"""What is being done, and the share of it that is done."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to replay: every policy at every lag with every outage pattern."""

    policies: Sequence[Policy]
    lags: Sequence[float] = (60.0,)
    """Seconds from an order on one channel to the number that accounts for it on the others."""
    patterns: Sequence[Pattern] = field(default_factory=lambda: (Pattern(),))
    shares: Sequence[float] = (1.0, 1.0, 1.0, 1.0)
    asks_first: frozenset[int] = frozenset()
    """Channels, from 0."""
    cover_weeks: float = 2.0
    writes: str = "usual"
    """`usual`: absolute for mirror, fixed and percentage, compare-and-set for the others; or one for all but strict."""
    single_units: bool = True
    restock_known: bool = True
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    policy: Policy
    lag: float
    pattern: Pattern
    absolute: bool
    tally: Tally


@dataclass(frozen=True, slots=True)
class _Job:
    policy: Policy
    setting: Setting
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class _Stage:
    """What every process needs once."""

    history: OrderHistory
    knowledge: Sequence[Knowledge]
    cover_weeks: float

    def run(self, job: _Job) -> Tally:
        total = Tally()
        bounds = np.searchsorted(self.history.sku, np.arange(job.first, job.last + 1))
        for sku in range(job.first, job.last):
            inside = slice(bounds[sku - job.first], bounds[sku - job.first + 1])
            at, units = self.history.at[inside], self.history.units[inside]
            sales = list(zip(at.tolist(), self.history.channel[inside].tolist(), units.tolist(), strict=True))
            levels = top_ups(at, units, self.history, self.cover_weeks)
            demand = SkuDemand(self.knowledge, sku, job.setting)
            total.add(Shelf(job.policy, job.setting, demand).live(sales, levels))
        return total


def top_ups(at: "np.typing.NDArray[np.int64]", units: "np.typing.NDArray[np.int64]", history: OrderHistory,
            cover_weeks: float) -> list[tuple[int, int]]:  # fmt: skip
    """(moment, level) for the beginning and every Monday: cover x the mean weekly demand of the eight weeks before.

    Of fewer weeks, if the history is younger, but of seven days at least. Until there are so many, the level is that of
    the first eight weeks that will come: the seller had a history before this one, and we do not have it.
    """
    first, days = history.first_day, history.days
    by_day = np.concatenate([[0], np.cumsum(np.bincount(at // DAY, units, minlength=days))]).astype(np.int64)
    ahead = min(first + 7 * TRAILING_WEEKS, days)
    opening = _level(int(by_day[ahead] - by_day[first]), ahead - first, cover_weeks)
    found = [(first * DAY, opening)]
    for monday in range(first - first % 7 + 7, days, 7):
        begin = max(first, monday - 7 * TRAILING_WEEKS)
        seen = int(by_day[monday] - by_day[begin])
        level = _level(seen, monday - begin, cover_weeks) if monday - begin >= 7 else opening
        found.append((monday * DAY, level))
    return [(moment, level) for moment, level in found if level > 0]


def _level(units: int, days: int, cover_weeks: float) -> int:
    return ceil(round(cover_weeks * units * 7 / max(days, 7), 9))


def run(history: OrderHistory, plan: Plan, said: Progress = lambda what, share: None) -> Iterator[Outcome]:
    """One outcome after the other: for each pattern, each lag, each policy."""
    if plan.single_units:
        history = history.single_units()
    learns = any(_learns(policy) for policy in plan.policies)
    knowledge = learn(history, sized=not plan.single_units, said=partial(said, "learning demand")) if learns else []
    stage = _Stage(history, knowledge, plan.cover_weeks)
    ranges = _ranges(history)
    with _crew(stage, plan.processes if len(history.at) >= WORTH_PROCESSES else 1) as each:
        for pattern in plan.patterns:
            darknesses = pattern.darknesses(history.origin, history.days)
            outages = [(one.channel, one.start, one.end) for one in darknesses]
            for lag in plan.lags:
                for policy in plan.policies:
                    absolute = is_absolute(policy, plan.writes)
                    asks = [channel in plan.asks_first for channel in range(len(plan.shares))]
                    foreseen = foresee(outages, round(lag * 1000))
                    setting = Setting(
                        round(lag * 1000), plan.shares, asks, darknesses, absolute, plan.restock_known, foreseen,
                        moments(foreseen, outages),
                    )  # fmt: skip
                    total, done = Tally(), 0
                    for tally in each([_Job(policy, setting, first, last) for first, last in ranges]):
                        total.add(tally)
                        done += 1
                        said(policy.text, done / len(ranges))
                    yield Outcome(policy, lag, pattern, absolute, total)


def is_absolute(policy: Policy, writes: str) -> bool:
    """Strict is never replayed with absolute writes: the publisher closes a listing before it raises it so."""
    inner = policy.inner if isinstance(policy, Bounded) else policy
    if isinstance(inner, Strict):
        return False
    return isinstance(inner, Habit) if writes == "usual" else writes == "absolute"


def _learns(policy: Policy) -> bool:
    return isinstance(policy.inner if isinstance(policy, Bounded) else policy, Calibrated)


def _ranges(history: OrderHistory) -> list[tuple[int, int]]:
    """SKUs in runs of about as many entries."""
    skus = len(history.skus)
    # A SKU that hardly sells has its top-ups and outages all the same.
    weight = np.arange(1, skus + 1) * 40 + history.bounds()[1:]
    cuts = np.searchsorted(weight, np.linspace(0, weight[-1], CHUNKS + 1)[1:-1]) if skus else np.array([], dtype=int)
    edges = sorted({0, skus, *cuts.tolist()})
    return list(pairwise(edges))


class _crew:
    """`each(jobs)`: here, or by several processes; in any order, since tallies are sums."""

    def __init__(self, stage: _Stage, processes: int) -> None:
        self.stage, self.processes = stage, processes

    def __enter__(self) -> Callable[[list[_Job]], Iterator[Tally]]:
        if self.processes < 2:
            return lambda jobs: map(self.stage.run, jobs)
        # Not forked: the process that calls may have threads.
        self.pool = get_context("spawn").Pool(self.processes, _take_stage, (self.stage,))
        return lambda jobs: self.pool.imap_unordered(_run, jobs)

    def __exit__(self, *error: object) -> None:
        if self.processes >= 2:
            self.pool.terminate()
            self.pool.join()


_stage: _Stage | None = None


def _take_stage(stage: _Stage) -> None:
    global _stage
    _stage = stage


def _run(job: _Job) -> Tally:
    assert _stage is not None
    return _stage.run(job)
