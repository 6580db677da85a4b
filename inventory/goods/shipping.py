"""Units that leave for a holder, are routed for it, or come back from it: decisions on a locked `Shelf`.

A unit goes reserved → (allocated →) shipped. It leaves from where it is held; a person who names another location knows
better where it lay: then a free unit of that location leaves, and the one that had been held is free again. Units that
were sold short can leave too, when they turn up: out of what is free at the location that is named.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import replace

from inventory.ledger.shelf import NOWHERE, Cause, Shelf
from inventory.orders.order_store import OrderLineState, ReversalState
from inventory.orders.reversals import destination
from inventory.words import ReversalKind, StockState

_HELD = (StockState.ALLOCATED, StockState.RESERVED)


def send_fault(shelf: Shelf, holder: str, channel: str, sku: str, units: int, location: str) -> str:
    """Why so many cannot leave for the holder now; empty: they can."""
    units -= min(units, shelf.early(holder, sku))
    lines = shelf.lines.get((holder, sku), {})
    promised = shelf.promised(holder, sku)
    if units > promised:
        return f"{promised} of {sku} are held for it"
    here = sum(line.held for place, line in lines.items() if location in ("", place))
    free = shelf.available.get(sku, {}).get(location, 0) if location else shelf.free(sku, channel)
    if units <= here + free:
        return ""
    if location:
        return f"{here} of {sku} are held for it at {location} and {free} are free there: count them, or mend the row"
    return f"{units - here - free} of {sku} were sold short: book what was found, or name the location it lay at"


def send(shelf: Shelf, holder: str, channel: str, sku: str, units: int, cause: Cause, location: str = "") -> int:
    """They leave; returns how many moved by it (others had come back before anybody told that they had left).

    Only what `send_fault` finds nothing wrong with."""
    known = min(units, shelf.early(holder, sku))
    shelf.came_early(holder, sku, -known)
    left = units - known
    places = [location] if location else _places(shelf, holder, channel, sku)
    for state in _HELD:
        for place in places:
            part = shelf.take_off(holder, sku, place, state, left)
            if part:
                shelf.line(holder, sku, place).sent += part
                shelf.note(_named(cause, state), sku, place, state, StockState.SHIPPED, part)
                left -= part
    for place in places if left else ():
        part = _exchange(shelf, holder, sku, place, left, cause, StockState.SHIPPED)
        shelf.line(holder, sku, place).sent += part
        left -= part
    assert not left, f"{left} of {sku} could not leave for {holder}"
    return units - known


def route_fault(shelf: Shelf, holder: str, sku: str, units: int, location: str) -> str:
    """Why so many cannot be routed for the holder to the location now; empty: they can."""
    lines = shelf.lines.get((holder, sku), {})
    open_units = sum(line.held - line.allocated + line.oversold for line in lines.values())
    if units > open_units:
        return f"{open_units} of {sku} are not routed yet"
    line = lines.get(location)
    here = line.held - line.allocated if line else 0
    free = shelf.available.get(sku, {}).get(location, 0)
    if units > here + free:
        return f"{here} of {sku} are held for it at {location} and {free} are free there: route it elsewhere"
    return ""


def route(shelf: Shelf, holder: str, sku: str, units: int, cause: Cause, location: str) -> None:
    """They are allocated at the location. Only what `route_fault` finds nothing wrong with."""
    line = shelf.line(holder, sku, location)
    part = min(units, line.held - line.allocated)
    if part:
        line.allocated += part
        shelf.note(_named(cause, StockState.RESERVED), sku, location, StockState.RESERVED, StockState.ALLOCATED, part)
    if units > part:
        more = _exchange(shelf, holder, sku, location, units - part, cause, StockState.ALLOCATED)
        line.held += more
        line.allocated += more
        assert more == units - part, f"{units - part - more} of {sku} could not be routed for {holder}"


def _exchange(shelf: Shelf, holder: str, sku: str, place: str, most: int, cause: Cause, to_state: StockState) -> int:
    """Free units of this place go to the state, instead of units that were sold short or are held elsewhere: those
    promises end, and what was held elsewhere is free again. Returns how many."""
    free = shelf.available.get(sku, {}).get(place, 0)
    promised = shelf.promised(holder, sku) - sum(
        line.allocated for line in shelf.lines[holder, sku].values() if to_state is StockState.ALLOCATED
    )
    part = min(most, free, promised)
    if part <= 0:
        return 0
    shelf.available[sku][place] = free - part
    shelf.note(_named(cause, StockState.AVAILABLE), sku, place, StockState.AVAILABLE, to_state, part)
    shelf.give_back(holder, sku, part, StockState.AVAILABLE, replace(cause, key=f"{cause.key}:instead"))
    return part


def _places(shelf: Shelf, holder: str, channel: str, sku: str) -> list[str]:
    """In the order in which the channel uses them; then any other at which something is held."""
    own = list(shelf.locations.get(channel, ()))
    others = sorted(set(shelf.lines.get((holder, sku), {})) - {*own, NOWHERE})
    return own + others


def _named(cause: Cause, state: StockState) -> Cause:
    return replace(cause, key=f"{cause.key}:{state.value}")


def reverse(
    shelf: Shelf,
    line: OrderLineState,
    one: ReversalState,
    units: int,
    cause: Cause,
    came: MutableMapping[tuple[str, str], int],
) -> tuple[int, dict[str, int]]:
    """Take `units` listing units of the line back, whose numbers are kept here. `came`: units of the order that parcels
    have brought before the channel told of it, {(holder, SKU): units}; what this tells of is taken off.

    A return is of what was sent, as far as it was; everything else is of what was not. Money that is given back for
    what was sent moves nothing: the goods are with the customer.

    Returns (real units that moved, {SKU: units whose parcel had come})."""
    to_state = destination(one.kind, one.reason, one.restocked)
    sent = _sent(shelf, line, one, units, came)
    unsent = units - sent
    moved, told = 0, {}
    for sku, pieces in sorted(line.components.items()):
        key = line.holder, sku
        early = min(pieces * unsent, shelf.early(*key), came.get(key, 0))
        brought = min(pieces * sent, max(0, came.get(key, 0) - shelf.early(*key)))
        shelf.came_early(*key, -early)
        if early + brought:
            came[key] -= early + brought
            told[sku] = early + brought
        moved += shelf.give_back(*key, pieces * unsent - early, to_state, cause)
        if one.kind is ReversalKind.RETURN or one.restocked:
            back = replace(cause, key=f"{cause.key}:sent")
            moved += shelf.give_back(*key, pieces * sent - brought, to_state, back, StockState.SHIPPED)
    if one.lowers:
        line.quantity -= units
        line.shipped -= sent
        return moved, told
    line.reversed += units
    # What came back must have left, though nobody has told of it yet.
    line.shipped += unsent if one.kind is ReversalKind.RETURN else 0
    line.sent_back += units if one.kind is ReversalKind.RETURN else sent
    return moved, told


def _sent(
    shelf: Shelf, line: OrderLineState, one: ReversalState, units: int, came: Mapping[tuple[str, str], int]
) -> int:
    """How many of the reversed listing units had left."""
    left = line.shipped - line.sent_back
    if one.kind is ReversalKind.RETURN:
        return min(units, left)
    parcels = [
        -(-max(0, came.get((line.holder, sku), 0) - shelf.early(line.holder, sku)) // pieces)
        for sku, pieces in line.components.items()
    ]
    brought = min(units, left, max(parcels, default=0))
    return brought + max(0, units - brought - line.open)
