"""What Amazon lists for the seller: single SKUs, many SKUs, everything."""

from collections.abc import Iterator, Sequence
from typing import Any, Never
from urllib.parse import quote

from adapters.channels.amazon import amazon_budget as budget
from adapters.channels.amazon.amazon_client import AmazonClient
from adapters.channels.amazon.amazon_listings import Item, UnreadableError, read_item
from adapters.channels.protocol import CataloguePage, Defect
from adapters.http import ChannelFault, Resolution

PATH = "/listings/2021-08-01/items"
MOST_IDENTIFIERS = 20
DATA = "summaries,fulfillmentAvailability"
MOST_PAGES = 5_000


class Listings:
    def __init__(self, client: AmazonClient, *, seller_id: str, marketplace_ids: Sequence[str]) -> None:
        self._client = client
        self._path = f"{PATH}/{quote(seller_id, safe='')}"
        self._marketplaces = ",".join(marketplace_ids)

    def item_path(self, sku: str) -> str:
        return f"{self._path}/{quote(sku, safe='')}"

    def read(self, skus: Sequence[str], *, most_wait_s: float | None = None) -> dict[str, Item]:
        """The listings by SKU; an unknown one is absent. Raises ChannelFault."""
        wanted = list(dict.fromkeys(skus))
        # A list is written with commas between, so a SKU with a comma in it must be asked for alone.
        single = wanted if len(wanted) == 1 else [sku for sku in wanted if "," in sku]
        many = [sku for sku in wanted if sku not in single]
        items: dict[str, Item] = {}
        for sku in single:
            items |= self._one(sku, most_wait_s)
        for start in range(0, len(many), MOST_IDENTIFIERS):
            items |= self._some(many[start : start + MOST_IDENTIFIERS], most_wait_s)
        now = self._client.clock()
        self._client.shared.note_offers({sku: item.channel for sku, item in items.items()}, now)
        return items

    def catalogue(self) -> Iterator[CataloguePage]:
        """Everything, oldest first. One search gives a thousand listings at most: the next one begins where they
        were created last. Raises ChannelFault."""
        seen: set[str] = set()
        after, page = "", 0
        while True:
            created, total, found, fresh, token = after, 0, 0, 0, ""
            while page < MOST_PAGES:
                page += 1
                body = self._page(after, token)
                rows, total = body["items"], body["numberOfResults"]
                items, defects = self._items(rows)
                new = [item for item in items if item.sku not in seen]
                seen |= {item.sku for item in new}
                found, fresh = found + len(rows), fresh + len(new) + len(defects)
                created = max([created, *(item.created for item in items)])
                if new or defects:
                    yield CataloguePage([item.entry() for item in new], defects)
                token = self._next(body, token)
                if not token:
                    break
            if found >= total:
                return
            if page >= MOST_PAGES or not fresh or not created or created == after:
                self._malformed(f"the search ends after {found} of {total} listings and cannot be gone on with")
            after = created

    def _page(self, created_after: str, token: str) -> dict[str, Any]:
        params: dict[str, Any] = {"sortBy": "createdDate", "sortOrder": "ASC"}
        if created_after:
            params["createdAfter"] = created_after
        return self._search(params, token)

    def _one(self, sku: str, most_wait_s: float | None) -> dict[str, Item]:
        params = {"marketplaceIds": self._marketplaces, "includedData": DATA}
        try:
            row = self._client.read(budget.GET_LISTING, self.item_path(sku), params, most_wait_s=most_wait_s)
        except ChannelFault as fault:
            if fault.status == 404:
                return {}
            raise
        item = self._item(row)
        if item.sku != sku:
            self._malformed("a listing that was not asked for")
        return {sku: item}

    def _some(self, skus: Sequence[str], most_wait_s: float | None) -> dict[str, Item]:
        items: dict[str, Item] = {}
        token = ""
        for _ in skus:
            params = {"identifiers": ",".join(skus), "identifiersType": "SKU"}
            body = self._search(params, token, most_wait_s)
            items |= {item.sku: item for item in map(self._item, body["items"])}
            token = self._next(body, token)
            if not token:
                break
        if not items.keys() <= set(skus):
            self._malformed("listings that were not asked for")
        return items

    def _search(self, params: dict[str, Any], token: str, most_wait_s: float | None = None) -> dict[str, Any]:
        fixed = {"marketplaceIds": self._marketplaces, "includedData": DATA, "pageSize": MOST_IDENTIFIERS}
        whole = {**params, **fixed, **({"pageToken": token} if token else {})}
        body = self._client.read(budget.SEARCH_LISTINGS, self._path, whole, most_wait_s=most_wait_s)
        rows = body.get("items") if isinstance(body, dict) else None
        total = body.get("numberOfResults") if isinstance(body, dict) else None
        if not isinstance(rows, list) or isinstance(total, bool) or not isinstance(total, int):
            self._malformed("a search without its items or their number")
        return {**body, "items": rows, "numberOfResults": total}

    def _next(self, body: dict[str, Any], before: str) -> str:
        pagination = body.get("pagination")
        token = pagination.get("nextToken") if isinstance(pagination, dict) else None
        if token is not None and (not isinstance(token, str) or token == before):
            self._malformed("a search that does not say how it goes on")
        return token or ""

    def _items(self, rows: Sequence[Any]) -> tuple[list[Item], list[Defect]]:
        items: list[Item] = []
        defects: list[Defect] = []
        for place, row in enumerate(rows):
            try:
                items.append(read_item(row))
            except UnreadableError as problem:
                sku = row.get("sku") if isinstance(row, dict) else None
                defects.append(Defect(sku if isinstance(sku, str) and sku else f"row {place}", str(problem)))
        return items, defects

    def _item(self, row: Any) -> Item:
        try:
            return read_item(row)
        except UnreadableError as problem:
            reason = str(problem)
        self._malformed(reason)

    def _malformed(self, what: str) -> Never:
        raise ChannelFault(self._client.code, Resolution.MALFORMED, what, status=200)
