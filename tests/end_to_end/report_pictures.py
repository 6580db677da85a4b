"""Pictures of the health report and of the audit for docs/health.md and docs/audit.md: pages of made-up figures,
photographed by Chromium."""

import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from browser import Page

from inventory.counting.counting_accuracy import Accuracy
from inventory.health.health_cancellations import ChannelCancellations, Pattern
from inventory.health.health_figures import AgeCount, Health, KindCount, OpenIncident
from inventory.health.health_limits import CANCELLATION_LIMITS, TARGETS
from inventory.health.health_samples import Trend
from inventory.health.health_stock import Low, LowStock, Shown, Stranded
from inventory.health.health_sync import BudgetUse, ChannelHealth, SyncGap
from inventory.publishing.exposure_view import SkuExposure, Total
from inventory.reconciling.drift_report import Aged
from tasks.health.health_page import health_page
from tasks.health.health_sections import samples, sections
from tasks.onboarding.readiness_check import check
from tasks.onboarding.readiness_page import audit_page

NOW = datetime(2026, 11, 20, 9, 50, tzinfo=UTC)
DAYS = 30
ORDER_HEADING = "ts,order_id,line,sku,qty,is_cancellation,customer"


def _ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def _channel(
    code: str, vendor: str, asks: bool, pulled: datetime, sent: tuple[int, int, int, int, int], confirmed: datetime
) -> ChannelHealth:
    return ChannelHealth(code, vendor, "live", asks, pulled, None, "", *sent, confirmed)


def some_health() -> Health:
    """A seller with four channels on a day on which eBay refuses some numbers."""
    ago = _ago
    return Health(
        at=NOW,
        targets=TARGETS,
        accuracy=[
            Accuracy("all", "all", 812, 0.931, 0.978, 604, 0.943, 0.984, 18_420, 96, 31, 1411.0, 402.5, 0.0035, 0.004),
            Accuracy("main", "A", 190, 0.958, 0.974, 120, 0.966, 0.983, 6_100, 12, 6, 240.0, 96.0, 0.001, 0.0012),
            Accuracy("main", "C", 402, 0.94, 0.985, 330, 0.951, 0.99, 8_020, 31, 20, 380.0, 210.0, 0.0014, 0.002),
            Accuracy("outlet", "B", 220, 0.891, 0.968, 154, 0.91, 0.971, 4_300, 53, 5, 791.0, 96.5, 0.011, 0.013),
        ],
        channels=[
            _channel("amazon", "amazon", False, ago(seconds=70), (4120, 4101, 2, 9, 8), ago(seconds=9)),
            _channel("ebay", "ebay", False, ago(seconds=41), (2210, 2149, 52, 9, 0), ago(seconds=30)),
            _channel("shopify", "shopify", False, ago(seconds=8), (3480, 3391, 0, 1, 88), ago(seconds=5)),
            _channel("website", "woocommerce", True, ago(seconds=50), (910, 909, 0, 1, 0), ago(minutes=2)),
        ],
        gaps=[
            SyncGap("all", 1830, 0.7, 2.6, 21.0, 94.0, 3, 61.0),
            SyncGap("amazon", 702, 0.8, 3.1, 40.0, 94.0, 1, 12.0),
            SyncGap("ebay", 331, 0.9, 4.0, 33.0, 70.0, 2, 61.0),
            SyncGap("shopify", 588, 0.6, 1.4, 8.0, 19.0, 0, None),
            SyncGap("website", 209, 0.6, 1.2, 5.0, 7.0, 0, None),
        ],
        budgets=[
            BudgetUse("ebay", 2210, 240, 250, 171, "110553218804", 0),
            BudgetUse("amazon", 4120, 402, None, None, "", 0),
            BudgetUse("shopify", 3480, 371, None, None, "", 0),
            BudgetUse("website", 910, 88, None, None, "", 0),
        ],
        cancellations=[
            ChannelCancellations("ebay", 8120, 121, 88, 90, 0.02, CANCELLATION_LIMITS["ebay"].source),
            ChannelCancellations("amazon", 4804, 31, 12, 7, 0.025, CANCELLATION_LIMITS["amazon"].source),
            ChannelCancellations("shopify", 13_100, 40, 9, 28, None, ""),
        ],
        patterns=[
            Pattern("SKU", "MUG-BLUE", 24, 30, 22, 0.31),
            Pattern("SKU", "LAMP-S", 11, 11, 9, 0.14),
            Pattern("supplier", "Nordlicht", 37, 44, 33, 0.48),
            Pattern("channel", "ebay", 41, 50, 30, 0.53),
            Pattern("hour", "02 h", 19, 21, 18, 0.25),
        ],
        incidents=[
            OpenIncident("rejected", "warning", "ebay/110553218804", "ebay refuses 12: ended", 9, ago(hours=7)),
            OpenIncident("discrepancy", "warning", "quantities/ebay", "6 are open for too long", 4, ago(hours=3)),
        ],
        incidents_open={"critical": 0, "warning": 2, "info": 1},
        incident_kinds=[
            KindCount("rejected", 2, 0, _ago(hours=7), 31),
            KindCount("discrepancy", 1, 0, _ago(hours=3), 12),
            KindCount("supplier_feed", 0, 0, None, 4),
        ],
        discrepancies=[
            Aged(8812, "quantities", "ebay", "LAMP-S", "ebay/110553218804", "quantity", "foreign_write", "warning", 12,
                 20, timedelta(hours=9), "somebody set 20"),
            Aged(8790, "warehouse", "outlet", "VASE-3", "outlet/VASE-3", "count", "bad_count", "warning", 7, 4,
                 timedelta(days=2), "the warehouse counts 4"),
        ],
        discrepancies_open={"critical": 0, "warning": 7, "info": 4},
        ages=[
            AgeCount("channel", "ebay", 6, (2, 4, 0, 0), 31, ago(hours=9)),
            AgeCount("warehouse", "outlet", 5, (0, 1, 4, 0), 12, ago(days=2)),
            AgeCount("SKU", "VASE-3", 2, (0, 0, 2, 0), 6, ago(days=2)),
        ],
        offenders=[],
        drifting=[],
        exposure=Total(16_840, 18_205, 0, 3, {"amazon": 8120, "ebay": 3010, "shopify": 5710}, 1365),
        tightest=[SkuExposure("MUG-BLUE", 9, 9, 0, 0), SkuExposure("LAMP-S", 34, 33, 0, 1),
                  SkuExposure("VASE-3", 41, 38, 0, 3)],
        shown=Shown(18_205, 1_020, 310, 7, (
            Stranded("GIFT-BOX", 140, 532.0, "no channel lists it"),
            Stranded("TRAY-XL", 96, None, "the gate holds its number back"),
            Stranded("POSTER-9", 74, 111.0, "less is left than one listing unit"))),
        low=Low(14, 2, (
            LowStock("CANDLE-R", 0, 11.4, 0.0, 300, NOW + timedelta(days=3)),
            LowStock("MUG-BLUE", 9, 7.9, 1.1, 0, None),
            LowStock("LAMP-S", 34, 9.0, 3.8, 60, NOW + timedelta(days=9)))),
    )  # fmt: skip


