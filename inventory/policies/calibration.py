"""The calibrated policy: plenty is mirrored, scarce is given to as many listings as is worth its risk.

Two things oversell. When the last unit is sold, others may sell it too before they are lowered; and a dark listing
goes on selling what it shows. Against the first, units are kept back or fewer listings show them; against the
second, all others give up what the dark one may plausibly sell until it is read again (the fence).

Both cost sales: a unit that is not shown may stay unsold. So `epsilon` is a price. A chance p that the sale of a
last unit oversells is accepted for an expected gain of p / (RUN_OUT x epsilon) units, sold before new stock comes and
not otherwise. The gain is at most the units at stake, so the chance is never more than that part of epsilon. The same
for a unit that a dark listing may want, with FENCE. `docs/policies.md` says what that guarantees.
"""

from collections.abc import Iterator, Sequence
from math import exp, expm1, floor, log1p, log2
from typing import TYPE_CHECKING

from inventory.publishing.splitting import divide
from inventory.publishing.unseen import Unseen, quantile

if TYPE_CHECKING:
    from inventory.policies.policy import Offer

RUN_OUT = 2.0
"""Of epsilon: the most that is accepted at the sale of a last unit."""
FENCE = 3.5
"""Of epsilon: the most that is accepted for the first unit that is not kept for a dark listing."""
FREE = 0.05
"""Of epsilon: a chance that is not worth weighing."""
USUAL_DAYS = 3.0
"""Days for which the stock has to last when nobody knows when new stock comes."""
ENOUGH = 0.01
"""The chance that all together want more in an outage than there is: then nothing has to be divided before it."""
SOONEST = 0.05
"""Days: new stock that is as good as here may be late."""
_LONG = 30
"""Lines from which on it does not matter how many more there are."""


def kept_for_dark(epsilon: float, offers: Sequence["Offer"], restock: float, leaving_out: int = -1) -> int:
    """The fence: what the unreachable listings may plausibly sell, never more than they can."""
    kept = 0
    for place, one in enumerate(offers):
        if not one.reachable and not one.asks_first and place != leaving_out:
            kept += _fence(epsilon, one, sum([other.rate for other in offers]), restock)
    return kept


