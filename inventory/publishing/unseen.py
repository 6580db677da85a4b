"""How much a listing may sell before anybody here knows: quantiles of a compound distribution.

The number of order lines in a span of time is negative binomial: Poisson around a rate that is itself not
known exactly (`shape`: the larger, the better known). Each line takes a quantity from an empirical
distribution (`Sizes`), so that a rare order of five hundred weighs as it does in reality; no curve is fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, exp, expm1, floor, log1p, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST = 2047
"""Units up to which a distribution is told apart; what lies above counts as this many."""
SHORT = 100
"""Expected lines below which their chances are added up one by one."""
_STEPS = 24
"""Expected lines are rounded up to a grid of this many steps a doubling, so that answers can be kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Sizes:
    """Units of one order line: `share[n]` of the lines take n units; `share[0]` is 0."""

    share: NDArray[np.float64]
    mean: float = field(init=False)
    covered: tuple[float, ...] = field(init=False, repr=False)
    """[n]: the part of what is asked for that a listing showing n can serve."""
    usual: int = field(init=False)
    """Nineteen in twenty lines take no more than this."""

    def __post_init__(self) -> None:
        units = np.arange(len(self.share))
        mean = float(units @ self.share)
        at_least = np.cumsum(self.share[::-1])[::-1]
        served = np.concatenate([[0.0], np.cumsum(at_least[1:])]) / mean
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "covered", tuple(np.round(served, 9).tolist()))
        object.__setattr__(self, "usual", int(np.searchsorted(np.cumsum(self.share), 0.95)))

    @classmethod
    def of(cls, share: Sequence[float] | NDArray[Any]) -> "Sizes":
        """From weights by units, index 0 ignored. Longer ones are cut: the tail counts as the longest."""
        given = np.asarray(share, dtype=float)
        kept = given[: LONGEST + 1].copy()
        kept[-1] += given[LONGEST + 1 :].sum()
        kept[0] = 0.0
        last = int(np.flatnonzero(kept)[-1])
        kept = kept[: last + 1]
        return cls(kept / kept.sum())


SINGLE = Sizes.of([0.0, 1.0])
"""Each line is one unit."""


@dataclass(slots=True)
class Unseen:
    """What one listing may sell in the span that nobody here sees."""

    lines: float
    """Expected order lines."""
    shape: float
    sizes: Sizes = SINGLE


def quantile(lines: float, shape: float, sizes: Sizes, epsilon: float) -> int:
    """The fewest units that are exceeded with a chance of at most `epsilon`. Rounds to the safe side."""
    if lines <= epsilon:
        return 0
    # P(no line at all): the common case of a short lag needs no distribution.
    if -expm1(-shape * log1p(lines / shape)) <= epsilon:
        return 0
    step = ceil(log2(lines) * _STEPS)
    # The shape is rounded down in the same way: a rate that is known less well.
    return _quantile(step, floor(log2(max(shape, 0.05)) * 4), sizes, epsilon)


def pooled(unseen: Sequence[Unseen], epsilon: float) -> int:
    """The quantile of the sum of several listings of one SKU. They share the error of their rates."""
    lines = sum(one.lines for one in unseen)
    return quantile(lines, min(one.shape for one in unseen), unseen[0].sizes, epsilon) if lines > 0 else 0


@lru_cache(maxsize=200_000)
def _quantile(step: int, shape_step: int, sizes: Sizes, epsilon: float) -> int:
    lines, shape = 2 ** (step / _STEPS), 2 ** (shape_step / 4)
    if len(sizes.share) == 2 and lines < SHORT:
        return _quantile_of_lines(lines, shape, epsilon)
    room = 64.0
    while True:
        length = _length(lines, shape, sizes, room)
        beyond = _beyond(lines, shape, sizes, length)
        found = int(np.argmax(beyond <= epsilon)) if (beyond <= epsilon).any() else length
        # Far from the end nothing has come round from behind.
        if found < length // 2 or length >= 32 * LONGEST:
            return found
        room *= 4


def _quantile_of_lines(lines: float, shape: float, epsilon: float) -> int:
    """Each line is one unit: term by term."""
    term = below = exp(-shape * log1p(lines / shape))
    more, count = lines / (lines + shape), 0
    while 1 - below > epsilon and count < LONGEST:
        count += 1
        term *= more * (shape + count - 1) / count
        below += term
    return count


def _length(lines: float, shape: float, sizes: Sizes, room: float) -> int:
    wanted = room + 4 * len(sizes.share) + 8 * lines * sizes.mean
    length = 128
    while length < min(wanted, 32 * LONGEST):
        length *= 2
    return length


def _beyond(lines: float, shape: float, sizes: Sizes, length: int) -> NDArray[np.float64]:
    """[n]: the chance of more than n units. By the generating function on the circle."""
    stays = exp(-log1p(lines / shape))
    transformed = np.fft.rfft(sizes.share, length)
    chances = np.fft.irfft((stays / (1 - (1 - stays) * transformed)) ** shape, length)
    return np.maximum(1 - np.cumsum(chances), 0.0)
