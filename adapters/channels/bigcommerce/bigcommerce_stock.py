"""What BigCommerce counts for a listing at one location, read and translated.

A listing ref is `<product id>/<variant id>`, as an order line has them. A product counts its stock by variant, as a
whole or not at all (`inventory_tracking`), and only where it is counted can it be written: by `variant_id` or by
`product_id`. A product that is counted as a whole and has several variants has one number for several listings; it
is shown for each of them, and written for none.

`available_to_sell` is what the storefront shows: the stock less the safety stock of the location.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.channels.bigcommerce.bigcommerce_client import (
    LARGEST_PAGE,
    BigCommerceClient,
    chunks,
    identity,
    joined,
    whole,
)
from adapters.channels.protocol import CatalogueEntry, CataloguePage, Defect, Reading

PRODUCTS, ITEMS = "/v3/catalog/products", "/v3/inventory/items"
LARGEST_ITEMS_PAGE = 1000
NONE, BY_PRODUCT, BY_VARIANT = "none", "product", "variant"
AVAILABILITIES = ("available", "disabled", "preorder")
OFF = "disabled"
PRODUCT_FIELDS = "inventory_tracking,base_variant_id,availability"
CATALOGUE_FIELDS = f"{PRODUCT_FIELDS},name,sku,is_visible"

Ref = tuple[int, int]
"""Product and variant."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Level:
    available: int
    safety: int
    enabled: bool


Levels = dict[tuple[str, int], Level]
"""By (`product` or `variant`, id), at our location."""


@dataclass(frozen=True, slots=True)
class Item:
    ref: Ref
    tracking: str
    shared: bool
    """Its number is that of the whole product, which has other variants too."""
    availability: str
    level: Level | None
    """None: nothing has ever been counted at our location."""

    @property
    def key(self) -> tuple[str, int]:
        return (BY_PRODUCT, self.ref[0]) if self.tracking == BY_PRODUCT else (BY_VARIANT, self.ref[1])

    def reading(self) -> Reading:
        counted = self.tracking != NONE
        shown = self.level.available if self.level and counted else 0
        return Reading(ref_text(self.ref), shown, tracked=counted)


def parse_ref(text: str) -> Ref | None:
    product, _, variant = text.partition("/")
    if not (product.isascii() and product.isdecimal() and variant.isascii() and variant.isdecimal()):
        return None
    ref = (int(product), int(variant))
    return ref if text == ref_text(ref) and min(ref) > 0 and max(ref) < 10**18 else None


def ref_text(ref: Ref) -> str:
    return f"{ref[0]}/{ref[1]}"


