"""Shopify's webhooks. Source: shopify.dev, "Webhooks: verify deliveries".

Signed are the body and nothing else: headers decide what is read from it, never whether it is believed. One secret
serves all shops of an app, so the shop that a call names must be ours.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from adapters.channels.notices import Notice
from adapters.channels.signatures import is_signed

TOPIC = re.compile(r"[a-z_]{1,60}/[a-z_]{1,60}")
SHOP_DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\.myshopify\.com")
EVENT_ID = re.compile(r"[A-Za-z0-9_-]{8,100}")


class ShopifyWebhooks:
    """A `ReceivesWebhooks`. `shop_domain` is `{shop}.myshopify.com`, None when it is not known; `location_id`
    the location whose levels matter."""

    def __init__(
        self, secrets: Sequence[SecretStr], *, shop_domain: str | None = None, location_id: str | None = None
    ) -> None:
        self._secrets = tuple(secrets)
        self._shop_domain = shop_domain
        self._location_id = location_id

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        """See the protocol. The secret is the app's client secret; for an hour after its rotation both occur."""
        signed = is_signed(body, headers.get("x-shopify-hmac-sha256", ""), self._secrets)
        domain = headers.get("x-shopify-shop-domain", "").lower()
        ours = domain == self._shop_domain if self._shop_domain else SHOP_DOMAIN.fullmatch(domain) is not None
        return signed and ours and TOPIC.fullmatch(headers.get("x-shopify-topic", "")) is not None

    def read(self, headers: Mapping[str, str], body: bytes) -> list[Notice]:
        """See the protocol. The event id is the one that stays the same over the vendor's retries."""
        event_id, topic = headers.get("x-shopify-webhook-id", ""), headers.get("x-shopify-topic", "")
        if not EVENT_ID.fullmatch(event_id):
            raise ValueError("X-Shopify-Webhook-Id is missing or no id")
        if not TOPIC.fullmatch(topic):
            raise ValueError("X-Shopify-Topic is missing or no topic")
        subject, _, event = topic.partition("/")
        if subject == "inventory_levels":
            return self._level(event_id, topic, _object(body))
        find = _order_of(subject, event)
        if find is None:
            return []
        order_id = find(_object(body))
        return [] if order_id is None else [Notice(event_id, topic, (order_id,))]

    def _level(self, event_id: str, topic: str, level: Mapping[str, Any]) -> list[Notice]:
        where = _gid("Location", level.get("location_id"))
        if self._location_id and where != self._location_id:
            return []
        return [Notice(event_id, topic, (), (_gid("InventoryItem", level.get("inventory_item_id")),))]


def _order_of(subject: str, event: str) -> Callable[[Mapping[str, Any]], str | None] | None:
    """How to find the order's id in the body of such a topic; None for a topic that nobody needs."""
    if subject == "orders":
        if event == "edited":
            return lambda body: _gid("Order", _part(body, "order_edit").get("order_id"))
        return lambda body: _named("Order", body)
    if subject == "refunds":
        return lambda body: _gid("Order", body.get("order_id"))
    if subject == "returns":
        # Not every one of these names its order: the next pull finds it then, for the order has changed.
        return lambda body: _named("Order", body["order"]) if isinstance(body.get("order"), dict) else None
    return None


def _named(kind: str, thing: Mapping[str, Any]) -> str:
    """`orders/delete` has the number alone."""
    given = thing.get("admin_graphql_api_id")
    if isinstance(given, str) and re.fullmatch(rf"gid://shopify/{kind}/[0-9]{{1,20}}", given):
        return given
    return _gid(kind, thing.get("id"))


def _gid(kind: str, number: Any) -> str:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 10**20:
        raise ValueError(f"the body has no id of the {kind} where one belongs")
    return f"gid://shopify/{kind}/{number}"


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    if not isinstance(found, dict):
        raise ValueError(f"the body has no {name}")
    return found


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is no valid JSON") from None
    if not isinstance(content, dict):
        raise ValueError("the body is no JSON object")
    return content
