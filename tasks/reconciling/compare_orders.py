"""Read a window of a channel's orders once more, and reconcile it with the ledger.

Missed and changed orders go the ordinary way, through the inbox and its gate. An order that the channel denies is
opened and told, and its units stay held: nothing is released on the word of one answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from adapters.channels.protocol import OrderDocument, OrderPage
from adapters.database import in_transaction, unit_of_work
from inventory.channels import ChannelState, channel_state
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.reconciling.discrepancies import close_discrepancies, note_healing, open_discrepancies, open_subjects
from inventory.reconciling.order_reconciliation import (
    Differing,
    HeldOrder,
    changed_order,
    compare_page,
    explain_quantities,
    held_orders,
    instant,
    known_orders,
    missed_order,
    order_window,
    phantom_order,
    waiting_orders,
)
from inventory.words import Comparison, IncidentKind, Severity
from tasks.runtime import Runtime
from tasks.selling.apply import apply_events
from tasks.selling.pull import store_page

ASKED_AT_ONCE = 50
ASKED_DEARLY = 20
"""Single orders asked for in one run, of a channel whose allowance for it is small."""
DENIED_SHARE = 0.5
DENIED_LEAST = 20
"""A channel that denies more than this share of its orders, and at least so many, is ill: none is a phantom."""
_MOST = 2000
"""Orders of one run that are opened and healed; more is no drift but a channel that was never pulled."""


@dataclass(slots=True)
class OrdersCompared:
    channel: str
    since: datetime
    orders: int = 0
    """Of the channel, in the window."""
    missed: list[str] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)
    waiting: int = 0
    """Of the missed and changed, those that lie in the inbox."""
    phantoms: list[HeldOrder] = field(default_factory=list)
    unasked: int = 0
    """Orders that did not show and could not be asked for singly: the next run does."""
    healed: int = 0
    closed: int = 0
    blocked: str = ""


def compare_orders(runtime: Runtime, channel: str, *, window: timedelta, heal: bool) -> OrdersCompared:
    """Compare what the channel's orders of the window say with the ledger. Pull first: what is new is no difference.

    Raises ChannelFault when they cannot be read to the end; then nothing was opened.
    """
    began = runtime.now()
    with unit_of_work(runtime.engine) as connection:
        state = channel_state(connection, channel)
        since = order_window(connection, channel, reach=state.reach, window=window, now=began)
    report = OrdersCompared(channel, since)
    # What came since the pull, or may not be shown yet, is the next pull's.
    settled = (state.pulled_at or began) - state.settle
    seen, differing, documents = _read(runtime, report, settled)
    _settle(runtime, state, report, differing, documents, seen, heal)
    _phantoms(runtime, state, report, seen, settled)
    return report


def _read(
    runtime: Runtime, report: OrdersCompared, settled: datetime
) -> tuple[set[str], Differing, dict[str, OrderDocument]]:
    """All orders seen, what differs, and the documents of that."""
    seen: set[str] = set()
    found = Differing()
    documents: dict[str, OrderDocument] = {}
    with runtime.channel(report.channel) as adapter:
        for page in adapter.pull_orders(report.since):
            seen |= {str(one.get("order_id")) for one in page.orders}
            old = [one for one in page.orders if _is_due(one, report.since, settled)]
            with unit_of_work(runtime.engine) as connection:
                part = compare_page(connection, report.channel, old)
            if len(documents) < _MOST:
                found.missed |= part.missed
                found.changed |= part.changed
                found.outdated |= part.outdated
                wanted = part.missed.keys() | part.changed.keys()
                documents |= {str(one["order_id"]): one for one in old if str(one["order_id"]) in wanted}
    report.orders = len(seen)
    return seen, found, documents


def _is_due(document: OrderDocument, since: datetime, settled: datetime) -> bool:
    placed, updated = instant(document.get("placed_at")), instant(document.get("updated_at"))
    return placed is not None and placed >= since and (updated or placed) <= settled


def _settle(
    runtime: Runtime,
    state: ChannelState,
    report: OrdersCompared,
    differing: Differing,
    documents: dict[str, OrderDocument],
    seen: set[str],
    heal: bool,
) -> None:
    """Open what was missed or says something else, have it applied, and close what agrees then."""
    report.missed, report.changed = sorted(differing.missed), dict(differing.changed)
    wanted = {*report.missed, *report.changed}

    def work(connection: Connection) -> int:
        waits = waiting_orders(connection, report.channel, wanted)
        found = [
            missed_order(report.channel, one, differing.missed[one], waits=one in waits) for one in report.missed
        ] + [changed_order(report.channel, one, words, waits=one in waits) for one, words in report.changed.items()]
        open_discrepancies(connection, found, now=runtime.now())
        return len(waits)

    report.waiting = in_transaction(runtime.engine, work)
    if heal and wanted:
        store_page(runtime, report.channel, OrderPage([documents[one] for one in sorted(wanted)]))
        in_transaction(
            runtime.engine,
            lambda connection: note_healing(
                connection, Comparison.ORDERS, [f"{report.channel}/{one}" for one in wanted], now=runtime.now()
            ),
        )
        # They may be older than what the pulls have read: that is no going back in time.
        apply_events(runtime, replace(state, watermark=report.since))
    with unit_of_work(runtime.engine) as connection:
        still = compare_page(connection, report.channel, list(documents.values()))
    healed = wanted - still.missed.keys() - still.changed.keys()
    report.healed = len(healed)
    in_transaction(runtime.engine, lambda connection: _close(connection, runtime, report, healed, still, seen))


def _close(
    connection: Connection, runtime: Runtime, report: OrdersCompared, healed: set[str], still: Differing, seen: set[str]
) -> None:
    subjects = {f"{report.channel}/{one}" for one in healed}
    # Opened by an earlier run, and applied since.
    before = open_subjects(connection, Comparison.ORDERS, channel=report.channel)
    ids = {subject.removeprefix(f"{report.channel}/") for subject in before} & seen
    ids -= {*still.missed, *still.changed}
    phantoms = _open_phantoms(connection, report.channel)
    known = known_orders(connection, report.channel, ids) - phantoms
    subjects |= {f"{report.channel}/{one}" for one in known}
    report.closed = close_discrepancies(connection, Comparison.ORDERS, subjects, now=runtime.now())
    if missed := healed & set(report.missed):
        explain_quantities(connection, report.channel, missed)


def _open_phantoms(connection: Connection, channel: str) -> set[str]:
    return {
        subject.removeprefix(f"{channel}/")
        for subject in open_subjects(connection, Comparison.ORDERS, channel=channel, drift="phantom_order")
    }


def _phantoms(runtime: Runtime, state: ChannelState, report: OrdersCompared, seen: set[str], settled: datetime) -> None:
    """Orders that hold units and did not show: asked for one by one, and told if the channel denies them."""
    held, absent = 0, []
    with unit_of_work(runtime.engine) as connection:
        for page in held_orders(connection, report.channel, since=report.since, until=settled):
            held += len(page)
            absent += [one for one in page if one.order_id not in seen]
    if len(absent) >= DENIED_LEAST and len(absent) > DENIED_SHARE * held:
        report.blocked = f"{len(absent)} of {held} orders do not show: the channel's answer is not believed"
    else:
        denied = _denied(runtime, report, absent)
        report.phantoms = [one for one in absent if one.order_id in denied]
    in_transaction(runtime.engine, lambda connection: _tell(connection, runtime, report, seen))


def _denied(runtime: Runtime, report: OrdersCompared, absent: Sequence[HeldOrder]) -> set[str]:
    ids = [one.order_id for one in absent]
    shown: set[str] = set()
    with runtime.channel(report.channel) as adapter:
        if not adapter.capabilities.reads_singly:
            report.unasked = max(0, len(ids) - ASKED_DEARLY)
            ids = ids[:ASKED_DEARLY]
        for start in range(0, len(ids), ASKED_AT_ONCE):
            answer = adapter.read_orders(ids[start : start + ASKED_AT_ONCE])
            shown |= {str(one.get("order_id")) for one in answer.orders}
            # What is there and cannot be read is not denied.
            shown |= {one for one in ids if any(one in defect.key for defect in answer.defects)}
    return set(ids) - shown


def _tell(connection: Connection, runtime: Runtime, report: OrdersCompared, seen: set[str]) -> None:
    now, code = runtime.now(), report.channel
    subject = f"orders_reread/{code}"
    if report.blocked:
        incident = NewIncident(IncidentKind.BATCH_BLOCKED, Severity.CRITICAL, subject, f"{code}: {report.blocked}")
        open_incidents(connection, [incident], now=now)
        return
    resolve_incidents(connection, IncidentKind.BATCH_BLOCKED, [subject], now=now)
    found = [phantom_order(code, one) for one in report.phantoms]
    open_discrepancies(connection, found, now=now)
    open_incidents(
        connection,
        [
            NewIncident(
                IncidentKind.PHANTOM_ORDER,
                Severity.WARNING,
                one.subject,
                f"{one.subject}: {one.message}. Look it up there; resolve_discrepancy can release its units",
                {"units": one.expected},
            )
            for one in found[:200]
        ],
        now=now,
    )
    back = {f"{code}/{one}" for one in _open_phantoms(connection, code) & seen}
    report.closed += close_discrepancies(connection, Comparison.ORDERS, back, now=now)
    if back:
        resolve_incidents(connection, IncidentKind.PHANTOM_ORDER, sorted(back), now=now)
