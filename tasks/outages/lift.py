"""Put a paused channel back on sale: read its orders, compare what it shows, take away what is not backed, and only
then turn the switch. It comes back with no more than nobody else may sell; the publisher raises it from there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from adapters.channels.protocol import Change, ChangeStatus
from adapters.database import in_transaction, unit_of_work
from adapters.http import ChannelFault
from adapters.wakeups import PUBLISH, wake
from inventory.incidents import resolve_incidents
from inventory.outages import pauses
from inventory.outages.pauses import Lifting, PausedAnew
from inventory.people.operation_log import Done, note_operation, was_done
from inventory.words import IncidentKind, PauseOwner
from tasks.outages.pause import CHUNK, listing_refs, not_turned, turning
from tasks.publishing.read import read_live
from tasks.reconciling.compare import as_rows, compare_channel
from tasks.runtime import Runtime
from tasks.selling.pull import pull

ROUNDS = 5
"""How often what is not backed is set to zero before it is given up: others may take units meanwhile."""


class NotLiftable(Exception):
    """The pause stays. The message says why, and what to do."""


@dataclass(slots=True)
class LiftReport:
    channel: str
    lifted: list[str] = field(default_factory=list)
    """Owners of the pauses that ended."""
    kept_by: list[str] = field(default_factory=list)
    """Owners of those that keep it off sale."""
    orders: int = 0
    """Orders that were read before."""
    zeroed: int = 0
    """Listings that showed more than is free, and come back from zero."""
    differences: list[dict[str, Any]] = field(default_factory=list)

    @property
    def on_sale(self) -> bool:
        return not self.kept_by


def resume_channel(
    runtime: Runtime,
    channel: str,
    *,
    by: PauseOwner,
    actor: str,
    reason: str,
    request_key: str = "",
    approved_by: str = "",
) -> LiftReport:
    """Lift the pauses that `by` may lift. To be repeated after any failure; a request that was done lifts nothing more.

    Raises UnknownChannel, NotLiftable (its orders wait for a decision, a listing cannot be read or lowered, nothing to
    lift) and ChannelFault; in all of them the pause stays.
    """
    with turning(runtime, channel):
        try:
            return _resume(runtime, channel, by, actor, reason, request_key, approved_by)
        except PausedAnew as error:
            raise NotLiftable(f"{channel} stays off sale: {error}. Look again, and resume it anew") from error


def _resume(
    runtime: Runtime, channel: str, by: PauseOwner, actor: str, reason: str, request_key: str, approved_by: str
) -> LiftReport:
    with unit_of_work(runtime.engine) as connection:
        lifting = pauses.liftable(connection, channel, by)
        if request_key and was_done(connection, request_key):
            return LiftReport(channel, [], [one.owner.value for one in (*lifting.mine, *lifting.others)])
    if not lifting.mine:
        whose = ", ".join(f"{one.owner} ({one.actor}: {one.reason})" for one in lifting.others)
        raise NotLiftable(f"{channel} is not paused by {by}" + (f", but by {whose}" if whose else ""))
    report = LiftReport(channel, [one.owner.value for one in lifting.mine], [one.owner.value for one in lifting.others])
    done = Done(request_key, "resume_channel", channel, actor, reason, approved_by, {"lifted": report.lifted})
    if lifting.turns:
        _read_first(runtime, report)
        _back_what_is_shown(runtime, report, lifting)
        _turn_back(runtime, lifting)

    def end(connection: Connection) -> None:
        now = runtime.now()
        if lifting.turns:
            pauses.end_pauses(connection, lifting.mine, by=actor, reason=reason, now=now)
            resolve_incidents(connection, IncidentKind.PAUSE_UNFINISHED, [channel], now=now)
        else:
            pauses.hand_over(connection, lifting, by=actor, reason=reason, now=now)
        if request_key:
            note_operation(connection, done, now=now)

    in_transaction(runtime.engine, end)
    wake(runtime.engine, PUBLISH)
    return report


def _read_first(runtime: Runtime, report: LiftReport) -> None:
    """A fresh pull, applied to its end, and a comparison of every quantity."""
    pulled = pull(runtime, report.channel)
    report.orders = pulled.applied.orders
    if not pulled.applied.complete:
        raise NotLiftable(
            f"{report.channel} stays off sale: {pulled.applied.blocked} of its orders wait for a decision. Look at "
            "the incident, run pull_channel with your name in Approved by, then this again"
        )
    compared = compare_channel(runtime, report.channel, stale_after=timedelta(hours=1), heal=False)
    if compared.blocked:
        raise NotLiftable(f"{report.channel} stays off sale: what it shows is not believed: {compared.blocked}")
    report.differences = as_rows(compared.worst)


def _back_what_is_shown(runtime: Runtime, report: LiftReport, lifting: Lifting) -> None:
    """What is not backed goes to zero while nobody can buy it; then the exposures stand and the lifting begins."""
    refs = listing_refs(runtime, report.channel)
    live = _read(runtime, report.channel, refs)
    for _ in range(ROUNDS):
        shown = dict(live)
        unbacked = in_transaction(
            runtime.engine,
            lambda connection: pauses.begin_lifting(connection, lifting, shown, now=runtime.now()),  # noqa: B023
        )
        if not unbacked:
            return
        _to_zero(runtime, report.channel, unbacked)
        report.zeroed += len(unbacked)
        again = {ref: listing_id for listing_id, ref, _ in unbacked}
        live |= _read(runtime, report.channel, again)
    raise NotLiftable(
        f"{report.channel} stays off sale: {len(unbacked)} listings show more than is free and could not be set to "
        f"zero, as {unbacked[0][1]}. Try again in some minutes, or set them to zero by hand"
    )


def _read(runtime: Runtime, channel: str, refs: Mapping[str, int]) -> dict[int, int]:
    """What each listing shows; one that the channel no longer knows is not on sale. Raises NotLiftable."""
    live: dict[int, int] = {}
    ordered = sorted(refs)
    for start in range(0, len(ordered), CHUNK):
        seen, unread = read_live(runtime, {channel: {ref: refs[ref] for ref in ordered[start : start + CHUNK]}})
        if unread:
            raise NotLiftable(f"{channel} stays off sale: it cannot be read now. Try again when it answers")
        live |= seen
    return live


def _to_zero(runtime: Runtime, channel: str, unbacked: Sequence[tuple[int, str, int]]) -> None:
    with runtime.channel(channel) as adapter:
        size = adapter.capabilities.write_batch
        for start in range(0, len(unbacked), size):
            some = unbacked[start : start + size]
            changes = [Change(ref, 0, shown) for _, ref, shown in some]
            key = f"{runtime.owner}-lift-{runtime.now().timestamp():.6f}-{start}"
            refused = [one for one in adapter.set_quantities(changes, key) if one.status is ChangeStatus.REJECTED]
            if refused:
                raise NotLiftable(
                    f"{channel} stays off sale: {refused[0].listing_ref} shows more than is free, and the channel "
                    f"refuses to set it to zero: {refused[0].reason}"
                )


def _turn_back(runtime: Runtime, lifting: Lifting) -> None:
    channel = lifting.mine[0].channel
    try:
        with runtime.channel(channel) as adapter:
            for state in lifting.states:
                adapter.resume(state)
    except ChannelFault as fault:
        not_turned(runtime, channel, "put back on sale", fault)
        raise
