"""Anybody's order history as a CSV file, plain or gzip: rows that can be used, and rows that cannot.

Columns, in any order, further ones are ignored:

    ts               ISO 8601; without an offset it is taken in the zone that is handed in
    order_id, line   text and whole number; together they name the row
    sku              text, read into its normal form (`inventory.skus`)
    qty              whole number of units; of a cancellation the sign does not matter
    is_cancellation  true/false, yes/no, 1/0
    unit_price       optional; only zero matters (see `adapters.sandbox.trace`)
    customer         optional; 0 or empty is nobody. Kept only as a hash: it may be a mail address
    country          optional and not used

Comma separated, one row a line, UTF-8 (or UTF-16 with its mark). Equal rows with different line
numbers are real lines; only a repeated (order_id, line) is refused. A reason never quotes a value.
"""

import csv
import hashlib
import re
import zlib
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from pathlib import Path

from inventory.skus import fault_of, normalise

REQUIRED = ("ts", "order_id", "line", "sku", "qty", "is_cancellation")
OPTIONAL = ("unit_price", "customer", "country")
MAX_QUANTITY = 100_000
"""Units of one line. The largest real one known is 80,995."""
MAX_LINE_CHARACTERS = 10_000
MAX_FILE_BYTES = 512 * 1024 * 1024
"""Unpacked: a small gzip file may hold more than the memory."""

_WHOLE = re.compile(r"[+-]?\d{1,12}(\.0+)?", re.ASCII)
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class TraceError(ValueError):
    """The file, or a question about it, is of no use. The message is one line for people."""


@dataclass(frozen=True, slots=True)
class BadRow:
    line_number: int
    """In the file, from 1; the header is line 1."""
    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    line_number: int
    at: datetime
    order_id: str
    line: int
    sku: str
    quantity: int
    """As it stands in the file, with its sign."""
    free: bool
    """The price is given and zero."""
    customer: str | None
    """A hash. None when the file names nobody."""
    cancellation: bool


class _Refused(Exception):
    """This row cannot be used; the message is the reason."""


def read_rows(path: Path, zone: tzinfo) -> tuple[list[Row], list[BadRow]]:
    """Every row in the order of the file. Raises `TraceError` when there is nothing to read at all."""
    text, cut_off = _text_of(path)
    lines = text.split("\n")
    bad: list[BadRow] = []
    if cut_off:
        # The last line may have lost its end: a quantity of 12 may have been 120.
        bad.append(BadRow(len(lines), "the gzip file ends early or is damaged from here on"))
        lines.pop()
        if not lines:
            raise TraceError(f"{path} is damaged: not even its first line can be unpacked")
    header = _header_of(path, lines[0])
    rows: list[Row] = []
    seen: set[tuple[str, int, bool]] = set()
    for number, line in enumerate(lines[1:], start=2):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        try:
            row = _row_of(line, number, header, zone)
            key = (row.order_id, row.line, row.cancellation)
            if key in seen:
                raise _Refused("the same order and line came before")
        except _Refused as refused:
            bad.append(BadRow(number, str(refused)))
            continue
        seen.add(key)
        rows.append(row)
    return rows, sorted(bad, key=lambda row: row.line_number)


def customer_key(customer: str) -> str | None:
    """A stable hash, so that no name or address leaves the reader."""
    known = customer.strip().casefold().removesuffix(".0")
    if known in ("", "0"):
        return None
    return hashlib.blake2b(known.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _text_of(path: Path) -> tuple[str, bool]:
    """The text, and whether it was cut off. Undecodable bytes become surrogates, judged row by row."""
    try:
        # A device or a pipe has no size and may never end.
        is_file, size = path.is_file(), path.stat().st_size
        content = path.read_bytes() if is_file and size <= MAX_FILE_BYTES else b""
    except (OSError, ValueError) as error:
        raise TraceError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'no such path'}") from error
    if not is_file:
        raise TraceError(f"cannot read {path}: it is no file")
    if size > MAX_FILE_BYTES:
        raise TraceError(_too_large(path))
    cut_off = False
    if content.startswith(b"\x1f\x8b"):
        content, cut_off = _unpack(path, content)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace").replace("\r\n", "\n"), cut_off
    return content.decode("utf-8", "surrogateescape").removeprefix("\ufeff").replace("\r\n", "\n"), cut_off


