"""What a warehouse or a carrier says was routed or sent, posted to the orders that hold the units.

A shipment says something of an order's SKU once: the same again changes nothing. It is posted whole or not at all, so
that nothing is half-sent; why not is said. A channel may have told of the same units before (`fulfilled` of its order,
or a return of them): then the shipment only names what has moved already.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text

from inventory.catalogue import eligible_locations
from inventory.goods.shipping import route, route_fault, send, send_fault
from inventory.holds.reservation_store import lock_shelf, write_shelf
from inventory.ledger.shelf import Cause, Shelf
from inventory.orders.order_store import OrderLineState, order_lines, write_order_lines
from inventory.orders.orders import order_holder
from inventory.publishing.outbox import mark_dirty
from inventory.words import MovementReason

SOURCE = "shipment"


class Step(StrEnum):
    ALLOCATE = "allocate"
    """Routed: it will be sent from this location."""
    SHIP = "ship"
    """It has left the building."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """One row of a shipment. `units` are those of the SKU: pieces, or bundles."""

    step: Step
    shipment: str
    channel: str
    order_id: str
    sku: str
    units: int
    location: str
    """Empty: from where they are held. A routed unit needs one."""
    at: datetime

    @property
    def holder(self) -> str:
        return order_holder(self.channel, self.order_id)

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        return (self.step.value, self.shipment, self.holder, self.sku, self.location)


@dataclass(slots=True)
class Posted:
    rows: int = 0
    units: int = 0
    """Units of the rows that were posted."""
    moved: int = 0
    """Pieces that moved by it; fewer where the channel had told of them before, more for bundles."""
    repeated: int = 0
    refused: list[tuple[Shipped, str]] = field(default_factory=list)


_RECORD = text(
    """
    INSERT INTO shipment_line (step, shipment, holder, line_id, location, sku, quantity, units, actor, at, recorded_at)
    SELECT step, shipment, holder, line_id, location, sku, quantity, units, :actor, at, :now
    FROM unnest(CAST(:steps AS text[]), CAST(:shipments AS text[]), CAST(:holders AS text[]), CAST(:line_ids AS text[]),
                CAST(:locations AS text[]), CAST(:skus AS text[]), CAST(:quantities AS int[]), CAST(:units AS int[]),
                CAST(:ats AS timestamptz[]))
         AS given (step, shipment, holder, line_id, location, sku, quantity, units, at)
    """
)


# Units of its SKU in one listing unit: as it was sold; of a bundle, as it is listed.
_PACK = "coalesce((sold.components ->> sold.sku)::int, listing.units_per_listing)"


def post_shipments(connection: Connection, rows: Sequence[Shipped], *, actor: str, now: datetime) -> Posted:
    """Post the rows one after the other, each whole or not at all. Runs in the caller's transaction."""
    return _Posting(connection, rows, actor, now).post()


def known_holders(connection: Connection, holders: Collection[str]) -> set[str]:
    rows = connection.execute(
        text("SELECT holder FROM reservation WHERE holder = ANY(:holders) AND kind = 'order'"),
        {"holders": sorted(set(holders))},
    )
    return {row.holder for row in rows}


def told_before(connection: Connection, shipments: Collection[str]) -> dict[tuple[str, str, str, str, str], int]:
    """{key of a row: units} that these shipments have said already."""
    rows = connection.execute(
        text(
            "SELECT step, shipment, holder, sku, location, sum(units) AS units FROM shipment_line "
            "WHERE shipment = ANY(:shipments) GROUP BY step, shipment, holder, sku, location"
        ),
        {"shipments": sorted(set(shipments))},
    )
    return {(row.step, row.shipment, row.holder, row.sku, row.location): int(row.units) for row in rows}


@dataclass(slots=True)
class _Part:
    """What a row takes of one order line, in listing units."""

    line: OrderLineState
    known: int
    """Of them, those that the channel had told of before."""
    fresh: int