class Stock:
    def __init__(self, client: BigCommerceClient, location_id: int) -> None:
        self._client = client
        self.location_id = location_id

    def read(self, listing_refs: Sequence[str]) -> dict[str, Item]:
        """By ref; those that there are not are absent. Raises ChannelFault."""
        refs = [ref for text in dict.fromkeys(listing_refs) if (ref := parse_ref(text))]
        products = self._products(sorted({product for product, _ in refs}))
        items = [_item(ref, products[ref[0]]) for ref in refs if ref[0] in products]
        levels = self.levels([item.key for item in items])
        found = {}
        for item in items:
            tracking, base, level = item.tracking, products[item.ref[0]].get("base_variant_id"), levels.get(item.key)
            gone = level is None if tracking == BY_VARIANT else base is not None and base != item.ref[1]
            if not gone:
                found[ref_text(item.ref)] = _item(item.ref, products[item.ref[0]], level)
        return found

    def levels(self, keys: Sequence[tuple[str, int]]) -> Levels:
        """What is counted at our location. Raises ChannelFault."""
        found: Levels = {}
        for kind in (BY_PRODUCT, BY_VARIANT):
            numbers = sorted({number for each, number in keys if each == kind})
            for some in chunks(numbers, LARGEST_PAGE):
                params = {f"{kind}_id:in": joined(some), "location_id:in": self.location_id}
                for row in self._client.walk(ITEMS, params, LARGEST_ITEMS_PAGE):
                    named, level = self._level(row)
                    number = identity(named.get(f"{kind}_id"))
                    if number is not None and level is not None:
                        found[kind, number] = level
        return {key: level for key, level in found.items() if key in set(keys)}

    def catalogue(self, page_size: int) -> Iterator[CataloguePage]:
        """See `ReadsCatalogue`. Read by ascending id: what is added or removed meanwhile moves nothing."""
        after = 0
        while True:
            params = {"id:greater": after, "sort": "id", "direction": "asc", "include": "variants"}
            params |= {"include_fields": CATALOGUE_FIELDS, "limit": page_size}
            rows = self._client.data(self._client.get(PRODUCTS, params).body, PRODUCTS)
            numbers = [number for row in rows if (number := _number(row))]
            yield self._page(rows)
            if len(rows) < page_size:
                return
            if max(numbers, default=0) <= after:
                self._client.malformed(f"GET {PRODUCTS}: products that were not asked for")
            after = max(numbers)

    def _page(self, rows: Sequence[Any]) -> CataloguePage:
        page = CataloguePage([])
        items: list[tuple[Item, Row, Row]] = []
        for place, row in enumerate(rows):
            variants = row.get("variants") if isinstance(row, Mapping) else None
            if _number(row) is None or not isinstance(variants, list) or not _is_product(row):
                page.defects.append(Defect(f"row {place} of a page", "a product without id, tracking or variants"))
                continue
            for variant in variants:
                number = _number(variant)
                if number is None:
                    page.defects.append(Defect(str(row["id"]), "a variant without an id"))
                else:
                    items.append((_item((row["id"], number), row), row, variant))
        levels = self.levels([item.key for item, _, _ in items if item.tracking != NONE])
        page.entries.extend(_entry(item, row, variant, levels.get(item.key)) for item, row, variant in items)
        return page

    def _products(self, numbers: Sequence[int]) -> dict[int, Row]:
        found: dict[int, Row] = {}
        for some in chunks(numbers, LARGEST_PAGE):
            params = {"id:in": joined(some), "include_fields": PRODUCT_FIELDS}
            for row in self._client.walk(PRODUCTS, params, LARGEST_PAGE):
                number = _number(row)
                if number not in some or not _is_product(row):
                    self._client.malformed(f"GET {PRODUCTS}: a product without its id or its tracking")
                found[number] = row
        return found

    def _level(self, row: Any) -> tuple[Row, Level | None]:
        named = row.get("identity") if isinstance(row, Mapping) else None
        places = row.get("locations") if isinstance(row, Mapping) else None
        if not isinstance(named, Mapping) or not isinstance(places, list):
            self._client.malformed(f"GET {ITEMS}: an item without identity or locations")
        ours = [one for one in places if isinstance(one, Mapping) and one.get("location_id") == self.location_id]
        if not ours:
            return named, None
        settings = ours[0].get("settings")
        available = whole(ours[0].get("available_to_sell"))
        safety = whole(settings.get("safety_stock", 0)) if isinstance(settings, Mapping) else None
        if available is None or safety is None or safety < 0:
            self._client.malformed(f"GET {ITEMS}: the stock of an item is no number")
        return named, Level(available, safety, ours[0].get("location_enabled") is not False)


def _item(ref: Ref, product: Row, level: Level | None = None) -> Item:
    tracking = product["inventory_tracking"]
    shared = tracking == BY_PRODUCT and product.get("base_variant_id") is None
    return Item(ref, tracking, shared, product["availability"], level)


def _entry(item: Item, product: Row, variant: Row, level: Level | None) -> CatalogueEntry:
    counted = item.tracking != NONE
    sku, name = variant.get("sku") or product.get("sku"), product.get("name")
    options = variant.get("option_values")
    labels = [each.get("label") for each in options if isinstance(each, Mapping)] if isinstance(options, list) else []
    off = variant.get("purchasing_disabled") is True or item.availability == OFF
    return CatalogueEntry(
        listing_ref=ref_text(item.ref),
        sku=sku if isinstance(sku, str) else "",
        title=", ".join(text for text in [name, *labels] if isinstance(text, str) and text),
        quantity=(level.available if level else 0) if counted else None,
        tracked=counted,
        oversell_allowed=False if counted else None,
        on_sale=product.get("is_visible") is True and not off,
        stocked_here=(level is not None and level.enabled and not item.shared) if counted else None,
    )


def _is_product(row: Row) -> bool:
    base = row.get("base_variant_id")
    known = row.get("inventory_tracking") in (NONE, BY_PRODUCT, BY_VARIANT)
    return known and row.get("availability") in AVAILABILITIES and (base is None or identity(base) is not None)


def _number(row: Any) -> int | None:
    return identity(row.get("id")) if isinstance(row, Mapping) else None
