"""WooCommerce's orders and refunds, translated. Pure: no wire, no clock.

Only what an `OrderDocument` names is taken; all else, and with it every name, address and free text,
ends here. Source: the vendor's REST documentation of orders and order refunds (wc/v3).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.channels.protocol import OrderDocument
from inventory.words import ReversalKind, ReversalReason

NOT_A_SALE = frozenset({"checkout-draft", "auto-draft"})
"""A cart that somebody is filling in. Every other status holds stock, unpaid and unknown ones too."""

CLOSED = {
    "cancelled": (ReversalKind.CANCELLATION, ReversalReason.CUSTOMER),
    "failed": (ReversalKind.CANCELLATION, ReversalReason.PAYMENT),
    "trash": (ReversalKind.CANCELLATION, ReversalReason.OTHER),
    "refunded": (ReversalKind.REFUND, ReversalReason.CUSTOMER),
}
"""Statuses in which nothing of the order is sold any more."""

COMPLETED = "completed"
"""The status of an order that has been sent."""

REFUND_REASONS = {
    "damaged": ReversalReason.DAMAGED,
    "arrived damaged": ReversalReason.DAMAGED,
    "defective": ReversalReason.DAMAGED,
    "broken": ReversalReason.DAMAGED,
    "out of stock": ReversalReason.INVENTORY,
    "not in stock": ReversalReason.INVENTORY,
    "not found": ReversalReason.INVENTORY,
    "oversold": ReversalReason.INVENTORY,
    "fraud": ReversalReason.FRAUD,
    "payment failed": ReversalReason.PAYMENT,
    "customer": ReversalReason.CUSTOMER,
    "customer request": ReversalReason.CUSTOMER,
    "customer changed their mind": ReversalReason.CUSTOMER,
    "wrong size": ReversalReason.CUSTOMER,
}
"""The free text of a refund that we dare to read, in lower case; anything else is OTHER."""

HOLD_KEY = "_onhand_hold"
"""The order's meta value in which the shop keeps the key of the hold that it asked for before it sold. Of no other
meta value is anything kept."""

ITEM_VALUES = ("id", "product_id", "variation_id", "sku", "quantity")

_NAIVE_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?")


class UntranslatableError(Exception):
    """`key` names the order as well as it can be named. The message holds no value of the order."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def order_number(row: Any) -> int | None:
    """The order's id, when it is what the vendor says it is."""
    number = row.get("id") if isinstance(row, Mapping) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None


def has_refunds(row: Any) -> bool:
    return isinstance(row, Mapping) and bool(row.get("refunds"))


def translate_order(row: Any, refunds: Sequence[Any], place: str) -> OrderDocument | None:
    """One order with its refunds; None when it is no sale (yet). `place` names a row without an id.

    `quantity` of a line stays the ordered one, even when all of it is refunded. Raises
    UntranslatableError where the shape is wrong; a strange value inside the shape is passed on.
    """
    if not isinstance(row, Mapping):
        raise UntranslatableError(place, f"the order is {_shape(row)}, not an object")
    number = order_number(row)
    if number is None:
        raise UntranslatableError(place, f"the order's id is {_shape(row.get('id'))}")
    key, status = str(number), row.get("status")
    if not isinstance(status, str):
        raise UntranslatableError(key, f"the status is {_shape(status)}")
    if status in NOT_A_SALE:
        return None
    items = _objects(row.get("line_items"), key, "line_items")
    _refuse_containers([row.get("date_created_gmt"), row.get("date_modified_gmt")], key)
    updated_at = _utc(row.get("date_modified_gmt"))
    reversals = [reversal for refund in refunds for reversal in translate_refund(refund, items, key)]
    if status in CLOSED:
        reversals += _closing(status, items, reversals, updated_at, key)
    document: OrderDocument = {
        "order_id": key,
        "placed_at": _utc(row.get("date_created_gmt")),
        "updated_at": updated_at,
        "cancelled": status in CLOSED and status != "refunded",
        "test": False,
        "lines": [_line(item) for item in items],
        "reversals": reversals,
    }
    fulfilled = _fulfilled(row, status, items, reversals)
    if fulfilled:
        document["fulfilled"] = fulfilled
    hold = _meta(row, HOLD_KEY)
    _refuse_containers([hold], key)
    return {**document, "hold": hold} if hold not in (None, "") else document


