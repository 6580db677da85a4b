"""What the channels that ask before they sell may not have: under `strict` all that the others may sell, under another
policy as much as that policy keeps. The publisher notes it when it plans; a reservation only reads it."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, text

from inventory.publishing.guidance import safety_of
from inventory.publishing.publishing import Market

_PROMISED = text(
    """
    WITH RECURSIVE sold_as (component, sku, pieces, depth) AS (
        SELECT sku, sku, 1::bigint, 1 FROM unnest(CAST(:skus AS text[])) AS wanted (sku)
        UNION ALL
        SELECT sold_as.component, part.bundle_sku, sold_as.pieces * part.quantity, sold_as.depth + 1
        FROM sold_as JOIN bundle_component part ON part.component_sku = sold_as.sku
        WHERE sold_as.depth < 10
    ), exposed AS (
        SELECT sold_as.component AS sku,
               sum(sold_as.pieces * listing.units_per_listing * listing.exposure)::bigint AS pieces
        FROM sold_as JOIN listing ON listing.sku = sold_as.sku
        WHERE listing.exposure > 0 GROUP BY sold_as.component
    ), promoted AS (
        -- Kept back from every channel for the time of a promotion (`inventory.publishing.promotions`).
        SELECT sku, max(reserve) AS pieces FROM promotion_guard
        WHERE channel = '' AND turned = 'on' AND sku = ANY(:skus) GROUP BY sku
    ), held_back AS (
        SELECT wanted.sku, coalesce(kept.pieces, exposed.pieces, 0) + coalesce(kept.safety, 0)
                           + coalesce(promoted.pieces, 0)
                           + coalesce(item.accuracy_margin + item.safety_stock, 0) AS pieces
        FROM unnest(CAST(:skus AS text[])) AS wanted (sku)
        LEFT JOIN exposed ON exposed.sku = wanted.sku LEFT JOIN pool_kept AS kept ON kept.sku = wanted.sku
        LEFT JOIN promoted ON promoted.sku = wanted.sku LEFT JOIN item ON item.sku = wanted.sku
    )
    SELECT sku, pieces FROM held_back WHERE pieces > 0
    """
)


def promised_units(connection: Connection, skus: Collection[str]) -> dict[str, int]:
    """Pieces of each SKU that are available but not free to who asks: what is kept for blind channels, and what is
    withheld from everybody, the accuracy margin and the safety stock."""
    rows = connection.execute(_PROMISED, {"skus": sorted(set(skus))})
    return {row.sku: row.pieces for row in rows}


def note_pool(connection: Connection, market: Market, noted: Mapping[str, tuple[int | None, int]]) -> None:
    """Note what the policies keep from the pool now, where it is something else than is `noted`."""
    safety = safety_of(market.positions)
    asked = {sku for one in market.positions if one.asks_first for sku in one.components}
    kept = {sku: (market.steering.kept_from_pool(sku), safety.get(sku, 0)) for sku in sorted(asked | set(noted))}
    rows = {sku: values for sku, values in kept.items() if values != noted.get(sku, (None, 0))}
    if not rows:
        return
    connection.execute(
        text(
            """
            INSERT INTO pool_kept (sku, pieces, safety)
            SELECT * FROM unnest(CAST(:skus AS text[]), CAST(:pieces AS int[]), CAST(:safety AS int[])) AS given
            ON CONFLICT (sku) DO UPDATE SET pieces = EXCLUDED.pieces, safety = EXCLUDED.safety
            """
        ),
        {
            "skus": list(rows),
            "pieces": [pieces for pieces, _ in rows.values()],
            "safety": [units for _, units in rows.values()],
        },
    )
