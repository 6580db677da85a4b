"""`onhand status`: the health report in the terminal, without Prefect. As text where the output is no terminal."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from adapters.settings import read_settings
from inventory.health.health_figures import is_small
from inventory.health.health_limits import parse_limits
from inventory.health.health_samples import Trend, trends
from onhand.commands.ledger_access import reach_ledger
from tasks.health.health_section import Section
from tasks.health.health_sections import sections, worst
from tasks.health.health_words import State, moment, number
from tasks.health.measure_health import look

NOTED = ("exposure", "hidden", "low stock", "oversold")
"""Samples that stand in for what takes long to measure."""
SHORT = 5
"""Rows of a section that a glance shows."""
_COLOURS = {State.FINE: "green", State.UNKNOWN: "dim", State.WARNING: "yellow", State.CRITICAL: "bold red"}


def run_status(*, as_json: bool, most: int = SHORT, whole: bool | None = None) -> int:
    """1 when something critical is open. `whole`: also measure what takes seconds of a million listings; None: where
    there are few. Raises LedgerUnreachable, SettingsError."""
    limits = parse_limits(read_settings().cancellation_limits)
    now = datetime.now(UTC)
    with (
        reach_ledger() as engine,
        engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
    ):
        whole = is_small(connection) if whole is None else whole
        health = look(connection, now=now, limits=limits, whole=whole)
        noted = [] if whole else trends(connection, NOTED, days=2, now=now)
    found = sections(health)
    if as_json:
        print(json.dumps(as_plain(found, noted, now), default=str))
    elif sys.stdout.isatty():
        show(found, noted, now, most)
    else:
        print("\n".join(as_text(found, noted, now, most)))
    return int(worst(found) is State.CRITICAL)


def as_plain(found: Sequence[Section], noted: Sequence[Trend], at: datetime) -> dict[str, Any]:
    return {
        "at": at.isoformat(),
        "state": worst(list(found)).word,
        "sections": [asdict(one) | {"state": one.state.word} for one in found],
        "noted": {f"{one.name}: {one.subject}".rstrip(": "): one.points[-1][1] for one in noted},
    }


def as_text(found: Sequence[Section], noted: Sequence[Trend], at: datetime, most: int) -> list[str]:
    """One line a section, then its worst rows."""
    lines = [f"{worst(list(found)).word}, as of {moment(at)} UTC", ""]
    for one in found:
        lines.append(f"{one.state.word:9} {one.title}: {one.says}")
        lines += [f"{'':9}   {_one_line(row)}" for row in one.rows[:most] if one.state >= State.WARNING]
    return [*lines, *_noted_lines(noted)]


def _one_line(row: dict[str, str]) -> str:
    return ", ".join(f"{name} {printable(value)}" for name, value in row.items() if value not in ("", "–"))


def printable(words: str) -> str:
    """What came from outside must not steer a terminal, nor begin a line."""
    return "".join(one if one.isprintable() else " " for one in words)


def _noted_lines(noted: Sequence[Trend]) -> list[str]:
    if not noted:
        return []
    said = ", ".join(f"{one.name} {one.subject} {number(one.points[-1][1])}".replace("  ", " ") for one in noted)
    return ["", f"As the last report noted ({noted[0].points[-1][0]}; --whole measures it now): {said}"]


def show(found: Sequence[Section], noted: Sequence[Trend], at: datetime, most: int) -> None:
    """With colours where there are any: tables of what is not fine, and of the two headlines."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    state = worst(list(found))
    console.print(f"[{_COLOURS[state]}]{state.word}[/], as of {moment(at)} UTC", highlight=False)
    for one in found:
        console.print(f"\n[{_COLOURS[one.state]}]● {one.title}[/] {escape(printable(one.says))}", highlight=False)
        if not one.rows or (one.state < State.WARNING and one.key not in ("accuracy", "failed-syncs")):
            continue
        shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in one.rows[0]:
            shown.add_column(name, header_style="dim", overflow="fold")
        for row in one.rows[:most]:
            shown.add_row(*(escape(printable(value)) for value in row.values()))
        console.print(shown)
    for line in _noted_lines(noted):
        console.print(line, style="dim", highlight=False, markup=False)
