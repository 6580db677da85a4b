"""What changes numbers although no stock moved: a channel goes dark or stays so for longer, a promotion begins or ends.

The publisher looks every few seconds. Of several processes that look at once, one does the work: each row is claimed by
the statement that changes it.
"""

import logging
from dataclasses import dataclass, field

from sqlalchemy import Connection

from adapters.database import in_transaction
from adapters.wakeups import PUBLISH, wake
from inventory.incidents import NewIncident, open_incidents
from inventory.outages.darkness import mark_channels, notice, steps, week_later
from inventory.policies.policy_file import parse_policy_file
from inventory.policies.policy_store import in_force, turned
from inventory.words import IncidentKind, Severity
from tasks.runtime import Runtime

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds."""


@dataclass(slots=True)
class Watched:
    went_dark: list[str] = field(default_factory=list)
    longer_dark: list[str] = field(default_factory=list)
    """Dark for longer than was expected: the others give up more."""
    turned: list[str] = field(default_factory=list)
    """Rules of the policy whose window began or ended."""
    expected: list[str] = field(default_factory=list)
    """Channels of which an outage that comes every week may begin now, or did not come."""


def _incident(code: str) -> NewIncident:
    message = f"{code} was not read for longer than its interval allows; nothing is raised there until it is"
    return NewIncident(IncidentKind.CHANNEL_DARK, Severity.CRITICAL, code, message)


def watch(runtime: Runtime) -> Watched:
    """Mark what is to be computed again. Costs four statements when nothing happened."""

    def work(connection: Connection) -> Watched:
        now = runtime.now()
        notice(connection, now=now)
        seen = Watched(*steps(connection, now=now), turned(connection, now=now), week_later(connection, now=now))
        dark = sorted({*seen.went_dark, *seen.longer_dark})
        if dark:
            open_incidents(connection, [_incident(code) for code in dark], now=now)
        policy = in_force(connection) if dark else None
        if policy is not None and parse_policy_file(policy.content).learns:
            # Under strict a dark channel's exposure is counted in full already. Else at once, before what is only
            # divided anew: until then the others show what the dark one may sell.
            mark_channels(connection, dark, now=now, eager=True)
        return seen

    seen = in_transaction(runtime.engine, work)
    if seen.went_dark:
        log.warning("dark: %s; the others give up what their policies keep for that", ", ".join(seen.went_dark))
    if seen.went_dark or seen.longer_dark or seen.turned or seen.expected:
        wake(runtime.engine, PUBLISH)
    return seen
