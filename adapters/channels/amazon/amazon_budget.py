"""Amazon's usage plans: a token bucket for each operation, one set for a seller: in this process, or of all processes.

Source: the usage plan in the description of each operation (selling-partner-api-models), for feeds the
page of the feed type JSON_LISTINGS_FEED (5 in 5 minutes). Rates are requests a second.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapters.allowances import Allowances
from adapters.http import ChannelFault, Resolution

SEARCH_ORDERS = "searchOrders"
GET_ORDER = "getOrder"
GET_LISTING = "getListingsItem"
SEARCH_LISTINGS = "searchListingsItems"
PATCH_LISTING = "patchListingsItem"
CREATE_DOCUMENT = "createFeedDocument"
CREATE_FEED = "createFeed"
GET_FEED = "getFeed"
GET_FEEDS = "getFeeds"
GET_DOCUMENT = "getFeedDocument"
FBA_SUMMARIES = "getInventorySummaries"


LATER_S = 0.01
"""Added to the time between two calls: Amazon counts when they arrive, and one may be quicker on its way than the one
before it. Whoever is refused all the same tries again, for a refused call has done nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    rate: float
    burst: float


PLANS: Mapping[str, Plan] = {
    SEARCH_ORDERS: Plan(0.0056, 20),
    GET_ORDER: Plan(0.5, 30),
    GET_LISTING: Plan(5, 10),
    SEARCH_LISTINGS: Plan(5, 5),
    PATCH_LISTING: Plan(5, 5),
    CREATE_DOCUMENT: Plan(0.5, 15),
    CREATE_FEED: Plan(5 / 300, 5),
    GET_FEED: Plan(2, 15),
    GET_FEEDS: Plan(0.0222, 10),
    GET_DOCUMENT: Plan(0.0222, 10),
    FBA_SUMMARIES: Plan(2, 2),
}


def paced(rate: float) -> float:
    """Calls a second that stay within an allowance of `rate` calls a second."""
    return 1 / (1 / rate + LATER_S)


@dataclass(slots=True)
class Bucket:
    """Not thread safe. `tokens` below zero are calls that wait for theirs."""

    rate: float
    burst: float
    tokens: float
    at: float

    def refill(self, now: float) -> None:
        self.tokens = min(self.burst, self.tokens + self.rate * max(0.0, now - self.at))
        self.at = now

    def wait(self) -> float:
        """Seconds until one more call may leave."""
        return 0.0 if self.tokens >= 1 else (1 - self.tokens) / self.rate


class Budget:
    """The buckets of one seller. Thread safe; sleeps outside its lock.

    `plans` replaces or adds to the vendor's defaults: a seller may have been granted more. `together`: where all
    processes count; without it each counts its own.
    """

    def __init__(
        self,
        plans: Mapping[str, Plan] | None = None,
        *,
        together: Allowances | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._together = together
        self._lock = threading.Lock()
        now = clock()
        self._buckets = {
            name: Bucket(paced(plan.rate), plan.burst, plan.burst, now)
            for name, plan in {**PLANS, **(plans or {})}.items()
        }

    def take(self, channel: str, operation: str, most_s: float) -> None:
        """Wait for the right to call once. Raises ChannelFault (RATE_LIMITED) at once when it takes longer than
        `most_s` seconds."""
        wait = self._reserve(operation, most_s)
        if wait > most_s:
            what = f"{operation} has no allowance left"
            raise ChannelFault(channel, Resolution.RATE_LIMITED, what, retry_after=round(wait, 3))
        if wait > 0:
            self._sleep(wait)

    def _reserve(self, operation: str, most_s: float) -> float:
        if self._together is not None:
            bucket = self._buckets[operation]
            return self._together.take(operation, bucket.rate, bucket.burst, most_s)
        with self._lock:
            bucket = self._filled(operation)
            wait = bucket.wait()
            if wait <= most_s:
                bucket.tokens -= 1
        return wait

    def left(self, operation: str) -> int:
        """How many calls may leave now."""
        if self._together is not None:
            bucket = self._buckets[operation]
            return self._together.left(operation, bucket.rate, bucket.burst)
        with self._lock:
            return max(0, int(self._filled(operation).tokens))

    def told(self, operation: str, limit: str | None) -> None:
        """The vendor said the rate of the plan in force (`x-amzn-RateLimit-Limit`); it may leave it out."""
        try:
            rate = float(limit or "")
        except ValueError:
            return
        if 0 < rate < float("inf"):
            with self._lock:
                self._filled(operation).rate = paced(rate)

    def refused(self, operation: str) -> None:
        """The vendor says that nothing is left, whatever was counted here: others call too."""
        if self._together is not None:
            self._together.refused(operation)
        with self._lock:
            bucket = self._filled(operation)
            bucket.tokens = min(bucket.tokens, 0.0)

    def _filled(self, operation: str) -> Bucket:
        bucket = self._buckets[operation]
        bucket.refill(self._clock())
        return bucket
