"""Take a channel off sale, and note it so that a crash anywhere loses nothing that is needed to put it back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, text

from adapters.channels.protocol import PauseState
from adapters.database import in_transaction, unit_of_work
from adapters.http import ChannelFault
from adapters.wakeups import PUBLISH, wake
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.outages import pauses
from inventory.outages.pauses import Pause
from inventory.people.operation_log import Done, note_operation
from inventory.words import IncidentKind, PauseOwner, PauseStatus, Severity
from tasks.publishing.read import read_live
from tasks.runtime import Runtime

CHUNK = 1000


class LiftedSince(Exception):
    """This very request was done, and its pause lifted by somebody: it is not done again."""


@dataclass(frozen=True, slots=True)
class PauseReport:
    channel: str
    owner: str
    status: str
    confirmed: bool
    """It is known to sell nothing. False: what it shows goes on counting until it was read lower."""
    by_switch: bool
    listings: int
    still_shown: int
    """Units that its listings show all the same; behind a switch nobody can buy them."""
    exposure: int
    """Listing units that still count as perhaps sold."""

    @property
    def leaks(self) -> bool:
        """It was paused by zeros, for certain, and shows something."""
        return self.confirmed and not self.by_switch and self.still_shown > 0


def pause_channel(
    runtime: Runtime,
    channel: str,
    *,
    owner: PauseOwner,
    actor: str,
    reason: str,
    request_key: str = "",
    approved_by: str = "",
) -> PauseReport:
    """Pause it for this owner. To be repeated after any failure: it goes on where it ended, and changes nothing where
    it is done. `request_key` names the request in the log of operations (empty: it is not a person's, and not noted).

    Raises UnknownChannel, LiftedSince, and ChannelFault when the switch could not be turned: then nothing is sent to
    the channel all the same, what it shows goes on counting, and an incident is open.
    """

    def begin(connection: Connection) -> Pause:
        now = runtime.now()
        done = Done(request_key, "pause_channel", channel, actor, reason, approved_by, {"owner": owner.value})
        if request_key and not note_operation(connection, done, now=now):
            mine = [one for one in pauses.open_pauses(connection, [channel]) if one.owner is owner]
            if not mine:
                raise LiftedSince(f"{channel} was paused by this run, and has been resumed since: it stays on sale")
        return pauses.begin_pause(connection, channel, owner=owner, actor=actor, reason=reason, now=now)

    pause = in_transaction(runtime.engine, begin)
    refs = listing_refs(runtime, channel)
    with turning(runtime, channel):
        if pause.status is PauseStatus.TURNING:
            _turn(runtime, pause, refs)
        report = _report(runtime, channel, owner, refs)
        if report.leaks and owner is not PauseOwner.PLATFORM:
            # A number that was on its way when the zeros were sent came after them.
            _turn(runtime, pause, refs)
            report = _report(runtime, channel, owner, refs)
            note_leaks(runtime)
    wake(runtime.engine, PUBLISH)
    return report


@contextmanager
def turning(runtime: Runtime, channel: str) -> Iterator[None]:
    """One process at a time turns the switches of a channel; another waits. A lock that ends with its connection."""
    name = {"name": f"switch of {channel}"}
    with runtime.engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtextextended(:name, 0))"), name)
        connection.commit()
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))"), name)
            connection.commit()


def listing_refs(runtime: Runtime, channel: str) -> dict[str, int]:
    with unit_of_work(runtime.engine) as connection:
        rows = connection.execute(text("SELECT ref, id FROM listing WHERE channel = :code"), {"code": channel}).all()
    return {row.ref: row.id for row in rows}


def _turn(runtime: Runtime, pause: Pause, refs: Mapping[str, int]) -> None:
    def remember(state: PauseState) -> None:
        # Its own transaction: the switch is turned when this has come back.
        in_transaction(runtime.engine, lambda connection: pauses.remember(connection, pause, state))

    try:
        with runtime.channel(pause.channel) as adapter:
            state = adapter.pause(sorted(refs), remember)
            applies_later = adapter.capabilities.applies_later
    except ChannelFault as fault:
        not_turned(runtime, pause.channel, "taken off sale", fault)
        raise
    ended = runtime.now()

    def work(connection: Connection) -> None:
        pauses.remember(connection, pause, state)
        pauses.confirm_pause(
            connection, pause, by_switch=state.get("by_switch") is True, confirmed=not applies_later, now=ended
        )
        resolve_incidents(connection, IncidentKind.PAUSE_UNFINISHED, [pause.channel], now=ended)

    in_transaction(runtime.engine, work)


def note_leaks(runtime: Runtime) -> int:
    """Tell of channels that are paused by zeros and show something all the same; returns how many."""

    def work(connection: Connection) -> int:
        leaking = pauses.sold_all_the_same(connection)
        incidents = [
            NewIncident(
                IncidentKind.PAUSE_UNFINISHED,
                Severity.CRITICAL,
                channel,
                f"{channel} is paused by zeros and shows {units} units all the same; it counts as if they were sold",
            )
            for channel, units in leaking.items()
        ]
        open_incidents(connection, incidents, now=runtime.now())
        return len(leaking)

    return in_transaction(runtime.engine, work)


def not_turned(runtime: Runtime, channel: str, what: str, fault: ChannelFault) -> None:
    incident = NewIncident(
        IncidentKind.PAUSE_UNFINISHED,
        Severity.CRITICAL,
        channel,
        f"{channel} was to be {what}, and its switch could not be turned: {fault}",
    )
    with unit_of_work(runtime.engine) as connection:
        open_incidents(connection, [incident], now=runtime.now())


def _report(runtime: Runtime, channel: str, owner: PauseOwner, refs: Mapping[str, int]) -> PauseReport:
    """Look at it, which is evidence of what it no longer sells. One that cannot be read now is read later."""
    live: dict[int, int] = {}
    ordered = sorted(refs)
    for start in range(0, len(ordered), CHUNK):
        seen, _ = read_live(runtime, {channel: {ref: refs[ref] for ref in ordered[start : start + CHUNK]}})
        live |= seen
    now = runtime.now()

    def work(connection: Connection) -> PauseReport:
        [pause] = [one for one in pauses.open_pauses(connection, [channel]) if one.owner is owner]
        shown = sum(max(quantity, 0) for quantity in live.values())
        if pause.confirmed_at is None and len(live) == len(refs) and shown == 0 and owner is not PauseOwner.PLATFORM:
            pauses.confirm_pause(connection, pause, by_switch=pause.by_switch, confirmed=True, now=now)
            [pause] = [one for one in pauses.open_pauses(connection, [channel]) if one.owner is owner]
        exposure = connection.execute(
            text("SELECT coalesce(sum(exposure), 0) FROM listing WHERE channel = :code"), {"code": channel}
        ).scalar_one()
        return PauseReport(
            channel,
            owner.value,
            pause.status.value,
            pause.confirmed_at is not None,
            pause.by_switch,
            len(refs),
            shown,
            int(exposure),
        )

    return in_transaction(runtime.engine, work)
