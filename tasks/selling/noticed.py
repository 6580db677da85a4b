"""What a channel told of: read it from the channel, and store and apply it as polling does.

The watermark stays where it is and no exposure settles, for this is no complete pull. A killed process loses
nothing: its claims come back when their lease ends, and reading an order again changes nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from adapters.channels.protocol import Channel
from adapters.database import in_transaction, unit_of_work
from adapters.http import ChannelFault
from adapters.wakeups import PUBLISH, wake
from inventory.catalogue import listings_by_ref
from inventory.channels import ChannelState, channel_state
from inventory.orders import notice_store
from inventory.orders.notice_store import WaitingNotice
from inventory.publishing.outbox import mark_dirty
from inventory.words import NoticeStatus
from tasks.publishing.read import peace
from tasks.runtime import Runtime
from tasks.selling.apply import AppliedEvents, apply_events
from tasks.selling.pull import note_fault, pull, store_page

log = logging.getLogger(__name__)

CLAIM = 1000
READ = 100
"""Orders asked for at a time; the adapter makes of it what its vendor takes."""
FEW = 5
"""So many are still read singly from a channel whose single reads are dear."""
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (1, 3, 10, 30, 120))
"""A channel may tell of an order before it shows it: when to ask again. After the last, polling will find it."""
PULLS_APART = timedelta(seconds=30)
DEAR_PULLS_APART = timedelta(minutes=3)
"""So far apart are the complete pulls that notices ask for; the scheduled ones come besides."""


@dataclass(slots=True)
class NoticeReport:
    channel: str
    started: datetime
    claimed: int = 0
    read: int = 0
    """Orders that the channel showed."""
    missing: int = 0
    """Orders that it does not show yet."""
    left: int = 0
    """Orders that it never showed, left to polling."""
    stored: int = 0
    """Events that were new."""
    listings: int = 0
    """Listings that are to be looked at."""
    pulled: bool = False
    applied: AppliedEvents = field(default_factory=AppliedEvents)
    fault: str = ""
    """Why the channel could not be read. The notices wait."""


def read_noticed(runtime: Runtime, channel: str) -> NoticeReport:
    """Everything that the channel's waiting notices name, at most CLAIM of them. Costs one statement when there are
    none.

    A channel that cannot be read now is no error here: `fault` says so, the notices are taken up again, and the next
    poll fails loudly if it is still so. Raises UnknownChannel.
    """
    report = NoticeReport(channel, runtime.now())
    with unit_of_work(runtime.engine) as connection:
        claims = notice_store.claim(
            connection, channel, owner=runtime.owner, limit=CLAIM, lease=runtime.lease, now=runtime.now()
        )
        if not claims:
            return report
        state = channel_state(connection, channel)
    report.claimed = len(claims)
    _look_at_listings(runtime, report, [one for one in claims if one.listing_ref])
    others = [one for one in claims if not one.listing_ref]
    if not others:
        return report
    try:
        with runtime.channel(channel) as adapter:
            dear = not adapter.capabilities.reads_singly
            singly = [one for one in others if one.order_id]
            if dear and len({one.order_id for one in singly}) > FEW:
                singly = []
            _read_singly(runtime, report, adapter, state, singly)
        by_pull = others if not singly else [one for one in others if not one.order_id]
        _pull(runtime, report, state, by_pull, dear)
    except ChannelFault as fault:
        note_fault(runtime, channel, fault)
        report.fault = str(fault)
        log.warning("notices of %s wait: %s", channel, fault)
        _put_off(runtime, others, runtime.now() + peace(fault))
    return report


def _look_at_listings(runtime: Runtime, report: NoticeReport, claims: Sequence[WaitingNotice]) -> None:
    """A quantity changed at the channel: let the publisher read it, and compare."""
    if not claims:
        return

    def work(connection: Connection) -> int:
        found = listings_by_ref(connection, report.channel, {one.listing_ref for one in claims})
        # Mostly the echo of our own write: what was sold goes first.
        mark_dirty(connection, {listing.sku for listing in found.values()}, now=runtime.now(), eager=False)
        notice_store.settle(connection, [one.id for one in claims], NoticeStatus.READ, now=runtime.now())
        return len(found)

    report.listings = in_transaction(runtime.engine, work)
    wake(runtime.engine, PUBLISH)


def _read_singly(
    runtime: Runtime, report: NoticeReport, adapter: Channel, state: ChannelState, claims: Sequence[WaitingNotice]
) -> None:
    """Many notices of one order are one read."""
    ids = list(dict.fromkeys(one.order_id for one in claims))
    asked: set[str] = set()
    shown: set[str] = set()
    fault: ChannelFault | None = None
    for start in range(0, len(ids), READ):
        part = ids[start : start + READ]
        try:
            page = adapter.read_orders(part)
        except ChannelFault as error:
            fault = error
            break
        report.stored += store_page(runtime, report.channel, page)
        asked.update(part)
        shown.update(str(document.get("order_id")) for document in page.orders)
        # An order that cannot be translated is held back by its name: asking again would not help.
        shown.update(defect.key for defect in page.defects)
    if asked:
        report.read += len(shown & asked)
        _merge(report, apply_events(runtime, state))
        _settle(runtime, report, [one for one in claims if one.order_id in asked], shown)
    if fault is not None:
        raise fault


def _settle(runtime: Runtime, report: NoticeReport, claims: Sequence[WaitingNotice], shown: set[str]) -> None:
    now = runtime.now()
    read = [one.id for one in claims if one.order_id in shown]
    hidden = [one for one in claims if one.order_id not in shown]
    left = [one.id for one in hidden if one.tries >= len(PAUSES)]
    again = {one: now + PAUSES[one.tries] for one in hidden if one.tries < len(PAUSES)}

    def work(connection: Connection) -> None:
        notice_store.settle(connection, read, NoticeStatus.READ, now=now)
        notice_store.settle(connection, left, NoticeStatus.LEFT, now=now)
        notice_store.put_off(connection, again, owner=runtime.owner, tried=True)

    in_transaction(runtime.engine, work)
    report.missing += len({one.order_id for one in again})
    report.left += len(left)


def _pull(
    runtime: Runtime, report: NoticeReport, state: ChannelState, claims: Sequence[WaitingNotice], dear: bool
) -> None:
    """What does not say which order it means, or would cost too much singly, is one pull; or none, if a complete pull
    began after it came."""
    last = state.pulled_at
    covered = [one for one in claims if last is not None and one.received_at <= last]
    open_ = [one for one in claims if one not in set(covered)]
    earliest = (last or report.started) + (DEAR_PULLS_APART if dear else PULLS_APART)
    if open_ and last is not None and runtime.now() < earliest:
        _put_off(runtime, open_, earliest)
    elif open_:
        done = pull(runtime, report.channel)
        report.pulled = True
        report.stored += done.stored
        _merge(report, done.applied)
        covered += open_
    with unit_of_work(runtime.engine) as connection:
        notice_store.settle(connection, [one.id for one in covered], NoticeStatus.READ, now=runtime.now())


def _put_off(runtime: Runtime, claims: Sequence[WaitingNotice], due: datetime) -> None:
    with unit_of_work(runtime.engine) as connection:
        notice_store.put_off(connection, dict.fromkeys(claims, due), owner=runtime.owner, tried=False)


def _merge(report: NoticeReport, more: AppliedEvents) -> None:
    total = report.applied
    for name in ("events", "orders", "new_orders", "units_held", "units_oversold", "reversals", "quarantined"):
        setattr(total, name, getattr(total, name) + getattr(more, name))
    total.blocked = more.blocked
    total.complete = more.complete


def clear_old(runtime: Runtime, kept: timedelta, *, chunk: int = 5000) -> int:
    """Delete the notices that were done with and came longer ago than `kept`."""
    total = 0
    while True:
        with unit_of_work(runtime.engine) as connection:
            gone = notice_store.clean_up(connection, before=runtime.now() - kept, limit=chunk)
        total += gone
        if gone < chunk:
            return total
