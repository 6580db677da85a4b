"""Trading days that nobody recorded: made from a seed, in the shape of the recorded trace.

The figures are measured on 1,014,944 sale lines of two years of a gift-ware seller: orders a day,
lines of an order, units of a line, how sales spread over the SKUs, when people buy, what they cancel.
Not modelled: large baskets of single units (the recorded web shop), the same buyer coming again, and
cancellations on a later day, which in the recording are most of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache

import numpy as np
from numpy.typing import NDArray

from adapters.sandbox.order_csv import customer_key
from adapters.sandbox.trace import Trace, TraceCancellation, TraceError, TraceLine, TraceOrder
from inventory.skus import is_non_stock

Floats = NDArray[np.float64]

CATALOGUE_SIZE = 4_707
ORDERS_A_DAY = (62, 151)
"""The median and the busiest day."""
FIRST_DAY = date(2026, 11, 2)
CUSTOMERS = 4_300
NO_CUSTOMER = 0.225
"""Share of orders by nobody known."""
REPEATED_SKU = 0.0227
"""Share of lines whose SKU is on an earlier line of the same order."""
CANCELLED_LINES = 0.0183
PARTIAL_CANCELLATIONS = 0.58

LINES_OF_AN_ORDER = (
    (0.00, 1), (0.07, 1), (0.10, 2), (0.20, 5), (0.30, 8), (0.40, 11.5), (0.50, 15), (0.60, 19), (0.70, 25),
    (0.80, 33), (0.90, 53), (0.95, 80), (0.98, 130), (0.99, 198), (0.995, 300), (0.999, 600), (1.00, 1112),
)  # fmt: skip
"""(share of orders, lines at most)."""

UNITS_OF_A_LINE = {
    1: 0.279, 2: 0.148, 3: 0.080, 4: 0.070, 5: 0.025, 6: 0.080, 7: 0.005, 8: 0.025, 9: 0.004, 10: 0.026, 12: 0.112,
    16: 0.008, 18: 0.005, 20: 0.010, 24: 0.043, 25: 0.009, 30: 0.003, 32: 0.002, 36: 0.010, 40: 0.003, 48: 0.018,
    50: 0.003, 60: 0.003, 72: 0.007, 96: 0.006, 100: 0.010, 120: 0.0014, 144: 0.0018, 200: 0.0008, 240: 0.0006,
    288: 0.0005, 432: 0.0004, 576: 0.0002, 720: 0.0001, 1000: 0.0001, 1440: 0.0001,
}  # fmt: skip
"""Units → share of lines: people buy singles, dozens and cartons, so it is no smooth curve."""

ABC = ((0.01, 0.106, 0.40), (0.05, 0.317, 0.55), (0.20, 0.671, 0.70), (0.50, 0.924, 1.20), (1.00, 1.000, 3.00))
"""(the most sold share of SKUs, their share of all lines, slope of the Zipf curve inside this step)."""

ORDERS_BY_HOUR = {
    7: 0.002, 8: 0.037, 9: 0.062, 10: 0.118, 11: 0.112, 12: 0.162, 13: 0.135,
    14: 0.133, 15: 0.113, 16: 0.076, 17: 0.039, 18: 0.007, 19: 0.004,
}  # fmt: skip
_SATURDAY = 5
"""No trade, in the recording."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    skus: tuple[str, ...]
    """From the most to the least sold."""
    popularity: Floats
    """Share of lines. Shape (SKUs,), sums to one."""


@cache
def catalogue(size: int = CATALOGUE_SIZE) -> Catalogue:
    """The same for every seed, so that several days sell the same goods."""
    if size < 1:
        raise TraceError("a catalogue has one SKU or more")
    families = np.arange(20_000, 20_000 + size)
    codes = [
        f"{family}{letter}"
        for family in families
        # Every twelfth number comes in colours, which are SKUs of their own.
        for letter in (("A", "B", "C") if family % 12 == 0 else ("",))
    ]
    codes = [code for code in codes if not is_non_stock(code)][:size]
    order = np.random.default_rng(size).permutation(len(codes))
    return Catalogue(tuple(codes[i] for i in order), _popularity(len(codes)))


def _popularity(size: int) -> Floats:
    ranks = np.arange(1, size + 1, dtype=float)
    weights = np.zeros(size)
    start, before = 0, 0.0
    for part, share, slope in ABC:
        end = max(start, round(part * size))
        if end > start:
            shape = ranks[start:end] ** -slope
            weights[start:end] = shape / shape.sum() * (share - before)
            start, before = end, share
    popularity: Floats = weights / weights.sum()
    return popularity


