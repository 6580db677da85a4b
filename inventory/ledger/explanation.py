"""Why is this number what it is? Everything the ledger knows about one SKU, read at one instant.

Read-only. Run it in a transaction that sees one snapshot (REPEATABLE READ) if stock moves meanwhile.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from inventory.catalogue import bundles, eligible_locations
from inventory.publishing.availability import Availability, availability, connected_skus, load_market
from inventory.publishing.guidance import read_guidance
from inventory.publishing.promotions import guards_for
from inventory.reconciling.suspicion import Suspect, suspects
from inventory.skus import normalise
from inventory.words import ON_HAND


class UnknownSku(LookupError):
    """No such SKU, and no alias of one. `near` are the SKUs that look like it."""

    def __init__(self, asked: str, near: Sequence[str]) -> None:
        self.asked, self.near = asked, tuple(near)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"no SKU is called {asked!r}{hint}")


@dataclass(frozen=True, slots=True)
class PlaceStock:
    location: str
    states: Mapping[str, int]
    """{state: pieces}, outside accounts left out."""
    on_hand: int
    channels: tuple[str, ...]
    """Those that may sell what lies here."""


@dataclass(frozen=True, slots=True)
class ListingState:
    """One listing that sells this SKU, alone or in a bundle. Quantities are listing units."""

    listing_id: int
    channel: str
    mode: str
    ref: str
    sku: str
    pieces: int
    """Pieces of the explained SKU in one listing unit."""
    published: int | None
    published_at: datetime | None
    confirmed: int | None
    confirmed_at: datetime | None
    observed: int | None
    observed_at: datetime | None
    tracked: bool
    exposure: int | None
    settling: int | None
    settling_since: datetime | None
    in_doubt_until: datetime | None
    held_since: datetime | None
    slice: int
    room: int
    cap: int | None
    policy: str
    """Version of the policy in force, and what holds for this listing by it."""
    kept: int
    """Pieces that its policy keeps for all others when it is raised."""
    lag: float | None
    """Seconds for which its channel may sell unseen, where its policy asks for that."""
    unseen_lines: float | None
    """Order lines that it is expected to sell in that time."""
    dark: bool
    """Its channel is not read: nothing is written to it."""
    off_sale: str = ""
    """Who has paused its channel, and why: nothing is written to it, and it has no share."""


@dataclass(frozen=True, slots=True)
class Holder:
    holder: str
    kind: str
    channel: str
    location: str
    """Empty for what was sold and does not exist."""
    held: int
    oversold: int
    placed_at: datetime
    expires_at: datetime | None
    due: bool
    """Past its time: counts as free for whoever asks next."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a movement: what it changed in one state at one location, and what was there after it."""

    movement_id: int
    state: str
    location: str
    change: int
    after: int
    reason: str
    source: str
    actor: str
    reference: str
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class PublicationState:
    publication_id: int
    channel: str
    ref: str
    quantity: int
    expected: int | None
    status: str
    reason: str
    inputs: Mapping[str, Any]
    policy_version: str
    gate: str | None
    """The verdict that let it through; None when none is recorded."""
    gate_run_id: int | None
    sent_at: datetime
    answered_at: datetime | None
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Concern:
    """An open incident or discrepancy."""

    kind: str
    severity: str
    subject: str
    message: str
    times: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Pending:
    """The SKU waits in the outbox to be computed again."""

    sku: str
    generation: int
    dirty_at: datetime
    due_at: datetime
    lease_until: datetime | None
    lease_owner: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    asked: str
    sku: str
    title: str
    at: datetime
    availability: Availability
    locations: list[PlaceStock]
    components: Mapping[str, int]
    """Of a bundle: {SKU: pieces}. Its stock is theirs: explain those."""
    bundles: tuple[str, ...]
    """That the SKU shares stock with."""
    oversold: int
    listings: list[ListingState]
    holders: list[Holder]
    entries: list[Entry]
    """The last movements behind each state, oldest first."""
    publications: list[PublicationState]
    incidents: list[Concern]
    discrepancies: list[Concern]
    pending: list[Pending]
    suspects: list[Suspect]


