"""A seller's order lines as columns: what the replay and the learning of demand work on."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

SECOND = 1_000
DAY = 86_400 * SECOND
WEEK = 7 * DAY


@dataclass(frozen=True, slots=True, eq=False)
class OrderHistory:
    """One entry per order and SKU, sorted by (SKU, time). Times are local clock time in milliseconds since `origin`."""

    origin: datetime
    """A Monday, 00:00, without time zone."""
    skus: tuple[str, ...]
    channels: int
    at: NDArray[np.int64]
    sku: NDArray[np.int32]
    """Place in `skus`."""
    channel: NDArray[np.int16]
    """0 … channels - 1"""
    units: NDArray[np.int64]

    @property
    def days(self) -> int:
        """Days from the origin to the end of the last one with an order."""
        return int(self.at.max()) // DAY + 1 if len(self.at) else 0

    @property
    def first_day(self) -> int:
        return int(self.at.min()) // DAY if len(self.at) else 0

    def bounds(self) -> NDArray[np.int64]:
        """[s], [s + 1]: where the entries of SKU s begin and end."""
        return np.searchsorted(self.sku, np.arange(len(self.skus) + 1)).astype(np.int64)

    def single_units(self) -> "OrderHistory":
        """The same with every entry one unit."""
        return OrderHistory(
            self.origin, self.skus, self.channels, self.at, self.sku, self.channel, np.ones_like(self.units)
        )


def monday_before(moment: datetime) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return day - timedelta(days=day.weekday())
