"""The webhooks of an imitated WooCommerce shop: one for `order.created`, one for `order.updated`.

Source: the vendor's `WC_Webhook`. The body is the order as the REST API shows it when the message is sent; nothing
is sent again; after five failures in a row the shop sends no more. An update within ten seconds of the
order's creation is not told.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta

from adapters.sandbox.deliveries import Manner, Message
from adapters.sandbox.shop import Order
from adapters.sandbox.woocommerce.woocommerce_documents import Document

MANNER = Manner(timeout_s=5.0, stops_after=5, snapshot=False)
JUST_CREATED = timedelta(seconds=10)
IDS = {"created": 1, "updated": 2}
SOURCE = "https://sandbox.example/"

PING = Message(
    {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "WooCommerce Hookshot"}, b"webhook_id=1"
)


class WebhookMessages:
    """`document` is the order as the API shows it now."""

    def __init__(self, document: Callable[[Order], Document], now: Callable[[], datetime]) -> None:
        self._document = document
        self._now = now

    def build(self, order: Order, placed: bool) -> Message | None:
        now = self._now()
        if not placed and now - order.placed_at < JUST_CREATED:
            return None
        event = "created" if placed else "updated"
        # The vendor makes it of the webhook and the second: it repeats.
        delivery = hashlib.sha256(f"{IDS[event]}:{int(now.timestamp())}".encode()).hexdigest()[:32]
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "WooCommerce Hookshot",
            "X-WC-Webhook-Source": SOURCE,
            "X-WC-Webhook-Topic": f"order.{event}",
            "X-WC-Webhook-Resource": "order",
            "X-WC-Webhook-Event": event,
            "X-WC-Webhook-ID": str(IDS[event]),
            "X-WC-Webhook-Delivery-ID": delivery,
        }
        return Message(headers, json.dumps(self._document(order)).encode(), signature)


def signature(body: bytes, secret: str) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return {"X-WC-Webhook-Signature": base64.b64encode(digest).decode()}
