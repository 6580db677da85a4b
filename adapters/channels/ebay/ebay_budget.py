"""eBay lets one listing be revised 250 times on one calendar day: who may spend how many of them.

Source: the Inventory API's text of bulkUpdatePriceQuantity. It does not say whose calendar: we count by
eBay's own official time, US Pacific. Each row that is sent counts as one revision of its listing, also
for variations that share a listing. The last 50 are kept for lowering: a listing that can no longer be
raised sells less, one that can no longer be lowered oversells.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

REVISIONS_PER_DAY = 250
KEPT_FOR_LOWERING = 50
EBAY_TIME = ZoneInfo("America/Los_Angeles")


class RevisionLog(Protocol):
    """How often each listing ref of one channel was written to on a day of the vendor. Thread safe."""

    def counts(self, listing_refs: Sequence[str], day: date) -> Mapping[str, int]:
        """By ref; refs that were not written to may be absent."""
        ...

    def add(self, listing_refs: Sequence[str], day: date) -> None:
        """These were sent once each. Nothing to do for a log that is kept by whoever sends."""
        ...


class CountedInMemory:
    """Counts what this process sent: enough for one process that lives as long as the day."""

    def __init__(self) -> None:
        self._day: date | None = None
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def counts(self, listing_refs: Sequence[str], day: date) -> Mapping[str, int]:
        with self._lock:
            return {ref: self._counts[ref] for ref in listing_refs} if day == self._day else {}

    def add(self, listing_refs: Sequence[str], day: date) -> None:
        with self._lock:
            if day != self._day:
                self._day, self._counts = day, Counter()
            self._counts.update(listing_refs)


class CountedByPublications:
    """Counts the publications of all processes. `count` takes refs and the instants between which they were sent,
    as `inventory.publishing.revisions.count_revisions` does."""

    def __init__(self, count: Callable[[Sequence[str], datetime, datetime], Mapping[str, int]]) -> None:
        self._count = count

    def counts(self, listing_refs: Sequence[str], day: date) -> Mapping[str, int]:
        return self._count(listing_refs, *day_bounds(day))

    def add(self, listing_refs: Sequence[str], day: date) -> None:
        """Every publication is noted before it is sent."""


def vendor_day(now: datetime) -> date:
    return now.astimezone(EBAY_TIME).date()


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """The day's first instant and the next day's."""
    return (
        datetime.combine(day, time.min, EBAY_TIME),
        datetime.combine(day + timedelta(days=1), time.min, EBAY_TIME),
    )


def refusal(spent: int, *, raises: bool) -> str | None:
    """Why a listing with so many revisions today is not revised once more; None when it may be."""
    if spent >= REVISIONS_PER_DAY:
        return f"revision budget: all {REVISIONS_PER_DAY} revisions of the day are spent"
    if raises and spent >= REVISIONS_PER_DAY - KEPT_FOR_LOWERING:
        return f"revision budget: {spent} of {REVISIONS_PER_DAY} are spent today, the rest is kept for lowering"
    return None
