"""Sales that channels have made, applied to the ledger: a page of orders in one transaction, set-based.

Each order is decided singly, first come first served per SKU, exactly as if the orders had been applied one
by one (a property test says so). A sale is never refused, because the channel has made it already: what has
no stock is recorded as oversold, with an incident, and is in no balance.

Idempotent at the order line and at the reversal: an order may come again in the same or another version, in
any order, alone or in any page.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from inventory.catalogue import ListingKey, bundles, components_of, eligible_locations, listings_by_ref
from inventory.goods.returns import absorb, absorbable
from inventory.goods.shipping import reverse
from inventory.holds.reservation_store import (
    end_reservations,
    held_skus,
    lock_live_holds,
    lock_shelf,
    put_back,
    write_shelf,
)
from inventory.holds.reservations import holder_of
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.ledger.ledger import plan_by_key
from inventory.ledger.shelf import Cause, Shelf
from inventory.orders import order_store as store
from inventory.orders.fulfilled import name_not_sent, send_told, subject
from inventory.orders.order_store import Header, OrderLineState, ReversalState
from inventory.publishing.exposure import note_sales
from inventory.publishing.outbox import mark_dirty
from inventory.words import (
    IncidentKind,
    MovementReason,
    ReservationStatus,
    ReversalKind,
    ReversalReason,
    Severity,
)


@dataclass(frozen=True, slots=True)
class SaleLine:
    line_id: str
    listing_ref: str
    quantity: int
    """Listing units ordered, before any reversal."""


@dataclass(frozen=True, slots=True)
class SaleReversal:
    reversal_id: str
    line_id: str
    quantity: int
    kind: ReversalKind
    reason: ReversalReason
    restocked: bool | None
    """Whether the channel put the units back on its own counter; None when it does not tell."""
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Sale:
    """One version of one order, as the gate let it through."""

    order_id: str
    placed_at: datetime
    updated_at: datetime
    lines: tuple[SaleLine, ...]
    reversals: tuple[SaleReversal, ...] = ()
    hold: str | None = None
    """Key of the hold that the channel asked for before it sold: its units become the order's."""
    fulfilled: tuple[tuple[str, int], ...] = ()
    """(line id, listing units that have left so far, those included that came back), where the channel tells."""


@dataclass(slots=True)
class Applied:
    """What a page did. Units are pieces."""

    orders: int = 0
    new_orders: int = 0
    units_held: int = 0
    units_oversold: int = 0
    reversals: int = 0
    units_returned: int = 0
    """Real units that reversals moved out of reservations."""
    unmapped: list[tuple[str, str]] = field(default_factory=list)
    """(order id, line id) of lines whose listing the channel has not been given. Not applied."""
    skus: set[str] = field(default_factory=set)


def order_holder(channel: str, order_id: str) -> str:
    return f"order:{channel}:{order_id}"


def apply_sales(connection: Connection, channel: str, sales: Sequence[Sale], *, now: datetime) -> Applied:
    """Apply one page of one channel's orders. Runs in the caller's transaction."""
    page = _Page(connection, channel, _newest(sales), now)
    return page.apply()


def _newest(sales: Iterable[Sale]) -> dict[str, Sale]:
    """One sale an order: the newest version's lines, with the lines and reversals of all versions."""
    merged: dict[str, Sale] = {}
    for sale in sorted(sales, key=lambda one: one.updated_at):
        older = merged.get(sale.order_id, sale)
        lines = {line.line_id: line for line in (*older.lines, *sale.lines)}
        reversals = {one.reversal_id: one for one in (*older.reversals, *sale.reversals)}
        fulfilled = tuple((dict(older.fulfilled) | dict(sale.fulfilled)).items())
        merged[sale.order_id] = Sale(
            sale.order_id, sale.placed_at, sale.updated_at, tuple(lines.values()), tuple(reversals.values()),
            sale.hold or older.hold, fulfilled,
        )  # fmt: skip
    return merged


