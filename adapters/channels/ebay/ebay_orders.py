"""eBay's orders, translated. Pure: no wire, no clock.

Only what an `OrderDocument` names is taken; the buyer, the addresses, the notes and all else end here.
Source: the Fulfillment API's types Order, LineItem, CancelStatus, LineItemRefund.

eBay tells no units of a reversal, only the order's cancellation and sums of money. So a line is reversed
whole or not at all: when the order is cancelled or refunded in full, or when the line's own refunds reach
what it cost. A smaller refund is money alone. Whether the units went back on eBay's counter is not told.
A refund of a line that was (partly) sent is a return: nobody knows whether the unit comes back, or how.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from adapters.channels.protocol import OrderDocument
from inventory.words import ReversalKind, ReversalReason

CANCELLED = frozenset({"CANCELED", "CANCELLED"})

_REASONS: tuple[tuple[str, ReversalReason], ...] = (
    ("OUT_OF_STOCK", ReversalReason.INVENTORY),
    ("CANNOT_FULFILL", ReversalReason.INVENTORY),
    ("UNPAID", ReversalReason.PAYMENT),
    ("NOT_PAID", ReversalReason.PAYMENT),
    ("NON_PAYMENT", ReversalReason.PAYMENT),
    ("FRAUD", ReversalReason.FRAUD),
    ("DAMAGED", ReversalReason.DAMAGED),
    ("BUYER", ReversalReason.CUSTOMER),
    ("MISTAKE", ReversalReason.CUSTOMER),
    ("CHEAPER", ReversalReason.CUSTOMER),
    ("TOO_HIGH", ReversalReason.CUSTOMER),
    ("ARRIVE_IN_TIME", ReversalReason.CUSTOMER),
    ("ADDRESS", ReversalReason.CUSTOMER),
)
"""Parts of a cancellation's reason, the telling ones first. eBay writes it as a code or as a sentence."""


class UntranslatableError(Exception):
    """`key` names the order as well as it can be named. The message holds no value of the order."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def order_key(row: Any) -> str | None:
    """The order's id, when it is what the vendor says it is."""
    key = row.get("orderId") if isinstance(row, Mapping) else None
    return key if isinstance(key, str) and re.fullmatch(r"[0-9A-Za-z!_-]{1,64}", key) else None


def needs_whole(row: Any) -> bool:
    """Only getOrder tells why an order was cancelled; getOrders leaves `cancelRequests` empty."""
    status = row.get("cancelStatus") if isinstance(row, Mapping) else None
    return isinstance(status, Mapping) and _text_of(status.get("cancelState")) in CANCELLED


def translate_order(row: Any, place: str) -> OrderDocument:
    """One order as getOrder gives it. `place` names one without an id.

    `quantity` of a line stays the ordered one. Raises UntranslatableError where the shape is wrong; a
    strange value inside the shape is passed on.
    """
    key = order_key(row)
    if key is None:
        raise UntranslatableError(place, "the order has no id")
    items = _objects(row.get("lineItems"), key, "lineItems")
    status = _object(row.get("cancelStatus"), key, "cancelStatus")
    _refuse_containers([row.get(name) for name in ("creationDate", "lastModifiedDate", "orderPaymentStatus")], key)
    cancelled = _text_of(status.get("cancelState")) in CANCELLED
    for item in items:
        values = ("lineItemId", "sku", "quantity", "legacyItemId", "legacyVariationId", "lineItemFulfillmentStatus")
        _refuse_containers([item.get(name) for name in values], key)
        if item.get("lineItemId") in (None, ""):
            raise UntranslatableError(key, "a line has no id")
    document: OrderDocument = {
        "order_id": key,
        "placed_at": row.get("creationDate"),
        "updated_at": row.get("lastModifiedDate"),
        "cancelled": cancelled,
        "test": False,
        "lines": [_line(item) for item in items],
        "reversals": _cancelled(row, items, status, key) if cancelled else _refunded(row, items, key),
    }
    # How much of a line that is sent in part has left, eBay does not say here.
    whole = [item for item in items if item.get("lineItemFulfillmentStatus") == "FULFILLED"]
    fulfilled = [{"line_id": item["lineItemId"], "quantity": item.get("quantity")} for item in whole]
    return {**document, "fulfilled": fulfilled} if fulfilled else document


