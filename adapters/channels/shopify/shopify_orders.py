"""Shopify's order, as GraphQL answers it, into the channel-neutral document. Pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.channels.protocol import OrderDocument
from inventory.words import ReversalKind, ReversalReason

MOST_UNITS_GONE = 100_000
UNCLEAR = 10**18

_REASONS = {
    "INVENTORY": ReversalReason.INVENTORY,
    "CUSTOMER": ReversalReason.CUSTOMER,
    "FRAUD": ReversalReason.FRAUD,
    "DECLINED": ReversalReason.PAYMENT,
}
_KINDS = {"CANCEL": ReversalKind.CANCELLATION, "RETURN": ReversalKind.RETURN}


class Untranslatable(Exception):
    """A part of an answer has not the shape of the vendor's schema. Names no value, only a shape."""


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund and all its lines, as answered."""

    refund_id: str
    processed_at: Any
    lines: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Connection:
    nodes: list[Any]
    next_cursor: str | None
    """None on the last page."""


def connection(parent: Any, name: str) -> Connection:
    """A GraphQL connection's page. A page whose continuation is unclear is untranslatable, never the last."""
    found = mapping(parent, f"the parent of {name}").get(name)
    page = mapping(found, name)
    info = mapping(page.get("pageInfo"), f"{name}.pageInfo")
    nodes, more, cursor = page.get("nodes"), info.get("hasNextPage"), info.get("endCursor")
    if not isinstance(nodes, list):
        raise Untranslatable(f"{name}.nodes is {_shape(nodes)}")
    if not isinstance(more, bool) or (more and not isinstance(cursor, str)):
        raise Untranslatable(f"{name}.pageInfo does not say how to go on")
    return Connection(nodes, cursor if more else None)


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Untranslatable(f"{name} is {_shape(value)}")
    return value


def refund_ids(order: Any) -> list[str]:
    refunds = mapping(order, "the order").get("refunds")
    if not isinstance(refunds, list):
        raise Untranslatable(f"refunds is {_shape(refunds)}")
    ids = [mapping(refund, "a refund").get("id") for refund in refunds]
    if not all(isinstance(refund_id, str) for refund_id in ids):
        raise Untranslatable("a refund has no id")
    return [str(refund_id) for refund_id in ids]


def translate(
    node: Mapping[str, Any], lines: Sequence[Any], refunds: Iterable[Refund], location_id: str
) -> OrderDocument:
    """The document of an order whose lines and refunds have been read completely.

    The refunds must have been listed no earlier than the lines: else a refund that came in between
    would look like units that vanished, and would be counted twice. Raises Untranslatable.
    """
    items = [mapping(line, "a line") for line in lines]
    _refuse_containers(node, "id", "createdAt", "updatedAt", "cancelledAt", "test")
    for item in items:
        _refuse_containers(item, "id", "sku", "quantity", "currentQuantity")
    cancelled = node.get("cancelledAt") is not None
    reversals: list[dict[str, Any]] = []
    refunded: dict[Any, int] = {}
    for refund in refunds:
        for index, raw in enumerate(refund.lines):
            reversal = _refunded(node, refund, index, mapping(raw, "a refund line"), location_id)
            reversals.append(reversal)
            line_id, units = reversal["line_id"], _count(reversal["quantity"])
            # With a refund of a strange size nobody can say what else is gone from its line: assume nothing.
            refunded[line_id] = refunded.get(line_id, 0) + (UNCLEAR if units is None else units)
    for item in items:
        reversals.extend(_gone(node, item, refunded.get(item.get("id"), 0), cancelled))
        if len(reversals) > MOST_UNITS_GONE:
            raise Untranslatable(f"more than {MOST_UNITS_GONE} units of an order are gone")
    document: OrderDocument = {
        "order_id": node.get("id"),
        "placed_at": node.get("createdAt"),
        "updated_at": node.get("updatedAt"),
        "cancelled": cancelled,
        "test": node.get("test"),
        "lines": [_line(item) for item in items],
        "reversals": reversals,
    }
    fulfilled = [{"line_id": item.get("id"), "quantity": units} for item in items if (units := _sent(item))]
    return {**document, "fulfilled": fulfilled} if fulfilled else document


