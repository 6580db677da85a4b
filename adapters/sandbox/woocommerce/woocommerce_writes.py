"""A row of a WooCommerce batch, applied as the vendor does."""

from collections.abc import Callable
from typing import Any

from adapters.sandbox.shop import Product, Shop
from adapters.sandbox.woocommerce.woocommerce_documents import Catalogue, Document

VALUES: dict[str, Callable[[Any], bool]] = {
    "stock_quantity": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "manage_stock": lambda value: isinstance(value, bool),
    "backorders": lambda value: value in ("no", "notify", "yes"),
    "stock_status": lambda value: value in ("instock", "outofstock", "onbackorder"),
    "status": lambda value: value in ("publish", "draft", "pending", "private"),
}


def wrong_value(row: Document) -> str | None:
    """Name of a value that the vendor refuses."""
    return next((name for name, fits in VALUES.items() if name in row and not fits(row[name])), None)


def write(shop: Shop, catalogue: Catalogue, product: Product, row: Document) -> None:
    """The quantity of what is not counted stays as it is. Call with the shop's lock held."""
    was_out = product.number in catalogue.sold_out
    drafted = not product.listed and not was_out
    was_empty = product.tracked and product.quantity <= 0
    product.tracked = row.get("manage_stock", product.tracked)
    if not product.tracked:
        product.oversell_allowed = False
    elif "backorders" in row:
        product.oversell_allowed = row["backorders"] != "no"
    if product.tracked and "stock_quantity" in row:
        shop.set_quantity(product.number, row["stock_quantity"], by="api")
    # What is counted has its status from the number; what is not keeps the last that was said or shown.
    out = not product.tracked and row.get("stock_status", "outofstock" if was_out or was_empty else "") == "outofstock"
    (catalogue.sold_out.add if out else catalogue.sold_out.discard)(product.number)
    if "status" in row:
        drafted = row["status"] != "publish"
    product.listed = not drafted and not out
