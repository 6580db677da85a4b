"""From on hand to sellable, each subtraction its own number, so that any answer can be explained."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import Connection, text

from inventory.catalogue import CONNECTED, bundles, components_of, eligible_locations
from inventory.outages.ageing import aged_units
from inventory.outages.fallback_limits import limits_now, within_limits
from inventory.publishing.guidance import Guidance, guided, safety_of
from inventory.publishing.promotions import Guards, guards_for, withheld_for_promotions, within_guards
from inventory.publishing.publishing import Market, Position, Stock
from inventory.words import ON_HAND, ChannelMode, StockState, WriteMode


@dataclass(frozen=True, slots=True)
class Availability:
    """One SKU, in pieces: on hand − reserved − allocated − damaged − quarantined = available;
    available − accuracy margin − safety stock − kept back for promotions − not confirmed for long = sellable (never
    below zero)."""

    sku: str
    reserved: int = 0
    allocated: int = 0
    damaged: int = 0
    quarantined: int = 0
    accuracy_margin: int = 0
    safety_stock: int = 0
    available_at: Mapping[str, int] = field(default_factory=dict)
    """{location: pieces}"""
    promotions: int = 0
    """Kept back from every channel for the time of a promotion (`inventory.publishing.promotions`)."""
    aged_at: Mapping[str, int] = field(default_factory=dict)
    """{location: pieces that are not shown, because nobody has confirmed for long what lies there}, where there are any
    (`inventory.outages.ageing`)"""

    @property
    def available(self) -> int:
        return sum(self.available_at.values())

    @property
    def on_hand(self) -> int:
        return self.available + self.reserved + self.allocated + self.damaged + self.quarantined

    @property
    def withheld(self) -> int:
        return self.accuracy_margin + self.safety_stock + self.promotions

    @property
    def aged(self) -> int:
        return sum(self.aged_at.values())

    @property
    def confirmed_at(self) -> dict[str, int]:
        """Available by location, without what has aged there."""
        return {place: units - self.aged_at.get(place, 0) for place, units in self.available_at.items()}

    @property
    def sellable(self) -> int:
        return max(0, self.available - self.aged - self.withheld)


def availability(
    connection: Connection, skus: Collection[str], guards: Guards = MappingProxyType({})
) -> dict[str, Availability]:
    """The decomposition for each of these SKUs that is in the catalogue; `guards` are the promotions of the moment."""
    rows = connection.execute(
        text(
            """
            SELECT item.sku, item.accuracy_margin, item.safety_stock, balance.location, balance.state, balance.quantity,
                   health.percent
            FROM item LEFT JOIN balance ON balance.sku = item.sku AND balance.state = ANY(:states)
            LEFT JOIN source_health AS health ON health.kind = 'location' AND health.subject = balance.location
            WHERE item.sku = ANY(:skus) ORDER BY item.sku
            """
        ),
        {"skus": sorted(set(skus)), "states": [state.value for state in ON_HAND]},
    )
    margins: dict[str, tuple[int, int]] = {}
    available: dict[str, dict[str, int]] = {}
    others: dict[tuple[str, str], int] = {}
    aged: dict[str, dict[str, int]] = {}
    for row in rows:
        margins[row.sku] = (row.accuracy_margin, row.safety_stock)
        places = available.setdefault(row.sku, {})
        if row.state == StockState.AVAILABLE:
            places[row.location] = row.quantity
            if row.percent:
                aged.setdefault(row.sku, {})[row.location] = aged_units(row.quantity, row.percent)
        elif row.state is not None:
            others[row.sku, row.state] = others.get((row.sku, row.state), 0) + row.quantity
    return {
        sku: Availability(
            sku=sku,
            reserved=others.get((sku, StockState.RESERVED), 0),
            allocated=others.get((sku, StockState.ALLOCATED), 0),
            damaged=others.get((sku, StockState.DAMAGED), 0),
            quarantined=others.get((sku, StockState.QUARANTINED), 0),
            accuracy_margin=margin,
            safety_stock=safety,
            available_at=available[sku],
            promotions=withheld_for_promotions(guards, sku),
            aged_at=aged.get(sku, {}),
        )
        for sku, (margin, safety) in margins.items()
    }


def connected_skus(connection: Connection, skus: Collection[str]) -> set[str]:
    """These SKUs and every SKU that shares a bundle with any of them, near or far."""
    rows = connection.execute(
        text(
            CONNECTED  # noqa: S608 - a constant
            + """
            SELECT sku FROM connected
            """
        ),
        {"skus": sorted(set(skus))},
    )
    return {row.sku for row in rows}


def listing_ids(connection: Connection, skus: Collection[str]) -> dict[str, dict[str, int]]:
    """{channel: {ref: listing id}} of the listings that sell any of these SKUs, on channels that are read."""
    rows = connection.execute(
        text("SELECT channel, ref, id FROM listing WHERE sku = ANY(:skus) ORDER BY channel, id"),
        {"skus": sorted(connected_skus(connection, skus))},
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row.channel, {})[row.ref] = row.id
    return found


@dataclass(frozen=True, slots=True)
class Selling:
    """A listing as far as the end of a publish pass asks for it."""

    listing_id: int
    channel: str
    mode: str
    unconfirmed_until: datetime | None
    published_at: datetime | None


def listings_that_share(connection: Connection, skus: Collection[str]) -> dict[str, list[Selling]]:
    """{SKU: all listings that sell it, or a SKU that shares a bundle with it, near or far}, for each of these SKUs."""
    rows = connection.execute(
        text(
            """
            WITH RECURSIVE connected (wanted, sku) AS (
                SELECT sku, sku FROM unnest(CAST(:skus AS text[])) AS given (sku)
                UNION
                SELECT wanted,
                       CASE WHEN part.component_sku = connected.sku THEN part.bundle_sku ELSE part.component_sku END
                FROM connected JOIN bundle_component part ON connected.sku IN (part.component_sku, part.bundle_sku)
            )
            SELECT connected.wanted, listing.id, listing.channel, listing.unconfirmed_until, listing.published_at,
                   channel.mode
            FROM connected
            JOIN listing ON listing.sku = connected.sku
            JOIN channel ON channel.code = listing.channel
            """
        ),
        {"skus": sorted(set(skus))},
    )
    found: dict[str, list[Selling]] = {sku: [] for sku in skus}
    for row in rows:
        found[row.wanted].append(Selling(row.id, row.channel, row.mode, row.unconfirmed_until, row.published_at))
    return found


def load_market(
    connection: Connection, skus: Collection[str], live: Mapping[int, int], guidance: Guidance | None = None
) -> Market:
    """Everything the planner needs about these SKUs and those they share bundles with.

    `live` are the numbers just read, by listing id. For a plan that is acted upon, lock the balances of
    `connected_skus` first. `guidance`: the policies that hold (None: `strict`).
    """
    connected = connected_skus(connection, skus)
    rows = connection.execute(
        text(
            """
            SELECT listing.id, listing.channel, listing.ref, listing.sku, listing.units_per_listing, listing.cap,
                   listing.exposure, listing.tracked, listing.unconfirmed_until, listing.disputed_since,
                   channel.share, channel.mode, channel.write_mode, channel.asks_first, item.item_class,
                   channel.code IN (SELECT channel FROM channel_pause WHERE status <> 'lifted') AS off_sale
            FROM listing JOIN channel ON channel.code = listing.channel JOIN item ON item.sku = listing.sku
            WHERE listing.sku = ANY(:skus) ORDER BY listing.id
            """
        ),
        {"skus": sorted(connected)},
    ).all()
    recipes = bundles(connection, {row.sku for row in rows})
    places = eligible_locations(connection)
    positions = [
        Position(
            listing_id=row.id,
            channel=row.channel,
            ref=row.ref,
            sku=row.sku,
            components=components_of(row.sku, row.units_per_listing, recipes),
            locations=frozenset(places.get(row.channel, ())),
            share=row.share,
            exposure=0 if row.asks_first else row.exposure,
            live=live.get(row.id),
            compare_and_set=row.write_mode == WriteMode.COMPARE_AND_SET,
            open=row.mode == ChannelMode.LIVE and row.tracked and row.unconfirmed_until is None,
            cap=row.cap,
            tracked=row.tracked,
            mode=row.mode,
            asks_first=row.asks_first,
            disputed=row.disputed_since is not None,
            units=row.units_per_listing,
        )
        for row in rows
    ]
    if guidance is not None:
        classes = {row.id: row.item_class for row in rows}
        positions = guided(positions, classes, guidance)
    off_sale = {row.id for row in rows if row.off_sale}
    positions = [
        replace(one, open=False, share=0.0, paused=True) if one.listing_id in off_sale else one for one in positions
    ]
    parts = {sku for position in positions for sku in position.components}
    guards = guidance.guards if guidance is not None else guards_for(connection, connected, None)
    found = availability(connection, parts | set(connected), guards)
    safety = safety_of(positions)
    stock = {sku: Stock(one.confirmed_at, one.withheld + safety.get(sku, 0)) for sku, one in found.items()}
    positions = within_guards(positions, stock, guards) if guards else positions
    limits = limits_now(connection, parts)
    return Market(stock, within_limits(positions, stock, limits) if limits else positions)
