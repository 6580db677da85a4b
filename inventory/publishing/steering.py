"""Listings under another policy than `strict`: what `inventory.policies.policy` says of them, in listing units.

The policies speak of one SKU at one place. Here their answers are put together for listings that sell several pieces
or a bundle (the tightest component decides), for channels with shelves of their own (each is asked about what lies
where it may sell), and for SKUs of which some listings are split strictly and others not:

- What a strict listing is entitled to, or may still sell, is not there for the others.
- For a strict listing the others count together with the most that their own policies count with: what one of them
  may sell and what is kept beside it, never more than the sum of their exposures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from inventory.policies.policy import USUAL_DAYS, Offer, Policy
from inventory.publishing.positions import Position, Room, Step
from inventory.publishing.unseen import Sizes, Unseen

if TYPE_CHECKING:
    from inventory.publishing.publishing import Market

UNKNOWN = 1_000_000_000
"""The exposure of a listing that was never read."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a policy says of one listing, in listing units; `kept` and `sellable` in pieces of the tightest SKU."""

    entitled: int
    free: int
    """Units that may be added to its exposure; negative: more is exposed than the policy has room for."""
    kept: int
    """Pieces kept for all others."""
    sellable: int
    pieces: int
    lowers: bool
    restless: bool


@dataclass(slots=True)
class Steering:
    """The answers for one market, each asked for once."""

    market: "Market"
    slices: Mapping[int, int]
    """Of the strict listings, in listing units."""
    _answers: dict[tuple[object, ...], tuple[list[int], bool, bool]] = field(default_factory=dict)

    def target(self, position: Position) -> Target:
        found = [self._target(position, sku, pieces) for sku, pieces in position.components.items()]
        if not found:
            return Target(0, 0, 0, 0, 1, True, False)
        entitled = min(one.entitled for one in found)
        if position.cap is not None:
            entitled = min(entitled, position.cap)
        if entitled < position.terms.floor:
            entitled = 0
        tightest = min(found, key=lambda one: (one.entitled, one.free))
        return replace(
            tightest,
            entitled=entitled,
            free=min(one.free for one in found),
            lowers=any(one.lowers for one in found) or entitled == 0 or position.cap == entitled,
            restless=any(one.restless for one in found),
        )

    def _target(self, position: Position, sku: str, pieces: int) -> Target:
        group = self._group(sku, position.locations)
        sellable = self._sellable(sku, position.locations)
        policy, offers = position.terms.policy, self._offers(sku, group)
        entitled, lowers, restless = self._ask(policy, sku, position.locations, sellable, offers)
        place = next(number for number, one in enumerate(group) if one.listing_id == position.listing_id)
        kept = policy.counted(place, sellable, offers, USUAL_DAYS)
        free = sellable - kept - offers[place].exposure
        return Target(entitled[place] // pieces, free // pieces, kept, sellable, pieces, lowers, restless)

    def taken(self, sku: str, places: frozenset[str]) -> int:
        """Pieces that the listings inside these places count with for a strict one."""
        group = [one for one in self.market.by_sku[sku] if not one.is_strict and one.locations <= places]
        if not group:
            return 0
        offers = self._offers(sku, group)
        sellable = self._sellable(sku, places)
        most = max(
            offer.exposure + one.terms.policy.counted(number, sellable, offers, USUAL_DAYS)
            for number, (one, offer) in enumerate(zip(group, offers, strict=True))
        )
        return min(most, sum(offer.exposure for offer in offers))

    def kept_from_pool(self, sku: str) -> int | None:
        """Pieces that those who ask first are not granted. None: `strict` holds for all of them."""
        asking = [one for one in self.market.by_sku[sku] if one.asks_first and not one.is_strict]
        kept = []
        for one in asking:
            found = self._target(one, sku, one.components[sku])
            whole = self.market.stock[sku].sellable(one.locations)
            kept.append(whole - min(found.entitled * found.pieces, found.free * found.pieces))
        return max(0, *kept) if kept else None

    def _group(self, sku: str, places: frozenset[str]) -> list[Position]:
        return [one for one in self.market.by_sku[sku] if not one.is_strict and one.locations & places]

    def _sellable(self, sku: str, places: frozenset[str]) -> int:
        left = self.market.stock[sku].sellable(places)
        for one in self.market.by_sku[sku]:
            if one.is_strict and not one.asks_first and one.locations & places:
                exposed = UNKNOWN if one.exposure is None else self.market.exposure(one)
                left -= max(exposed, self.slices.get(one.listing_id, 0)) * one.components[sku]
        return max(0, left)

    def _ask(
        self, policy: Policy, sku: str, places: frozenset[str], sellable: int, offers: Sequence[Offer]
    ) -> tuple[list[int], bool, bool]:
        key = (policy.text, sku, places, sellable, tuple(one.exposure for one in offers))
        if key not in self._answers:
            entitled = policy.entitled(sellable, offers, USUAL_DAYS)
            self._answers[key] = (
                entitled,
                policy.lowers(sellable, offers, entitled),
                policy.restless(sellable, offers),
            )
        return self._answers[key]

    def _offers(self, sku: str, group: Sequence[Position]) -> list[Offer]:
        sizes = _sizes(sku, group)
        return [self._offer(sku, one, group, sizes) for one in group]

    def _offer(self, sku: str, one: Position, group: Sequence[Position], sizes: Sizes | None) -> Offer:
        known = self.market.exposure(one) * one.components[sku] if one.exposure is not None else UNKNOWN
        offer = Offer(
            # The listings of one channel divide its share.
            one.share / sum(other.channel == one.channel for other in group),
            exposure=0 if one.asks_first else known,
            asks_first=one.asks_first,
            reachable=one.reachable,
            puts_back=not one.compare_and_set and not one.asks_first,
        )
        if one.demand is not None and sizes is not None:
            offer.rate, offer.busiest_lines = one.demand.rate, one.demand.busiest_lines
            offer.unseen = Unseen(one.demand.unseen.lines, one.demand.unseen.shape, sizes)
            if one.demand.leaving is not None:
                offer.leaving = Unseen(one.demand.leaving.lines, one.demand.leaving.shape, sizes)
        return offer


def _sizes(sku: str, group: Sequence[Position]) -> Sizes | None:
    """The policies take one distribution for all listings of a SKU: the one with the largest lines."""
    found = [
        _scaled(one.demand.unseen.sizes, max(1, one.components[sku] // one.units))
        for one in group
        if one.demand is not None
    ]
    return max(found, key=lambda one: one.mean, default=None)


@lru_cache(maxsize=1000)
def _scaled(sizes: Sizes, pieces: int) -> Sizes:
    """Of a bundle that holds so many pieces."""
    if pieces == 1:
        return sizes
    share = [0.0] * (pieces * (len(sizes.share) - 1) + 1)
    share[::pieces] = sizes.share.tolist()
    return Sizes.of(share)


def steered(one: Position, target: Target) -> Step | None:
    """Under another policy than strict: lowered at once, raised as far as its policy has room."""
    assert one.exposure is not None and one.live is not None
    shown, entitled = max(one.live, 0), target.entitled
    room = Room(target.free, target.sellable, target.kept, target.pieces)
    if one.asks_first:
        quantity = max(0, min(entitled, target.free))
        quantity = quantity if quantity >= one.terms.floor else 0
    elif one.compare_and_set:
        # What it has sold unseen is gone from its number already, and not yet from what is sellable.
        quantity = max(0, min(entitled, one.exposure + target.free if entitled > one.exposure else entitled)
                       - (one.exposure - shown))  # fmt: skip
    elif entitled > shown and target.kept:
        quantity = min(entitled, shown + max(0, target.free))
    else:
        quantity = entitled
    if quantity == one.live or 0 < quantity < one.terms.floor:
        return None
    if quantity > shown:
        growth = 0 if one.asks_first else quantity - shown if one.compare_and_set else quantity
        return Step(one, quantity, growth, 0, True, False, entitled, room)
    if not target.lowers and not one.asks_first:
        return None
    if one.asks_first:
        return Step(one, quantity, 0, 0, False, False, entitled, room)
    growth, fall = (0, shown - quantity) if one.compare_and_set else (quantity, 0)
    return Step(one, quantity, growth, fall, False, target.free < 0, entitled, room)
