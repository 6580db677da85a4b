"""Whether a channel's notices tell of everything: what was read from it, against what it told of.

An event of the inbox counts as told of when a notice of its order came at or after the change. One that polling
found alone is *missed*. Both are compared only after a grace time, for a notice may come after the order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

GRACE = timedelta(minutes=2)
"""A notice that comes so much later than the event is not missed yet."""
CLOCKS = timedelta(minutes=1)
"""So much may a notice come before the change it tells of, by two clocks that differ."""
WINDOW = timedelta(hours=2)
SHARE = 0.1
"""More than this share of the events of the window missed is too many,"""
FEWEST = 5
"""if at least so many were missed."""
SILENCE = timedelta(hours=1)
"""No notice for so long, and events missed since: none comes any more."""
_MOST = 5000


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared now, and when the last notice came (None: never)."""

    compared: int
    missed: int
    last_notice: datetime | None


_EVENTS = text(
    """
    SELECT inbox.id, inbox.payload ->> 'order_id' AS order_id, inbox.payload ->> 'updated_at' AS updated_at,
           inbox.received_at,
           (SELECT max(notice.received_at) FROM notice
            WHERE notice.channel = inbox.channel AND notice.order_id = inbox.payload ->> 'order_id') AS told_at
    FROM inbox WHERE channel = :channel AND id > :after AND received_at <= :until ORDER BY id LIMIT :most
    """
)


def compare(connection: Connection, channel: str, *, now: datetime) -> Comparison:
    """Compare the events that came since the last time, and remember how far. The first time there are none.

    Two who compare at once would count an event twice, so the channel's row is locked.
    """
    after = connection.execute(
        text("SELECT compared_up_to FROM channel WHERE code = :channel FOR UPDATE"), {"channel": channel}
    ).scalar_one_or_none()
    last = connection.execute(
        text("SELECT max(received_at) FROM notice WHERE channel = :channel"), {"channel": channel}
    ).scalar_one()
    if after is None:
        newest = connection.execute(text("SELECT coalesce(max(id), 0) FROM inbox")).scalar_one()
        _remember(connection, channel, newest)
        return Comparison(0, 0, last)
    events = connection.execute(
        _EVENTS, {"channel": channel, "after": after, "until": now - GRACE, "most": _MOST}
    ).all()
    if not events:
        return Comparison(0, 0, last)
    _remember(connection, channel, max(event.id for event in events))
    missed = sum(event.told_at is None or event.told_at < _changed(event) - CLOCKS for event in events)
    return Comparison(len(events), missed, last)


def _remember(connection: Connection, channel: str, event: int) -> None:
    connection.execute(
        text("UPDATE channel SET compared_up_to = :event WHERE code = :channel"), {"channel": channel, "event": event}
    )


def _changed(event: object) -> datetime:
    """When the order changed, by the channel's own word; a clock of its that runs ahead is not believed."""
    received: datetime = event.received_at  # type: ignore[attr-defined]
    try:
        changed = datetime.fromisoformat(event.updated_at)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return received
    return min(changed if changed.tzinfo else changed.replace(tzinfo=UTC), received)


def reasons(now_compared: Comparison, compared: int, missed: int, *, now: datetime) -> Sequence[str]:
    """Why the notices are not to be relied on, in words for a person; nothing if they are, or if nothing was missed
    this time. `compared` and `missed` are those of the whole window, this comparison included."""
    if not now_compared.missed:
        return ()
    last = now_compared.last_notice
    if last is None:
        return (f"{missed} changes of orders were found by polling, and no notice has ever come",)
    if now - last > SILENCE:
        return (f"no notice came since {last:%Y-%m-%d %H:%M} UTC, while polling found {missed} changes of orders",)
    if missed >= FEWEST and missed > SHARE * compared:
        return (f"of {compared} changes of orders {missed} were found by polling alone",)
    return ()
