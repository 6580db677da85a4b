"""Ledger against a warehouse's own numbers, as both were at the moment of its snapshot.

The ledger's numbers are taken back to that moment by the movements that happened since. What the warehouse counts is on
hand: sold units that were not sent yet are there as well, so holds and sales make no difference, only what comes in and
goes out does.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.reconciling.discrepancies import Found
from inventory.words import ON_HAND, Comparison, DiscrepancyClass, Drift

GRACE = timedelta(minutes=15)
"""What moved so shortly before or after the snapshot may be in it or not."""
WHOLE = ""
"""The state of a row that counts all that is on hand."""

Shelf = tuple[str, str, str]
"""(SKU, location, state or `WHOLE`)"""


@dataclass(frozen=True, slots=True)
class Then:
    """What the ledger has of one SKU at one location (and in one state) at the snapshot's moment, in units."""

    units: int
    came_before: int
    """Came on hand within the grace before it: the warehouse may not have it in its numbers yet."""
    left_before: int
    came_after: int
    left_after: int
    allocated: int
    """Being picked: it may have left without a shipment being told of."""
    expected_in: int
    """Inbound and in transit to it: it may have arrived without being booked."""
    sold: int = 0
    """Held by orders: they may have left, where nobody tells the ledger of shipments."""

    def nearest(self, units: int) -> int:
        """What is nearest to `units` of all that the ledger can have there, if sold units may have left unseen."""
        return min(max(units, self.units - self.sold), self.units)

    def explains(self, difference: int) -> bool:
        """Whether what is on its way is enough for the warehouse to have so many more (or fewer, if negative)."""
        if difference > 0:
            return difference <= self.left_before + self.came_after + self.expected_in
        return -difference <= self.came_before + self.left_after + self.allocated


_THEN = text(
    """
    WITH sides AS (
        SELECT sku, location, from_state AS state, -quantity AS change, occurred_at FROM movement
        WHERE recorded_at > :since
        UNION ALL
        SELECT sku, to_location, to_state, quantity, occurred_at FROM movement WHERE recorded_at > :since
    ), moved AS (
        SELECT sku, location, CASE WHEN :by_state THEN state ELSE '' END AS state, occurred_at, sum(change) AS change
        FROM sides WHERE state = ANY(:on_hand) AND location = ANY(:locations) AND occurred_at > :since
        GROUP BY sku, location, 3, occurred_at HAVING sum(change) <> 0
    ), since AS (
        SELECT sku, location, state,
               coalesce(sum(change) FILTER (WHERE occurred_at > :taken_at), 0) AS after,
               coalesce(sum(change) FILTER (WHERE occurred_at <= :taken_at AND change > 0), 0) AS came_before,
               -coalesce(sum(change) FILTER (WHERE occurred_at <= :taken_at AND change < 0), 0) AS left_before,
               coalesce(sum(change) FILTER (WHERE occurred_at > :taken_at AND occurred_at <= :until
                                                  AND change > 0), 0) AS came_after,
               -coalesce(sum(change) FILTER (WHERE occurred_at > :taken_at AND occurred_at <= :until
                                                   AND change < 0), 0) AS left_after
        FROM moved GROUP BY sku, location, state
    ), now_there AS (
        SELECT sku, location, CASE WHEN :by_state THEN state ELSE '' END AS state, sum(quantity) AS units
        FROM balance WHERE state = ANY(:on_hand) AND location = ANY(:locations) GROUP BY sku, location, 3
    ), others AS (
        SELECT sku, location, sum(quantity) FILTER (WHERE state = 'allocated') AS allocated,
               sum(quantity) FILTER (WHERE state IN ('inbound', 'in_transit')) AS expected_in,
               sum(quantity) FILTER (WHERE state IN ('reserved', 'allocated')) AS sold
        FROM balance WHERE state IN ('reserved', 'allocated', 'inbound', 'in_transit') AND location = ANY(:locations)
        GROUP BY sku, location
    )
    SELECT sku, location, state, coalesce(now_there.units, 0)::bigint - coalesce(since.after, 0)::bigint AS units,
           coalesce(came_before, 0)::bigint AS came_before, coalesce(left_before, 0)::bigint AS left_before,
           coalesce(came_after, 0)::bigint AS came_after, coalesce(left_after, 0)::bigint AS left_after,
           coalesce(others.allocated, 0)::bigint AS allocated, coalesce(others.expected_in, 0)::bigint AS expected_in,
           CASE WHEN state IN ('', 'reserved', 'allocated') THEN coalesce(others.sold, 0) ELSE 0 END::bigint AS sold
    FROM now_there FULL JOIN since USING (sku, location, state) LEFT JOIN others USING (sku, location)
    """
)


