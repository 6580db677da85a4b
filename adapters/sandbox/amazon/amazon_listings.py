"""Listings of an imitated Amazon: read, searched, patched. A patch is accepted now and applied later."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.datastructures import QueryParams

from adapters.sandbox.amazon.amazon_documents import Document, item_document
from adapters.sandbox.amazon.amazon_state import MARKETPLACE, OURS, State
from adapters.sandbox.amazon.amazon_wire import Refused, csv, integer, opened, sealed
from adapters.sandbox.shop import Product

MOST_OF_A_SEARCH = 1000
MOST_OF_A_PAGE = 20
FIRST_CREATED = datetime(2026, 1, 1, tzinfo=UTC)
ERROR = {"severity": "ERROR", "attributeNames": ["fulfillment_availability"]}


@dataclass(slots=True)
class Listings:
    state: State

    def one(self, sku: str, query: QueryParams) -> Document:
        self._marketplace(query)
        product = self._product(sku)
        if product is None:
            raise Refused(404, "NOT_FOUND", f"SKU '{sku}' not found in marketplace {MARKETPLACE}")
        return self._document(product, query)

    def search(self, query: QueryParams) -> Document:
        self._marketplace(query)
        found = list(self.state.shop.products.values())
        if "identifiers" in query:
            wanted = csv(query, "identifiers")
            if len(wanted) > MOST_OF_A_PAGE or query.get("identifiersType") != "SKU":
                raise Refused(400, "BAD_REQUEST", "identifiers: at most 20, with their type")
            found = [product for product in found if product.sku in wanted]
        if "createdAfter" in query:
            after = datetime.fromisoformat(query["createdAfter"])
            found = [product for product in found if _created(product) >= after]
        found.sort(key=lambda product: product.number, reverse=query.get("sortOrder", "DESC") == "DESC")
        size = integer(query, "pageSize", 10, MOST_OF_A_PAGE)
        start = int(opened(query["pageToken"])["start"]) if "pageToken" in query else 0
        rows = [self._document(product, query) for product in found[start : start + size]]
        document: Document = {"numberOfResults": len(found), "items": rows}
        if start + size < min(len(found), MOST_OF_A_SEARCH):
            document["pagination"] = {"nextToken": sealed({"start": start + size})}
        return document

    def patch(self, sku: str, query: QueryParams, body: Any) -> Document:
        self._marketplace(query)
        if self._product(sku) is None:
            raise Refused(400, "BAD_REQUEST", f"SKU '{sku}' not found in marketplace {MARKETPLACE}")
        issues = self.apply(sku, body)
        status = "INVALID" if issues else "ACCEPTED"
        return {"sku": sku, "status": status, "submissionId": uuid.uuid4().hex, "issues": issues}

    def apply(self, sku: str, body: Any) -> list[Document]:
        """Accept the patches of one SKU, or say what is wrong with them."""
        patches = body.get("patches") if isinstance(body, Mapping) else None
        product = self._product(sku)
        if product is None:
            return [_issue("13013", "This SKU does not exist in the Amazon.com catalog.", ["INVALID_ATTRIBUTE"])]
        if not isinstance(patches, list) or not patches or not body.get("productType"):
            return [_issue("4000001", "Invalid parameters provided.", [])]
        for patch in patches:
            if patch.get("path") != "/attributes/fulfillment_availability" or patch.get("op") not in OPERATIONS:
                return [_issue("90000900", "The attributes are invalid.", ["INVALID_ATTRIBUTE"])]
            problem = self._change(product, patch["op"], patch.get("value"))
            if problem:
                return [problem]
        return []

    def _change(self, product: Product, operation: str, value: Any) -> Document | None:
        rows: list[Any] = value if isinstance(value, list) else [None]
        for row in rows:
            quantity = row.get("quantity") if isinstance(row, dict) else None
            if isinstance(quantity, bool) or not isinstance(quantity, int) or not 0 <= quantity <= 1_000_000_000:
                message = "The field 'quantity' for the attribute 'fulfillment_availability' is not valid."
                return _issue("99022", message, ["INVALID_ATTRIBUTE"])
        attributes = self.state.attributes_of(product)
        kept = attributes["fulfillment_availability"] if operation == "merge" else []
        attributes["fulfillment_availability"] = _merged(kept, rows)
        for row in rows:
            if row.get("fulfillment_channel_code") == OURS:
                self.state.accept(product.sku, row["quantity"])
        return None

    def _document(self, product: Product, query: QueryParams) -> Document:
        data = csv(query, "includedData") or ["summaries"]
        return item_document(product, self.state, data, _created(product))

    def _product(self, sku: str) -> Product | None:
        return next((one for one in self.state.shop.products.values() if one.sku == sku), None)

    def _marketplace(self, query: QueryParams) -> None:
        if MARKETPLACE not in csv(query, "marketplaceIds"):
            raise Refused(400, "BAD_REQUEST", "Invalid input: marketplaceIds")


OPERATIONS = ("merge", "replace", "add")


def _created(product: Product) -> datetime:
    return FIRST_CREATED + timedelta(seconds=product.number)


def _merged(kept: Sequence[Document], rows: Sequence[Document]) -> list[Document]:
    """By fulfilment channel: what is not given stays. What `replace` does not give is lost."""
    by_code = {row["fulfillment_channel_code"]: dict(row) for row in kept}
    for row in rows:
        code = row.get("fulfillment_channel_code", OURS)
        by_code[code] = {"marketplace_id": MARKETPLACE, **by_code.get(code, {}), **row}
    return list(by_code.values())


def _issue(code: str, message: str, categories: list[str]) -> Document:
    return {"code": code, "message": message, "categories": categories, **ERROR}