def explain(connection: Connection, sku: str, now: datetime, *, last: int = 10) -> Explanation:
    """All about one SKU (or an alias of it), with the `last` movements behind each state and publications.

    Raises `UnknownSku`.
    """
    found, title = resolve(connection, sku)
    connected = sorted(connected_skus(connection, [found]))
    components = bundles(connection, [found]).get(found, {})
    holders = _holders(connection, found, now)
    listings = _listings(connection, found, now)
    return Explanation(
        asked=sku,
        sku=found,
        title=title,
        at=now,
        availability=availability(connection, [found], guards_for(connection, [found], now))[found],
        locations=_places(connection, found),
        components=components,
        bundles=tuple(one for one in connected if one != found and one not in components),
        oversold=sum(one.oversold for one in holders),
        listings=listings,
        holders=holders,
        entries=_entries(connection, found, last),
        publications=_publications(connection, [one.listing_id for one in listings], last),
        incidents=_incidents(connection, found, holders),
        discrepancies=_discrepancies(connection, [one.listing_id for one in listings]),
        pending=[
            Pending(*row)
            for row in connection.execute(
                text(
                    "SELECT sku, generation, dirty_at, due_at, lease_until, lease_owner FROM outbox "
                    "WHERE sku = ANY(:skus) ORDER BY due_at, sku"
                ),
                {"skus": connected},
            )
        ],
        suspects=suspects(connection, found),
    )


def resolve(connection: Connection, asked: str) -> tuple[str, str]:
    """(SKU, title): as written, by alias as written, or by the normal form of either. Raises `UnknownSku`."""
    row = connection.execute(
        text(
            """
            SELECT item.sku, item.title FROM item LEFT JOIN sku_alias ON sku_alias.sku = item.sku
            WHERE item.sku IN (:asked, :normal) OR sku_alias.alias IN (:asked, :normal)
            ORDER BY item.sku = :asked DESC, coalesce(sku_alias.alias = :asked, false) DESC, item.sku = :normal DESC
            LIMIT 1
            """
        ),
        {"asked": asked.replace("\x00", ""), "normal": normalise(asked).replace("\x00", "")},
    ).one_or_none()
    if row is not None:
        return row.sku, row.title
    known = connection.execute(text("SELECT sku FROM item UNION SELECT alias FROM sku_alias ORDER BY 1")).scalars()
    raise UnknownSku(asked, difflib.get_close_matches(normalise(asked), list(known), n=3, cutoff=0.6))


def _places(connection: Connection, sku: str) -> list[PlaceStock]:
    rows = connection.execute(
        text(
            "SELECT location, state, quantity FROM balance JOIN location ON location.code = balance.location "
            "WHERE sku = :sku ORDER BY location.priority, location.code, state"
        ),
        {"sku": sku},
    )
    sellers: dict[str, list[str]] = {}
    for channel, places in sorted(eligible_locations(connection).items()):
        for place in places:
            sellers.setdefault(place, []).append(channel)
    inside: dict[str, dict[str, int]] = {}
    for row in rows:
        shelf = inside.setdefault(row.location, {})
        if row.state in {*ON_HAND, "inbound", "in_transit"}:
            shelf[row.state] = row.quantity
    return [
        PlaceStock(place, states, sum(states.get(one, 0) for one in ON_HAND), tuple(sellers.get(place, ())))
        for place, states in inside.items()
    ]


def _listings(connection: Connection, sku: str, now: datetime) -> list[ListingState]:
    market = load_market(connection, [sku], {}, read_guidance(connection, [sku], now=now))
    positions = {one.listing_id: one for one in market.positions if one.sku == sku or sku in one.components}
    slices, rooms = market.slices(), {number: market.room(one) for number, one in positions.items()}
    rows = connection.execute(
        text(
            """
            SELECT listing.*, channel.mode,
                   (SELECT string_agg(pause.owner || ' (' || pause.actor || ': ' || pause.reason || ')', ', '
                                      ORDER BY pause.id)
                    FROM channel_pause AS pause
                    WHERE pause.channel = listing.channel AND pause.status <> 'lifted') AS off_sale
            FROM listing JOIN channel ON channel.code = listing.channel
            WHERE listing.id = ANY(:ids) ORDER BY listing.channel, listing.ref
            """
        ),
        {"ids": sorted(positions)},
    )
    return [
        ListingState(
            listing_id=row.id, channel=row.channel, mode=row.mode, ref=row.ref, sku=row.sku,
            pieces=positions[row.id].components.get(sku, row.units_per_listing),
            published=row.published, published_at=row.published_at,
            confirmed=row.confirmed, confirmed_at=row.confirmed_at,
            observed=row.observed, observed_at=row.observed_at, tracked=row.tracked,
            exposure=row.exposure, settling=row.settling, settling_since=row.settling_since,
            in_doubt_until=row.unconfirmed_until, held_since=row.held_since,
            slice=slices[row.id], room=rooms[row.id].units, cap=positions[row.id].cap,
            policy=positions[row.id].policy_version,
            kept=rooms[row.id].others, lag=demand.lag if demand else None,
            unseen_lines=demand.unseen.lines if demand else None, dark=positions[row.id].dark,
            off_sale=row.off_sale or "",
        )
        for row in rows
        for demand in [positions[row.id].demand]
    ]  # fmt: skip


