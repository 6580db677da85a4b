"""Read the quantities that a channel shows, page by page, and reconcile them with the ledger."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from adapters.channels.protocol import Channel, Reading
from adapters.database import RETRIABLE, sqlstate, unit_of_work
from adapters.http import ChannelFault
from expectations.parameters import ChannelSnapshot
from expectations.snapshot_frames import SnapshotRow, snapshot_frame
from expectations.verdict import Status, Verdict
from inventory.channels import ChannelState, channel_state
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.publishing.exposure import Observation
from inventory.publishing.gate_log import HeldRow, hold_rows, release_rows, release_rows_under
from inventory.reconciling.listing_scopes import ALL, Range, hot_listings, pages_of, sample_listings
from inventory.reconciling.readings import (
    LARGEST,
    Counts,
    begin_readings,
    end_readings,
    note_readings,
    observe_page,
    recheck,
)
from inventory.reconciling.reconciliation import Compared, Reconciliation, settle_readings
from inventory.words import IncidentKind, Severity
from tasks.runtime import Runtime
from tasks.selling.apply import record
from tasks.selling.pull import pull

log = logging.getLogger(__name__)
Result = TypeVar("Result")

SUITE = "channel_snapshot"
CHUNK = 1000
"""Listings that are read and compared at a time, so that memory stays flat."""
LOOKED_LATELY = timedelta(hours=20)
"""A listing that agrees, and was seen within this time, is not written to."""
LONGEST_READ = timedelta(hours=6)
"""A large catalogue takes its time at a vendor that counts calls; longer than this it is no look any more."""
_MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class Scope:
    """Which listings: `hot`, `full`, or `sample` (of `size`, by `seed`); `skus` and `within` narrow a full one."""

    name: str = "full"
    skus: Sequence[str] = ()
    seed: int = 0
    size: int = 500
    within: Range = ALL
    """Other processes read the other ranges of the channel."""


def compare_channel(
    runtime: Runtime,
    channel: str,
    *,
    stale_after: timedelta,
    heal: bool,
    scope: Scope = Scope(),
    chunk: int = CHUNK,
    approved_by: str = "",
) -> Reconciliation:
    """Compare the channel's listings of the scope with the ledger, and heal what is safe.

    Pull its orders first: what they changed is no difference. Where something differs they are pulled once more, for
    what was sold while we read; if that fails, nothing can be told of the difference, and it is classed stale. Nothing
    is healed when the orders were read longer ago than `stale_after`, nor when the gate does not believe the answer
    (`approved_by` does). Raises ChannelFault when the quantities cannot be read; then nothing was changed.
    """
    with runtime.engine.connect() as connection:
        try:
            return _Session(runtime, connection, channel, scope, chunk).run(stale_after, heal, approved_by)
        finally:
            connection.rollback()
            end_readings(connection)
            connection.commit()


class _Session:
    def __init__(self, runtime: Runtime, connection: Connection, channel: str, scope: Scope, chunk: int) -> None:
        self.runtime, self.connection, self.scope, self.chunk = runtime, connection, scope, chunk
        self.state = channel_state(connection, channel)
        row = connection.execute(
            text(
                "SELECT asks_first, coalesce(bool_or(pause.by_switch), false) AS switched, "
                "count(pause.id) > 0 AS off_sale "
                "FROM channel LEFT JOIN channel_pause AS pause ON pause.channel = code AND pause.status <> 'lifted' "
                "AND (pause.status = 'paused' OR NOT pause.by_switch) WHERE code = :code GROUP BY asks_first"
            ),
            {"code": channel},
        ).one()
        # Behind a switch what is shown promises nothing either: the last number confirmed is expected.
        self.asks_first = row.asks_first or row.switched
        self.off_sale = row.off_sale and not row.switched
        begin_readings(connection)
        connection.commit()
        self.counts = Counts()
        self.result = Reconciliation(channel)
        self.began = runtime.now()
        self.unusable: list[str] = []

    def run(self, stale_after: timedelta, heal: bool, approved_by: str) -> Reconciliation:
        self._read()
        self._work(self._recheck)
        fresh = self.counts.differing == 0 or self._pull_again()
        self._work(self._recheck)
        result = self.result
        result.compared, result.differing = self.counts.compared, self.counts.differing
        result.unusable = len(self.unusable)
        stale = not fresh or self._is_stale(stale_after)
        believed = result.asked == 0 or self._judge(stale_after, approved_by)
        if believed:
            self._work(lambda connection: self._settle(connection, stale, heal))
        self._observe(raises_only=not believed)
        return result

    def _read(self) -> None:
        ids = self._ids()
        with self.runtime.channel(self.result.channel) as adapter:
            for page in pages_of(
                self.connection,
                self.result.channel,
                self.chunk,
                skus=self.scope.skus,
                ids=ids,
                within=self.scope.within,
            ):
                self._read_page(adapter, page.refs)

    def _ids(self) -> list[int] | None:
        code, now = self.result.channel, self.runtime.now()
        if self.scope.name == "hot":
            return hot_listings(self.connection, code, now=now)
        if self.scope.name == "sample":
            return sample_listings(self.connection, code, seed=self.scope.seed, size=self.scope.size, now=now)
        return None

    def _read_page(self, adapter: Channel, refs: dict[str, int]) -> None:
        started = self.runtime.now()
        readings = {one.listing_ref: one for one in adapter.read_quantities(list(refs)) if one.listing_ref in refs}
        ended = self.runtime.now()
        result = self.result
        result.asked += len(refs)
        result.missing += len(refs) - len(readings)
        if len(readings) < len(refs) and len(result.missing_refs) < _MOST_NAMED:
            missing = sorted(set(refs) - set(readings))
            result.missing_refs = (*result.missing_refs, *missing)[:_MOST_NAMED]
        self.unusable += [ref for ref, one in readings.items() if not _usable(one)]
        seen = [Observation(refs[ref], one.quantity, one.tracked) for ref, one in readings.items() if _usable(one)]

        def note(connection: Connection) -> None:
            note_readings(
                connection,
                seen,
                counts,
                asks_first=self.asks_first,
                off_sale=self.off_sale,
                read_started=started,
                read_ended=ended,
                looked_before=started - LOOKED_LATELY,
            )

        counts = self.counts
        self._work(note)

    def _recheck(self, connection: Connection) -> None:
        recheck(connection, self.result.channel, self.counts, asks_first=self.asks_first)

    def _pull_again(self) -> bool:
        try:
            pull(self.runtime, self.result.channel)
        except ChannelFault as fault:
            log.warning("%s: what differs may be sales, its orders cannot be read: %s", self.result.channel, fault)
            return False
        return True

    def _state(self) -> ChannelState:
        with unit_of_work(self.runtime.engine) as connection:
            return channel_state(connection, self.result.channel)

    def _is_stale(self, stale_after: timedelta) -> bool:
        pulled_at = self._state().pulled_at
        return pulled_at is None or self.runtime.now() - pulled_at > stale_after

    def _judge(self, stale_after: timedelta, approved_by: str) -> bool:
        """Whether the answer is believed; the verdict is noted, and a block is told."""
        counts, result, now = self.counts, self.result, self.runtime.now()
        row = SnapshotRow(
            result.channel,
            result.asked,
            counts.answered + result.unusable,
            result.unusable,
            counts.compared,
            counts.differing,
            counts.selling,
            counts.zeroed,
            self.began,
            self._state().pulled_at,
        )
        told = ChannelSnapshot(now=now, orders_age=stale_after, max_age=LONGEST_READ)
        verdict = self.runtime.check(SUITE, snapshot_frame([row]), told)
        block = verdict.status in (Status.BLOCK, Status.ERROR, Status.PARTIAL)
        if block and not (approved_by and verdict.status is Status.BLOCK):
            result.blocked = verdict.summary()
        self._work(lambda connection: self._note_verdict(connection, verdict, now))
        return not result.blocked

    def _note_verdict(self, connection: Connection, verdict: Verdict, now: datetime) -> None:
        code, subject = self.result.channel, f"{SUITE}/{self.result.channel}"
        record(connection, code, verdict, now)
        whole = self.scope.within == ALL
        if self.scope.name == "full" and not self.scope.skus:
            # All were read: what is still unusable is held again below.
            if whole:
                release_rows_under(connection, SUITE, [code], now=now)
            else:
                release_rows(connection, SUITE, _held_within(connection, code, self.scope.within), now=now)
        held = [HeldRow(f"{code}/{ref}", "UNUSABLE", "a number that no shelf can hold", None, ref)
                for ref in self.unusable[:1000]]  # fmt: skip
        hold_rows(connection, SUITE, code, held, now=now)
        if self.result.blocked:
            message = f"what {code} shows is not believed, nothing is healed by it: {verdict.summary()}"
            incident = NewIncident(IncidentKind.BATCH_BLOCKED, Severity.CRITICAL, subject, message)
            open_incidents(connection, [incident], now=now)
        elif whole:
            # A part cannot tell for the others: whoever joins them does (`believed`).
            resolve_incidents(connection, IncidentKind.BATCH_BLOCKED, [subject], now=now)

    def _settle(self, connection: Connection, stale: bool, heal: bool) -> None:
        settle_readings(connection, self.result, stale=stale, heal=heal, now=self.runtime.now())

    def _observe(self, *, raises_only: bool) -> None:
        after: int | None = 0
        while after is not None:
            last = after

            def work(connection: Connection) -> int | None:
                return observe_page(connection, last, asks_first=self.asks_first, raises_only=raises_only)  # noqa: B023

            after = self._work(work)

    def _work(self, work: Callable[[Connection], Result], attempts: int = 5) -> Result:
        """One transaction of this session, whose temporary table no other connection has; again after a deadlock."""
        for attempt in range(1, attempts + 1):
            try:
                found = work(self.connection)
                self.connection.commit()
                return found
            except DBAPIError as error:
                self.connection.rollback()
                if attempt == attempts or sqlstate(error) not in RETRIABLE:
                    raise
                time.sleep(0.02 * attempt)
        raise AssertionError("unreachable")


def believed(runtime: Runtime, channel: str) -> None:
    """All parts of the channel were read, and the gate believes each."""
    with unit_of_work(runtime.engine) as connection:
        resolve_incidents(connection, IncidentKind.BATCH_BLOCKED, [f"{SUITE}/{channel}"], now=runtime.now())


def _held_within(connection: Connection, channel: str, within: Range) -> list[str]:
    rows = connection.execute(
        text(
            "SELECT row_key FROM quarantined_row AS held "
            "JOIN listing ON listing.channel = held.channel AND listing.ref = held.listing_ref "
            "WHERE held.suite = :suite AND held.channel = :channel AND held.status = 'open' "
            "AND listing.id BETWEEN :first AND :last"
        ),
        {"suite": SUITE, "channel": channel, "first": within.first, "last": within.last},
    )
    return [row.row_key for row in rows]


def _usable(reading: Reading) -> bool:
    return isinstance(reading.quantity, int) and abs(reading.quantity) <= LARGEST


def as_rows(differing: Sequence[Compared], limit: int = 200) -> list[dict[str, object]]:
    """For people: the largest differences first."""
    ordered = sorted(differing, key=lambda one: -abs(one.observed - one.expected))
    return [
        {
            "channel": one.channel,
            "SKU": one.sku,
            "listing": one.ref,
            "class": one.kind.value,
            "expected": one.expected,
            "shown": one.observed,
        }
        for one in ordered[:limit]
    ]
