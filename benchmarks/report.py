"""The table to read, and the JSON to compare."""

import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Figure


def machine(settings: dict[str, str], folder: Path, load_before: float) -> dict[str, Any]:
    """What the figures depend on, and nothing that tells whose machine it is."""
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "flush_ms": _flush(folder),
        "postgresql": settings,
    }


def write(path: Path, figures: list[Figure], about: dict[str, Any]) -> None:
    path.write_text(json.dumps({"machine": about, "rows": [asdict(one) for one in figures]}, indent=1) + "\n")


def show(console: Console, figures: list[Figure], about: dict[str, Any]) -> None:
    table = Table(title="Durable reservations and pages, beside the floor of the same run", title_justify="left")
    for heading in ("what", "median", "min", "max", "floor", "× floor"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for one in figures:
        floor, ratio = (f"{one.floor:,.0f}" if one.floor else "", f"{one.ratio:.2f}" if one.ratio else "")
        table.add_row(one.name, f"{one.value:,.0f} {one.unit}", f"{one.min:,.0f}", f"{one.max:,.0f}", floor, ratio)
    console.print(table)
    console.print(
        f"{about['cores']} cores, load {about['load_before']} before and {about['load_after']} after, "
        f"a flush of this disk takes {about['flush_ms']} ms (median), "
        f"PostgreSQL {about['postgresql']['server_version']}. Nothing was oversold: every measurement was audited."
    )


def _flush(folder: Path, times: int = 50) -> float:
    """Median milliseconds to write one page of a file through to the disk, here and now."""
    found = []
    path = folder / "flush"
    with path.open("wb", buffering=0) as file:
        file.write(bytes(8192 * times))
        os.fsync(file.fileno())
        for page in range(times):
            file.seek(page * 8192)
            file.write(os.urandom(8192))
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            found.append(time.perf_counter() - started)
    path.unlink()
    return round(sorted(found)[times // 2] * 1000, 2)
