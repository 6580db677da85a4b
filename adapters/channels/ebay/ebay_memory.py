"""What one process remembers for one seller: tokens, offers, the seller's preference, revisions.

An adapter lives for one task, so what is dear to ask again must outlive it. Kept in memory only.
"""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from pydantic import SecretStr

from adapters.channels.ebay.ebay_budget import CountedInMemory, RevisionLog

MOST_OFFERS = 200_000


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer of a SKU. `quantity` None: it may sell all that the inventory item has."""

    offer_id: str
    listing_id: str
    """Empty when it was never published."""
    quantity: int | None
    auction: bool
    live: bool
    """It has a listing that has not ended; buyers may find it, or it may be out of stock."""
    on_sale: bool


@dataclass(frozen=True, slots=True)
class Token:
    value: SecretStr
    good_until: float
    """On the adapter's monotonic clock."""


@dataclass(frozen=True, slots=True)
class Known:
    """The out-of-stock control as it was when it was asked for."""

    on: bool
    asked_at: float


@dataclass(slots=True)
class EbayMemory:
    """Thread safe where it says so: `lock` is held by whoever mints a token."""

    revisions: RevisionLog = field(default_factory=CountedInMemory)
    exhausted: set[tuple[str, date]] = field(default_factory=set)
    """Listing ids that the vendor itself refused to revise on a day."""
    control: Known | None = None
    tokens: dict[str, Token] = field(default_factory=dict, repr=False)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _offers: dict[str, tuple[float, tuple[Offer, ...]]] = field(default_factory=dict, repr=False)
    _siblings: dict[str, set[str]] = field(default_factory=dict, repr=False)

    def note_offers(self, sku: str, offers: Sequence[Offer], now: float) -> None:
        with self.lock:
            if len(self._offers) >= MOST_OFFERS:
                self._offers.clear()
                self._siblings.clear()
            self._offers[sku] = now, tuple(offers)
            for offer in offers:
                if offer.listing_id:
                    self._siblings.setdefault(offer.listing_id, set()).add(sku)

    def offers(self, sku: str, younger_than: float) -> tuple[Offer, ...] | None:
        """The offers as last read, when that was later than `younger_than`."""
        with self.lock:
            at, offers = self._offers.get(sku, (younger_than, None))
            return offers if offers is not None and at > younger_than else None

    def forget_offers(self, sku: str) -> None:
        with self.lock:
            self._offers.pop(sku, None)

    def siblings(self, listing_id: str) -> list[str]:
        """The SKUs that are known to be variations of one listing."""
        with self.lock:
            return sorted(self._siblings.get(listing_id, ()))


_memories: dict[str, EbayMemory] = {}
_memories_lock = threading.Lock()


def memory_of(base_url: str, *secrets: SecretStr) -> EbayMemory:
    """The memory of this process for one account at one address."""
    key = hashlib.sha256("\n".join([base_url, *(one.get_secret_value() for one in secrets)]).encode()).hexdigest()
    with _memories_lock:
        return _memories.setdefault(key, EbayMemory())