class _Posting:
    def __init__(self, connection: Connection, rows: Sequence[Shipped], actor: str, now: datetime) -> None:
        self.connection, self.rows, self.actor, self.now = connection, rows, actor, now
        self.result = Posted()
        self.told: dict[tuple[str, str, str, str, str], int] = {}
        self.lines: dict[str, list[OrderLineState]] = defaultdict(list)
        self.packs: dict[tuple[str, str], int] = {}
        self.posted: dict[tuple[str, str], int] = defaultdict(int)
        """(holder, line id) → listing units that shipments have named, of those that have left."""
        self.records: list[tuple[Shipped, _Part, int]] = []

    def post(self) -> Posted:
        if not self.rows:
            return self.result
        shelf = self._lock()
        for row in self.rows:
            self._one(shelf, row)
        write_order_lines(self.connection, [line for own in self.lines.values() for line in own if line.changed])
        write_shelf(self.connection, shelf, now=self.now)
        self._record()
        mark_dirty(self.connection, {move.sku for move in shelf.moves}, now=self.now)
        return self.result

    def _lock(self) -> Shelf:
        holders = sorted({row.holder for row in self.rows})
        self.connection.execute(
            text("SELECT FROM reservation WHERE holder = ANY(:holders) ORDER BY holder FOR NO KEY UPDATE"),
            {"holders": holders},
        )
        for (holder, _), line in sorted(order_lines(self.connection, holders).items()):
            self.lines[holder].append(line)
        rows = self.connection.execute(
            text(
                f"SELECT sold.holder, sold.line_id, {_PACK} AS pack, coalesce((SELECT sum(quantity) "  # noqa: S608
                "FROM shipment_line AS line WHERE line.holder = sold.holder AND line.line_id = sold.line_id "
                "AND line.step = 'ship'), 0)::bigint AS posted FROM order_line AS sold "
                "JOIN listing ON listing.id = sold.listing_id WHERE holder = ANY(:holders)"
            ),
            {"holders": holders},
        )
        for row in rows:
            self.packs[row.holder, row.line_id] = row.pack
            self.posted[row.holder, row.line_id] = int(row.posted)
        self.told = told_before(self.connection, {row.shipment for row in self.rows})
        skus = {sku for own in self.lines.values() for line in own for sku in line.components}
        return lock_shelf(
            self.connection, skus, eligible_locations(self.connection), now=self.now, holders=list(self.lines)
        )

    def _one(self, shelf: Shelf, row: Shipped) -> None:
        before = self.told.get(row.key)
        if before == row.units:
            self.result.repeated += 1
            return
        parts = self._parts(row) if before is None else f"this shipment said {before} of it: give these another name"
        fault = parts if isinstance(parts, str) else self._fault(shelf, row, parts)
        if isinstance(parts, str) or fault:
            self.result.refused.append((row, fault))
            return
        self.result.rows += 1
        self.result.units += row.units
        self.told[row.key] = row.units
        for part in parts:
            self._move(shelf, row, part)

    def _parts(self, row: Shipped) -> list[_Part] | str:
        """The order lines that the row is about, or why there are none."""
        own = self.lines.get(row.holder)
        if not own:
            return "the ledger knows no such order: pull the channel, then run it again"
        its = [line for line in own if line.sku == row.sku]
        if not its:
            whole = sorted({line.sku for line in own if row.sku in line.components})
            return f"it is part of {whole[0]} in this order: name that" if whole else "this order has none of it"
        left, parts = row.units, []
        # The largest packs first: what is left over fits the smaller ones.
        for line in sorted(its, key=lambda one: -self.packs[one.holder, one.line_id]):
            pack = self.packs[row.holder, line.line_id]
            known = self._known(line) if row.step is Step.SHIP else 0
            known = min(known, left // pack)
            fresh = min(line.open, left // pack - known)
            left -= (known + fresh) * pack
            if known + fresh:
                parts.append(_Part(line, known, fresh))
        return self._too_many(row, its) if left else parts

    def _known(self, line: OrderLineState) -> int:
        return max(0, line.shipped - self.posted[line.holder, line.line_id])

    def _too_many(self, row: Shipped, its: Sequence[OrderLineState]) -> str:
        def units(name: str) -> int:
            return sum(int(getattr(line, name)) * self.packs[line.holder, line.line_id] for line in its)

        known = sum(self._known(line) * self.packs[line.holder, line.line_id] for line in its)
        most = units("open") + (known if row.step is Step.SHIP else 0)
        if row.units <= most:
            return "it is sold in packs, and these are no whole ones"
        sent, back = units("shipped") - known, units("reversed")
        done = f"{sent} sent" + (f", {known} known to have left" if known else "")
        return f"{most} of it can still be sent: {units('quantity')} ordered, {back} cancelled or returned, {done}"

    def _fault(self, shelf: Shelf, row: Shipped, parts: Sequence[_Part]) -> str:
        wanted: dict[str, int] = defaultdict(int)
        for part in parts:
            for sku, pieces in part.line.components.items():
                wanted[sku] += pieces * part.fresh
        faults = [
            route_fault(shelf, row.holder, sku, pieces, row.location)
            if row.step is Step.ALLOCATE
            else send_fault(shelf, row.holder, row.channel, sku, pieces, row.location)
            for sku, pieces in sorted(wanted.items())
            if pieces
        ]
        return "; ".join(fault for fault in faults if fault)

    def _move(self, shelf: Shelf, row: Shipped, part: _Part) -> None:
        line = part.line
        reason = MovementReason.SHIPMENT if row.step is Step.SHIP else MovementReason.ALLOCATION
        key = f"{row.step.value}:{row.shipment}:{row.holder}:{line.line_id}:{row.location}"
        cause = Cause(key, reason, SOURCE, row.at, row.holder)
        for sku, pieces in sorted(line.components.items()) if part.fresh else ():
            if row.step is Step.SHIP:
                self.result.moved += send(shelf, row.holder, row.channel, sku, pieces * part.fresh, cause, row.location)
            else:
                route(shelf, row.holder, sku, pieces * part.fresh, cause, row.location)
                self.result.moved += pieces * part.fresh
        if row.step is Step.SHIP:
            line.shipped += part.fresh
            line.changed = True
            self.posted[line.holder, line.line_id] += part.known + part.fresh
        units = (part.known + part.fresh) * self.packs[line.holder, line.line_id]
        self.records.append((row, part, units))

    def _record(self) -> None:
        if self.records:
            self.connection.execute(_RECORD, {**_columns(self.records), "actor": self.actor, "now": self.now})


def _columns(records: Sequence[tuple[Shipped, _Part, int]]) -> Mapping[str, list[object]]:
    return {
        "steps": [row.step.value for row, _, _ in records],
        "shipments": [row.shipment for row, _, _ in records],
        "holders": [row.holder for row, _, _ in records],
        "line_ids": [part.line.line_id for _, part, _ in records],
        "locations": [row.location for row, _, _ in records],
        "skus": [row.sku for row, _, _ in records],
        "quantities": [part.known + part.fresh for _, part, _ in records],
        "units": [units for _, _, units in records],
        "ats": [row.at for row, _, _ in records],
    }
