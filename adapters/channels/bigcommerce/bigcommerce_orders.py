"""BigCommerce's orders (v2) and refunds (v3), translated. Pure: no wire, no clock.

Only what an `OrderDocument` names is taken; all else, and with it every name, address and free text, ends here.
Source: the vendor's `orders.v2.oas2.yml` and `orders.v3.yml`, and "Order refunds". Neither says whether units went
back to the store's counter, or why an order was cancelled.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from adapters.channels.bigcommerce.bigcommerce_client import identity, whole
from adapters.channels.protocol import OrderDocument
from inventory.words import ReversalKind, ReversalReason

INCOMPLETE = 0
"""Somebody reached the payment page and did not pay. Every other status holds stock, unpaid ones too."""
REFUNDED = 4
CLOSED = {
    REFUNDED: (ReversalKind.REFUND, ReversalReason.OTHER),
    5: (ReversalKind.CANCELLATION, ReversalReason.OTHER),
    6: (ReversalKind.CANCELLATION, ReversalReason.PAYMENT),
}
"""Statuses in which nothing of the order is sold any more: refunded, cancelled, declined."""
NO_GOODS = "giftcertificate"
CONSIGNMENTS = ("shipping", "pickups", "downloads")
LINE_VALUES = ("id", "product_id", "variant_id", "sku", "quantity")

Row = Mapping[str, Any]


class UntranslatableError(Exception):
    """`key` names the order as well as it can be named. The message holds no value of the order."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def order_number(row: Any) -> int | None:
    return identity(row.get("id")) if isinstance(row, Mapping) else None


def changed_at(row: Any) -> datetime | None:
    return _instant(row.get("date_modified")) if isinstance(row, Mapping) else None


def is_a_sale(row: Row) -> bool:
    return whole(row.get("status_id")) != INCOMPLETE


def lines_within(row: Row) -> list[Any] | None:
    """The lines that came with the order itself; None when they did not, or not all of them."""
    consignments = row.get("consignments")
    if not isinstance(consignments, Mapping):
        return None
    found: list[Any] = []
    for kind in CONSIGNMENTS:
        some = consignments.get(kind, [])
        for consignment in some if isinstance(some, list) else [None]:
            items = consignment.get("line_items") if isinstance(consignment, Mapping) else None
            if not isinstance(items, list) or not all(isinstance(item, Mapping) and "id" in item for item in items):
                return None
            found += items
    units = sum(whole(item.get("quantity")) or 0 for item in found)
    return found if found and units == whole(row.get("items_total")) else None


def translate_order(row: Any, items: Any, refunds: Sequence[Any], place: str) -> OrderDocument | None:
    """One order with its lines and refunds; None when it is no sale (yet). `place` names a row without an id.

    Raises UntranslatableError where the shape is wrong; a strange value inside the shape is passed on.
    """
    number = order_number(row)
    if number is None:
        raise UntranslatableError(place, "the order has no id")
    key, status = str(number), whole(row.get("status_id"))
    if status is None:
        raise UntranslatableError(key, "the order has no status_id")
    if status == INCOMPLETE:
        return None
    lines = [line for line in _objects(items, key, "its products") if line.get("type") != NO_GOODS]
    _refuse_containers([value for line in lines for value in map(line.get, LINE_VALUES)], key)
    _refuse_containers([row.get("date_created"), row.get("date_modified")], key)
    updated_at = _moment(row.get("date_modified"))
    reversals = [reversal for refund in refunds for reversal in _refund(refund, lines, key)]
    if status in CLOSED:
        reversals += _closing(status, lines, reversals, updated_at, key)
    document: OrderDocument = {
        "order_id": key,
        "placed_at": _moment(row.get("date_created")),
        "updated_at": updated_at,
        "cancelled": status in CLOSED and status != REFUNDED,
        "test": False,
        "lines": [_line(line) for line in lines],
        "reversals": reversals,
    }
    fulfilled = [
        {"line_id": _text(line.get("id")), "quantity": sent}
        for line in lines
        if (sent := whole(line.get("quantity_shipped"))) is not None and sent > 0
    ]
    return {**document, "fulfilled": fulfilled} if fulfilled else document