def _fulfilled(
    row: Mapping[str, Any], status: str, items: Sequence[Mapping[str, Any]], reversals: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """A completed order has left, whole but for what was refunded before; a refunded one, if it had been completed.

    The vendor knows no parts of a shipment."""
    completed = _utc(row.get("date_completed_gmt"))
    if status != COMPLETED and not (status == "refunded" and isinstance(completed, str)):
        return []
    found = []
    for item in items:
        line_id, ordered = _text(item.get("id")), whole(item.get("quantity"))
        before = [
            whole(one["quantity"]) or 0
            for one in reversals
            if one["line_id"] == line_id and not (isinstance(completed, str) and str(one["occurred_at"]) >= completed)
        ]
        if ordered is not None and ordered > sum(before):
            found.append({"line_id": line_id, "quantity": ordered - sum(before)})
    return found


def translate_refund(refund: Any, items: Sequence[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    """The units a refund takes back from the order's `items`. One of money alone gives none.

    The vendor writes them as negative quantities and does not tell whether they were restocked.
    """
    if not isinstance(refund, Mapping) or order_number(refund) is None:
        raise UntranslatableError(key, "a refund is not an object with an id")
    note = refund.get("reason")
    found = REFUND_REASONS.get(note.strip(" .!\t\r\n").casefold()) if isinstance(note, str) else None
    reversals = []
    for item in _objects(refund.get("line_items"), key, "line_items of a refund"):
        quantity = item.get("quantity")
        if order_number(item) is None:
            raise UntranslatableError(key, "a refund's line has no id")
        if quantity == 0:
            continue
        units = whole(quantity)
        reversals.append(
            {
                "reversal_id": f"refund:{refund['id']}:{item['id']}",
                "line_id": _refunded_line(item, items),
                "quantity": -units if units is not None and units < 0 else quantity,
                "kind": ReversalKind.REFUND.value,
                "reason": (found or ReversalReason.OTHER).value,
                "restocked": None,
                "occurred_at": _utc(refund.get("date_created_gmt")),
            }
        )
    return reversals


def whole(value: Any) -> int | None:
    """The units, when the value is a whole number of them (some plug-ins make them 2.0)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == value and abs(value) != float("inf") and value == int(value) else None


def units(value: Any) -> int | None:
    """The same of a quantity that is in stock, which some plug-ins make a text."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,12}", value) else whole(value)


def _closing(
    status: str, items: Sequence[Mapping[str, Any]], refunded: Sequence[Mapping[str, Any]], at: Any, key: str
) -> list[dict[str, Any]]:
    """What is left of each line when an order is closed.

    The id does not name the status: a failed order that is cancelled later, and then thrown away, was
    reversed once.
    """
    kind, reason = CLOSED[status]
    reversals = []
    for item in items:
        line_id, quantity = _text(item.get("id")), item.get("quantity")
        if line_id is None:
            raise UntranslatableError(key, "a line of a closed order has no id")
        taken = [whole(reversal["quantity"]) or 0 for reversal in refunded if reversal["line_id"] == line_id]
        ordered = whole(quantity)
        if ordered is not None and ordered <= sum(taken):
            continue
        reversals.append(
            {
                "reversal_id": f"closed:{line_id}",
                "line_id": line_id,
                "quantity": quantity if ordered is None else ordered - sum(taken),
                "kind": kind.value,
                "reason": reason.value,
                "restocked": None if status == "refunded" else not _off_the_counter(item),
                "occurred_at": at,
            }
        )
    return reversals


def _off_the_counter(item: Mapping[str, Any]) -> bool:
    """The line still has units that the shop took off its counter and did not put back.

    `cancelled` puts them back and so removes the mark; `failed` and `trash` do not, but an order that
    never came to be paid had taken none (woocommerce: `wc_maybe_increase_stock_levels`).
    """
    reduced = _meta(item, "_reduced_stock")
    return str(reduced or "0").strip() not in ("0", "")


def _refunded_line(item: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> Any:
    """The order's line that a refund's line is about; None when it cannot be told."""
    named = _meta(item, "_refunded_item_id")
    if isinstance(named, int | str) and named not in ("", 0):
        return _text(named)
    same = [line for line in items if _listing_ref(line) is not None and _listing_ref(line) == _listing_ref(item)]
    return _text(same[0].get("id")) if len(same) == 1 else None


def _line(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "line_id": _text(item.get("id")),
        "listing_ref": _listing_ref(item),
        "sku": item.get("sku"),
        "quantity": item.get("quantity"),
    }


def _listing_ref(item: Mapping[str, Any]) -> Any:
    """The vendor writes 0 for "no variation", and for a product that has been deleted since."""
    product, variation = item.get("product_id"), item.get("variation_id")
    if product in (0, None):
        return None
    return f"{product}/{variation}" if variation else _text(product)


def _meta(item: Mapping[str, Any], key: str) -> Any:
    entries = item.get("meta_data")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, Mapping) and entry.get("key") == key:
            return entry.get("value")
    return None


def _refuse_containers(values: Sequence[Any], key: str) -> None:
    """A strange number or text is for the gate to judge; what else could be in an object, nobody knows."""
    if any(isinstance(value, list | Mapping) for value in values):
        raise UntranslatableError(key, "a list or an object stands where a plain value belongs")


def _objects(value: Any, key: str, name: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise UntranslatableError(key, f"{name} is {_shape(value)}, not a list of objects")
    for item in value:
        _refuse_containers([item.get(name) for name in ITEM_VALUES], key)
    return value


def _text(value: Any) -> Any:
    """A number as our text; what is no number stays as it came."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _utc(value: Any) -> Any:
    """`…_gmt` is UTC and says so nowhere."""
    return f"{value}+00:00" if isinstance(value, str) and _NAIVE_UTC.fullmatch(value) else value


def _shape(value: Any) -> str:
    return "absent" if value is None else f"of type {type(value).__name__}"
