"""HMAC-SHA256 over a raw body, as several vendors sign their webhooks."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence

from pydantic import SecretStr


def is_signed(body: bytes, signature: str, secrets: Sequence[SecretStr]) -> bool:
    """Whether `signature` is the base64 of the body's HMAC under one of the secrets.

    In constant time: every secret is tried whatever the others said. An empty secret signs nothing.
    """
    given = signature.encode("utf-8", "replace")
    found = False
    for secret in secrets:
        key = secret.get_secret_value().encode()
        expected = base64.b64encode(hmac.new(key, body, hashlib.sha256).digest())
        found |= hmac.compare_digest(expected, given) and bool(key)
    return found


def secrets_of(names: str | Sequence[str], secret: Callable[[str], SecretStr]) -> list[SecretStr]:
    """The secrets by their names, of which a configuration has none, one, or several while they are rotated."""
    return [secret(name) for name in ([names] if isinstance(names, str) else names)]
