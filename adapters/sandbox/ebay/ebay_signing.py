"""The imitated eBay's notifications: their shape, their signature, and the keys that prove it."""

import base64
import json
import uuid
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.sandbox.deliveries import Build, Manner, Message
from adapters.sandbox.ebay.ebay_documents import order_id, stamp
from adapters.sandbox.shop import Order, Shop

MANNER = Manner(timeout_s=3.0, retries=(30.0, 60.0, 300.0, 900.0, 3600.0), stops_after=20)
"""How often exactly eBay tries again it does not say; an endpoint that goes on failing is MARKED_DOWN."""


class Signer:
    """Signs with its newest key; all keys it ever had can be asked for."""

    def __init__(self) -> None:
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.rotate()

    def rotate(self) -> None:
        self.kid = str(uuid.uuid4())
        self._keys[self.kid] = ec.generate_private_key(ec.SECP256R1())

    def public_key(self, kid: str) -> dict[str, str] | None:
        """As GET /public_key/{kid} answers, the PEM in one line as eBay writes it."""
        key = self._keys.get(kid)
        if key is None:
            return None
        der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        pem = f"-----BEGIN PUBLIC KEY-----{base64.b64encode(der).decode()}-----END PUBLIC KEY-----"
        return {"key": pem, "algorithm": "ECDSA", "digest": "SHA1"}

    def sign(self, body: bytes, secret: str = "") -> dict[str, str]:
        """The header that proves the body. eBay signs with a key of its own; there is no shared secret."""
        signature = self._keys[self.kid].sign(body, ec.ECDSA(SHA1()))  # noqa: S303 - as eBay does
        proof = {
            "alg": "ecdsa",
            "kid": self.kid,
            "signature": base64.b64encode(signature).decode(),
            "digest": "SHA1",
        }
        return {"x-ebay-signature": base64.b64encode(json.dumps(proof).encode()).decode()}


def envelope(shop: Shop, topic: str, data: dict[str, Any]) -> bytes:
    now = stamp(shop.now())
    message = {
        "metadata": {"topic": topic, "schemaVersion": "1.0", "deprecated": False},
        "notification": {
            "notificationId": f"{uuid.uuid4()}_{uuid.uuid4()}",
            "eventDate": now,
            "publishDate": now,
            "publishAttemptCount": 1,
            "data": data,
        },
    }
    return json.dumps(message, separators=(",", ":")).encode()


def notification_for(shop: Shop, order: Order) -> bytes:
    """ORDER_CONFIRMATION. It tells the order's id and no more of it."""
    lines = [{"orderLineItemId": str(line.number), "sku": line.sku} for line in order.lines]
    return envelope(shop, "ORDER_CONFIRMATION", {"orderId": order_id(order.number), "orderLineItems": lines})


def account_deletion(shop: Shop) -> bytes:
    data = {"username": "someone", "userId": "ma8vp1jySJC", "eiasToken": "nY+sHZ2PrBmdj6wVnY"}
    return envelope(shop, "MARKETPLACE_ACCOUNT_DELETION", data)


def messages(shop: Shop, signer: Signer) -> Build:
    """What eBay tells of an order: its checkout, and no later change of it."""

    def build(order: Order, placed: bool) -> Message | None:
        if not placed:
            return None
        return Message({"content-type": "application/json"}, notification_for(shop, order), signer.sign)

    return build
