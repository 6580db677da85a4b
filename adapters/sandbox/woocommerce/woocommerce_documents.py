"""The JSON of WooCommerce REST wc/v3, as an imitated shop writes it.

Source of the shapes: the vendor's REST documentation and its examples: money is a string, dates have
no offset, `…_gmt` is UTC and its sibling is the site's own time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.sandbox.shop import Line, Order, Product, Reversal

Document = dict[str, Any]
PRICE = 10
NOT_COMPLETED = {"date_completed": None, "date_completed_gmt": None}
REFUND_NOTES = {
    "customer": "Customer changed their mind",
    "payment": "Payment failed",
    "fraud": "Fraud",
    "inventory": "Out of stock",
    "damaged": "Damaged",
}


@dataclass(slots=True)
class Catalogue:
    """What the shop core does not know: which of its products are variations of a variable product."""

    parents: dict[int, int] = field(default_factory=dict)
    """Number of a product that is a variation → id of its variable product."""
    shared: dict[int, int] = field(default_factory=dict)
    """Id of a variation without stock of its own → number of the variable product that counts for it."""

    sold_out: set[int] = field(default_factory=set)
    """Numbers of products that are not counted and were set out of stock by hand."""

    def listing_ref(self, number: int) -> str:
        parent = self.parents.get(number)
        return str(number) if parent is None else f"{parent}/{number}"


@dataclass(frozen=True, slots=True)
class Site:
    base: str
    """`https://shop.example/wp-json/wc/v3`"""
    offset: timedelta
    """The site's own time less UTC."""

    def dates(self, name: str, moment: datetime) -> Document:
        return {name: stamp(moment + self.offset), f"{name}_gmt": stamp(moment)}


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def status_of(order: Order, statuses: Mapping[int, str]) -> str:
    """`statuses` holds what a person set by hand; else it follows from what happened to the order."""
    if order.number in statuses:
        return statuses[order.number]
    if any(reversal.how == "cancel" for reversal in order.reversals):
        return "failed" if order.cancel_reason == "payment" else "cancelled"
    if all(line.reversed >= line.quantity for line in order.lines):
        return "refunded"
    return "cancelled" if order.cancelled_at else "processing"


def order_document(order: Order, status: str, catalogue: Catalogue, site: Site) -> Document:
    total = sum(line.quantity for line in order.lines) * PRICE
    address = {
        "first_name": order.buyer.name,
        "last_name": "",
        "company": "",
        "address_1": order.buyer.street,
        "address_2": "",
        "city": "Springfield",
        "state": "",
        "postcode": "12345",
        "country": "DE",
    }
    return {
        "id": order.number,
        "parent_id": 0,
        "number": str(order.number),
        "order_key": f"wc_order_{order.number:x}",
        "created_via": "checkout",
        "version": "9.4.0",
        "status": status,
        "currency": "EUR",
        **site.dates("date_created", order.placed_at),
        **site.dates("date_modified", order.updated_at),
        **(site.dates("date_completed", order.updated_at) if status == "completed" else NOT_COMPLETED),
        "total": _money(total),
        "total_tax": "0.00",
        "prices_include_tax": True,
        "customer_id": 0,
        "customer_ip_address": "",
        "customer_user_agent": "",
        "customer_note": order.buyer.note,
        "billing": {**address, "email": order.buyer.email, "phone": order.buyer.phone},
        "shipping": address,
        "payment_method": "bacs",
        "transaction_id": "",
        "meta_data": _order_meta(order),
        "line_items": [item for line in order.lines if (item := _line(order, line, catalogue))["quantity"]],
        "tax_lines": [],
        "shipping_lines": [],
        "fee_lines": [],
        "coupon_lines": [],
        "refunds": [
            {"id": refund["id"], "reason": refund["reason"], "total": f"-{refund['amount']}"}
            for refund in refund_documents(order, catalogue, site)
        ],
        "_links": {"self": [{"href": f"{site.base}/orders/{order.number}"}]},
    }


def refund_documents(order: Order, catalogue: Catalogue, site: Site) -> list[Document]:
    """One document an action. Units edited away (`remove`) leave none, as in the vendor's shop."""
    batches: dict[int, list[Reversal]] = {}
    for reversal in order.reversals:
        if reversal.how == "refund":
            batches.setdefault(reversal.batch, []).append(reversal)
    lines = {line.number: line for line in order.lines}
    newest_first = sorted(batches.items(), reverse=True)
    return [_refund(order, batch, made, lines, catalogue, site) for batch, made in newest_first]


