"""What the gate said: each run, and each row it held back. The record behind artifacts and alerts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB


@dataclass(frozen=True, slots=True)
class HeldRow:
    row_key: str
    rules: str
    reason: str
    inbox_id: int | None = None
    listing_ref: str | None = None


_RUN = text(
    """
    INSERT INTO gate_run (suite, channel, status, rows, failed_rows, findings, duration_ms, ran_at)
    VALUES (:suite, :channel, :status, :rows, :failed_rows, :findings, :duration_ms, :now) RETURNING id
    """
).bindparams(bindparam("findings", type_=JSONB))

_HOLD = text(
    """
    INSERT INTO quarantined_row (suite, channel, row_key, rules, reason, inbox_id, listing_ref, status,
                                 first_at, last_at, times)
    SELECT :suite, :channel, row_key, rules, reason, inbox_id, listing_ref, 'open', :now, :now, 1
    FROM unnest(CAST(:keys AS text[]), CAST(:rules AS text[]), CAST(:reasons AS text[]), CAST(:inbox_ids AS bigint[]),
                CAST(:refs AS text[]))
         AS held (row_key, rules, reason, inbox_id, listing_ref)
    ORDER BY row_key
    ON CONFLICT (suite, row_key) DO UPDATE
    SET times = quarantined_row.times + 1, last_at = EXCLUDED.last_at, status = 'open',
        rules = EXCLUDED.rules, reason = EXCLUDED.reason, inbox_id = EXCLUDED.inbox_id,
        listing_ref = EXCLUDED.listing_ref
    """
)


def record_run(
    connection: Connection,
    *,
    suite: str,
    channel: str,
    status: str,
    rows: int,
    failed_rows: int,
    findings: list[dict[str, Any]],
    duration_ms: float,
    now: datetime,
) -> int:
    """Store one verdict; returns its id."""
    return int(
        connection.execute(
            _RUN,
            {
                "suite": suite,
                "channel": channel,
                "status": status,
                "rows": rows,
                "failed_rows": failed_rows,
                "findings": findings,
                "duration_ms": duration_ms,
                "now": now,
            },
        ).scalar_one()
    )


def hold_rows(connection: Connection, suite: str, channel: str, rows: Sequence[HeldRow], *, now: datetime) -> None:
    """Keep the rows that were held back, by key and reason; a repeat raises the count."""
    once = {row.row_key: row for row in rows}
    if once:
        held = [once[key] for key in sorted(once)]
        connection.execute(
            _HOLD,
            {
                "suite": suite,
                "channel": channel,
                "keys": [row.row_key for row in held],
                "rules": [row.rules for row in held],
                "reasons": [row.reason for row in held],
                "inbox_ids": [row.inbox_id for row in held],
                "refs": [row.listing_ref for row in held],
                "now": now,
            },
        )


def release_rows_under(connection: Connection, suite: str, prefixes: Collection[str], *, now: datetime) -> int:
    """All of these came through: what was held of them under whatever key, as a line without an id or an order
    that could not be read at all. Returns how many had been held."""
    if not prefixes:
        return 0
    result = connection.execute(
        text(
            "UPDATE quarantined_row SET status = 'released', last_at = :now "
            "FROM unnest(CAST(:prefixes AS text[])) AS given (prefix) "
            "WHERE suite = :suite AND status = 'open' AND (row_key = prefix OR starts_with(row_key, prefix || '/'))"
        ),
        {"suite": suite, "prefixes": sorted(prefixes), "now": now},
    )
    return result.rowcount


def release_rows(connection: Connection, suite: str, row_keys: Collection[str], *, now: datetime) -> int:
    """These rows came through after all; returns how many had been held."""
    if not row_keys:
        return 0
    result = connection.execute(
        text(
            "UPDATE quarantined_row SET status = 'released', last_at = :now "
            "WHERE suite = :suite AND status = 'open' AND row_key = ANY(:keys)"
        ),
        {"suite": suite, "keys": sorted(row_keys), "now": now},
    )
    return result.rowcount


def open_rows(connection: Connection, suite: str, channel: str) -> int:
    """How many rows are held back now."""
    return int(
        connection.execute(
            text(
                "SELECT count(*) FROM quarantined_row WHERE suite = :suite AND channel = :channel AND status = 'open'"
            ),
            {"suite": suite, "channel": channel},
        ).scalar_one()
    )
