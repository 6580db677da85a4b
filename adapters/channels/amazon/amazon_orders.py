"""Amazon's order (Orders API 2026-01-01), translated. Pure: no wire, no clock.

Only what an `OrderDocument` names is taken; buyer, recipient and money end here, should they ever come.
An order counts as sold from PENDING on, for Amazon has taken its units off the shelf then.
"""

from collections.abc import Mapping
from typing import Any

from adapters.channels.protocol import OrderDocument
from inventory.words import ReversalKind, ReversalReason

MOST_UNITS_GONE = 100_000

_REASONS = {
    "noinventory": ReversalReason.INVENTORY,
    "outofstock": ReversalReason.INVENTORY,
    "buyercanceled": ReversalReason.CUSTOMER,
    "buyercancelled": ReversalReason.CUSTOMER,
    "buyerrequestedcancel": ReversalReason.CUSTOMER,
    "customerexchange": ReversalReason.CUSTOMER,
    "customerreturn": ReversalReason.CUSTOMER,
    "paymentfailed": ReversalReason.PAYMENT,
    "paymentdeclined": ReversalReason.PAYMENT,
    "paymentnotverified": ReversalReason.PAYMENT,
    "fraud": ReversalReason.FRAUD,
    "riskassessmentinformationnotvalid": ReversalReason.FRAUD,
    "merchandisedamaged": ReversalReason.DAMAGED,
    "damaged": ReversalReason.DAMAGED,
}
"""`cancelReason` is a text without a list of values; these are the spellings of the vendor's order
acknowledgement and of notifications, letters alone and in lower case. Anything else is OTHER, or CUSTOMER
when the buyer cancelled."""


class UntranslatableError(Exception):
    """`key` names the order as well as it can be named. The message holds no value of the order."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def translate(row: Any, place: str) -> OrderDocument | None:
    """One order; None when Amazon's own warehouse fulfils it (its units are not ours).

    `place` names a row without an id. A strange value inside the shape is passed on as it came; raises
    UntranslatableError where the shape is wrong.
    """
    order = _mapping(row, place, "the order")
    order_id = order.get("orderId")
    if not isinstance(order_id, str) or not order_id:
        raise UntranslatableError(place, f"the order's id is {_shape(order_id)}")
    fulfilment = _mapping(order.get("fulfillment"), order_id, "fulfillment")
    if fulfilment.get("fulfilledBy") == "AMAZON":
        return None
    status = fulfilment.get("fulfillmentStatus")
    if not isinstance(status, str):
        raise UntranslatableError(order_id, f"fulfillmentStatus is {_shape(status)}")
    placed_at, updated_at = order.get("createdTime"), order.get("lastUpdatedTime")
    _refuse_containers((placed_at, updated_at), order_id)
    items = order.get("orderItems")
    if not isinstance(items, list):
        raise UntranslatableError(order_id, f"orderItems is {_shape(items)}")
    lines, reversals, fulfilled = [], [], []
    for raw in items:
        item = _mapping(raw, order_id, "an item")
        lines.append(_line(item, order_id))
        reversals.extend(_cancelled(item, lines[-1], status == "CANCELLED", updated_at, order_id))
        if len(reversals) > MOST_UNITS_GONE:
            raise UntranslatableError(order_id, f"more than {MOST_UNITS_GONE} units of an order are cancelled")
        if sent := _progress(item)[0]:
            fulfilled.append({"line_id": lines[-1]["line_id"], "quantity": sent})
    document: OrderDocument = {
        "order_id": order_id,
        "placed_at": placed_at,
        "updated_at": updated_at,
        "cancelled": status == "CANCELLED",
        "test": False,
        "lines": lines,
        "reversals": reversals,
    }
    return {**document, "fulfilled": fulfilled} if fulfilled else document


def order_key(row: Any, place: str) -> str:
    """The order's id, or where it stood."""
    order_id = row.get("orderId") if isinstance(row, Mapping) else None
    return order_id if isinstance(order_id, str) and order_id else place


def _line(item: Mapping[str, Any], order_id: str) -> dict[str, Any]:
    product = _mapping(item.get("product"), order_id, "product")
    sku, line_id, quantity = product.get("sellerSku"), item.get("orderItemId"), item.get("quantityOrdered")
    _refuse_containers((sku, line_id, quantity), order_id)
    return {"line_id": line_id, "listing_ref": sku, "sku": sku, "quantity": quantity}


def _cancelled(
    item: Mapping[str, Any], line: Mapping[str, Any], whole: bool, at: Any, order_id: str
) -> list[dict[str, Any]]:
    """Units of an item that will not be sent: ordered, neither sent nor still to be sent.

    One reversal for each unit, numbered: the number only grows, so each pull repeats the ids of the one
    before. A buyer's *request* to cancel is none: the seller may refuse it.
    """
    cancellation = item.get("cancellation")
    execution = cancellation.get("cancellationExecution") if isinstance(cancellation, Mapping) else None
    ordered = _count(line["quantity"])
    if ordered is None:
        return []
    sent, open_ = _progress(item)
    if whole or (isinstance(execution, Mapping) and sent is None):
        gone = ordered - (sent or 0)
    elif sent is not None and open_ is not None:
        gone = ordered - sent - open_
    else:
        gone = 0
    if gone > MOST_UNITS_GONE:
        raise UntranslatableError(order_id, f"more than {MOST_UNITS_GONE} units of an item are cancelled")
    reason = _reason(execution)
    return [
        {
            "reversal_id": f"{line['line_id']}:cancelled:{unit}",
            "line_id": line["line_id"],
            "quantity": 1,
            "kind": ReversalKind.CANCELLATION.value,
            "reason": reason.value,
            # Amazon puts them back on its counter by itself, unless the seller said that there were none.
            "restocked": reason is not ReversalReason.INVENTORY,
            "occurred_at": at,
        }
        for unit in range(1, gone + 1)
    ]


def _progress(item: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Units sent, and units still to be sent; None where it does not say."""
    found = item.get("fulfillment")
    if not isinstance(found, Mapping):
        return None, None
    return _count(found.get("quantityFulfilled")), _count(found.get("quantityUnfulfilled"))


def _reason(execution: Any) -> ReversalReason:
    if not isinstance(execution, Mapping):
        return ReversalReason.OTHER
    text = execution.get("cancelReason")
    letters = "".join(sign for sign in text.lower() if sign.isalpha()) if isinstance(text, str) else ""
    by_buyer = execution.get("cancelledBy") == "BUYER"
    return _REASONS.get(letters, ReversalReason.CUSTOMER if by_buyer else ReversalReason.OTHER)


def _mapping(value: Any, key: str, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UntranslatableError(key, f"{name} is {_shape(value)}, not an object")
    return value


def _refuse_containers(values: tuple[Any, ...], key: str) -> None:
    """A strange number or text is for the gate to judge; what else could be in an object, nobody knows."""
    if any(isinstance(value, list | Mapping) for value in values):
        raise UntranslatableError(key, "a list or an object stands where a plain value belongs")


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _shape(value: Any) -> str:
    return "absent" if value is None else f"of type {type(value).__name__}"