def _line(item: Row) -> dict[str, Any]:
    product, variant = item.get("product_id"), item.get("variant_id")
    # 0 and None: a custom product, which is in no catalogue.
    ref = None if product in (0, None) else f"{product}/{variant}" if variant else _text(product)
    return {
        "line_id": _text(item.get("id")),
        "listing_ref": ref,
        "sku": item.get("sku"),
        "quantity": item.get("quantity"),
    }


def _refund(refund: Any, lines: Sequence[Row], key: str) -> list[dict[str, Any]]:
    """The units that a refund takes back. One of money alone (order, shipping, fee) gives none."""
    number = order_number(refund)
    if number is None:
        raise UntranslatableError(key, "a refund has no id")
    _refuse_containers([refund.get("created")], key)
    known = {_text(line.get("id")) for line in lines}
    reversals: dict[str, dict[str, Any]] = {}
    for item in _objects(refund.get("items"), key, "the items of a refund"):
        line_id, quantity = _text(item.get("item_id")), item.get("quantity")
        if item.get("item_type") != "PRODUCT" or quantity == 0:
            continue
        _refuse_containers([line_id, quantity], key)
        if line_id not in known:
            raise UntranslatableError(key, "a refund names a line that the order does not have")
        name = f"refund:{number}:{line_id}"
        if name in reversals:
            raise UntranslatableError(key, "a refund names a line twice")
        reversals[name] = {
            "reversal_id": name,
            "line_id": line_id,
            "quantity": quantity,
            "kind": ReversalKind.REFUND.value,
            "reason": ReversalReason.OTHER.value,
            "restocked": None,
            "occurred_at": _offset_of(refund.get("created")),
        }
    return list(reversals.values())


def _closing(status: int, lines: Sequence[Row], refunded: Sequence[Row], at: Any, key: str) -> list[dict[str, Any]]:
    """What is left of each line when an order is closed. The id does not name the status: an order that is
    declined and later cancelled was reversed once."""
    kind, reason = CLOSED[status]
    reversals = []
    for line in lines:
        line_id, quantity = _text(line.get("id")), line.get("quantity")
        if line_id is None:
            raise UntranslatableError(key, "a line of a closed order has no id")
        taken = sum(whole(reversal["quantity"]) or 0 for reversal in refunded if reversal["line_id"] == line_id)
        ordered = whole(quantity)
        if ordered is not None and ordered <= taken:
            continue
        reversals.append(
            {
                "reversal_id": f"closed:{line_id}",
                "line_id": line_id,
                "quantity": quantity if ordered is None else ordered - taken,
                "kind": kind.value,
                "reason": reason.value,
                "restocked": None,
                "occurred_at": at,
            }
        )
    return reversals


def _objects(value: Any, key: str, name: str) -> list[Row]:
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise UntranslatableError(key, f"{name}: no list of objects")
    return value


def _refuse_containers(values: Sequence[Any], key: str) -> None:
    """A strange number or text is for the gate to judge; what else could be in an object, nobody knows."""
    if any(isinstance(value, list | Mapping) for value in values):
        raise UntranslatableError(key, "a list or an object stands where a plain value belongs")


def _text(value: Any) -> Any:
    """A number as our text; what is no number stays as it came."""
    return str(value) if whole(value) is not None else value


def _moment(value: Any) -> Any:
    moment = _instant(value)
    return value if moment is None else moment.isoformat()


def _instant(value: Any) -> datetime | None:
    """Orders have their dates as e-mails have them (RFC 2822), to the second."""
    try:
        moment = parsedate_to_datetime(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _offset_of(value: Any) -> Any:
    """Refunds have theirs in RFC 3339; without an offset they are UTC."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return value
    return value if moment is None else (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
