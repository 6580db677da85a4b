"""The gate in front of every push: which of the planned numbers may leave."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from adapters.database import in_transaction, unit_of_work
from expectations import gate
from expectations.frames import push_frame
from expectations.parameters import OutgoingPush
from expectations.verdict import Status, Verdict
from inventory.channels import shown_counts
from inventory.gate_log import HeldRow, hold_rows, open_rows, release_rows
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.publishing import Step
from inventory.words import IncidentKind, Severity
from tasks.apply import record
from tasks.runtime import Runtime

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
    """Judge the steps, channel by channel; note the verdicts and what they hold back.

    `computed_at`: when the ledger was read for them.
    """
    judged = Judged()
    by_channel: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        by_channel[step.position.channel].append(step)
    for channel, planned in by_channel.items():
        now = runtime.now()
        with unit_of_work(runtime.engine) as connection:
            parameters = _parameters(connection, channel, now)
        frame = _frame(planned, computed_at)
        verdict = runtime.check(SUITE, frame, parameters)
        going = set(gate.released(frame, verdict).index)
        released = [step for label, step in enumerate(planned) if label in going]
        held = [(label, step) for label, step in enumerate(planned) if label not in going]
        judged.released += released
        judged.held += [step for _, step in held]

        def note(connection: Connection) -> int:
            return _note(connection, channel, frame, verdict, released, held, runtime.now())  # noqa: B023

        judged.gate_runs[channel] = in_transaction(runtime.engine, note)
    return judged


def _parameters(connection: Connection, channel: str, now: datetime) -> OutgoingPush:
    counts = shown_counts(connection, channel, since=now - WIPE_WINDOW)
    return OutgoingPush(now=now, listings=counts.listings, selling=counts.selling, zeroed=counts.zeroed)


def still_sound(connection: Connection, steps: Sequence[Step], *, now: datetime) -> set[int]:
    """Of numbers that changed since they were judged: the listings whose row rules no longer hold.

    The same rules by their plain masks, which a property test holds equal to the expectations.
    """
    if not steps:
        return set()
    frame = _frame(steps, now)
    # Of the batch rules, nothing is asked here: the batch has been judged.
    verdict = gate.recheck(SUITE, frame, OutgoingPush(now=now, listings=len(steps), selling=0, zeroed=0))
    return {steps[label].position.listing_id for label in verdict.failed_rows}


def _frame(steps: Sequence[Step], computed_at: datetime) -> pd.DataFrame:
    return push_frame([_row(step, computed_at) for step in steps])


def _row(step: Step, computed_at: datetime) -> dict[str, Any]:
    position = step.position
    assert position.exposure is not None
    # What a channel that asks first shows is no exposure; it must be there all the same.
    shown_or_sold = step.quantity if position.asks_first else position.exposure + step.growth
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
        "exposure_after": shown_or_sold * step.room.pieces,
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
    frame: pd.DataFrame,
    verdict: Verdict,
    released: Sequence[Step],
    held: Sequence[tuple[int, Step]],
    now: datetime,
) -> int:
    run = record(connection, channel, verdict, now)
    why = {finding.rule_id: finding.why for finding in verdict.findings}
    rows = []
    for label, step in held:
        rules = verdict.failed_rows.get(label) or [finding.rule_id for finding in verdict.findings]
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
    if verdict.status in (Status.BLOCK, Status.ERROR):
        message = f"the push to {channel} is held back, but what protects from overselling goes: {verdict.summary()}"
        incident = NewIncident(IncidentKind.BATCH_BLOCKED, Severity.CRITICAL, subject, message)
        open_incidents(connection, [incident], now=now)
    else:
        resolve_incidents(connection, IncidentKind.BATCH_BLOCKED, [subject], now=now)
    if held and verdict.status is Status.PARTIAL:
        message = f"{len(held)} numbers for {channel} are held back: {verdict.summary()}"
        detail = {"keys": [row.row_key for row in rows[:20]]}
        incident = NewIncident(IncidentKind.QUARANTINED_ROWS, Severity.WARNING, subject, message, detail)
        open_incidents(connection, [incident], now=now)
    elif not held and open_rows(connection, SUITE, channel) == 0:
        resolve_incidents(connection, IncidentKind.QUARANTINED_ROWS, [subject], now=now)
    return run


def _mark(connection: Connection, held: Sequence[int], released: Sequence[Step], now: datetime) -> None:
    connection.execute(
        text("UPDATE listing SET held_since = coalesce(held_since, :now) WHERE id = ANY(:ids)"),
        {"ids": list(held), "now": now},
    )
    connection.execute(
        text("UPDATE listing SET held_since = NULL WHERE id = ANY(:ids) AND held_since IS NOT NULL"),
        {"ids": [step.position.listing_id for step in released]},
    )
