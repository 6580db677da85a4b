"""What a reconciliation did, as tables that a person reads."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inventory.reconciling.reconciliation import Reconciliation
from inventory.words import DiscrepancyClass
from tasks.reconciling import compare_warehouse
from tasks.reconciling.compare import as_rows
from tasks.reconciling.compare_ledger import LedgerCompared
from tasks.reconciling.compare_orders import OrdersCompared
from tasks.reconciling.compare_warehouse import NotCompared, WarehouseCompared
from tasks.reconciling.discrepancy_report import DiscrepancyReport

Table = tuple[str, list[dict[str, Any]], str]
"""(key, rows, description)"""


class Incomplete(Exception):
    """Some channels could not be compared; the others were."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(f"not everything was compared: {'; '.join(faults)}")


def week(now: datetime) -> int:
    """A seed that is another one every week: year and week, as 202647."""
    year, number, _ = now.isocalendar()
    return year * 100 + number


def moment(snapshot: str, taken_at: str, folder: Path, *, now: datetime) -> datetime:
    """When the warehouse's numbers were true: as said, else of a file its own time, else now. Raises NotCompared."""
    if taken_at.strip():
        try:
            said = datetime.fromisoformat(taken_at.strip())
        except ValueError:
            raise NotCompared(f"'Taken at' {taken_at[:40]!a} is no time: write it as 2026-11-21T06:00+01:00") from None
        return said if said.tzinfo else said.replace(tzinfo=UTC)
    words = snapshot.strip()
    if "\n" in words or not words.lower().endswith(".csv"):
        return now
    try:
        path = Path(words).expanduser()
        return datetime.fromtimestamp((path if path.is_absolute() else folder / path).stat().st_mtime, UTC)
    except (OSError, ValueError, RuntimeError):
        # It is then told why it cannot be read.
        return now


@dataclass
class Reconciled:
    log: Any = field(default_factory=lambda: logging.getLogger(__name__))
    quantities: list[Reconciliation] = field(default_factory=list)
    orders: list[OrdersCompared] = field(default_factory=list)
    warehouse: WarehouseCompared | None = None
    ledger: LedgerCompared | None = None
    discrepancies: DiscrepancyReport | None = None
    faults: list[str] = field(default_factory=list)

    def failed(self, channel: str, fault: Exception) -> None:
        self.log.warning("%s: %s", channel, fault)
        if str(fault) not in self.faults:
            self.faults.append(str(fault))

    def tables(self) -> Iterator[Table]:
        if self.quantities:
            differing = [one for part in self.quantities for one in part.worst]
            yield "reconciliation", [_quantities(one) for one in self.quantities], "Ledger against channel quantities"
            words = "Listings whose live number is not the one the ledger knows of, the largest differences first"
            yield "discrepancies", as_rows(differing), words
        if self.orders:
            yield "orders-compared", [_orders(one) for one in self.orders], "Ledger against the channels' orders"
            words = "Missed: the channel has it. Phantom: only the ledger has it. Changed: they differ"
            yield "orders-differing", [row for one in self.orders for row in _each_order(one)], words
        if self.warehouse is not None:
            yield "warehouse-compared", [_warehouse(self.warehouse)], "Ledger against the warehouse's numbers"
            yield "warehouse-differing", compare_warehouse.as_rows(self.warehouse), "Largest differences first"
            yield "warehouse-held", self.warehouse.held, "Rows of the table that could not be used"
        if self.ledger is not None:
            rows = [
                {"what": one.drift.value, "about": one.subject, "message": one.message} for one in self.ledger.found
            ]
            healed = f"{self.ledger.healed} of {len(rows)} healed"
            yield "ledger-compared", rows, f"Where the ledger does not agree with itself: {healed}"
        if self.discrepancies is not None:
            yield "aging", self.discrepancies.aging, "Open discrepancies, the most severe first, then the oldest"
            yield "ages", self.discrepancies.ages, "How many are open, by age"
            yield "repeat-offenders", self.discrepancies.offenders, "SKUs that drift again and again at one place"
            yield "drifting", self.discrepancies.drifting, "Which channel or location drifts"


def _quantities(result: Reconciliation) -> dict[str, Any]:
    return {
        "channel": result.channel,
        "listings": result.compared,
        "equal": result.equal,
        "differ": result.differing,
        **{kind.value: result.by_class.get(kind, 0) for kind in DiscrepancyClass},
        "unknown to the channel": result.missing,
        "numbers that are none": result.unusable,
        "published anew": result.healing,
        "over since last time": result.closed,
        "in dispute": ", ".join(result.disputed[:5]),
        "not believed": result.blocked,
    }


def _orders(result: OrdersCompared) -> dict[str, Any]:
    return {
        "channel": result.channel,
        "since": f"{result.since:%Y-%m-%d %H:%M}",
        "orders": result.orders,
        "missed": len(result.missed),
        "changed": len(result.changed),
        "of these waiting": result.waiting,
        "healed": result.healed,
        "phantom": len(result.phantoms),
        "not asked for": result.unasked,
        "over since last time": result.closed,
        "not believed": result.blocked,
    }


def _each_order(result: OrdersCompared) -> Iterator[dict[str, Any]]:
    for one in result.phantoms:
        yield {
            "channel": result.channel,
            "order": one.order_id,
            "what": "phantom",
            "message": f"{one.units} units held",
        }
    for order_id in result.missed:
        yield {"channel": result.channel, "order": order_id, "what": "missed", "message": ""}
    for order_id, words in result.changed.items():
        yield {"channel": result.channel, "order": order_id, "what": "changed", "message": words}


def _warehouse(result: WarehouseCompared) -> dict[str, Any]:
    counted = [one.kind for one in result.found]
    return {
        "taken at": f"{result.taken_at:%Y-%m-%d %H:%M}",
        "rows": result.rows,
        "compared": result.compared,
        "differ": len(result.found),
        **{kind.value: counted.count(kind) for kind in DiscrepancyClass},
        "one taken for another": len(result.swaps),
        "held back": len(result.held),
        "over since last time": result.closed,
        "not believed": result.blocked,
    }
