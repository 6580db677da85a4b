"""Taking a Shopify shop off sale and putting it back.

The switch is the location's: with `fulfillsOnlineOrders` off, nothing that it stocks is sold online, in one
call. The vendor refuses it for the last location that is on (which in most shops is the only one): there
the listings are set to 0 and those that go on selling at 0 are stopped one product at a time. It
refuses it for a fulfilment service's location too, whose stock nobody else may set either.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from adapters.channels.protocol import Change, ChangeStatus, PauseState, Remember, forget
from adapters.channels.shopify.shopify_client import ShopifyClient
from adapters.channels.shopify.shopify_queries import (
    EDIT_LOCATION,
    READ_LOCATION,
    READ_POLICIES,
    SET_POLICIES,
    Operation,
)
from adapters.channels.shopify.shopify_writes import MOST_ROWS, set_quantities, user_errors
from adapters.http import ChannelFault, Resolution

LAST_LOCATION = "CANNOT_DISABLE_ONLINE_ORDER_FULFILLMENT"
OF_A_SERVICE = "CANNOT_MODIFY_ONLINE_ORDER_FULFILLMENT_FOR_FS_LOCATION"
GONE = frozenset({"PRODUCT_DOES_NOT_EXIST", "PRODUCT_VARIANT_DOES_NOT_EXIST"})
NOTHING_TO_SET = ("INVALID_INVENTORY_ITEM", "NON_MUTABLE_INVENTORY_ITEM")
"""Unknown by now, and bundles, whose stock is their parts'."""
ITEMS_PER_READ = 100


