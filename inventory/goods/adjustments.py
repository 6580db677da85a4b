"""Stock changed by hand, with a reason that says where the units come from or go to.

Two ways to say it. A *change*: so many more, or fewer, are free on the shelf. *Set to*: so many are on hand, and so
many did the person believe the ledger to say; when it says something else by now, nothing is done, because the
change that was meant is another one. Units that are promised to buyers cannot be taken away: then the shelf is
counted, and the orders are looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.catalogue import bundles, existing_items
from inventory.ledger.ledger import InsufficientStock, Move, lock_balances
from inventory.ledger.stock import move_stock
from inventory.people.operation_log import Done, note_operation
from inventory.words import ON_HAND, AdjustmentReason, MovementReason, StockState

MOST_UNITS = 1_000_000
"""Of one adjustment: a barcode in the wrong field is larger."""


class AdjustmentError(ValueError):
    """It cannot be done as asked; nothing was changed. The message says what to do."""


@dataclass(frozen=True, slots=True)
class _Way:
    """Where units come from when there are more, and go to when there are fewer; None: it cannot be so."""

    more: StockState | None
    fewer: StockState | None
    reason: MovementReason


WAYS: Mapping[AdjustmentReason, _Way] = {
    AdjustmentReason.MISCOUNT: _Way(StockState.COUNT_GAIN, StockState.COUNT_LOSS, MovementReason.ADJUSTMENT),
    AdjustmentReason.FOUND: _Way(StockState.COUNT_GAIN, None, MovementReason.ADJUSTMENT),
    AdjustmentReason.LOST: _Way(None, StockState.COUNT_LOSS, MovementReason.ADJUSTMENT),
    AdjustmentReason.DAMAGED: _Way(None, StockState.DAMAGED, MovementReason.DAMAGE),
    AdjustmentReason.QUARANTINED: _Way(None, StockState.QUARANTINED, MovementReason.QUARANTINE),
    AdjustmentReason.WRITTEN_OFF: _Way(None, StockState.WRITTEN_OFF, MovementReason.WRITE_OFF),
    AdjustmentReason.SUPPLIER: _Way(StockState.SUPPLIER, StockState.SUPPLIER, MovementReason.ADJUSTMENT),
    AdjustmentReason.DATA_ERROR: _Way(StockState.COUNT_GAIN, StockState.COUNT_LOSS, MovementReason.ADJUSTMENT),
}
STAYS_ON_HAND = frozenset({AdjustmentReason.DAMAGED, AdjustmentReason.QUARANTINED})
"""What is on hand does not change by these, so they cannot be said as *set to*."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One SKU at one location."""

    on_hand: int
    available: int
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class Adjustment:
    """`change`: units by which `available` changes, never 0. `expected`: of a set-to, what was on hand when it was
    decided; None of a change."""

    sku: str
    location: str
    change: int
    why: AdjustmentReason
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Adjusted:
    before: Shelf
    after: Shelf
    repeated: bool
    """This request was done before; nothing was changed now."""


def shelf_of(connection: Connection, sku: str, location: str, *, lock: bool = False) -> Shelf:
    """Raises AdjustmentError for an unknown SKU or location, and for a bundle, which is stocked as its components."""
    if sku not in existing_items(connection, [sku]):
        raise AdjustmentError(f"no SKU {sku!r} in the ledger: import_items makes it. Nothing was changed")
    if bundles(connection, {sku}):
        raise AdjustmentError(f"{sku} is a bundle: adjust its components. Nothing was changed")
    places = [row.code for row in connection.execute(text("SELECT code FROM location ORDER BY code"))]
    if location not in places:
        raise AdjustmentError(f"no location {location!r}; there are {', '.join(places) or 'none'}. Nothing was changed")
    if lock:
        lock_balances(connection, [sku])
    rows = connection.execute(
        text("SELECT state, quantity FROM balance WHERE sku = :sku AND location = :location"),
        {"sku": sku, "location": location},
    )
    held = {row.state: row.quantity for row in rows}
    return Shelf(
        sum(held.get(state.value, 0) for state in ON_HAND),
        held.get(StockState.AVAILABLE, 0),
        held.get(StockState.QUARANTINED, 0),
    )


def meant(
    sku: str,
    location: str,
    why: AdjustmentReason,
    shelf: Shelf,
    *,
    change: int | None = None,
    set_to: int | None = None,
    expected: int | None = None,
) -> Adjustment:
    """What a person's words mean for this shelf. Raises AdjustmentError."""
    if (change is None) == (set_to is None):
        raise AdjustmentError("say either by how much it changes, or what it is set to. Nothing was changed")
    if set_to is not None:
        if expected is None:
            raise AdjustmentError("to set it, say also what you expect to be on hand now. Nothing was changed")
        if why in STAYS_ON_HAND:
            raise AdjustmentError(f"{why}: the units stay on hand; say by how much it changes. Nothing was changed")
        _check_expected(sku, location, expected, shelf)
        change = set_to - expected
    assert change is not None
    if change == 0:
        raise AdjustmentError(f"{sku} at {location} is {shelf.on_hand} on hand: there is nothing to change")
    if abs(change) > MOST_UNITS:
        raise AdjustmentError(
            f"{change} units are more than {MOST_UNITS} at once: is that a barcode? Nothing was changed"
        )
    way = WAYS[why]
    if (way.more if change > 0 else way.fewer) is None:
        raise AdjustmentError(f"{why} cannot make it {'more' if change > 0 else 'fewer'}. Nothing was changed")
    adjustment = Adjustment(sku, location, change, why, expected if set_to is not None else None)
    _check_free(adjustment, shelf)
    return adjustment