def ledger_then(
    connection: Connection, locations: Collection[str], *, taken_at: datetime, by_state: bool
) -> dict[Shelf, Then]:
    """All that the ledger had at these locations then, by state or all that was on hand together."""
    rows = connection.execute(
        _THEN,
        {
            "since": taken_at - GRACE,
            "taken_at": taken_at,
            "until": taken_at + GRACE,
            "on_hand": [state.value for state in ON_HAND],
            "locations": sorted(locations),
            "by_state": by_state,
        },
    )
    return {(row.sku, row.location, row.state): Then(*row[3:]) for row in rows}


NOTHING = Then(0, 0, 0, 0, 0, 0, 0)


def differences(
    counted: Mapping[Shelf, int], then: Mapping[Shelf, Then], *, stale: bool, sold_may_have_left: bool = False
) -> list[Found]:
    """What the warehouse and the ledger do not agree on, classed. `stale`: the snapshot is too old to judge by.
    `sold_may_have_left`: nobody tells the ledger of shipments, so a warehouse that has fewer by no more than is sold
    agrees with it."""
    totals: dict[tuple[str, str], int] = defaultdict(int)
    off = {}
    for shelf, units in counted.items():
        known = then.get(shelf, NOTHING)
        difference = units - (known.nearest(units) if sold_may_have_left else known.units)
        totals[shelf[:2]] += difference
        if difference:
            off[shelf] = difference
    found = []
    for shelf, difference in sorted(off.items()):
        known = then.get(shelf, NOTHING)
        elsewhere = totals[shelf[:2]] == 0
        kind, message = _class(shelf, difference, known, elsewhere, stale)
        found.append(
            Found(
                Comparison.WAREHOUSE, Drift.COUNT, kind, subject_of(shelf), counted[shelf] - difference, counted[shelf],
                message, sku=shelf[0], location=shelf[1],
            )
        )  # fmt: skip
    return found


def subject_of(shelf: Shelf) -> str:
    sku, location, state = shelf
    return f"{sku}@{location}" + (f"/{state}" if state else "")


def _class(shelf: Shelf, difference: int, known: Then, elsewhere: bool, stale: bool) -> tuple[DiscrepancyClass, str]:
    said = f"the warehouse has {abs(difference)} {'more' if difference > 0 else 'fewer'} than the ledger"
    if stale:
        return DiscrepancyClass.STALE, f"{said}, by a snapshot that is too old to judge by"
    if known.explains(difference):
        return DiscrepancyClass.DELAYED, f"{said}; so many are on their way in or out"
    if shelf[2] and elsewhere:
        return DiscrepancyClass.MISMATCH, f"{said}, but as many in all: they stand in another state"
    return DiscrepancyClass.BAD_COUNT, f"{said}: count the bin"


def swapped(found: Sequence[Found]) -> list[tuple[str, str, str, int]]:
    """(location, SKU that is short, SKU that is over, units): one was probably taken for the other."""
    over = {(one.location, one.observed - one.expected): one.sku for one in found if one.observed > one.expected}
    pairs = []
    for one in found:
        partner = over.get((one.location, one.expected - one.observed))
        if one.observed < one.expected and partner is not None and one.kind is DiscrepancyClass.BAD_COUNT:
            pairs.append((one.location, one.sku, partner, one.expected - one.observed))
    return pairs
