"""What a channel's own order says was sent: posted like a shipment, as far as there is anything to send.

It is cumulative, so the same again changes nothing, and it takes no notice of which parcel it was: a shipment that is
posted for the same units later finds them sent. What cannot be (more than is left of the line, or units that were sold
short and are nowhere) is named and tried again when the order is read again.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from inventory.goods.shipping import send
from inventory.incidents import NewIncident, resolve_incidents
from inventory.ledger.shelf import Cause, Shelf
from inventory.orders.order_store import OrderLineState
from inventory.words import IncidentKind, MovementReason, Severity


def send_told(shelf: Shelf, channel: str, line: OrderLineState, told: int, *, seen: datetime, at: datetime) -> None:
    """`told` listing units of the line have left, with those that came back since. `seen` names the order's version."""
    units = min(told - line.shipped, line.open, *(_most(shelf, channel, line, sku) for sku in line.components))
    if units <= 0:
        return
    key = f"fulfilled:{line.holder}:{line.line_id}:{line.shipped + units}:{seen.isoformat()}"
    cause = Cause(key, MovementReason.SHIPMENT, channel, at, line.holder)
    for sku, pieces in sorted(line.components.items()):
        send(shelf, line.holder, channel, sku, pieces * units, cause)
    line.shipped += units
    line.changed = True


def _most(shelf: Shelf, channel: str, line: OrderLineState, sku: str) -> int:
    """Listing units of which there are enough of this component."""
    own = shelf.lines.get((line.holder, sku), {}).values()
    short = sum(one.oversold for one in own)
    there = sum(one.held for one in own) + min(short, shelf.free(sku, channel)) + shelf.early(line.holder, sku)
    return there // line.components[sku]


def subject(line: OrderLineState) -> str:
    return f"{line.holder}/{line.line_id}"


def name_not_sent(
    connection: Connection, channel: str, lines: Iterable[tuple[OrderLineState, int]], *, now: datetime
) -> list[NewIncident]:
    """What is to be named of (line, units told), after all else was applied; what was named and agrees is closed."""
    told = list(lines)
    agreed = [subject(line) for line, units in told if units <= line.shipped]
    if agreed:
        resolve_incidents(connection, IncidentKind.SHIPMENT_HELD, agreed, now=now)
    return [_not_sent(channel, line, units) for line, units in told if units > line.shipped]


def _not_sent(channel: str, line: OrderLineState, told: int) -> NewIncident:
    left = told - line.shipped
    gone = line.reversed - line.sent_back
    why = (
        f"{line.open} of these were sold short, so the ledger has nothing that could have left"
        if left <= line.open
        else f"{line.quantity} are ordered, and {gone} of them cancelled before they were sent"
    )
    return NewIncident(
        IncidentKind.SHIPMENT_HELD, Severity.WARNING, subject(line),
        f"{channel} says that {told} of {line.sku} were sent, {left} more than the ledger can follow: {why}",
        {"sku": line.sku, "told": told, "sent": line.shipped},
    )  # fmt: skip
