"""The lists of an imitated Amazon that come in pages: orders, and the stock in its own warehouses."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.datastructures import QueryParams

from adapters.sandbox.amazon.amazon_documents import (
    Document,
    fulfilled_by,
    order_document,
    order_name,
    stamp,
    status_of,
    summary_document,
)
from adapters.sandbox.amazon.amazon_state import State
from adapters.sandbox.amazon.amazon_wire import Refused, csv, integer, opened, sealed
from adapters.sandbox.shop import Order, ShopError, number_of

FBA_PAGE = 50
FBA_TOKEN_S = 30.0


def _moment(order: Order, by_placing: bool) -> datetime:
    return order.placed_at if by_placing else order.updated_at


@dataclass(slots=True)
class Pages:
    state: State

    def search(self, query: QueryParams) -> Document:
        by_placing = "createdAfter" in query
        if ("lastUpdatedAfter" in query) == by_placing:
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
        after = datetime.fromisoformat(query["createdAfter" if by_placing else "lastUpdatedAfter"])
        wanted = csv(query, "fulfilledBy") or ["MERCHANT", "AMAZON"]
        statuses = csv(query, "fulfillmentStatuses")
        found = [
            order
            for order in self._orders(after, by_placing)
            if _moment(order, by_placing) <= before
            and (_moment(order, by_placing).isoformat(), order.number) > place
            and fulfilled_by(order, self.state) in wanted
            and (not statuses or status_of(order, self.state) in statuses)
        ]
        page = found[:size]
        document: Document = {
            "orders": [order_document(order, self.state, self._data(query)) for order in page],
            "createdBefore" if by_placing else "lastUpdatedBefore": stamp(before),
        }
        if len(found) > size:
            last = page[-1]
            at = {"at": _moment(last, by_placing).isoformat(), "number": last.number, "before": before.isoformat()}
            document["pagination"] = {"nextToken": sealed({**at, "asked": asked})}
        return document

    def _orders(self, after: datetime, by_placing: bool) -> list[Order]:
        if not by_placing:
            return self.state.shop.changed_since(after)
        placed = [order for order in self.state.shop.changed_since(None) if order.placed_at >= after]
        return sorted(placed, key=lambda order: (order.placed_at, order.number))

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
