"""Returned goods: quarantined or damaged when they arrive, and on sale again only after somebody has looked at them.

A return is told twice, by the channel (which may say it first, or last, or never) and by the parcel at the dock. Units
that the channel's word has moved already are not moved again when the parcel comes, and units that a parcel has
brought are not moved again when the channel tells of them (`absorbable`, `absorb`): once is enough.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection, Row, text

from inventory.catalogue import eligible_locations
from inventory.holds.reservation_store import lock_shelf, write_shelf
from inventory.ledger.shelf import Cause, Shelf
from inventory.publishing.outbox import mark_dirty
from inventory.words import MovementReason, ReservationStatus, StockState

SOURCE = "return"

ParcelKey = tuple[str, str]
"""(parcel, SKU)"""
SaleKey = tuple[str, str]
"""(holder, SKU)"""


@dataclass(frozen=True, slots=True)
class Returned:
    """Units of one SKU that one parcel brought. `damaged` of the `arrived` are visibly so."""

    parcel: str
    sku: str
    location: str
    arrived: int
    damaged: int = 0
    holder: str = ""
    """`order:<channel>:<order id>`, or empty where nobody knows the sale."""


@dataclass(frozen=True, slots=True)
class Refused:
    parcel: str
    sku: str
    why: str


@dataclass(slots=True)
class Booked:
    rows: int = 0
    units: int = 0
    repeated: int = 0
    on_sale: int = 0
    """Units that the channel had put on sale again before the parcel came: nobody has inspected them."""
    refused: list[Refused] = field(default_factory=list)


@dataclass(slots=True)
class _Told:
    """What a channel's own word has moved of one sale, by (state, location)."""

    places: dict[tuple[str, str], int]
    matched: int
    """Units of these whose parcel has come."""


_MATCHED = text(
    """
    SELECT holder, sku, sum(arrived) AS arrived, sum(taken) AS taken, sum(absorbed) AS absorbed FROM return_line
    WHERE holder = ANY(:holders) AND holder <> '' GROUP BY holder, sku
    """
)
_SOLD = text(
    """
    SELECT line.holder, part.key AS sku, sum(line.quantity * CAST(part.value AS int)) AS units
    FROM order_line AS line, jsonb_each_text(line.components) AS part
    WHERE line.holder = ANY(:holders) GROUP BY line.holder, part.key
    """
)
_TOLD = text(
    """
    SELECT reference AS holder, sku, to_state, to_location, sum(quantity) AS units FROM movement
    WHERE sku = ANY(:skus) AND reference = ANY(:holders) AND starts_with(event_key, 'reversal:')
    GROUP BY reference, sku, to_state, to_location ORDER BY reference, sku, to_state, to_location
    """
)
_NOTE = text(
    """
    INSERT INTO return_line (parcel, sku, holder, location, arrived, damaged, taken, absorbed, waiting, actor, at)
    SELECT parcel, sku, holder, location, arrived, damaged, taken, 0, waiting, :actor, :now
    FROM unnest(CAST(:parcels AS text[]), CAST(:skus AS text[]), CAST(:holders AS text[]), CAST(:locations AS text[]),
                CAST(:arrived AS int[]), CAST(:damaged AS int[]), CAST(:taken AS int[]), CAST(:waiting AS int[]))
         AS given (parcel, sku, holder, location, arrived, damaged, taken, waiting)
    """
)


def arrive(connection: Connection, rows: Sequence[Returned], *, actor: str, now: datetime) -> Booked:
    """Parcels are at the dock: their units are quarantined, the visibly damaged damaged. Never more comes back of a
    sale than was sold. A parcel tells of a SKU once; the same row again changes nothing. Raises UnknownItem."""
    result = Booked()
    lock_parcels(connection, {row.parcel for row in rows})
    holders = {row.holder for row in rows if row.holder}
    status = _lock_sales(connection, holders)
    done = {
        (one.parcel, one.sku): one
        for one in connection.execute(
            text("SELECT parcel, sku, arrived, damaged, holder FROM return_line WHERE parcel = ANY(:parcels)"),
            {"parcels": sorted({row.parcel for row in rows})},
        )
    }
    left = sold_left(connection, holders)
    shelf = lock_shelf(connection, {row.sku for row in rows}, eligible_locations(connection), now=now, holders=holders)
    told = _told(connection, holders, {row.sku for row in rows})
    lying = _quarantined(connection, {row.sku for row in rows})
    booked: list[tuple[Returned, int, int]] = []
    for row in {(row.parcel, row.sku): row for row in rows}.values():
        before = done.get((row.parcel, row.sku))
        why = _fault(row, before, left)
        if why:
            result.refused.append(Refused(row.parcel, row.sku, why))
        elif before is not None:
            result.repeated += 1
        else:
            if row.holder:
                left[row.holder, row.sku] -= row.arrived
            found = _found(told.get((row.holder, row.sku)), row.arrived)
            taken = row.arrived - sum(found.values())
            waiting, broken = _land(
                shelf, row, taken, _there(found, row.sku, lying), status.get(row.holder), actor, now
            )
            result.on_sale += row.arrived - waiting
            result.rows += 1
            result.units += row.arrived
            booked.append((row, taken, waiting - broken))
    write_shelf(connection, shelf, now=now)
    mark_dirty(connection, {move.sku for move in shelf.moves}, now=now)
    _note(connection, booked, actor, now)
    return result