def _check_expected(sku: str, location: str, expected: int, shelf: Shelf) -> None:
    if shelf.on_hand != expected:
        raise AdjustmentError(
            f"you expected {expected} of {sku} on hand at {location}, the ledger says {shelf.on_hand}: somebody sold, "
            "received or counted meanwhile. Look again, and say it anew. Nothing was changed"
        )


def _check_free(adjustment: Adjustment, shelf: Shelf) -> None:
    if -adjustment.change > shelf.available:
        raise AdjustmentError(
            f"{-adjustment.change} of {adjustment.sku} cannot leave {adjustment.location}: {shelf.available} are free, "
            f"{shelf.on_hand - shelf.available} are promised, damaged or in quarantine. Nothing was changed"
        )


def adjust(
    connection: Connection,
    adjustment: Adjustment,
    *,
    request_key: str,
    actor: str,
    reason: str,
    approved_by: str = "",
    now: datetime,
) -> Adjusted:
    """Post it, once a request. Raises AdjustmentError when the shelf is no longer as it was expected."""
    before = shelf_of(connection, adjustment.sku, adjustment.location, lock=True)
    done = Done(
        request_key,
        "adjust_stock",
        adjustment.sku,
        actor,
        reason,
        approved_by,
        {
            "location": adjustment.location,
            "change": adjustment.change,
            "why": adjustment.why.value,
            "expected": adjustment.expected,
            "on hand before": before.on_hand,
        },
    )
    if not note_operation(connection, done, now=now):
        return Adjusted(before, before, repeated=True)
    if adjustment.expected is not None:
        _check_expected(adjustment.sku, adjustment.location, adjustment.expected, before)
    _check_free(adjustment, before)
    try:
        move_stock(connection, [_move(adjustment, request_key, actor, reason, approved_by, now)], now=now)
    except InsufficientStock as error:
        # Expired holds were given back and taken by others in the moment before.
        raise AdjustmentError(str(error)) from error
    return Adjusted(before, shelf_of(connection, adjustment.sku, adjustment.location), repeated=False)


def _move(adjustment: Adjustment, request_key: str, actor: str, reason: str, approved_by: str, now: datetime) -> Move:
    way, gains = WAYS[adjustment.why], adjustment.change > 0
    other = way.more if gains else way.fewer
    assert other is not None
    return Move(
        sku=adjustment.sku,
        location=adjustment.location,
        from_state=other if gains else StockState.AVAILABLE,
        to_state=StockState.AVAILABLE if gains else other,
        quantity=abs(adjustment.change),
        reason=way.reason,
        source="adjust_stock",
        event_key=f"adjust:{request_key}",
        occurred_at=now,
        actor=f"{actor}, approved by {approved_by}" if approved_by else actor,
        reference=f"{adjustment.why}: {reason}",
    )


RELEASES: Mapping[StockState, MovementReason] = {
    StockState.AVAILABLE: MovementReason.RESTOCK,
    StockState.DAMAGED: MovementReason.DAMAGE,
    StockState.WRITTEN_OFF: MovementReason.WRITE_OFF,
}
"""Where quarantined units may go after they were looked at."""


def release_quarantined(
    connection: Connection,
    sku: str,
    location: str,
    units: int,
    to: StockState,
    *,
    request_key: str,
    actor: str,
    reason: str,
    approved_by: str = "",
    now: datetime,
) -> Adjusted:
    """Units that were looked at leave quarantine, once a request. Raises AdjustmentError."""
    if to not in RELEASES:
        raise AdjustmentError(f"quarantined units do not become {to}. Nothing was changed")
    if not 0 < units <= MOST_UNITS:
        raise AdjustmentError(f"say how many units, from 1 to {MOST_UNITS}. Nothing was changed")
    before = shelf_of(connection, sku, location, lock=True)
    detail = {"location": location, "units": units, "to": to.value}
    done = Done(request_key, "release_quarantine", sku, actor, reason, approved_by, detail)
    if not note_operation(connection, done, now=now):
        return Adjusted(before, before, repeated=True)
    if units > before.quarantined:
        raise AdjustmentError(
            f"{units} of {sku} cannot leave quarantine at {location}: {before.quarantined} are in it. Nothing was "
            "changed"
        )
    move = Move(
        sku=sku,
        location=location,
        from_state=StockState.QUARANTINED,
        to_state=to,
        quantity=units,
        reason=RELEASES[to],
        source="release_quarantine",
        event_key=f"quarantine:{request_key}",
        occurred_at=now,
        actor=f"{actor}, approved by {approved_by}" if approved_by else actor,
        reference=reason,
    )
    move_stock(connection, [move], now=now)
    return Adjusted(before, shelf_of(connection, sku, location), repeated=False)