def _fence(epsilon: float, one: "Offer", rate: float, restock: float) -> int:
    unseen = _known(one)
    after = max(0.0, restock - unseen.lines / one.rate) if one.rate else restock
    kept = 0
    while kept < one.exposure:
        # The next unit: kept in vain if the dark listing sells no more than that, and if nobody else buys it later.
        unsold = 1 - _reached(rate * after, (kept + 1) / unseen.sizes.mean)
        risk = _step(FENCE * epsilon * unsold)
        enough = quantile(unseen.lines, unseen.shape, unseen.sizes, risk)
        if enough <= kept:
            break
        kept += max(1, (enough - kept) // 4)
    return min(kept, one.exposure)


def counted(epsilon: float, which: int, offers: Sequence["Offer"], restock: float) -> int:
    """What has to be kept for the others with the numbers that they show now."""
    others = [
        one for place, one in enumerate(offers) if one.reachable and _matters(one, offers[which], own=place == which)
    ]
    kept = kept_for_dark(epsilon, offers, restock, which)
    if not others:
        return kept
    known = [_known(one) for one in others]
    risk = quantile(sum(one.lines for one in known), known[0].shape, known[0].sizes, RUN_OUT * epsilon)
    if not any(one.asks_first or one.puts_back for one in others):
        risk = min(risk, sum(one.exposure for one in others))
    return kept + risk


def restless(epsilon: float, sellable: int, offers: Sequence["Offer"]) -> bool:
    """Scarce enough that the numbers depend on the hour of the day."""
    lines = sum([one.busiest_lines for one in offers if one.reachable])
    first = _known(offers[0])
    return sellable <= quantile(lines, first.shape, first.sizes, epsilon)


def _matters(one: "Offer", to: "Offer", *, own: bool) -> bool:
    if own:
        return one.puts_back
    return one.exposure > 0 or (one.asks_first and not to.asks_first)


def entitled(epsilon: float, sellable: int, offers: Sequence["Offer"], restock: float) -> list[int]:
    """Of all ways to show the one with the most expected sales less what its risk costs."""
    left = max(0, sellable - kept_for_dark(epsilon, offers, restock))
    places = [place for place, one in enumerate(offers) if one.reachable]
    shown = [left] * len(offers)
    if left == 0 or not places:
        return shown
    # Who shows something already goes first, unless another one sells half as much again: units should not wander.
    places.sort(key=lambda place: (-offers[place].rate * (1.5 if offers[place].exposure else 1.0), place))
    usual = _known(offers[places[0]]).sizes.usual
    numbers = _mirrored(FREE * epsilon, left, offers, places)
    if min(numbers) >= usual:
        _put(shown, places, numbers)
        return _prepared(left, offers, places, shown)
    best = float("-inf")
    restock = max(restock, SOONEST)
    for chosen, numbers, risk in _ways(epsilon, left, offers, places):
        value = _value(epsilon, left, [offers[place] for place in chosen], numbers, risk, restock)
        if value > best + 1e-9:
            best = value
            _put(shown, places, [])
            _put(shown, chosen, numbers)
    return _prepared(left, offers, places, shown)


def _prepared(left: int, offers: Sequence["Offer"], places: Sequence[int], shown: list[int]) -> list[int]:
    """Who is about to go dark keeps what it is likelier to sell meanwhile than the others; the rest is theirs."""
    for place in places:
        leaving, own = offers[place].leaving, offers[place].rate
        if leaving is not None and not offers[place].asks_first:
            others = sum(offers[other].rate for other in places if other != place)
            shown[place] = min(shown[place], _parting(left, leaving, leaving.lines * others / own if own else 0.0))
    return shown


def _parting(left: int, leaving: Unseen, others: float) -> int:
    """The most units of which each is wanted there more likely than by the others, who expect so many lines."""
    sizes, shape = leaving.sizes, leaving.shape
    if not others or left > quantile(leaving.lines + others, shape, sizes, ENOUGH):
        return left
    low, high = 0, left
    while low < high:
        unit = (low + high + 1) // 2
        here = _at_least(leaving.lines, shape, unit / sizes.mean)
        there = _at_least(others, shape, (left - unit + 1) / sizes.mean)
        low, high = (unit, high) if here >= there else (low, unit - 1)
    return low


def _at_least(expected: float, shape: float, lines: float) -> float:
    """The chance of so many lines, when the rate is known with this shape (negative binomial)."""
    term = below = exp(-shape * log1p(expected / shape))
    more = expected / (expected + shape)
    for n in range(1, max(1, round(lines))):
        term *= more * (shape + n - 1) / n
        below += term
    return 1 - below


def _ways(
    epsilon: float, left: int, offers: Sequence["Offer"], places: list[int]
) -> Iterator[tuple[list[int], list[int], float]]:
    """Who shows, how many, and the chance that the sale of the last unit oversells."""
    for many in range(len(places), 0, -1):
        chosen = places[:many]
        yield chosen, [left] * many, _chance(offers, chosen)
        if left > 1:
            yield chosen, _mirrored(FREE * epsilon, left, offers, chosen), 0.0
    if left == 1:
        return
    rates, exposures = [offers[place].rate for place in places], [offers[place].exposure for place in places]
    yield places, divide(left, rates, exposures), 0.0


def _chance(offers: Sequence["Offer"], chosen: Sequence[int]) -> float:
    """That, when one of these has sold all, another sells something before it is lowered.

    The sale itself says that the rate is rather high: of a gamma distribution it leaves one whose shape is larger by 1.
    """
    unseen = [_known(offers[place]) for place in chosen]
    lines, rate = sum(one.lines for one in unseen), sum(offers[place].rate for place in chosen) or 1.0
    found = 0.0
    for place, one in zip(chosen, unseen, strict=True):
        others = lines if offers[place].puts_back else lines - one.lines
        found += offers[place].rate / rate * -expm1(-(one.shape + 1) * log1p(others / one.shape))
    return found


def _value(
    epsilon: float, left: int, chosen: Sequence["Offer"], numbers: Sequence[int], risk: float, restock: float
) -> float:
    """Expected units sold until new stock comes, less the price of overselling."""
    rate = mean = 0.0
    for one, units in zip(chosen, numbers, strict=True):
        sizes = _known(one).sizes
        rate += (one.rate + 1e-6) * sizes.covered[min(units, len(sizes.covered) - 1)]
        mean = sizes.mean
    lines = left / mean
    sold = _sold(rate * restock, max(lines, 1.0)) * mean
    return sold - _reached(rate * restock, lines) * risk / (RUN_OUT * epsilon) * mean


def _reached(expected: float, lines: float) -> float:
    """The chance that at least so many lines are ordered (at least one)."""
    return 1 - _poisson_below(expected, max(1, round(lines)))


def _sold(expected: float, lines: float) -> float:
    """Of so many lines' worth of stock, what is expected to be sold."""
    term = below = exp(-expected)
    total = 0.0
    for n in range(1, min(max(1, round(lines)), _LONG) + 1):
        total += 1 - below
        term *= expected / n
        below += term
    return total


def _poisson_below(expected: float, count: int) -> float:
    """The chance of fewer than `count`."""
    if expected > 60 + 2 * count:
        return 0.0
    term = total = exp(-expected)
    for n in range(1, min(count, 10 * _LONG)):
        term *= expected / n
        total += term
    return min(1.0, total)


def _mirrored(epsilon: float, left: int, offers: Sequence["Offer"], chosen: Sequence[int]) -> list[int]:
    unseen = [_known(offers[place]) for place in chosen]
    lines, shape, sizes = sum([one.lines for one in unseen]), min([one.shape for one in unseen]), unseen[0].sizes
    own = [0.0 if offers[place].puts_back else one.lines for place, one in zip(chosen, unseen, strict=True)]
    return [max(0, left - quantile(lines - mine, shape, sizes, epsilon)) for mine in own]


def _step(chance: float) -> float:
    """Rounded down, so that answers can be kept."""
    return float(2.0 ** (floor(log2(max(chance, 1e-7)) * 4) / 4))


def _put(shown: list[int], places: Sequence[int], numbers: Sequence[int]) -> None:
    for place in places:
        shown[place] = 0
    for place, units in zip(places, numbers, strict=False):
        shown[place] = units


def _known(offer: "Offer") -> Unseen:
    assert offer.unseen is not None
    return offer.unseen