def _land(
    shelf: Shelf,
    row: Returned,
    taken: int,
    found: Mapping[str, int],
    status: str | None,
    actor: str,
    now: datetime,
) -> tuple[int, int]:
    """The movements of one row: `taken` units leave the sale, `found` ones were quarantined, by location, before their
    parcel came. Returns (units that lie at the row's location, how many of these are damaged)."""
    begin = len(shelf.moves)
    cause = Cause(f"return:{row.parcel}:{row.sku}", MovementReason.RETURN, SOURCE, now, row.holder or row.parcel)
    moved = 0
    if taken and row.holder:
        moved = shelf.give_back(row.holder, row.sku, taken, StockState.QUARANTINED, cause, StockState.SHIPPED)
    if taken > moved and row.holder and status == ReservationStatus.LIVE:
        # It must have left, though nobody has told of it yet.
        promised = shelf.promised(row.holder, row.sku)
        unsent = replace(cause, key=f"{cause.key}:unsent")
        moved += shelf.give_back(row.holder, row.sku, taken - moved, StockState.QUARANTINED, unsent)
        shelf.came_early(row.holder, row.sku, promised - shelf.promised(row.holder, row.sku))
    if taken > moved:
        sent = replace(cause, key=f"{cause.key}:sent")
        shelf.note(sent, row.sku, row.location, StockState.SHIPPED, StockState.QUARANTINED, taken - moved)
    for place, units in found.items():
        if place != row.location:
            carried = replace(cause, key=f"{cause.key}:found")
            shelf.note(carried, row.sku, place, StockState.QUARANTINED, StockState.QUARANTINED, units)
    waiting = taken + sum(found.values())
    broken = min(row.damaged, waiting)
    if broken:
        damage = replace(cause, key=f"{cause.key}:damaged", reason=MovementReason.DAMAGE)
        shelf.note(damage, row.sku, row.location, StockState.QUARANTINED, StockState.DAMAGED, broken)
    # The parcel lies where it came, wherever its units had been sent from.
    shelf.moves[begin:] = [replace(move, to_location=row.location, actor=actor) for move in shelf.moves[begin:]]
    return waiting, broken


def lock_parcels(connection: Connection, parcels: Collection[str]) -> None:
    """Two people with one parcel wait for each other."""
    for parcel in sorted(parcels):
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 9))"), {"name": parcel})


def _lock_sales(connection: Connection, holders: Collection[str]) -> dict[str, str]:
    rows = connection.execute(
        text("SELECT holder, status FROM reservation WHERE holder = ANY(:holders) ORDER BY holder FOR NO KEY UPDATE"),
        {"holders": sorted(holders)},
    )
    return {row.holder: row.status for row in rows}


def sold_left(connection: Connection, holders: Collection[str]) -> dict[SaleKey, int]:
    """Pieces of each SKU of these sales that no parcel has brought back. A sale that is not in the ledger has none."""
    given = {"holders": sorted(holders)}
    left = {(row.holder, row.sku): int(row.units) for row in connection.execute(_SOLD, given)}
    for row in connection.execute(_MATCHED, given):
        left[row.holder, row.sku] = left.get((row.holder, row.sku), 0) - int(row.arrived)
    return left


def _told(connection: Connection, holders: Collection[str], skus: Collection[str]) -> dict[SaleKey, _Told]:
    if not holders:
        return {}
    matched = {
        (row.holder, row.sku): int(row.arrived - row.taken + row.absorbed)
        for row in connection.execute(_MATCHED, {"holders": sorted(holders)})
    }
    found: dict[SaleKey, _Told] = {}
    for row in connection.execute(_TOLD, {"holders": sorted(holders), "skus": sorted(skus)}):
        key = (row.holder, row.sku)
        found.setdefault(key, _Told({}, matched.get(key, 0))).places[row.to_state, row.to_location] = int(row.units)
    return found


