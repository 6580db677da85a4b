"""What a channel would be sent if it were live now: the publisher's own plan and gate, in a transaction that is undone.

The channel is read and not written to; exposures, observations and verdicts stay as they were.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from adapters.channels.protocol import Reading
from adapters.database import in_transaction, unit_of_work
from expectations.verdict import Verdict
from inventory.channels import channel_state
from inventory.onboarding.mapping import Mapped, listings_of
from inventory.policies.policy_store import check
from inventory.publishing.availability import load_market
from inventory.publishing.exposure import Observation, observe
from inventory.publishing.foresight import differences
from inventory.publishing.guidance import read_guidance
from inventory.publishing.publishing import Market, Position, Step, plan
from inventory.words import ChannelMode
from tasks.publishing.judge import weigh
from tasks.runtime import Runtime

CHUNK = 1000
"""Listings that are read in one call of the adapter."""


@dataclass(slots=True)
class Preview:
    channel: str
    mode: ChannelMode
    listings: int = 0
    verdict: str = "nothing to judge"
    counts: Counter[str] = field(default_factory=Counter)
    """raise, lower, to zero, as it is, held back, cannot be sent"""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """What would change first."""


@dataclass(frozen=True, slots=True)
class _Planned:
    steps: Sequence[Step]
    positions: Mapping[str, Position]
    slices: Mapping[int, int]
    market: Market


def preview(runtime: Runtime, channel: str) -> Preview:
    """Raises ChannelFault when it cannot be read, UnknownChannel."""
    with unit_of_work(runtime.engine) as connection:
        report = Preview(channel, channel_state(connection, channel).mode)
        listings = listings_of(connection, channel)
        ids = {
            row.ref: row.id
            for row in connection.execute(
                text("SELECT ref, id FROM listing WHERE channel = :channel"), {"channel": channel}
            )
        }
    report.listings = len(listings)
    if not listings:
        return report
    started = runtime.now()
    readings = _read(runtime, channel, sorted(listings))
    ended = runtime.now()
    planned = in_transaction(
        runtime.engine,
        lambda connection: _as_if_live(connection, channel, listings, ids, readings, started, ended),
    )
    _say(runtime, report, planned, {one.listing_ref: one.quantity for one in readings}, listings, ended)
    return report


def try_policy(runtime: Runtime, content: str, channel: str = "") -> list[dict[str, Any]]:
    """Every listing (of one channel, if it is named) whose number would be another under this policy file than under
    the one in force, and why. Nothing is changed and no channel is read: of each, what was seen last. Raises
    PolicyFileError, UnknownChannel."""

    with unit_of_work(runtime.engine) as connection:
        file = check(connection, content)
        if channel:
            channel_state(connection, channel)
        return [
            {
                "channel": one.channel, "listing": one.ref, "SKU": one.sku, "shows": one.shown, "in force": one.now,
                "would show": one.then, "why": one.why,
            }
            for one in differences(connection, file, now=runtime.now())
            if channel in ("", one.channel)
        ]  # fmt: skip


def _read(runtime: Runtime, channel: str, refs: Sequence[str]) -> list[Reading]:
    with runtime.channel(channel) as adapter:
        return [
            reading
            for start in range(0, len(refs), CHUNK)
            for reading in adapter.read_quantities(refs[start : start + CHUNK])
        ]


def _as_if_live(
    connection: Connection,
    channel: str,
    listings: Mapping[str, Mapped],
    ids: Mapping[str, int],
    readings: Sequence[Reading],
    started: datetime,
    ended: datetime,
) -> _Planned:
    """Within a savepoint that is undone: the channel is live, and what was read is observed."""
    undone = connection.begin_nested()
    try:
        connection.execute(
            text("UPDATE channel SET mode = :live WHERE code = :code"), {"live": ChannelMode.LIVE, "code": channel}
        )
        seen = [Observation(ids[one.listing_ref], one.quantity, one.tracked) for one in readings]
        observe(connection, seen, read_started=started, read_ended=ended)
        # Of the other channels, what was seen last: this one alone is read.
        others = connection.execute(
            text("SELECT id, observed FROM listing WHERE channel <> :code AND observed IS NOT NULL"), {"code": channel}
        )
        live = {row.id: row.observed for row in others} | {one.listing_id: one.quantity for one in seen}
        skus = {one.sku for one in listings.values()}
        market = load_market(connection, skus, live, read_guidance(connection, skus, now=ended))
        steps = [step for step in plan(market) if step.position.channel == channel]
        positions = {one.ref: one for one in market.positions if one.channel == channel}
        return _Planned(steps, positions, market.slices(), market)
    finally:
        undone.rollback()


def _say(
    runtime: Runtime,
    report: Preview,
    planned: _Planned,
    shown: Mapping[str, int],
    listings: Mapping[str, Mapped],
    computed_at: datetime,
) -> None:
    verdicts: dict[str, str] = {}
    if planned.steps:
        verdict, going = weigh(runtime, planned.steps, computed_at=computed_at)
        report.verdict = verdict.summary()
        verdicts = {
            step.position.ref: "goes" if label in going else _why_held(verdict, label)
            for label, step in enumerate(planned.steps)
        }
    steps = {step.position.ref: step for step in planned.steps}
    for ref in sorted(listings, key=lambda ref: (ref not in steps, ref)):
        step, position = steps.get(ref), planned.positions[ref]
        gate = verdicts.get(ref, "")
        room = step.room if step else planned.market.room(position)
        outcome = _outcome(step, gate, position, ref in shown)
        report.counts[outcome.partition(":")[0]] += 1
        report.rows.append(
            {
                "listing": ref,
                "SKU": listings[ref].sku,
                "shown now": shown.get(ref, "unknown to the channel"),
                "would be sent": step.quantity if step else "",
                "sellable": room.sellable,
                "exposure of others": room.others,
                "slice": planned.slices.get(position.listing_id, 0),
                "outcome": outcome,
                "gate": gate,
            }
        )


def _why_held(verdict: Verdict, label: int) -> str:
    rules = verdict.failed_rows.get(label) or verdict.blocked_rows.get(label) or []
    why = {finding.rule_id: finding.why for finding in verdict.findings}
    return "; ".join(f"{why.get(rule, rule)} ({rule})" for rule in rules) or verdict.error or verdict.status.value


def _outcome(step: Step | None, gate: str, position: Position, read: bool) -> str:
    if step is not None:
        if gate != "goes":
            return "held back"
        return "raise" if step.raises else "lower" if step.quantity else "to zero"
    if not read:
        return "cannot be sent: the channel does not know it"
    if not position.tracked:
        return "cannot be sent: the channel does not count its stock"
    if position.paused:
        return "cannot be sent: the channel is off sale"
    if not position.open:
        return "cannot be sent: a write is in doubt"
    return "as it is"
