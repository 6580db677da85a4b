"""The publication log: each number sent, why it was that number, and what became of it.

`begin` is committed before a number leaves, `end` after its answer came. Whatever happens in between, the
log has a row with status `sent`, the exposure counts the worst case, and the listing is in doubt.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.publishing.exposure import Answered, Sending, answered, grow
from inventory.publishing.positions import Step
from inventory.words import IncidentKind, PublicationStatus, Severity


@dataclass(frozen=True, slots=True)
class Sent:
    """A step on its way."""

    publication_id: int
    step: Step
    sent_at: datetime
    leave_by: datetime
    """Later it must not be sent: it would be applied when nobody counts with it any more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    sent: Sent
    status: PublicationStatus
    reason: str = ""


_INSERT = text(
    """
    INSERT INTO publication (listing_id, channel, sku, quantity, expected, growth, status, inputs, policy_version,
                             gate_run_id, key, reason, sent_at)
    SELECT listing_id, channel, sku, quantity, expected, growth, 'sent', inputs, policy_version,
           gate_run_id, :key, '', :now
    FROM unnest(CAST(:listing_ids AS bigint[]), CAST(:channels AS text[]), CAST(:skus AS text[]),
                CAST(:quantities AS int[]), CAST(:expected AS int[]), CAST(:growths AS int[]),
                CAST(:inputs AS jsonb[]), CAST(:gate_run_ids AS bigint[]), CAST(:policy_versions AS text[]))
         AS given (listing_id, channel, sku, quantity, expected, growth, inputs, gate_run_id, policy_version)
    RETURNING id, listing_id
    """
)


def begin(
    connection: Connection, steps: Sequence[Step], *, key: str, gate_runs: Mapping[str, int], now: datetime
) -> list[Sent]:
    """Note the steps and count their worst case. The caller holds the balance locks, commits, then sends.

    `gate_runs`: {channel: id of the verdict that let its rows through}.
    """
    leave_by = grow(
        connection,
        [Sending(step.position.listing_id, step.quantity, step.growth) for step in steps],
        now=now,
    )
    if not steps:
        return []
    positions = [step.position for step in steps]
    rows = connection.execute(
        _INSERT,
        {
            "listing_ids": [one.listing_id for one in positions],
            "channels": [one.channel for one in positions],
            "skus": [one.sku for one in positions],
            "quantities": [step.quantity for step in steps],
            "expected": [one.live if one.compare_and_set else None for one in positions],
            "growths": [step.growth for step in steps],
            "inputs": [json.dumps(explained(step)) for step in steps],
            "gate_run_ids": [gate_runs.get(one.channel) for one in positions],
            "policy_versions": [one.policy_version for one in positions],
            "key": key,
            "now": now,
        },
    )
    ids = {row.listing_id: row.id for row in rows}
    return [
        Sent(ids[one.listing_id], step, now, leave_by[one.listing_id])
        for one, step in zip(positions, steps, strict=True)
    ]


def explained(step: Step) -> dict[str, Any]:
    """The inputs of a number, to be stored beside it."""
    position = step.position
    terms, demand = position.terms, position.demand
    said = {
        "floor": terms.floor or None,
        "safety": terms.safety or None,
        "share": terms.share,
        "lag": round(demand.lag, 1) if demand else None,
        "order_lines_a_day": round(demand.rate, 3) if demand else None,
        "unseen_lines": round(demand.unseen.lines, 4) if demand else None,
        "policy": None if position.is_strict else terms.policy.text,
    }
    return {
        "live": position.live,
        "exposure": position.exposure,
        "slice": step.slice,
        "sellable": step.room.sellable,
        "exposure_of_others": step.room.others,
        "room": step.room.units,
        "cap": position.cap,
        "components": dict(position.components),
    } | {name: value for name, value in said.items() if value is not None}


