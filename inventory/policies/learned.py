"""What the ledger's own orders say of demand and of lags: learned now and then, stored, and read for a few SKUs.

The learning is the replay's (`inventory.policies.demand_model`). A rate belongs to a SKU as it is listed, so a bundle
has one of its own; sizes are pieces of it. What was not on sale is not seen: demand that found nothing is missing from
it.
"""

import json
from array import array
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from inventory.catalogue import CONNECTED
from inventory.orders.order_history import DAY, OrderHistory, monday_before
from inventory.outages.darkness import SUPPOSED_LAG
from inventory.policies.demand_model import Knowledge, learn_up_to_now, revised
from inventory.publishing.unseen import Sizes

WEEKS = 26
"""Older orders hardly count any more (see `demand_model.HALF_LIFE`)."""
LAG_WINDOW = timedelta(days=7)
ENOUGH_ORDERS = 20
"""From so many on the lag of a channel is measured."""
FIRST_MONDAY = 4 * 86_400
"""Of the epoch, in its seconds."""
KEPT = 200
"""Earlier results that are kept, for who asks what was known when."""
_CHUNK = 5000

_ORDERS = text(
    """
    SELECT reservation.channel, line.sku, (extract(epoch FROM reservation.placed_at - :origin) * 1000)::bigint AS at,
           sum(line.quantity * coalesce(listing.units_per_listing, 1))::bigint AS units
    FROM order_line AS line JOIN reservation USING (holder) LEFT JOIN listing ON listing.id = line.listing_id
    WHERE reservation.kind = 'order' AND reservation.placed_at >= :since AND reservation.placed_at < :until
    GROUP BY reservation.holder, reservation.channel, line.sku, reservation.placed_at
    HAVING sum(line.quantity) > 0
    ORDER BY line.sku, at
    """
)

_LAGS = text(
    """
    INSERT INTO channel_lag (channel, seconds, orders, measured_at)
    SELECT code, CASE WHEN found.orders >= :enough THEN found.seconds
                      ELSE coalesce(channel.pulls_every + 5, :supposed) END,
           CASE WHEN found.orders >= :enough THEN found.orders ELSE 0 END, :now
    FROM channel, LATERAL (
        SELECT count(*) AS orders,
               percentile_cont(0.95) WITHIN GROUP (ORDER BY greatest(
                   0.1, extract(epoch FROM reservation.synced_at - reservation.placed_at))) AS seconds
        FROM reservation
        WHERE reservation.channel = channel.code AND kind = 'order' AND synced_at IS NOT NULL AND placed_at >= :since
          -- What waited for the end of an outage is no lag: the fence has counted it.
          AND NOT EXISTS (SELECT FROM channel_outage AS out WHERE out.channel = channel.code
                          AND reservation.placed_at BETWEEN out.began_at AND coalesce(out.ended_at, :now))
    ) AS found
    ON CONFLICT (channel) DO UPDATE
    SET seconds = EXCLUDED.seconds, orders = EXCLUDED.orders, measured_at = EXCLUDED.measured_at
    """
)


@dataclass(frozen=True, slots=True)
class Learned:
    order_lines: int
    skus: int
    days: int


@dataclass(frozen=True, slots=True)
class SkuDemand:
    rates: Mapping[str, float]
    shape: float
    size_class: int


@dataclass(frozen=True, slots=True, eq=False)
class MarketFacts:
    """Of all SKUs together."""

    calendar: Knowledge
    """Its hours, weekdays and sizes; it has no SKUs."""
    prior: SkuDemand


def measure_lags(connection: Connection, *, now: datetime) -> None:
    values = {"since": now - LAG_WINDOW, "now": now, "enough": ENOUGH_ORDERS, "supposed": SUPPOSED_LAG}
    connection.execute(_LAGS, values)


def learn_demand(connection: Connection, *, now: datetime, weeks: int = WEEKS) -> Learned:
    """Read the orders of the last weeks and store what they say. Without any, nothing is stored."""
    history, channels, today = _history(connection, now, weeks)
    known = learn_up_to_now(history) if len(history.at) else None
    if known is None:
        return Learned(0, 0, 0)
    known = _up_to(known, today, now)
    days = history.days - history.first_day
    connection.execute(
        text("INSERT INTO learned_market (learned_at, order_lines, days, facts) VALUES (:now, :lines, :days, :facts)"),
        {"now": now, "lines": len(history.at), "days": days, "facts": json.dumps(_facts(known, channels))},
    )
    connection.execute(
        text("DELETE FROM learned_market WHERE id <= (SELECT max(id) FROM learned_market) - :kept"), {"kept": KEPT}
    )
    connection.execute(text("DELETE FROM learned_demand"))
    skus = history.skus[:-1]
    for start in range(0, len(skus), _CHUNK):
        part = range(start, min(start + _CHUNK, len(skus)))
        connection.execute(
            text(
                """
                INSERT INTO learned_demand (sku, rates, shape, size_class)
                SELECT * FROM unnest(CAST(:skus AS text[]), CAST(:rates AS jsonb[]), CAST(:shapes AS float8[]),
                                     CAST(:classes AS int[]))
                """
            ),
            {
                "skus": [skus[place] for place in part],
                "rates": [json.dumps(_rates(known, place, channels)) for place in part],
                "shapes": [float(known.shape[place]) for place in part],
                "classes": [int(known.size_class[place]) for place in part],
            },
        )
    return Learned(len(history.at), len(skus), days)


