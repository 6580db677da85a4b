"""The inbox: every event received is stored here before it is acknowledged, and applied from here once.

A claim is a lease: events that a killed worker held are taken up again when the lease ends. Applying is
idempotent, so that an event applied by a worker which died before it said so does no harm.
"""

import hashlib
import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from inventory.words import InboxStatus


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    payload: dict[str, Any]


_STORE = text(
    """
    INSERT INTO inbox (channel, event_id, payload, received_at, status)
    SELECT :channel, event_id, payload, :now, 'pending'
    FROM unnest(CAST(:event_ids AS text[]), CAST(:payloads AS jsonb[])) AS given (event_id, payload)
    ON CONFLICT (channel, event_id) DO NOTHING
    """
)

_CLAIM = text(
    """
    -- Materialised: a plan that ran the subquery twice would skip what it has just taken, and take more.
    WITH picked AS MATERIALIZED (
        SELECT id FROM inbox
        WHERE channel = :channel AND status = 'pending' AND (lease_until IS NULL OR lease_until < :now)
        ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE inbox SET lease_until = :until, lease_owner = :owner
    FROM picked WHERE inbox.id = picked.id
    RETURNING inbox.id, inbox.payload
    """
)


def store(connection: Connection, channel: str, documents: Sequence[dict[str, Any]], *, now: datetime) -> int:
    """Store order documents (without personal data); returns how many were new.

    The event id is the order's id and a digest of its content: the same version of an order is the same
    event however often it comes, and any change is a new one, whatever resolution the vendor's clock has.
    """
    if not documents:
        return 0
    encoded = [json.dumps(_storable(document), sort_keys=True, separators=(",", ":")) for document in documents]
    result = connection.execute(
        _STORE,
        {
            "channel": channel,
            "event_ids": [_event_id(document, body) for document, body in zip(documents, encoded, strict=True)],
            "payloads": encoded,
            "now": now,
        },
    )
    return result.rowcount


def _storable(value: Any) -> Any:
    """What jsonb can hold: no NUL, no half of a surrogate pair, no NaN or infinity (they become text, which
    the gate then refuses as a number)."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_storable(str(key)): _storable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, int | float) else _storable(str(value))


def _event_id(document: dict[str, Any], body: str) -> str:
    order_id = _storable(str(document.get("order_id"))[:100])
    return f"{order_id}@{hashlib.sha256(body.encode()).hexdigest()[:20]}"


def claim(
    connection: Connection, channel: str, *, owner: str, limit: int, lease: timedelta, now: datetime
) -> list[Event]:
    """Take at most `limit` pending events of the channel that nobody else holds, in the order they came."""
    rows = connection.execute(
        _CLAIM, {"channel": channel, "owner": owner, "limit": limit, "until": now + lease, "now": now}
    )
    return sorted((Event(row.id, row.payload) for row in rows), key=lambda event: event.id)


def settle(connection: Connection, applied: Collection[int], quarantined: Collection[int], *, now: datetime) -> None:
    """Say what became of claimed events, in the transaction that applied them."""
    for status, ids in ((InboxStatus.APPLIED, applied), (InboxStatus.QUARANTINED, quarantined)):
        if ids:
            connection.execute(
                text(
                    "UPDATE inbox SET status = :status, applied_at = :now, lease_until = NULL, lease_owner = NULL "
                    "WHERE id = ANY(:ids)"
                ),
                {"status": status.value, "ids": sorted(ids), "now": now},
            )


def reopen(connection: Connection, ids: Collection[int]) -> int:
    """Quarantined events are to be looked at again (a listing was mapped, a person released them)."""
    result = connection.execute(
        text("UPDATE inbox SET status = 'pending', lease_until = NULL WHERE id = ANY(:ids) AND status = 'quarantined'"),
        {"ids": sorted(ids)},
    )
    return result.rowcount


def waiting(connection: Connection, channel: str) -> int:
    return int(
        connection.execute(
            text("SELECT count(*) FROM inbox WHERE channel = :channel AND status = 'pending'"), {"channel": channel}
        ).scalar_one()
    )
