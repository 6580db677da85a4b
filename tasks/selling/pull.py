"""Read what a channel has sold since the watermark: store it, gate it, apply it, and only then move the watermark."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from adapters.channels.protocol import Defect, OrderPage, SearchesPlaced
from adapters.database import in_transaction, unit_of_work
from adapters.http import ChannelFault, Resolution
from adapters.wakeups import PUBLISH, wake
from inventory.channels import (
    advance_placed_watermark,
    advance_watermark,
    begin_watermark,
    channel_state,
)
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.orders import inbox
from inventory.outages import darkness
from inventory.publishing.exposure import settle
from inventory.publishing.gate_log import HeldRow, hold_rows
from inventory.publishing.outbox import mark_dirty
from inventory.words import IncidentKind, Severity
from tasks.runtime import Runtime
from tasks.selling import trouble
from tasks.selling.apply import AppliedEvents, apply_events
from tasks.selling.gaps import compare_with_notices

log = logging.getLogger(__name__)

HIDDEN_AT_MOST = timedelta(hours=1)
"""For so long nothing changes an order anew just before every look: what settles where no pull could search by the
instant of placing."""


@dataclass(slots=True)
class PullReport:
    channel: str
    since: datetime
    placed_since: datetime
    started: datetime
    pages: int = 0
    documents: int = 0
    stored: int = 0
    """Events that were new."""
    defects: int = 0
    applied: AppliedEvents = field(default_factory=AppliedEvents)
    placed: bool | None = None
    """Whether what was placed was searched for too; None: this channel needs no such search."""
    settled_skus: int = 0
    back: bool = False
    """The channel was dark; its orders are read now, and it may be written to again."""


def pull(runtime: Runtime, channel: str, *, approved_by: str = "") -> PullReport:
    """One complete pull of one channel. `approved_by`: a person who lets a blocked batch through.

    Raises ChannelFault when the channel could not be read to the end; what came before is stored and
    applied by the next pull, and the watermark stays where it was.
    """
    with unit_of_work(runtime.engine) as connection:
        state = channel_state(connection, channel)
        started = runtime.now()
        # If it was not read for too long, it is not written to until this pull is through.
        darkness.notice(connection, now=started, channel=channel)
        begin_watermark(connection, channel, started=started)
    # Without a watermark nothing was ever read: the opening stock was counted with all older orders in it.
    since = (state.watermark or started) - state.reach
    placed_since = state.placed_watermark - state.reach if state.placed_watermark else since
    report = PullReport(channel, since, placed_since, started)
    newest = _read(runtime, report)
    report.applied = apply_events(runtime, state, approved_by=approved_by)
    in_transaction(runtime.engine, lambda connection: _finish(connection, report, newest, runtime.now()))
    if report.settled_skus or report.back:
        wake(runtime.engine, PUBLISH)
    if runtime.expects_notices(channel):
        compare_with_notices(runtime, channel)
    return report


def _read(runtime: Runtime, report: PullReport) -> datetime | None:
    """Store every page as it comes; returns the latest change seen, by the channel's clock."""
    newest: datetime | None = None
    try:
        with runtime.channel(report.channel) as channel:
            for page in channel.pull_orders(report.since):
                _store(runtime, report, page)
                for document in page.orders:
                    changed = _instant(document.get("updated_at"))
                    newest = max(filter(None, (newest, changed)), default=None)
            if isinstance(channel, SearchesPlaced):
                pages = channel.placed_orders(report.placed_since)
                report.placed = pages is not None
                for page in pages or ():
                    _store(runtime, report, page)
    except ChannelFault as fault:
        note_fault(runtime, report.channel, fault)
        raise
    trouble.succeeded(runtime, report.channel, trouble.PULL)
    return newest


def _store(runtime: Runtime, report: PullReport, page: OrderPage) -> None:
    report.stored += store_page(runtime, report.channel, page)
    report.pages += 1
    report.documents += len(page.orders)
    report.defects += len(page.defects)


def store_page(runtime: Runtime, channel: str, page: OrderPage) -> int:
    """Store what the channel answered, whichever question it was; returns how many events were new."""
    now = runtime.now()

    def store(connection: Connection) -> int:
        _hold_defects(connection, channel, page.defects, now)
        return inbox.store(connection, channel, page.orders, now=now)

    return in_transaction(runtime.engine, store)


def _instant(value: object) -> datetime | None:
    """An aware timestamp, or None: judging it is the gate's business."""
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return parsed if parsed is not None and parsed.tzinfo is not None else None


def _hold_defects(connection: Connection, channel: str, defects: list[Defect], now: datetime) -> None:
    if not defects:
        return
    rows = [HeldRow(f"{channel}/{one.key}", "DEFECT", f"{one.reason}: {one.excerpt}"[:500]) for one in defects]
    hold_rows(connection, "orders_pulled", channel, rows, now=now)
    first = defects[0]
    open_incidents(
        connection,
        [
            NewIncident(
                IncidentKind.QUARANTINED_ROWS,
                Severity.CRITICAL,
                channel,
                f"{len(defects)} parts of a page of {channel} could not be read, the first {first.key}: {first.reason}",
                {"keys": [one.key for one in defects[:20]]},
            )
        ],
        now=now,
    )


def note_fault(runtime: Runtime, channel: str, fault: ChannelFault) -> None:
    """A page that cannot be read is for a person to look at; a channel that is away is the outage's business."""
    trouble.failed(runtime, channel, trouble.PULL, fault)
    if fault.resolution is not Resolution.MALFORMED:
        return
    now = runtime.now()
    incident = NewIncident(
        IncidentKind.PAGE_UNREADABLE,
        Severity.CRITICAL,
        channel,
        f"{channel} answered a page of orders that cannot be read: {fault}; the watermark stays",
    )
    with unit_of_work(runtime.engine) as connection:
        open_incidents(connection, [incident], now=now)


def _finish(connection: Connection, report: PullReport, newest: datetime | None, now: datetime) -> None:
    resolve_incidents(connection, IncidentKind.PAGE_UNREADABLE, [report.channel], now=now)
    advance_watermark(connection, report.channel, newest, pull_started=report.started)
    if report.placed:
        advance_placed_watermark(connection, report.channel)
    if report.applied.complete:
        # All that was sold before this pull started is in the ledger: old worst cases may fall.
        known_until = report.started - HIDDEN_AT_MOST if report.placed is False else report.started
        fallen = settle(connection, report.channel, pull_started=known_until)
        mark_dirty(connection, fallen, now=now, eager=False)
        report.settled_skus = len(fallen)
        report.back = darkness.lift(connection, report.channel, pull_started=report.started, now=now)
