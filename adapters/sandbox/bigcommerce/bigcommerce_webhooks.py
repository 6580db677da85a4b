"""The webhooks of an imitated BigCommerce store: `store/order/created` and `store/order/updated`.

Source: the vendor's "HTTPS webhooks overview". A body names the order and nothing of it. What fails comes again for
48 hours, then the webhook is turned off. The secret is the value of a header that the receiver wished for; with a
client secret the call is signed besides, as Standard Webhooks have it.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from datetime import datetime

from adapters.channels.bigcommerce.bigcommerce_webhooks import HEADER, signature
from adapters.sandbox.deliveries import Manner, Message
from adapters.sandbox.shop import Order

RETRIES_S = (60.0, 180.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21600.0, 50400.0, 86400.0)
MANNER = Manner(timeout_s=10.0, retries=RETRIES_S, stops_after=1)


class WebhookMessages:
    def __init__(self, store_hash: str, now: Callable[[], datetime], client_secret: str) -> None:
        self._producer = f"stores/{store_hash}"
        self._now = now
        self._client_secret = client_secret
        self._numbers = itertools.count(1)

    def build(self, order: Order, placed: bool) -> Message:
        created_at = int(self._now().timestamp())
        event = {
            "store_id": "1025646",
            "producer": self._producer,
            "scope": f"store/order/{'created' if placed else 'updated'}",
            "data": {"type": "order", "id": order.number},
        }
        # Of the thing alone: two updates of one order have the same.
        digest = hashlib.sha1(json.dumps(event).encode(), usedforsecurity=False).hexdigest()
        body = json.dumps({**event, "hash": digest, "created_at": created_at}).encode()
        message_id, stamp = f"msg_{next(self._numbers)}", str(created_at)
        headers = {"Content-Type": "application/json", "Webhook-Id": message_id, "Webhook-Timestamp": stamp}

        def prove(content: bytes, secret: str) -> Mapping[str, str]:
            # The header does not depend on the body: a stranger simply does not know it.
            made = {HEADER: secret if content == body else "a guess"}
            if self._client_secret:
                made["Webhook-Signature"] = f"v1,{signature(self._client_secret, message_id, stamp, content)}"
            return made

        return Message(headers, body, prove)
