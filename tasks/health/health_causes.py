"""Where incidents come from: the four sections of an operational audit, by name."""

from inventory.health.health_figures import Health
from inventory.words import IncidentKind
from tasks.health.health_section import Section
from tasks.health.health_words import State, number, seconds

CAUSES: dict[str, frozenset[IncidentKind]] = {
    "delayed supplier updates": frozenset({IncidentKind.SUPPLIER_FEED, IncidentKind.INBOUND_LATE}),
    "inconsistent adjustments": frozenset(
        {
            IncidentKind.NEGATIVE_STOCK, IncidentKind.LEDGER_MISMATCH, IncidentKind.SHRINKAGE,
            IncidentKind.COUNT_APPROVAL, IncidentKind.COUNT_OVERDUE, IncidentKind.UNIT_NOT_FOUND,
            IncidentKind.EXCESS_REVERSAL, IncidentKind.UNMATCHED_REVERSAL, IncidentKind.TRANSFER_STUCK,
            IncidentKind.RETURNS_WAITING,
        }
    ),
    "multi-channel conflicts": frozenset(
        {
            IncidentKind.OVERSOLD, IncidentKind.EXPOSURE_EXCEEDED, IncidentKind.FOREIGN_WRITE,
            IncidentKind.WRITE_CONFLICT, IncidentKind.DRIFT, IncidentKind.DISCREPANCY, IncidentKind.PHANTOM_ORDER,
            IncidentKind.CATALOGUE,
        }
    ),
}  # fmt: skip
INTEGRATION = "integration errors"
"""All others: what cannot be read, written, let in, or does not run."""


def cause_of(kind: str) -> str:
    return next((cause for cause, kinds in CAUSES.items() if kind in kinds), INTEGRATION)


def causes(health: Health) -> Section | None:
    """None without any incident in 28 days. Its state is that of the incidents, which their own section has."""
    rows: list[dict[str, str]] = []
    for cause in (*CAUSES, INTEGRATION):
        own = [one for one in health.incident_kinds if cause_of(one.kind) == cause]
        oldest = min((one.oldest for one in own if one.oldest is not None), default=None)
        rows.append(
            {
                "cause": cause,
                "open": number(sum(one.open for one in own)),
                "critical": number(sum(one.critical for one in own)),
                "oldest": seconds(None if oldest is None else (health.at - oldest).total_seconds()),
                "in 28 days": number(sum(one.month for one in own)),
                "kinds": ", ".join(f"{one.kind} {one.month:,}" for one in own if one.month),
            }
        )
    if not health.incident_kinds:
        return None
    return Section("causes", "Where incidents come from", State.FINE, "",
                   "What was opened within 28 days, and what of it is open still.", rows)  # fmt: skip
