"""After a complete pull: did the channel tell of what was found? If it stops telling, a person must know."""

from sqlalchemy import Connection

from adapters.database import in_transaction
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.orders import notice_gaps, notice_store
from inventory.orders.notice_gaps import Comparison
from inventory.words import IncidentKind, IntakeOutcome, Severity
from tasks.runtime import Runtime

_WHAT_TO_CHECK = (
    "Orders are late by up to the poll interval, none is lost. Check at the channel that the webhooks (or the "
    "subscription of the queue) are there, enabled and lead here; that their secret is the configured one (see the "
    "forged ones counted at the intake); that the intake can be reached from outside"
)


def compare_with_notices(runtime: Runtime, channel: str) -> Comparison:
    """Count what was compared and what was missed; open an incident when too much was, close it when all is told."""

    def work(connection: Connection) -> Comparison:
        now = runtime.now()
        found = notice_gaps.compare(connection, channel, now=now)
        if not found.compared:
            return found
        counts = {(channel, IntakeOutcome.COMPARED): found.compared, (channel, IntakeOutcome.MISSED): found.missed}
        notice_store.count(connection, {pair: times for pair, times in counts.items() if times}, now=now)
        total = notice_store.counted(connection, channel, since=now - notice_gaps.WINDOW)
        compared, missed = (total.get(one, 0) for one in (IntakeOutcome.COMPARED, IntakeOutcome.MISSED))
        reasons = notice_gaps.reasons(found, compared, missed, now=now)
        if reasons:
            incident = NewIncident(
                IncidentKind.WEBHOOK_GAP,
                Severity.WARNING,
                channel,
                f"{channel} does not tell of all its orders: {'; '.join(reasons)}. {_WHAT_TO_CHECK}",
                {"compared": compared, "missed": missed},
            )
            open_incidents(connection, [incident], now=now)
        elif not found.missed:
            resolve_incidents(connection, IncidentKind.WEBHOOK_GAP, [channel], now=now)
        return found

    return in_transaction(runtime.engine, work)
