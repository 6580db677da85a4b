"""The calibrated policy: plenty is mirrored, scarce is given to as many listings as the bound allows.

For every listing i that can be lowered, with `quantile` taken at 1 - epsilon over the others' unseen demand:

    shown(i) + quantile(what the other shown listings sell unseen) + kept for dark listings <= sellable

The last unit of a SKU is sold by somebody; what can go wrong then is that the others sell more than is left
before they are lowered, and that is what the quantile bounds. A dark listing cannot be lowered, so what it may
sell until it is likely to be read again is taken from all others. `docs/policies.md` says what that guarantees.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inventory.splitting import divide
from inventory.unseen import Unseen, pooled, quantile

if TYPE_CHECKING:
    from inventory.policy import Offer


import os
G=float(os.environ.get('G','1')); F=float(os.environ.get('F','1'))
def kept_for_dark(epsilon: float, offers: Sequence["Offer"], leaving_out: int = -1) -> int:
    """The fence: what the unreachable listings may plausibly sell, never more than they can."""
    kept = 0
    for place, one in enumerate(offers):
        if not one.reachable and not one.asks_first and place != leaving_out:
            unseen = _known(one)
            kept += min(one.exposure, quantile(unseen.lines, unseen.shape, unseen.sizes, epsilon*F))
    return kept


def counted(epsilon: float, which: int, offers: Sequence["Offer"]) -> int:
    """What has to be kept for the others with the numbers that they show now."""
    others = [
        one
        for place, one in enumerate(offers)
        if one.reachable and _matters(one, offers[which], own=place == which)
    ]
    kept = kept_for_dark(epsilon, offers, which)
    if not others:
        return kept
    risk = pooled([_known(one) for one in others], epsilon*G)
    if not any(one.asks_first or one.puts_back for one in others):
        risk = min(risk, sum(one.exposure for one in others))
    return kept + risk


def restless(epsilon: float, sellable: int, offers: Sequence["Offer"]) -> bool:
    """Scarce enough that the numbers depend on the hour of the day."""
    lines = sum(one.busiest_lines for one in offers if one.reachable)
    first = _known(offers[0])
    return sellable <= quantile(lines, first.shape, first.sizes, epsilon*G)


def _matters(one: "Offer", to: "Offer", *, own: bool) -> bool:
    if own:
        return one.puts_back
    return one.exposure > 0 or (one.asks_first and not to.asks_first)


def entitled(epsilon: float, sellable: int, offers: Sequence["Offer"]) -> list[int]:
    """Of all ways to show that keep the bound, the one that serves the most demand; first mirror, then fewer
    listings that show all, then slices."""
    left = max(0, sellable - kept_for_dark(epsilon, offers))
    places = [place for place, one in enumerate(offers) if one.reachable]
    # Who shows something already goes first, unless another one sells half as much again: units should not wander.
    places.sort(key=lambda place: (-offers[place].rate * (1.5 if offers[place].exposure else 1.0), place))
    shown = [left] * len(offers)
    best = -1.0
    if left == 0 or not places:
        return shown
    for many in range(len(places), 0, -1):
        numbers = _mirrored(epsilon, left, offers, places[:many])
        served = sum(_served(offers[place], units) for place, units in zip(places, numbers, strict=False))
        if served > best + 1e-9:
            best = served
            _put(shown, places, numbers)
        if all(units >= _known(offers[place]).sizes.usual for place, units in zip(places, numbers, strict=False)):
            break
    else:
        numbers = divide(left, [offers[place].rate for place in places], [offers[place].exposure for place in places])
        if sum(_served(offers[place], units) for place, units in zip(places, numbers, strict=True)) > best + 1e-9:
            _put(shown, places, numbers)
    return shown


def _mirrored(epsilon: float, left: int, offers: Sequence["Offer"], chosen: Sequence[int]) -> list[int]:
    unseen = [_known(offers[place]) for place in chosen]
    lines, shape, sizes = sum(one.lines for one in unseen), min(one.shape for one in unseen), unseen[0].sizes
    own = [0.0 if offers[place].puts_back else one.lines for place, one in zip(chosen, unseen, strict=True)]
    return [max(0, left - quantile(lines - mine, shape, sizes, epsilon*G)) for mine in own]


def _put(shown: list[int], places: Sequence[int], numbers: Sequence[int]) -> None:
    for place in places:
        shown[place] = 0
    for place, units in zip(places, numbers, strict=False):
        shown[place] = units


def _served(offer: "Offer", units: int) -> float:
    """Of the units that its customers ask for in a day, those that they find when it shows so many."""
    sizes = _known(offer).sizes
    return (offer.rate + 1e-6) * sizes.mean * sizes.covered[min(units, len(sizes.covered) - 1)]


def _known(offer: "Offer") -> Unseen:
    assert offer.unseen is not None
    return offer.unseen
