"""The wholesale portal's webhooks: HMAC-SHA256 over `timestamp.body`, so that none can be sent again later."""

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping

from adapters.sandbox.deliveries import Manner, Message
from adapters.sandbox.portal.portal_documents import instant
from adapters.sandbox.shop import Order, Shop

MANNER = Manner(timeout_s=5.0, retries=(10.0, 60.0, 600.0, 3600.0), stops_after=None)


class WebhookMessages:
    """Ids are new with each start of the shop, and the same for a repeated message."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._start = uuid.uuid4()

    def build(self, order: Order, placed: bool) -> Message:
        topic = "order.placed" if placed else "order.cancelled" if order.cancelled_at else "order.changed"
        body = {
            "event": str(uuid.uuid5(self._start, f"{order.number}:{order.change}")),
            "type": topic,
            "occurred_at": instant(order.updated_at),
            "order": str(order.number),
            "articles": [f"ART/{line.product.number}" for line in order.lines],
            "contact": order.buyer.email,
        }
        headers = {"Content-Type": "application/json", "User-Agent": "portal-events/1"}
        return Message(headers, json.dumps(body).encode(), self._sign)

    def _sign(self, body: bytes, secret: str) -> Mapping[str, str]:
        return signature(body, secret, int(self._shop.now().timestamp()))


def signature(body: bytes, secret: str, timestamp: int) -> dict[str, str]:
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Portal-Timestamp": str(timestamp), "X-Portal-Signature": f"v1={digest}"}
