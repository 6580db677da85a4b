"""What a suite must be told besides the frame: the time, the baselines, the limits.

Every value is needed. A limit that is None would silently judge nothing, so `require` raises
`MissingBaseline`, and the gate turns that into a verdict `error`, never into a pass.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


class MissingBaseline(ValueError):
    """A parameter is absent, not a number, naive, or out of its range."""


NO_WATERMARK = datetime(1970, 1, 1, tzinfo=UTC)
"""For the first pull of a channel, said aloud: None would be a forgotten baseline."""


@dataclass(frozen=True, slots=True)
class Parameters:
    now: datetime
    """Aware. The instant the frame is judged at."""

    def require(self) -> None:
        """Raise `MissingBaseline` unless each value can be compared with."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Mapping):
                ok = all(isinstance(one, ChannelCounts) and one.usable() for one in value.values())
            elif isinstance(value, datetime):
                ok = value.utcoffset() is not None
            elif isinstance(value, timedelta):
                ok = value >= timedelta(0)
            else:
                ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
                ok = ok and value >= 0 and not (field.name.endswith("_share") and value > 1)
            wanted = {"datetime": datetime, "timedelta": timedelta}.get(str(getattr(field.type, "__name__", "")))
            if not ok or (wanted is not None and not isinstance(value, wanted)):
                raise MissingBaseline(f"parameter {field.name} is {value!r}: not usable as a baseline")


@dataclass(frozen=True, slots=True)
class OrdersPulled(Parameters):
    watermark: datetime
    """All that the channel changed up to here had been read before this pull; `NO_WATERMARK` for the first."""
    overlap: timedelta = timedelta(minutes=10)
    """The pull asked for changes since `watermark - overlap`."""
    skew: timedelta = timedelta(minutes=5)
    """How far the channel's clock may be ahead of ours, or of itself."""
    quantity_limit: int = 100_000
    """Units in one line. A real wholesale line was 80,995 units; 10^9 is a fault."""
    outlier_quantity: int = 10_000
    failing_share: float = 0.5
    failing_rows: int = 20
    """The failing share is judged from so many rows on."""


@dataclass(frozen=True, slots=True)
class ChannelCounts:
    """What one channel shows at present, in listings."""

    listings: int
    """Live on the channel: what the share of changes is a share of."""
    selling: int
    """Show more than zero now."""
    zeroed: int
    """A push took them to zero lately, and they are there still."""

    def usable(self) -> bool:
        return all(type(count) is int and count >= 0 for count in (self.listings, self.selling, self.zeroed))


NOTHING_SHOWN = ChannelCounts(0, 0, 0)


@dataclass(frozen=True, slots=True)
class OutgoingPush(Parameters):
    counts: Mapping[str, ChannelCounts] = dataclasses.field(default_factory=dict)
    """By channel; a channel that is not in it shows nothing, so that its shares are not judged."""
    max_age: timedelta = timedelta(seconds=60)
    skew: timedelta = timedelta(seconds=5)
    """How far a row's `computed_at` may be ahead of `now` (two processes, one stack)."""
    vendor_maximum: int = 1_000_000_000
    outlier_factor: int = 10
    outlier_floor: int = 100
    max_rows: int = 100_000
    zero_share: float = 0.5
    zero_rows: int = 20
    """The wipe guard judges channels that sell so many listings, or did lately."""
    changed_share: float = 0.5
    changed_rows: int = 20
    """The share of changed listings is judged on channels with at least so many listings."""


@dataclass(frozen=True, slots=True)
class ListingMap(Parameters):
    units_limit: int = 10_000
    """Units that one listing sells at most."""
    max_rows: int = 1_000_000
    unknown_share: float = 0.5
    unknown_rows: int = 10
    """The share of unknown SKUs is judged from so many rows on."""


@dataclass(frozen=True, slots=True)
class CountSheet(Parameters):
    quantity_limit: int = 1_000_000
    """Units of one SKU at one location."""
    outlier_factor: int = 10
    outlier_floor: int = 100
    max_rows: int = 200_000
    unknown_share: float = 0.2
    unknown_rows: int = 10
    """Shares are judged from so many rows on."""
    zero_share: float = 0.5
    """Of the rows of bins that hold something by the ledger, those that may be counted as empty."""
    skew: timedelta = timedelta(minutes=5)
    """How far a counter's clock may be ahead of ours, or behind the making of the sheet."""


@dataclass(frozen=True, slots=True)
class StockBalances(Parameters):
    quantity_limit: int = 1_000_000
    """Units of one SKU at one location."""
    outlier_quantity: int = 10_000
    max_rows: int = 200_000
    unknown_share: float = 0.2
    unknown_rows: int = 10
    """Shares are judged from so many rows on."""
    change_share: float = 0.5
    compared_units: int = 20
    """The change of the whole is judged where the ledger has so many units in it."""
    zero_share: float = 0.5


@dataclass(frozen=True, slots=True)
class ChannelSnapshot(Parameters):
    max_age: timedelta = timedelta(hours=1)
    """How long ago the first of the numbers may have been asked for."""
    skew: timedelta = timedelta(seconds=5)
    orders_age: timedelta = timedelta(minutes=30)
    least_rows: int = 20
    """Shares are judged from so many listings on."""
    unanswered_share: float = 0.5
    zero_share: float = 0.5
    changed_share: float = 0.5
    unusable_share: float = 0.1
    max_rows: int = 1000
