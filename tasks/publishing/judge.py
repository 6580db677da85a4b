"""The gate in front of every push: which of the planned numbers may leave."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from adapters.database import in_transaction, unit_of_work
from expectations import gate
from expectations.frames import push_frame
from expectations.parameters import ChannelCounts, OutgoingPush
from expectations.verdict import Status, Verdict
from inventory.channels import shown_counts
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.publishing.gate_log import HeldRow, hold_rows, open_rows, release_rows
from inventory.publishing.publishing import Step
from inventory.words import IncidentKind, Severity
from tasks.runtime import Runtime
from tasks.selling.apply import record

SUITE = "outgoing_push"
SAFE_AFTER = timedelta(minutes=15)
"""A listing whose number has been held back for so long is closed."""
WIPE_WINDOW = timedelta(minutes=15)
"""Listings that went to zero within this time count as one wipe."""


@dataclass(slots=True)
class Judged:
    released: list[Step] = field(default_factory=list)
    held: list[Step] = field(default_factory=list)
    gate_runs: dict[str, int] = field(default_factory=dict)


def to_safe_value(
    connection: Connection, steps: Sequence[Step], *, now: datetime, after: timedelta
) -> tuple[list[Step], set[int]]:
    """Steps whose listing has been held back for longer than `after` become: close it (quantity 0).

    Returns all steps, and the listings that are to be closed.
    """
    rows = connection.execute(
        text("SELECT id, held_since FROM listing WHERE id = ANY(:ids) AND held_since IS NOT NULL"),
        {"ids": [step.position.listing_id for step in steps]},
    )
    due = {row.id for row in rows if gate.safe_value_due(row.held_since, now, after)}
    closing = {step.position.listing_id for step in steps if step.position.listing_id in due and step.position.live}
    return [_closed(step) if step.position.listing_id in closing else step for step in steps], closing


def _closed(step: Step) -> Step:
    fall = max(step.position.live or 0, 0) if step.position.compare_and_set else 0
    return replace(step, quantity=0, growth=0, fall=fall, raises=False, must_lower=True)


def judge(runtime: Runtime, steps: Sequence[Step], *, computed_at: datetime) -> Judged:
    """Judge the steps of all channels as one batch (the gate costs the same for ten rows and for a thousand); note
    the verdict and what it holds back.

    `computed_at`: when the ledger was read for them.
    """
    channels = sorted({step.position.channel for step in steps})
    verdict, going = weigh(runtime, steps, computed_at=computed_at)

    def work(connection: Connection) -> int:
        now = runtime.now()
        run = record(connection, ",".join(channels), verdict, now)
        for channel in channels:
            _note(connection, channel, _part(steps, channel), verdict, going, now)
        return run

    run = in_transaction(runtime.engine, work)
    return Judged(
        [step for label, step in enumerate(steps) if label in going],
        [step for label, step in enumerate(steps) if label not in going],
        dict.fromkeys(channels, run),
    )


def weigh(runtime: Runtime, steps: Sequence[Step], *, computed_at: datetime) -> tuple[Verdict, set[int]]:
    """What the gate says of the steps, and the labels (positions) of those that may leave. Notes nothing."""
    channels = sorted({step.position.channel for step in steps})
    with unit_of_work(runtime.engine) as connection:
        parameters = _parameters(connection, channels, runtime.now())
    frame = _frame(steps, computed_at)
    verdict = runtime.check(SUITE, frame, parameters)
    return verdict, set(gate.released(frame, verdict).index)


def _part(steps: Sequence[Step], channel: str) -> list[tuple[int, Step]]:
    return [(label, step) for label, step in enumerate(steps) if step.position.channel == channel]


def _parameters(connection: Connection, channels: Sequence[str], now: datetime) -> OutgoingPush:
    shown = shown_counts(connection, channels, since=now - WIPE_WINDOW)
    return OutgoingPush(
        now, {code: ChannelCounts(one.listings, one.selling, one.zeroed) for code, one in shown.items()}
    )


def still_sound(connection: Connection, steps: Sequence[Step], *, now: datetime) -> set[int]:
    """Of numbers that changed since they were judged: the listings whose row rules no longer hold.

    The same rules by their plain masks, which a property test holds equal to the expectations.
    """
    if not steps:
        return set()
    frame = _frame(steps, now)
    # Of the batches and the channels as a whole, nothing is asked here: they have been judged.
    verdict = gate.recheck(SUITE, frame, OutgoingPush(now))
    return {steps[label].position.listing_id for label in verdict.failed_rows}


def _frame(steps: Sequence[Step], computed_at: datetime) -> pd.DataFrame:
    return push_frame([_row(step, computed_at) for step in steps])


def _row(step: Step, computed_at: datetime) -> dict[str, Any]:
    position = step.position
    assert position.exposure is not None
    return {
        "listing_id": position.listing_id,
        "channel": position.channel,
        "listing_ref": position.ref,
        "sku": position.sku,
        "quantity": step.quantity,
        "previous": position.live,
        "units_per_listing": step.room.pieces,
        "ceiling": step.ceiling,
        "sellable": step.room.sellable,
        "exposure_others": step.room.others,
        # What a channel that asks first shows is no exposure; it must be there all the same.
        "exposure_after": step.counted * step.room.pieces,
        "cap": position.cap,
        "tracked": position.tracked,
        "mapped": bool(position.components),
        "mode": position.mode,
        "computed_at": computed_at,
        "must_lower": step.must_lower,
    }


def _note(
    connection: Connection,
    channel: str,
    steps: Sequence[tuple[int, Step]],
    verdict: Verdict,
    going: Collection[int],
    now: datetime,
) -> None:
    """What the verdict means for one channel. `steps` are those of the channel by their label in the frame."""
    released = [step for label, step in steps if label in going]
    held = [(label, step) for label, step in steps if label not in going]
    why = {finding.rule_id: finding.why for finding in verdict.findings}
    rows = []
    for label, step in held:
        rules = verdict.failed_rows.get(label) or verdict.blocked_rows.get(label) or []
        rows.append(
            HeldRow(
                row_key=f"{channel}/{step.position.ref}",
                rules=",".join(rules) or verdict.status.value,
                reason="; ".join(why.get(rule, rule) for rule in rules)[:500] or verdict.error[:500],
                listing_ref=step.position.ref,
            )
        )
    hold_rows(connection, SUITE, channel, rows, now=now)
    release_rows(connection, SUITE, [f"{channel}/{step.position.ref}" for step in released], now=now)
    _mark(connection, [step.position.listing_id for _, step in held], released, now)
    subject = f"{SUITE}/{channel}"
    if verdict.status is Status.ERROR or any(label in verdict.blocked_rows for label, _ in steps):
        message = f"the push to {channel} is held back, but what protects from overselling goes: {verdict.summary()}"
        incident = NewIncident(IncidentKind.BATCH_BLOCKED, Severity.CRITICAL, subject, message)
        open_incidents(connection, [incident], now=now)
        return
    resolve_incidents(connection, IncidentKind.BATCH_BLOCKED, [subject], now=now)
    if held:
        message = f"{len(held)} numbers for {channel} are held back: {verdict.summary()}"
        detail = {"keys": [row.row_key for row in rows[:20]]}
        incident = NewIncident(IncidentKind.QUARANTINED_ROWS, Severity.WARNING, subject, message, detail)
        open_incidents(connection, [incident], now=now)
    elif open_rows(connection, SUITE, channel) == 0:
        resolve_incidents(connection, IncidentKind.QUARANTINED_ROWS, [subject], now=now)


def _mark(connection: Connection, held: Sequence[int], released: Sequence[Step], now: datetime) -> None:
    connection.execute(
        text("UPDATE listing SET held_since = coalesce(held_since, :now) WHERE id = ANY(:ids)"),
        {"ids": list(held), "now": now},
    )
    connection.execute(
        text("UPDATE listing SET held_since = NULL WHERE id = ANY(:ids) AND held_since IS NOT NULL"),
        {"ids": [step.position.listing_id for step in released]},
    )
