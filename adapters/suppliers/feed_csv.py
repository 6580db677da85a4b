"""A supplier's feed as CSV. Other columns than those that are named are left alone."""

import csv
import io

from adapters.suppliers.feed_content import LONGEST_CELL, FeedContent, FeedError, UnreadRow, decoded
from adapters.suppliers.supplier_config import CsvShape

_LONGEST_FIELD = 100_000


def read_csv_feed(content: bytes, shape: CsvShape) -> FeedContent:
    """Raises FeedError."""
    text = decoded(content, shape.encoding)
    whole = text.endswith(("\n", "\r")) or not shape.last_line_ends
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=shape.delimiter, strict=True)
    found = FeedContent()
    header: list[str] = []
    last = 1
    try:
        for cells in rows:
            number, last = last, rows.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header(cells, shape)
                continue
            if len(cells) != len(header):
                many = f"has {len(cells)} of {len(header)} cells"
                found.unread.append(UnreadRow(number, f"{many}: cut off, or a separator in a name?"))
                continue
            named = dict(zip(header, cells, strict=True))
            if max(map(len, cells)) > _LONGEST_FIELD:
                found.unread.append(UnreadRow(number, f"has a cell longer than {_LONGEST_FIELD:,} characters"))
                continue
            if shape.as_of and not found.as_of:
                found.as_of = named[shape.as_of].strip()[:LONGEST_CELL]
            found.add(number, named.get, (shape.code, shape.quantity, shape.promised_at))
    except csv.Error as error:
        cut = "unexpected end of data" in str(error)
        why = "ends inside quotes: it was cut off" if cut else f"is no CSV with {shape.delimiter!r} between its cells"
        raise FeedError(f"from line {last} on it {why}") from None
    if not header:
        raise FeedError("it is empty")
    if not whole:
        _drop_last(found, rows.line_num)
    return found


def _header(cells: list[str], shape: CsvShape) -> list[str]:
    header = [cell.strip() for cell in cells]
    wanted = [name for name in (shape.code, shape.quantity, shape.promised_at, shape.as_of) if name]
    missing = [name for name in wanted if name not in header]
    if missing:
        raise FeedError(f"its first line has no column {', '.join(missing)}: another delimiter, or another file?")
    twice = [name for name in wanted if header.count(name) > 1]
    if twice:
        raise FeedError(f"its first line has the column {twice[0]} twice")
    return header


def _drop_last(found: FeedContent, line: int) -> None:
    """A last line without its end may have lost its last digits."""
    last = max([row.number for row in found.rows] + [row.number for row in found.unread], default=0)
    if found.rows and found.rows[-1].number == last:
        found.rows.pop()
        reason = "is the last line and its end is missing: the file may be cut off (last_line_ends = false allows it)"
        found.unread.append(UnreadRow(last or line, reason))
