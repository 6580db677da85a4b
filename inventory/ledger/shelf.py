"""The decision about stock, as pure functions over what one transaction has locked.

A `Shelf` is the touched SKUs in memory: what is available where, who holds what, and who waits for units
that a channel sold before they existed. Its methods take and give back units one event after the other,
and note the movements and the reservation lines to write. The same object serves one request and a page of
a thousand orders, so both decide alike.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from inventory.ledger.ledger import BalanceKey, Move
from inventory.words import MovementReason, StockState

NOWHERE = ""
"""The location of oversold units."""

LineKey = tuple[str, str, str]
"""(holder, sku, location)"""


@dataclass(slots=True)
class Line:
    held: int = 0
    oversold: int = 0
    allocated: int = 0
    """Of `held`, the units in `allocated`; the others are in `reserved`."""
    sent: int = 0
    """Units that left from here for the holder and have not come back."""
    early: int = 0
    """At `NOWHERE`: units that a parcel brought back, and of whose leaving nobody has told yet."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A holder that was promised units which do not exist. First promised, first covered."""

    placed_at: datetime
    holder: str
    channel: str


@dataclass(frozen=True, slots=True)
class Cause:
    """Why units move: goes into the movement and makes its event key."""

    key: str
    reason: MovementReason
    source: str
    occurred_at: datetime
    reference: str = ""