def end(connection: Connection, outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """The answers are in. What has none stays in doubt with its worst case."""
    answers = []
    for outcome in outcomes:
        step = outcome.sent.step
        listing_id = step.position.listing_id
        if outcome.status is PublicationStatus.CONFIRMED:
            answers.append(Answered(listing_id, outcome.sent.sent_at, True, step.fall))
        elif outcome.status is not PublicationStatus.UNCONFIRMED:
            answers.append(Answered(listing_id, outcome.sent.sent_at, False, step.growth))
    answered(connection, answers, now=now)
    connection.execute(
        text(
            """
            UPDATE publication
            SET status = given.status, reason = given.reason, answered_at = :now,
                confirmed_at = CASE WHEN given.status = 'confirmed' THEN CAST(:now AS timestamptz) END
            FROM unnest(CAST(:ids AS bigint[]), CAST(:statuses AS text[]), CAST(:reasons AS text[]))
                 AS given (id, status, reason)
            WHERE publication.id = given.id
            """
        ),
        {
            "ids": [one.sent.publication_id for one in outcomes],
            "statuses": [one.status.value for one in outcomes],
            "reasons": [one.reason[:500] for one in outcomes],
            "now": now,
        },
    )
    _tell_rejections(connection, outcomes, now=now)


def _tell_rejections(connection: Connection, outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """What the channel refuses stays wrong there until somebody looks; an accepted number ends it."""
    rejected = [
        NewIncident(
            IncidentKind.REJECTED,
            Severity.WARNING,
            _subject(one.sent.step),
            f"{one.sent.step.position.channel} refuses {one.sent.step.quantity} of {one.sent.step.position.sku}: "
            f"{one.reason}"[:500],
            {"listing_id": one.sent.step.position.listing_id, "quantity": one.sent.step.quantity},
        )
        for one in outcomes
        if one.status is PublicationStatus.REJECTED
    ]
    open_incidents(connection, rejected, now=now)
    accepted = [_subject(one.sent.step) for one in outcomes if one.status is PublicationStatus.CONFIRMED]
    if accepted:
        resolve_incidents(connection, IncidentKind.REJECTED, accepted, now=now)


def _subject(step: Step) -> str:
    return f"{step.position.channel}/{step.position.ref}"


def note_read_back(
    connection: Connection, outcomes: Sequence[Outcome], live: Mapping[int, int], *, now: datetime
) -> None:
    """What the channel shows after the answer. More than was set is somebody else's write (or units put back
    by a cancellation that is not read yet), and is told; less is a sale."""
    seen = [one for one in outcomes if one.sent.step.position.listing_id in live]
    if not seen:
        return
    quantities = [live[one.sent.step.position.listing_id] for one in seen]
    connection.execute(
        text(
            "UPDATE publication SET read_back = given.quantity "
            "FROM unnest(CAST(:ids AS bigint[]), CAST(:quantities AS int[])) AS given (id, quantity) "
            "WHERE publication.id = given.id"
        ),
        {"ids": [one.sent.publication_id for one in seen], "quantities": quantities},
    )
    above = [
        (one.sent.step, quantity)
        for one, quantity in zip(seen, quantities, strict=True)
        if one.status is PublicationStatus.CONFIRMED
        and quantity > one.sent.step.quantity
        # What a channel that asks first shows is no promise, and it puts cancelled units back by itself.
        and not one.sent.step.position.asks_first
    ]
    open_incidents(
        connection,
        [
            NewIncident(
                IncidentKind.FOREIGN_WRITE,
                Severity.WARNING,
                _subject(step),
                f"{step.position.channel} shows {quantity} of {step.position.sku} right after {step.quantity} was set",
                {"listing_id": step.position.listing_id, "set": step.quantity, "shown": quantity},
            )
            for step, quantity in above
        ],
        now=now,
    )


def abandon(connection: Connection, *, now: datetime) -> int:
    """Publications whose sender died before it noted an answer, and whose time of doubt is over."""
    result = connection.execute(
        text(
            """
            UPDATE publication SET status = 'unconfirmed', reason = 'the sender stopped before the answer came',
                   answered_at = :now
            FROM channel
            WHERE publication.status = 'sent' AND channel.code = publication.channel
              AND publication.sent_at + make_interval(secs => channel.in_doubt_seconds) < :now
            """
        ),
        {"now": now},
    )
    return result.rowcount


def note_synced(connection: Connection, skus: Sequence[str], *, known_at: datetime, now: datetime) -> None:
    """Every other channel shows a number that knows of the orders recorded up to `known_at` for these SKUs.

    An order is synced when the last of its SKUs is; the sync gap is `synced_at - placed_at`.
    """
    if not skus:
        return
    connection.execute(
        text(
            """
            WITH lines AS (
                UPDATE reservation_line AS line SET synced = true
                FROM reservation
                WHERE reservation.holder = line.holder AND NOT line.synced AND line.sku = ANY(:skus)
                  AND reservation.kind = 'order' AND reservation.synced_at IS NULL
                  AND reservation.recorded_at <= :known_at
                RETURNING line.holder
            )
            SELECT DISTINCT holder FROM lines
            """
        ),
        {"skus": list(skus), "known_at": known_at},
    )
    connection.execute(
        text(
            """
            UPDATE reservation SET synced_at = :now
            WHERE synced_at IS NULL AND kind = 'order' AND recorded_at <= :known_at
              AND NOT EXISTS (SELECT FROM reservation_line line
                              WHERE line.holder = reservation.holder AND NOT line.synced)
            """
        ),
        {"now": now, "known_at": known_at},
    )
