"""Learn demand and lags from the ledger's own orders, for the policies that need to know them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from adapters.database import in_transaction
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.policies import learned
from inventory.policies.learned import WEEKS, Learned
from inventory.policies.policy_file import parse_policy_file
from inventory.policies.policy_store import in_force
from inventory.words import IncidentKind, Severity
from tasks.runtime import Runtime


@dataclass(frozen=True, slots=True)
class LearnReport:
    learned: Learned
    lags: list[dict[str, object]]
    """What was measured of each channel, for people."""


def learn(runtime: Runtime, *, weeks: int = WEEKS) -> LearnReport:
    """Reads the orders of so many weeks, and replaces what was known. The numbers follow when their SKUs are published
    next."""

    def work(connection: Connection) -> LearnReport:
        now = runtime.now()
        learned.measure_lags(connection, now=now)
        _look_at_review(connection, now)
        found = learned.learn_demand(connection, now=now, weeks=weeks)
        rows = connection.execute(text("SELECT channel, seconds, orders FROM channel_lag ORDER BY channel"))
        lags = [
            {
                "channel": row.channel,
                "lag (s, 95 %)": round(row.seconds, 1),
                "measured on": f"{row.orders:,} orders" if row.orders else "too few orders: supposed",
            }
            for row in rows
        ]
        return LearnReport(found, lags)

    return in_transaction(runtime.engine, work)


def _look_at_review(connection: Connection, now: datetime) -> None:
    """Somebody wanted to look at the policy again until a day: is it past?"""
    policy = in_force(connection)
    until = parse_policy_file(policy.content).review_by if policy else None
    if policy is not None and until is not None and until < now.date():
        message = f"version {policy.version} of the policy was to be looked at again until {until}"
        incident = NewIncident(IncidentKind.POLICY_REVIEW, Severity.WARNING, "policy", message)
        open_incidents(connection, [incident], now=now)
    else:
        resolve_incidents(connection, IncidentKind.POLICY_REVIEW, ["policy"], now=now)