def _up_to(known: Knowledge, today: NDArray[np.int64], now: datetime) -> Knowledge:
    """With the lines of the day that is not over."""
    if not today.any():
        return known
    moment = moment_of(now)
    expected = known.rate.sum(axis=1) * known.days_between(moment - moment % DAY, moment)
    # Nothing is new of a SKU that was never sold: it stays the prior.
    expected[-1] = 0
    factor, shape = revised(known.shape, expected, today)
    return replace(known, rate=(known.rate * factor[:, None]).astype(np.float32), shape=shape.astype(np.float32))


def _history(connection: Connection, now: datetime, weeks: int) -> tuple[OrderHistory, list[str], NDArray[np.int64]]:
    """The orders; behind all SKUs one that was never sold: what is known of it is the prior; and lines of today."""
    origin = monday_before((now - timedelta(weeks=weeks)).astimezone(UTC)).replace(tzinfo=UTC)
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    numbers: dict[str, int] = {}
    places: dict[str, int] = {}
    at, sku, channel, units = (array("q") for _ in range(4))
    values = {"origin": origin, "since": origin, "until": now}
    for row in connection.execute(_ORDERS, values, execution_options={"yield_per": 20_000}):
        at.append(row.at)
        # Ordered by SKU, so they are counted in the order in which they are to stand.
        sku.append(places.setdefault(row.sku, len(places)))
        channel.append(numbers.setdefault(row.channel, len(numbers)))
        units.append(row.units)
    moments = np.array(at, dtype=np.int64)
    # Half a day is no day; but on the first one there is nothing else.
    whole = moments < (today - origin) // timedelta(milliseconds=1)
    kept = whole if whole.any() else np.ones_like(whole)
    skus_of_today = np.array(sku, dtype=np.int64)[~kept]
    history = OrderHistory(
        origin.replace(tzinfo=None),
        (*places, ""),
        max(1, len(numbers)),
        moments[kept],
        np.array(sku, dtype=np.int32)[kept],
        np.array(channel, dtype=np.int16)[kept],
        np.array(units, dtype=np.int64)[kept],
    )
    return history, list(numbers), np.bincount(skus_of_today, minlength=len(history.skus))


def _rates(known: Knowledge, place: int, channels: list[str]) -> dict[str, float]:
    return {code: round(float(rate), 6) for code, rate in zip(channels, known.rate[place], strict=True)}


def _facts(known: Knowledge, channels: list[str]) -> dict[str, Any]:
    return {
        "hours": list(known.hours),
        "weekday": list(known.weekday),
        "sizes": [
            {str(units): round(float(part), 9) for units, part in enumerate(one.share) if part > 0}
            for one in known.sizes
        ],
        "prior": {
            "rates": _rates(known, -1, channels),
            "shape": float(known.shape[-1]),
            "size_class": int(known.size_class[-1]),
        },
    }


def facts_from(stored: Mapping[str, Any]) -> MarketFacts:
    sizes = tuple(_sizes(one) for one in stored["sizes"])
    nobody = np.zeros((0, 1), dtype=np.float32)
    calendar = Knowledge(
        0, nobody, nobody[:, 0], np.zeros(0, dtype=np.int16), sizes, tuple(stored["weekday"]), tuple(stored["hours"])
    )
    prior = stored["prior"]
    return MarketFacts(calendar, SkuDemand(prior["rates"], prior["shape"], prior["size_class"]))


def _sizes(shares: Mapping[str, float]) -> Sizes:
    share = [0.0] * (max(int(units) for units in shares) + 1)
    for units, part in shares.items():
        share[int(units)] = part
    return Sizes.of(share)


def demand_of(connection: Connection, skus: Collection[str]) -> dict[str, SkuDemand]:
    """Of these SKUs, and of those that share a bundle with any of them, as far as they were ever sold."""
    rows = connection.execute(
        text(
            CONNECTED  # noqa: S608 - a constant
            + """
            SELECT learned_demand.* FROM learned_demand JOIN connected USING (sku)
            """
        ),
        {"skus": sorted(set(skus))},
    )
    return {row.sku: SkuDemand(row.rates, row.shape, row.size_class) for row in rows}


def moment_of(now: datetime) -> int:
    """Milliseconds since a Monday, as the calendar counts."""
    return moment_at(now.timestamp())


def moment_at(epoch: float) -> int:
    """The same of seconds since 1970."""
    return int((epoch - FIRST_MONDAY) * 1000)


def next_hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0) + timedelta(milliseconds=DAY // 24)