def _quarantined(connection: Connection, skus: Collection[str]) -> dict[tuple[str, str], int]:
    """{(SKU, location): units}; their balances are locked."""
    rows = connection.execute(
        text("SELECT sku, location, quantity FROM balance WHERE sku = ANY(:skus) AND state = 'quarantined'"),
        {"skus": sorted(skus)},
    )
    return {(row.sku, row.location): row.quantity for row in rows}


def _there(found: Mapping[tuple[str, str], int], sku: str, lying: dict[tuple[str, str], int]) -> dict[str, int]:
    """Of the units that were found moved already, those that are still quarantined, by location: somebody may have
    released the others since."""
    there = {}
    for (state, place), units in found.items():
        part = min(units, lying.get((sku, place), 0)) if state == StockState.QUARANTINED else 0
        if part:
            lying[sku, place] -= part
            there[place] = part
    return there


def _found(told: _Told | None, arrived: int) -> dict[tuple[str, str], int]:
    """Of the units that arrive, those that the channel's word has moved already, by (state, location); quarantined
    first."""
    if told is None:
        return {}
    skip = told.matched
    found: dict[tuple[str, str], int] = {}
    for place in sorted(told.places, key=lambda one: (one[0] != StockState.QUARANTINED, one)):
        free = told.places[place] - min(skip, told.places[place])
        skip -= min(skip, told.places[place])
        part = min(free, arrived - sum(found.values()))
        if part > 0:
            found[place] = part
    told.matched += sum(found.values())
    return found


def _fault(row: Returned, before: Row[tuple[str, str, int, int, str]] | None, left: Mapping[SaleKey, int]) -> str:
    if before is not None:
        if (before.arrived, before.damaged, before.holder) == (row.arrived, row.damaged, row.holder):
            return ""
        return f"this parcel brought {before.arrived} of it already: name the parcel of these, or adjust the stock"
    if row.holder and (row.holder, row.sku) not in left:
        return "the ledger knows no such sale of it: look the order up, or leave it empty"
    if row.holder and row.arrived > left[row.holder, row.sku]:
        return f"{max(0, left[row.holder, row.sku])} of it can still come back of this sale"
    return ""


def _note(connection: Connection, booked: Sequence[tuple[Returned, int, int]], actor: str, now: datetime) -> None:
    if booked:
        connection.execute(
            _NOTE,
            {
                "parcels": [row.parcel for row, _, _ in booked],
                "skus": [row.sku for row, _, _ in booked],
                "holders": [row.holder for row, _, _ in booked],
                "locations": [row.location for row, _, _ in booked],
                "arrived": [row.arrived for row, _, _ in booked],
                "damaged": [row.damaged for row, _, _ in booked],
                "taken": [taken for _, taken, _ in booked],
                "waiting": [waiting for _, _, waiting in booked],
                "actor": actor,
                "now": now,
            },
        )


def absorbable(connection: Connection, holders: Collection[str]) -> dict[SaleKey, int]:
    """Units that parcels have brought back of these sales and that their channel has not told of yet."""
    if not holders:
        return {}
    rows = connection.execute(
        text(
            "SELECT holder, sku, sum(taken - absorbed) AS units FROM return_line "
            "WHERE holder = ANY(:holders) AND holder <> '' AND taken > absorbed GROUP BY holder, sku"
        ),
        {"holders": sorted(holders)},
    )
    return {(row.holder, row.sku): int(row.units) for row in rows}


def absorb(connection: Connection, told: Mapping[SaleKey, int]) -> None:
    """The channel has told of these units now; their parcels had moved them."""
    for (holder, sku), units in sorted(told.items()):
        lines = connection.execute(
            text(
                "SELECT parcel, taken - absorbed AS open FROM return_line "
                "WHERE holder = :holder AND sku = :sku AND taken > absorbed ORDER BY at, parcel FOR UPDATE"
            ),
            {"holder": holder, "sku": sku},
        ).all()
        for line in lines:
            part = min(units, line.open)
            units -= part
            if part:
                connection.execute(
                    text("UPDATE return_line SET absorbed = absorbed + :part WHERE parcel = :parcel AND sku = :sku"),
                    {"part": part, "parcel": line.parcel, "sku": sku},
                )
