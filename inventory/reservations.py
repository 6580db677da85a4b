"""Holds: units kept for somebody who asked before selling, for a while.

A hold is all or nothing, keyed, and ends once: released, expired or shipped are terminal, and ending it
twice is a named no-op. Its time-to-live is judged when it is read, so a dead sweeper neither leaks units
nor sells them twice. Many requests are decided as one set in one transaction, first come first served.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, text

from inventory.catalogue import bundles, components_of, eligible_locations, withheld_units
from inventory.exposure import exposed_units
from inventory.ledger import plan_by_key
from inventory.outbox import mark_dirty
from inventory.reservation_store import end_reservations, lock_shelf, put_back, write_shelf
from inventory.shelf import Cause, Shelf
from inventory.words import MovementReason, ReservationStatus, StockState


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """Hold all of these units for `ttl`, or nothing. `key` is the caller's idempotency key in its channel."""

    key: str
    channel: str
    lines: tuple[tuple[str, int], ...]
    """(SKU or bundle, units > 0); a SKU may come more than once."""
    ttl: timedelta

    @property
    def holder(self) -> str:
        return f"hold:{self.channel}:{self.key}"

    @property
    def fingerprint(self) -> str:
        merged: dict[str, int] = defaultdict(int)
        for sku, units in self.lines:
            merged[sku] += units
        return ";".join(f"{sku}*{units}" for sku, units in sorted(merged.items()))


class HoldStatus(StrEnum):
    HELD = "held"
    REFUSED = "refused"
    REPEATED = "repeated"
    """The same request was held before; nothing was done again."""
    CONFLICT = "conflict"
    """The key was used for a different request; nothing was done."""


@dataclass(frozen=True, slots=True)
class HoldResult:
    holder: str
    status: HoldStatus
    short: dict[str, tuple[int, int]] = field(default_factory=dict)
    """{SKU: (asked, free)} where it did not fit."""
    reservation: ReservationStatus | None = None
    """For a repeated request: what has become of the hold."""


class EndResult(StrEnum):
    ENDED = "ended"
    ALREADY_RELEASED = "already_released"
    ALREADY_EXPIRED = "already_expired"
    ALREADY_SHIPPED = "already_shipped"
    WAS_REFUSED = "was_refused"
    UNKNOWN = "unknown"


_ALREADY = {
    ReservationStatus.RELEASED: EndResult.ALREADY_RELEASED,
    ReservationStatus.EXPIRED: EndResult.ALREADY_EXPIRED,
    ReservationStatus.SHIPPED: EndResult.ALREADY_SHIPPED,
    ReservationStatus.REFUSED: EndResult.WAS_REFUSED,
}

_HEADERS = text(
    """
    INSERT INTO reservation (holder, kind, channel, status, placed_at, updated_at, recorded_at, expires_at, fingerprint)
    SELECT holder, 'hold', channel, 'live', :now, :now, :now, expires_at, fingerprint
    FROM unnest(CAST(:holders AS text[]), CAST(:channels AS text[]), CAST(:expires AS timestamptz[]),
                CAST(:fingerprints AS text[])) AS given (holder, channel, expires_at, fingerprint)
    ORDER BY holder ON CONFLICT (holder) DO NOTHING RETURNING holder
    """
)


def reserve(connection: Connection, requests: Sequence[HoldRequest], *, now: datetime) -> list[HoldResult]:
    """Decide the requests one after the other, in the given order; one result each, in the same order.

    Units that blind channels may still sell (their exposure), the accuracy margin and the safety stock are
    not free. Raises ValueError for a request
    that makes no sense; then nothing is done.
    """
    for request in requests:
        check(request)
    plan_by_key(connection)
    first = {request.holder: request for request in reversed(requests)}
    fresh = _insert_headers(connection, list(first.values()), now)
    decided: dict[str, HoldResult] = {}
    if fresh:
        wanted = [request for request in first.values() if request.holder in fresh]
        order = {request.holder: position for position, request in reversed(list(enumerate(requests)))}
        decided = _decide(connection, sorted(wanted, key=lambda one: order[one.holder]), now)
    known = _known(connection, [holder for holder in first if holder not in fresh])
    results = []
    for request in requests:
        result = decided.pop(request.holder, None)
        if result is None:
            status, fingerprint = known.get(request.holder) or (None, first[request.holder].fingerprint)
            same = fingerprint == request.fingerprint
            result = HoldResult(
                request.holder, HoldStatus.REPEATED if same else HoldStatus.CONFLICT, reservation=status
            )
        results.append(result)
    return results


def check(request: HoldRequest) -> None:
    """Raises ValueError for a request that makes no sense."""
    if not request.lines:
        raise ValueError(f"hold {request.key!r} asks for nothing")
    for sku, units in request.lines:
        if type(units) is not int or not 0 < units <= 1_000_000_000:
            raise ValueError(f"hold {request.key!r} asks for {units!r} of {sku}: whole units above zero, please")
    if request.ttl <= timedelta(0):
        raise ValueError(f"hold {request.key!r} would expire before it begins")


