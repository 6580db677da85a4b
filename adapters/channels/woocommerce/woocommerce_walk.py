"""Walk a list that is read by offset while rows leave it, and lose none of those that stay.

WooCommerce has no cursor. A row that leaves the list moves all later rows one place forward, so that
the row at the border of two pages is on neither. Hence the pages overlap, the list is asked for by
ascending id, and a page counts only when it still shows an id up to which everything is known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PATIENCE = 3
"""How often in all an answer that does not add up is asked for again."""


class UnsettledError(Exception):
    """The answers do not add up to one list."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rows from an offset on, ids ascending, and how many rows the whole list has."""

    rows: list[Any]
    total: int


def walk(fetch: Callable[[int], Part], id_of: Callable[[Any], int | None], size: int) -> list[Any]:
    """Every row that was in the list from the first call to the last, the newest version of each.

    `fetch(offset)` gives at most `size` (2 or more) rows. Raises UnsettledError when the answers stay
    contradictory: a page that is missing or comes twice never looks like the end.
    """
    overlap = max(1, size // 10)
    seen: dict[int | str, Any] = {}
    offset, last, doubts = 0, -1, 0
    calls_left: int | None = None
    while True:
        part = fetch(offset)
        if calls_left is None:
            calls_left = 10 + 4 * (part.total // (size - overlap) + 1)
        calls_left -= 1
        ids = [number for row in part.rows if (number := id_of(row)) is not None]
        doubt = _doubt(part, ids, offset, size)
        if doubt is None and offset and not any(number <= last for number in ids):
            # Rows before this place have left: what moved forward across the border is not read yet.
            offset = max(0, offset - size + overlap)
            doubt = "rows leave faster than they are read" if calls_left <= 0 else None
            if doubt is None:
                continue
        if doubt is None:
            for place, row in enumerate(part.rows, offset):
                number = id_of(row)
                seen[f"row {place}" if number is None else number] = row
            last = max([last, *ids])
            end = offset + len(part.rows)
            if end >= part.total and len(seen) >= part.total:
                return list(seen.values())
            if end < part.total and calls_left > 0:
                offset = max(0, end - overlap)
                continue
            doubt = f"{len(seen)} rows came of {part.total}"
            offset, last = 0, -1
        doubts += 1
        if doubts > PATIENCE or calls_left <= 0:
            raise UnsettledError(doubt)


def _doubt(part: Part, ids: list[int], offset: int, size: int) -> str | None:
    expected = max(0, min(size, part.total - offset))
    if len(part.rows) != expected:
        return f"{len(part.rows)} rows came where {expected} were announced"
    if ids != sorted(ids):
        return "the rows are not in the order asked for"
    return None