@dataclass(slots=True)
class Shelf:
    available: dict[str, dict[str, int]]
    """{sku: {location: units}}"""
    lines: dict[tuple[str, str], dict[str, Line]]
    """{(holder, sku): {location: line}}"""
    locations: Mapping[str, Sequence[str]]
    """{channel: its locations, in the order in which they are used}"""
    waiting: dict[str, list[Waiting]] = field(default_factory=lambda: defaultdict(list))
    moves: list[Move] = field(default_factory=list)
    changed: set[LineKey] = field(default_factory=set)
    locked: frozenset[BalanceKey] = frozenset()
    """Balance rows known to exist."""

    @classmethod
    def of(cls, balances: Mapping[BalanceKey, int], locations: Mapping[str, Sequence[str]]) -> "Shelf":
        available: dict[str, dict[str, int]] = defaultdict(dict)
        for (sku, location, state), quantity in balances.items():
            if state == StockState.AVAILABLE:
                available[sku][location] = quantity
        return cls(available, {}, locations)

    def free(self, sku: str, channel: str) -> int:
        """Units of the SKU at the channel's locations."""
        shelf = self.available.get(sku, {})
        return sum(shelf.get(location, 0) for location in self.locations.get(channel, ()))

    def take(self, holder: str, channel: str, sku: str, units: int, placed_at: datetime, cause: Cause) -> int:
        """Hold `units` for the holder as far as there are any; returns how many had to be oversold."""
        missing = units - self._hold(holder, channel, sku, units, cause)
        if missing:
            line = self.line(holder, sku, NOWHERE)
            if not line.oversold:
                self.waiting[sku].append(Waiting(placed_at, holder, channel))
            line.oversold += missing
        return missing

    def hand_over(self, giver: str, taker: str, sku: str, units: int) -> int:
        """Up to `units` that one holder holds become another's where they lie; returns how many. No unit moves."""
        moved = 0
        for location, line in sorted(self.lines.get((giver, sku), {}).items()):
            part = min(units - moved, line.held - line.allocated)
            if part > 0:
                self.line(giver, sku, location).held -= part
                self.line(taker, sku, location).held += part
                moved += part
        return moved

    def give_back(
        self,
        holder: str,
        sku: str,
        units: int,
        to_state: StockState,
        cause: Cause,
        from_state: StockState = StockState.RESERVED,
    ) -> int:
        """Take `units` from the holder; returns the real ones. Promises that were never real end first, then what is
        not routed yet; but only real units come back from where they were sent."""
        lines = self.lines.get((holder, sku), {})
        if from_state is StockState.RESERVED and NOWHERE in lines and lines[NOWHERE].oversold:
            ended = min(units, lines[NOWHERE].oversold)
            self.line(holder, sku, NOWHERE).oversold -= ended
            units -= ended
        moved = 0
        states = (StockState.RESERVED, StockState.ALLOCATED) if from_state is StockState.RESERVED else (from_state,)
        for state in states:
            why = replace(cause, key=f"{cause.key}:routed") if state is StockState.ALLOCATED else cause
            for location in sorted(lines, reverse=True):
                part = self.take_off(holder, sku, location, state, units - moved)
                if part:
                    self.note(why, sku, location, state, to_state, part)
                    moved += part
                    if to_state is StockState.AVAILABLE:
                        self.put(sku, location, part, why)
        return moved

    def take_off(self, holder: str, sku: str, location: str, state: StockState, most: int) -> int:
        """Up to `most` of the holder's units in this state (reserved, allocated or shipped) here are the holder's no
        more; returns how many. The caller notes where they go."""
        line = self.lines.get((holder, sku), {}).get(location, Line())
        there = {
            StockState.RESERVED: line.held - line.allocated,
            StockState.ALLOCATED: line.allocated,
            StockState.SHIPPED: line.sent,
        }[state]
        part = min(most, there)
        if part <= 0:
            return 0
        line = self.line(holder, sku, location)
        if state is StockState.SHIPPED:
            line.sent -= part
            return part
        line.held -= part
        if state is StockState.ALLOCATED:
            line.allocated -= part
        return part

    def early(self, holder: str, sku: str) -> int:
        return self.lines.get((holder, sku), {}).get(NOWHERE, Line()).early

    def came_early(self, holder: str, sku: str, units: int) -> None:
        """A parcel brought these back while the holder still held them; negative: their leaving is told of now."""
        if units:
            self.line(holder, sku, NOWHERE).early += units

    def promised(self, holder: str, sku: str) -> int:
        """Units that are held for the holder or sold short."""
        return sum(line.held + line.oversold for line in self.lines.get((holder, sku), {}).values())

    def put(self, sku: str, location: str, units: int, cause: Cause) -> None:
        """Units became available at a location: whoever waits for them is served first."""
        shelf = self.available.setdefault(sku, {})
        shelf[location] = shelf.get(location, 0) + units
        for waiting in sorted(self.waiting.get(sku, ()), key=lambda one: (one.placed_at, one.holder)):
            promised = self.lines.get((waiting.holder, sku), {}).get(NOWHERE)
            if promised is None or not promised.oversold:
                self.waiting[sku].remove(waiting)
                continue
            covering = Cause(
                f"cover:{cause.key}:{waiting.holder}",
                MovementReason.SALE,
                waiting.channel,
                cause.occurred_at,
                waiting.holder,
            )
            held = self._hold(waiting.holder, waiting.channel, sku, promised.oversold, covering)
            if held:
                self.line(waiting.holder, sku, NOWHERE).oversold -= held

    def changed_lines(self) -> Iterator[tuple[LineKey, Line]]:
        """The reservation lines to write, in the order of their keys."""
        for holder, sku, location in sorted(self.changed):
            yield (holder, sku, location), self.lines[holder, sku][location]

    def _hold(self, holder: str, channel: str, sku: str, units: int, cause: Cause) -> int:
        shelf = self.available.get(sku, {})
        held = 0
        for location in self.locations.get(channel, ()):
            part = min(units - held, shelf.get(location, 0))
            if part > 0:
                shelf[location] -= part
                self.line(holder, sku, location).held += part
                self.note(cause, sku, location, StockState.AVAILABLE, StockState.RESERVED, part)
                held += part
        return held

    def line(self, holder: str, sku: str, location: str) -> Line:
        """To be changed."""
        self.changed.add((holder, sku, location))
        return self.lines.setdefault((holder, sku), {}).setdefault(location, Line())

    def note(
        self, cause: Cause, sku: str, location: str, from_state: StockState, to_state: StockState, units: int
    ) -> None:
        self.moves.append(
            Move(
                sku=sku,
                location=location,
                from_state=from_state,
                to_state=to_state,
                quantity=units,
                reason=cause.reason,
                source=cause.source,
                event_key=f"{cause.key}:{sku}:{location}",
                occurred_at=cause.occurred_at,
                reference=cause.reference,
            )
        )
