"""Outages that come every week: when the next one of a channel is to be expected, from its earlier ones only.

A maintenance window, or a nightly import that takes hours: what began at about the same time of the week in two of the
last three weeks is expected once more. Shortly before it begins, the channel's scarce units are divided between it and
the others (`inventory.policies.calibration`), while it can still be written to.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from inventory.orders.order_history import WEEK

MINUTE = 60_000
ABOUT = 60 * MINUTE
"""Two outages that begin no further apart than this, weeks aside, began at the same time of the week."""
WEEKS = 3
"""That many weeks are looked at,"""
TIMES = 2
"""and in so many of them it must have come."""
LEAD = 5 * MINUTE
"""So much and two lags before the earliest beginning the channel is prepared: numbers take a lag to arrive."""
GRACE = 20 * MINUTE
"""It is waited for so long after the latest beginning."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """In milliseconds since a Monday."""

    channel: int
    start: int
    """From then on the channel is prepared,"""
    until: int
    """up to then, if the outage does not come."""
    begin: int
    """When the outage is expected to begin at the earliest,"""
    end: int
    """and to end at the latest."""


def next_one(channel: int, outages: Sequence[tuple[int, int]], lag: int) -> Foreseen | None:
    """What is to be expected a week after the last of these outages of a channel: (start, end), by start."""
    if not outages:
        return None
    last = outages[-1][0]
    alike = []
    for start, end in outages:
        weeks = round((last - start) / WEEK)
        if weeks < WEEKS and abs(start + weeks * WEEK - last) <= ABOUT:
            alike.append((start + (weeks + 1) * WEEK, end - start, weeks))
    if len({weeks for _, _, weeks in alike}) < TIMES:
        return None
    begin, latest = min(start for start, _, _ in alike), max(start for start, _, _ in alike)
    longest = max(length for _, length, _ in alike)
    return Foreseen(channel, begin - LEAD - 2 * lag, latest + GRACE, begin, latest + longest)


def moments(foreseen: Sequence[Foreseen], outages: Sequence[tuple[int, int, int]]) -> tuple[int, ...]:
    """When numbers are to be decided anew because of these. While one that came lasts nobody waits for it."""
    waited = [
        one.until
        for one in foreseen
        if not any(channel == one.channel and start <= one.until < end for channel, start, end in outages)
    ]
    return (*(one.start for one in foreseen), *waited)


def foresee(outages: Sequence[tuple[int, int, int]], lag: int) -> tuple[Foreseen, ...]:
    """All that would have been foreseen, by start; `outages`: (channel, start, end), by start."""
    earlier: dict[int, list[tuple[int, int]]] = {}
    found = []
    for channel, start, end in outages:
        before = earlier.setdefault(channel, [])
        before.append((start, end))
        expected = next_one(channel, [one for one in before if one[0] > start - (WEEKS + 1) * WEEK], lag)
        if expected is not None and expected.start >= end:
            found.append(expected)
    return tuple(sorted(found, key=lambda one: (one.start, one.channel)))
