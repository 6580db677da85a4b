"""eBay's notifications: the challenge of a new endpoint, the signature of a message, and what it says.

Source: "Notification API overview". A message is signed by ECDSA over the raw body; the header
`X-EBAY-SIGNATURE` is base64 of {alg, kid, signature, digest}. ORDER_CONFIRMATION comes once for each line
at checkout and may be repeated. Whoever keeps data of eBay must take MARKETPLACE_ACCOUNT_DELETION: onhand
keeps nothing of a person, so there is nothing to delete, and it is answered and forgotten.
"""

import base64
import binascii
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
from pydantic import SecretStr

from adapters.channels.ebay.ebay_client import EbayClient
from adapters.channels.ebay.ebay_keys import PublicKeys
from adapters.channels.ebay.ebay_memory import EbayMemory, memory_of
from adapters.channels.ebay.ebay_tokens import Credentials
from adapters.channels.notices import Notice

ORDER_CONFIRMATION = "ORDER_CONFIRMATION"
ACCOUNT_DELETION = "MARKETPLACE_ACCOUNT_DELETION"
LONGEST_HEADER = 4096
DEEPEST = 6


class EbayWebhooks:
    """Implements `adapters.channels.webhooks.ReceivesWebhooks`, with one difference: `verify` asks eBay for a key
    that it has not met within the hour, which takes `timeout_s` at most. Thread safe."""

    def __init__(
        self,
        code: str,
        *,
        base_url: str,
        client_id: SecretStr,
        client_secret: SecretStr,
        endpoint: str,
        verification_token: SecretStr,
        timeout_s: float = 5.0,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        memory: EbayMemory | None = None,
    ) -> None:
        """`endpoint` is our address as eBay has it, to the letter. eBay is asked nothing before the first message."""
        self._endpoint = endpoint
        self._verification_token = verification_token
        self._client = EbayClient(
            code,
            base_url=base_url.rstrip("/"),
            credentials=Credentials(client_id, client_secret),
            marketplace_id="EBAY_US",
            memory=memory or memory_of(base_url, client_id, client_secret),
            timeout_s=timeout_s,
            transport=transport,
            clock=clock,
        )
        self._keys = PublicKeys(self._client, clock=clock)

    def close(self) -> None:
        self._client.close()

    def challenge(self, code: str) -> str:
        """The `challengeResponse` to `?challenge_code=`: it proves that we know the token and the address."""
        parts = code + self._verification_token.get_secret_value() + self._endpoint
        return hashlib.sha256(parts.encode()).hexdigest()

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether eBay signed this body. False for whatever is missing, out of shape, or cannot be checked now."""
        proof = _proof(headers.get("x-ebay-signature", ""))
        if proof is None:
            return False
        kid, signature = proof
        key = self._keys.get(kid)
        return key is not None and key.signed(body, signature)

    def read(self, headers: Mapping[str, str], body: bytes) -> list[Notice]:
        """What a verified message says: the id of the order; empty for a topic that tells nothing of orders.
        Raises ValueError for nonsense."""
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            raise ValueError("the message is not JSON") from None
        metadata, notification = _part(message, "metadata"), _part(message, "notification")
        topic, event_id = metadata.get("topic"), notification.get("notificationId")
        if not isinstance(topic, str) or not re.fullmatch(r"[A-Z_]{1,80}", topic):
            raise ValueError("the message has no topic")
        if topic != ORDER_CONFIRMATION:
            return []
        if not isinstance(event_id, str) or not re.fullmatch(r"[0-9A-Za-z_.:-]{1,200}", event_id):
            raise ValueError("the message has no notificationId")
        order_ids = tuple(dict.fromkeys(_order_ids(notification.get("data"))))
        if not order_ids:
            raise ValueError("the message names no order")
        return [Notice(event_id, topic, order_ids)]


def _proof(header: str) -> tuple[str, bytes] | None:
    """The key's id and the signature."""
    if not 0 < len(header) <= LONGEST_HEADER:
        return None
    try:
        proof = json.loads(base64.b64decode(header, validate=True))
        kid, signature = proof["kid"], base64.b64decode(proof["signature"], validate=True)
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(kid, str) or str(proof.get("alg", "")).lower() != "ecdsa":
        return None
    return kid, signature


def _part(message: Any, name: str) -> Mapping[str, Any]:
    part = message.get(name) if isinstance(message, Mapping) else None
    if not isinstance(part, Mapping):
        raise ValueError(f"the message has no {name}")
    return part


def _order_ids(data: Any, depth: int = 0) -> Iterator[str]:
    """Every `orderId` in the data, on whatever level: only that the topic carries one is documented for certain."""
    if depth > DEEPEST:
        return
    if isinstance(data, Mapping):
        found = data.get("orderId")
        if isinstance(found, str) and re.fullmatch(r"[0-9A-Za-z!_-]{1,64}", found):
            yield found
    for inner in data.values() if isinstance(data, Mapping) else data if isinstance(data, list) else ():
        yield from _order_ids(inner, depth + 1)
