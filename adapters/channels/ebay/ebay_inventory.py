"""What eBay has on sale, by the Inventory API: items by SKU, their offers, and what of them is live.

A SKU has an inventory item with a quantity for all offers, and an offer with a quantity of its own; the
listing shows the lower one. Both go down when eBay sells. Listings that were not made by the Inventory API
are invisible here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

from adapters.channels.ebay.ebay_client import EbayClient
from adapters.channels.ebay.ebay_memory import EbayMemory, Offer
from adapters.channels.ebay.ebay_reading import chunks
from adapters.channels.protocol import CatalogueEntry, CataloguePage, Defect, Reading
from adapters.http import ChannelFault, Resolution

INVENTORY = "/sell/inventory/v1"
ROWS_AT_ONCE = 25
CATALOGUE_PAGE = 100
OFFERS_GOOD_FOR_S = 600.0
"""For so long a write trusts the ids of offers that were read before."""
ENDED = frozenset({"ENDED", "EBAY_ENDED", "NOT_LISTED"})
NOT_THERE = frozenset({25702, 25708, 25710, 25713})
"""SKU not in the system, invalid SKU, resource not found, offer not available."""

Item = Mapping[str, Any]


class Inventory:
    """Reads. `at_once`: offers can be asked for only by single SKUs, so several are asked for at the same time."""

    def __init__(
        self,
        client: EbayClient,
        memory: EbayMemory,
        *,
        clock: Callable[[], float],
        at_once: int,
        location: str | None,
    ) -> None:
        self._client = client
        self._memory = memory
        self._clock = clock
        self._at_once = at_once
        self._location = location

    def readings(self, skus: Sequence[str]) -> list[Reading]:
        """The live quantity of each SKU that eBay knows; 0 where nothing is listed. Raises ChannelFault."""
        items: dict[str, Item] = {}
        for some in chunks(list(dict.fromkeys(skus)), ROWS_AT_ONCE):
            items |= self._items(some)
        offers = self.read_offers(list(items))
        return [Reading(sku, self._live(sku, item, offers[sku]), tracked=True) for sku, item in items.items()]

    def read_offers(self, skus: Sequence[str]) -> dict[str, tuple[Offer, ...]]:
        """The offers of each SKU as they are now. Raises ChannelFault."""
        if len(skus) < 2 or self._at_once < 2:
            return {sku: self._offers(sku) for sku in skus}
        with ThreadPoolExecutor(max_workers=min(self._at_once, len(skus))) as pool:
            return dict(zip(skus, pool.map(self._offers, skus), strict=True))

    def known_offers(self, skus: Sequence[str]) -> dict[str, tuple[Offer, ...]]:
        """As `read_offers`, but ids that were read a while ago will do. Raises ChannelFault."""
        oldest = self._clock() - OFFERS_GOOD_FOR_S
        known = {sku: offers for sku in skus if (offers := self._memory.offers(sku, oldest)) is not None}
        return known | self.read_offers([sku for sku in skus if sku not in known])

    def catalogue(self) -> Iterator[CataloguePage]:
        """Every inventory item. Raises ChannelFault."""
        path, params, asked = f"{INVENTORY}/inventory_item", {"limit": str(CATALOGUE_PAGE), "offset": "0"}, set[str]()
        while True:
            body = self._client.call("GET", path, params=params).body
            rows = body.get("inventoryItems", []) if isinstance(body, Mapping) else None
            if not isinstance(rows, list):
                self._client.malformed(f"GET {path}: the answer has no items")
            yield self._page(rows)
            asked.add(params["offset"])
            following = self._next(body)
            if following is None:
                return
            if following["offset"] in asked:
                self._client.malformed(f"GET {path}: the pages go round")
            params = following

    def _items(self, skus: Sequence[str]) -> dict[str, Item]:
        path = f"{INVENTORY}/bulk_get_inventory_item"
        body = self._client.call("POST", path, json={"requests": [{"sku": sku} for sku in skus]}).body
        rows = body.get("responses") if isinstance(body, Mapping) else None
        if not isinstance(rows, list) or len(rows) != len(skus):
            self._client.malformed(f"POST {path}: not one row for each SKU")
        by_sku = {sku: row for row in rows if isinstance(row, Mapping) and isinstance(sku := row.get("sku"), str)}
        if by_sku.keys() != set(skus):
            self._client.malformed(f"POST {path}: rows that were not asked for")
        found: dict[str, Item] = {}
        for sku, row in by_sku.items():
            status, item = row.get("statusCode"), row.get("inventoryItem")
            if status == 200 and isinstance(item, Mapping):
                found[sku] = item
            elif status != 404 and not NOT_THERE & set(error_ids(row)):
                what = f"POST {path}: a row with the status {status if isinstance(status, int) else 'of another shape'}"
                passing = status in (429, 500, 502, 503, 504)
                raise ChannelFault(self._client.channel, Resolution.RETRY if passing else Resolution.MALFORMED, what)
        return found

    def _offers(self, sku: str) -> tuple[Offer, ...]:
        path = f"{INVENTORY}/offer"
        try:
            body = self._client.call("GET", path, params={"sku": sku}).body
        except ChannelFault as fault:
            if fault.status == 404 or fault.code in {str(code) for code in NOT_THERE}:
                body = {"offers": []}
            else:
                raise
        rows = body.get("offers") if isinstance(body, Mapping) else None
        if not isinstance(rows, list):
            self._client.malformed(f"GET {path}: the answer has no offers")
        offers = tuple(self._offer(row, path) for row in rows)
        self._memory.note_offers(sku, offers, self._clock())
        return offers

    def _offer(self, row: Any, path: str) -> Offer:
        offer_id = row.get("offerId") if isinstance(row, Mapping) else None
        if not isinstance(offer_id, str) or not offer_id:
            self._client.malformed(f"GET {path}: an offer without an id")
        listing = row.get("listing") if isinstance(row.get("listing"), Mapping) else {}
        quantity = row.get("availableQuantity")
        if quantity is not None and not _is_count(quantity):
            self._client.malformed(f"GET {path}: an availableQuantity that is no whole number")
        status, listing_id = listing.get("listingStatus"), listing.get("listingId")
        live = row.get("status") == "PUBLISHED" and status not in ENDED
        return Offer(
            offer_id=offer_id,
            listing_id=listing_id if isinstance(listing_id, str) else "",
            quantity=quantity,
            auction=row.get("format") == "AUCTION",
            live=live,
            on_sale=live and status in ("ACTIVE", None) and listing.get("listingOnHold") is not True,
        )

    def _live(self, sku: str, item: Item, offers: Sequence[Offer]) -> int:
        live = [offer for offer in offers if offer.live]
        if not live:
            return 0
        bounds = [] if (stock := self._stock(item)) is None else [stock]
        quantities = [offer.quantity for offer in live if offer.quantity is not None]
        if len(quantities) == len(live):
            bounds.append(sum(quantities))
        if not bounds:
            self._client.malformed(f"no quantity is told of {sku}")
        return min(bounds)

    def _stock(self, item: Item) -> int | None:
        stock = _ship_to_home(item)
        quantity = stock.get("quantity")
        if quantity is not None and not _is_count(quantity):
            self._client.malformed("the quantity of an inventory item is no whole number")
        return quantity

    def _page(self, rows: Sequence[Any]) -> CataloguePage:
        items, defects = {}, []
        for place, row in enumerate(rows):
            sku = row.get("sku") if isinstance(row, Mapping) else None
            if isinstance(sku, str) and sku:
                items[sku] = row
            else:
                defects.append(Defect(f"item {place} of a page", "an inventory item without a SKU"))
        offers = self.read_offers(list(items))
        return CataloguePage([self._entry(sku, item, offers[sku]) for sku, item in items.items()], defects)

    def _entry(self, sku: str, item: Item, offers: Sequence[Offer]) -> CatalogueEntry:
        product = item.get("product")
        title = product.get("title") if isinstance(product, Mapping) else None
        return CatalogueEntry(
            listing_ref=sku,
            sku=sku,
            title=title if isinstance(title, str) else "",
            quantity=self._live(sku, item, offers),
            tracked=True,
            oversell_allowed=False,
            on_sale=any(offer.on_sale for offer in offers),
            stocked_here=self._stocked_here(item),
        )

    def _stocked_here(self, item: Item) -> bool | None:
        places = _ship_to_home(item).get("availabilityDistributions")
        if self._location is None or not isinstance(places, list):
            return None
        return any(
            isinstance(place, Mapping) and place.get("merchantLocationKey") == self._location for place in places
        )

    def _next(self, body: Mapping[str, Any]) -> dict[str, str] | None:
        """The query of the next page. Only the query: where to send a token is not for an answer to say."""
        url = body.get("next")
        if url is None:
            return None
        query = parse_qs(urlsplit(url).query) if isinstance(url, str) else {}
        if not query.get("offset", [""])[0].isdecimal():
            self._client.malformed("the next page has no offset")
        return {"limit": str(CATALOGUE_PAGE), "offset": query["offset"][0]}


def error_ids(row: Any) -> list[int]:
    """The ids of the errors of an answer, or of one row of it."""
    errors = row.get("errors") if isinstance(row, Mapping) else None
    ids = [error.get("errorId") for error in errors if isinstance(error, Mapping)] if isinstance(errors, list) else []
    return [one for one in ids if isinstance(one, int) and not isinstance(one, bool)]


def _ship_to_home(item: Item) -> Mapping[str, Any]:
    availability = item.get("availability")
    stock = availability.get("shipToLocationAvailability") if isinstance(availability, Mapping) else None
    return stock if isinstance(stock, Mapping) else {}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9
