"""After a reconciliation: let severities grow, and say what is open, how old it is, and where it comes from."""

from dataclasses import dataclass
from typing import Any

from adapters.database import in_transaction, unit_of_work
from inventory.reconciling.discrepancies import escalate
from inventory.reconciling.drift_report import ages, drifting_places, open_by_age, repeat_offenders
from tasks.runtime import Runtime


@dataclass(frozen=True, slots=True)
class DiscrepancyReport:
    """Rows for tables."""

    aging: list[dict[str, Any]]
    ages: list[dict[str, Any]]
    offenders: list[dict[str, Any]]
    drifting: list[dict[str, Any]]
    grown: int
    """Discrepancies that have become more severe now."""


def report_discrepancies(runtime: Runtime) -> DiscrepancyReport:
    now = runtime.now()
    grown = in_transaction(runtime.engine, lambda connection: escalate(connection, now=now))
    with unit_of_work(runtime.engine) as connection:
        open_now = open_by_age(connection, now=now)
        offenders = repeat_offenders(connection, now=now)
        drifting = drifting_places(connection, now=now)
    return DiscrepancyReport(
        [
            {
                "number": one.id,
                "severity": one.severity,
                "open for": f"{one.age.total_seconds() / 3600:.1f} h",
                "compared": one.comparison,
                "class": one.kind,
                "what": one.drift,
                "about": one.subject,
                "SKU": one.sku,
                "ledger": one.expected,
                "other side": one.observed,
                "message": one.message,
            }
            for one in open_now
        ],
        [dict(row) for row in ages(open_now)],
        [
            {
                "SKU": one.sku,
                "where": one.place,
                "times in 30 days": one.times,
                "units": one.units,
                "classes": ", ".join(one.kinds),
                "last seen": f"{one.last_at:%Y-%m-%d %H:%M}",
            }
            for one in offenders
        ],
        [
            {
                "compared": one.comparison,
                "where": one.place,
                "times in 30 days": one.times,
                "SKUs": one.skus,
                "units": one.units,
                "share": f"{one.share:.0%}",
            }
            for one in drifting
        ],
        grown,
    )
