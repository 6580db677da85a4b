"""Stock in Amazon's own warehouses (FBA), read only: a location of its own, never a part of ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Never

from adapters.channels.amazon import amazon_budget as budget
from adapters.channels.amazon.amazon_client import AmazonClient
from adapters.http import ChannelFault, Resolution

PATH = "/fba/inventory/v1/summaries"
ATTEMPTS = 2
"""`nextToken` lives for 30 seconds: a reader that was held up begins once more."""


@dataclass(frozen=True, slots=True)
class FbaStock:
    """Units of one seller SKU at Amazon. All are pieces; None where Amazon does not tell."""

    sku: str
    fulfillable: int | None
    """Can be picked and sent now."""
    inbound: int | None
    """On the way to Amazon: announced, shipped, or being received."""
    reserved: int | None
    """For customers' orders, transfers between warehouses, and in processing."""
    researching: int | None
    unfulfillable: int | None
    total: int | None
    updated_at: str


def read_fba_stock(client: AmazonClient, marketplace_id: str) -> list[FbaStock]:
    """All SKUs of one marketplace; of two rows of one SKU (two conditions) both. Raises ChannelFault."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _read(client, marketplace_id)
        except ChannelFault as fault:
            if fault.status != 400 or attempt == ATTEMPTS:
                raise
    raise AssertionError


def _read(client: AmazonClient, marketplace_id: str) -> list[FbaStock]:
    fixed = {
        "details": "true",
        "granularityType": "Marketplace",
        "granularityId": marketplace_id,
        "marketplaceIds": marketplace_id,
    }
    rows: list[FbaStock] = []
    token = ""
    while True:
        body = client.read(budget.FBA_SUMMARIES, PATH, {**fixed, **({"nextToken": token} if token else {})})
        payload = body.get("payload") if isinstance(body, Mapping) else None
        found = payload.get("inventorySummaries") if isinstance(payload, Mapping) else None
        if not isinstance(found, list):
            _malformed(client, "FBA summaries without a list")
        rows += [_row(client, row) for row in found]
        pagination = body.get("pagination")
        following = pagination.get("nextToken") if isinstance(pagination, Mapping) else None
        if not following:
            return rows
        if not isinstance(following, str) or following == token:
            _malformed(client, "FBA summaries that do not say how they go on")
        token = following


def _row(client: AmazonClient, row: Any) -> FbaStock:
    sku = row.get("sellerSku") if isinstance(row, Mapping) else None
    if not isinstance(sku, str) or not sku:
        _malformed(client, "an FBA summary without a sellerSku")
    details = row.get("inventoryDetails") or {}
    inbound = [_units(details, f"inbound{stage}Quantity") for stage in ("Working", "Shipped", "Receiving")]
    told = [units for units in inbound if units is not None]
    return FbaStock(
        sku=sku,
        fulfillable=_units(details, "fulfillableQuantity"),
        inbound=sum(told) if told else None,
        reserved=_units(details, "reservedQuantity", "totalReservedQuantity"),
        researching=_units(details, "researchingQuantity", "totalResearchingQuantity"),
        unfulfillable=_units(details, "unfulfillableQuantity", "totalUnfulfillableQuantity"),
        total=_units(row, "totalQuantity"),
        updated_at=str(row.get("lastUpdatedTime") or ""),
    )


def _units(row: Any, *path: str) -> int | None:
    for name in path:
        row = row.get(name) if isinstance(row, Mapping) else None
    return row if isinstance(row, int) and not isinstance(row, bool) else None


def _malformed(client: AmazonClient, what: str) -> Never:
    raise ChannelFault(client.code, Resolution.MALFORMED, what, status=200)
