"""The values that planning works on: one listing at one moment, its stock, and a number to send to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from inventory.policies.policy import Calibrated, Strict
from inventory.policies.policy_file import Terms
from inventory.publishing.unseen import Unseen

POLICY_VERSION = "strict/2"
"""Of numbers that no policy file has a say in."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What is known of one listing's demand now. Sizes are in pieces of the SKU that it is listed as."""

    rate: float
    """Order lines on a trading day."""
    busiest_lines: float
    unseen: Unseen
    lag: float
    """Seconds: the measured lag of its channel, or how long it will have been dark."""
    leaving: Unseen | None = None
    """In an outage of its channel that is foreseen to begin any moment."""


@dataclass(frozen=True, slots=True)
class Position:
    """One listing at the moment of planning. Quantities are listing units."""

    listing_id: int
    channel: str
    ref: str
    sku: str
    components: Mapping[str, int]
    """{SKU: pieces in one listing unit}"""
    locations: frozenset[str]
    share: float
    exposure: int | None
    live: int | None
    """The number the channel shows, just read. None: could not be read."""
    compare_and_set: bool
    open: bool = True
    """The channel is live, stock is tracked, and no write is in doubt: it may be written to."""
    cap: int | None = None
    tracked: bool = True
    mode: str = "live"
    asks_first: bool = False
    """It asks for a hold before each sale: its exposure is 0, and what it shows is what the pool has."""
    paused: bool = False
    """Its channel is off sale: nothing is written to it, and it has no share."""
    disputed: bool = False
    """Somebody else changes its number back: it is lowered where units are on sale that do not exist, nothing else."""
    units: int = 1
    """Pieces of `sku` (an item or a bundle) in one listing unit."""
    terms: Terms = field(default_factory=Terms)
    """The policy that holds for it now. `cap` and `share` above have its limits in them already."""
    policy_version: str = POLICY_VERSION
    demand: Demand | None = None
    """None: nothing was learned yet, or nobody asks."""
    dark: bool = False
    """Its channel cannot be read, or was not read yet since it came back."""

    @property
    def is_strict(self) -> bool:
        """By its policy; also where that needs to know demand, and nothing is known."""
        policy = self.terms.policy
        return isinstance(policy, Strict) or (isinstance(policy, Calibrated) and self.demand is None)

    @property
    def not_raised(self) -> int:
        """The cap with which it only falls, in listing units. An absolute number up to its exposure would put back what
        was sold unseen; `strict` never sends one for that."""
        by_what_is_shown = self.asks_first or not (self.is_strict or self.compare_and_set or self.live is None)
        return max(self.live or 0, 0) if by_what_is_shown else self.exposure or 0

    @property
    def reachable(self) -> bool:
        """What it shows can be taken back."""
        return not self.dark and not self.paused and not self.disputed and self.mode == "live" and self.tracked


@dataclass(frozen=True, slots=True)
class Stock:
    """Sellable pieces of one SKU: available by location, less `withheld` from their sum."""

    available: Mapping[str, int]
    withheld: int = 0

    def sellable(self, locations: Iterable[str]) -> int:
        return max(0, sum(self.available.get(place, 0) for place in locations) - self.withheld)


@dataclass(frozen=True, slots=True)
class Room:
    """The tightest bound on one listing. `units` listing units may be added; negative: it is not backed."""

    units: int
    sellable: int
    others: int
    pieces: int = 1
    """Pieces in one listing unit, of the SKU that is the tightest."""


@dataclass(frozen=True, slots=True)
class Step:
    """A number to send to one listing."""

    position: Position
    quantity: int
    growth: int
    """Listing units by which the exposure grows when it is sent."""
    fall: int
    """Listing units by which the exposure falls when the channel says that it is applied."""
    raises: bool
    must_lower: bool
    slice: int
    room: Room

    @property
    def counted(self) -> int:
        """Listing units with which it counts in the bound that its policy keeps. `strict`: its worst case. Under
        another one an absolute write may put back what was sold unseen: that chance is in what the policy keeps."""
        position = self.position
        assert position.exposure is not None and position.live is not None
        if position.asks_first:
            return self.quantity
        if position.is_strict or position.compare_and_set or not self.raises:
            return position.exposure + self.growth
        unseen = position.exposure - max(position.live, 0) if self.room.others else 0
        return self.quantity + max(0, unseen)

    @property
    def ceiling(self) -> int:
        """The largest quantity that keeps the bound; a lowering is within it by nature."""
        assert self.position.exposure is not None and self.position.live is not None
        if not self.raises:
            return max(self.quantity, self.room.units)
        if not self.position.is_strict and not self.position.compare_and_set and not self.position.asks_first:
            free = self.room.units + max(self.position.live, 0)
            return free if self.room.others else self.room.sellable // self.room.pieces
        if self.position.asks_first or not self.position.compare_and_set:
            return self.room.units
        return self.room.units + max(self.position.live, 0)