def _insert_headers(connection: Connection, requests: Sequence[HoldRequest], now: datetime) -> set[str]:
    rows = connection.execute(
        _HEADERS,
        {
            "holders": [one.holder for one in requests],
            "channels": [one.channel for one in requests],
            "expires": [now + one.ttl for one in requests],
            "fingerprints": [one.fingerprint for one in requests],
            "now": now,
        },
    )
    return {row.holder for row in rows}


def _known(connection: Connection, holders: Sequence[str]) -> dict[str, tuple[ReservationStatus, str]]:
    if not holders:
        return {}
    rows = connection.execute(
        text("SELECT holder, status, fingerprint FROM reservation WHERE holder = ANY(:holders)"),
        {"holders": list(holders)},
    )
    return {row.holder: (ReservationStatus(row.status), row.fingerprint) for row in rows}


def _decide(connection: Connection, requests: Sequence[HoldRequest], now: datetime) -> dict[str, HoldResult]:
    recipes = bundles(connection, {sku for request in requests for sku, _ in request.lines})
    pieces = {request.holder: _pieces(request, recipes) for request in requests}
    skus = {sku for wanted in pieces.values() for sku in wanted}
    shelf = lock_shelf(connection, skus, eligible_locations(connection), now=now)
    promised = exposed_units(connection, skus)
    for sku, units in withheld_units(connection, skus).items():
        promised[sku] = promised.get(sku, 0) + units
    results: dict[str, HoldResult] = {}
    for request in requests:
        results[request.holder] = _hold(shelf, request, pieces[request.holder], promised, now)
    refused = [holder for holder, result in results.items() if result.status is HoldStatus.REFUSED]
    if refused:
        end_reservations(connection, refused, ReservationStatus.REFUSED, now=now)
    write_shelf(connection, shelf, now=now)
    mark_dirty(connection, {move.sku for move in shelf.moves}, now=now)
    return results


def _pieces(request: HoldRequest, recipes: dict[str, dict[str, int]]) -> dict[str, int]:
    merged: dict[str, int] = defaultdict(int)
    for sku, units in request.lines:
        for part, count in components_of(sku, units, recipes).items():
            merged[part] += count
    return merged


def _hold(
    shelf: Shelf, request: HoldRequest, pieces: dict[str, int], promised: dict[str, int], now: datetime
) -> HoldResult:
    short = {}
    for sku, units in pieces.items():
        free = max(0, shelf.free(sku, request.channel) - promised.get(sku, 0))
        if units > free:
            short[sku] = (units, free)
    if short:
        return HoldResult(request.holder, HoldStatus.REFUSED, short)
    cause = Cause(f"hold:{request.holder}", MovementReason.HOLD, request.channel, now, request.holder)
    for sku, units in sorted(pieces.items()):
        missing = shelf.take(request.holder, request.channel, sku, units, now, cause)
        assert missing == 0, "a hold took more than was free"
    return HoldResult(request.holder, HoldStatus.HELD, reservation=ReservationStatus.LIVE)


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


def extend(connection: Connection, holder: str, *, until: datetime, now: datetime) -> bool:
    """Move the end of a hold that is still live; False when it is not. What was committed stays for good.

    Raises ValueError for an end that is past already: that would be a release.
    """
    if until <= now:
        raise ValueError(f"{holder} cannot be extended into the past: release it instead")
    return _change_expiry(connection, holder, until, now)


def commit(connection: Connection, holder: str, *, now: datetime) -> bool:
    """The sale is made: the hold no longer expires. False when it had expired; then ask for a new one."""
    return _change_expiry(connection, holder, None, now)


def _change_expiry(connection: Connection, holder: str, until: datetime | None, now: datetime) -> bool:
    result = connection.execute(
        text(
            "UPDATE reservation SET updated_at = :now, "
            "expires_at = CASE WHEN expires_at IS NOT NULL THEN CAST(:until AS timestamptz) END "
            "WHERE holder = :holder AND status = 'live' AND (expires_at > :now OR expires_at IS NULL)"
        ),
        {"holder": holder, "until": until, "now": now},
    )
    return result.rowcount == 1


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
    write_shelf(connection, shelf, now=now)
    mark_dirty(connection, {move.sku for move in shelf.moves}, now=now)


def _send(shelf: Shelf, holders: Collection[str], now: datetime) -> None:
    """Reserved → shipped. The lines keep what was sent, so that a return can be matched to it."""
    for (holder, sku), lines in sorted(shelf.lines.items()):
        if holder in holders:
            cause = Cause(f"ship:{holder}", MovementReason.SHIPMENT, "onhand", now, holder)
            for location, line in sorted(lines.items()):
                if line.held:
                    shelf.note(cause, sku, location, StockState.RESERVED, StockState.SHIPPED, line.held)
