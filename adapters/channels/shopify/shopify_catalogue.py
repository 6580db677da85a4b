"""What a Shopify shop lists: one entry for each variant, keyed by its inventory item."""

from collections.abc import Iterator
from typing import Any

from adapters.channels.protocol import CatalogueEntry, CataloguePage, Defect
from adapters.channels.shopify.shopify_client import ShopifyClient
from adapters.channels.shopify.shopify_orders import Untranslatable, connection, mapping
from adapters.channels.shopify.shopify_queries import READ_CATALOGUE
from adapters.http import ChannelFault, Resolution

VARIANTS_PER_PAGE = 150
ON_SALE = frozenset({"ACTIVE", "UNLISTED"})
"""An unlisted product is bought by whoever has its link."""

ONLY_VARIANT = " - Default Title"
"""What the vendor adds to the name of a product that comes in one kind only."""


def read_catalogue(client: ShopifyClient, code: str, location_id: str) -> Iterator[CataloguePage]:
    """See the protocol. Variants that share an inventory item are entries with one listing ref."""
    variables: dict[str, Any] = {"first": VARIANTS_PER_PAGE, "after": None, "location": location_id}
    while True:
        data = client.run(READ_CATALOGUE, variables)
        try:
            page = connection(data, "productVariants")
        except Untranslatable as problem:
            raise ChannelFault(code, Resolution.MALFORMED, str(problem), status=200) from None
        yield _page(page.nodes)
        if page.next_cursor is None:
            return
        if page.next_cursor == variables["after"]:
            raise ChannelFault(code, Resolution.MALFORMED, "productVariants does not go on", status=200)
        variables["after"] = page.next_cursor


def _page(nodes: list[Any]) -> CataloguePage:
    page = CataloguePage([])
    for index, node in enumerate(nodes):
        try:
            page.entries.append(_entry(mapping(node, "a variant")))
        except Untranslatable as problem:
            key = node.get("id") if isinstance(node, dict) else None
            page.defects.append(Defect(str(key or f"variant {index} of a page"), str(problem)))
    return page


def _entry(variant: Any) -> CatalogueEntry:
    item = mapping(variant.get("inventoryItem"), "the inventory item")
    product = mapping(variant.get("product"), "the product")
    ref, level, policy, tracked = (
        item.get("id"),
        item.get("inventoryLevel"),
        variant.get("inventoryPolicy"),
        item.get("tracked"),
    )
    if not isinstance(ref, str):
        raise Untranslatable("the inventory item has no id")
    return CatalogueEntry(
        listing_ref=ref,
        sku=str(variant.get("sku") or ""),
        title=str(variant.get("displayName") or "").removesuffix(ONLY_VARIANT),
        quantity=None if level is None else _available(mapping(level, "the level")),
        tracked=tracked if isinstance(tracked, bool) else None,
        oversell_allowed=policy == "CONTINUE" if policy in ("CONTINUE", "DENY") else None,
        on_sale=str(product.get("status")) in ON_SALE and product.get("publishedAt") is not None,
        stocked_here=level is not None and level.get("isActive") is True,
    )


def _available(level: Any) -> int:
    rows = level.get("quantities")
    for row in rows if isinstance(rows, list) else []:
        quantity = row.get("quantity") if isinstance(row, dict) and row.get("name") == "available" else None
        if isinstance(quantity, int) and not isinstance(quantity, bool):
            return quantity
    raise Untranslatable("the level has no `available`")
