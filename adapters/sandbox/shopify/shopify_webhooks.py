"""The webhooks of an imitated Shopify shop: an order as the vendor's old REST API shows it, personal data and all.

Source: shopify.dev, "Webhooks: HTTPS delivery". A body is what was so when it happened.
"""

import base64
import hashlib
import hmac
import json
import uuid
from datetime import UTC
from typing import Any

from adapters.sandbox.deliveries import Manner, Message
from adapters.sandbox.shop import Line, Order
from adapters.sandbox.shopify.shopify_schema import gid, timestamp

SHOP_DOMAIN = "sandbox.myshopify.com"
HOURS_4 = (60.0, 300.0, 600.0, 1200.0, 1800.0, 2700.0, 3600.0, 4140.0)
"""Eight retries over four hours."""
MANNER = Manner(timeout_s=5.0, retries=HOURS_4, stops_after=1)
"""After the last retry the subscription is deleted."""

_REASONS = {"inventory": "inventory", "customer": "customer", "fraud": "fraud", "payment": "declined"}


class WebhookMessages:
    """Ids are new with each start of the shop, as its orders are, and the same for a repeated message."""

    def __init__(self, api_version: str) -> None:
        self._api_version = api_version
        self._start = uuid.uuid4()

    def build(self, order: Order, placed: bool) -> Message:
        topic = "orders/create" if placed else "orders/cancelled" if order.cancelled_at else "orders/updated"
        event = uuid.uuid5(self._start, f"{order.number}:{order.change}")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": SHOP_DOMAIN,
            "X-Shopify-API-Version": self._api_version,
            "X-Shopify-Webhook-Id": str(uuid.uuid5(event, topic)),
            "X-Shopify-Event-Id": str(event),
            "X-Shopify-Triggered-At": order.updated_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        return Message(headers, json.dumps(rest_order(order)).encode(), signature)


def signature(body: bytes, secret: str) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return {"X-Shopify-Hmac-SHA256": base64.b64encode(digest).decode()}


def rest_order(order: Order) -> dict[str, Any]:
    buyer = order.buyer
    address = {"name": buyer.name, "address1": buyer.street, "phone": buyer.phone, "country_code": "DE"}
    return {
        "id": order.number,
        "admin_graphql_api_id": gid("Order", order.number),
        "name": f"#{order.number}",
        "created_at": timestamp(order.placed_at),
        "updated_at": timestamp(order.updated_at),
        "cancelled_at": timestamp(order.cancelled_at) if order.cancelled_at else None,
        "cancel_reason": _REASONS.get(order.cancel_reason or "", "other") if order.cancelled_at else None,
        "test": order.test,
        "email": buyer.email,
        "phone": buyer.phone,
        "note": buyer.note,
        "customer": {"id": order.number, "first_name": buyer.name, "email": buyer.email, "phone": buyer.phone},
        "billing_address": address,
        "shipping_address": address,
        "line_items": [_line(line) for line in order.lines],
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "id": line.number,
        "admin_graphql_api_id": gid("LineItem", line.number),
        "variant_id": line.product.number,
        "product_id": line.product.number,
        "title": line.product.title,
        "sku": line.sku,
        "quantity": line.quantity,
        "current_quantity": line.quantity - line.reversed,
    }
