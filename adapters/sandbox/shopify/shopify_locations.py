"""The locations of an imitated Shopify shop, and the switch that takes one off online sale."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from adapters.sandbox.shop import Shop

Values = dict[str, Any]


class Locations:
    """The storefront sells from the first one alone: with that switched off it sells nothing.

    `services` are locations of fulfilment services, whose switch the vendor does not let anybody touch;
    the last location that is on stays on. Call with the shop's lock held.
    """

    def __init__(self, shop: Shop, ids: Sequence[str], services: Collection[str] = ()) -> None:
        self.ids = list(ids)
        self._shop = shop
        self._services = frozenset(services)
        self._online = dict.fromkeys(self.ids, True)

    def document(self, location_id: str) -> Values | None:
        if location_id not in self._online:
            return None
        return {
            "id": location_id,
            "isActive": True,
            "fulfillsOnlineOrders": self._online[location_id],
            "isFulfillmentService": location_id in self._services,
        }

    def edit(self, location_id: str, given: Mapping[str, Any]) -> Values:
        """The payload of `locationEdit`. Only the switch is imitated."""
        if location_id not in self._online:
            return _refused("NOT_FOUND", "Location not found.", ["id"])
        wanted = given.get("fulfillsOnlineOrders")
        if wanted is not None and wanted != self._online[location_id]:
            field = ["input", "fulfillsOnlineOrders"]
            if location_id in self._services:
                code = "CANNOT_MODIFY_ONLINE_ORDER_FULFILLMENT_FOR_FS_LOCATION"
                return _refused(code, "Cannot modify the preference of a fulfillment service location.", field)
            if not wanted and sum(self._online.values()) == 1:
                code = "CANNOT_DISABLE_ONLINE_ORDER_FULFILLMENT"
                return _refused(code, "At least one location must fulfill online orders.", field)
            self._online[location_id] = wanted
            self._shop.closed = not self._online[self.ids[0]]
        return {"location": self.document(location_id), "userErrors": []}


def _refused(code: str, message: str, field: list[str]) -> Values:
    return {"location": None, "userErrors": [{"code": code, "message": message, "field": field}]}
