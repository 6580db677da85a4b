"""The ledger against itself: open what does not hold, heal what is only waiting, close what holds again."""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from adapters.database import in_transaction, unit_of_work
from adapters.wakeups import PUBLISH, wake
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.ledger.integrity import inspect
from inventory.reconciling.discrepancies import (
    Found,
    close_discrepancies,
    note_healing,
    open_discrepancies,
    open_subjects,
)
from inventory.words import Comparison, DiscrepancyClass, Drift, IncidentKind, Severity
from tasks.publishing.sweep import sweep
from tasks.runtime import Runtime

SUBJECT = "ledger"


@dataclass(slots=True)
class LedgerCompared:
    found: list[Found] = field(default_factory=list)
    """Of both looks: what was there before healing."""
    left: list[Found] = field(default_factory=list)
    """What is there still."""
    healed: int = 0
    closed: int = 0


def compare_ledger(runtime: Runtime, *, heal: bool) -> LedgerCompared:
    """Nothing that the journal or a reservation says is changed: only holds past their time are swept, and what waits
    unattended is given to somebody again."""
    report = LedgerCompared(_look(runtime))
    waiting = [one for one in report.found if one.kind is DiscrepancyClass.DELAYED]
    if heal and waiting:
        subjects = [one.subject for one in waiting]
        in_transaction(
            runtime.engine,
            lambda connection: note_healing(connection, Comparison.LEDGER, subjects, now=runtime.now()),
        )
        _heal(runtime, waiting)
        report.left = _look(runtime)
    else:
        report.left = report.found
    left = {one.subject for one in report.left}
    report.healed = len({one.subject for one in report.found} - left)
    in_transaction(runtime.engine, lambda connection: _close(connection, runtime, report, left))
    return report


def _look(runtime: Runtime) -> list[Found]:
    with unit_of_work(runtime.engine) as connection:
        found = inspect(connection, now=runtime.now())
    in_transaction(runtime.engine, lambda connection: open_discrepancies(connection, found, now=runtime.now()))
    return found


def _heal(runtime: Runtime, waiting: list[Found]) -> None:
    if any(one.drift is Drift.ORPHANED_HOLD for one in waiting):
        sweep(runtime)
    if any(one.drift is Drift.STUCK and one.sku for one in waiting):
        wake(runtime.engine, PUBLISH)


def _close(connection: Connection, runtime: Runtime, report: LedgerCompared, left: set[str]) -> None:
    now = runtime.now()
    over = open_subjects(connection, Comparison.LEDGER) - left
    report.closed = close_discrepancies(connection, Comparison.LEDGER, over, now=now)
    broken = [one for one in report.left if one.kind is DiscrepancyClass.MISMATCH]
    if not broken:
        resolve_incidents(connection, IncidentKind.LEDGER_MISMATCH, [SUBJECT], now=now)
        return
    incident = NewIncident(
        IncidentKind.LEDGER_MISMATCH,
        Severity.CRITICAL,
        SUBJECT,
        f"the ledger does not agree with itself in {len(broken)} places, the first: {broken[0].message}",
        {"subjects": [one.subject for one in broken[:50]]},
    )
    open_incidents(connection, [incident], now=now)
