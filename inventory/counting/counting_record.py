"""Counts are judged against the ledger while trading goes on, and what is decided is written, in one transaction.

What a bin should have held at a count's moment is what it holds now, less what came and went since: movements that
*happened* after that moment, by their own time, however late they were recorded (and not after they were: no clock runs
ahead of ours). Corrections of the record (from
`count_gain`, to `count_loss`) moved nothing on the shelf, so they count as if they had always been there.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from inventory.catalogue import eligible_locations
from inventory.counting.counting import Count, CountPolicy, Decision, Outcome, decide, worth
from inventory.counting.counting_posting import Posting, Variance, begin
from inventory.counting.counting_sheets import make_sheets
from inventory.holds.reservation_store import lock_shelf, write_shelf
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.ledger.ledger import lock_balances
from inventory.people.raci import same_name
from inventory.publishing.outbox import mark_dirty
from inventory.words import ON_HAND, CountStatus, IncidentKind, Severity

_INSIDE = ", ".join(f"'{state}'" for state in ON_HAND)


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one bin's counts."""

    bin_count: int
    sku: str
    location: str
    status: CountStatus
    why: str
    expected: int
    variance: int
    posted: int
    value: Decimal
    """Of the variance, without its sign."""
    counters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Bin:
    id: int
    sku: str
    location: str
    status: CountStatus
    variance: int | None
    unit_cost: Decimal | None


_BINS = text(
    """
    SELECT bin_count.id, bin_count.sku, bin_count.location, bin_count.status, bin_count.variance, item_cost.unit_cost
    FROM bin_count LEFT JOIN item_cost ON item_cost.sku = bin_count.sku
    WHERE bin_count.id = ANY(:ids) AND bin_count.status = ANY(:statuses)
    ORDER BY bin_count.id FOR UPDATE OF bin_count
    """
)
_COUNTS = text(
    f"""
    SELECT line.bin_count, line.counter, line.quantity, line.counted_at,
           held.on_hand - since.change AS expected, NOT since.moved AS certain
    FROM count_line AS line JOIN bin_count AS bin ON bin.id = line.bin_count
    JOIN count_sheet AS sheet ON sheet.id = line.sheet,
    LATERAL (
        SELECT coalesce(sum(quantity), 0)::bigint AS on_hand FROM balance
        WHERE sku = bin.sku AND location = bin.location AND state IN ({_INSIDE})
    ) AS held,
    LATERAL (
        SELECT coalesce(sum(side.change) FILTER (
                   WHERE least(movement.occurred_at, movement.recorded_at) > line.counted_at), 0)::bigint AS change,
               coalesce(bool_or(movement.occurred_at BETWEEN sheet.created_at AND line.recorded_at
                                OR movement.recorded_at BETWEEN sheet.created_at AND line.recorded_at), false) AS moved
        FROM movement,
        LATERAL (SELECT CASE WHEN to_location = bin.location AND to_state IN ({_INSIDE}) THEN quantity ELSE 0 END
                      - CASE WHEN location = bin.location AND from_state IN ({_INSIDE}) THEN quantity ELSE 0 END
                 AS change) AS side
        WHERE movement.sku = bin.sku AND side.change <> 0
          AND movement.from_state <> 'count_gain' AND movement.to_state <> 'count_loss'
    ) AS since
    WHERE line.bin_count = ANY(:ids) AND line.quantity IS NOT NULL
    ORDER BY line.recorded_at, line.counted_at, line.sheet
    """  # noqa: S608 - put together from constants of this file
)
_WRITE = text(
    """
    UPDATE bin_count SET status = given.status, expected = given.expected, variance = given.variance,
        posted = given.posted, counted_at = given.counted_at, unit_cost = given.cost,
        decided_at = CASE WHEN given.status IN ('recount', 'awaiting_approval') THEN NULL ELSE :now END,
        decided_by = given.decided_by, decision_reason = given.reason
    FROM unnest(CAST(:ids AS bigint[]), CAST(:statuses AS text[]), CAST(:expected AS bigint[]),
                CAST(:variances AS bigint[]), CAST(:posted AS bigint[]), CAST(:counted AS timestamptz[]),
                CAST(:costs AS numeric[]), CAST(:by AS text[]), CAST(:reasons AS text[]))
         AS given (id, status, expected, variance, posted, counted_at, cost, decided_by, reason)
    WHERE bin_count.id = given.id
    """
)

