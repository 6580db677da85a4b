"""Guards for the time of a promotion: set, or ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from adapters.database import in_transaction, unit_of_work
from adapters.wakeups import PUBLISH, wake
from inventory.naming import naming
from inventory.people.operation_log import Done, check_words, note_operation, was_done
from inventory.people.raci import Action
from inventory.publishing.promotions import Limits, PromotionError, Window, end_promotion, set_guards, turn_promotions
from tasks.permission import Request
from tasks.runtime import Runtime

MOST_SKUS = 5000


@dataclass(frozen=True, slots=True)
class Promotion:
    """`window` None: it is ended now. `channels` empty: all together."""

    name: str
    skus: tuple[str, ...]
    channels: tuple[str, ...]
    window: Window | None
    limits: Limits


def promotion(
    runtime: Runtime,
    *,
    name: str,
    skus: Sequence[str],
    channels: Sequence[str],
    window: Window | None,
    limits: Limits,
) -> Promotion:
    """What the form means, SKUs as the ledger spells them. Raises PromotionError, UnfitWords."""
    check_words(promotion=name)
    wanted = sorted({one.strip() for one in skus if one.strip()})
    if len(wanted) > MOST_SKUS:
        raise PromotionError(f"{len(wanted)} SKUs are more than {MOST_SKUS}: use the policy file. Nothing was changed")
    if window is not None and (window.start.tzinfo is None or window.until.tzinfo is None):
        raise PromotionError("times need their offset, as 2026-11-27T00:00+00:00. Nothing was changed")
    with unit_of_work(runtime.engine) as connection:
        names = naming(connection)
    found = {one: names.resolve(one).sku for one in wanted}
    unknown = [ascii(one)[:80] for one, sku in found.items() if sku is None]
    if unknown:
        raise PromotionError(f"not in the ledger: {', '.join(unknown[:10])}. Nothing was changed")
    chosen = tuple(sorted({sku for sku in found.values() if sku is not None}))
    return Promotion(name.strip(), chosen, tuple(sorted(set(channels))), window, limits)


def request_for(wanted: Promotion, *, actor: str, reason: str) -> Request:
    """Raises UnfitWords."""
    check_words(name=actor, reason=reason)
    if wanted.window is None:
        message = f"promotion {wanted.name} ends now"
    else:
        where = ", ".join(wanted.channels) or "all channels"
        message = (
            f"promotion {wanted.name}: {len(wanted.skus)} SKUs on {where} from {wanted.window.start:%Y-%m-%d %H:%M} "
            f"to {wanted.window.until:%Y-%m-%d %H:%M}"
        )
    return Request(Action.PROMO_GUARD, wanted.name, message, actor, reason)


def guard(runtime: Runtime, wanted: Promotion, request: Request, *, approved_by: str, request_key: str) -> int:
    """Set or end it; returns how many guards that were, 0 for a request that was done. Raises PromotionError."""

    def work(connection: Connection) -> int:
        now = runtime.now()
        if was_done(connection, request_key):
            return 0
        if wanted.window is None:
            count = end_promotion(connection, wanted.name, now=now)
        else:
            count = set_guards(
                connection,
                wanted.name,
                wanted.skus,
                wanted.channels,
                wanted.window,
                wanted.limits,
                actor=request.actor,
                reason=request.reason,
                now=now,
            )
        done = Done(
            request_key,
            request.action.value,
            request.subject,
            request.actor,
            request.reason,
            approved_by,
            {"guards": count, "ended": wanted.window is None},
        )
        note_operation(connection, done, now=now)
        return count

    count = in_transaction(runtime.engine, work)
    wake(runtime.engine, PUBLISH)
    return count


def turn(runtime: Runtime) -> int:
    """Publish the SKUs whose guards have begun or ended since the last time; returns how many SKUs."""
    skus = in_transaction(runtime.engine, lambda connection: turn_promotions(connection, now=runtime.now()))
    if skus:
        wake(runtime.engine, PUBLISH)
    return len(skus)


def open_guards(runtime: Runtime, name: str = "") -> list[dict[str, Any]]:
    """For people: what is guarded now or will be."""
    with unit_of_work(runtime.engine) as connection:
        rows = connection.execute(
            text(
                "SELECT * FROM promotion_guard WHERE turned <> 'over' AND (:name = '' OR name = :name) "
                "ORDER BY from_at, name, sku, channel"
            ),
            {"name": name},
        ).all()
    return [
        {
            "promotion": row.name,
            "SKU": row.sku,
            "channel": row.channel or "all",
            "from": f"{row.from_at:%Y-%m-%d %H:%M} UTC",
            "until": f"{row.until_at:%Y-%m-%d %H:%M} UTC",
            "cap": "" if row.cap is None else row.cap,
            "reserve": row.reserve or "",
            "no raises": "yes" if row.no_raises else "",
            "by": row.actor,
        }
        for row in rows
    ]
