"""How much is exposed: per listing, SKU, channel and in total, and over time."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, TextClause, text

_PIECES = """
    WITH RECURSIVE sold_as (component, sku, pieces, depth) AS (
        SELECT sku, sku, 1::bigint, 1 FROM item
        WHERE NOT EXISTS (SELECT FROM bundle_component part WHERE part.bundle_sku = item.sku)
        UNION ALL
        SELECT sold_as.component, part.bundle_sku, sold_as.pieces * part.quantity, sold_as.depth + 1
        FROM sold_as JOIN bundle_component part ON part.component_sku = sold_as.sku
        WHERE sold_as.depth < 10
    ), listed AS (
        SELECT sold_as.component AS sku, listing.channel, listing.ref, listing.sku AS listed_as, listing.exposure,
               listing.confirmed, sold_as.pieces * listing.units_per_listing AS pieces, channel.asks_first, channel.mode
        FROM sold_as JOIN listing ON listing.sku = sold_as.sku JOIN channel ON channel.code = listing.channel
    ), stock AS (
        SELECT item.sku, greatest(0, coalesce(sum(balance.quantity), 0)
                                  - item.accuracy_margin - item.safety_stock)::bigint AS sellable
        FROM item LEFT JOIN balance ON balance.sku = item.sku AND balance.state = 'available'
        GROUP BY item.sku
    ), exposed AS (
        SELECT sku, coalesce(sum(exposure * pieces) FILTER (WHERE NOT asks_first), 0)::bigint AS exposed,
               count(*) FILTER (WHERE exposure IS NULL AND NOT asks_first) AS unread, bool_or(asks_first) AS asks
        FROM listed GROUP BY sku
    )
