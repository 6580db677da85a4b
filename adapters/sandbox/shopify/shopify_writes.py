"""Shopify's writes as it carries them out: quantities whole or not at all, once for a key; selling at zero."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

from adapters.sandbox.shop import Product, Shop, ShopError, number_of
from adapters.sandbox.shopify.shopify_schema import Documents

KEY_LIFE_S = 24 * 3600.0
MOST_ROWS = 250
MOST_UNITS = 1_000_000_000

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Remembered:
    fingerprint: str
    payload: Values
    at: float


class Writes:
    """Call with the shop's lock held."""

    def __init__(self, shop: Shop, location_ids: Sequence[str]) -> None:
        self._shop = shop
        self._locations = list(location_ids)
        self._keys: dict[str, _Remembered] = {}

    def set_quantities(self, key: str, given: Mapping[str, Any]) -> Values:
        """The payload. Raises GraphQLError for what the vendor refuses before it looks at the rows."""
        rows = given["quantities"]
        if len(rows) > MOST_ROWS:
            raise _bad_request(f"The input array size of {len(rows)} is greater than the maximum of {MOST_ROWS}.")
        if any("changeFromQuantity" not in row for row in rows):
            raise _bad_request("The changeFromQuantity argument is required; pass null to skip the check.")
        fingerprint = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()
        before = self._keys.get(key)
        if before is not None and self._shop.monotonic() - before.at < KEY_LIFE_S:
            return _again(before, fingerprint)
        payload = self._apply(key, given)
        self._keys[key] = _Remembered(fingerprint, payload, self._shop.monotonic())
        return payload

    def set_policies(self, product_number: int, given: Sequence[Mapping[str, Any]], documents: Documents) -> Values:
        """The payload of `productVariantsBulkUpdate`. Each product of this shop has one variant, of its own number."""
        product = self._shop.products.get(product_number)
        if product is None:
            return _variants_refused("PRODUCT_DOES_NOT_EXIST", "Product does not exist", ["productId"])
        if any(number_of(row["id"]) != product_number for row in given):
            field = ["variants", "0", "id"]
            return _variants_refused("PRODUCT_VARIANT_DOES_NOT_EXIST", "Product variant does not exist", field)
        for row in given:
            product.oversell_allowed = row.get("inventoryPolicy", "DENY") == "CONTINUE"
        return {"productVariants": [documents.variant(product)], "userErrors": []}

    def _apply(self, key: str, given: Mapping[str, Any]) -> Values:
        name, rows = given["name"], given["quantities"]
        if name not in ("available", "on_hand"):
            return _failed([_error("INVALID_NAME", "The quantity name must be available or on_hand.", "name")])
        errors = [error for index, row in enumerate(rows) if (error := self._check(index, row, name, rows))]
        if errors:
            return _failed(errors)
        for row in rows:
            self._set(row, name)
        group = {
            "id": f"gid://shopify/InventoryAdjustmentGroup/{self._shop.take_number()}",
            "reason": given["reason"],
            "referenceDocumentUri": given.get("referenceDocumentUri"),
        }
        return {"inventoryAdjustmentGroup": group, "userErrors": []}

    def _check(self, index: int, row: Values, name: str, rows: Sequence[Values]) -> Values | None:
        def error(code: str, message: str, field: str) -> Values:
            return _error(code, message, "quantities", str(index), field)

        pair = (row["inventoryItemId"], row["locationId"])
        if any((other["inventoryItemId"], other["locationId"]) == pair for other in rows[:index]):
            code = "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"
            return error(code, "The combination of item and location must be unique.", "inventoryItemId")
        product = self._product(row)
        if product is None:
            return error(
                "INVALID_INVENTORY_ITEM", "The specified inventory item could not be found.", "inventoryItemId"
            )
        if row["locationId"] not in self._locations:
            return error("INVALID_LOCATION", "The specified location could not be found.", "locationId")
        if row["quantity"] < 0:
            return error("INVALID_QUANTITY_NEGATIVE", "The quantity can't be negative.", "quantity")
        if row["quantity"] > MOST_UNITS:
            return error("INVALID_QUANTITY_TOO_HIGH", "The quantity is too high.", "quantity")
        expected = row["changeFromQuantity"]
        if expected is not None and expected != self._live(product, row["locationId"], name):
            message = "The changeFromQuantity argument no longer matches the persisted quantity."
            return error("CHANGE_FROM_QUANTITY_STALE", message, "changeFromQuantity")
        return None

    def _product(self, row: Values) -> Product | None:
        try:
            return self._shop.products.get(number_of(row["inventoryItemId"]))
        except ShopError:
            return None

    def _live(self, product: Product, location_id: str, name: str) -> int:
        if location_id != self._locations[0]:
            return product.elsewhere.get(location_id, 0)
        return product.quantity + (product.committed if name == "on_hand" else 0)

    def _set(self, row: Values, name: str) -> None:
        product = self._shop.products[number_of(row["inventoryItemId"])]
        if row["locationId"] != self._locations[0]:
            product.elsewhere[row["locationId"]] = row["quantity"]
            return
        quantity = row["quantity"] - (product.committed if name == "on_hand" else 0)
        self._shop.set_quantity(product.number, quantity, by="api")


def _again(before: _Remembered, fingerprint: str) -> Values:
    """A key that was used already."""
    if before.fingerprint != fingerprint:
        code = "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
        return _failed([_error(code, "The same idempotency key cannot be used with different operation parameters.")])
    if before.payload["userErrors"]:
        code = "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
        return _failed([_error(code, "A previous request with this idempotency key failed.")])
    return before.payload


def _failed(errors: Sequence[Values]) -> Values:
    return {"inventoryAdjustmentGroup": None, "userErrors": list(errors)}


def _variants_refused(code: str, message: str, field: list[str]) -> Values:
    return {"productVariants": None, "userErrors": [{"code": code, "message": message, "field": field}]}


def _error(code: str, message: str, *path: str) -> Values:
    return {"code": code, "message": message, "field": ["input", *path] if path else None}


def _bad_request(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "BAD_REQUEST"})
