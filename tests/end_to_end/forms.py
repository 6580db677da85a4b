"""What a person types into the form of each deployment: {deployment: {parameter: value}}, or a function that says so.

Only what the form does not bring along, or what would let the run go on for minutes. In this order they make a story:
stock is adjusted, sent away and received, counted, a channel is paused and resumed.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from market_stage import Market

from onhand.trading_day.stage import WAREHOUSE

WHO = {"actor": "Wanda", "reason": "to see it work"}
ONCE = {"minutes": 0}
BACKROOM = "backroom"
"""A second location."""
SHOPS = ["shopify", "website"]
"""The stage has these two; the deployments name more."""
NOT_HERE = {"pull_channel/amazon", "pull_channel/ebay", "pull_channel/portal"}
"""The same flow as `pull_channel/shopify`, for channels that the stage does not have."""

TODAY = datetime.now(UTC).date()

Values = Mapping[str, Any]


def first_sheet(market: Market) -> Values:
    """The counts of a sheet that `schedule_cycle_counts` made: everything as it should be, but for one line."""
    sheet, lines = market.one("SELECT json_build_array(sheet, json_agg(line)) FROM count_line GROUP BY sheet LIMIT 1")
    rows = [f"{sheet},{line},{150 + line}" for line in lines[:3]]
    return {"csv": "\n".join(["sheet,line,quantity", *rows, ""]), "counter": "Vera"}


def open_incident(market: Market) -> Values:
    market.change(
        "INSERT INTO incident (kind, severity, subject, message, detail, status, times, first_at, last_at) "
        "VALUES ('oversold', 'critical', 'SKU-19', 'one unit too many', '{}', 'open', 1, now(), now()) "
        "ON CONFLICT DO NOTHING"
    )
    return {"kind": "oversold", "subject": "SKU-19", **WHO}


def open_discrepancy(market: Market) -> Values:
    market.change(
        "INSERT INTO discrepancy (comparison, drift, subject, channel, sku, kind, expected, observed, status, "
        "opened_at, last_seen_at, times) "
        "VALUES ('orders', 'quantity', 'order 1', 'shopify', 'SKU-18', 'mismatch', 1, 2, 'open', now(), now(), 1)"
    )
    return {"number": str(market.one("SELECT max(id) FROM discrepancy WHERE status = 'open'")), **WHO}


FORMS: dict[str, Values | Callable[[Market], Values]] = {
    "pull_channels/channels": ONCE,
    "pull_channel/shopify": ONCE,
    "pull_channel/website": ONCE,
    "publish_availability/all-channels": ONCE,
    "expire_reservations/holds": ONCE,
    "watchdog/watch": ONCE,
    "outage_fallback/fallback": ONCE,
    "report_health/health": {},
    "send_alerts/alerts": {},
    "close_incident/incident": open_incident,
    "learn_demand/demand": {},
    "set_policy/policy": {"policy": '[default]\npolicy = "mirror"\n', **WHO},
    "reconcile/quantities": {},
    "reconcile/hot": {},
    "reconcile/sample": {},
    "reconcile/orders": {},
    "reconcile/itself": {},
    "reconcile/monthly": {},
    "resolve_discrepancy/discrepancy": open_discrepancy,
    "preview_publication/dry-run": {"channel": "shopify"},
    "audit_catalogue/catalogues": {"channel": "shopify"},
    "audit_integrations/integrations": {"channel": "website"},
    "set_channel_mode/channel-mode": {"channel": "shopify", "mode": "dry_run", **WHO},
    "import_items/items": {"items": "sku,title\nNEW-1,A new thing\n", "dry_run": False},
    "import_listings/listings": {"channel": "website"},
    "open_balances/opening-stock": {"csv": f"sku,location,quantity\nNEW-1,{WAREHOUSE},7\n", "actor": "Wanda"},
    "replay_policies/order-history": {"orders": "history.csv"},
    "adjust_stock/stock-adjustment": {
        "sku": "SKU-00", "location": WAREHOUSE, "how": "change by", "quantity": "2", "why": "found", **WHO,
    },
    "transfer_stock/transfer": {
        "step": "send", "reference": "T-1", "lines": "sku,quantity\nSKU-01,3\n", "from_location": WAREHOUSE,
        "to_location": BACKROOM, **WHO,
    },
    "write_off_stock/write-off": {
        "csv": f"sku,location,state,quantity\nSKU-02,{WAREHOUSE},available,1\n", "reference": "W-1", **WHO,
    },
    "receive_goods/goods-received": {
        "actor": "Wanda", "arrived": "sku,quantity\nSKU-03,5\n", "receipt": "R-1", "location": WAREHOUSE,
    },
    "post_shipments/shipments": {
        "actor": "Wanda", "shipments": "channel,order_id,sku,quantity\nwebsite,O-0,SKU-05,1\n", "shipment": "S-1",
    },
    "process_returns/returns": {
        "actor": "Wanda", "parcels": "parcel,sku,quantity\nP-1,SKU-04,2\n", "location": WAREHOUSE,
    },
    "release_quarantine/quarantine": {
        "what": "stock", "sku": "SKU-04", "location": WAREHOUSE, "units": "2", "to": "available", **WHO,
    },
    "check_goods/goods-waiting": {},
    "pull_supplier_feed/supplier-feeds": {},
    "schedule_cycle_counts/cycle-counts": {},
    "record_counts/counts": first_sheet,
    "approve_counts/count-approvals": WHO,
    "sync_now/sync": {"channel": "website", **WHO},
    "promo_guard/promotion": {
        "name": "weekend", "begin": TODAY, "end": TODAY + timedelta(days=2), "cap": "5",
        "skus": ["SKU-06", "SKU-07"], **WHO,
    },
    "pause_channel/channel-pause": {"channel": "website", **WHO},
    "resume_channel/channel-resume": {"channel": "website", **WHO},
}  # fmt: skip


def some_history() -> str:
    """Three weeks of orders, as docs/orders_csv.md says."""
    began = datetime(2026, 3, 2, 9, tzinfo=UTC)
    rows = ["ts,order_id,line,sku,qty,is_cancellation,customer"]
    for number in range(300):
        at = began + timedelta(minutes=100 * number)
        rows.append(f"{at:%Y-%m-%d %H:%M:%S},{5000 + number},1,SKU{number % 7},{1 + number % 3},False,{number % 9}")
    return "\n".join([*rows, ""])


def prepare(market: Market) -> None:
    """What the forms take for granted: a second location, the files that they name, two channels instead of five."""
    market.change(
        "INSERT INTO location (code, name, priority) VALUES (:code, '', 0) ON CONFLICT DO NOTHING", code=BACKROOM
    )
    folder = market.stack.settings.data_dir
    rows = "\n".join(f"SKU-{number:02d},{WAREHOUSE},200" for number in range(20))
    (folder / "warehouse.csv").write_text(f"sku,location,quantity\n{rows}\n")
    (folder / "history.csv").write_text(some_history())
    for deployment in market.api.deployments():
        if set(deployment["parameters"].get("channels", [])) - set(SHOPS):
            parameters = {**deployment["parameters"], "channels": SHOPS}
            market.prefect("PATCH", f"/deployments/{deployment['id']}", {"parameters": parameters})