def _unpack(path: Path, content: bytes) -> tuple[bytes, bool]:
    """All members of a gzip file as far as they can be read, and whether something is missing."""
    out = bytearray()
    rest = content
    while rest.startswith(b"\x1f\x8b"):
        member = zlib.decompressobj(wbits=31)
        pending = rest
        while pending and not member.eof:
            try:
                out += member.decompress(pending, 1 << 20)
            except zlib.error:
                return bytes(out), True
            pending = member.unconsumed_tail
            if len(out) > MAX_FILE_BYTES:
                raise TraceError(_too_large(path))
        if not member.eof:
            return bytes(out), True
        rest = member.unused_data.lstrip(b"\0")
    return bytes(out), False


def _too_large(path: Path) -> str:
    return f"{path} holds more than {MAX_FILE_BYTES >> 20} MiB; cut it into smaller files"


def _header_of(path: Path, line: str) -> dict[str, int]:
    """Column → its place, and the number of columns under the empty name."""
    if not line.strip():
        raise TraceError(f"{path} is empty; it needs the columns {', '.join(REQUIRED)}")
    try:
        names = [name.strip().casefold() for name in _fields(line)]
    except _Refused as refused:
        raise TraceError(f"{path} has a header that cannot be read: {refused}") from refused
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise TraceError(f"{path} has no column {', '.join(missing)}; it needs {', '.join(REQUIRED)}")
    twice = [name for name in (*REQUIRED, *OPTIONAL) if names.count(name) > 1]
    if twice:
        raise TraceError(f"{path} has the column {', '.join(twice)} more than once")
    return {**{name: place for place, name in enumerate(names)}, "": len(names)}


def _fields(line: str) -> list[str]:
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise _Refused("a quotation mark is not closed") from error


def _row_of(line: str, number: int, header: dict[str, int], zone: tzinfo) -> Row:
    if len(line) > MAX_LINE_CHARACTERS:
        raise _Refused(f"is longer than {MAX_LINE_CHARACTERS} characters")
    fields = _fields(line)
    if len(fields) != header[""]:
        raise _Refused(f"has {len(fields)} fields, the header has {header['']}")
    values = {name: fields[place].strip() for name, place in header.items() if name in REQUIRED + OPTIONAL}
    if all(value.casefold() == name for name, value in values.items()):
        raise _Refused("is the header again")
    for name in REQUIRED:
        if not values[name]:
            raise _Refused(f"{name} is missing")
        if any("\udc80" <= character <= "\udcff" for character in values[name]):
            raise _Refused(f"{name} is not UTF-8")
    cancellation = _FLAGS.get(values["is_cancellation"].casefold())
    if cancellation is None:
        raise _Refused("is_cancellation is neither true nor false")
    free = _is_zero(values.get("unit_price", ""))
    return Row(
        number,
        _instant(values["ts"], zone),
        _code(values["order_id"], "order_id"),
        _whole(values["line"], "line"),
        normalise(_code(values["sku"], "sku")),
        _quantity(values["qty"], may_be_negative=cancellation or free),
        free,
        customer_key(values.get("customer", "")),
        cancellation,
    )


def _instant(value: str, zone: tzinfo) -> datetime:
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=zone) if at.tzinfo is None else at.astimezone(zone)
    except (ValueError, OverflowError) as error:
        raise _Refused("ts is not a date and time (ISO 8601)") from error


def _code(value: str, name: str) -> str:
    fault = fault_of(value)
    if fault:
        raise _Refused(f"{name} {fault}")
    return value


def _whole(value: str, name: str) -> int:
    if not _WHOLE.fullmatch(value):
        raise _Refused(f"{name} is not a whole number")
    return int(value.partition(".")[0])


def _quantity(value: str, *, may_be_negative: bool) -> int:
    quantity = _whole(value, "qty")
    if quantity == 0:
        raise _Refused("qty is zero")
    if abs(quantity) > MAX_QUANTITY:
        raise _Refused(f"qty is absurd, above {MAX_QUANTITY:,}")
    if quantity < 0 and not may_be_negative:
        raise _Refused("qty is negative on a sale")
    return quantity


def _is_zero(price: str) -> bool:
    if not price:
        return False
    try:
        return Decimal(price) == 0
    except InvalidOperation as error:
        raise _Refused("unit_price is not a number") from error
