"""Years of order lines from a seed, for replays: the shape of the recorded trace where `generator` has days.

Beyond the day generator it has what decides over the last units: SKUs that come, are taken up and go,
popularity that wanders from week to week, a season, holidays, customers who come again (some of them often),
a web shop that books its sales in large baskets of single units, sittings in which orders are entered one after
another, and a heavy tail of order sizes.
"""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.sandbox.generator import (
    CATALOGUE_SIZE,
    CUSTOMERS,
    LINES_OF_AN_ORDER,
    ORDERS_BY_HOUR,
    UNITS_OF_A_LINE,
    catalogue,
)
from inventory.orders.order_history import DAY, OrderHistory, monday_before

BASKETS_A_DAY = 2.35
"""Of the web shop."""
BASKET_LINES = (124, 0.8)
"""Median, and the spread of its logarithm; cut at 1,112."""
SITTING = (0.3, 0.45)
"""Share of the orders, and of the web shop's baskets, that are entered soon after another one of the day."""
SITTING_GAP = 7 * 60_000
"""Mean milliseconds between the two: the same SKU meets itself within a minute twice as often as by the hour alone."""
WANDERING = 0.28
"""Spread of the logarithm of a SKU's popularity about its own level, from week to week."""
CLUSTERED: dict[str, Any] = {"sitting": (0.4, 0.6), "wandering": 0.4}
"""Nearest to the recorded two years in how often a SKU meets itself on another channel within 1, 5, 15 and 60 minutes:
recorded 0.58, 2.5, 6.0, 16.1 % of lines; with this 0.52, 2.4, 5.8, 15.3; without 0.45, 2.0, 5.0, 14.5."""
FLATTER = 0.85
"""The popularity of two years is steeper than that of a week: much of it is how long a SKU is sold."""
STAYING = 0.8
"""How much of that is still there a week later."""
_SATURDAY = 5

Floats = NDArray[np.float64]


def long_trace(
    seed: int,
    weeks: int = 105,
    *,
    channels: int = 4,
    start: datetime = datetime(2029, 12, 3),  # noqa: DTZ001 - local clock time
    orders_a_day: float = 54.0,
    skus: int = CATALOGUE_SIZE,
    sitting: tuple[float, float] = SITTING,
    wandering: float = WANDERING,
) -> OrderHistory:
    """One entry per order and SKU. The same arguments give the same history. With `CLUSTERED` orders come closer."""
    rng = np.random.default_rng([seed, 7])
    origin = monday_before(start)
    popularity = _popularity(rng, weeks, skus, wandering)
    parts: list[tuple[NDArray[np.int64], ...]] = []
    # A few customers buy often.
    regulars = rng.pareto(1.2, CUSTOMERS) + 0.1
    regulars /= regulars.sum()
    home = rng.integers(channels, size=CUSTOMERS)
    for day in range(weeks * 7):
        date = origin + timedelta(days=day)
        if date.weekday() == _SATURDAY or (date.month, date.day) >= (12, 23) or (date.month, date.day) <= (1, 4):
            continue
        season = 1.0 + 0.8 * max(0.0, 1 - abs(date.timetuple().tm_yday - 325) / 45)
        number = max(1, int(rng.poisson(orders_a_day * season * rng.gamma(30, 1 / 30))))
        baskets = int(rng.poisson(BASKETS_A_DAY * orders_a_day / 54.0))
        sizes = np.concatenate([_sizes(rng, number), _baskets(rng, baskets)])
        moment = day * DAY + np.concatenate([_moments(rng, number, sitting[0]), _moments(rng, baskets, sitting[1])])
        customer = rng.choice(CUSTOMERS, size=number, p=regulars)
        nobody = rng.random(number) < 0.1
        channel = np.where(nobody, rng.integers(channels, size=number), home[customer])
        channel = np.concatenate([channel, rng.integers(channels, size=baskets)])
        order = np.repeat(np.arange(number + baskets), sizes)
        sku = np.searchsorted(np.cumsum(popularity[day // 7]), rng.random(len(order))).clip(max=skus - 1)
        key = np.unique(order.astype(np.int64) * skus + sku)
        order, sku = key // skus, key % skus
        units = _units(rng, len(key))
        units[order >= number] = np.minimum(units[order >= number], 1 + rng.poisson(0.6, (order >= number).sum()))
        parts.append((moment[order], sku, channel[order], units))
    at, sku, channel, units = (np.concatenate(column) for column in zip(*parts, strict=True))
    by_sku = np.lexsort((at, sku))
    return OrderHistory(
        origin,
        catalogue(skus).skus,
        channels,
        at[by_sku],
        sku[by_sku].astype(np.int32),
        channel[by_sku].astype(np.int16),
        units[by_sku],
    )


def _popularity(rng: np.random.Generator, weeks: int, skus: int, wandering: float) -> Floats:
    """(weeks, SKUs), each week sums to one."""
    level = rng.permutation(catalogue(skus).popularity) ** FLATTER
    born = np.where(rng.random(skus) < 0.55, -1.0, rng.uniform(-1, weeks, skus))
    lasting = rng.lognormal(np.log(80), 0.8, skus)
    found = np.empty((weeks, skus))
    wander = rng.normal(0, wandering, skus)
    for week in range(weeks):
        wander = STAYING * wander + np.sqrt(1 - STAYING**2) * rng.normal(0, wandering, skus)
        # Now and then something is offered cheaply, or somebody writes about it.
        pushed = np.where(rng.random(skus) < 0.01, rng.lognormal(1.0, 0.5, skus), 1.0)
        alive = (born <= week) & (week <= born + lasting)
        found[week] = level * np.exp(wander) * pushed * np.where(alive, 1.0, 0.004)
        found[week] /= found[week].sum()
    return found


def _sizes(rng: np.random.Generator, number: int) -> NDArray[np.int64]:
    shares, lines = zip(*LINES_OF_AN_ORDER, strict=True)
    drawn = np.exp(np.interp(rng.random(number), shares, np.log(lines)))
    sizes: NDArray[np.int64] = np.maximum(1, np.rint(drawn)).astype(np.int64)
    return sizes


def _baskets(rng: np.random.Generator, number: int) -> NDArray[np.int64]:
    median, spread = BASKET_LINES
    return np.clip(rng.lognormal(np.log(median), spread, number), 5, 1112).astype(np.int64)


def _moments(rng: np.random.Generator, number: int, together: float) -> NDArray[np.int64]:
    """Milliseconds after midnight."""
    shares = np.array(list(ORDERS_BY_HOUR.values()))
    hours = rng.choice(list(ORDERS_BY_HOUR), size=number, p=shares / shares.sum())
    moments: NDArray[np.int64] = hours.astype(np.int64) * (DAY // 24) + rng.integers(DAY // 24, size=number)
    for place in np.flatnonzero(rng.random(number) < together):
        if place:
            moments[place] = moments[rng.integers(place)] + int(rng.exponential(SITTING_GAP))
    return moments.clip(max=DAY - 1)


def _units(rng: np.random.Generator, number: int) -> NDArray[np.int64]:
    shares = np.array(list(UNITS_OF_A_LINE.values()))
    units = rng.choice(list(UNITS_OF_A_LINE), size=number, p=shares / shares.sum()).astype(np.int64)
    huge = rng.random(number) < 0.0002
    units[huge] = (1_000 * (1 + rng.pareto(1.1, int(huge.sum())))).clip(max=80_000).astype(np.int64)
    return units
