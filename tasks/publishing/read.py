"""Read what the channels show now, all channels at once."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from adapters.channels.protocol import Reading
from adapters.database import in_transaction, unit_of_work
from adapters.http import ChannelFault
from inventory.incidents import NewIncident, open_incidents
from inventory.publishing.exposure import Observation, observe
from inventory.words import IncidentKind, Severity
from tasks.runtime import Runtime
from tasks.selling import trouble

ChannelReading = tuple[list[Reading], datetime, datetime]
"""Readings, when the read started and when it ended, by our clock."""


_AGAIN = timedelta(seconds=1)
_SILENT_AGAIN = timedelta(seconds=5)


def read_live(
    runtime: Runtime, listings: Mapping[str, Mapping[str, int]]
) -> tuple[dict[int, int], dict[str, timedelta]]:
    """The live quantity of each listing ({channel: {ref: listing id}}), and the channels that cannot be read, with
    how long to leave each of them in peace.

    What was read is noted as observed. A listing that its channel does not know is an incident.
    """
    live: dict[int, int] = {}
    unread: dict[str, timedelta] = {}
    if not listings:
        return live, unread
    with ThreadPoolExecutor(max_workers=min(runtime.at_once, len(listings))) as pool:
        answers = pool.map(lambda code: _read_channel(runtime, code, list(listings[code])), listings)
    for code, answer in zip(listings, answers, strict=True):
        if isinstance(answer, ChannelFault):
            unread[code] = peace(answer)
            trouble.failed(runtime, code, trouble.READ, answer)
        else:
            trouble.succeeded(runtime, code, trouble.READ)
            live |= _note(runtime, code, listings[code], answer)
    return live, unread


def peace(fault: ChannelFault) -> timedelta:
    """How long to leave a channel alone: one that refuses says so at once, one that is silent costs a time-out
    whenever it is asked."""
    if fault.retry_after is not None:
        return timedelta(seconds=min(max(fault.retry_after, 0.2), 60.0))
    return _SILENT_AGAIN if fault.status is None else _AGAIN


def _read_channel(runtime: Runtime, code: str, refs: list[str]) -> ChannelReading | ChannelFault:
    started = runtime.now()
    try:
        with runtime.channel(code) as channel:
            readings = channel.read_quantities(refs)
    except ChannelFault as fault:
        return fault
    return readings, started, runtime.now()


def _note(runtime: Runtime, code: str, refs: Mapping[str, int], answer: ChannelReading) -> dict[int, int]:
    readings, started, ended = answer
    observations = [Observation(refs[one.listing_ref], one.quantity, one.tracked) for one in readings]
    in_transaction(
        runtime.engine,
        lambda connection: observe(connection, observations, read_started=started, read_ended=ended),
    )
    missing = set(refs) - {one.listing_ref for one in readings}
    if missing:
        incident = NewIncident(
            IncidentKind.REJECTED,
            Severity.WARNING,
            code,
            f"{code} does not know {len(missing)} of the listings it is said to sell, as {min(missing)}: map them anew",
            {"refs": sorted(missing)[:20]},
        )
        with unit_of_work(runtime.engine) as connection:
            open_incidents(connection, [incident], now=runtime.now())
    return {one.listing_id: one.quantity for one in observations}
