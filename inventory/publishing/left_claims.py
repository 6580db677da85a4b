"""Claims that a dead process has left: of changed SKUs, of events and of notices.

A claim comes back by itself when its lease ends, minutes later. Where it is known that the process is dead, nobody
needs to wait for that. What a process that is not dead after all does with a claim that was freed is harmless: it
finishes none that is not its own any more.
"""

import re
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, text

_OWNER = re.compile(r"run-([0-9a-f]{32})")
"""How a claim names the flow run that holds it; more may follow."""

_HELD = text(
    """
    SELECT lease_owner FROM outbox WHERE lease_owner LIKE 'run-%'
    UNION SELECT lease_owner FROM inbox WHERE status = 'pending' AND lease_owner LIKE 'run-%'
    UNION SELECT lease_owner FROM notice WHERE status = 'pending' AND lease_owner LIKE 'run-%'
    """
)

_EAGER = "UPDATE outbox SET lease_until = NULL, lease_owner = NULL, eager = true WHERE lease_owner = :owner"

_OF_CHANNEL = tuple(
    f"UPDATE {table} SET lease_until = NULL, lease_owner = NULL "  # noqa: S608 - names of this file
    "WHERE channel = :channel AND status = 'pending' AND lease_owner = :owner"
    for table in ("inbox", "notice")
)

_FREE = (
    # What a killed publisher was at is what a sale waits for, for all that is known.
    "UPDATE outbox SET lease_until = NULL, lease_owner = NULL, eager = true WHERE lease_owner = ANY(:owners)",
    "UPDATE inbox SET lease_until = NULL, lease_owner = NULL WHERE status = 'pending' AND lease_owner = ANY(:owners)",
    "UPDATE notice SET lease_until = NULL, lease_owner = NULL WHERE status = 'pending' AND lease_owner = ANY(:owners)",
)


def owner_of(run_id: str) -> str:
    """The name under which a flow run claims."""
    return f"run-{UUID(run_id).hex}"


def runs_that_hold(connection: Connection) -> set[str]:
    """The ids of the flow runs that hold a claim, living or dead."""
    return set(_by_run(connection))


def free(connection: Connection, run_ids: Collection[str]) -> int:
    """Give back all that these runs hold; how many claims there were."""
    held = _by_run(connection)
    owners = sorted(owner for run_id in run_ids for owner in held.get(run_id, ()))
    if not owners:
        return 0
    return sum(connection.execute(text(statement), {"owners": owners}).rowcount for statement in _FREE)


def drop_skus(connection: Connection, owner: str) -> int:
    """Whoever begins anew under this name has lost what it was at, as when the database went away in the middle of it:
    its changed SKUs are free again. How many there were."""
    return connection.execute(text(_EAGER), {"owner": owner}).rowcount


def drop_events(connection: Connection, owner: str, channel: str) -> int:
    """The same of a channel's events and notices."""
    values = {"owner": owner, "channel": channel}
    return sum(connection.execute(text(statement), values).rowcount for statement in _OF_CHANNEL)


def _by_run(connection: Connection) -> dict[str, list[str]]:
    held: dict[str, list[str]] = {}
    for row in connection.execute(_HELD):
        if found := _OWNER.match(row.lease_owner):
            held.setdefault(str(UUID(found[1])), []).append(row.lease_owner)
    return held