def generate(
    seed: int,
    days: int = 1,
    *,
    start: date = FIRST_DAY,
    orders: int | None = None,
    skus: int = CATALOGUE_SIZE,
    zone: tzinfo = UTC,
) -> Trace:
    """`days` trading days from `start` on, never a Saturday. The same arguments give the same trace.

    `orders` is the number a day; without it each day draws its own from `ORDERS_A_DAY`.
    """
    if days < 1 or (orders is not None and orders < 1):
        raise TraceError("a trace needs one day and one order a day, or more")
    made: list[TraceOrder] = []
    cancellations: list[TraceCancellation] = []
    day = start
    for number in range(days):
        day += timedelta(days=1 if number else 0)
        day += timedelta(days=1 if day.weekday() == _SATURDAY else 0)
        rng = np.random.default_rng([seed, day.toordinal()])
        of_day = _orders_of(day, rng, orders, catalogue(skus), zone)
        made += of_day
        cancellations += cancellations_for(of_day, rng)
    return Trace(tuple(made), tuple(cancellations))


def _orders_of(
    day: date, rng: np.random.Generator, count: int | None, goods: Catalogue, zone: tzinfo
) -> list[TraceOrder]:
    low, high = ORDERS_A_DAY
    count = count or int(rng.integers(low, high + 1))
    sizes = _sizes(rng, count)
    orders = []
    for number, (second, size) in enumerate(zip(_seconds(rng, count), sizes, strict=True), start=1):
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        known = rng.random() >= NO_CUSTOMER
        orders.append(
            TraceOrder(
                f"G{day:%Y%m%d}-{number:04d}",
                midnight + timedelta(seconds=second),
                _lines(rng, size, goods),
                customer_key(f"customer {rng.integers(CUSTOMERS)}") if known else None,
            )
        )
    return orders


def _seconds(rng: np.random.Generator, count: int) -> list[int]:
    shares = np.array(list(ORDERS_BY_HOUR.values()))
    hours = rng.choice(list(ORDERS_BY_HOUR), size=count, p=shares / shares.sum())
    return sorted((hours * 3600 + rng.integers(3600, size=count)).tolist())


def _sizes(rng: np.random.Generator, count: int) -> list[int]:
    shares, lines = zip(*LINES_OF_AN_ORDER, strict=True)
    drawn = np.exp(np.interp(rng.random(count), shares, np.log(lines)))
    return np.maximum(1, np.rint(drawn)).astype(int).tolist()  # type: ignore[no-any-return]


def _lines(rng: np.random.Generator, size: int, goods: Catalogue) -> tuple[TraceLine, ...]:
    repeats = rng.random(size) < REPEATED_SKU
    repeats[0] = False
    fresh = min(int(size - repeats.sum()), len(goods.skus))
    # The largest of (log weight + Gumbel noise) are a weighted draw without replacement.
    keys = np.log(goods.popularity) + rng.gumbel(size=len(goods.skus))
    drawn = iter(np.argsort(-keys)[:fresh].tolist())
    shares = np.array(list(UNITS_OF_A_LINE.values()))
    units = rng.choice(list(UNITS_OF_A_LINE), size=size, p=shares / shares.sum())
    lines: list[TraceLine] = []
    for number in range(size):
        place = None if repeats[number] else next(drawn, None)
        sku = lines[int(rng.integers(number))].sku if place is None else goods.skus[place]
        lines.append(TraceLine(number + 1, sku, int(units[number])))
    return tuple(lines)


def cancellations_for(
    orders: Sequence[TraceOrder],
    rng: np.random.Generator,
    share: float = CANCELLED_LINES,
    partial: float = PARTIAL_CANCELLATIONS,
) -> list[TraceCancellation]:
    """Cancellations for a share of the lines, later on the same day, each matched to its line.

    For generated orders, and for a recorded day, whose own cancellations mostly concern older days.
    """
    lines = [(order, line) for order in orders for line in order.lines if not is_non_stock(line.sku)]
    count = round(share * len(lines))
    if not count:
        return []
    end = max(order.placed_at for order in orders) + timedelta(minutes=1)
    chosen = [lines[i] for i in sorted(rng.choice(len(lines), size=count, replace=False).tolist())]
    divisible = sum(line.quantity > 1 for _, line in chosen) / count
    moments: dict[str, datetime] = {}
    made = []
    for order, line in chosen:
        if order.order_id not in moments:
            moments[order.order_id] = order.placed_at + (end - order.placed_at) * float(rng.uniform(0.02, 1.0))
        in_part = line.quantity > 1 and rng.random() < partial / divisible
        quantity = int(rng.integers(1, line.quantity)) if in_part else line.quantity
        made.append(
            TraceCancellation(
                f"C{order.order_id}:{line.line}",
                moments[order.order_id],
                line.sku,
                quantity,
                order.customer,
                (order.order_id, line.line),
            )
        )
    return sorted(made, key=lambda cancellation: (cancellation.at, cancellation.cancellation_id))
