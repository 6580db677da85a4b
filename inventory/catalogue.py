"""What is sold where: items, bundles, locations, channels, listings, read set-wise for the rules.

A listing sells `units_per_listing` of an item or of a bundle. Everything else thinks in *components*:
{sku: pieces per listing unit}, so that a simple item is a bundle of itself.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

CONNECTED = """
WITH RECURSIVE connected (sku) AS (
    SELECT sku FROM unnest(CAST(:skus AS text[])) AS wanted (sku)
    UNION
    SELECT CASE WHEN part.component_sku = connected.sku THEN part.bundle_sku ELSE part.component_sku END
    FROM connected JOIN bundle_component part ON connected.sku IN (part.component_sku, part.bundle_sku)
)
"""
"""The beginning of a statement: in `connected` are `:skus` and every SKU that shares a bundle with one, near or far."""

Components = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ListingKey:
    id: int
    channel: str
    ref: str
    sku: str
    units_per_listing: int


def listings_by_ref(connection: Connection, channel: str, refs: Collection[str]) -> dict[str, ListingKey]:
    rows = connection.execute(
        text(
            "SELECT id, channel, ref, sku, units_per_listing FROM listing WHERE channel = :channel AND ref = ANY(:refs)"
        ),
        {"channel": channel, "refs": list(refs)},
    )
    return {row.ref: ListingKey(*row) for row in rows}


def existing_items(connection: Connection, skus: Collection[str]) -> set[str]:
    if not skus:
        return set()
    return {
        row.sku
        for row in connection.execute(text("SELECT sku FROM item WHERE sku = ANY(:skus)"), {"skus": sorted(skus)})
    }


def bundles(connection: Connection, skus: Collection[str]) -> dict[str, dict[str, int]]:
    """Components of those of the SKUs that are bundles, exploded to the bottom."""
    rows = connection.execute(
        text(
            """
            WITH RECURSIVE exploded (bundle_sku, component_sku, quantity, depth) AS (
                SELECT bundle_sku, component_sku, quantity::bigint, 1 FROM bundle_component
                WHERE bundle_sku = ANY(:skus)
                UNION ALL
                SELECT exploded.bundle_sku, part.component_sku, exploded.quantity * part.quantity, exploded.depth + 1
                FROM exploded JOIN bundle_component part ON part.bundle_sku = exploded.component_sku
                WHERE exploded.depth < 10
            )
            SELECT bundle_sku, component_sku, sum(quantity)::bigint AS quantity, max(depth) AS depth
            FROM exploded
            WHERE NOT EXISTS (SELECT FROM bundle_component deeper WHERE deeper.bundle_sku = exploded.component_sku)
               OR depth = 10
            GROUP BY bundle_sku, component_sku
            """
        ),
        {"skus": list(skus)},
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        if row.depth == 10:
            raise ValueError(f"bundle {row.bundle_sku} contains itself or is nested more than nine deep")
        found.setdefault(row.bundle_sku, {})[row.component_sku] = row.quantity
    return found


def components_of(sku: str, units: int, exploded: Mapping[str, Components]) -> dict[str, int]:
    """{component: pieces} of `units` pieces of a SKU that may be a bundle."""
    return {part: quantity * units for part, quantity in exploded.get(sku, {sku: 1}).items()}


def eligible_locations(connection: Connection) -> dict[str, tuple[str, ...]]:
    """The locations each channel may sell from, in the order in which they are to be used.

    The location that fewest channels share comes first: taking from a shared shelf while an own one
    has stock would take away what another channel has been promised.
    """
    rows = connection.execute(
        text(
            """
            SELECT channel_location.channel, channel_location.location
            FROM channel_location JOIN location ON location.code = channel_location.location
            JOIN (SELECT location, count(*) AS channels FROM channel_location GROUP BY location) AS shared
                 ON shared.location = channel_location.location
            ORDER BY channel_location.channel, shared.channels, location.priority, location.code
            """
        )
    )
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        found[row.channel] = (*found.get(row.channel, ()), row.location)
    return found
