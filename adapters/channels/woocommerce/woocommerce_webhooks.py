"""WooCommerce's webhooks. Source: the vendor's documentation "Webhooks" and its `WC_Webhook`.

Each webhook has its own secret. They are sent once, and a shop that gets five refusals in a row sends no more.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from adapters.channels.notices import Notice
from adapters.channels.signatures import is_signed

TOPIC = re.compile(r"(order|product)\.(created|updated|deleted|restored)")
ANY_TOPIC = re.compile(r"[a-z_]{1,40}(\.[a-z_]{1,80}){1,2}")
PING = re.compile(rb"webhook_id=[0-9]{1,20}")
DELIVERY = re.compile(r"[A-Za-z0-9_-]{1,64}")
WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


class WooCommerceWebhooks:
    """A `ReceivesWebhooks` that also `KnowsGreetings`.

    `secrets`: those of all webhooks that point here, old ones too while they rotate.
    """

    def __init__(self, secrets: Sequence[SecretStr]) -> None:
        self._secrets = tuple(secrets)

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        """See the protocol. That the source is the address by which we reach the shop is not asked for: shops
        have several, and the secret is the webhook's alone."""
        signed = is_signed(body, headers.get("x-wc-webhook-signature", ""), self._secrets)
        plausible = ANY_TOPIC.fullmatch(headers.get("x-wc-webhook-topic", "")) is not None
        return signed and plausible and _is_address(headers.get("x-wc-webhook-source", ""))

    def greets(self, headers: Mapping[str, str], body: bytes) -> bool:
        """The first call to a new address: a ping, which nobody signs and which has to be answered 2xx."""
        form = headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded")
        return form and "x-wc-webhook-topic" not in headers and PING.fullmatch(body) is not None

    def read(self, headers: Mapping[str, str], body: bytes) -> list[Notice]:
        """See the protocol.

        The vendor's delivery id repeats within a second and the body is the newest state, so that two messages are
        the same only if the thing, its date, the delivery and the signed content are.
        """
        if self.greets(headers, body):
            return []
        topic = TOPIC.fullmatch(headers.get("x-wc-webhook-topic", ""))
        if topic is None:
            return []
        thing = _object(body)
        number, parent, changed = thing.get("id"), thing.get("parent_id"), thing.get("date_modified_gmt")
        if not _is_number(number):
            raise ValueError(f"the body has no id of the {topic[1]}")
        delivery = headers.get("x-wc-webhook-delivery-id", "")
        if not DELIVERY.fullmatch(delivery):
            raise ValueError("X-WC-Webhook-Delivery-ID is missing or no id")
        when = changed if isinstance(changed, str) and WHEN.fullmatch(changed) else "-"
        content = re.sub(r"[^A-Za-z0-9]", "", headers.get("x-wc-webhook-signature", ""))[:12]
        event_id = f"{topic[1]}:{number}:{when}:{delivery}:{content}"
        if topic[1] == "order":
            return [Notice(event_id, topic[0], (str(number),))]
        ref = f"{parent}/{number}" if _is_number(parent) else str(number)
        return [Notice(event_id, topic[0], (), (ref,))]


def _is_address(text: str) -> bool:
    try:
        address = urlsplit(text)
    except ValueError:
        return False
    return address.scheme in ("http", "https") and bool(address.hostname)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**18


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is no valid JSON") from None
    if not isinstance(content, dict):
        raise ValueError("the body is no JSON object")
    return content
