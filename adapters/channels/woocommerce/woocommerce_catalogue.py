"""What a WooCommerce shop lists: its products, and the variations of the variable ones."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapters.channels.protocol import CatalogueEntry, CataloguePage, Defect
from adapters.channels.woocommerce.woocommerce_client import WooCommerceClient, chunks
from adapters.channels.woocommerce.woocommerce_orders import order_number, units

PRODUCT_FIELDS = "id,name,type,status,sku,manage_stock,stock_quantity,backorders,variations"
VARIATION_FIELDS = "id,status,sku,manage_stock,stock_quantity,backorders,attributes"
SOLD_ELSEWHERE = frozenset({"grouped", "external"})
"""A group is sold as its products, an external product at another shop."""

Row = Mapping[str, Any]


def read_catalogue(client: WooCommerceClient, page_size: int) -> Iterator[CataloguePage]:
    """See the protocol. A variable product is an entry only where it counts for its variations: then the stock is
    written to it, and a variation that shares it is not `stocked_here`. The shop has no locations."""
    rows = client.walk("/products", {"_fields": PRODUCT_FIELDS}, page_size)
    for part in chunks(rows, page_size):
        page = CataloguePage([])
        for place, row in enumerate(part):
            if order_number(row) is None:
                page.defects.append(Defect(f"row {place} of a page", "a product without an id"))
            elif not _variable(row):
                if str(row.get("type")) not in SOLD_ELSEWHERE:
                    page.entries.append(_entry(str(row["id"]), row, row, _text(row.get("name"))))
            else:
                if row.get("manage_stock") is True:
                    page.entries.append(_entry(str(row["id"]), row, row, _text(row.get("name"))))
                _add_variations(page, row, client, page_size)
        yield page


def _add_variations(page: CataloguePage, parent: Row, client: WooCommerceClient, page_size: int) -> None:
    path = f"/products/{parent['id']}/variations"
    for row in client.walk(path, {"_fields": VARIATION_FIELDS}, page_size):
        if order_number(row) is None:
            page.defects.append(Defect(str(parent["id"]), "a variation without an id"))
            continue
        options = [_text(each.get("option")) for each in _objects(row.get("attributes"))]
        title = ", ".join([_text(parent.get("name")), *filter(None, options)])
        page.entries.append(_entry(f"{parent['id']}/{row['id']}", row, parent, title))


def _entry(ref: str, row: Row, parent: Row, title: str) -> CatalogueEntry:
    managed, backorders = row.get("manage_stock"), row.get("backorders")
    quantity = units(row.get("stock_quantity"))
    on_sale = parent.get("status") == "publish" and row.get("status") in ("publish", True)
    return CatalogueEntry(
        listing_ref=ref,
        sku=_text(row.get("sku")),
        title=title,
        quantity=quantity if managed in (True, "parent") else None,
        tracked=managed in (True, "parent") if isinstance(managed, bool | str) else None,
        oversell_allowed=backorders != "no" if isinstance(backorders, str) else None,
        on_sale=on_sale,
        stocked_here=managed is True or (None if managed is False else False),
    )


def _variable(row: Row) -> bool:
    return str(row.get("type")).startswith("variable") or bool(row.get("variations"))


def _objects(value: Any) -> Sequence[Row]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
