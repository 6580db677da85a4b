"""A declared channel's order, translated by its description. Pure: no wire, no clock.

Only what the description names is taken, and of that only plain values; all else, and with it every
name, address and free text, ends here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from adapters.channels.declared.declared_fields import Closed, LineFields, Orders, Reversals
from adapters.channels.declared.declared_values import UntranslatableError, Value, whole
from adapters.channels.protocol import OrderDocument
from inventory.words import ReversalKind, ReversalReason

MOST_UNITS_GONE = 10_000
"""Of one line, without a reversal that says so. More is no order that this can follow."""
_KINDS = {kind.value for kind in ReversalKind}
_REASONS = {reason.value for reason in ReversalReason}


def order_id_of(orders: Orders, row: Any) -> str | None:
    """The id, if the row has one; never raises."""
    try:
        found = orders.fields.order_id.of(row) if isinstance(row, Mapping) else None
    except UntranslatableError:
        return None
    return found if isinstance(found, str) and found else None


def status_of(orders: Orders, row: Any) -> Any:
    return None if orders.fields.status is None else orders.fields.status.of(row)


def translate_order(orders: Orders, row: Any) -> OrderDocument | None:
    """One order; None when it is no sale (yet).

    Raises UntranslatableError where the shape is wrong; a strange value inside the shape is passed on.
    """
    fields = orders.fields
    if not isinstance(row, Mapping):
        raise UntranslatableError(f"the order is {_shape(row)}, not an object")
    order_id = fields.order_id.of(row)
    if not isinstance(order_id, str) or not order_id:
        raise UntranslatableError(f"the order's id at {fields.order_id.place} is {_shape(order_id)}")
    status = status_of(orders, row)
    if fields.status is not None and not isinstance(status, str):
        raise UntranslatableError(f"the status at {fields.status.place} is {_shape(status)}")
    if status in orders.statuses.ignored:
        return None
    closed = _closed(orders, row, status)
    lines = [_Line(fields.line, line) for line in _objects(fields.lines.of(row), fields.lines.text)]
    placed_at = fields.placed_at.of(row)
    updated_at = placed_at if fields.updated_at is None else fields.updated_at.of(row)
    reversals = [] if orders.reversals is None else list(_listed(orders.reversals, row, lines))
    for line in lines:
        reversals += _unlisted(line, row, reversals, closed, updated_at)
        if len(reversals) > 2 * MOST_UNITS_GONE:
            raise UntranslatableError(f"more than {2 * MOST_UNITS_GONE} reversals are in one order")
    document: OrderDocument = {
        "order_id": order_id,
        "placed_at": placed_at,
        "updated_at": updated_at,
        "cancelled": closed is not None and closed.kind is ReversalKind.CANCELLATION,
        "test": fields.test.of(row),
        "lines": [line.document() for line in lines],
        "reversals": reversals,
    }
    fulfilled = [{"line_id": line.line_id, "quantity": line.fulfilled} for line in lines if line.fulfilled]
    if fulfilled:
        document["fulfilled"] = fulfilled
    hold = None if fields.hold is None else fields.hold.of(row)
    return document if hold is None else {**document, "hold": hold}


class _Line:
    """One line and what is known of it."""

    def __init__(self, fields: LineFields, row: Mapping[str, Any]) -> None:
        self.row = row
        self.line_id = fields.line_id.of(row)
        self._ref = fields.listing_ref.of(row)
        self._sku = None if fields.sku is None else fields.sku.of(row)
        self.quantity: Any = fields.quantity.of(row)
        shown, left, gone = whole(self.quantity), _units(fields.left, row), _units(fields.gone, row)
        if fields.quantity_is == "left" and shown is not None and gone is not None:
            self.quantity = shown + gone
        ordered = whole(self.quantity)
        self.ordered = ordered if ordered is not None and ordered >= 0 else None
        if self.ordered is not None and left is not None:
            gone = self.ordered - left
        self.gone = 0 if gone is None else min(gone, self.ordered or 0)
        """Units that are no longer ordered, as the line itself says."""
        self.fulfilled = _units(fields.fulfilled, row)

    def document(self) -> dict[str, Any]:
        return {"line_id": self.line_id, "listing_ref": self._ref, "sku": self._sku, "quantity": self.quantity}


def _units(value: Value | None, row: Any) -> int | None:
    found = None if value is None else whole(value.of(row))
    return found if found is None or found >= 0 else None


def _closed(orders: Orders, row: Any, status: Any) -> Closed | None:
    if status in orders.statuses.closed:
        return orders.statuses.closed[status]
    fields = orders.fields
    if fields.cancelled is not None and fields.cancelled.of(row) is True:
        return Closed(reason=fields.cancel_reason, restocked=fields.cancel_restocked)
    return None


def _listed(description: Reversals, order: Mapping[str, Any], lines: list[_Line]) -> Iterator[dict[str, Any]]:
    """The reversals that the order lists, one for each line of each."""
    for scope in _scopes(description, order, lines):
        fields = description.fields
        quantity = fields.quantity.of(scope)
        units = whole(quantity)
        if units == 0:
            continue
        kind = fields.kind.of(scope)
        if kind not in _KINDS:
            raise UntranslatableError(f"what kind of reversal {fields.kind.place} means is not described")
        yield {
            "reversal_id": fields.reversal_id.of(scope),
            "line_id": fields.line_id.of(scope),
            "quantity": -units if units is not None and units < 0 else quantity,
            "kind": kind,
            "reason": _reason(fields.reason.of(scope)),
            "restocked": None if fields.restocked is None else fields.restocked.of(scope),
            "occurred_at": fields.occurred_at.of(scope),
        }


def _scopes(description: Reversals, order: Mapping[str, Any], lines: list[_Line]) -> Iterator[dict[str, Any]]:
    places: list[dict[str, Any]] = [{"order": order}]
    if description.of == "line":
        places = [{"order": order, "line": line.row} for line in lines]
    for place in places:
        listed = description.records.of(place[description.of])
        # Many leave the list out where there is nothing to list.
        for reversal in _objects([] if listed is None else listed, description.records.text):
            scope = {**place, "reversal": reversal}
            if description.items is None:
                yield scope
                continue
            for item in _objects(description.items.of(reversal), description.items.text):
                yield {**scope, "item": item}


def _unlisted(
    line: _Line, order: Mapping[str, Any], listed: list[dict[str, Any]], closed: Closed | None, at: Any
) -> list[dict[str, Any]]:
    """Units of a line that are gone though no listed reversal says so.

    What the line itself says is one reversal for each unit, numbered: the number gone only grows, so each
    answer repeats the ids of the one before and adds new ones. What is left when the order is closed is one.
    """
    taken = [whole(one["quantity"]) for one in listed if one["line_id"] == line.line_id]
    if line.ordered is None or None in taken:
        # With a reversal of a strange size nobody can say what else is gone: assume nothing.
        return []
    known = sum(units for units in taken if units is not None)
    gone = max(0, line.gone - known)
    if gone > MOST_UNITS_GONE:
        raise UntranslatableError(f"more than {MOST_UNITS_GONE} units of a line are gone without a reversal")
    rest = line.ordered - known - gone if closed is not None else 0
    if (gone or rest > 0) and line.line_id is None:
        raise UntranslatableError("a line without an id lost units")
    common = {
        "line_id": line.line_id,
        "kind": (closed.kind if closed else ReversalKind.CANCELLATION).value,
        "reason": _reason(closed.reason.of(order)) if closed else ReversalReason.OTHER.value,
        "restocked": closed.restocked.of(order) if closed and closed.restocked else None,
        "occurred_at": at,
    }
    made = [{"reversal_id": f"{line.line_id}:gone:{unit}", "quantity": 1, **common} for unit in range(1, gone + 1)]
    if rest > 0:
        made.append({"reversal_id": f"{line.line_id}:closed", "quantity": rest, **common})
    return made


def _reason(found: Any) -> str:
    """A reason may be somebody's sentence: what is none of our words goes no further."""
    return found if isinstance(found, str) and found in _REASONS else ReversalReason.OTHER.value


def _objects(value: Any, place: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise UntranslatableError(f"at {place} is {_shape(value)}, not a list of objects")
    return value


def _shape(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
