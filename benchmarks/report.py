"""The tables to read, and the JSON to compare."""

import json
import os
import platform
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Result, said


@dataclass(frozen=True, slots=True)
class Entry:
    """One benchmark as it was measured last, and in which surroundings."""

    result: Result
    about: dict[str, Any]


def surroundings(load_before: float, seconds: float) -> dict[str, Any]:
    """What the figures depend on, and nothing that tells whose machine it is."""
    return {
        "seconds": round(seconds),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "flush_ms": _flush(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": "embedded, 18, fsync and synchronous_commit on",
    }


def read(path: Path) -> dict[str, Entry]:
    """By name; empty when there is no such file yet."""
    if not path.exists():
        return {}
    written = json.loads(path.read_text(encoding="utf-8"))
    return {name: Entry(Result.of(one), one["about"]) for name, one in written["benchmarks"].items()}


def write(path: Path, entries: Mapping[str, Entry]) -> None:
    written = {name: {"about": one.about, **one.result.to_dict()} for name, one in entries.items()}
    path.write_text(json.dumps({"benchmarks": written}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def show(console: Console, title: str, entry: Entry) -> None:
    table = Table(title=title, title_justify="left")
    for heading in ("what", "median", "min", "max", "beside", "floor", "× floor", "target", ""):
        table.add_column(heading, justify="left" if heading in ("what", "beside", "target") else "right")
    marks = {None: "", True: "[green]reached[/]", False: "[red]not reached[/]"}
    for one in entry.result.figures:
        table.add_row(
            one.name, f"{said(one.median)} {one.unit}", said(one.min), said(one.max), one.beside, said(one.floor),
            f"{one.ratio:,.3g}" if one.ratio is not None else "", one.target, marks[one.met],
        )  # fmt: skip
    console.print(table)
    for note in entry.result.notes:
        console.print(note, highlight=False, markup=False)
    about = entry.about
    console.print(
        f"{about['cores']} cores, load {about['load_before']} before and {about['load_after']} after, a flush of this "
        f"disk takes {about['flush_ms']} ms (median), {about['seconds']} seconds.\n"
    )


def _flush(times: int = 50) -> float:
    """Median milliseconds to write one page of a file through to the disk, here and now."""
    found = []
    with tempfile.TemporaryFile(prefix="onhand-bench-", buffering=0) as file:
        file.write(bytes(8192 * times))
        os.fsync(file.fileno())
        for page in range(times):
            file.seek(page * 8192)
            file.write(os.urandom(8192))
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            found.append(time.perf_counter() - started)
    return round(sorted(found)[times // 2] * 1000, 2)