def _sent(item: Mapping[str, Any]) -> int:
    """Units that were fulfilled; 0 where it cannot be told. What was refunded or edited away counts as never sent,
    which says too little rather than too much."""
    names = ("quantity", "currentQuantity", "unfulfilledQuantity", "nonFulfillableQuantity")
    ordered, current, rest, never = (_count(item.get(name)) for name in names)
    if ordered is None or current is None or rest is None or never is None:
        return 0
    return max(0, ordered - rest - max(never, ordered - current))


def _line(item: Mapping[str, Any]) -> dict[str, Any]:
    variant = item.get("variant")
    stock_item = variant.get("inventoryItem") if isinstance(variant, dict) else None
    return {
        "line_id": item.get("id"),
        "listing_ref": _listing_ref(stock_item) if isinstance(stock_item, dict) else None,
        "sku": item.get("sku"),
        "quantity": item.get("quantity"),
    }


def _listing_ref(stock_item: Mapping[str, Any]) -> Any:
    _refuse_containers(stock_item, "id")
    return stock_item.get("id")


def _refunded(
    node: Mapping[str, Any], refund: Refund, index: int, raw: Mapping[str, Any], location_id: str
) -> dict[str, Any]:
    _refuse_containers({**raw, "processedAt": refund.processed_at}, "id", "quantity", "processedAt")
    line = raw.get("lineItem")
    if isinstance(line, dict):
        _refuse_containers(line, "id")
    line_id = line.get("id") if isinstance(line, dict) else None
    location = raw.get("location")
    where = location.get("id") if isinstance(location, dict) else None
    restocked = raw.get("restocked")
    kind = _KINDS.get(str(raw.get("restockType")), ReversalKind.REFUND)
    if kind is ReversalKind.REFUND and node.get("cancelledAt") is not None:
        # Only what has not been sent can be cancelled: this is the cancellation, without a restock.
        kind = ReversalKind.CANCELLATION
    return {
        # The vendor's id of a refund line may be null; a refund does not change, so its place is stable.
        "reversal_id": raw.get("id") or f"{refund.refund_id}:{line_id}:{index}",
        "line_id": line_id,
        "quantity": raw.get("quantity"),
        "kind": kind.value,
        "reason": _reason(node).value,
        # Put back somewhere else is not put back on the counter that we read and write.
        "restocked": restocked and where in (None, location_id) if isinstance(restocked, bool) else restocked,
        "occurred_at": refund.processed_at,
    }


def _gone(node: Mapping[str, Any], item: Mapping[str, Any], refunded: int, cancelled: bool) -> Iterable[dict[str, Any]]:
    """Units that are no longer ordered though no refund says so: edited away, or cancelled unpaid.

    One reversal for each unit, numbered: the number gone only grows, so each pull repeats the ids of
    the one before and adds new ones. An id for the whole amount would be counted again as it grows.
    """
    ordered, current = _count(item.get("quantity")), _count(item.get("currentQuantity"))
    if ordered is None or current is None:
        return []
    gone = (ordered if cancelled else ordered - current) - refunded
    if gone > MOST_UNITS_GONE:
        raise Untranslatable(f"more than {MOST_UNITS_GONE} units of a line are gone without a refund")
    return [
        {
            "reversal_id": f"{item.get('id')}:gone:{unit}",
            "line_id": item.get("id"),
            "quantity": 1,
            "kind": ReversalKind.CANCELLATION.value,
            "reason": _reason(node).value,
            "restocked": None,
            "occurred_at": node.get("cancelledAt") or node.get("updatedAt"),
        }
        for unit in range(1, gone + 1)
    ]


def _reason(node: Mapping[str, Any]) -> ReversalReason:
    """Shopify gives a reason for the cancelled order, none for a refund or an edit."""
    return _REASONS.get(str(node.get("cancelReason")), ReversalReason.OTHER)


def _count(value: Any) -> int | None:
    """The value when it is a number of units, else None: the gate judges the strange ones, not we."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _refuse_containers(owner: Mapping[str, Any], *names: str) -> None:
    """A strange number or text is for the gate to judge; what else could be in an object, nobody knows."""
    if any(isinstance(owner.get(name), list | dict) for name in names):
        raise Untranslatable("a list or an object stands where a plain value belongs")


def _shape(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
