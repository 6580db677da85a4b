"""`onhand audit`: what two channels' exports and an order file say, before anything is connected."""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from onhand.commands.status import printable
from tasks.health.health_section import Section
from tasks.health.health_words import State
from tasks.onboarding.readiness_check import AuditError, check
from tasks.onboarding.readiness_page import as_plain, audit_page, sections, verdict

_COLOURS = {State.FINE: "green", State.UNKNOWN: "dim", State.WARNING: "yellow", State.CRITICAL: "bold red"}
PLAIN_WIDTH = 160
"""Characters, where the output is no terminal."""


def run_audit(
    exports: Sequence[str], orders: Path | None, *, lag: float, cover_weeks: float | None, most: int,
    to_json: Path | None, to_html: Path | None,
) -> int:  # fmt: skip
    """1 when two signs of trouble are found or more. Raises AuditError, ExportError, TraceError."""
    files = _files(exports)
    for path in (to_json, to_html):
        if path is not None and not path.resolve().parent.is_dir():
            raise AuditError(f"there is no folder {path.resolve().parent} to write {path.name} into")
    found = check(files, orders, lag=lag, cover_weeks=cover_weeks)
    _show(verdict(found), found.signs, found.steps, sections(found), most)
    if to_json is not None:
        _write(to_json, json.dumps(as_plain(found), indent=2, ensure_ascii=False) + "\n")
    if to_html is not None:
        _write(to_html, audit_page(found))
    return int(found.is_bottleneck)


def _files(exports: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for given in exports:
        name, equals, path = given.partition("=")
        if not equals or not name.strip() or not path.strip() or not name.strip().isprintable():
            raise AuditError(f"{given!r} names no channel and file; write --export shopify=inventory.csv")
        if name.strip() in found:
            raise AuditError(f"{name.strip()} is given twice; give each channel a name of its own")
        found[name.strip()] = Path(path.strip())
    return found


def _show(said: str, signs: Sequence[str], steps: Sequence[str], found: Sequence[Section], most: int) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    console.print(said, style="bold", highlight=False, markup=False)
    for sign in signs:
        console.print(f"  • {printable(sign)}", highlight=False, markup=False)
    console.print("\nWhat to do first", style="bold")
    for place, step in enumerate(steps, 1):
        console.print(f"  {place}. {printable(step)}", highlight=False, markup=False)
    for one in found:
        console.print(
            f"\n[{_COLOURS[one.state]}]● {one.title}[/] ({one.state.word}): {escape(printable(one.says))}",
            highlight=False,
        )
        if one.rows:
            _table(console, one.rows, most)


def _table(console: Console, rows: Sequence[dict[str, str]], most: int) -> None:
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in rows[0]:
        shown.add_column(escape(printable(name)), header_style="dim", overflow="fold")
    for row in rows[:most]:
        shown.add_row(*(escape(printable(value)) for value in row.values()))
    console.print(shown)
    if len(rows) > most:
        console.print(f"and {len(rows) - most:,} more", style="dim", highlight=False)


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.resolve().parent, delete=False) as file:
            file.write(text)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(path)
    except OSError as error:
        raise AuditError(f"cannot write {path}: {error.strerror or 'failed'}") from error
