"""What the counts say of the record: inventory record accuracy (IRA), shrinkage, coverage. By class and location.

Counts that were *prompted* look where errors are likely, so an accuracy over all counts looks worse than the record is.
The counts whose turn it simply was are a fair sample: their figures stand beside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.words import IncidentKind, Severity

TOLERANCES: Mapping[str, float] = {"A": 0.005, "B": 0.01, "C": 0.05}
"""Share of what was expected by which a bin of a class may be off and still count as accurate within tolerance."""
SHRINKAGE_TARGET = 0.02
LEAST_UNITS = 100
"""Of fewer units counted a rate says nothing."""
ALL = "all"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of the bins that were counted and decided on in a period. Shares are None where nothing was counted."""

    location: str
    """Or `all`."""
    abc: str
    """A, B, C or `all`."""
    bins: int
    ira_exact: float | None
    """Share of the bins where the count was exactly what the ledger had."""
    ira_within: float | None
    """Share of the bins where it was so within the tolerance of their class."""
    sampled: int
    """Of the bins, those whose turn it was."""
    sampled_exact: float | None
    """`ira_exact` of these alone: the fair figure."""
    sampled_within: float | None
    units_expected: int
    """On hand by the ledger at the first count of each bin."""
    units_missing: int
    units_found: int
    value_missing: float
    value_found: float
    shrinkage: float | None
    """(missing − found) ÷ expected, in units; negative: more was found than was missing."""
    shrinkage_value: float | None
    """The same in money."""


_ACCURACY = text(
    """
    WITH counted AS (
        SELECT location, abc, prompted, expected, variance, coalesce(unit_cost, :assumed) AS cost,
               abs(variance) <= greatest(expected, 0)
                   * CASE abc WHEN 'A' THEN CAST(:a AS float) WHEN 'B' THEN CAST(:b AS float) ELSE CAST(:c AS float) END
               AS within,
               -- What was there to lose, once a bin, however often it was counted.
               row_number() OVER (PARTITION BY sku, location ORDER BY counted_at, id) = 1 AS first
        FROM bin_count WHERE status IN ('matched', 'adjusted') AND decided_at > :since AND decided_at <= :until
    )
    SELECT location, abc, count(*) AS bins, count(*) FILTER (WHERE variance = 0) AS exact,
           count(*) FILTER (WHERE within) AS within,
           count(*) FILTER (WHERE NOT prompted) AS sampled,
           count(*) FILTER (WHERE NOT prompted AND variance = 0) AS sampled_exact,
           count(*) FILTER (WHERE NOT prompted AND within) AS sampled_within,
           sum(expected) FILTER (WHERE first)::bigint AS expected,
           sum(expected * cost) FILTER (WHERE first) AS value,
           sum(greatest(-variance, 0))::bigint AS missing, sum(greatest(variance, 0))::bigint AS found,
           sum(greatest(-variance, 0) * cost) AS value_missing, sum(greatest(variance, 0) * cost) AS value_found
    FROM counted GROUP BY GROUPING SETS ((location, abc), (location), (abc), ())
    ORDER BY location NULLS FIRST, abc NULLS FIRST
    """
)


def accuracy(
    connection: Connection,
    *,
    since: datetime,
    until: datetime,
    assumed_cost: float,
    tolerances: Mapping[str, float] = TOLERANCES,
) -> list[Accuracy]:
    """A row for each location and class, each location, each class, and all, of what was decided after `since` and not
    after `until`; all first."""
    rows = connection.execute(
        _ACCURACY,
        {"since": since, "until": until, "assumed": assumed_cost}
        | {abc.lower(): tolerances.get(abc, 0.0) for abc in "ABC"},
    )
    return [_accuracy(row) for row in rows]


def _accuracy(row: Row[Any]) -> Accuracy:
    net, net_value = (row.missing or 0) - (row.found or 0), (row.value_missing or 0) - (row.value_found or 0)
    return Accuracy(
        location=row.location or ALL,
        abc=row.abc or ALL,
        bins=row.bins,
        ira_exact=_share(row.exact, row.bins),
        ira_within=_share(row.within, row.bins),
        sampled=row.sampled,
        sampled_exact=_share(row.sampled_exact, row.sampled),
        sampled_within=_share(row.sampled_within, row.sampled),
        units_expected=row.expected or 0,
        units_missing=row.missing or 0,
        units_found=row.found or 0,
        value_missing=float(row.value_missing or 0),
        value_found=float(row.value_found or 0),
        shrinkage=_share(net, row.expected),
        shrinkage_value=_share(net_value, row.value),
    )


def _share(part: Any, whole: Any) -> float | None:
    return float(part) / float(whole) if whole else None


@dataclass(frozen=True, slots=True)
class Coverage:
    location: str
    bins: int
    """That hold units, or did in the period."""
    counted: int
    """Of them, those with a believed count in the period, or new in it."""


_COVERAGE = text(
    """
    WITH bins AS (
        SELECT sku, location FROM balance
        WHERE state IN ('available', 'reserved', 'allocated', 'damaged', 'quarantined')
        GROUP BY sku, location HAVING sum(quantity) > 0
    )
    SELECT location, count(*) AS bins,
           count(*) FILTER (WHERE EXISTS (
               SELECT FROM bin_count WHERE bin_count.sku = bins.sku AND bin_count.location = bins.location
                 AND bin_count.status IN ('matched', 'adjusted') AND bin_count.counted_at > :since)
             OR NOT EXISTS (
               SELECT FROM movement WHERE movement.sku = bins.sku AND movement.to_location = bins.location
                 AND movement.recorded_at <= :since)) AS counted
    FROM bins GROUP BY location ORDER BY location
    """
)


def coverage(connection: Connection, *, since: datetime) -> list[Coverage]:
    """How much of each location was counted since then."""
    rows = connection.execute(_COVERAGE, {"since": since})
    return [Coverage(row.location, row.bins, row.counted) for row in rows]


def note_shrinkage(connection: Connection, rows: Sequence[Accuracy], *, target: float, now: datetime) -> None:
    """An incident for each location whose shrinkage is not below the target; closed where it is again."""
    places = [one for one in rows if one.location != ALL and one.abc == ALL and one.units_expected >= LEAST_UNITS]
    above = [one for one in places if one.shrinkage is not None and one.shrinkage >= target]
    open_incidents(
        connection,
        [
            NewIncident(
                IncidentKind.SHRINKAGE,
                Severity.WARNING,
                one.location,
                f"{one.shrinkage:.1%} of the units counted at {one.location} are missing (target: less than "
                f"{target:.0%}): {one.units_missing} missing, {one.units_found} found, worth "
                f"{one.value_missing - one.value_found:.2f} together",
                {"shrinkage": one.shrinkage, "units_expected": one.units_expected},
            )
            for one in above
        ],
        now=now,
    )
    calm = [one.location for one in places if one not in above]
    resolve_incidents(connection, IncidentKind.SHRINKAGE, calm, now=now)
