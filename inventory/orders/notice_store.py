"""Notices: a channel said that something of it changed. Stored before the channel is answered, then looked into.

Only ids are kept; what changed is read from the channel. A claim is a lease, as in `inventory.orders.inbox`: what a
killed worker held is taken up again. The same message stored twice is one row, however it comes.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.words import IntakeOutcome, NoticeStatus

_LONGEST = 200
"""Characters of an id or topic that is kept as it is: an index entry has an end."""

Key = tuple[str, str, str, str]
"""(channel, event id, order id, listing ref): what makes a row the same as another."""


@dataclass(frozen=True, slots=True)
class NewNotice:
    """Made by `new_notice`, which sees to it that the database can hold it."""

    channel: str
    event_id: str
    topic: str
    order_id: str
    listing_ref: str

    @property
    def key(self) -> Key:
        return self.channel, self.event_id, self.order_id, self.listing_ref


@dataclass(frozen=True, slots=True)
class WaitingNotice:
    id: int
    topic: str
    order_id: str
    listing_ref: str
    received_at: datetime
    tries: int


def new_notice(channel: str, event_id: str, topic: str, order_id: str = "", listing_ref: str = "") -> NewNotice:
    """An id too long to be one names nothing: the row is kept without it, so that the channel is polled."""
    order_id, listing_ref = ("" if len(one) > _LONGEST else _storable(one) for one in (order_id, listing_ref))
    return NewNotice(channel, _short(event_id), _storable(topic)[:_LONGEST], order_id, listing_ref)


def _short(event_id: str) -> str:
    if len(event_id) <= _LONGEST:
        return _storable(event_id)
    return hashlib.sha256(event_id.encode("utf-8", "replace")).hexdigest()


def _storable(value: str) -> str:
    return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


_STORE = text(
    """
    INSERT INTO notice (channel, event_id, topic, order_id, listing_ref, received_at, status, tries)
    SELECT channel, event_id, topic, order_id, listing_ref, :now, 'pending', 0
    FROM unnest(CAST(:channels AS text[]), CAST(:event_ids AS text[]), CAST(:topics AS text[]),
                CAST(:order_ids AS text[]), CAST(:refs AS text[]))
         AS given (channel, event_id, topic, order_id, listing_ref)
    -- In one order, so that two who store the same do not wait for each other in a circle.
    ORDER BY channel, event_id, order_id, listing_ref
    ON CONFLICT (channel, event_id, order_id, listing_ref) DO NOTHING
    RETURNING channel, event_id, order_id, listing_ref
    """
)

_CLAIM = text(
    """
    -- Materialised: a plan that ran the subquery twice would skip what it has just taken, and take more.
    WITH picked AS MATERIALIZED (
        SELECT id FROM notice
        WHERE channel = :channel AND status = 'pending' AND (lease_until IS NULL OR lease_until < :now)
          AND (due_at IS NULL OR due_at <= :now)
        ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE notice SET lease_until = :until, lease_owner = :owner
    FROM picked WHERE notice.id = picked.id
    RETURNING notice.id, notice.topic, notice.order_id, notice.listing_ref, notice.received_at, notice.tries
    """
)

_PUT_OFF = text(
    """
    UPDATE notice SET lease_until = NULL, lease_owner = NULL, tries = given.tries, due_at = given.due
    FROM unnest(CAST(:ids AS bigint[]), CAST(:tries AS int[]), CAST(:dues AS timestamptz[])) AS given (id, tries, due)
    WHERE notice.id = given.id AND notice.lease_owner = :owner AND notice.status = 'pending'
    """
)

_COUNT = text(
    """
    INSERT INTO intake_count (channel, hour, outcome, times)
    SELECT channel, date_trunc('hour', CAST(:now AS timestamptz), 'UTC'), outcome, times
    FROM unnest(CAST(:channels AS text[]), CAST(:outcomes AS text[]), CAST(:times AS bigint[]))
         AS given (channel, outcome, times)
    ORDER BY channel, outcome
    ON CONFLICT (channel, hour, outcome) DO UPDATE SET times = intake_count.times + EXCLUDED.times
    """
)


def store(connection: Connection, notices: Sequence[NewNotice], *, now: datetime) -> set[Key]:
    """Store them; returns the keys of those that were new."""
    if not notices:
        return set()
    rows = connection.execute(
        _STORE,
        {
            "channels": [one.channel for one in notices],
            "event_ids": [one.event_id for one in notices],
            "topics": [one.topic for one in notices],
            "order_ids": [one.order_id for one in notices],
            "refs": [one.listing_ref for one in notices],
            "now": now,
        },
    )
    return {(row.channel, row.event_id, row.order_id, row.listing_ref) for row in rows}


def claim(
    connection: Connection, channel: str, *, owner: str, limit: int, lease: timedelta, now: datetime
) -> list[WaitingNotice]:
    """Take at most `limit` notices of the channel that are due and that nobody else holds, oldest first."""
    rows = connection.execute(
        _CLAIM, {"channel": channel, "owner": owner, "limit": limit, "until": now + lease, "now": now}
    )
    return sorted((WaitingNotice(*row) for row in rows), key=lambda one: one.id)


def settle(connection: Connection, ids: Collection[int], status: NoticeStatus, *, now: datetime) -> None:
    """They are done with. Also for one whose lease ran out meanwhile: what it names was looked into after it came."""
    if ids:
        connection.execute(
            text(
                "UPDATE notice SET status = :status, applied_at = :now, lease_until = NULL, lease_owner = NULL "
                "WHERE id = ANY(:ids) AND status = 'pending'"
            ),
            {"ids": sorted(ids), "status": status.value, "now": now},
        )


def put_off(connection: Connection, dues: Mapping[WaitingNotice, datetime], *, owner: str, tried: bool) -> None:
    """Give claims back, each to be taken up again at its time. `tried`: the channel was asked, and did not show it."""
    if dues:
        ordered = sorted(dues, key=lambda one: one.id)
        connection.execute(
            _PUT_OFF,
            {
                "ids": [one.id for one in ordered],
                "tries": [one.tries + tried for one in ordered],
                "dues": [dues[one] for one in ordered],
                "owner": owner,
            },
        )


def waiting(connection: Connection, channel: str) -> int:
    return int(
        connection.execute(
            text("SELECT count(*) FROM notice WHERE channel = :channel AND status = 'pending'"), {"channel": channel}
        ).scalar_one()
    )


def next_due(connection: Connection, channel: str) -> datetime | None:
    """When the next of the channel's notices can be claimed, also one that is held now; None when none waits."""
    due: datetime | None = connection.execute(
        text(
            "SELECT min(greatest(received_at, due_at, lease_until)) FROM notice "
            "WHERE channel = :channel AND status = 'pending'"
        ),
        {"channel": channel},
    ).scalar_one()
    return due


def count(connection: Connection, outcomes: Mapping[tuple[str, IntakeOutcome], int], *, now: datetime) -> None:
    """Add {(channel, outcome): times} to the counts of this hour."""
    if outcomes:
        pairs = sorted(outcomes)
        connection.execute(
            _COUNT,
            {
                "channels": [channel for channel, _ in pairs],
                "outcomes": [outcome.value for _, outcome in pairs],
                "times": [outcomes[pair] for pair in pairs],
                "now": now,
            },
        )


def counted(connection: Connection, channel: str, *, since: datetime) -> dict[IntakeOutcome, int]:
    """What was counted for the channel in the hours that end after `since`."""
    rows = connection.execute(
        text(
            "SELECT outcome, sum(times) AS times FROM intake_count "
            "WHERE channel = :channel AND hour > :since GROUP BY outcome"
        ),
        {"channel": channel, "since": since - timedelta(hours=1)},
    )
    return {IntakeOutcome(row.outcome): int(row.times) for row in rows}


def clean_up(connection: Connection, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` of the oldest notices that are done with and came before that time; returns how many.

    They are the memory by which a repeated message is known; keep them longer than any vendor repeats.
    """
    result = connection.execute(
        text(
            """
            DELETE FROM notice USING (
                SELECT id FROM notice WHERE received_at < :before AND status <> 'pending' ORDER BY id LIMIT :limit
                FOR UPDATE SKIP LOCKED
            ) AS old WHERE notice.id = old.id
            """
        ),
        {"before": before, "limit": limit},
    )
    return result.rowcount
