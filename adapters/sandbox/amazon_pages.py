"""The lists of an imitated Amazon that come in pages: orders, and the stock in its own warehouses."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.datastructures import QueryParams

from adapters.sandbox.amazon_documents import (
    Document,
    fulfilled_by,
    order_document,
    order_name,
    stamp,
    status_of,
    summary_document,
)
from adapters.sandbox.amazon_state import State
from adapters.sandbox.amazon_wire import Refused, csv, integer, opened, sealed
from adapters.sandbox.shop import Order, ShopError, number_of

FBA_PAGE = 50
FBA_TOKEN_S = 30.0


@dataclass(slots=True)
class Pages:
    state: State

    def search(self, query: QueryParams) -> Document:
        if ("lastUpdatedAfter" in query) == ("createdAfter" in query) or "createdAfter" in query:
            raise Refused(400, "InvalidInput", "Exactly one of createdAfter and lastUpdatedAfter is needed")
        size = integer(query, "maxResultsPerPage", 100, 100)
        asked = {name: text for name, text in query.items() if name not in ("paginationToken", "maxResultsPerPage")}
        before = self.state.shop.now() - timedelta(seconds=self.state.habits.search_lag_s)
        place: tuple[str, int] = ("", 0)
        if "paginationToken" in query:
            token = opened(query["paginationToken"])
            if token.get("asked") != asked:
                raise Refused(400, "InvalidInput", "All other parameters must be those of the first page")
            place, before = (token["at"], token["number"]), datetime.fromisoformat(token["before"])
        after = datetime.fromisoformat(query["lastUpdatedAfter"])
        wanted = csv(query, "fulfilledBy") or ["MERCHANT", "AMAZON"]
        statuses = csv(query, "fulfillmentStatuses")
        found = [
            order
            for order in self.state.shop.changed_since(after)
            if order.updated_at <= before
            and (order.updated_at.isoformat(), order.number) > place
            and fulfilled_by(order, self.state) in wanted
            and (not statuses or status_of(order, self.state) in statuses)
        ]
        page = found[:size]
        document: Document = {
            "orders": [order_document(order, self.state, self._data(query)) for order in page],
            "lastUpdatedBefore": stamp(before),
        }
        if len(found) > size:
            last = page[-1]
            at = {"at": last.updated_at.isoformat(), "number": last.number, "before": before.isoformat()}
            document["pagination"] = {"nextToken": sealed({**at, "asked": asked})}
        return document

    def one(self, name: str, query: QueryParams) -> Document:
        return {"order": order_document(self._known(name), self.state, self._data(query))}

    def _known(self, name: str) -> Order:
        try:
            order = self.state.shop.orders.get(number_of(name))
        except ShopError:
            raise Refused(400, "InvalidInput", "Invalid Input") from None
        if order is None or order_name(order.number) != name or order.visible_from > self.state.shop.monotonic():
            raise Refused(404, "NotFound", "Order not found")
        return order

    def _data(self, query: QueryParams) -> list[str]:
        return csv(query, "includedData") + (["BUYER", "RECIPIENT"] if self.state.habits.overshares else [])

    def summaries(self, query: QueryParams) -> Document:
        needed = {"granularityType", "granularityId", "marketplaceIds"}
        if not needed <= query.keys():
            raise Refused(400, "InvalidInput", "granularityType, granularityId and marketplaceIds are needed")
        now = self.state.shop.monotonic()
        start = 0
        if "nextToken" in query:
            token = opened(query["nextToken"])
            if now - token["made"] > FBA_TOKEN_S:
                raise Refused(400, "InvalidInput", "nextToken has expired")
            start = int(token["start"])
        products = [product for product in self.state.shop.products.values() if self.state.is_fba(product.sku)]
        details, at = query.get("details") == "true", datetime.now(UTC)
        rows = [summary_document(product, self.state, at, details) for product in products[start : start + FBA_PAGE]]
        granularity = {"granularityType": "Marketplace", "granularityId": query["granularityId"]}
        document: Document = {"payload": {"granularity": granularity, "inventorySummaries": rows}}
        if start + FBA_PAGE < len(products):
            document["pagination"] = {"nextToken": sealed({"start": start + FBA_PAGE, "made": now})}
        return document
