"""What marketplaces allow, and from when on a figure of the health report is a warning or worse."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class CancellationLimit:
    """A seller may cancel less than this share of the orders of so many days."""

    share: float
    days: int
    source: str


CANCELLATION_LIMITS: Mapping[str, CancellationLimit] = {
    # Wider than the vendors' own where theirs depends on turnover: eBay looks at 12 months of a small seller.
    "amazon": CancellationLimit(0.025, 7, "Amazon Seller Central, Cancellation Rate: under 2.5 % in 7 days"),
    "ebay": CancellationLimit(0.02, 90, "eBay seller standards, transaction defect rate: 2 % in 3 months"),
    "walmart": CancellationLimit(
        0.02, 30, "Walmart Seller Performance Standards, Cancellation Rate: under 2 %, 30 days"
    ),
}
"""By vendor. Each marketplace counts cancellations that the buyer did not ask for."""

NO_LIMIT_DAYS = 28
"""Over which a channel is looked at whose vendor sets no limit."""
_LIMIT = re.compile(r"\s*([a-z0-9][a-z0-9_-]{0,63})\s*=\s*(\d{1,2}(?:\.\d{1,3})?)\s*%?\s*/\s*(\d{1,3})\s*", re.ASCII)


class LimitError(ValueError):
    """The text names no limit. The message is one line for people."""


def parse_limits(words: str) -> dict[str, CancellationLimit]:
    """`amazon=2.5/7, portal=1/30`: per cent of the orders of so many days, by vendor or channel. Those that are not
    named stay as `CANCELLATION_LIMITS` has them. Raises LimitError."""
    found = dict(CANCELLATION_LIMITS)
    for one in filter(str.strip, words.split(",")):
        match = _LIMIT.fullmatch(one)
        if match is None or not 0 < float(match[2]) or not 1 <= int(match[3]) <= 366:
            raise LimitError(f"{one.strip()[:60]!r} is no limit of cancellations; write amazon=2.5/7 (per cent / days)")
        found[match[1]] = CancellationLimit(float(match[2]) / 100, int(match[3]), "set by yourself")
    return found


def limit_of(limits: Mapping[str, CancellationLimit], channel: str, vendor: str) -> CancellationLimit | None:
    """A channel's own limit, else its vendor's."""
    return limits.get(channel) or limits.get(vendor)


@dataclass(frozen=True, slots=True)
class Targets:
    """From when on a figure is a warning, and critical. Shares from 0 to 1."""

    ira_warning: float = 0.97
    ira_critical: float = 0.90
    failed_warning: float = 0.01
    failed_critical: float = 0.05
    gap_warning: timedelta = timedelta(minutes=2)
    """Of the sync gap that nineteen in twenty orders stay below."""
    gap_critical: timedelta = timedelta(minutes=15)
    stranded_warning: float = 0.05
    """Of the sellable pieces."""
    cancelled_warning: float = 0.7
    """Of a marketplace's limit; critical at the limit itself."""
    low_days: float = 7.0
    """Sold out sooner than this is low stock."""
    revisions_warning: float = 0.8
    """Of a vendor's daily revisions of one listing; critical when they are spent."""


TARGETS = Targets()
