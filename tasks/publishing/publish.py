"""One pass of the publish protocol: claim, read, plan, gate, lower, confirm, raise, read back.

Every number is computed from the ledger at the moment it is sent; a retry is a new pass and computes again.
Between the plan and the wire stands a commit that counts the worst case, so this process may die anywhere.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from adapters.database import in_transaction, unit_of_work
from inventory.channels import shown_counts
from inventory.holds.pool import note_pool
from inventory.ledger.ledger import lock_balances
from inventory.policies.learned import next_hour
from inventory.publishing import outbox, publications
from inventory.publishing.availability import Selling, connected_skus, listing_ids, listings_that_share, load_market
from inventory.publishing.closings import goes_through_zero, in_waves, one_wave_at_a_time
from inventory.publishing.guidance import Guidance, read_guidance
from inventory.publishing.outbox import Claim
from inventory.publishing.positions import Step
from inventory.publishing.publications import Outcome, Sent
from inventory.publishing.publishing import Market, plan
from inventory.words import ChannelMode, PublicationStatus
from tasks.publishing.judge import SAFE_AFTER, WIPE_WINDOW, Judged, judge, still_sound, to_safe_value
from tasks.publishing.read import read_live
from tasks.publishing.send import send
from tasks.runtime import Runtime

BATCH = 500
_PAUSE = {
    PublicationStatus.STALE: timedelta(0),
    PublicationStatus.REJECTED: timedelta(minutes=1),
}
"""How long until a listing whose write was not applied is computed again."""
_HELD_AGAIN = timedelta(seconds=30)
_RAISE_WAITS = timedelta(seconds=3)
"""So long a SKU that sells all the time is only lowered."""
_CHANGED_AGAIN = timedelta(seconds=1)
"""The ledger moved between the verdict and the locks."""


@dataclass(slots=True)
class PublishReport:
    began_at: datetime
    claimed: int = 0
    sent: int = 0
    confirmed: int = 0
    unconfirmed: int = 0
    stale: int = 0
    rejected: int = 0
    held: int = 0
    """Rows that the gate held back."""
    unread: tuple[str, ...] = ()
    """Channels that could not be read."""
    sold_again: int = 0
    """SKUs whose raises wait because they were sold again meanwhile."""
    finished: int = 0
    rows: list[dict[str, object]] = field(default_factory=list)
    """What was sent, for people."""


@dataclass(frozen=True, slots=True)
class _View:
    """What one pass is about, and what it knows."""

    skus: Sequence[str]
    live: dict[int, int]
    guidance: Guidance
    restless: set[str] = field(default_factory=set)
    """SKUs whose numbers depend on the hour of the day."""
    waves: dict[int, datetime] = field(default_factory=dict)
    """{listing id: when} of closings that wait for others to be open again."""
    unanswered: set[int] = field(default_factory=set)
    """Listings that this pass left in doubt."""
    selling: set[str] = field(default_factory=set)
    """SKUs that were sold again while this pass was at them: nothing of them is raised now."""

    def market(self, connection: Connection) -> Market:
        return load_market(connection, self.skus, self.live, self.guidance)


def publish(
    runtime: Runtime,
    *,
    limit: int = BATCH,
    safe_after: timedelta = SAFE_AFTER,
    eager_only: bool = False,
    part: outbox.Part | None = None,
) -> PublishReport:
    """Publish at most `limit` dirty SKUs (`eager_only`: of those whose stock changed; `part`: of these). Does nothing,
    at the cost of one statement, when there are none."""
    report = PublishReport(runtime.now())
    with unit_of_work(runtime.engine) as connection:
        claims = outbox.claim(
            connection,
            owner=runtime.owner,
            limit=limit,
            lease=runtime.lease,
            now=runtime.now(),
            eager_only=eager_only,
            part=part,
        )
        if not claims:
            return report
        publications.abandon(connection, now=runtime.now())
        skus = [claim.sku for claim in claims]
        listings = listing_ids(connection, skus)
        guidance = read_guidance(connection, skus, now=runtime.now(), remembered=runtime.memory.remembered)
    runtime.memory.remembered = guidance.remembered
    known_at = runtime.now()
    report.claimed = len(claims)
    live, unread = read_live(runtime, listings)
    report.unread = tuple(sorted(unread))
    again: dict[int, datetime] = {}
    view = _View(skus, live, guidance)
    lowered = _phase(runtime, report, view, False, safe_after, again)
    # What follows only gives, or looks: every channel that had to hear of a sale has heard of it.
    _note_synced(runtime, view, unread, again, known_at)
    _read_back(runtime, lowered, live)
    view.selling.update(_sold_again(runtime, claims))
    report.sold_again = len(view.selling)
    if len(view.selling) < len(skus):
        _read_back(runtime, _phase(runtime, report, view, True, safe_after, again), live)
    _finish(runtime, report, claims, view, unread, again)
    return report


def _sold_again(runtime: Runtime, claims: Sequence[Claim]) -> set[str]:
    """The other channels wait for the next lowering of these, not for a raise; one that has waited long enough is made
    all the same."""
    with unit_of_work(runtime.engine) as connection:
        sold = outbox.sold_again(connection, claims)
    return {one.sku for one in claims if one.sku in sold and runtime.now() - one.dirty_at < _RAISE_WAITS}


def _note_synced(
    runtime: Runtime,
    view: _View,
    unread: Mapping[str, timedelta],
    again: Mapping[int, datetime],
    known_at: datetime,
) -> None:
    now = runtime.now()

    def work(connection: Connection) -> None:
        behind = _due(listings_that_share(connection, view.skus), unread, again, view.unanswered, now)
        synced = [sku for sku in view.skus if sku not in behind]
        publications.note_synced(connection, synced, known_at=known_at, now=now)

    in_transaction(runtime.engine, work)


def _phase(
    runtime: Runtime,
    report: PublishReport,
    view: _View,
    raising: bool,
    safe_after: timedelta,
    again: dict[int, datetime],
) -> list[Outcome]:
    """All lowerings, or all raises, that the ledger asks for now; what became of those that were sent."""
    computed_at = runtime.now()
    with unit_of_work(runtime.engine) as connection:
        market = view.market(connection)
        steps = [step for step in plan(market) if step.raises is raising]
        if raising:
            steps = [one for one in steps if view.selling.isdisjoint({one.position.sku, *one.position.components})]
        if not raising:
            note_pool(connection, market, view.guidance.pool)
            view.restless.update(market.restless() if market.mixed else ())
        steps = _in_waves(connection, runtime, view, steps)
        steps, closing = to_safe_value(connection, steps, now=runtime.now(), after=safe_after)
    if not steps:
        return []
    judged = judge(runtime, steps, computed_at=computed_at)
    report.held += len(judged.held)
    for step in judged.held:
        again[step.position.listing_id] = runtime.now() + _HELD_AGAIN
    key = f"{runtime.owner}-{runtime.now().timestamp():.6f}-{'raise' if raising else 'lower'}"
    sent = in_transaction(runtime.engine, lambda connection: _begin(connection, runtime, view, judged, closing, key))
    going = {one.step.position.listing_id for one in sent}
    for step in judged.released:
        if step.position.listing_id not in going:
            again.setdefault(step.position.listing_id, runtime.now() + _CHANGED_AGAIN)
    if not sent:
        return []
    outcomes = send(runtime, sent, key)
    _note(runtime, report, outcomes, view, again)
    return outcomes


def _in_waves(connection: Connection, runtime: Runtime, view: _View, steps: Sequence[Step]) -> list[Step]:
    codes = {step.position.channel for step in steps if goes_through_zero(step)}
    if not codes:
        return list(steps)
    now = runtime.now()
    steps, later = in_waves(steps, shown_counts(connection, sorted(codes), since=now - WIPE_WINDOW))
    view.waves.update({step.position.listing_id: now + _CHANGED_AGAIN for step in later})
    return steps


def _read_back(runtime: Runtime, outcomes: Sequence[Outcome], live: dict[int, int]) -> None:
    """What the channels show of the numbers that were sent, into `live` and the log."""
    if not outcomes:
        return
    seen, _ = read_live(runtime, _refs([outcome.sent for outcome in outcomes]))
    live.update(seen)
    with unit_of_work(runtime.engine) as connection:
        publications.note_read_back(connection, outcomes, seen, now=runtime.now())


def _begin(
    connection: Connection,
    runtime: Runtime,
    view: _View,
    judged: Judged,
    closing: set[int],
    key: str,
) -> list[Sent]:
    """Compute once more under the locks, keep what the verdict covers, and count the worst case."""
    lock_balances(connection, connected_skus(connection, view.skus))
    now = runtime.now()
    fresh = {step.position.listing_id: step for step in plan(view.market(connection))}
    going = []
    for step in judged.released:
        listing_id = step.position.listing_id
        current = fresh.get(listing_id)
        if current is not None and listing_id in closing:
            going.append(step)
        elif current is not None and current.raises is step.raises:
            going.append(current)
    as_judged = {step.position.listing_id: step for step in judged.released}
    changed = [step for step in going if step != as_judged[step.position.listing_id]]
    unsound = still_sound(connection, changed, now=now)
    going = [step for step in going if step.position.listing_id not in unsound]
    closed_by = sorted({step.position.channel for step in going if goes_through_zero(step)})
    if closed_by:
        # Others may have begun to close listings of the same channel since the wave was chosen.
        one_wave_at_a_time(connection, closed_by)
        going, _ = in_waves(going, shown_counts(connection, closed_by, since=now - WIPE_WINDOW))
    return publications.begin(connection, going, key=key, gate_runs=judged.gate_runs, now=now)


def _refs(sent: Sequence[Sent]) -> dict[str, dict[str, int]]:
    refs: dict[str, dict[str, int]] = {}
    for one in sent:
        position = one.step.position
        refs.setdefault(position.channel, {})[position.ref] = position.listing_id
    return refs


def _note(
    runtime: Runtime, report: PublishReport, outcomes: Sequence[Outcome], view: _View, again: dict[int, datetime]
) -> None:
    now = runtime.now()
    in_transaction(runtime.engine, lambda connection: publications.end(connection, outcomes, now=now))
    for outcome in outcomes:
        report.sent += 1
        status, step = outcome.status, outcome.sent.step
        if status is PublicationStatus.CONFIRMED:
            report.confirmed += 1
        elif status is PublicationStatus.UNCONFIRMED:
            report.unconfirmed += 1
            view.unanswered.add(step.position.listing_id)
        elif status is PublicationStatus.STALE:
            report.stale += 1
        else:
            report.rejected += 1
        if status in _PAUSE:
            again[step.position.listing_id] = now + _PAUSE[status]
        report.rows.append(_row(outcome))


def _row(outcome: Outcome) -> dict[str, object]:
    step = outcome.sent.step
    return {
        "channel": step.position.channel,
        "SKU": step.position.sku,
        "shown before": step.position.live,
        "sent": step.quantity,
        "sellable": step.room.sellable,
        "exposure of others": step.room.others,
        "slice": step.slice,
        "policy": step.position.policy_version,
        "answer": outcome.status.value,
        "reason": outcome.reason,
    }


def _finish(
    runtime: Runtime,
    report: PublishReport,
    claims: Sequence[Claim],
    view: _View,
    unread: Mapping[str, timedelta],
    come_back: Mapping[int, datetime],
) -> None:
    """Done with a SKU when each of its listings shows a number that is answered for; else come back to it."""
    now = runtime.now()

    def work(connection: Connection) -> None:
        # What this pass sent may call for more, as a lowering for whom nothing was left: the next pass does it.
        more = plan(view.market(connection)) if report.sent else []
        sharing = listings_that_share(connection, view.skus)
        behind = _due(sharing, unread, come_back, view.unanswered, now)
        again = {step.position.listing_id: now for step in more} | view.waves | dict(come_back)
        due = _due(sharing, unread, again, view.unanswered, now) if more or view.waves else behind
        waiting = {claim: due[claim.sku] for claim in claims if claim.sku in due}
        done = [claim for claim in claims if claim not in waiting]
        outbox.give_back(connection, waiting, owner=runtime.owner, behind=behind)
        outbox.finish(connection, done, owner=runtime.owner, now=now)
        restless = view.restless & {claim.sku for claim in done}
        outbox.mark_dirty(connection, restless, now=now, due=next_hour(now), eager=False)
        report.finished = len(done)

    in_transaction(runtime.engine, work)


def _due(
    sharing: Mapping[str, Sequence[Selling]],
    unread: Mapping[str, timedelta],
    again: Mapping[int, datetime],
    unanswered: Collection[int],
    now: datetime,
) -> dict[str, datetime]:
    """{SKU: when to come back} for those that are not done; `sharing` are the listings that each SKU waits for,
    `unanswered` those that this pass itself left in doubt."""
    due: dict[str, datetime] = {}
    for sku, listings in sharing.items():
        times = []
        for one in listings:
            if one.listing_id in again:
                times.append(again[one.listing_id])
            if one.unconfirmed_until is not None:
                times.append(_doubt_ends(one, mine=one.listing_id in unanswered, now=now))
            if one.channel in unread and one.mode == ChannelMode.LIVE:
                times.append(now + unread[one.channel])
        if times:
            due[sku] = min(times)
    return due


def _doubt_ends(one: Selling, *, mine: bool, now: datetime) -> datetime:
    """When to look at a listing in doubt again. The number of another pass is mostly answered in a moment; the longer
    it has been under way, the less likely that is."""
    assert one.unconfirmed_until is not None
    if mine or one.published_at is None:
        return one.unconfirmed_until
    return min(one.unconfirmed_until, now + max(_CHANGED_AGAIN, now - one.published_at))
