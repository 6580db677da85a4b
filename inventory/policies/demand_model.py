"""What is known of demand at a moment, from order lines before it only.

Per SKU a rate (order lines on a trading day, by channel), how well it is known, and the sizes of its lines;
over all SKUs the hours at which people buy and the strength of each weekday. A rate is the mean of a gamma
distribution whose prior is what all SKUs together do, so that a SKU that hardly sells borrows from the
others; older days count less (half after `HALF_LIFE` trading days). How much demand jumps about beyond chance
is measured as well, from how far earlier forecasts were off, and widens every quantile.

Learnt anew each day for the first `DAILY` days of a history, then every Monday.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inventory.orders.order_history import DAY, WEEK, OrderHistory
from inventory.publishing.unseen import LONGEST, SINGLE, Sizes

HOUR = DAY // 24

HALF_LIFE = 24
"""Trading days: four weeks of six."""
DAILY = 14
PRIOR_STRENGTH = 0.5
"""The prior of a SKU's rate weighs as much as half an order line."""
CHANNEL_STRENGTH = 8.0
"""Order lines after which a SKU's own split over the channels weighs as much as everybody's."""
SIZE_STRENGTH = 4.0
CLASSES_A_DOUBLING = 2
SIZE_WEEKS = 16
"""The sizes of this many weeks are learnt from,"""
SIZE_DAYS = 28
"""and anew after so many days; at the beginning whenever the history has doubled."""
OTHER_PACE = 1.2
"""Hours that differ by less than this are taken to be alike when numbers are to be looked at again."""
QUIET = 0.1
"""A day with fewer lines than this share of a usual one is no trading day: a holiday, a closed weekday."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Knowledge:
    """What is known from one day on."""

    from_day: int
    rate: NDArray[np.float32]
    """(SKUs, channels): order lines on a trading day of average strength."""
    shape: NDArray[np.float32]
    """(SKUs,): of the gamma distribution of the rate."""
    size_class: NDArray[np.int16]
    """(SKUs,): place in `sizes`."""
    sizes: tuple[Sizes, ...]
    weekday: tuple[float, ...]
    """Strength of each weekday, Monday first; 1 is average."""
    hours: tuple[float, ...]
    """Share of a day's lines in each hour."""
    paces: tuple[float, ...] = field(init=False, repr=False)
    """Days' worth of demand in each hour of the week,"""
    passed: tuple[float, ...] = field(init=False, repr=False)
    """and from its beginning up to each; the last is the whole week."""

    def __post_init__(self) -> None:
        paces = tuple(strength * share for strength in self.weekday for share in self.hours)
        object.__setattr__(self, "paces", paces)
        object.__setattr__(self, "passed", tuple(accumulate(paces, initial=0.0)))

    def busiest_between(self, start: int, end: int) -> float:
        """Days' worth of demand in a span of this length, at the pace of the busier of the hours that it touches."""
        if end - start > HOUR:
            return self.days_between(start, end)
        pace, first = self.paces[start // HOUR % 168], start // HOUR
        if end // HOUR != first:
            pace = max(pace, self.paces[(first + 1) % 168])
        return pace * (end - start) / HOUR

    def next_pace(self, hour: int) -> int:
        """The next hour (counted from a Monday) that is clearly busier or quieter than this one."""
        now, later = self.paces[hour % 168], hour + 1
        while later < hour + 24 and now / OTHER_PACE < self.paces[later % 168] < now * OTHER_PACE:
            later += 1
        return later

    def busiest(self, span: int) -> float:
        """The most days' worth of demand that a span of this length can have."""
        hours = -(-span * 24 // DAY)
        most = sum(sorted(self.hours, reverse=True)[:hours]) if hours < 24 else float(-(-hours // 24))
        return most * max(self.weekday) * (span * 24 / DAY / hours if hours and hours < 24 else 1.0)

    def days_between(self, start: int, end: int) -> float:
        """Average trading days' worth of demand from `start` to `end` (milliseconds since a Monday)."""
        return self.days_until(end) - self.days_until(start)

    def days_until(self, moment: int) -> float:
        weeks, inside = divmod(moment, WEEK)
        hour, rest = divmod(inside, HOUR)
        return weeks * self.passed[-1] + self.passed[hour] + self.paces[hour] * rest / HOUR


Number = TypeVar("Number", float, NDArray[Any])


def revised(shape: Number, expected: Number, seen: Number) -> tuple[Number, Number]:
    """(factor of the rate, its new shape) after `seen` order lines where `expected` were: Bayes' rule for a gamma."""
    return (shape + seen) / (shape + expected), shape + seen


def learn(
    history: OrderHistory, *, sized: bool = True, said: Callable[[float], None] = lambda share: None
) -> list[Knowledge]:
    """Knowledge in the order of `from_day`; the first is of the second day with orders. `sized`: learn order sizes."""
    learner = _Learner(history, sized)
    found = []
    for day in range(history.first_day, history.days):
        if day > history.first_day and (day - history.first_day <= DAILY or day % 7 == 0):
            known = learner.knowledge(day)
            if known is not None:
                found.append(known)
        learner.see(day)
        said((day - history.first_day + 1) / max(1, history.days - history.first_day))
    return found


def learn_up_to_now(history: OrderHistory) -> Knowledge | None:
    """What is known at the end of the history; None where there is no order."""
    if not len(history.at):
        return None
    learner = _Learner(history, sized=True)
    for day in range(history.first_day, history.days):
        learner.see(day)
    return learner.knowledge(history.days)


class _Learner:
    """Discounted sums over the days seen so far."""

    def __init__(self, history: OrderHistory, sized: bool) -> None:
        self.sized = sized
        by_time = np.argsort(history.at, kind="stable")
        self.at, self.sku = history.at[by_time], history.sku[by_time]
        self.channel, self.units = history.channel[by_time], history.units[by_time]
        self.starts = np.searchsorted(self.at, np.arange(history.days + 1) * DAY)
        skus = len(history.skus)
        self.lines = np.zeros((skus, history.channels))
        self.first_seen = np.zeros(skus, dtype=bool)
        self.days = 0.0
        self.hours = np.zeros(24)
        self.weekday_lines, self.weekday_days = np.zeros(7), np.zeros(7)
        self.log_sizes, self.sized_lines = np.zeros(skus), np.zeros(skus)
        self.surprise, self.expected = 0.0, 0.0
        self.decay = 0.5 ** (1 / HALF_LIFE)
        self.sizes: tuple[Sizes, ...] = (SINGLE,)
        self.sizes_from = -SIZE_DAYS

    def see(self, day: int) -> None:
        today = slice(self.starts[day], self.starts[day + 1])
        sku, count = self.sku[today], int(self.starts[day + 1] - self.starts[day])
        slow = 0.5 ** (1 / (2 * HALF_LIFE))
        weekday = day % 7
        # A weekday on which nothing is sold is told by its zeros.
        self.weekday_lines[weekday] = self.weekday_lines[weekday] * 0.85 + count
        self.weekday_days[weekday] = self.weekday_days[weekday] * 0.85 + 1
        usual = self.lines.sum() / self.days if self.days else 0.0
        if count <= QUIET * usual:
            return
        counts = np.bincount(sku, minlength=len(self.lines)).astype(float)
        self._judge(counts)
        by_channel = np.bincount(sku.astype(np.int64) * self.lines.shape[1] + self.channel[today],
                                 minlength=self.lines.size)  # fmt: skip
        self.lines = self.lines * self.decay + by_channel.reshape(self.lines.shape)
        self.days = self.days * self.decay + 1
        self.hours = self.hours * slow + np.bincount(self.at[today] % DAY * 24 // DAY, minlength=24)
        self.first_seen[sku] = True
        if self.sized:
            self.log_sizes = self.log_sizes * self.decay + np.bincount(
                sku, np.log2(self.units[today]), minlength=len(self.lines)
            )
            self.sized_lines = self.sized_lines * self.decay + counts

    def _judge(self, counts: Floats) -> None:
        """How far the day was from its forecast, beyond what chance alone explains."""
        if self.days < 3:
            return
        forecast = self._mean()
        # The strength of the whole day is no surprise of a single SKU's.
        forecast = forecast * (counts.sum() / max(forecast.sum(), 1e-9))
        self.surprise = self.surprise * self.decay + float(((counts - forecast) ** 2 - forecast).sum())
        self.expected = self.expected * self.decay + float((forecast**2).sum())

    def _prior_days(self) -> float:
        known = max(1, int(self.first_seen.sum()))
        return PRIOR_STRENGTH * known * self.days / max(float(self.lines.sum()), 1.0)

    def _mean(self) -> Floats:
        mean: Floats = (self.lines.sum(axis=1) + PRIOR_STRENGTH) / (self.days + self._prior_days())
        return mean

    def knowledge(self, day: int) -> Knowledge | None:
        if not self.days:
            return None
        per_sku = self.lines.sum(axis=1)
        split = self.lines.sum(axis=0) + 1.0
        split = split / split.sum()
        own = (self.lines + CHANNEL_STRENGTH * split) / (per_sku + CHANNEL_STRENGTH)[:, None]
        jumpy = max(self.surprise / self.expected, 0.02) if self.expected else 1.0
        shape = 1 / (1 / (per_sku + PRIOR_STRENGTH) + jumpy)
        size_class, sizes = self._sizes(day)
        hours = self.hours + 0.002 * self.hours.sum()
        return Knowledge(
            day,
            (self._mean()[:, None] * own).astype(np.float32),
            shape.astype(np.float32),
            size_class,
            sizes,
            self._weekdays(),
            tuple((hours / hours.sum()).tolist()),
        )

    def _weekdays(self) -> tuple[float, ...]:
        """Lines of each weekday against an average trading day, drawn to 1 by a day's worth of doubt."""
        mean = np.divide(self.weekday_lines, self.weekday_days, out=np.zeros(7), where=self.weekday_days > 0)
        usual = mean[mean > QUIET * mean.max()].mean()
        strength = (self.weekday_lines / usual + 1.0) / (self.weekday_days + 1.0)
        return tuple(strength.tolist())

    def _sizes(self, day: int) -> tuple[NDArray[np.int16], tuple[Sizes, ...]]:
        """SKUs that are bought in like quantities share one empirical distribution."""
        if not self.sized:
            return np.zeros(len(self.lines), dtype=np.int16), (SINGLE,)
        overall = self.log_sizes.sum() / max(self.sized_lines.sum(), 1e-9)
        typical = (self.log_sizes + SIZE_STRENGTH * overall) / (self.sized_lines + SIZE_STRENGTH)
        classes = np.clip(np.rint(typical * CLASSES_A_DOUBLING), 0, 15).astype(np.int16)
        if day < self.sizes_from + min(SIZE_DAYS, self.sizes_from - int(self.at[0]) // DAY + 1):
            return classes, self.sizes
        window = slice(self.starts[max(0, day - 7 * SIZE_WEEKS)], self.starts[day])
        units = np.minimum(self.units[window], LONGEST)
        counts = np.zeros((16, LONGEST + 1))
        np.add.at(counts, (classes[self.sku[window]], units), 1.0)
        # A class that few belong to leans on all the others.
        everybody = counts.sum(axis=0) / max(counts.sum(), 1.0)
        self.sizes, self.sizes_from = tuple(Sizes.of(row + 50 * everybody) for row in counts), day
        return classes, self.sizes
