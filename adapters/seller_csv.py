"""A seller's CSV: from a file or pasted as text, to rows that carry their number. Nothing is guessed.

Taken as they come: the byte order mark and the semicolons or tabs of Excel, any of the three line ends. Refused:
bytes that are no UTF-8, a row with more or fewer cells than the header, a quote that is not closed, a last line
without its end (a file that was cut off looks like that: of `100` only `10` may be left). What is wrong with one
row holds back that row; what is wrong with the header refuses the file. Meaning is the gate's business.
"""

import csv
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MAX_BYTES = 20 * 1024 * 1024
MAX_ROWS = 200_000
_DELIMITERS = ",;\t"
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class CsvError(ValueError):
    """The file as a whole cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class CsvRow:
    """`number` is the line as a spreadsheet counts it: the header is line 1. Cells are trimmed."""

    number: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class BadRow:
    number: int
    reason: str
    excerpt: str
    """Pure ASCII, at most 60 characters."""


@dataclass(slots=True)
class CsvTable:
    rows: list[CsvRow] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)


def read_csv(source: str, *, required: Sequence[str], optional: Sequence[str] = (), folder: Path) -> CsvTable:
    """`source` is the text itself, or the path of a `.csv` file on this machine (relative ones below `folder`).

    A single line that ends in `.csv` is a path. The header names every required column, in any order and letter
    case, and no other than those and the optional ones. Raises CsvError.
    """
    content, from_file = _content(source, folder)
    lines = _lines(content, from_file)
    if not lines:
        raise CsvError(f"it is empty; its first line must be: {','.join(required)}")
    header, delimiter = _header(lines[0][1], required, optional)
    table = CsvTable()
    for number, line, whole in lines[1:]:
        if len(table.rows) + len(table.bad) >= MAX_ROWS:
            raise CsvError(f"it has more than {MAX_ROWS:,} rows: split it")
        cells, fault = _cells(line, header, delimiter, whole)
        if fault:
            table.bad.append(BadRow(number, fault, ascii(line)[1:-1][:60]))
        else:
            table.rows.append(CsvRow(number, dict(zip(header, cells, strict=True))))
    return table


def _content(source: str, folder: Path) -> tuple[bytes, bool]:
    words = source.strip()
    if "\n" in words or not words.lower().endswith(".csv"):
        return source.encode("utf-8", "surrogatepass"), False
    try:
        path = Path(words).expanduser()
        # Where a link leads counts: it must be a table, too, and no pipe that never ends.
        path = (path if path.is_absolute() else folder / path).resolve(strict=True)
        fits, size = path.suffix.lower() == ".csv" and path.is_file(), path.stat().st_size
        content = path.read_bytes() if fits and size <= MAX_BYTES else b""
    except (OSError, ValueError, RuntimeError) as error:
        # A name that no file can have is a ValueError; a home of nobody, or a link to itself, a RuntimeError.
        why = error.strerror if isinstance(error, OSError) else "no such path"
        raise CsvError(f"{ascii(words)[1:-1][:300]} cannot be read by the process that runs this: {why}") from None
    if not fits:
        raise CsvError(f"{ascii(words)[1:-1][:300]} is no .csv file")
    if size > MAX_BYTES:
        raise CsvError(f"{path.name} is larger than {MAX_BYTES // 1024**2} MB: split it")
    return content, True


def _lines(content: bytes, from_file: bool) -> list[tuple[int, str, bool]]:
    """(number, text, whether its end is there) of each line that is not blank; no byte is lost or replaced."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in content[:200]:
        raise CsvError("it is UTF-16 (Excel's 'Unicode text'): save it as 'CSV UTF-8'")
    text = content.decode("utf-8-sig", "surrogateescape")
    pieces = re.split(r"\r\n|\n|\r", text)
    ended = pieces[-1] == ""
    last = len(pieces) - (2 if ended else 1)
    return [
        (number + 1, line, not from_file or ended or number < last)
        for number, line in enumerate(pieces)
        if line.strip(f" \t{_DELIMITERS}")
    ]


def _header(line: str, required: Sequence[str], optional: Sequence[str]) -> tuple[list[str], str]:
    wanted = f"the columns are {', '.join(required)}" + (f" and if wanted {', '.join(optional)}" if optional else "")
    delimiter = max(_DELIMITERS, key=line.count)
    try:
        names = [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter, strict=True))]
    except csv.Error:
        raise CsvError(f"its first line has a quote that is not closed; {wanted}") from None
    missing = [name for name in required if name not in names]
    unknown = [name for name in names if name not in (*required, *optional)]
    if missing or unknown:
        parts = [f"no column {', '.join(missing)}"] if missing else []
        parts += [f"unknown column {name[:40]!a}" for name in unknown[:3]]
        raise CsvError(f"its first line has {' and '.join(parts)}; {wanted}")
    if len(set(names)) < len(names):
        raise CsvError(f"its first line names a column twice; {wanted}")
    return names, delimiter


def _cells(line: str, header: Collection[str], delimiter: str, whole: bool) -> tuple[list[str], str]:
    """The cells, and why they are not to be used (empty: they are)."""
    if any("\udc80" <= character <= "\udcff" for character in line):
        return [], "is not UTF-8: save the file as 'CSV UTF-8'"
    if any(unicodedata.category(character) in _INVISIBLE for character in line.replace("\t", "")):
        return [], "has an invisible character in it"
    if not whole:
        return [], "is the last line and its end is missing: the file may be cut off. End it with a line break"
    try:
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, strict=True))]
    except csv.Error:
        return [], "has a quote that is not closed: it may be cut off"
    if len(cells) < len(header):
        return cells, f"has {len(cells)} of {len(header)} cells: it may be cut off"
    if len(cells) > len(header):
        return cells, f"has {len(cells)} cells instead of {len(header)}: a thousands separator, or a comma in a name?"
    return cells, ""
