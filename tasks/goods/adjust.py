"""Stock changed by hand: what is asked for, checked against the shelf and the limits, then posted once."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from adapters.database import in_transaction, unit_of_work
from adapters.wakeups import PUBLISH, wake
from inventory.goods.adjustments import (
    Adjusted,
    Adjustment,
    AdjustmentError,
    adjust,
    meant,
    release_quarantined,
    shelf_of,
)
from inventory.naming import naming
from inventory.people.operation_log import check_words, unit_costs, was_done
from inventory.people.raci import Action
from inventory.words import AdjustmentReason, StockState
from tasks.permission import Request
from tasks.runtime import Runtime


@dataclass(frozen=True, slots=True)
class AdjustRequest:
    """`adjustment` None: this request was done before, and is not asked for again."""

    request: Request | None
    adjustment: Adjustment | None


def propose_adjustment(
    runtime: Runtime,
    *,
    sku: str,
    location: str,
    why: AdjustmentReason,
    change: int | None,
    set_to: int | None,
    expected: int | None,
    actor: str,
    reason: str,
    request_key: str,
) -> AdjustRequest:
    """What the form means, with its size and value. Changes nothing. Raises AdjustmentError, UnfitWords."""
    check_words(name=actor, reason=reason)
    with unit_of_work(runtime.engine) as connection:
        if was_done(connection, request_key):
            return AdjustRequest(None, None)
        known = known_sku(connection, sku)
        place = location.strip()
        shelf = shelf_of(connection, known, place)
        adjustment = meant(known, place, why, shelf, change=change, set_to=set_to, expected=expected)
        value = _value(connection, known, adjustment.change)
    verb = "more" if adjustment.change > 0 else "fewer"
    message = (
        f"{abs(adjustment.change)} {verb} of {known} at {place} ({why}): on hand is {shelf.on_hand}, of which "
        f"{shelf.available} free"
    )
    detail = {"sku": known, "location": place, "change": adjustment.change, "why": why.value}
    request = Request(Action.ADJUST_STOCK, known, message, actor, reason, abs(adjustment.change), value, detail)
    return AdjustRequest(request, adjustment)


def known_sku(connection: Connection, sku: str) -> str:
    """As the ledger spells it, also by an alias. Raises AdjustmentError."""
    found = naming(connection).resolve(sku.strip()).sku
    if found is None:
        raise AdjustmentError(f"no SKU {ascii(sku)[:80]} in the ledger: import_items makes it. Nothing was changed")
    return found


def _value(connection: Connection, sku: str, units: int) -> Decimal | None:
    cost = unit_costs(connection, [sku]).get(sku)
    return None if cost is None else abs(units) * cost


def post_adjustment(
    runtime: Runtime, adjustment: Adjustment, *, actor: str, reason: str, approved_by: str, request_key: str
) -> Adjusted:
    """Raises AdjustmentError when the shelf is no longer what was asked about."""
    done = in_transaction(
        runtime.engine,
        lambda connection: adjust(
            connection,
            adjustment,
            request_key=request_key,
            actor=actor,
            reason=reason,
            approved_by=approved_by,
            now=runtime.now(),
        ),
    )
    wake(runtime.engine, PUBLISH)
    return done


def propose_release(
    runtime: Runtime,
    *,
    sku: str,
    location: str,
    units: int,
    to: StockState,
    actor: str,
    reason: str,
    request_key: str,
) -> Request | None:
    """None: this request was done before. Changes nothing. Raises AdjustmentError, UnfitWords."""
    check_words(name=actor, reason=reason)
    with unit_of_work(runtime.engine) as connection:
        if was_done(connection, request_key):
            return None
        known = known_sku(connection, sku)
        place = location.strip()
        shelf = shelf_of(connection, known, place)
        value = _value(connection, known, units)
    if not 0 < units <= shelf.quarantined:
        raise AdjustmentError(
            f"{units} of {known} cannot leave quarantine at {place}: {shelf.quarantined} are in it. Nothing was changed"
        )
    message = f"{units} of {known} at {place} from quarantine to {to}"
    detail = {"sku": known, "location": place, "units": units, "to": to.value}
    return Request(Action.RELEASE_QUARANTINE, known, message, actor, reason, units, value, detail)


def post_release(runtime: Runtime, request: Request, *, approved_by: str, request_key: str) -> Adjusted:
    """What `propose_release` gave, done once. Raises AdjustmentError."""
    detail = request.detail
    done = in_transaction(
        runtime.engine,
        lambda connection: release_quarantined(
            connection,
            detail["sku"],
            detail["location"],
            detail["units"],
            StockState(detail["to"]),
            request_key=request_key,
            actor=request.actor,
            reason=request.reason,
            approved_by=approved_by,
            now=runtime.now(),
        ),
    )
    wake(runtime.engine, PUBLISH)
    return done


def as_rows(subject: str, location: str, done: Adjusted) -> list[dict[str, object]]:
    return [
        {"SKU": subject, "location": location, "what": what, "before": before, "after": after}
        for what, before, after in (
            ("on hand", done.before.on_hand, done.after.on_hand),
            ("available", done.before.available, done.after.available),
            ("quarantined", done.before.quarantined, done.after.quarantined),
        )
    ]
