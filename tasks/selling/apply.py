"""From the inbox into the ledger: gate the waiting events, apply what is sound, hold back and name the rest."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection

from adapters.database import in_transaction, unit_of_work
from adapters.wakeups import PUBLISH, wake
from expectations.frames import LINE, orders_frame
from expectations.parameters import NO_WATERMARK, OrdersPulled
from expectations.verdict import Status, Verdict
from inventory.catalogue import listings_by_ref
from inventory.channels import ChannelState
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.orders import inbox
from inventory.orders.inbox import Event
from inventory.orders.orders import Applied, Sale, SaleLine, SaleReversal, apply_sales
from inventory.publishing.gate_log import HeldRow, hold_rows, open_rows, record_run, release_rows, release_rows_under
from inventory.skus import NON_STOCK
from inventory.words import IncidentKind, ReversalKind, ReversalReason, Severity
from tasks.runtime import Runtime

SUITE = "orders_pulled"
MOST_SENT = 10**9
"""Units of one line; more is no number of units."""
BATCH = 1000


@dataclass(slots=True)
class AppliedEvents:
    events: int = 0
    orders: int = 0
    new_orders: int = 0
    units_held: int = 0
    units_oversold: int = 0
    reversals: int = 0
    quarantined: int = 0
    blocked: int = 0
    complete: bool = True
    """Nothing of this channel is left in the inbox unapplied, but what is held back row by row."""


def apply_events(runtime: Runtime, state: ChannelState, *, approved_by: str = "") -> AppliedEvents:
    """Apply everything that waits in the channel's inbox, a batch a transaction."""
    report = AppliedEvents()
    while True:
        with unit_of_work(runtime.engine) as connection:
            events = inbox.claim(
                connection, state.code, owner=runtime.owner, limit=BATCH, lease=runtime.lease, now=runtime.now()
            )
        if not events:
            break
        for part in _versions_apart(events):
            if not _apply_batch(runtime, state, part, report, approved_by):
                report.complete = False
                return report
    with unit_of_work(runtime.engine) as connection:
        report.complete = inbox.waiting(connection, state.code) == 0
    return report