"""


def _with_pieces(select: str) -> TextClause:
    return text(_PIECES + select)


@dataclass(frozen=True, slots=True)
class SkuExposure:
    """In pieces. `pool`: what is left for the channels that ask first (None: there is none)."""

    sku: str
    sellable: int
    exposed: int
    unread: int
    """Listings whose exposure nobody knows yet."""
    pool: int | None

    @property
    def beyond(self) -> int:
        """The most that could be oversold."""
        return max(0, self.exposed - self.sellable)


@dataclass(frozen=True, slots=True)
class ListingExposure:
    channel: str
    ref: str
    listed_as: str
    sku: str
    pieces: int
    """Pieces of the SKU in one listing unit: components that bundles share are exposed in each of them."""
    exposure: int | None
    confirmed: int | None
    asks_first: bool


@dataclass(frozen=True, slots=True)
class Total:
    exposed: int
    sellable: int
    beyond: int
    oversold: int
    by_channel: dict[str, int]
    pool: int
    """Sellable pieces that no listing may sell unseen, of SKUs that a channel that asks first lists."""


_TOTAL = _with_pieces(
    """
    SELECT (SELECT coalesce(sum(exposed), 0)::bigint FROM exposed) AS exposed,
           (SELECT coalesce(sum(sellable), 0)::bigint FROM stock) AS sellable,
           (SELECT coalesce(sum(greatest(0, exposed.exposed - stock.sellable)), 0)::bigint
            FROM exposed JOIN stock USING (sku)) AS beyond,
           (SELECT coalesce(sum(greatest(0, coalesce(stock.sellable, 0) - exposed.exposed)), 0)::bigint
            FROM exposed JOIN stock USING (sku) WHERE exposed.asks) AS pool,
           (SELECT coalesce(sum(oversold), 0)::bigint FROM reservation_line WHERE oversold > 0) AS oversold,
           (SELECT coalesce(jsonb_object_agg(channel, units), '{}') FROM (
                SELECT channel, coalesce(sum(exposure * pieces) FILTER (WHERE NOT asks_first), 0)::bigint AS units
                FROM listed GROUP BY channel) AS one) AS by_channel
    """
)

_SKUS = _with_pieces(
    """
    SELECT exposed.sku, stock.sellable, exposed.exposed, exposed.unread,
           CASE WHEN exposed.asks THEN greatest(0, stock.sellable - coalesce(kept.pieces, exposed.exposed)
                                                   - coalesce(kept.safety, 0)) END AS pool
    FROM exposed JOIN stock USING (sku) LEFT JOIN pool_kept AS kept USING (sku)
    WHERE CAST(:sku AS text) IS NULL OR exposed.sku = :sku
    ORDER BY exposed.exposed - stock.sellable DESC, exposed.exposed DESC, exposed.sku LIMIT :most
    """
)

_LISTINGS = _with_pieces(
    """
    SELECT channel, ref, listed_as, sku, pieces, exposure, confirmed, asks_first FROM listed
    WHERE sku = ANY(:skus) ORDER BY sku, channel, ref
    """
)


def total(connection: Connection) -> Total:
    return Total(**dict(connection.execute(_TOTAL).one()._mapping))


def by_sku(connection: Connection, *, most: int = 50, sku: str | None = None) -> list[SkuExposure]:
    """Those with the most exposure against what is sellable first."""
    return [SkuExposure(*row) for row in connection.execute(_SKUS, {"most": most, "sku": sku})]


def by_listing(connection: Connection, skus: Collection[str]) -> list[ListingExposure]:
    return [ListingExposure(*row) for row in connection.execute(_LISTINGS, {"skus": sorted(set(skus))})]


def sample(connection: Connection, *, now: datetime) -> Total:
    """Note the bound as it is now beside what was oversold up to now."""
    found = total(connection)
    connection.execute(
        text(
            "INSERT INTO exposure_sample (at, exposed, sellable, beyond, oversold, by_channel) "
            "VALUES (:at, :exposed, :sellable, :beyond, :oversold, :by_channel) ON CONFLICT (at) DO NOTHING"
        ),
        {
            "at": now, "exposed": found.exposed, "sellable": found.sellable, "beyond": found.beyond,
            "oversold": found.oversold, "by_channel": json.dumps(found.by_channel),
        },
    )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class Sample:
    at: datetime
    exposed: int
    sellable: int
    beyond: int
    oversold: int


def samples(connection: Connection, *, since: datetime) -> list[Sample]:
    rows = connection.execute(
        text("SELECT at, exposed, sellable, beyond, oversold FROM exposure_sample WHERE at >= :since ORDER BY at"),
        {"since": since},
    )
    return [Sample(*row) for row in rows]


_UNBACKED = _with_pieces(
    """
    SELECT sku, stock.sellable, jsonb_object_agg(channel, one.exposed) AS exposed,
           jsonb_object_agg(channel, one.shown) AS shown
    FROM (SELECT listed.sku, listed.channel,
                 sum(coalesce(listed.exposure, greatest(observed, 0), 0) * pieces)::bigint AS exposed,
                 sum(least(listed.exposure, greatest(coalesce(observed, 0), 0)) * pieces)::bigint AS shown
          FROM listed JOIN listing ON listing.channel = listed.channel AND listing.ref = listed.ref
          WHERE NOT asks_first GROUP BY listed.sku, listed.channel) AS one
    JOIN stock USING (sku)
    GROUP BY sku, stock.sellable
    HAVING sum(one.exposed) > stock.sellable AND bool_or(channel = ANY(:channels) AND one.exposed > 0)
    ORDER BY sku
    """
)


@dataclass(frozen=True, slots=True)
class Unbacked:
    """A SKU of which more is exposed than is sellable, in pieces by channel. `shown`: the part that is on show."""

    sku: str
    sellable: int
    exposed: dict[str, int]
    shown: dict[str, int]


def unbacked(connection: Connection, channels: Collection[str]) -> list[Unbacked]:
    """Those of which any of these channels may sell some."""
    return [Unbacked(*row) for row in connection.execute(_UNBACKED, {"channels": sorted(channels)})]