def _holders(connection: Connection, sku: str, now: datetime) -> list[Holder]:
    rows = connection.execute(
        text(
            """
            SELECT line.holder, kind, channel, location, held, oversold, placed_at, expires_at,
                   coalesce(expires_at <= :now, false)
            FROM reservation_line AS line JOIN reservation USING (holder)
            WHERE line.sku = :sku AND reservation.status = 'live' AND held + oversold > 0
            ORDER BY placed_at, line.holder, location
            """
        ),
        {"sku": sku, "now": now},
    )
    return [Holder(*row) for row in rows]


def _entries(connection: Connection, sku: str, last: int) -> list[Entry]:
    rows = connection.execute(
        text(
            """
            WITH sides AS (
                SELECT id, from_state AS state, location AS place, -quantity AS change FROM movement WHERE sku = :sku
                UNION ALL
                SELECT id, to_state, to_location, quantity FROM movement WHERE sku = :sku
            ), running AS (
                SELECT *, sum(change) OVER (PARTITION BY state, place ORDER BY id)::bigint AS after,
                       row_number() OVER (PARTITION BY state ORDER BY id DESC) AS back
                FROM sides
            )
            SELECT id, running.state, running.place, running.change, running.after, reason, source, actor, reference,
                   occurred_at, recorded_at
            FROM running JOIN movement USING (id) WHERE back <= :last ORDER BY state, id
            """
        ),
        {"sku": sku, "last": last},
    )
    return [Entry(*row) for row in rows]


def _publications(connection: Connection, listing_ids: Sequence[int], last: int) -> list[PublicationState]:
    rows = connection.execute(
        text(
            """
            SELECT publication.id, publication.channel, listing.ref, publication.quantity, publication.expected,
                   publication.status, publication.reason, publication.inputs, publication.policy_version,
                   gate_run.status AS gate, publication.gate_run_id, publication.sent_at, publication.answered_at,
                   publication.confirmed_at
            FROM publication JOIN listing ON listing.id = publication.listing_id
            LEFT JOIN gate_run ON gate_run.id = publication.gate_run_id
            WHERE publication.listing_id = ANY(:ids) ORDER BY publication.id DESC LIMIT :last
            """
        ),
        {"ids": list(listing_ids), "last": last},
    )
    return [PublicationState(*row) for row in rows]


def _incidents(connection: Connection, sku: str, holders: Sequence[Holder]) -> list[Concern]:
    """About the SKU itself, or about one of the orders that hold it."""
    rows = connection.execute(
        text(
            """
            SELECT kind, severity, subject, message, times, first_at, last_at FROM incident
            WHERE status = 'open' AND (subject = :sku OR split_part(subject, '/', 1) = ANY(:holders))
            ORDER BY last_at DESC
            """
        ),
        {"sku": sku, "holders": sorted({one.holder for one in holders})},
    )
    return [Concern(*row) for row in rows]


def _discrepancies(connection: Connection, listing_ids: Sequence[int]) -> list[Concern]:
    rows = connection.execute(
        text(
            """
            SELECT kind, 'warning', discrepancy.channel || ':' || listing.ref,
                   'shows ' || discrepancy.observed || ', expected ' || discrepancy.expected, times, opened_at,
                   last_seen_at
            FROM discrepancy JOIN listing ON listing.id = discrepancy.listing_id
            WHERE discrepancy.status = 'open' AND discrepancy.listing_id = ANY(:ids) ORDER BY last_seen_at DESC
            """
        ),
        {"ids": list(listing_ids)},
    )
    return [Concern(*row) for row in rows]
