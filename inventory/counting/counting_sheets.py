"""Count sheets: made, read, filled. A line is filled once; filling it again with the same number changes nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from inventory.counting.counting_plan import Planned
from inventory.people.raci import same_name

LineKey = tuple[int, int]
"""(sheet, line)"""

LINES_A_SHEET = 200
"""At most: a sheet is one person's work, and a full count is many people's."""


@dataclass(frozen=True, slots=True)
class SheetLine:
    """As the counter sees it: where and what, never how many."""

    sheet: int
    line: int
    location: str
    sku: str
    title: str
    not_by: tuple[str, ...]
    """Who has counted it before, and so must not again."""


@dataclass(frozen=True, slots=True)
class KnownLine:
    """A line of a sheet, with what the gate needs to know of it."""

    sheet: int
    line: int
    location: str
    sku: str
    quantity: int | None
    """None: not counted yet."""
    open: bool
    """It waits for its count."""
    created_at: datetime
    counters: frozenset[str]
    """Who counted this bin before, as `inventory.people.raci.same_name` has them."""
    on_hand: int
    """By the ledger, now."""


@dataclass(frozen=True, slots=True)
class Filled:
    sheet: int
    line: int
    counter: str
    quantity: int
    counted_at: datetime


_OPEN_BINS = text(
    """
    INSERT INTO bin_count (sku, location, causes, prompted, abc, score, status, opened_at, due_at, posted, decided_by,
                           decision_reason)
    SELECT sku, location, causes, prompted, abc, score, 'open', :now, due, 0, '', ''
    FROM unnest(CAST(:skus AS text[]), CAST(:locations AS text[]), CAST(:causes AS text[]), CAST(:prompted AS bool[]),
                CAST(:abc AS text[]), CAST(:scores AS float[]), CAST(:dues AS timestamptz[]))
         AS given (sku, location, causes, prompted, abc, score, due)
    ORDER BY sku, location
    ON CONFLICT (sku, location) WHERE status IN ('open', 'recount', 'awaiting_approval') DO NOTHING
    RETURNING id, sku, location
    """
)
_SHEET = text(
    "INSERT INTO count_sheet (location, recount, created_at, created_by) "
    "VALUES (:location, :recount, :now, :by) RETURNING id"
)
_LINES = text(
    """
    INSERT INTO count_line (sheet, line, bin_count, counter)
    SELECT :sheet, number, bin_count, ''
    FROM unnest(CAST(:bins AS bigint[])) WITH ORDINALITY AS given (bin_count, number)
    """
)


def open_sheets(connection: Connection, planned: Sequence[Planned], *, by: str = "", now: datetime) -> list[int]:
    """Sheets of one location each, in the order of the SKUs; a bin that is to be counted already is left out."""
    opened = connection.execute(
        _OPEN_BINS,
        {
            "skus": [one.bin.sku for one in planned],
            "locations": [one.bin.location for one in planned],
            "causes": [",".join(one.causes) for one in planned],
            "prompted": [one.prompted for one in planned],
            "abc": [one.abc for one in planned],
            "scores": [float(one.score) for one in planned],
            "dues": [one.due for one in planned],
            "now": now,
        },
    ).all()
    by_place: dict[str, list[int]] = {}
    for row in sorted(opened, key=lambda one: (one.location, one.sku)):
        by_place.setdefault(row.location, []).append(row.id)
    return [
        sheet
        for place, bins in by_place.items()
        for sheet in make_sheets(connection, place, bins, recount=False, by=by, now=now)
    ]


def make_sheets(
    connection: Connection, location: str, bin_counts: Sequence[int], *, recount: bool, by: str = "", now: datetime
) -> list[int]:
    made = []
    for start in range(0, len(bin_counts), LINES_A_SHEET):
        values = {"location": location, "recount": recount, "now": now, "by": by}
        sheet = int(connection.execute(_SHEET, values).scalar_one())
        connection.execute(_LINES, {"sheet": sheet, "bins": list(bin_counts[start : start + LINES_A_SHEET])})
        made.append(sheet)
    return made


_TO_COUNT = text(
    """
    SELECT count_line.sheet, count_line.line, bin_count.location, bin_count.sku, item.title,
           ARRAY(SELECT other.counter FROM count_line AS other
                 WHERE other.bin_count = bin_count.id AND other.quantity IS NOT NULL ORDER BY other.recorded_at)
               AS not_by
    FROM count_line JOIN bin_count ON bin_count.id = count_line.bin_count JOIN item ON item.sku = bin_count.sku
    WHERE count_line.quantity IS NULL AND bin_count.status IN ('open', 'recount') AND (:all OR sheet = ANY(:sheets))
    ORDER BY count_line.sheet, count_line.line
    """
)


def lines_to_count(connection: Connection, sheets: Collection[int] | None = None) -> list[SheetLine]:
    """The lines of these sheets (None: of all) that wait for a count."""
    rows = connection.execute(_TO_COUNT, {"all": sheets is None, "sheets": sorted(sheets or ())})
    return [SheetLine(row.sheet, row.line, row.location, row.sku, row.title, tuple(row.not_by)) for row in rows]


_KNOWN = text(
    """
    SELECT count_line.sheet, count_line.line, bin_count.location, bin_count.sku, count_line.quantity,
           count_line.quantity IS NULL AND bin_count.status IN ('open', 'recount') AS open, count_sheet.created_at,
           ARRAY(SELECT other.counter FROM count_line AS other
                 WHERE other.bin_count = bin_count.id AND other.quantity IS NOT NULL) AS counters,
           coalesce((SELECT sum(quantity) FROM balance
                     WHERE balance.sku = bin_count.sku AND balance.location = bin_count.location
                       AND state IN ('available', 'reserved', 'allocated', 'damaged', 'quarantined')), 0)::bigint
               AS on_hand
    FROM unnest(CAST(:sheets AS bigint[]), CAST(:lines AS int[])) AS asked (sheet, line)
    JOIN count_line ON count_line.sheet = asked.sheet AND count_line.line = asked.line
    JOIN count_sheet ON count_sheet.id = count_line.sheet JOIN bin_count ON bin_count.id = count_line.bin_count
    """
)


def known_lines(connection: Connection, keys: Collection[LineKey]) -> dict[LineKey, KnownLine]:
    ordered = sorted(set(keys))
    rows = connection.execute(_KNOWN, {"sheets": [key[0] for key in ordered], "lines": [key[1] for key in ordered]})
    return {
        (row.sheet, row.line): KnownLine(
            row.sheet, row.line, row.location, row.sku, row.quantity, row.open, row.created_at,
            frozenset(same_name(name) for name in row.counters), row.on_hand,
        )
        for row in rows
    }  # fmt: skip


_FILL = text(
    """
    UPDATE count_line SET counter = given.counter, quantity = given.quantity, counted_at = given.counted_at,
                          recorded_at = :now
    FROM unnest(CAST(:sheets AS bigint[]), CAST(:lines AS int[]), CAST(:counters AS text[]),
                CAST(:quantities AS bigint[]), CAST(:times AS timestamptz[]))
         AS given (sheet, line, counter, quantity, counted_at), bin_count
    WHERE count_line.sheet = given.sheet AND count_line.line = given.line AND count_line.quantity IS NULL
      AND bin_count.id = count_line.bin_count AND bin_count.status IN ('open', 'recount')
    RETURNING count_line.sheet, count_line.line, count_line.bin_count
    """
)
_LOCK = text(
    "SELECT id FROM bin_count WHERE id IN (SELECT bin_count FROM count_line "
    "JOIN unnest(CAST(:sheets AS bigint[]), CAST(:lines AS int[])) AS given (sheet, line) USING (sheet, line)) "
    "ORDER BY id FOR UPDATE"
)


def fill(connection: Connection, filled: Sequence[Filled], *, now: datetime) -> dict[LineKey, int]:
    """Write the counts of lines that wait for one; returns {line: the bin count it belongs to}."""
    if not filled:
        return {}
    ordered = sorted(filled, key=lambda one: (one.sheet, one.line))
    keys = {"sheets": [one.sheet for one in ordered], "lines": [one.line for one in ordered]}
    connection.execute(_LOCK, keys)
    rows = connection.execute(
        _FILL,
        {
            **keys,
            "counters": [one.counter for one in ordered],
            "quantities": [one.quantity for one in ordered],
            "times": [one.counted_at for one in ordered],
            "now": now,
        },
    )
    return {(row.sheet, row.line): row.bin_count for row in rows}


@dataclass(frozen=True, slots=True)
class Awaiting:
    """A variance that a person is to approve or reject."""

    bin_count: int
    sku: str
    location: str
    expected: int
    variance: int
    unit_cost: Decimal | None
    counted: str
    """Who counted how many, in the order of the counts."""
    since: datetime
    why: str


_AWAITING = text(
    """
    SELECT bin_count.id, bin_count.sku, bin_count.location, bin_count.expected, bin_count.variance,
           bin_count.unit_cost, bin_count.counted_at, bin_count.decision_reason,
           (SELECT string_agg(line.counter || ' ' || line.quantity, ', ' ORDER BY line.recorded_at, line.sheet)
            FROM count_line AS line WHERE line.bin_count = bin_count.id AND line.quantity IS NOT NULL) AS counted
    FROM bin_count WHERE status = 'awaiting_approval'
    ORDER BY abs(bin_count.variance) * coalesce(bin_count.unit_cost, 1) DESC, bin_count.id
    """
)


def awaiting(connection: Connection) -> list[Awaiting]:
    """All of them, the dearest first."""
    return [
        Awaiting(
            row.id, row.sku, row.location, row.expected, row.variance, row.unit_cost, row.counted, row.counted_at,
            row.decision_reason,
        )
        for row in connection.execute(_AWAITING)
    ]  # fmt: skip
