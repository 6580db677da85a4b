"""A hold once it is given: its term is extended, the sale is committed, and it ends, once.

All of it set-wise, so that many callers can be answered in one transaction. Rows of `reservation` are locked in the
order of their holders. A hold past its time is over when that is read, whoever ends its row.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, text

from inventory.catalogue import eligible_locations
from inventory.holds.reservation_store import end_reservations, lock_shelf, put_back, write_shelf
from inventory.holds.reservations import HOLD_COLUMNS, HoldState, state_of
from inventory.ledger.ledger import plan_by_key
from inventory.ledger.shelf import Cause, Shelf
from inventory.words import MovementReason, ReservationStatus, StockState


@dataclass(frozen=True, slots=True)
class Extend:
    """Keep a hold that is still live for `ttl` from now on. It is never made to end sooner."""

    holder: str
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class Commit:
    """The sale is made: a hold that is still live does not expire any more."""

    holder: str
    order_id: str
    """The channel's id of the order that it was made for."""


@dataclass(frozen=True, slots=True)
class Release:
    """Nothing will be sold, or it was taken back: the units are free again."""

    holder: str


HoldChange = Extend | Commit | Release


class ChangeResult(StrEnum):
    DONE = "done"
    ALREADY_COMMITTED = "already_committed"
    """It stays, for this order; nothing had to be done."""
    OTHER_ORDER = "other_order"
    """It was committed for another order; nothing was done."""
    OVER = "over"
    """It holds nothing any more (its status says why); nothing was done."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HoldChanged:
    result: ChangeResult
    hold: HoldState | None
    """As it is now; None when there never was one."""
    gave_back: bool = False
    """Units became free by it."""


class EndResult(StrEnum):
    ENDED = "ended"
    ALREADY_RELEASED = "already_released"
    ALREADY_EXPIRED = "already_expired"
    ALREADY_SHIPPED = "already_shipped"
    ALREADY_SOLD = "already_sold"
    WAS_REFUSED = "was_refused"
    UNKNOWN = "unknown"


_ALREADY = {
    ReservationStatus.RELEASED: EndResult.ALREADY_RELEASED,
    ReservationStatus.EXPIRED: EndResult.ALREADY_EXPIRED,
    ReservationStatus.SHIPPED: EndResult.ALREADY_SHIPPED,
    ReservationStatus.SOLD: EndResult.ALREADY_SOLD,
    ReservationStatus.REFUSED: EndResult.WAS_REFUSED,
}

_CHANGE = text(
    """
    UPDATE reservation SET updated_at = :now, expires_at = given.expires_at, order_id = given.order_id
    FROM unnest(CAST(:holders AS text[]), CAST(:expires AS timestamptz[]), CAST(:orders AS text[]))
         AS given (holder, expires_at, order_id)
    WHERE reservation.holder = given.holder
    """
)


def change_holds(connection: Connection, changes: Sequence[HoldChange], *, now: datetime) -> list[HoldChanged]:
    """The changes one after the other, in the given order; one result each, in the same order.

    Raises ValueError for a change that makes no sense; then nothing is done.
    """
    for change in changes:
        check_change(change)
    holds = _locked(connection, {change.holder for change in changes}, now)
    kept: set[str] = set()
    ended: set[str] = set()
    results = []
    for change in changes:
        hold = holds.get(change.holder)
        result, after = _judge(hold, change, now) if hold else (ChangeResult.UNKNOWN, None)
        if after and after is not hold:
            holds[change.holder] = after
            (ended if isinstance(change, Release) else kept).add(change.holder)
        results.append(HoldChanged(result, after, isinstance(change, Release) and result is ChangeResult.DONE))
    _write(connection, [holds[holder] for holder in sorted(kept)], now)
    if ended:
        _end(connection, sorted(ended), ReservationStatus.RELEASED, now)
    return results


def check_change(change: HoldChange) -> None:
    """Raises ValueError for a change that makes no sense."""
    if isinstance(change, Extend) and change.ttl <= timedelta(0):
        raise ValueError(f"{change.holder} cannot be extended into the past: release it instead")
    if isinstance(change, Commit) and not change.order_id:
        raise ValueError(f"{change.holder} cannot be committed for an order without an id")


def _judge(hold: HoldState, change: HoldChange, now: datetime) -> tuple[ChangeResult, HoldState]:
    """What comes of the change, and the hold after it: the same object when nothing is to be done."""
    if isinstance(change, Commit) and hold.order_id not in (None, change.order_id):
        return ChangeResult.OTHER_ORDER, hold
    if isinstance(change, Commit) and hold.status is ReservationStatus.SOLD:
        # The order itself was read before the commit, or before the commit was repeated.
        return ChangeResult.ALREADY_COMMITTED, hold
    if hold.status is not ReservationStatus.LIVE:
        return ChangeResult.OVER, hold
    if isinstance(change, Release):
        return ChangeResult.DONE, replace(hold, status=ReservationStatus.RELEASED)
    if hold.expires_at is None:
        return ChangeResult.ALREADY_COMMITTED, hold
    if isinstance(change, Commit):
        return ChangeResult.DONE, replace(hold, expires_at=None, order_id=change.order_id)
    end = now + change.ttl
    return ChangeResult.DONE, replace(hold, expires_at=end) if end > hold.expires_at else hold


def _locked(connection: Connection, holders: Collection[str], now: datetime) -> dict[str, HoldState]:
    plan_by_key(connection)
    rows = connection.execute(
        text(
            f"SELECT {HOLD_COLUMNS} FROM reservation WHERE holder = ANY(:holders) AND kind = 'hold' "  # noqa: S608
            "ORDER BY holder FOR NO KEY UPDATE"
        ),
        {"holders": sorted(set(holders))},
    )
    return {row.holder: state_of(row, now) for row in rows}


def _write(connection: Connection, holds: Sequence[HoldState], now: datetime) -> None:
    if holds:
        connection.execute(
            _CHANGE,
            {
                "holders": [one.holder for one in holds],
                "expires": [one.expires_at for one in holds],
                "orders": [one.order_id for one in holds],
                "now": now,
            },
        )


def release(connection: Connection, holders: Sequence[str], *, now: datetime) -> dict[str, EndResult]:
    """Give the units of these holds back. By hold, never "add q back"."""
    return _end(connection, holders, ReservationStatus.RELEASED, now)


def ship(connection: Connection, holders: Sequence[str], *, now: datetime) -> dict[str, EndResult]:
    """The units of these reservations (holds or orders) have left the building."""
    return _end(connection, holders, ReservationStatus.SHIPPED, now)


def expire(connection: Connection, *, now: datetime, limit: int = 1000) -> int:
    """End at most `limit` holds that are past their time; returns how many. Housekeeping: see `lock_shelf`."""
    rows = connection.execute(
        text(
            "SELECT holder FROM reservation WHERE status = 'live' AND expires_at <= :now "
            "ORDER BY expires_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED"
        ),
        {"now": now, "limit": limit},
    )
    holders = sorted(row.holder for row in rows)
    _end(connection, holders, ReservationStatus.EXPIRED, now)
    return len(holders)


def _end(
    connection: Connection, holders: Sequence[str], status: ReservationStatus, now: datetime
) -> dict[str, EndResult]:
    plan_by_key(connection)
    rows = connection.execute(
        text(
            "SELECT holder, status, coalesce(expires_at <= :now, false) AS due FROM reservation "
            # Not FOR UPDATE: whoever covers an oversold order refers to it while it holds the balances.
            "WHERE holder = ANY(:holders) ORDER BY holder FOR NO KEY UPDATE"
        ),
        {"holders": sorted(set(holders)), "now": now},
    )
    results: dict[str, EndResult] = {holder: EndResult.UNKNOWN for holder in holders}
    ending: list[str] = []
    expired: list[str] = []
    for row in rows:
        current = ReservationStatus(row.status)
        if current is not ReservationStatus.LIVE:
            results[row.holder] = _ALREADY[current]
        elif row.due:
            # Judged when read: it is over, whether or not the sweeper has come by.
            expired.append(row.holder)
            sweeping = status is ReservationStatus.EXPIRED
            results[row.holder] = EndResult.ENDED if sweeping else EndResult.ALREADY_EXPIRED
        else:
            ending.append(row.holder)
            results[row.holder] = EndResult.ENDED
    if ending or expired:
        _end_live(connection, ending, expired, status, now)
    return results


def _end_live(
    connection: Connection, ending: Sequence[str], expired: Sequence[str], status: ReservationStatus, now: datetime
) -> None:
    rows = connection.execute(
        text("SELECT DISTINCT sku FROM reservation_line WHERE holder = ANY(:holders)"),
        {"holders": [*ending, *expired]},
    )
    # Locking the shelf expires what is due on it, the `expired` of ours included; for the sweeper these alone.
    skus = [row.sku for row in rows]
    sweep = expired if status is ReservationStatus.EXPIRED else ()
    shelf = lock_shelf(connection, skus, eligible_locations(connection), now=now, holders=ending, sweep=sweep)
    if status is ReservationStatus.SHIPPED:
        _send(shelf, set(ending), now)
    else:
        put_back(shelf, set(ending), Cause("release", MovementReason.RELEASE, "onhand", now))
    if ending:
        end_reservations(connection, ending, status, now=now)
    if status is ReservationStatus.SHIPPED:
        connection.execute(_ALL_SENT, {"holders": list(ending)})
    write_shelf(connection, shelf, now=now, publish=True)


_ALL_SENT = text("UPDATE order_line SET shipped = quantity - reversed + sent_back WHERE holder = ANY(:holders)")


def _send(shelf: Shelf, holders: Collection[str], now: datetime) -> None:
    """Reserved or allocated → shipped. The lines keep what was sent, so that a return can be matched to it."""
    for (holder, sku), lines in sorted(shelf.lines.items()):
        if holder in holders:
            cause = Cause(f"ship:{holder}", MovementReason.SHIPMENT, "onhand", now, holder)
            routed = replace(cause, key=f"{cause.key}:routed")
            for location, line in sorted(lines.items()):
                for why, state in ((cause, StockState.RESERVED), (routed, StockState.ALLOCATED)):
                    units = shelf.take_off(holder, sku, location, state, line.held)
                    if units:
                        shelf.line(holder, sku, location).sent += units
                        shelf.note(why, sku, location, state, StockState.SHIPPED, units)