class Pauses:
    def __init__(self, client: ShopifyClient, code: str, location_id: str) -> None:
        self._client = client
        self._code = code
        self._location_id = location_id

    def pause(self, listing_refs: Sequence[str], remember: Remember = forget) -> PauseState:
        """See the protocol. The state holds `location_id`, `switched_off` (we did it: put it on again),
        `continued`, product → variants that sold below zero before, and `by_switch`.

        Raises REJECT for a fulfilment service's location, and for a shop of one location that has listings
        without a count, which nothing here can stop.
        """
        state: PauseState = {"location_id": self._location_id, "switched_off": False, "continued": {}}
        if not self._is_on():
            return {**state, "by_switch": True}
        remember({**state, "switched_off": True})
        refusal = self._turn_off()
        if refusal is None:
            return {**state, "switched_off": True, "by_switch": True}
        if refusal != LAST_LOCATION:
            raise self._refused(refusal)
        known, continued = self._policies(list(dict.fromkeys(listing_refs)))
        state["continued"] = continued
        remember(state)
        self._sell_out(known, continued)
        return state

    def resume(self, state: PauseState) -> None:
        """See the protocol. What is no state of ours is a ValueError."""
        location_id, continued = state.get("location_id"), state.get("continued")
        if not isinstance(location_id, str) or not isinstance(continued, dict):
            raise ValueError("not the state of a pause of a Shopify shop")
        if state.get("switched_off") is True and (refusal := self._switch(location_id, on=True)):
            raise self._refused(refusal)
        for product, variants in continued.items():
            self._set_policy(product, variants, "CONTINUE")

    def _is_on(self) -> bool:
        location = self._client.run(READ_LOCATION, {"id": self._location_id}).get("location")
        if location is None:
            raise ChannelFault(self._code, Resolution.REJECT, "the shop knows no such location", status=200)
        on = location.get("fulfillsOnlineOrders") if isinstance(location, dict) else None
        if not isinstance(on, bool):
            raise ChannelFault(self._code, Resolution.MALFORMED, "a location without its switch", status=200)
        return on

    def _turn_off(self) -> str | None:
        """Without an answer the switch is looked at: else the next pause would take our own for somebody else's."""
        try:
            return self._switch(self._location_id, on=False)
        except ChannelFault as fault:
            if fault.resolution is not Resolution.UNKNOWN or self._is_on():
                raise
            return None

    def _switch(self, location_id: str, *, on: bool) -> str | None:
        """The code of the vendor's refusal, None when it is done."""
        variables = {"id": location_id, "input": {"fulfillsOnlineOrders": on}}
        payload, refusal = self._mutate(EDIT_LOCATION, variables, "locationEdit")
        location = payload.get("location")
        if refusal is None and (not isinstance(location, dict) or location.get("fulfillsOnlineOrders") is not on):
            raise ChannelFault(self._code, Resolution.UNKNOWN, "EditLocation shows another switch", status=200)
        return refusal

    def _sell_out(self, known: Sequence[str], continued: dict[str, list[str]]) -> None:
        """Set all to 0 and let none sell below it; `continued` did before, by product."""
        for start in range(0, len(known), MOST_ROWS):
            rows = [Change(ref, 0, None) for ref in known[start : start + MOST_ROWS]]
            for result in set_quantities(self._client, self._location_id, rows, str(uuid.uuid4())):
                if result.status is not ChangeStatus.DONE and not result.reason.startswith(NOTHING_TO_SET):
                    what = f"{result.listing_ref} could not be set to 0: {result.reason}"
                    unclear = result.status is ChangeStatus.UNKNOWN
                    raise ChannelFault(self._code, Resolution.UNKNOWN if unclear else Resolution.REJECT, what)
        tried: dict[str, list[str]] = {}
        try:
            for product, variants in continued.items():
                tried[product] = variants
                self._set_policy(product, variants, "DENY")
        except ChannelFault:
            # Who does not learn what to put back finds it put back.
            for product, variants in tried.items():
                self._set_policy(product, variants, "CONTINUE")
            raise

    def _policies(self, refs: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
        """The refs that the shop knows, and product → variants that go on selling at 0."""
        known: list[str] = []
        continued: dict[str, list[str]] = {}
        for start in range(0, len(refs), ITEMS_PER_READ):
            nodes = self._client.run(READ_POLICIES, {"ids": refs[start : start + ITEMS_PER_READ]}).get("nodes")
            for item in nodes if isinstance(nodes, list) else []:
                if item is None:
                    continue
                try:
                    variants, whole = item["variants"]["nodes"], not item["variants"]["pageInfo"]["hasNextPage"]
                    if item["tracked"] is not True or not whole:
                        what = f"{item['id']} is sold without a count: it cannot be paused at the shop's only location"
                        raise ChannelFault(self._code, Resolution.REJECT, what)
                    known.append(item["id"])
                    for variant in variants:
                        if variant["inventoryPolicy"] != "DENY":
                            continued.setdefault(variant["product"]["id"], []).append(variant["id"])
                except (KeyError, TypeError):
                    what = "ReadPolicies answered items of another shape"
                    raise ChannelFault(self._code, Resolution.MALFORMED, what, status=200) from None
        return known, continued

    def _set_policy(self, product: str, variants: Sequence[str], policy: str) -> None:
        rows = [{"id": variant, "inventoryPolicy": policy} for variant in variants]
        _, refusal = self._mutate(SET_POLICIES, {"product": product, "variants": rows}, "productVariantsBulkUpdate")
        if refusal is not None and refusal not in GONE:
            raise self._refused(refusal)

    def _mutate(self, operation: Operation, variables: dict[str, Any], root: str) -> tuple[dict[str, Any], str | None]:
        payload = self._client.run(operation, variables).get(root)
        errors = user_errors(payload)
        if errors is None or not isinstance(payload, dict):
            what = f"{operation.name} answered another shape"
            raise ChannelFault(self._code, Resolution.UNKNOWN, what, status=200)
        return payload, errors[0].code if errors else None

    def _refused(self, code: str) -> ChannelFault:
        whose = "the location is a fulfilment service's and stays on online sale" if code == OF_A_SERVICE else "refused"
        return ChannelFault(self._code, Resolution.REJECT, f"{whose}: {code}", status=200, code=code)