_STATUS = {
    Outcome.MATCH: CountStatus.MATCHED,
    Outcome.POST: CountStatus.ADJUSTED,
    Outcome.RECOUNT: CountStatus.RECOUNT,
    Outcome.ASK: CountStatus.AWAITING_APPROVAL,
}


def judge(connection: Connection, bin_counts: Collection[int], policy: CountPolicy, *, now: datetime) -> list[Judged]:
    """Decide on these bins by all their counts. What is decided already stays."""
    bins = _lock(connection, bin_counts, (CountStatus.OPEN, CountStatus.RECOUNT))
    posting, counts, times = _begin(connection, bins, now)
    found = []
    for one in bins:
        if counts.get(one.id):
            decision = decide(counts[one.id], one.unit_cost, policy)
            found.append(_apply(posting, one, counts[one.id], decision, policy))
    _finish(connection, posting, bins, found, times, now=now)
    again: dict[str, list[int]] = defaultdict(list)
    for made in found:
        if made.status is CountStatus.RECOUNT:
            again[made.location].append(made.bin_count)
    for location in sorted(again):
        make_sheets(connection, location, again[location], recount=True, by="record_counts", now=now)
    return found


def decide_by_person(
    connection: Connection,
    bin_counts: Collection[int],
    *,
    approve: bool,
    actor: str,
    reason: str,
    policy: CountPolicy,
    now: datetime,
) -> tuple[list[Judged], dict[int, str]]:
    """A person approves or rejects variances that wait for it; returns those decided, and {number: why not} of those
    that could not be."""
    bins = _lock(connection, bin_counts, (CountStatus.AWAITING_APPROVAL,))
    refused = dict.fromkeys(set(bin_counts) - {one.id for one in bins}, "no count with this number waits for approval")
    posting, counts, times = _begin(connection, bins, now)
    found = []
    for one in bins:
        last = counts[one.id][-1]
        if same_name(actor) in {same_name(count.counter) for count in counts[one.id]}:
            refused[one.id] = "whoever counted it may not approve it: ask somebody else"
        elif approve and last.variance != one.variance:
            refused[one.id] = (
                f"the ledger has changed since: the difference is {last.variance:+} now, not {one.variance:+}. "
                "Look again, then once more"
            )
            found.append(_apply(posting, one, counts[one.id], Decision(Outcome.ASK, last, "it changed"), policy))
        elif approve:
            outcome = Outcome.POST if last.variance else Outcome.MATCH
            found.append(_apply(posting, one, counts[one.id], Decision(outcome, last, reason), policy))
        else:
            found.append(_judged(one, counts[one.id], last, CountStatus.REJECTED, reason, 0, policy))
    _finish(connection, posting, bins, found, times, by=actor, now=now)
    return [made for made in found if made.bin_count not in refused], refused


def _lock(connection: Connection, ids: Collection[int], statuses: Sequence[CountStatus]) -> list[_Bin]:
    rows = connection.execute(_BINS, {"ids": sorted(set(ids)), "statuses": [one.value for one in statuses]})
    return [_Bin(row.id, row.sku, row.location, CountStatus(row.status), row.variance, row.unit_cost) for row in rows]


def _begin(
    connection: Connection, bins: Sequence[_Bin], now: datetime
) -> tuple[Posting, Mapping[int, list[Count]], Mapping[int, datetime]]:
    """Stock stands still from here on. Counts by bin, oldest first, and when each bin was counted last."""
    skus = sorted({one.sku for one in bins})
    shelf = lock_shelf(connection, skus, eligible_locations(connection), now=now)
    posting = begin(connection, shelf, lock_balances(connection, skus).items(), skus=skus, now=now)
    counts: dict[int, list[Count]] = defaultdict(list)
    times: dict[int, datetime] = {}
    for row in connection.execute(_COUNTS, {"ids": [one.id for one in bins]}):
        counts[row.bin_count].append(Count(row.counter, row.quantity, row.expected, row.certain))
        times[row.bin_count] = max(times.get(row.bin_count, row.counted_at), row.counted_at)
    return posting, counts, times


