"""The JSON of BigCommerce's orders v2, refunds, inventory and catalogue v3, as an imitated store writes it.

Source of the shapes: the vendor's OpenAPI documents and their examples. Money of v2 is a text, its dates are those
of e-mails; money of v3 is a number, its dates are RFC 3339.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from adapters.sandbox.bigcommerce.bigcommerce_state import ELSEWHERE, LOCATION, Store
from adapters.sandbox.shop import Line, Order, Product, Reversal

Document = dict[str, Any]
PRICE = 10
STATUSES = {
    0: "Incomplete",
    4: "Refunded",
    5: "Cancelled",
    6: "Declined",
    11: "Awaiting Fulfillment",
    14: "Partially Refunded",
}
PAYMENTS = {4: "refunded", 14: "partially refunded", 6: "declined"}


def email_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0))


def order_document(order: Order, store: Store, *, lines: bool, base: str) -> Document:
    """`lines`: they were asked for with the order."""
    products = product_lines(order, store)
    status = store.status_of(order)
    address = _address(order)
    document: Document = {
        "id": order.number,
        "customer_id": 0,
        "date_created": email_date(order.placed_at),
        "date_modified": email_date(order.updated_at),
        "date_shipped": "",
        "status_id": status,
        "status": STATUSES.get(status, "Completed"),
        "items_total": sum(line["quantity"] for line in products),
        "items_shipped": 0,
        "total_inc_tax": _money(sum(line["quantity"] for line in products) * PRICE),
        "payment_method": "Credit Card",
        "payment_status": PAYMENTS.get(status, "captured"),
        "refunded_amount": _money(0),
        "currency_code": "EUR",
        "staff_notes": f"called {order.buyer.phone}",
        "customer_message": order.buyer.note,
        "billing_address": {**address, "form_fields": [{"name": "VAT holder", "value": order.buyer.name}]},
        "is_deleted": False,
        "order_source": "www",
        "channel_id": 1,
        "external_id": None,
        "products": _link(base, order, "products"),
        "shipping_addresses": _link(base, order, "shipping_addresses"),
        "coupons": _link(base, order, "coupons"),
    }
    if not lines:
        return {**document, "consignments": _link(base, order, "consignments")}
    items: Any = [_link(base, order, "products")] if store.habits.links_lines else products
    shipping = [{"id": order.number, **address, "items_total": len(products), "line_items": items}]
    return {**document, "consignments": {"pickups": [], "shipping": shipping, "downloads": []}}


def product_lines(order: Order, store: Store) -> list[Document]:
    """A line whose units were all edited away is gone."""
    found = []
    for line in order.lines:
        removed = _reversed(order, line, "remove")
        if line.quantity > removed:
            found.append(_line(order, line, line.quantity - removed, store))
    return found


def refund_documents(order: Order) -> list[Document]:
    """One an action. Units that came back otherwise, or were edited away, leave none."""
    batches: dict[int, list[Reversal]] = {}
    for reversal in order.reversals:
        if reversal.how == "refund":
            batches.setdefault(reversal.batch, []).append(reversal)
    return [_refund(order, batch, made) for batch, made in sorted(batches.items())]


def item_document(product: Product, store: Store, locations: Sequence[int]) -> Document:
    safety = store.safety.get(product.number, 0)
    product_id = store.product_id(product.number)
    shown = {LOCATION: product.quantity, ELSEWHERE: sum(product.elsewhere.values())}
    identity = {"sku": product.sku, "variant_id": product.number, "product_id": product_id}
    if product_id in store.whole:
        del identity["variant_id"]
    return {
        "identity": identity,
        "locations": [
            {
                "location_id": location,
                "location_code": f"BC-LOCATION-{location}",
                "location_name": f"Location {location}",
                "available_to_sell": shown[location],
                "total_inventory_onhand": shown[location] + (safety if location == LOCATION else 0),
                "location_enabled": True,
                "settings": {
                    "safety_stock": safety if location == LOCATION else 0,
                    "is_in_stock": True,
                    "warning_level": 0,
                },
            }
            for location in locations
        ],
    }


def product_document(product_id: int, store: Store, *, variants: bool) -> Document:
    below = store.variants(product_id)
    simple = store.is_simple(product_id)
    document: Document = {
        "id": product_id,
        "name": below[0].title if simple else "Family",
        "sku": below[0].sku if simple else "",
        "inventory_level": sum(max(0, product.quantity) for product in below),
        "inventory_tracking": store.tracking(product_id),
        "is_visible": True,
        "availability": store.availability(product_id),
        "base_variant_id": below[0].number if simple else None,
    }
    return (
        {**document, "variants": [_variant(product, product_id, simple) for product in below]} if variants else document
    )


def error_document(status: int, title: str) -> Document:
    return {"status": status, "title": title, "type": "/api-docs/getting-started/api-status-codes", "errors": {}}


def _variant(product: Product, product_id: int, simple: bool) -> Document:
    option = {"id": product.number, "label": product.title, "option_id": 1, "option_display_name": "Kind"}
    return {
        "id": product.number,
        "product_id": product_id,
        "sku": product.sku,
        "inventory_level": max(0, product.quantity),
        "purchasing_disabled": not product.listed and not simple,
        "option_values": [] if simple else [option],
    }


def _line(order: Order, line: Line, quantity: int, store: Store) -> Document:
    refunded = _reversed(order, line, "refund")
    return {
        "id": line.number,
        "order_id": order.number,
        "product_id": store.product_id(line.product.number),
        "variant_id": line.product.number,
        "name": line.product.title,
        "sku": line.sku,
        "type": "physical",
        "base_price": _money(PRICE),
        "quantity": quantity,
        "is_refunded": refunded >= quantity,
        "quantity_refunded": refunded,
        "wrapping_message": order.buyer.note,
        "parent_order_product_id": None,
        "product_options": [
            {"id": line.number, "display_name": "Engraving", "display_value": order.buyer.name, "type": "Text field"}
        ],
    }


def _refund(order: Order, batch: int, made: Sequence[Reversal]) -> Document:
    amount = sum(reversal.quantity for reversal in made) * PRICE
    return {
        "id": batch,
        "order_id": order.number,
        "user_id": 1,
        "created": made[0].occurred_at.astimezone(UTC).isoformat(timespec="seconds"),
        "reason": f"as agreed with {order.buyer.name}",
        "total_amount": amount,
        "total_tax": 0,
        "items": [
            {
                "item_type": "PRODUCT",
                "item_id": reversal.line,
                "reason": f"{order.buyer.name} asked",
                "quantity": reversal.quantity,
                "requested_amount": reversal.quantity * PRICE,
            }
            for reversal in made
        ]
        + [{"item_type": "SHIPPING", "item_id": order.number, "reason": "", "requested_amount": 0}],
        "payments": [
            {"id": batch, "provider_id": "braintree", "amount": amount, "offline": False, "is_declined": False}
        ],
    }


def _address(order: Order) -> Document:
    return {
        "first_name": order.buyer.name,
        "last_name": "",
        "street_1": order.buyer.street,
        "city": "Springfield",
        "zip": "12345",
        "country": "Germany",
        "country_iso2": "DE",
        "phone": order.buyer.phone,
        "email": order.buyer.email,
    }


def _link(base: str, order: Order, name: str) -> Document:
    resource = f"/orders/{order.number}/{name}"
    return {"url": f"{base}{resource}", "resource": resource}


def _reversed(order: Order, line: Line, how: str) -> int:
    return sum(one.quantity for one in order.reversals if one.line == line.number and one.how == how)


def _money(amount: int) -> str:
    return f"{amount:.4f}"