def _versions_apart(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Batches in which no order comes twice, so that two versions of it are not taken for a contradiction."""
    rounds: dict[int, list[Event]] = defaultdict(list)
    seen: Counter[str] = Counter()
    for event in events:
        order_id = str(event.payload.get("order_id"))
        rounds[seen[order_id]].append(event)
        seen[order_id] += 1
    yield from rounds.values()


def _apply_batch(
    runtime: Runtime, state: ChannelState, events: list[Event], report: AppliedEvents, approved_by: str
) -> bool:
    """One batch; False when the gate blocked it."""
    documents = [event.payload for event in events]
    with unit_of_work(runtime.engine) as connection:
        listings = listings_by_ref(connection, state.code, _refs_in(documents))
    refs = {ref: listing.sku for ref, listing in listings.items()}
    frame = orders_frame(state.code, documents, known_refs=refs, non_stock=NON_STOCK, now=runtime.now())
    parameters = OrdersPulled(now=runtime.now(), watermark=state.watermark or NO_WATERMARK, overlap=state.reach)
    verdict = runtime.check(SUITE, frame, parameters) if len(frame) else None
    if verdict is not None and verdict.status in (Status.BLOCK, Status.ERROR) and not approved_by:
        in_transaction(runtime.engine, lambda connection: _note_block(connection, state.code, verdict, runtime.now()))
        report.blocked += len(events)
        return False
    sound = frame.loc[~frame.index.isin(list(verdict.failed_rows))] if verdict else frame
    sales = list(_sales(sound, documents, refs))

    def work(connection: Connection) -> tuple[Applied, int]:
        now = runtime.now()
        applied = apply_sales(connection, state.code, sales, now=now)
        held = _held_rows(frame, verdict, events) if verdict else []
        held += _unmapped_rows(state.code, applied.unmapped, events)
        quarantined = {row.inbox_id for row in held if row.inbox_id is not None}
        whole = [f"{state.code}/{event.payload.get('order_id')}" for event in events if event.id not in quarantined]
        release_rows_under(connection, SUITE, whole, now=now)
        _note_verdict(connection, state.code, verdict, held, sound, now, approved_by)
        done = {event.id for event in events} - quarantined
        inbox.settle(connection, done, quarantined, now=now)
        return applied, len(held)

    # Counted when it is committed: the transaction may run more than once.
    applied, held_back = in_transaction(runtime.engine, work)
    if applied.skus:
        wake(runtime.engine, PUBLISH)
    report.events += len(events)
    report.orders += applied.orders
    report.new_orders += applied.new_orders
    report.units_held += applied.units_held
    report.units_oversold += applied.units_oversold
    report.reversals += applied.reversals
    report.quarantined += held_back
    return True


def _refs_in(documents: Sequence[Any]) -> set[str]:
    """The listings that these documents name, as far as they can be read."""
    lines = [document.get("lines") for document in documents if isinstance(document, dict)]
    entries = [entry for some in lines if isinstance(some, list) for entry in some if isinstance(entry, dict)]
    return {entry["listing_ref"] for entry in entries if isinstance(entry.get("listing_ref"), str)}


def _sales(sound: pd.DataFrame, documents: list[dict[str, Any]], refs: dict[str, str]) -> Iterator[Sale]:
    """The rows that passed, as sales. Lines that are explicitly no stock end here; test orders too."""
    by_document: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in sound.to_dict("records"):
        by_document[int(row["document"])].append({str(name): value for name, value in row.items()})
    for number, rows in by_document.items():
        if documents[number].get("test") is True:
            continue
        lines = [row for row in rows if row["kind"] == LINE]
        no_stock = {row["line_id"] for row in lines if row["listing_ref"] not in refs}
        yield Sale(
            order_id=str(rows[0]["order_id"]),
            placed_at=_when(rows[0]["placed_at"]),
            updated_at=_when(rows[0]["updated_at"]),
            lines=tuple(
                SaleLine(str(row["line_id"]), str(row["listing_ref"]), int(row["quantity"]))
                for row in lines
                if row["line_id"] not in no_stock
            ),
            reversals=tuple(
                _reversal(row, documents[number])
                for row in rows
                if row["kind"] != LINE and row["line_id"] not in no_stock
            ),
            hold=_hold(documents[number]),
            fulfilled=_fulfilled(documents[number]),
        )


def _hold(document: dict[str, Any]) -> str | None:
    """The key of a hold; anything else that stands there is none, and the order is taken as any other."""
    key = document.get("hold")
    return key if isinstance(key, str) and 0 < len(key) <= 200 else None


def _fulfilled(document: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    """What has left of each line. What cannot be read as that is unknown, as if the channel had not told."""
    given = document.get("fulfilled")
    told = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    return tuple(
        (one["line_id"], one["quantity"])
        for one in told
        if isinstance(one.get("line_id"), str) and type(one.get("quantity")) is int and 0 < one["quantity"] <= MOST_SENT
    )


def _when(value: Any) -> datetime:
    return pd.Timestamp(value).to_pydatetime()


def _reversal(row: dict[str, Any], document: dict[str, Any]) -> SaleReversal:
    given = next(one for one in document["reversals"] if str(one.get("reversal_id")) == row["reversal_id"])
    restocked = given.get("restocked")
    return SaleReversal(
        reversal_id=str(row["reversal_id"]),
        line_id=str(row["line_id"]),
        quantity=int(row["quantity"]),
        kind=ReversalKind(given["kind"]),
        reason=ReversalReason(given["reason"]),
        restocked=restocked if isinstance(restocked, bool) else None,
        occurred_at=_when(row["occurred_at"]),
    )


def _held_rows(frame: pd.DataFrame, verdict: Verdict, events: list[Event]) -> list[HeldRow]:
    why = {finding.rule_id: finding.why for finding in verdict.findings}
    held = []
    rows = frame.to_dict("index")
    for label, rules in verdict.failed_rows.items():
        row = rows[label]
        reason = "; ".join(why.get(rule, rule) for rule in rules)
        ref = row["listing_ref"]
        held.append(
            HeldRow(
                row_key=str(row["row_key"]),
                rules=",".join(rules),
                reason=f"{reason} (quantity {row['quantity_raw']})"[:500],
                inbox_id=events[int(row["document"])].id,
                listing_ref=ref if isinstance(ref, str) else None,
            )
        )
    return held


def _unmapped_rows(channel: str, unmapped: Sequence[tuple[str, str]], events: list[Event]) -> list[HeldRow]:
    """Lines whose listing was taken out of the catalogue after the gate had looked."""
    ids = {str(event.payload.get("order_id")): event.id for event in events}
    why = "its listing is gone: map it anew"
    return [
        HeldRow(f"{channel}/{order_id}/line/{line_id}", "UNMAPPED", why, ids.get(order_id))
        for order_id, line_id in unmapped
    ]


def _note_verdict(
    connection: Connection,
    channel: str,
    verdict: Verdict | None,
    held: list[HeldRow],
    sound: pd.DataFrame,
    now: datetime,
    approved_by: str,
) -> None:
    if verdict is None:
        return
    if verdict.status is not Status.PASS:
        record(connection, channel, verdict, now)
    hold_rows(connection, SUITE, channel, held, now=now)
    release_rows(connection, SUITE, [str(key) for key in sound["row_key"]], now=now)
    if approved_by or verdict.status in (Status.PASS, Status.PARTIAL):
        resolve_incidents(connection, IncidentKind.BATCH_BLOCKED, [f"{SUITE}/{channel}"], now=now)
    if held:
        incident = NewIncident(
            IncidentKind.QUARANTINED_ROWS,
            Severity.CRITICAL,
            channel,
            f"{len(held)} rows of {channel} are held back: {verdict.summary()}",
            {"keys": [row.row_key for row in held[:20]]},
        )
        open_incidents(connection, [incident], now=now)
    elif open_rows(connection, SUITE, channel) == 0:
        resolve_incidents(connection, IncidentKind.QUARANTINED_ROWS, [channel], now=now)


def _note_block(connection: Connection, channel: str, verdict: Verdict, now: datetime) -> None:
    record(connection, channel, verdict, now)
    incident = NewIncident(
        IncidentKind.BATCH_BLOCKED,
        Severity.CRITICAL,
        f"{SUITE}/{channel}",
        f"orders of {channel} wait for a decision: {verdict.summary()}. Look at them, then run pull_channel "
        "with `approved_by`, or repair the channel",
    )
    open_incidents(connection, [incident], now=now)


def record(connection: Connection, channel: str, verdict: Verdict, now: datetime) -> int:
    """Store a verdict; returns its id."""
    return record_run(
        connection,
        suite=verdict.suite,
        channel=channel,
        status=verdict.status.value,
        rows=verdict.rows,
        failed_rows=len(verdict.failed_rows),
        findings=[finding.to_dict() for finding in verdict.findings],
        duration_ms=verdict.duration_ms,
        now=now,
    )