def listing_ref(item: Mapping[str, Any]) -> Any:
    """The SKU. A line of a listing without one (made by hand, or by the Trading API) is named by eBay's item."""
    sku = item.get("sku")
    if sku not in (None, ""):
        return sku
    parts = [item.get("legacyItemId"), item.get("legacyVariationId")]
    named = "/".join(str(part) for part in parts if part not in (None, "", "0", 0))
    return f"item:{named}" if named else None


def _line(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "line_id": item.get("lineItemId"),
        "listing_ref": listing_ref(item),
        "sku": item.get("sku"),
        "quantity": item.get("quantity"),
    }


def _cancelled(
    row: Mapping[str, Any], items: Sequence[Mapping[str, Any]], status: Mapping[str, Any], key: str
) -> list[dict[str, Any]]:
    requests = _objects(status.get("cancelRequests") or [], key, "cancelRequests")
    done = [one for one in requests if _text_of(one.get("cancelRequestState")) == "COMPLETED"] or list(requests)
    reason = _reason(done[-1].get("cancelReason")) if done else ReversalReason.OTHER
    _refuse_containers([status.get("cancelledDate")], key)
    at = status.get("cancelledDate") or row.get("lastModifiedDate")
    return [_whole(item, ReversalKind.CANCELLATION, reason, at) for item in items]


def _refunded(row: Mapping[str, Any], items: Sequence[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    everything = row.get("orderPaymentStatus") == "FULLY_REFUNDED"
    found = []
    for item in items:
        refunds = _objects(item.get("refunds") or [], key, "refunds")
        made = [one for one in refunds if isinstance(one.get("refundDate"), str)]
        if everything or (made and _paid_back(made) >= _cost(item)):
            dates = sorted(str(one["refundDate"]) for one in made)
            sent = item.get("lineItemFulfillmentStatus") not in (None, "NOT_STARTED")
            kind = ReversalKind.RETURN if sent else ReversalKind.REFUND
            at = dates[-1] if dates else row.get("lastModifiedDate")
            found.append(_whole(item, kind, ReversalReason.OTHER, at))
    return found


def _whole(item: Mapping[str, Any], kind: ReversalKind, reason: ReversalReason, at: Any) -> dict[str, Any]:
    """The id does not name the way: a line that is refunded and whose order is then cancelled was reversed once."""
    return {
        "reversal_id": f"closed:{item['lineItemId']}",
        "line_id": item["lineItemId"],
        "quantity": item.get("quantity"),
        "kind": kind.value,
        "reason": reason.value,
        "restocked": None,
        "occurred_at": at,
    }


def _reason(text: Any) -> ReversalReason:
    if not isinstance(text, str):
        return ReversalReason.OTHER
    word = re.sub(r"[^A-Z]+", "_", text.upper().replace("'", ""))
    return next((reason for part, reason in _REASONS if part in word), ReversalReason.OTHER)


def _paid_back(refunds: Sequence[Mapping[str, Any]]) -> Decimal:
    return sum((_money(one.get("amount")) or Decimal(0) for one in refunds), Decimal(0))


def _cost(item: Mapping[str, Any]) -> Decimal:
    """What the line cost after its discounts; infinite where it is not told, so that no refund reaches it."""
    for name in ("discountedLineItemCost", "lineItemCost"):
        cost = _money(item.get(name))
        if cost is not None and cost > 0:
            return cost
    return Decimal("Infinity")


def _money(amount: Any) -> Decimal | None:
    value = amount.get("value") if isinstance(amount, Mapping) else None
    try:
        found = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() else None


def _object(value: Any, key: str, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UntranslatableError(key, f"{name} is {_shape(value)}, not an object")
    return value


def _objects(value: Any, key: str, name: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise UntranslatableError(key, f"{name} is {_shape(value)}, not a list of objects")
    return value


def _refuse_containers(values: Sequence[Any], key: str) -> None:
    """A strange number or text is for the gate to judge; what else could be in an object, nobody knows."""
    if any(isinstance(value, list | Mapping) for value in values):
        raise UntranslatableError(key, "a list or an object stands where a plain value belongs")


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _shape(value: Any) -> str:
    return "absent" if value is None else f"of type {type(value).__name__}"
