"""The shop's state as the values of Shopify's schema (`shopify_sdl`)."""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from adapters.sandbox.shop import Line, Order, Product, Reversal, Shop
from adapters.sandbox.shopify.shopify_locations import Locations

Values = dict[str, Any]

_CANCEL_REASONS = {
    "inventory": "INVENTORY",
    "customer": "CUSTOMER",
    "fraud": "FRAUD",
    "payment": "DECLINED",
}


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


def timestamp(moment: datetime) -> str:
    """As the vendor writes it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def cursor_of(key: Sequence[Any]) -> str:
    return base64.b64encode(json.dumps(list(key)).encode()).decode()


def key_of(cursor: str) -> list[Any]:
    """Raises ValueError for what is no cursor of ours."""
    key = json.loads(base64.b64decode(cursor, validate=True))
    if not isinstance(key, list):
        raise ValueError("invalid cursor")
    return key


def page(rows: Iterable[tuple[Sequence[Any], Any]], first: int | None, after: str | None) -> Values:
    """A connection over (sort key, value) rows, which are in the order of their keys."""
    if first is None or not 0 < first <= 250:
        raise ValueError("you must provide `first`, from 1 to 250")
    floor = key_of(after) if after else None
    left = [(list(key), value) for key, value in rows if floor is None or list(key) > floor]
    shown = left[:first]
    return {
        "nodes": [value for _, value in shown],
        "pageInfo": {"endCursor": cursor_of(shown[-1][0]) if shown else None, "hasNextPage": len(left) > first},
    }


class Documents:
    """The shop's state as the values of the schema. Call with the shop's lock held."""

    def __init__(self, shop: Shop, locations: Locations) -> None:
        self._shop = shop
        self._where = locations
        self._locations = locations.ids

    def order(self, order: Order) -> Values:
        buyer = order.buyer
        return {
            "__typename": "Order",
            "id": gid("Order", order.number),
            "name": f"#{order.number}",
            "createdAt": timestamp(order.placed_at),
            "updatedAt": timestamp(order.updated_at),
            "cancelledAt": timestamp(order.cancelled_at) if order.cancelled_at else None,
            "cancelReason": _CANCEL_REASONS.get(order.cancel_reason or "", "OTHER") if order.cancelled_at else None,
            "test": order.test,
            "email": buyer.email,
            "phone": buyer.phone,
            "note": buyer.note,
            "customer": {"displayName": buyer.name, "email": buyer.email, "phone": buyer.phone},
            "shippingAddress": {"name": buyer.name, "address1": buyer.street, "phone": buyer.phone},
            "lineItems": _paged([((line.number,), self._lazy_line(line)) for line in order.lines]),
            "refunds": lambda info, first=None: self.refunds(order)[:first],
        }

    def refunds(self, order: Order) -> list[Values]:
        batches: dict[int, list[Reversal]] = {}
        for reversal in order.reversals:
            if reversal.how != "remove":
                batches.setdefault(reversal.batch, []).append(reversal)
        return [self._refund(order, number, reversals) for number, reversals in batches.items()]

    def refund(self, number: int) -> Values | None:
        for order in self._shop.orders.values():
            if any(reversal.batch == number for reversal in order.reversals):
                return next((r for r in self.refunds(order) if r["id"] == gid("Refund", number)), None)
        return None

    def item(self, product: Product) -> Values:
        return {
            "__typename": "InventoryItem",
            "id": gid("InventoryItem", product.number),
            "sku": product.sku,
            "tracked": product.tracked,
            "variants": lambda info, first=None, after=None: page(
                [((product.number,), self.variant(product))], first, after
            ),
            "inventoryLevel": lambda info, locationId: self._level(product, locationId),
            "inventoryLevels": _paged(
                [((index,), self._level(product, where)) for index, where in enumerate(self._stocked(product))]
            ),
        }

    def _stocked(self, product: Product) -> list[str]:
        return [where for where in self._locations if where == self._locations[0] or where in product.elsewhere]

    def _level(self, product: Product, location_id: str) -> Values | None:
        if location_id not in self._stocked(product):
            return None
        sells = location_id == self._locations[0]
        available = product.quantity if sells else product.elsewhere[location_id]
        committed = product.committed if sells else 0
        by_name = {"available": available, "committed": committed, "on_hand": available + committed}
        return {
            "id": f"gid://shopify/InventoryLevel/{product.number}?inventory_item_id={product.number}",
            "isActive": True,
            "location": self._where.document(location_id),
            "quantities": lambda info, names: [
                {"name": name, "quantity": by_name[name]} for name in names if name in by_name
            ],
        }

    def variants(self) -> list[tuple[Sequence[Any], Values]]:
        return [((product.number,), self.variant(product)) for product in self._shop.products.values()]

    def variant(self, product: Product) -> Values:
        return {
            "id": gid("ProductVariant", product.number),
            "sku": product.sku,
            "displayName": f"{product.title} - Default Title",
            "product": {
                "id": gid("Product", product.number),
                "title": product.title,
                "status": "ACTIVE" if product.listed else "DRAFT",
                "publishedAt": timestamp(self._shop.now()) if product.listed else None,
            },
            "inventoryPolicy": "CONTINUE" if product.oversell_allowed else "DENY",
            "inventoryItem": lambda info: self.item(product),
        }

    def _lazy_line(self, line: Line) -> Values:
        return {
            "id": gid("LineItem", line.number),
            "sku": line.sku,
            "title": line.product.title,
            "quantity": line.quantity,
            "currentQuantity": line.quantity - line.reversed,
            "unfulfilledQuantity": line.quantity - line.reversed,
            "nonFulfillableQuantity": line.reversed,
            "variant": lambda info: self.variant(line.product),
        }

    def _refund(self, order: Order, number: int, reversals: Sequence[Reversal]) -> Values:
        at = timestamp(reversals[0].occurred_at)
        lines = {line.number: line for line in order.lines}
        return {
            "__typename": "Refund",
            "id": gid("Refund", number),
            "createdAt": at,
            "processedAt": at,
            "note": order.buyer.note,
            "refundLineItems": _paged([((r.number,), self._refund_line(r, lines[r.line])) for r in reversals]),
        }

    def _refund_line(self, reversal: Reversal, line: Line) -> Values:
        restock_type = "RETURN" if reversal.how == "return" else "CANCEL"
        return {
            "id": gid("RefundLineItem", reversal.number),
            "quantity": reversal.quantity,
            "restockType": restock_type if reversal.restocked else "NO_RESTOCK",
            "restocked": reversal.restocked,
            "location": self._where.document(self._locations[0]) if reversal.restocked else None,
            "lineItem": self._lazy_line(line),
        }


def _paged(rows: Sequence[tuple[Sequence[Any], Any]]) -> Callable[..., Values]:
    return lambda info, first=None, after=None: page(rows, first, after)
