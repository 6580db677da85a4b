"""What each listing may show, as pure functions over one consistent view: the strict policy here, the others as
`inventory.publishing.steering` asks them.

A *blind* channel sells what it shows and tells afterwards. So the stock is split. The sum of all exposures
never exceeds what is sellable (`room`), each listing is entitled to a slice by its channel's share (`slices`),
and units only move from one slice to another by lower, confirm, raise (`plan`). A slice is not touched because
its own channel sold from it: that channel's counter went down by itself.

A channel that *asks first* gets a hold before each sale, so what it shows promises nothing. All of these form one
pool: each of them shows all that the blind ones leave, and the pool's part is the sum of their shares.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations

from inventory.publishing.positions import POLICY_VERSION as POLICY_VERSION
from inventory.publishing.positions import Position as Position
from inventory.publishing.positions import Room as Room
from inventory.publishing.positions import Step as Step
from inventory.publishing.positions import Stock as Stock
from inventory.publishing.splitting import apportion, clearly_less, ideal_parts, within
from inventory.publishing.steering import Steering, Target, steered


@dataclass(slots=True)
class Market:
    """A set of SKUs and every listing that sells any of them."""

    stock: Mapping[str, Stock]
    positions: Sequence[Position]
    by_sku: dict[str, list[Position]] = field(init=False)
    granted: dict[int, int] = field(init=False)
    """{listing id: listing units by which the plan has let its exposure grow}"""
    mixed: bool = field(init=False)
    """Some of the listings are under another policy than strict."""
    steering: Steering = field(init=False)

    def __post_init__(self) -> None:
        self.granted = {}
        self.by_sku = defaultdict(list)
        for position in self.positions:
            for sku in position.components:
                self.by_sku[sku].append(position)
        self.mixed = any(not one.is_strict for one in self.positions)
        self.steering = Steering(self, self._strict_slices() if self.mixed else {})

    def target(self, position: Position) -> Target:
        """Of a listing whose policy is not strict."""
        return self.steering.target(position)

    def room(self, position: Position) -> Room:
        """How far this listing's exposure may grow while Σ exposure ≤ sellable holds, for every component
        and for every set of locations that some of the listings are confined to (Hall's condition); of one whose
        policy is not strict, as far as that policy lets it."""
        if self.mixed and not position.is_strict:
            found = self.target(position)
            return Room(found.free, found.sellable, found.kept, found.pieces)
        rooms = [self._room(position, sku, pieces) for sku, pieces in position.components.items()]
        return min(rooms, key=lambda one: one.units, default=Room(0, 0, 0))

    def _room(self, position: Position, sku: str, pieces: int) -> Room:
        listings = self.by_sku[sku]
        tightest: Room | None = None
        for places in _unions(frozenset([one.locations for one in listings])):
            if not position.locations <= places:
                continue
            sellable = self.stock[sku].sellable(places)
            inside = [one for one in listings if one.locations <= places]
            if any(one.exposure is None for one in inside):
                return Room(min(0, -(position.exposure or 0)), sellable, sellable, pieces)
            split = [one for one in inside if one.is_strict] if self.mixed else inside
            taken = sum(self.exposure(one) * one.components[sku] for one in split)
            if self.mixed:
                taken += self.steering.taken(sku, places)
            room = Room((sellable - taken) // pieces, sellable, taken - self.exposure(position) * pieces, pieces)
            if tightest is None or room.units < tightest.units:
                tightest = room
        return tightest or Room(0, 0, 0)

    def restless(self) -> set[str]:
        """SKUs whose numbers depend on the hour of the day, and are to be looked at again in the next."""
        return {
            sku
            for one in self.positions
            if not one.is_strict and self.target(one).restless
            for sku in (one.sku, *one.components)
        }

    def exposure(self, position: Position) -> int:
        """With what the plan has let it grow by so far."""
        return (position.exposure or 0) + self.granted.get(position.listing_id, 0)

    def slices(self) -> dict[int, int]:
        """What each listing is entitled to, in listing units: of the strict ones by share, and the sum of all is never
        more than is sellable; of the others as their policy says."""
        entitled = self._strict_slices()
        for one in self.positions if self.mixed else ():
            if not one.is_strict:
                entitled[one.listing_id] = self.target(one).entitled
        return entitled

    def _strict_slices(self) -> dict[int, int]:
        pieces: dict[tuple[int, str], int] = defaultdict(int)
        due: dict[tuple[int, str], float] = defaultdict(float)
        for sku, stock in self.stock.items():
            for place, units in _after_withholding(stock).items():
                eligible = [one for one in self.by_sku[sku] if place in one.locations and one.exposure is not None]
                owed = [due[one.listing_id, sku] - pieces[one.listing_id, sku] for one in eligible]
                kept = [(one.exposure or 0) * one.components[sku] - pieces[one.listing_id, sku] for one in eligible]
                ideal = ideal_parts(units, _weights(eligible))
                if any(one.cap is not None for one in eligible):
                    most = [_most(one, sku, pieces[one.listing_id, sku]) for one in eligible]
                    parts = within(units, ideal, owed, kept, most)
                else:
                    parts = apportion(units, ideal, owed, kept)
                for one, exact, part in zip(eligible, ideal, parts, strict=True):
                    due[one.listing_id, sku] += exact
                    pieces[one.listing_id, sku] += part
        entitled: dict[int, int] = {}
        for one in self.positions:
            whole = min((pieces[one.listing_id, sku] // count for sku, count in one.components.items()), default=0)
            whole = whole if one.cap is None else min(whole, one.cap)
            entitled[one.listing_id] = whole if whole >= one.terms.floor else 0
        return entitled


def _most(one: Position, sku: str, given: int) -> int | None:
    """Pieces of the SKU that its cap leaves it, beside those given."""
    return None if one.cap is None else max(0, one.cap * one.components[sku] - given)


def plan(market: Market) -> list[Step]:
    """The numbers to send now. Lowerings first; a raise that needs them comes out of the next plan."""
    entitled = market.slices()
    rooms = {one.listing_id: market.room(one) for one in market.positions}
    needy = {
        sku
        for one in market.positions
        if one.open
        and not one.disputed
        and not (market.mixed and not one.is_strict)
        and _is_needy(one, entitled[one.listing_id], rooms[one.listing_id])
        for sku in one.components
    }
    steps = []
    # What one raise takes is not there for the next. Who has nothing is served first.
    for one in sorted(market.positions, key=lambda one: (bool(one.exposure), one.listing_id)):
        if not one.open or one.live is None or one.exposure is None:
            continue
        if one.live > one.exposure and not one.asks_first:
            # More live than is possible: sales were read since this number was. They have marked the SKU again.
            continue
        donates = not needy.isdisjoint(one.components)
        if not market.mixed or one.is_strict:
            step = (_from_pool if one.asks_first else _step)(one, entitled[one.listing_id], market.room(one), donates)
        else:
            step = steered(one, market.target(one))
        if step and (step.must_lower or not one.disputed) and (not one.dark or _harmless(step)):
            market.granted[one.listing_id] = step.growth
            steps.append(step)
    market.granted.clear()
    return sorted(steps, key=lambda step: (step.raises, not step.must_lower, step.position.listing_id))


def _harmless(step: Step) -> bool:
    """What may be sent to a channel whose orders are not read: nothing but what takes units off sale that are not
    there, or that the ladder hides. A raise, or an absolute number above zero, would put on sale again what it has sold
    meanwhile."""
    wanted = step.must_lower or step.position.cap == 0
    return wanted and not step.raises and (step.quantity == 0 or step.position.compare_and_set)


def _is_needy(one: Position, entitled: int, room: Room) -> bool:
    """It has clearly less than its slice, and nothing is free to give it."""
    if one.exposure is None or one.live is None or one.dark:
        return False
    if one.asks_first:
        # What the pool has is what nobody else may sell.
        return clearly_less(entitled, max(room.units, 0))
    lacking = entitled - one.exposure
    if lacking <= max(room.units, 0):
        return False
    if one.compare_and_set or one.exposure == 0:
        return clearly_less(entitled, one.exposure)
    return _worth_closing(lacking, one.live)


def _step(one: Position, entitled: int, room: Room, donates: bool) -> Step | None:
    assert one.exposure is not None and one.live is not None
    unbacked = room.units < 0
    if one.exposure > entitled and (unbacked or donates or _beyond_limits(one)):
        return _lowering(one, entitled, room, unbacked)
    if min(entitled, one.exposure + room.units) > one.exposure:
        step = _raising(one, entitled, room)
        return step if step is None or not step.raises or step.quantity >= one.terms.floor else None
    return None


def _beyond_limits(one: Position) -> bool:
    """A limit holds at once, whatever the policy would leave alone."""
    assert one.exposure is not None
    return one.exposure < one.terms.floor or (one.cap is not None and one.exposure > one.cap)


def _from_pool(one: Position, entitled: int, room: Room, donates: bool) -> Step | None:
    """All that the blind leave, within its cap. It is no promise, so it costs nobody anything."""
    assert one.live is not None
    quantity = max(0, room.units if one.cap is None else min(room.units, one.cap))
    if quantity < one.terms.floor:
        quantity = 0
    if quantity == one.live:
        return None
    return Step(one, quantity, 0, 0, quantity > one.live, False, entitled, room)


def _lowering(one: Position, entitled: int, room: Room, unbacked: bool) -> Step | None:
    """Down to the slice. Units that are gone from the channel unseen cannot be taken back, so they count."""
    assert one.exposure is not None and one.live is not None
    shown = max(one.live, 0)
    if one.compare_and_set:
        quantity = max(0, entitled - (one.exposure - shown))
        growth, fall = 0, shown - quantity
    else:
        # Between our read and an absolute write all that was shown may be sold, and the write puts it back:
        # only what fits beside the present exposure may be written; otherwise the listing is closed first.
        quantity = entitled if entitled <= room.units else 0
        growth, fall = quantity, 0
    if quantity >= shown:
        return None
    return Step(one, quantity, growth, fall, False, unbacked, entitled, room)


def _raising(one: Position, entitled: int, room: Room) -> Step | None:
    assert one.exposure is not None and one.live is not None
    shown = max(one.live, 0)
    if one.compare_and_set:
        quantity = min(entitled, one.exposure + room.units) - (one.exposure - shown)
        return Step(one, quantity, quantity - shown, 0, True, False, entitled, room)
    most = min(entitled, one.exposure + room.units)
    quantity = min(entitled, room.units)
    if quantity > shown and not _worth_closing(most - quantity, quantity):
        return Step(one, quantity, quantity, 0, True, False, entitled, room)
    if shown and _worth_closing(most - shown, shown):
        # Through zero: close it, let the orders come in, then the whole slice fits.
        return Step(one, 0, 0, 0, False, False, entitled, room)
    return None


def _worth_closing(gain: int, shown: int) -> bool:
    """Whether an absolute channel that shows so many is closed until its orders are in, to show `gain` more then.
    A raise that would be closed again for this reason is not made at all, else it would go on for ever."""
    return gain >= 2 and gain * 2 >= shown


@lru_cache(maxsize=1024)
def _unions(sets: frozenset[frozenset[str]]) -> tuple[frozenset[str], ...]:
    """All unions of these location sets (there are few, and the same ones for most SKUs)."""
    ordered = sorted(sets, key=sorted)
    found = (
        frozenset[str]().union(*chosen) for size in range(len(ordered)) for chosen in combinations(ordered, size + 1)
    )
    return tuple(dict.fromkeys(found))


def _after_withholding(stock: Stock) -> dict[str, int]:
    """Available by location with the withheld units taken from the fullest shelves."""
    left = dict(stock.available)
    withheld = stock.withheld
    for place in sorted(left, key=lambda one: (-left[one], one)):
        taken = min(withheld, left[place])
        left[place] -= taken
        withheld -= taken
    return left


def _weights(listings: Sequence[Position]) -> list[float]:
    """Each listing's part by share; the listings of one channel divide its share."""
    per_channel: dict[str, int] = defaultdict(int)
    for one in listings:
        per_channel[one.channel] += 1
    return [one.share / per_channel[one.channel] for one in listings]
