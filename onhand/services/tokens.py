"""Bearer tokens: which channel a request speaks for."""

import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha256

from pydantic import SecretStr

SHORTEST = 16


class TokenError(ValueError):
    """A token that is no protection. The message names its place, never the token."""


class Tokens:
    """Only hashes stay in memory. `given`: {channel: (name of its place, token)}; several for rotation."""

    def __init__(self, given: Mapping[str, Iterable[tuple[str, SecretStr]]]) -> None:
        self._hashes: list[tuple[bytes, str]] = []
        self.channels = frozenset(given)
        seen: dict[bytes, str] = {}
        for channel, tokens in given.items():
            for name, token in tokens:
                value = token.get_secret_value()
                if len(value) < SHORTEST or not value.isascii() or not value.isprintable() or " " in value:
                    raise TokenError(f"{name} holds no usable token: {SHORTEST} or more visible ASCII characters")
                digest = sha256(value.encode()).digest()
                if seen.setdefault(digest, channel) != channel:
                    raise TokenError(f"{name} holds a token of another channel: every channel has its own")
                self._hashes.append((digest, channel))

    def channel_of(self, authorization: str) -> str | None:
        """The channel of an `Authorization` header's value; None when nobody's. Takes as long for every token."""
        scheme, _, token = authorization.partition(" ")
        digest = sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        found = None
        for known, channel in self._hashes:
            if hmac.compare_digest(known, digest):
                found = channel
        return found if scheme.lower() == "bearer" else None
