"""Sound documents, rows and parameters, for the tests of the gate to break."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from expectations.count_frame import CountRow, counts_frame
from expectations.frames import orders_frame, push_frame
from expectations.goods_frames import FeedStockRow, ReceiptRow, Receipts, SupplierFeeds, feed_frame, receipts_frame
from expectations.parameters import (
    ChannelCounts,
    ChannelSnapshot,
    CountSheet,
    ListingMap,
    OrdersPulled,
    OutgoingPush,
    Parameters,
    StockBalances,
)
from expectations.seller_frames import BalanceRow, MappingRow, balances_frame, mapping_frame
from expectations.shipment_frame import ShipmentRow, shipments_frame
from expectations.shipments import Shipments
from expectations.snapshot_frames import SnapshotRow, snapshot_frame

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KNOWN = {"ref-1": "SKU-1", "ref-2": "SKU-2"}


def orders_told(**changes: Any) -> OrdersPulled:
    return OrdersPulled(**({"now": NOW, "watermark": NOW - 2 * HOUR} | changes))


def push_told(**changes: Any) -> OutgoingPush:
    """`listings`, `selling` and `zeroed` are those of every channel of the samples."""
    counts = {"listings": 1000, "selling": 20, "zeroed": 0}
    counts |= {name: changes.pop(name) for name in counts if name in changes}
    channels = {name: ChannelCounts(**counts) for name in ("shop", "other")}
    return OutgoingPush(**({"now": NOW, "counts": channels} | changes))


def line(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"line_id": f"L{number}", "listing_ref": "ref-1", "sku": "SKU-1", "quantity": 2} | changes


def reversal(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "reversal_id": f"R{number}",
        "line_id": "L1",
        "quantity": 1,
        "kind": "refund",
        "reason": "customer",
        "restocked": None,
        "occurred_at": (NOW - HOUR).isoformat(),
    } | changes


def document(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "order_id": f"O{number}",
        "placed_at": (NOW - 2 * HOUR).isoformat(),
        "updated_at": (NOW - HOUR).isoformat(),
        "cancelled": False,
        "test": False,
        "lines": [line()],
        "reversals": [],
    } | changes


def orders(documents: list[Any]) -> pd.DataFrame:
    return orders_frame("shop", documents, known_refs=KNOWN, non_stock={"SHIPPING"}, now=NOW)


def sound_orders(count: int = 3) -> pd.DataFrame:
    """Rows 2k are lines, rows 2k + 1 their reversals."""
    return orders([document(number, reversals=[reversal()]) for number in range(count)])


def row(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A raise from 3 to 5, backed by stock."""
    return {
        "listing_id": number,
        "channel": "shop",
        "listing_ref": f"ref-{number}",
        "sku": f"SKU-{number}",
        "quantity": 5,
        "previous": 3,
        "units_per_listing": 1,
        "ceiling": 8,
        "sellable": 10,
        "exposure_others": 2,
        "exposure_after": 5,
        "cap": None,
        "tracked": True,
        "mapped": True,
        "mode": "live",
        "computed_at": NOW - timedelta(seconds=2),
        "must_lower": False,
    } | changes


def sound_push(count: int = 6) -> pd.DataFrame:
    return push_frame([row(number) for number in range(count)])


def mapping(number: int = 1, **changes: Any) -> MappingRow:
    given = {"row": number + 2, "channel": "shop", "listing_ref": f"ref-{number}", "sku": f"SKU-{number}",
             "units": "1", "listed": True, "ours": True, "unchanged": True}  # fmt: skip
    return MappingRow(**(given | changes))


def balance(number: int = 1, **changes: Any) -> BalanceRow:
    given = {"row": number + 2, "sku": f"SKU-{number}", "location": "main", "quantity": "5", "sku_known": True,
             "stocked": True, "location_known": True, "first": True, "prior": 4.0, "available": 4}  # fmt: skip
    return BalanceRow(**(given | changes))


def snapshot(number: int = 1, **changes: Any) -> SnapshotRow:
    given = {"channel": f"shop-{number}", "asked": 100, "answered": 99, "unusable": 1, "compared": 90, "differing": 9,
             "selling": 50, "zeroed": 5, "read_at": NOW - timedelta(minutes=5),
             "pulled_at": NOW - timedelta(minutes=6)}  # fmt: skip
    return SnapshotRow(**(given | changes))


def counted(number: int = 1, **changes: Any) -> CountRow:
    given = {"row": number + 2, "key": f"1/{number}", "sku": f"SKU-{number}", "location": "main", "quantity": "5",
             "counted_at": NOW - HOUR, "created_at": NOW - 2 * HOUR, "on_hand": 5.0, "line_known": True,
             "same_bin": True, "open": True, "another_person": True}  # fmt: skip
    return CountRow(**(given | changes))


def received(number: int = 1, **changes: Any) -> ReceiptRow:
    given = {"row": number + 2, "purchase": "P1", "sku": f"SKU-{number}", "location": "main", "sound": "5",
             "damaged": "1", "quarantined": "", "sku_known": True, "stocked": True, "location_known": True,
             "ordered": True, "left": 6.0, "unchanged": True}  # fmt: skip
    return ReceiptRow(**(given | changes))


def supplied(number: int = 1, **changes: Any) -> FeedStockRow:
    return FeedStockRow(**({"row": number + 2, "sku": f"SKU-{number}", "quantity": "5", "prior": 5.0} | changes))


def sent(number: int = 1, **changes: Any) -> ShipmentRow:
    given = {"row": number + 2, "step": "ship", "shipment": "S1", "channel": "shop", "order_id": "O1",
             "sku": f"SKU-{number}", "quantity": "2", "location": "main", "ahead": -60.0, "channel_known": True,
             "order_known": True, "sku_known": True, "step_known": True, "location_known": True,
             "unchanged": True}  # fmt: skip
    return ShipmentRow(**(given | changes))


def sound(suite: str, rows: int = 6) -> pd.DataFrame:
    match suite:
        case "shipments":
            return shipments_frame(sent(number) for number in range(rows))
        case "receipts":
            return receipts_frame(received(number) for number in range(rows))
        case "supplier_feed":
            return feed_frame(supplied(number) for number in range(rows))
        case "count_sheet":
            return counts_frame(counted(number) for number in range(rows))
        case "channel_snapshot":
            return snapshot_frame(snapshot(number) for number in range(rows))
        case "orders_pulled":
            return sound_orders(rows // 2)
        case "outgoing_push":
            return sound_push(rows)
        case "listing_map":
            return mapping_frame(mapping(number) for number in range(rows))
        case _:
            return balances_frame(balance(number) for number in range(rows))


def told(suite: str, **changes: Any) -> Parameters:
    match suite:
        case "shipments":
            return Shipments(**({"now": NOW} | changes))
        case "receipts":
            return Receipts(**({"now": NOW} | changes))
        case "supplier_feed":
            return SupplierFeeds(**({"now": NOW, "as_of": NOW - HOUR, "rows": 20, "known": 20} | changes))
        case "count_sheet":
            return CountSheet(**({"now": NOW} | changes))
        case "channel_snapshot":
            return ChannelSnapshot(**({"now": NOW} | changes))
        case "orders_pulled":
            return orders_told(**changes)
        case "outgoing_push":
            return push_told(**changes)
        case "listing_map":
            return ListingMap(**({"now": NOW} | changes))
        case _:
            return StockBalances(**({"now": NOW} | changes))
