"""Guards for the time of a promotion: chosen SKUs are kept shorter on some channels, so that a rush finds slack.

Three limits, each its own number. A *cap*: the channel shows at most so many listing units. A *reserve*: so many
pieces of what is sellable are not for this channel (to keep all of it for one channel, reserve it from the others); set
for every channel at once it is a subtraction like safety stock. *No raises*: what is shown only falls. Of
several promotions at once the strictest limit holds. `now` decides whether a guard holds; that its begin and end are
published is `turn_promotions`' business.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.catalogue import CONNECTED, bundles, existing_items
from inventory.publishing.outbox import mark_dirty
from inventory.publishing.positions import Position, Stock

EVERY_CHANNEL = ""
LONGEST = timedelta(days=92)
"""A guard that is forgotten must not hide units for ever."""
MOST_UNITS = 1_000_000


class PromotionError(ValueError):
    """The promotion makes no sense; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Limits:
    cap: int | None = None
    """Listing units."""
    reserve: int = 0
    """Pieces."""
    no_raises: bool = False

    @property
    def does_something(self) -> bool:
        return self.cap is not None or self.reserve > 0 or self.no_raises

    def and_also(self, other: "Limits") -> "Limits":
        """The stricter of both, limit by limit."""
        caps = [one for one in (self.cap, other.cap) if one is not None]
        return Limits(min(caps, default=None), max(self.reserve, other.reserve), self.no_raises or other.no_raises)


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` (included) to `until` (not included)."""

    start: datetime
    until: datetime


Guards = Mapping[tuple[str, str], Limits]
"""{(SKU, channel or EVERY_CHANNEL): limits} that hold now."""


def guards_for(connection: Connection, skus: Collection[str], now: datetime | None) -> Guards:
    """Of these SKUs and of those that share a bundle with any of them. `now` None: those that were found to have begun
    when it was last looked (`turn_promotions`)."""
    rows = connection.execute(
        text(
            CONNECTED  # noqa: S608 - a constant
            + """
            SELECT sku, channel, min(cap) AS cap, max(reserve) AS reserve, bool_or(no_raises) AS no_raises
            FROM promotion_guard JOIN connected USING (sku)
            WHERE turned <> 'over'
              AND CASE WHEN CAST(:now AS timestamptz) IS NULL THEN turned = 'on'
                       ELSE from_at <= :now AND until_at > :now END
            GROUP BY sku, channel
            """
        ),
        {"skus": sorted(set(skus)), "now": now},
    )
    return {(row.sku, row.channel): Limits(row.cap, row.reserve, row.no_raises) for row in rows}


def withheld_for_promotions(guards: Guards, sku: str) -> int:
    """Pieces of the SKU that no channel may have: the promotion's own subtraction from what is available."""
    limits = guards.get((sku, EVERY_CHANNEL))
    return limits.reserve if limits is not None else 0


def within_guards(positions: Iterable[Position], stock: Mapping[str, Stock], guards: Guards) -> list[Position]:
    """The positions with their guards as caps. `stock` has the reserve for every channel taken off already."""
    return [_within(one, stock, guards) for one in positions]


def _within(one: Position, stock: Mapping[str, Stock], guards: Guards) -> Position:
    own = guards.get((one.sku, one.channel), Limits()).and_also(guards.get((one.sku, EVERY_CHANNEL), Limits()))
    caps = [] if own.cap is None else [own.cap]
    if own.no_raises:
        caps.append(one.not_raised)
    for part, pieces in one.components.items():
        reserve = guards.get((part, one.channel), Limits()).reserve
        if reserve:
            caps.append(max(0, stock[part].sellable(one.locations) - reserve) // pieces)
    if not caps:
        return one
    return replace(one, cap=min(caps) if one.cap is None else min(one.cap, *caps))


_SET = text(
    """
    INSERT INTO promotion_guard (name, sku, channel, from_at, until_at, cap, reserve, no_raises, turned, actor, reason,
                                 created_at)
    SELECT :name, sku, channel, :start, :until, :cap, :reserve, :no_raises, 'waiting', :actor, :reason, :now
    FROM unnest(CAST(:skus AS text[])) AS chosen (sku), unnest(CAST(:channels AS text[])) AS there (channel)
    ORDER BY sku, channel
    ON CONFLICT (name, sku, channel) DO UPDATE
    SET from_at = EXCLUDED.from_at, until_at = EXCLUDED.until_at, cap = EXCLUDED.cap, reserve = EXCLUDED.reserve,
        no_raises = EXCLUDED.no_raises, turned = 'waiting', actor = EXCLUDED.actor, reason = EXCLUDED.reason,
        created_at = EXCLUDED.created_at
    """
)


def set_guards(
    connection: Connection,
    name: str,
    skus: Collection[str],
    channels: Sequence[str],
    window: Window,
    limits: Limits,
    *,
    actor: str,
    reason: str,
    now: datetime,
) -> int:
    """Guard these SKUs on these channels (none named: on all together); returns how many guards there are now.

    The same name again replaces its guards of these SKUs and channels. Raises PromotionError.
    """
    _check(connection, name, skus, channels, window, limits, now)
    there = sorted(set(channels)) or [EVERY_CHANNEL]
    connection.execute(
        _SET,
        {
            "name": name,
            "skus": sorted(set(skus)),
            "channels": there,
            "start": window.start,
            "until": window.until,
            "cap": limits.cap,
            "reserve": limits.reserve,
            "no_raises": limits.no_raises,
            "actor": actor,
            "reason": reason,
            "now": now,
        },
    )
    turn_promotions(connection, now=now)
    # Also what was changed within its time.
    mark_dirty(connection, set(skus), now=now)
    return len(set(skus)) * len(there)


def _check(
    connection: Connection,
    name: str,
    skus: Collection[str],
    channels: Sequence[str],
    window: Window,
    limits: Limits,
    now: datetime,
) -> None:
    if not name.strip():
        raise PromotionError("give the promotion a name. Nothing was changed")
    if not skus:
        raise PromotionError("name at least one SKU. Nothing was changed")
    unknown = sorted(set(skus) - existing_items(connection, set(skus)))
    if unknown:
        raise PromotionError(f"not in the ledger: {', '.join(unknown[:10])}. Nothing was changed")
    known = {row.code for row in connection.execute(text("SELECT code FROM channel"))}
    strangers = sorted(set(channels) - known)
    if strangers:
        raise PromotionError(f"no channel {', '.join(strangers)}; there are {', '.join(sorted(known))}")
    if not limits.does_something:
        raise PromotionError("say what it limits: a cap, a reserve, or no raises. Nothing was changed")
    if not 0 <= limits.reserve <= MOST_UNITS or not 0 <= (limits.cap or 0) <= MOST_UNITS:
        raise PromotionError(f"caps and reserves go from 0 to {MOST_UNITS}. Nothing was changed")
    if limits.reserve and (made_up := sorted(bundles(connection, set(skus)))):
        raise PromotionError(f"{', '.join(made_up[:10])}: of a bundle reserve the components. Nothing was changed")
    if window.until <= window.start:
        raise PromotionError("it ends before it begins. Nothing was changed")
    if window.until <= now:
        raise PromotionError("it is over already. Nothing was changed")
    if window.until - window.start > LONGEST:
        raise PromotionError(f"it lasts longer than {LONGEST.days} days: use the policy file. Nothing was changed")


def end_promotion(connection: Connection, name: str, *, now: datetime) -> int:
    """It is over now, begun or not; returns how many guards ended. Raises PromotionError when none is open."""
    rows = connection.execute(
        text("UPDATE promotion_guard SET turned = 'over' WHERE name = :name AND turned <> 'over' RETURNING sku"),
        {"name": name},
    ).all()
    if not rows:
        raise PromotionError(f"no promotion {name!r} is open. Nothing was changed")
    mark_dirty(connection, {row.sku for row in rows}, now=now)
    return len(rows)


_TURN = text(
    """
    UPDATE promotion_guard SET turned = CASE WHEN until_at <= :now THEN 'over' ELSE 'on' END
    WHERE (turned = 'waiting' AND from_at <= :now) OR (turned = 'on' AND until_at <= :now)
    RETURNING sku
    """
)


def turn_promotions(connection: Connection, *, now: datetime) -> set[str]:
    """Mark the SKUs whose guards have begun or ended since the last time to be published anew."""
    skus = {row.sku for row in connection.execute(_TURN, {"now": now})}
    if skus:
        mark_dirty(connection, skus, now=now)
    return skus
