"""Count sheets as CSV, for a spreadsheet: written so that no cell runs as a formula, and read back as they were.

A cell that begins with = + - @ (or a tab or a line break) is a formula to a spreadsheet, and whoever can name a product
could have one run on the counter's machine. Such a cell gets an apostrophe before it, which spreadsheets take for
"text".
"""

import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from inventory.counting.counting_sheets import SheetLine

COLUMNS = ("sheet", "line", "location", "sku", "title", "not_by", "quantity", "counted_at")
REQUIRED = ("sheet", "line", "quantity")
OPTIONAL = tuple(name for name in COLUMNS if name not in REQUIRED)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def harmless(cell: str) -> str:
    """The cell as a spreadsheet shows it and does not run it. Invisible characters become spaces."""
    seen = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in cell)
    said = " ".join(seen.split())
    return f"'{said}" if said.startswith(_FORMULA) or cell.startswith(_FORMULA) else said


def plain(cell: str) -> str:
    """What `harmless` was given, as far as it can be known."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell


def same_code(written: str, code: str) -> bool:
    """Whether a cell that went through a spreadsheet is this code: case and the zeros before a number may be gone."""
    given, ours = plain(written).casefold(), " ".join(code.split()).casefold()
    if given == ours:
        return True
    return given.isdigit() and ours.isdigit() and given.lstrip("0") == ours.lstrip("0")


def sheet_csv(lines: Sequence[SheetLine]) -> str:
    """Blind: where and what, never how many there should be."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in lines:
        names = harmless("; ".join(dict.fromkeys(one.not_by)))
        writer.writerow(
            [one.sheet, one.line, harmless(one.location), harmless(one.sku), harmless(one.title), names, "", ""]
        )
    return out.getvalue()


def write_sheet(folder: Path, sheet: int, lines: Sequence[SheetLine]) -> Path | None:
    """Below `folder`/counts, with the byte order mark that Excel wants. None: the file is there already, and may have
    counts in it."""
    place = re.sub(r"[^A-Za-z0-9_-]+", "-", lines[0].location)[:40] or "location"
    path = folder / "counts" / f"sheet-{sheet}-{place}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8-sig", newline="") as file:
            file.write(sheet_csv(lines))
    except FileExistsError:
        return None
    return path