@dataclass(slots=True)
class _Demand:
    at: datetime
    holder: str
    cause: str
    pieces: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class _Page:
    def __init__(self, connection: Connection, channel: str, sales: dict[str, Sale], now: datetime) -> None:
        self.connection, self.channel, self.now = connection, channel, now
        self.sales = {order_holder(channel, order_id): sale for order_id, sale in sales.items()}
        self.result = Applied(orders=len(sales))
        self.headers: dict[str, Header] = {}
        self.holds: set[str] = set()
        """Holders of the live holds that orders of this page name."""
        self.lines: dict[tuple[str, str], OrderLineState] = {}
        self.reversals: list[ReversalState] = []
        self.demands: list[_Demand] = []
        self.sent: dict[tuple[str, str], int] = {}
        """(holder, line id) → what the channel says has left of it."""
        self.sold: dict[int, int] = defaultdict(int)
        self.put_back: dict[int, int] = defaultdict(int)
        self.returned: dict[tuple[str, str], int] = {}
        """(holder, SKU) → units that parcels have brought back before the channel told of it."""
        self.absorbed: dict[tuple[str, str], int] = defaultdict(int)
        self.incidents: dict[tuple[IncidentKind, str], NewIncident] = {}

    def apply(self) -> Applied:
        if not self.sales:
            return self.result
        plan_by_key(self.connection)
        self._read()
        self._collect()
        if not (self.demands or self.reversals or self.holds or self._left()):
            self._name_what_left()
            return self.result
        shelf = self._lock()
        self._decide(shelf)
        self._write(shelf)
        return self.result

    def _read(self) -> None:
        """Lock the holds and the orders' headers, and load what earlier versions of them left."""
        named = [holder_of(self.channel, sale.hold) for sale in self.sales.values() if sale.hold]
        self.holds = lock_live_holds(self.connection, named, now=self.now)
        self.headers = store.lock_headers(self.connection, self.channel, self.sales, now=self.now)
        seen = [holder for holder, header in self.headers.items() if not header.fresh]
        self.result.new_orders = len(self.headers) - len(seen)
        self.lines = store.order_lines(self.connection, seen)

    def _collect(self) -> None:
        """What is new in this page: demands, and reversals not yet applied."""
        refs = {line.listing_ref for sale in self.sales.values() for line in sale.lines}
        listings = listings_by_ref(self.connection, self.channel, refs)
        recipes = bundles(self.connection, {listing.sku for listing in listings.values()})
        for holder, sale in self.sales.items():
            outdated = self.headers[holder].updated_at > sale.updated_at
            demand: _Demand | None = None
            for line in sorted(sale.lines, key=lambda one: one.line_id):
                listing = listings.get(line.listing_ref)
                known = self.lines.get((holder, line.line_id))
                if known is None and listing is None:
                    self.result.unmapped.append((sale.order_id, line.line_id))
                    continue
                more = self._more_of(holder, line, listing, known, recipes, outdated)
                if more > 0:
                    at = sale.placed_at if self.headers[holder].fresh else sale.updated_at
                    total = self.lines[holder, line.line_id].quantity
                    cause = f"sale:{holder}:{line.line_id}:{total}:{sale.updated_at.isoformat()}"
                    demand = demand or _Demand(at, holder, cause)
                    self._add(demand, holder, line.line_id, more)
            if demand:
                self.demands.append(demand)
            told = {(holder, line_id): units for line_id, units in sale.fulfilled}
            self.sent |= {key: units for key, units in told.items() if key in self.lines}
        self._collect_reversals()

    def _left(self) -> list[OrderLineState]:
        """Lines of which more has left, as their channel says, than the ledger has posted."""
        return [self.lines[key] for key, told in sorted(self.sent.items()) if told > self.lines[key].shipped]

    def _more_of(
        self,
        holder: str,
        line: SaleLine,
        listing: ListingKey | None,
        known: OrderLineState | None,
        recipes: dict[str, dict[str, int]],
        outdated: bool,
    ) -> int:
        """Listing units of this line that the ledger has not seen; notes the line, or its reduction."""
        if known is None:
            assert listing is not None
            pieces = components_of(listing.sku, listing.units_per_listing, recipes)
            self.lines[holder, line.line_id] = OrderLineState(
                holder, line.line_id, listing.id, listing.sku, pieces, line.quantity, 0, changed=True
            )
            return line.quantity
        if outdated or line.quantity == known.quantity:
            return 0
        more = line.quantity - known.quantity
        if more > 0:
            known.quantity, known.changed = line.quantity, True
            return more
        # The vendor lowered the ordered number itself instead of adding a reversal.
        if known.quantity > known.reversed:
            at = self.sales[holder].updated_at
            self.reversals.append(
                ReversalState(
                    f"edit:{holder}:{line.line_id}:{line.quantity}:{at.isoformat()}", holder, line.line_id, -more,
                    ReversalKind.CANCELLATION, ReversalReason.OTHER, None, at, lowers=True,
                )
            )  # fmt: skip
        return 0

    def _add(self, demand: _Demand, holder: str, line_id: str, units: int) -> None:
        line = self.lines[holder, line_id]
        self.sold[line.listing_id] += units
        for sku, pieces in line.components.items():
            demand.pieces[sku] += pieces * units

    def _collect_reversals(self) -> None:
        offered = [
            ReversalState(
                one.reversal_id, holder, one.line_id, one.quantity, one.kind, one.reason, one.restocked, one.occurred_at
            )
            for holder, sale in self.sales.items()
            for one in sale.reversals
        ]
        offered += self.reversals
        offered = list({one.reversal_id: one for one in reversed(offered)}.values())
        seen = store.known_reversals(self.connection, self.channel, [one.reversal_id for one in offered])
        waiting = store.waiting_reversals(self.connection, self.channel, self.sales)
        self.reversals = [one for one in offered if one.reversal_id not in seen]
        self.reversals += [one for one in waiting if (one.holder, one.line_id) in self.lines]
        self.returned = absorbable(self.connection, {one.holder for one in self.reversals})

    def _lock(self) -> Shelf:
        skus = {sku for demand in self.demands for sku in demand.pieces}
        for one in self.reversals:
            line = self.lines.get((one.holder, one.line_id))
            skus |= set(line.components) if line else set()
        skus |= {sku for line in self._left() for sku in line.components}
        skus |= held_skus(self.connection, self.holds)
        known = [holder for holder, header in self.headers.items() if not header.fresh] + sorted(self.holds)
        return lock_shelf(self.connection, skus, eligible_locations(self.connection), now=self.now, holders=known)

    def _decide(self, shelf: Shelf) -> None:
        steps: list[tuple[datetime, int, str, _Demand | ReversalState | OrderLineState]] = []
        steps += [(one.at, 0, one.holder, one) for one in self.demands]
        sold_at = {one.holder: one.at for one in self.demands}
        for line in self._left():
            # Before the order's reversals: what is reversed of what has left did not lie on the shelf.
            placed = sold_at.get(line.holder, self.sales[line.holder].placed_at)
            steps.append((placed, 1, subject(line), line))
        for one in self.reversals:
            # A reversal never comes before its own sale, whatever the channel's clock says.
            steps.append((max(one.occurred_at, sold_at.get(one.holder, one.occurred_at)), 2, one.reversal_id, one))
        for _, _, _, step in sorted(steps, key=lambda one: one[:3]):
            if isinstance(step, _Demand):
                self._sell(shelf, step)
            elif isinstance(step, OrderLineState):
                self._send(shelf, step)
            else:
                self._reverse(shelf, step)
        self._end_holds(shelf)
        for line in self._left():
            # Units that were sold short may have been covered meanwhile.
            self._send(shelf, line)
        self._name_what_left()

    def _send(self, shelf: Shelf, line: OrderLineState) -> None:
        told, seen = self.sent[line.holder, line.line_id], self.sales[line.holder].updated_at
        send_told(shelf, self.channel, line, told, seen=seen, at=min(seen, self.now))

    def _name_what_left(self) -> None:
        told = [(self.lines[key], units) for key, units in self.sent.items()]
        named = name_not_sent(self.connection, self.channel, told, now=self.now)
        self.incidents |= {(one.kind, one.subject): one for one in named}

    def _sell(self, shelf: Shelf, demand: _Demand) -> None:
        placed_at = self.sales[demand.holder].placed_at
        hold = holder_of(self.channel, self.sales[demand.holder].hold or "")
        cause = Cause(demand.cause, MovementReason.SALE, self.channel, demand.at, demand.holder)
        for sku, pieces in sorted(demand.pieces.items()):
            left = pieces - (shelf.hand_over(hold, demand.holder, sku, pieces) if hold in self.holds else 0)
            short = shelf.take(demand.holder, self.channel, sku, left, placed_at, cause) if left else 0
            self.result.units_held += pieces - short
            self.result.units_oversold += short
            self.result.skus.add(sku)
            if short:
                self._incident(
                    IncidentKind.OVERSOLD, Severity.CRITICAL, sku,
                    f"{self.channel} sold {pieces} of {sku} in {demand.holder} and {short} of them do not exist",
                    {"holder": demand.holder, "short": short},
                )  # fmt: skip

    def _end_holds(self, shelf: Shelf) -> None:
        """The order is here, so its hold ends; what the order did not need becomes available again."""
        if not self.holds:
            return
        put_back(shelf, self.holds, Cause("sold", MovementReason.RELEASE, self.channel, self.now))
        end_reservations(self.connection, sorted(self.holds), ReservationStatus.SOLD, now=self.now)

    def _reverse(self, shelf: Shelf, one: ReversalState) -> None:
        line = self.lines.get((one.holder, one.line_id))
        if line is None:
            one.status = "unmatched"
            self._incident(
                IncidentKind.UNMATCHED_REVERSAL, Severity.WARNING, f"{one.holder}/{one.line_id}",
                f"{one.quantity} reversed of a line that no sale is known of; nothing was put back",
                {"reversal": one.reversal_id},
            )  # fmt: skip
            return
        applied = min(one.quantity - one.applied, line.quantity - line.reversed)
        self.result.reversals += 1
        if applied > 0:
            self._put_back(shelf, one, line, applied)
        one.applied += applied
        line.changed = line.changed or applied > 0
        one.status = "applied" if one.applied == one.quantity else "excess"
        if one.status == "excess":
            self._incident(
                IncidentKind.EXCESS_REVERSAL, Severity.WARNING, f"{one.holder}/{one.line_id}",
                f"{one.quantity} reversed but only {one.applied} were left to reverse; the rest was not put back",
                {"reversal": one.reversal_id, "quantity": one.quantity, "applied": one.applied},
            )  # fmt: skip

    def _put_back(self, shelf: Shelf, one: ReversalState, line: OrderLineState, units: int) -> None:
        reason = MovementReason.CANCELLATION if one.kind is ReversalKind.CANCELLATION else MovementReason.RETURN
        cause = Cause(
            f"reversal:{self.channel}:{one.reversal_id}:{one.applied}",
            reason,
            self.channel,
            one.occurred_at,
            one.holder,
        )
        moved, told = reverse(shelf, line, one, units, cause, self.returned)
        self.result.units_returned += moved
        for sku, pieces in sorted(line.components.items()):
            self.result.skus.add(sku)
            self.absorbed[one.holder, sku] += told.get(sku, 0)
            if one.reason is ReversalReason.INVENTORY:
                self._incident(
                    IncidentKind.UNIT_NOT_FOUND, Severity.CRITICAL, sku,
                    f"{pieces * units} of {sku} could not be found for {one.holder}; count it now",
                    {"holder": one.holder},
                )  # fmt: skip
        if one.restocked is not False:
            self.put_back[line.listing_id] += units

    def _incident(
        self, kind: IncidentKind, severity: Severity, subject: str, message: str, detail: dict[str, object]
    ) -> None:
        self.incidents[kind, subject] = NewIncident(kind, severity, subject, message, detail)

    def _write(self, shelf: Shelf) -> None:
        store.write_order_lines(self.connection, [line for line in self.lines.values() if line.changed])
        store.write_reversals(self.connection, self.channel, self.reversals, now=self.now)
        absorb(self.connection, self.absorbed)
        write_shelf(self.connection, shelf, now=self.now)
        if matched := [f"{one.holder}/{one.line_id}" for one in self.reversals if one.status != "unmatched"]:
            resolve_incidents(self.connection, IncidentKind.UNMATCHED_REVERSAL, matched, now=self.now)
        exceeded = note_sales(self.connection, self.sold, self.put_back, now=self.now)
        for sku, listing_id, units in exceeded:
            self._incident(
                IncidentKind.EXPOSURE_EXCEEDED, Severity.WARNING, sku,
                f"{self.channel} sold {units} more of {sku} than it had been given: it put units back that no "
                f"cancellation told of yet, or somebody else writes to it",
                {"listing_id": listing_id},
            )  # fmt: skip
        # Expired holds may have given back units of other SKUs as well.
        self.result.skus |= {move.sku for move in shelf.moves}
        mark_dirty(self.connection, self.result.skus, now=self.now)
        open_incidents(self.connection, list(self.incidents.values()), now=self.now)
