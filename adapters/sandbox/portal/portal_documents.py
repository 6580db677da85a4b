"""The wholesale portal's state as its API shows it, personal data and all."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from adapters.sandbox.shop import Line, Order, Product, Reversal, Shop

Document = dict[str, Any]

_KINDS = {"cancel": "cancelled", "refund": "credited", "return": "returned"}
_REASONS = {
    "customer": "customer_request",
    "payment": "not_paid",
    "fraud": "fraud",
    "inventory": "not_available",
    "damaged": "damaged",
}


class Versions:
    """A number for each article that rises with every change of its stock. Ask with the shop's lock held."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._seen = 0
        self._changes: Counter[int] = Counter()
        shop.on_change.append(self._note)

    def of(self, product: Product) -> int:
        written = self._shop.written
        for one in written[self._seen :]:
            self._changes[one.number] += 1
        self._seen = len(written)
        return 1 + self._changes[product.number]

    def _note(self, order: Order, placed: bool) -> None:
        self._changes.update(line.product.number for line in order.lines)


def order_document(order: Order) -> Document:
    cancelled = order.cancelled_at is not None
    return {
        "id": str(order.number),
        "state": "cancelled" if cancelled else "confirmed",
        "placed_at": instant(order.placed_at),
        "changed_at": instant(order.updated_at),
        "test": order.test,
        "reservation_key": order.hold,
        "cancellation": {"reason": _reason(order.cancel_reason), "remark": order.buyer.note} if cancelled else None,
        "customer": {"company": f"{order.buyer.name} GmbH", "contact": order.buyer.name, "email": order.buyer.email},
        "ship_to": {"name": order.buyer.name, "street": order.buyer.street, "phone": order.buyer.phone},
        "remark": order.buyer.note,
        "lines": [_line(line) for line in order.lines],
        "adjustments": _adjustments(order),
    }


def stock_document(shop: Shop, product: Product, version: int) -> Document:
    return {
        "article": shop.naming.listing(product.number),
        "available": product.quantity if product.tracked else None,
        "counted": product.tracked,
        "backorder": product.oversell_allowed,
        "version": version,
    }


def article_document(shop: Shop, product: Product) -> Document:
    return {
        "article": shop.naming.listing(product.number),
        "sku": product.sku,
        "title": product.title,
        "available": product.quantity if product.tracked else None,
        "counted": product.tracked,
        "backorder": product.oversell_allowed,
        "listed": product.listed,
    }


def instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def instant_of(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _line(line: Line) -> Document:
    return {
        "id": str(line.number),
        "article": f"ART/{line.product.number}",
        "sku": line.sku,
        "ordered": line.quantity,
        "open": line.quantity - line.reversed,
    }


def _adjustments(order: Order) -> list[Document]:
    """One for each action. Units that were edited away are in none: only `open` of the line is lower."""
    batches: dict[int, list[Reversal]] = {}
    for reversal in order.reversals:
        if reversal.how in _KINDS:
            batches.setdefault(reversal.batch, []).append(reversal)
    return [_adjustment(batch, made) for batch, made in batches.items()]


def _adjustment(batch: int, made: list[Reversal]) -> Document:
    units: Counter[int] = Counter()
    for reversal in made:
        units[reversal.line] += reversal.quantity
    first = made[0]
    return {
        "id": f"ADJ-{batch}",
        "kind": _KINDS[first.how],
        "reason": _reason(first.reason),
        "restocked": first.restocked,
        "at": instant(first.occurred_at),
        "lines": [{"line": str(line), "quantity": quantity} for line, quantity in units.items()],
    }


def _reason(reason: str | None) -> str:
    return _REASONS.get(reason or "", "other")
