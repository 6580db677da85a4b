"""What all adapters of one seller share in a process: adapters are opened anew for every pass.

Kept by channel code and address: the token, the buckets, what is known of each SKU, writes on their way.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from adapters.allowances import Allowances
from adapters.channels.amazon.amazon_budget import Budget, Plan
from adapters.channels.amazon.amazon_tokens import Credentials, Token
from adapters.channels.protocol import Defect, OrderDocument

FORGOTTEN_AFTER_S = 3600.0
"""A write that nobody saw arrive counts as on its way no longer than this."""


@dataclass(frozen=True, slots=True)
class Offer:
    """How one SKU was seen to be fulfilled."""

    channel: str | None
    """`DEFAULT`: by the seller. Anything else (`AMAZON_NA` …) is not ours; None: it says nothing."""
    seen_at: float


@dataclass(slots=True)
class Backlog:
    """A pull that ran out of allowance half-way: where the next one goes on."""

    since: datetime
    """What that pull was asked for."""
    search_from: datetime
    token: str
    """Empty: the search from there has still to be begun."""
    begun_at: float
    orders: dict[str, OrderDocument]
    defects: dict[str, Defect]
    read_until: datetime | None


@dataclass(slots=True)
class Shared:
    budget: Budget
    token: Token = field(default_factory=Token)
    backlog: Backlog | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _offers: dict[str, Offer] = field(default_factory=dict)
    _patched: dict[str, float] = field(default_factory=dict)
    _fed: dict[str, tuple[str, float]] = field(default_factory=dict)

    def note_offers(self, channels: Mapping[str, str | None], now: float) -> None:
        with self._lock:
            self._offers.update({sku: Offer(channel, now) for sku, channel in channels.items()})

    def offers(self, skus: list[str], not_before: float) -> dict[str, str | None]:
        """The fulfilment channel of each SKU that has been seen since then."""
        with self._lock:
            found = {sku: self._offers[sku] for sku in skus if sku in self._offers}
        return {sku: offer.channel for sku, offer in found.items() if offer.seen_at >= not_before}

    def note_patched(self, sku: str, now: float) -> None:
        with self._lock:
            self._patched[sku] = now

    def note_fed(self, skus: list[str], feed: str, now: float) -> None:
        """`feed` is empty when its id never came."""
        with self._lock:
            self._fed.update({sku: (feed, now) for sku in skus})

    def arrived(self, skus: list[str]) -> None:
        with self._lock:
            for sku in skus:
                self._patched.pop(sku, None)
                self._fed.pop(sku, None)

    def feed_ended(self, feed: str) -> None:
        with self._lock:
            self._fed = {sku: held for sku, held in self._fed.items() if held[0] != feed}

    def patched(self, now: float) -> set[str]:
        """SKUs with a patch on its way: the next write must take the same path to come after it."""
        with self._lock:
            self._patched = {sku: at for sku, at in self._patched.items() if now - at < FORGOTTEN_AFTER_S}
            return set(self._patched)

    def fed(self, now: float) -> dict[str, str]:
        """SKU → feed that may still write to it."""
        with self._lock:
            self._fed = {sku: held for sku, held in self._fed.items() if now - held[1] < FORGOTTEN_AFTER_S}
            return {sku: feed for sku, (feed, _) in self._fed.items()}


_sellers: dict[tuple[str, str, Credentials], Shared] = {}
_sellers_lock = threading.Lock()


def shared_for(
    code: str,
    base_url: str,
    credentials: Credentials,
    *,
    plans: Mapping[str, Plan],
    together: Allowances | None = None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Shared:
    """The one of this process. `plans` and clocks count when it is made, the first time."""
    with _sellers_lock:
        key = (code, base_url, credentials)
        if key not in _sellers:
            _sellers[key] = Shared(Budget(plans, together=together, clock=clock, sleep=sleep))
        return _sellers[key]
