"""Reading and writing reservations set-wise: the SQL beside `inventory.ledger.shelf`."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from inventory.catalogue import existing_items
from inventory.ledger.ledger import ensure_balances, lock_balances, post
from inventory.ledger.shelf import Cause, Line, Shelf, Waiting
from inventory.publishing.outbox import MARK, marking
from inventory.words import MovementReason, ReservationStatus, StockState

_UPSERT_LINES = """
    INSERT INTO reservation_line (holder, sku, location, held, oversold, synced, allocated, sent, early)
    SELECT holder, sku, location, held, oversold, holder LIKE 'hold:%', allocated, sent, early
    FROM unnest(CAST(:line_holders AS text[]), CAST(:line_skus AS text[]), CAST(:line_locations AS text[]),
                CAST(:held AS int[]), CAST(:oversold AS int[]), CAST(:allocated AS int[]), CAST(:sent AS int[]),
                CAST(:early AS int[]))
         AS given (holder, sku, location, held, oversold, allocated, sent, early)
    ON CONFLICT (holder, sku, location) DO UPDATE
    SET held = EXCLUDED.held, oversold = EXCLUDED.oversold, allocated = EXCLUDED.allocated, sent = EXCLUDED.sent,
        early = EXCLUDED.early
    """

_LINES_ALONE = text(_UPSERT_LINES)

LINE_COLUMNS = "holder, sku, location, held, oversold, allocated, sent, early"
"""From the fourth on as `Line` takes them."""


def lock_shelf(
    connection: Connection,
    skus: Collection[str],
    locations: Mapping[str, Sequence[str]],
    *,
    now: datetime,
    holders: Collection[str] = (),
    sweep: Collection[str] = (),
    only: Collection[StockState] = (),
) -> Shelf:
    """Lock the balances of these SKUs (making the rows that are missing), and load who waits for units.

    Holds on them that are past their time end here, whether or not the sweeper has come by: expiry is
    judged when it is read. `holders` are those whose lines the caller will change. `sweep` are holds found to
    be due: then these alone end, so that a sweep is as short as it was asked to be. `only` are the states that the
    caller changes, `available` among them; where holds end all are locked nevertheless.
    """
    due = _skus_of(connection, sweep) if sweep else _due_holds(connection, skus, now)
    wanted = set(skus).union(*due.values())
    balances = lock_balances(connection, wanted, () if due else only)
    stocked = {sku for sku, _, _ in balances}
    missing = existing_items(connection, wanted - stocked)
    if missing:
        places = {place for eligible in locations.values() for place in eligible}
        ensure_balances(connection, [(sku, place, StockState.AVAILABLE.value) for sku in missing for place in places])
        balances |= lock_balances(connection, missing)
    shelf = Shelf.of(balances, locations)
    shelf.locked = frozenset(balances)
    _load_waiting(connection, shelf, wanted)
    # Before anything expires: units that become free may go to one of these holders.
    _load_lines(connection, shelf, holders)
    if due:
        _expire(connection, shelf, due, wanted, now)
    return shelf


def _due_holds(connection: Connection, skus: Collection[str], now: datetime) -> dict[str, set[str]]:
    """{holder: all its SKUs} of the live holds past their time that hold any of these SKUs."""
    rows = connection.execute(
        text(
            """
            SELECT line.holder, line.sku FROM reservation_line AS line
            WHERE line.holder IN (
                SELECT due.holder FROM reservation AS due JOIN reservation_line USING (holder)
                WHERE due.status = 'live' AND due.expires_at <= :now AND reservation_line.sku = ANY(:skus)
            )
            """
        ),
        {"skus": list(skus), "now": now},
    )
    return _sets(rows)


def _skus_of(connection: Connection, holders: Collection[str]) -> dict[str, set[str]]:
    rows = connection.execute(
        text("SELECT holder, sku FROM reservation_line WHERE holder = ANY(:holders)"), {"holders": sorted(holders)}
    )
    return _sets(rows)


def _sets(rows: Iterable[Row[Any]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.holder, set()).add(row.sku)
    return found


def _expire(connection: Connection, shelf: Shelf, due: Mapping[str, set[str]], locked: set[str], now: datetime) -> None:
    """End those of the due holds that nobody else is ending just now, and put their units back."""
    rows = connection.execute(
        text(
            "SELECT holder FROM reservation WHERE holder = ANY(:holders) AND status = 'live' AND expires_at <= :now "
            "ORDER BY holder FOR NO KEY UPDATE SKIP LOCKED"
        ),
        {"holders": sorted(due), "now": now},
    )
    holders = {row.holder for row in rows if due[row.holder] <= locked}
    _load_lines(connection, shelf, holders)
    put_back(shelf, holders, Cause("expiry", MovementReason.EXPIRY, "onhand", now))
    end_reservations(connection, sorted(holders), ReservationStatus.EXPIRED, now=now)


def lock_live_holds(connection: Connection, holders: Collection[str], *, now: datetime) -> set[str]:
    """Lock those of these holds that still hold units."""
    if not holders:
        return set()
    rows = connection.execute(
        text(
            "SELECT holder FROM reservation WHERE holder = ANY(:holders) AND kind = 'hold' AND status = 'live' "
            "AND (expires_at IS NULL OR expires_at > :now) ORDER BY holder FOR NO KEY UPDATE"
        ),
        {"holders": sorted(set(holders)), "now": now},
    )
    return {row.holder for row in rows}


def held_skus(connection: Connection, holders: Collection[str]) -> set[str]:
    return set().union(*_skus_of(connection, holders).values()) if holders else set()


def put_back(shelf: Shelf, holders: Collection[str], cause: Cause) -> None:
    """Everything these holders hold becomes available again."""
    for (holder, sku), lines in sorted(shelf.lines.items()):
        if holder in holders:
            units = sum(line.held + line.oversold for line in lines.values())
            ending = Cause(f"{cause.key}:{holder}", cause.reason, cause.source, cause.occurred_at, holder)
            shelf.give_back(holder, sku, units, StockState.AVAILABLE, ending)


def _load_waiting(connection: Connection, shelf: Shelf, skus: Collection[str]) -> None:
    """Who waits for units of these SKUs, with all that they hold: what covers them is added to it."""
    rows = connection.execute(
        text(
            """
            WITH short AS MATERIALIZED (
                SELECT holder, sku FROM reservation_line WHERE oversold > 0 AND sku = ANY(:skus)
            )
            SELECT short.holder, short.sku, reservation.channel, reservation.placed_at
            FROM short JOIN reservation USING (holder) WHERE reservation.status = 'live'
            """
        ),
        {"skus": list(skus)},
    ).all()
    _load_lines(connection, shelf, {row.holder for row in rows})
    for row in rows:
        shelf.waiting[row.sku].append(Waiting(row.placed_at, row.holder, row.channel))


def _load_lines(connection: Connection, shelf: Shelf, holders: Collection[str]) -> None:
    if not holders:
        return
    rows = connection.execute(
        text(f"SELECT {LINE_COLUMNS} FROM reservation_line WHERE holder = ANY(:holders)"),  # noqa: S608
        {"holders": sorted(holders)},
    )
    for row in rows:
        shelf.lines.setdefault((row.holder, row.sku), {})[row.location] = Line(*row[3:])


def write_shelf(connection: Connection, shelf: Shelf, *, now: datetime, publish: bool = False) -> None:
    """Write what the shelf decided: reservation lines, movements, balances; `publish` marks the SKUs that moved."""
    along: dict[str, dict[str, object]] = {}
    changed = list(shelf.changed_lines())
    if changed:
        along[_UPSERT_LINES] = {
            "line_holders": [key[0] for key, _ in changed],
            "line_skus": [key[1] for key, _ in changed],
            "line_locations": [key[2] for key, _ in changed],
            "held": [line.held for _, line in changed],
            "oversold": [line.oversold for _, line in changed],
            "allocated": [line.allocated for _, line in changed],
            "sent": [line.sent for _, line in changed],
            "early": [line.early for _, line in changed],
        }
    if publish and shelf.moves:
        along[MARK] = marking({move.sku for move in shelf.moves}, now=now)
    if changed and not shelf.moves:
        connection.execute(_LINES_ALONE, along[_UPSERT_LINES])
    posted = post(connection, shelf.moves, now=now, known=shelf.locked, along=along)
    if len(posted) != len(shelf.moves):
        repeated = sorted({move.event_key for move in shelf.moves} - posted)[:3]
        raise RuntimeError(f"movements decided now are in the journal already: {repeated}; nothing was changed")


def end_reservations(
    connection: Connection, holders: Sequence[str], status: ReservationStatus, *, now: datetime
) -> list[str]:
    """The one terminal transition, for those that are still live; returns them. Ending twice is a no-op."""
    rows = connection.execute(
        text(
            "UPDATE reservation SET status = :status, ended_at = :now "
            "WHERE holder = ANY(:holders) AND status = 'live' RETURNING holder"
        ),
        {"status": status.value, "now": now, "holders": sorted(holders)},
    )
    return sorted(row.holder for row in rows)
