"""Read a list by offset while its rows change places, and lose none that was in it at the start.

eBay has no cursor, and does not say in which order it lists the changed orders. When a row moves behind the
place where we read, all between move one place forward, and the row at the border of two pages is on
neither. Hence each page overlaps the one before, and counts only when it still shows a row of it in the
version that is known: two pieces of one list that share a row have no gap between them.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

PATIENCE = 4
"""How often in all an answer that does not add up is asked for again."""


class UnsettledError(Exception):
    """The answers do not add up to one list."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rows from `offset` on, as the answer itself says, and how many rows the whole list has."""

    rows: list[Any]
    offset: int
    total: int


@dataclass(frozen=True, slots=True)
class Walked:
    rows: list[Any]
    """In the order they came; a row whose version changed meanwhile comes in both."""
    calls: int


def walk(fetch: Callable[[int], Part], version_of: Callable[[Any], Hashable | None], size: int) -> Walked:
    """Every row. `fetch(offset)` gives at most `size` (2 or more) rows; `version_of` is equal for the same
    row in the same state, None for a row that cannot be told from others.

    Raises UnsettledError when the answers stay contradictory, or rows move faster than they are read: a page
    that is missing or comes twice never looks like the end.
    """
    overlap = max(1, size // 10)
    rows: list[Any] = []
    known: set[Hashable] = set()
    offset, calls, doubts, back, most_calls = 0, 0, 0, 0, 0
    while True:
        part = fetch(offset)
        calls += 1
        most_calls = most_calls or 10 + 4 * (part.total // (size - overlap) + 1)
        if calls > most_calls:
            raise UnsettledError("rows move faster than they are read")
        doubt = _doubt(part, offset, size)
        versions = [version_of(row) for row in part.rows]
        if doubt is None and offset and not any(version in known for version in versions):
            if back < PATIENCE:
                # Rows before this place have left: what moved forward across the border is not read yet.
                offset, back = max(0, offset - size + overlap), back + 1
                continue
            doubt = "rows move faster than they are read"
        if doubt is not None:
            doubts += 1
            if doubts > PATIENCE:
                raise UnsettledError(doubt)
            continue
        back = 0
        for row, version in zip(part.rows, versions, strict=True):
            if version is None or version not in known:
                rows.append(row)
            if version is not None:
                known.add(version)
        end = offset + len(part.rows)
        if end >= part.total:
            return Walked(rows, calls)
        offset = max(0, end - overlap)


def _doubt(part: Part, offset: int, size: int) -> str | None:
    if part.offset != offset:
        return f"the page from {part.offset} on came where that from {offset} on was asked for"
    expected = max(0, min(size, part.total - offset))
    if len(part.rows) != expected:
        return f"{len(part.rows)} rows came where {expected} were announced"
    return None