def _apply(posting: Posting, one: _Bin, counts: Sequence[Count], decision: Decision, policy: CountPolicy) -> Judged:
    posted = 0
    if decision.outcome is Outcome.POST:
        actor = ", ".join(dict.fromkeys(count.counter for count in counts))
        posted = posting.post(Variance(one.id, one.sku, one.location, decision.count.variance, actor))
    return _judged(one, counts, decision.count, _STATUS[decision.outcome], decision.why, posted, policy)


def _judged(
    one: _Bin, counts: Sequence[Count], last: Count, status: CountStatus, why: str, posted: int, policy: CountPolicy
) -> Judged:
    return Judged(
        one.id,
        one.sku,
        one.location,
        status,
        why,
        last.expected,
        last.variance,
        posted,
        worth(abs(last.variance), one.unit_cost, policy),
        tuple(count.counter for count in counts),
    )


def _finish(
    connection: Connection,
    posting: Posting,
    bins: Sequence[_Bin],
    found: Sequence[Judged],
    times: Mapping[int, datetime],
    *,
    by: str = "",
    now: datetime,
) -> None:
    """Write the movements, the decisions, and what a person must look at."""
    write_shelf(connection, posting.shelf, now=now)
    mark_dirty(connection, {move.sku for move in posting.shelf.moves}, now=now)
    costs = {one.id: one.unit_cost for one in bins}
    if found:
        connection.execute(
            _WRITE,
            {
                "ids": [one.bin_count for one in found],
                "statuses": [one.status.value for one in found],
                "expected": [one.expected for one in found],
                "variances": [one.variance for one in found],
                "posted": [one.posted for one in found],
                "counted": [times[one.bin_count] for one in found],
                "costs": [costs[one.bin_count] for one in found],
                "by": [by] * len(found),
                "reasons": [one.why for one in found],
                "now": now,
            },
        )
    _tell(connection, found, now)
    open_incidents(connection, posting.incidents, now=now)


def _tell(connection: Connection, found: Sequence[Judged], now: datetime) -> None:
    asking = [one for one in found if one.status is CountStatus.AWAITING_APPROVAL]
    open_incidents(
        connection,
        [
            NewIncident(
                IncidentKind.COUNT_APPROVAL,
                Severity.WARNING,
                f"{one.sku}@{one.location}",
                f"{one.expected + one.variance} of {one.sku} were counted at {one.location} where the ledger has "
                f"{one.expected}: {one.why}. Nothing was posted; approve_counts, number {one.bin_count}",
                {"bin_count": one.bin_count, "variance": one.variance, "value": str(one.value)},
            )
            for one in asking
        ],
        now=now,
    )
    done = [one for one in found if one.status not in (CountStatus.AWAITING_APPROVAL, CountStatus.RECOUNT)]
    subjects = [f"{one.sku}@{one.location}" for one in done]
    resolve_incidents(connection, IncidentKind.COUNT_APPROVAL, subjects, now=now)
    believed = {one.sku for one in done if one.status in (CountStatus.MATCHED, CountStatus.ADJUSTED)}
    counted = [row.sku for row in connection.execute(_COUNTED_SINCE, {"skus": sorted(believed)})]
    resolve_incidents(connection, IncidentKind.UNIT_NOT_FOUND, counted, now=now)


_COUNTED_SINCE = text(
    f"""
    SELECT incident.subject AS sku FROM incident
    WHERE incident.kind = 'unit_not_found' AND incident.status = 'open' AND incident.subject = ANY(:skus)
      AND NOT EXISTS (
          SELECT FROM balance
          WHERE balance.sku = incident.subject AND balance.state IN ({_INSIDE}) AND balance.quantity > 0
            AND NOT EXISTS (
                SELECT FROM bin_count
                WHERE bin_count.sku = balance.sku AND bin_count.location = balance.location
                  AND bin_count.status IN ('matched', 'adjusted') AND bin_count.counted_at > incident.last_at))
    """  # noqa: S608 - put together from constants of this file
)
