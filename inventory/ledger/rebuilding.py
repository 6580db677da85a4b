"""Does the ledger agree with itself? Balances against the journal that they are the sum of, reserved units
against who holds them, and the guards of the journal. Each check is set-based; all see one snapshot.

Only balances can be rebuilt, because only they are derived. What else differs is a fault to be found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from inventory.publishing.outbox import mark_dirty


class Check(StrEnum):
    BALANCE = "balance"
    """A stored balance is not the sum of its movements. `rebuild --repair` rewrites it."""
    RESERVED = "reserved"
    """Reserved (and allocated) units are not those that live reservations hold."""
    EXPOSURE = "exposure"
    """A listing with an exposure below zero."""
    GUARD = "guard"
    """A trigger that keeps the journal append-only is missing or switched off."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`expected` is what the journal (or the reservations) say, `stored` what stands there. Pieces."""

    check: Check
    sku: str
    location: str
    """A location's code; for an exposure the channel's; for a guard the table."""
    state: str
    """A stock state; for an exposure the listing's ref; for a guard the trigger."""
    expected: int
    stored: int


@dataclass(frozen=True, slots=True)
class Repair:
    rewritten: list[Difference]
    left: list[Difference]
    """What a rebuild cannot mend."""


class NotRebuildable(Exception):
    """The journal's sum is no possible balance. Nothing was changed."""


_COMPARE = text(
    """
    WITH journal AS (
        SELECT sku, location, state, sum(change)::bigint AS quantity
        FROM (SELECT sku, location, from_state AS state, -quantity AS change FROM movement
              UNION ALL
              SELECT sku, to_location, to_state, quantity FROM movement) AS sides
        GROUP BY sku, location, state
    ), live AS (
        SELECT line.sku, line.location, sum(line.held)::bigint AS quantity
        FROM reservation_line AS line JOIN reservation USING (holder)
        WHERE reservation.status = 'live' AND line.held > 0 GROUP BY line.sku, line.location
    ), reserved AS (
        SELECT sku, location, sum(quantity)::bigint AS quantity FROM balance
        WHERE state IN ('reserved', 'allocated') GROUP BY sku, location
    ), found (kind, sku, location, state, expected, stored) AS (
        SELECT 'balance', sku, location, state, coalesce(journal.quantity, 0), coalesce(balance.quantity, 0)
        FROM journal FULL JOIN balance USING (sku, location, state)
        UNION ALL
        SELECT 'reserved', sku, location, 'reserved', coalesce(live.quantity, 0), coalesce(reserved.quantity, 0)
        FROM live FULL JOIN reserved USING (sku, location)
        UNION ALL
        SELECT 'exposure', sku, channel, ref, 0, least(exposure, settling) FROM listing
        WHERE exposure < 0 OR settling < 0
        UNION ALL
        SELECT 'guard', '', 'movement', wanted.name, 1, 0
        FROM unnest(ARRAY['movement_no_change', 'movement_no_truncate']) AS wanted (name)
        WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'movement'::regclass AND tgname = wanted.name
                                                   AND tgenabled IN ('O', 'A'))
    )
    SELECT kind, sku, location, state, expected, stored FROM found WHERE expected <> stored
    ORDER BY kind, sku, location, state
    """
)

_REWRITE = text(
    """
    INSERT INTO balance (sku, location, state, quantity)
    SELECT * FROM unnest(CAST(:skus AS text[]), CAST(:locations AS text[]), CAST(:states AS text[]),
                         CAST(:quantities AS bigint[]))
    ON CONFLICT (sku, location, state) DO UPDATE SET quantity = EXCLUDED.quantity
    """
)


def compare(connection: Connection) -> list[Difference]:
    """Everything that differs, in a fixed order; empty when the ledger is sound. Changes and locks nothing."""
    return [Difference(Check(row.kind), *row[1:]) for row in connection.execute(_COMPARE)]


def repair(connection: Connection, *, now: datetime) -> Repair:
    """Write the journal's sums into the balances that differ, and have their listings computed again.

    Nothing moves meanwhile: whoever changes stock locks balances first, and waits here. Raises
    `NotRebuildable`.
    """
    connection.execute(text("LOCK TABLE balance IN EXCLUSIVE MODE"))
    wrong = [one for one in compare(connection) if one.check is Check.BALANCE]
    if wrong:
        _rewrite(connection, wrong)
        mark_dirty(connection, {one.sku for one in wrong}, now=now)
    return Repair(wrong, compare(connection))


def _rewrite(connection: Connection, wrong: Sequence[Difference]) -> None:
    try:
        connection.execute(
            _REWRITE,
            {
                "skus": [one.sku for one in wrong],
                "locations": [one.location for one in wrong],
                "states": [one.state for one in wrong],
                "quantities": [one.expected for one in wrong],
            },
        )
    except IntegrityError as error:
        raise NotRebuildable(
            "the journal adds up to what no balance can be (fewer than none, or an item or location that is gone); "
            "nothing was changed: post the movement that is missing first"
        ) from error
