"""A channel's own export of its listings, as a seller downloads it: rows of SKU and quantity, and rows that are no use.

The columns are found by the headings that channels give them (`SKU_HEADINGS`, `QUANTITY_HEADINGS`), in any letter case
and order; further columns are ignored. Taken as they come: commas, semicolons and tabs, a byte order mark, UTF-16,
Windows' own letters, gzip, lines before the heading. Shopify's inventory has a row a location: they are added up.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inventory.skus import fault_of

MAX_BYTES = 256 * 1024 * 1024
"""Unpacked."""
HEADING_WITHIN = 10
"""Lines; eBay and others write their own words first."""
MAX_QUANTITY = 10_000_000

SKU_HEADINGS: Sequence[str] = (
    "variant sku", "sku", "seller-sku", "seller sku", "sellersku", "merchant sku", "merchant-sku", "custom label (sku)",
    "customlabel (sku)", "custom label", "customlabel", "product sku", "product code/sku", "item sku", "offer sku",
    "stock code", "stockcode", "item code",
)  # fmt: skip
"""Shopify's products and inventory, Amazon's listing reports, eBay's and WooCommerce's, BigCommerce's, Walmart's."""
QUANTITY_HEADINGS: Sequence[str] = (
    "available", "available (not editable)", "available quantity", "quantity available", "variant inventory qty",
    "quantity", "qty", "stock", "stock quantity", "current stock level", "current stock", "inventory count",
    "input quantity", "inventory quantity", "in stock", "on hand", "on hand (current)",
)  # fmt: skip
"""What may be sold comes before what lies there: `available` before `on hand`."""
LOCATION_HEADINGS: Sequence[str] = ("location", "warehouse")
FULFILMENT_HEADINGS: Sequence[str] = (
    "fulfillment-channel",
    "fulfilment-channel",
    "fulfillment channel",
    "shipnode type",
)
_BY_CHANNEL = re.compile(r"amazon(_|$)|afn|fba|wfs", re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.0+)?|[+-]?\d{1,12}([.,]0{1,2})?", re.ASCII)
_NOT_STOCKED = frozenset({"not stocked", "n/a"})


class ExportError(ValueError):
    """The file as a whole is of no use. The message is one line for people."""


@dataclass(frozen=True, slots=True)
class ExportRow:
    number: int
    """As a spreadsheet counts lines: the heading is line 1, where nothing stands before it."""
    sku: str
    """As it is written."""
    quantity: int
    location: str


@dataclass(frozen=True, slots=True)
class BadExportRow:
    number: int
    reason: str


@dataclass(slots=True)
class Export:
    sku_heading: str
    quantity_heading: str
    rows: list[ExportRow] = field(default_factory=list)
    bad: list[BadExportRow] = field(default_factory=list)
    without_sku: list[int] = field(default_factory=list)
    """Rows that sell something under no SKU."""
    fulfilled_by_channel: int = 0
    """Rows whose stock lies with the channel (FBA, WFS): another stock."""
    not_stocked: int = 0


def read_export(path: Path) -> Export:
    """Every row of a `.csv`, `.txt`, `.tsv`, plain or gzipped. Raises ExportError."""
    text = _text(path)
    lines = re.split(r"\r\n|\n|\r", text)
    if not any(map(str.strip, lines)):
        raise ExportError(f"{path.name} is empty")
    place, delimiter, heading = _heading(path, lines)
    names = [_name(one) for one in heading]
    sku_at, quantity_at = _first(names, SKU_HEADINGS), _first(names, QUANTITY_HEADINGS)
    assert sku_at is not None and quantity_at is not None
    location_at, fulfilment_at = _first(names, LOCATION_HEADINGS), _first(names, FULFILMENT_HEADINGS)
    found = Export(heading[sku_at].strip(), heading[quantity_at].strip())
    for begun, cells in _cells(lines[place + 1 :], delimiter, place + 2, found):
        if not any(map(str.strip, cells)):
            continue
        if len(cells) <= max(sku_at, quantity_at):
            found.bad.append(BadExportRow(begun, f"has {len(cells)} cells, the heading {len(heading)}"))
            continue
        _take(
            found, begun, cells[sku_at], cells[quantity_at].strip(),
            _cell(cells, location_at), _cell(cells, fulfilment_at),
        )  # fmt: skip
    return found


def _cells(lines: Sequence[str], delimiter: str, first: int, found: Export) -> Iterator[tuple[int, list[str]]]:
    """(number of its first line, its cells) of each row."""
    # Amazon's files with tabs quote nothing: a title may begin with a mark of inches.
    written = (f"{line}\n" for line in lines)
    if delimiter == "\t":
        reader = csv.reader(written, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
    else:
        reader = csv.reader(written, delimiter=delimiter, strict=True)
    while True:
        begun = first + reader.line_num
        try:
            yield begun, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lost = first + reader.line_num - begun
            more = f", and with it {lost - 1:,} lines are lost" if lost > 1 else ""
            found.bad.append(BadExportRow(begun, f"its quotes make no sense ({error}){more}"))


def _take(found: Export, number: int, sku: str, quantity: str, location: str, fulfilment: str) -> None:
    if not sku.strip() and not quantity:
        return  # Shopify writes a row for each further picture of a product.
    if _BY_CHANNEL.match(fulfilment):
        found.fulfilled_by_channel += 1
    elif quantity.lower() in _NOT_STOCKED:
        found.not_stocked += 1
    elif not sku.strip():
        found.without_sku.append(number)
    elif fault := fault_of(sku.strip()):
        found.bad.append(BadExportRow(number, f"its SKU {fault}"))
    elif not quantity:
        found.bad.append(BadExportRow(number, f"{found.quantity_heading} is empty"))
    elif not _WHOLE.fullmatch(quantity) or abs(_number(quantity)) > MAX_QUANTITY:
        found.bad.append(BadExportRow(number, f"{found.quantity_heading} is no whole number: {ascii(quantity)[:42]}"))
    else:
        found.rows.append(ExportRow(number, sku, _number(quantity), location))


def _number(words: str) -> int:
    """`1,234` and `1,234.0` are a thousand and more; `12.0` and `12,0` are twelve."""
    if re.fullmatch(r"[+-]?\d+,0{1,2}", words, re.ASCII):
        return int(words.split(",")[0])
    return int(words.replace(",", "").split(".")[0])


def _cell(cells: Sequence[str], place: int | None) -> str:
    return cells[place].strip() if place is not None and place < len(cells) else ""


def _text(path: Path) -> str:
    try:
        # A device or a pipe has no size and may never end.
        is_file, size = path.is_file(), path.stat().st_size
        content = path.read_bytes() if is_file and size <= MAX_BYTES else None
        if content is not None and content.startswith(b"\x1f\x8b"):
            with gzip.open(io.BytesIO(content)) as packed:
                content = packed.read(MAX_BYTES + 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ExportError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'damaged'}") from error
    if not is_file:
        raise ExportError(f"cannot read {path}: it is no file")
    if content is None or len(content) > MAX_BYTES:
        raise ExportError(f"{path.name} is larger than {MAX_BYTES // 1024**2} MB")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Amazon's reports for Europe and North America.
        text = content.decode("cp1252", "replace")
    if "\0" in text:
        raise ExportError(f"{path.name} is no text; export it as CSV, not as a workbook")
    return text


def _heading(path: Path, lines: Sequence[str]) -> tuple[int, str, list[str]]:
    """Its place, the delimiter, its cells."""
    for place, line in enumerate(lines[:HEADING_WITHIN]):
        for delimiter in (",", "\t", ";"):
            try:
                cells = next(csv.reader([line], delimiter=delimiter), [])
            except csv.Error:
                continue
            names = [_name(one) for one in cells]
            if _first(names, SKU_HEADINGS) is not None and _first(names, QUANTITY_HEADINGS) is not None:
                return place, delimiter, cells
    raise ExportError(
        f"{path.name} has no heading with a SKU and a quantity in its first {HEADING_WITHIN} lines; a column of each "
        f"must be called as one of: {', '.join(SKU_HEADINGS[:6])}, …; {', '.join(QUANTITY_HEADINGS[:6])}, …"
    )


def _name(heading: str) -> str:
    return " ".join(heading.strip().lstrip("\ufeff*").lower().replace("_", " ").split())


def _first(names: Sequence[str], known: Sequence[str]) -> int | None:
    """The best known heading wins, not the first column."""
    return next((names.index(one) for one in known if one in names), None)
