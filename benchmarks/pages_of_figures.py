"""The tables of docs/performance.md, out of the JSON: between two marks, and nothing there is typed by hand."""

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.figures import Figure, said
from benchmarks.registry import BENCHMARKS
from benchmarks.report import Entry

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by `python -m benchmarks` -->", "<!-- end of the figures -->"


def document(entries: Mapping[str, Entry], before: str) -> str:
    """The page with its tables made anew. Raises ValueError when it has lost its marks."""
    if before.count(BEGIN) != 1 or before.count(END) != 1:
        raise ValueError(f"{DOCUMENT.name} needs the lines {BEGIN} and {END}, once each")
    head, rest = before.split(BEGIN)
    return f"{head}{BEGIN}\n\n{tables(entries)}\n{END}{rest.split(END)[1]}"


def tables(entries: Mapping[str, Entry]) -> str:
    parts = ["### The targets\n", *_table([(name, one) for name, one in _figures(entries) if one.target], targets=True)]
    for name in BENCHMARKS:
        if name in entries:
            parts += ["", f"### {BENCHMARKS[name].title}\n", _surroundings(entries[name], name), ""]
            parts += _table([(name, one) for one in entries[name].result.figures], targets=False)
            parts += [f"\n{_escaped(note)}" for note in entries[name].result.notes]
    return "\n".join(parts) + "\n"


def _figures(entries: Mapping[str, Entry]) -> list[tuple[str, Figure]]:
    return [(name, one) for name in BENCHMARKS if name in entries for one in entries[name].result.figures]


def _surroundings(entry: Entry, name: str) -> str:
    about = entry.about
    return (
        f"`python -m benchmarks {name}`: {about['seconds']} s, {about['cores']} cores, load {about['load_before']} "
        f"before and {about['load_after']} after, {about['flush_ms']} ms a flush, Python {about['python']}."
    )


def _table(rows: list[tuple[str, Figure]], *, targets: bool) -> list[str]:
    lines = ["| what | target | reached | × | beside it | median (min–max) | |", "|---|---|---|---|---|---|---|"]
    if not targets:
        lines = ["| what | median (min–max) | × | of what stands beside it |", "|---|---|---|---|"]
    for _, one in rows:
        value = f"{said(one.median)} {one.unit}"
        noise = f"{said(one.median)} ({said(one.min)}–{said(one.max)})"
        ratio = f"{one.ratio:,.3g}" if one.ratio is not None else ""
        beside = f"{one.beside}: {said(one.floor)}" if one.beside else ""
        cells = [one.name, f"{noise} {one.unit}", ratio, beside]
        if targets:
            reached = "reached" if one.met else "**not reached**"
            cells = [one.name, one.target, value, ratio, beside, noise, reached]
        lines.append("| " + " | ".join(map(_escaped, cells)) + " |")
    return lines


def _escaped(told: str) -> str:
    return re.sub(r"\s+", " ", told).replace("|", "\\|")
