"""What a unit of an item costs the seller, in the seller's one currency. Weighs counts; nothing else depends on it."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

_WRITTEN = re.compile(r"[0-9]{1,9}(\.[0-9]{1,4})?")


def cost_of(written: str) -> Decimal | None:
    """`12.50` and `7` are costs. `1,250.00` and `12,50` can be read in two ways, so they are none."""
    return Decimal(written) if _WRITTEN.fullmatch(written) else None


def set_costs(connection: Connection, costs: Mapping[str, Decimal], *, now: datetime) -> None:
    """{SKU: cost of a unit}; it replaces the one there was."""
    if costs:
        connection.execute(
            text(
                """
                INSERT INTO item_cost (sku, unit_cost, set_at)
                SELECT sku, cost, :now
                FROM unnest(CAST(:skus AS text[]), CAST(:costs AS numeric[])) AS given (sku, cost)
                ORDER BY sku
                ON CONFLICT (sku) DO UPDATE SET unit_cost = EXCLUDED.unit_cost, set_at = EXCLUDED.set_at
                """
            ),
            {"skus": sorted(costs), "costs": [costs[sku] for sku in sorted(costs)], "now": now},
        )
