"""`python -m benchmarks`: measure, print the tables, and keep the figures in `benchmarks/latest.json`.

With names: those alone; the others keep the figures that they have. The pictures go into `.onhand/benchmarks.html`, the
table of docs/performance.md is written anew.
"""

import argparse
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from benchmarks.audit import Violation
from benchmarks.figures import Result
from benchmarks.ledger import laboratory
from benchmarks.pages_of_figures import DOCUMENT, document
from benchmarks.pictures import picture_page
from benchmarks.registry import BENCHMARKS
from benchmarks.report import Entry, read, show, surroundings, write

LATEST = Path(__file__).parent / "latest.json"
PICTURES = Path(__file__).resolve().parents[1] / ".onhand" / "benchmarks.html"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; none: all of them")
    parser.add_argument("--quick", action="store_true", help="a smoke test: small, short, its figures mean nothing")
    parser.add_argument("--output", type=Path, help="where the JSON goes (default: latest.json; with --quick: nowhere)")
    parser.add_argument("--document", action="store_true", help="measure nothing: write tables and pictures anew")
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    output = chosen.output or (None if chosen.quick else LATEST)
    console = Console(width=max(Console().width, 150))
    if not chosen.document:
        names = chosen.names or [name for name, one in BENCHMARKS.items() if one.quick or not chosen.quick]
        began = time.monotonic()
        try:
            with laboratory() if chosen.quick else nullcontext():
                for name in names:
                    entry = _measure(console, name, chosen.quick)
                    show(console, BENCHMARKS[name].title, entry)
                    if output is not None:
                        # After each, so that a run that is broken off has not been for nothing.
                        write(output, {**read(output), name: entry})
        except Violation as violation:
            console.print(f"[bold red]broken promise:[/] {violation}")
            return 1
        console.print(f"Nothing was oversold or lost. {time.monotonic() - began:.0f} seconds in all.")
    if output == LATEST:
        entries = read(LATEST)
        DOCUMENT.write_text(document(entries, DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
        PICTURES.parent.mkdir(exist_ok=True)
        PICTURES.write_text(picture_page(entries), encoding="utf-8")
        console.print(f"Written: {output.name}, {DOCUMENT.name}, {PICTURES.name}", highlight=False)
    return 0


def _measure(console: Console, name: str, quick: bool) -> Entry:
    load, began = os.getloadavg()[0], time.monotonic()
    with console.status(name) as status:
        result: Result = BENCHMARKS[name].run(quick, lambda line: status.update(f"{name}: {line}"))
    return Entry(result, surroundings(load, time.monotonic() - began))


if __name__ == "__main__":
    sys.exit(main())