def product_document(product: Product, catalogue: Catalogue, site: Site, now: datetime) -> Document:
    return {
        "id": product.number,
        "name": product.title,
        "slug": product.sku.lower(),
        **site.dates("date_created", now),
        **site.dates("date_modified", now),
        "type": "simple",
        "status": _status(product, catalogue),
        "sku": product.sku,
        "price": _money(PRICE),
        "regular_price": _money(PRICE),
        **_stock(product, catalogue),
        "parent_id": 0,
        "variations": [],
        "meta_data": [],
        "_links": {"self": [{"href": f"{site.base}/products/{product.number}"}]},
    }


def variable_document(number: int, stock: Product | None, catalogue: Catalogue) -> Document:
    """A variable product; `stock` when it counts for its variations."""
    known = {**catalogue.parents, **catalogue.shared}
    return {
        "id": number,
        "name": f"Variable {number}",
        "type": "variable",
        "status": "publish",
        "sku": stock.sku if stock else "",
        **_stock(stock, catalogue),
        "variations": sorted(variation for variation, parent in known.items() if parent == number),
        "meta_data": [],
    }


def variation_document(number: int, product: Product, catalogue: Catalogue, *, shared: bool) -> Document:
    return {
        "id": number,
        "sku": "" if shared else product.sku,
        "price": _money(PRICE),
        "status": _status(product, catalogue),
        **_stock(product, catalogue),
        **({"manage_stock": "parent"} if shared else {}),
        "attributes": [{"id": 1, "name": "Kind", "option": product.title}],
        "meta_data": [],
    }


def error_body(code: str, message: str, status: int, **data: Any) -> Document:
    return {"code": code, "message": message, "data": {"status": status, **data}}


def _order_meta(order: Order) -> list[Document]:
    meta = [{"id": order.number * 10, "key": "_billing_vat_holder", "value": order.buyer.name}]
    if order.hold is not None:
        meta.append({"id": order.number * 10 + 1, "key": "_onhand_hold", "value": order.hold})
    return meta


def _status(product: Product, catalogue: Catalogue) -> str:
    return "publish" if product.listed or product.number in catalogue.sold_out else "draft"


def _stock(product: Product | None, catalogue: Catalogue) -> Document:
    if product is None or not product.tracked:
        status = "outofstock" if product is not None and product.number in catalogue.sold_out else "instock"
        return {"manage_stock": False, "stock_quantity": None, "stock_status": status, "backorders": "no"}
    backorders = "yes" if product.oversell_allowed else "no"
    sold_out = "onbackorder" if product.oversell_allowed else "outofstock"
    return {
        "manage_stock": True,
        "stock_quantity": product.quantity,
        "stock_status": "instock" if product.quantity > 0 else sold_out,
        "backorders": backorders,
    }


def _line(order: Order, line: Line, catalogue: Catalogue) -> Document:
    made = [reversal for reversal in order.reversals if reversal.line == line.number]
    removed = sum(reversal.quantity for reversal in made if reversal.how == "remove")
    reduced = line.quantity - sum(reversal.quantity for reversal in made if reversal.restocked)
    meta = [{"id": line.number * 10, "key": "Engraving", "value": order.buyer.name}]
    if reduced > 0 and line.product.tracked:
        # How many units of the line are off the shop's counter now; a restored line has none.
        meta.append({"id": line.number * 10 + 1, "key": "_reduced_stock", "value": str(reduced)})
    return {"id": line.number, **_item(line, catalogue, line.quantity - removed), "meta_data": meta}


def _refund(
    order: Order, batch: int, made: list[Reversal], lines: Mapping[int, Line], catalogue: Catalogue, site: Site
) -> Document:
    items = [
        {
            "id": reversal.number,
            **_item(lines[reversal.line], catalogue, -reversal.quantity),
            "meta_data": [{"id": reversal.number * 10, "key": "_refunded_item_id", "value": str(reversal.line)}],
        }
        for reversal in made
    ]
    return {
        "id": batch,
        **site.dates("date_created", made[0].occurred_at),
        "amount": _money(sum(reversal.quantity for reversal in made) * PRICE),
        "reason": REFUND_NOTES.get(made[0].reason, f"as agreed with {order.buyer.name}"),
        "refunded_by": 1,
        "refunded_payment": False,
        "meta_data": [],
        "line_items": items,
        "_links": {"up": [{"href": f"{site.base}/orders/{order.number}"}]},
    }


def _item(line: Line, catalogue: Catalogue, quantity: int) -> Document:
    parent = catalogue.parents.get(line.product.number)
    return {
        "name": line.product.title,
        "product_id": parent or line.product.number,
        "variation_id": line.product.number if parent else 0,
        "quantity": quantity,
        "tax_class": "",
        "subtotal": _money(quantity * PRICE),
        "subtotal_tax": "0.00",
        "total": _money(quantity * PRICE),
        "total_tax": "0.00",
        "taxes": [],
        "sku": line.sku,
        "price": PRICE,
    }


def _money(amount: int) -> str:
    return f"{amount:.2f}"
