"""eBay's public keys, by key id: fetched once an hour at most, and never as often as a stranger likes.

Anybody can send a message with an invented key id. So ids that have not been met before share a small
allowance of questions, and what eBay does not know is remembered for a while. A key that is known goes on
being used when it cannot be fetched again.
"""

import base64
import binascii
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from adapters.channels.ebay.ebay_client import EbayClient
from adapters.http import ChannelFault

GOOD_FOR_S = 3600.0
UNKNOWN_FOR_S = 600.0
MOST_KEYS = 50
MOST_UNKNOWN = 1000
STRANGERS = 10
"""So many questions for ids that were not met before may be asked at once, then one every STRANGER_EVERY_S."""
STRANGER_EVERY_S = 30.0

_DIGESTS: dict[str, HashAlgorithm] = {
    # eBay signs with SHA-1, and says so with the key; a forger would have to find a second body for one signature.
    "SHA1": SHA1(),  # noqa: S303
    "SHA256": SHA256(),
    "SHA384": SHA384(),
    "SHA512": SHA512(),
}


@dataclass(frozen=True, slots=True)
class PublicKey:
    key: ec.EllipticCurvePublicKey
    digest: HashAlgorithm

    def signed(self, body: bytes, signature: bytes) -> bool:
        try:
            self.key.verify(signature, body, ec.ECDSA(self.digest))
        except (InvalidSignature, UnsupportedAlgorithm):
            return False
        return True


class PublicKeys:
    """Thread safe."""

    def __init__(self, client: EbayClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._keys: OrderedDict[str, tuple[float, PublicKey]] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._allowance = float(STRANGERS)
        self._counted_at = clock()

    def get(self, kid: str) -> PublicKey | None:
        """The key; None when eBay does not know it, cannot be asked, or was asked too often for strange ones."""
        if not re.fullmatch(r"[0-9A-Za-z_-]{1,64}", kid):
            return None
        known = self._known(kid)
        if known is not None and known[1]:
            return known[0]
        # Whoever has an old key does not wait for another's question.
        if not self._asking.acquire(blocking=known is None):
            return known[0] if known else None
        try:
            return self._ask(kid)
        finally:
            self._asking.release()

    def _known(self, kid: str) -> tuple[PublicKey, bool] | None:
        """The key, and whether it is fresh."""
        with self._lock:
            at, key = self._keys.get(kid, (0.0, None))
            if key is None:
                return None
            self._keys.move_to_end(kid)
            return key, self._clock() - at < GOOD_FOR_S

    def _ask(self, kid: str) -> PublicKey | None:
        """One question at a time; while one waited for its turn, another may have got the answer."""
        now, known = self._clock(), self._known(kid)
        if known is not None and known[1]:
            return known[0]
        with self._lock:
            refused_lately = now - self._unknown.get(kid, now - UNKNOWN_FOR_S) < UNKNOWN_FOR_S
            if known is None and (refused_lately or not self._may_ask(now)):
                return None
        path = f"/commerce/notification/v1/public_key/{kid}"
        try:
            fresh = _public_key(self._client.call("GET", path, mint=self._client.tokens.application).body)
        except ChannelFault as fault:
            if fault.status not in (400, 404):
                # eBay is away: what is known stays good, and is asked for again in a minute.
                old = known[0] if known else None
                self._note(kid, old, now - GOOD_FOR_S + 60.0)
                return old
            fresh = None
        self._note(kid, fresh, now)
        if fresh is None:
            self._note_unknown(kid, now)
        return fresh

    def _note_unknown(self, kid: str, now: float) -> None:
        with self._lock:
            self._keys.pop(kid, None)
            self._unknown[kid] = now
            while len(self._unknown) > MOST_UNKNOWN:
                self._unknown.popitem(last=False)

    def _note(self, kid: str, key: PublicKey | None, at: float) -> None:
        if key is None:
            return
        with self._lock:
            self._keys[kid] = at, key
            self._keys.move_to_end(kid)
            while len(self._keys) > MOST_KEYS:
                self._keys.popitem(last=False)

    def _may_ask(self, now: float) -> bool:
        self._allowance = min(float(STRANGERS), self._allowance + (now - self._counted_at) / STRANGER_EVERY_S)
        self._counted_at = now
        if self._allowance < 1.0:
            return False
        self._allowance -= 1.0
        return True


def _public_key(body: Any) -> PublicKey | None:
    """eBay writes the PEM in one line, with no breaks around its base64."""
    text = body.get("key") if isinstance(body, Mapping) else None
    digest = _DIGESTS.get(str(body.get("digest")).upper().replace("-", "")) if isinstance(body, Mapping) else None
    if not isinstance(text, str) or digest is None:
        return None
    try:
        der = base64.b64decode(re.sub(r"-----[A-Z ]+-----|\s", "", text), validate=True)
        key = load_der_public_key(der)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return None
    return PublicKey(key, digest) if isinstance(key, ec.EllipticCurvePublicKey) else None