def some_trends(health: Health) -> dict[str, list[Trend]]:
    """Thirty days that end with today's figures."""
    chance = random.Random(5)
    found: dict[str, list[Trend]] = {}
    for (name, subject), value in samples(health).items():
        if value is None:
            continue
        calm = 0.003 if name == "ira" else 0.18
        points, level = [], value
        for back in range(DAYS):
            shown = min(1.0, level) if name == "ira" else level if value < 1 or name == "sync gap" else round(level)
            points.append(((NOW - timedelta(days=back)).date(), shown))
            level = max(0.0, level * (1 + chance.uniform(-calm, calm)) - (0.0009 if name == "ira" else 0))
        found.setdefault(name, []).append(Trend(name, subject, tuple(reversed(points))))
    return found


def photograph_reports(page: Page) -> dict[str, bytes]:
    """{name of the picture: PNG}"""
    health = some_health()
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="onhand-reports-") as folder:
        file = Path(folder) / "health.html"
        file.write_text(health_page(sections(health), some_trends(health), at=NOW), encoding="utf-8")
        page.open(file.as_uri(), "Health of the stock", "Failed syncs")
        found["health-report"] = page.picture(1500)
        page.open(_audit(Path(folder)).as_uri(), "Stock audit", "What to do first")
        found["audit-report"] = page.picture(1250)
    return found


def _audit(folder: Path) -> Path:
    """The page of an audit of two exports that have drifted apart."""
    chance = random.Random(8)
    shopify, amazon, orders = (folder / name for name in ("inventory.csv", "listings.txt", "orders.csv"))
    mine, theirs, lines = ["SKU,Location,Available"], ["seller-sku\tquantity"], [ORDER_HEADING]
    for place in range(240):
        sku, units = f"{chance.choice(('MUG', 'LAMP', 'VASE', 'TRAY'))}-{place:03d}", chance.randint(1, 60)
        drift = chance.random()
        other = 0 if drift < 0.03 else max(0, units + chance.randint(-12, 12)) if drift < 0.16 else units
        if drift < 0.97:
            mine.append(f"{sku},Main,{units}")
        if drift > 0.02:
            theirs.append(f"{sku.lower() if drift > 0.985 else sku}\t{other}")
        if drift > 0.99:
            theirs.append(f"{sku}\t{units + 3}")
        for number in range(chance.randint(0, 70)):
            minute = chance.randint(0, 7 * 1440 - 1)
            at = datetime(2026, 11, 9, tzinfo=UTC) + timedelta(minutes=minute)
            lines.append(f"{at:%Y-%m-%d %H:%M}:00,{sku}/{number},1,{sku},1,False,{number % 37}")
    for file, content in ((shopify, mine), (amazon, theirs), (orders, lines)):
        file.write_text("\n".join(content) + "\n", encoding="utf-8")
    file = folder / "audit.html"
    file.write_text(audit_page(check({"shopify": shopify, "amazon": amazon}, orders)), encoding="utf-8")
    return file
