"""BigCommerce's webhooks. Source: the vendor's "HTTPS webhooks overview", "Webhook events", `webhooks.v3.yml`.

A call names a thing and a scope, and holds nothing else. What proves it is a header of our own, with a secret, that
was given when the webhook was made; newer stores sign besides as Standard Webhooks have it, with the app's client
secret, which is asked for when we are told that secret. What fails comes again for 48 hours, with the same hash.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from adapters.channels.bigcommerce.bigcommerce_client import identity
from adapters.channels.notices import Notice

HEADER = "x-onhand-secret"
SCOPE = re.compile(r"store/[A-Za-z0-9_*/]{1,100}")
STOCK_CHANGED = re.compile(r"store/channel/(\*|[0-9]+)/inventory/product/(stock_changed|settings_changed)")
HASH = re.compile(r"[0-9A-Za-z]{8,128}")
MESSAGE_ID = re.compile(r"[\w.-]{1,100}", re.ASCII)
TIMESTAMP = re.compile(r"[0-9]{1,11}")


class BigCommerceWebhooks:
    """A `ReceivesWebhooks` that also `KnowsWhenSigned`.

    `secrets`: values of our own header. `client_secrets`: of the app; with one or more of them every call must be
    signed. Old ones too, both, while they rotate.
    """

    def __init__(
        self, secrets: Sequence[SecretStr], *, header: str = HEADER, client_secrets: Sequence[SecretStr] = ()
    ) -> None:
        self._secrets = tuple(secrets)
        self._header = header.lower()
        self._client_secrets = tuple(client_secrets)

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        """See the protocol."""
        given = headers.get(self._header, "").encode("utf-8", "replace")
        known = False
        for secret in self._secrets:
            expected = secret.get_secret_value().encode()
            known |= hmac.compare_digest(expected, given) and bool(expected)
        return known and (not self._client_secrets or self._is_signed(headers, body))

    def signed_at(self, headers: Mapping[str, str], body: bytes) -> datetime | None:
        """None without a client secret: then nothing proves the time."""
        stamp = headers.get("webhook-timestamp", "")
        signed = self._client_secrets and TIMESTAMP.fullmatch(stamp)
        return datetime.fromtimestamp(int(stamp), UTC) if signed else None

    def read(self, headers: Mapping[str, str], body: bytes) -> list[Notice]:
        """See the protocol. The vendor's hash may be of what does not change from one update to the next: so scope,
        thing and second belong to the event too."""
        call = _object(body)
        scope, data = call.get("scope"), call.get("data")
        if not isinstance(scope, str) or not SCOPE.fullmatch(scope) or not isinstance(data, Mapping):
            raise ValueError("the body has no scope or no data")
        order_ids, refs = _named(scope, data)
        if not order_ids and not refs:
            return []
        digest, created = call.get("hash"), call.get("created_at")
        if not isinstance(digest, str) or not HASH.fullmatch(digest):
            raise ValueError("the body has no hash")
        message = headers.get("webhook-id", "")
        if not (self._client_secrets and MESSAGE_ID.fullmatch(message)):
            message = f"{scope}:{(*order_ids, *refs)[0]}:{created if identity(created) else '-'}:{digest}"
        return [Notice(message, scope, order_ids, refs)]

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        message, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not MESSAGE_ID.fullmatch(message) or not TIMESTAMP.fullmatch(stamp):
            return False
        given = [text.encode("utf-8", "replace") for text in headers.get("webhook-signature", "").split()]
        found = False
        for secret in self._client_secrets:
            expected = f"v1,{signature(secret.get_secret_value(), message, stamp, body)}".encode()
            for one in given:
                found |= hmac.compare_digest(expected, one) and bool(secret.get_secret_value())
        return found


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """As Standard Webhooks have it: base64 of HMAC-SHA256 over `id.timestamp.body`."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def _named(scope: str, data: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Orders and listings that it is about. Of the scopes of stock only one names the variant."""
    if scope.startswith("store/order/"):
        number = identity(data.get("id") if data.get("type", "order") == "order" else data.get("orderId"))
        if number is None:
            number = identity(data.get("order_id"))
        if number is None:
            raise ValueError("the body names no order")
        return (str(number),), ()
    if STOCK_CHANGED.fullmatch(scope):
        product, variant = identity(data.get("product_id")), identity(data.get("variant_id"))
        return (), ((f"{product}/{variant}",) if product and variant else ())
    return (), ()


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is no valid JSON") from None
    if not isinstance(content, dict):
        raise ValueError("the body is no JSON object")
    return content
