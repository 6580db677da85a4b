"""`python -m benchmarks`: measure everything, print the table, write `benchmarks/latest.json`."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from benchmarks.audit import Violation
from benchmarks.clients import crew
from benchmarks.ledger import laboratory
from benchmarks.measure import FULL, QUICK, measure
from benchmarks.report import machine, show, write

LATEST = Path(__file__).parent / "latest.json"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: small, short, its figures mean nothing")
    parser.add_argument("--output", type=Path, help="where the JSON goes (default: latest.json; with --quick: nowhere)")
    chosen = parser.parse_args(arguments)
    plan = QUICK if chosen.quick else FULL
    output = chosen.output or (None if chosen.quick else LATEST)
    console = Console()
    load_before, started = os.getloadavg()[0], time.monotonic()
    try:
        with console.status("starting PostgreSQL") as status, laboratory() as lab, crew() as workers:
            figures = measure(lab, workers, plan, status.update)
            settings = lab.settings()
    except Violation as violation:
        console.print(f"[bold red]broken promise:[/] {violation}")
        return 1
    with tempfile.TemporaryDirectory(prefix="onhand-bench-") as folder:
        about = machine(settings, Path(folder), load_before)
    show(console, figures, about)
    if output is not None:
        write(output, figures, about)
        console.print(f"Written to {output}")
    console.print(f"{time.monotonic() - started:.0f} seconds in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
