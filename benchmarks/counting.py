"""`python -m benchmarks.counting`: planted errors, and how soon each way of counting finds them, at equal work.

Prints the table, writes `counting.json` beside this file and the picture `docs/images/counting.svg`.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.counting_world import (
    Choice,
    State,
    World,
    abc_of,
    at_random,
    build,
    oldest_first,
    onhand,
    plain_abc,
    run,
)

HERE = Path(__file__).parent
LATEST = HERE / "counting.json"
PICTURE = HERE.parent / "docs" / "images" / "counting.svg"
HORIZON = 91
WAYS = ("onhand", "oldest first", "ABC", "ABC + missing units", "random")
COLOURS = ("#1f6feb", "#1a7f37", "#d1242f", "#9a6700", "#57606a")
WORLDS = {"even": "every bin as likely (as the real seller's)", "busy": "what is dear or often picked more likely"}


def ways(seed: int) -> dict[str, Choice]:
    found = (onhand, oldest_first, plain_abc(False), plain_abc(True), at_random(seed))
    return dict(zip(WAYS, found, strict=True))


@dataclass(frozen=True)
class Figures:
    """Of one way of counting, one world, one seed. Curves: by days since the error happened, 0 to 91."""

    errors: int
    found: list[float]
    """Share of the errors found by then."""
    money: list[float]
    """Share of the money that is wrong found by then."""
    by_class: list[float]
    """Share of the errors of A, B and C bins found within 91 days."""
    days_wrong: float
    """Mean days until an error was found, at most 91 each."""
    money_days: float
    """The same, weighed by money."""


def figures(state: State, world: World) -> Figures:
    """Of the errors that happened early enough to be watched for 91 days."""
    watched = [number for number in state.planted if world.errors[number][0] <= world.days - HORIZON]
    bins = np.array([world.errors[number][1] for number in watched])
    worth = np.array([abs(state.planted[number]) for number in watched]) * world.cost[bins]
    days = np.array([state.delays.get(number, HORIZON + 1) for number in watched])
    abc = abc_of(world)[bins]
    reached = [days <= day for day in range(HORIZON + 1)]
    waited = np.minimum(days, HORIZON)
    return Figures(
        len(watched),
        [float(one.mean()) for one in reached],
        [float((one * worth).sum() / worth.sum()) for one in reached],
        [float((days[abc == number] <= HORIZON).mean()) for number in range(3)],
        float(waited.mean()),
        float((waited * worth).sum() / worth.sum()),
    )


def measure(seeds: Sequence[int], *, bins: int, days: int, lines: int, busy: bool) -> dict[str, list[Figures]]:
    found: dict[str, list[Figures]] = {name: [] for name in WAYS}
    for seed in seeds:
        world = build(seed, bins=bins, days=days, busy=busy)
        for name, choose in ways(seed).items():
            found[name].append(figures(run(world, choose, lines), world))
    return found


def summary(its: Sequence[Figures]) -> dict[str, Any]:
    """Means over the seeds; `spread`: lowest and highest share found within 30 days."""
    found = np.array([one.found for one in its])
    return {
        "errors": int(sum(one.errors for one in its)),
        "found": [round(float(share), 4) for share in found.mean(axis=0)],
        "money": [round(float(share), 4) for share in np.array([one.money for one in its]).mean(axis=0)],
        "by_class": [round(float(share), 4) for share in np.array([one.by_class for one in its]).mean(axis=0)],
        "days_wrong": round(float(np.mean([one.days_wrong for one in its])), 2),
        "money_days": round(float(np.mean([one.money_days for one in its])), 2),
        "spread_30": [round(float(found[:, 30].min()), 4), round(float(found[:, 30].max()), 4)],
    }


def show(console: Console, world: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
    table = Table(title=f"Errors: {WORLDS[world]}", title_justify="left")
    heads = ("", "7 d", "14 d", "30 d", "60 d", "91 d", "money 30 d", "money 91 d", "C, 91 d", "days wrong", "weighed")
    for head in heads:
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for name, row in rows.items():
        shares = [row["found"][day] for day in (7, 14, 30, 60, 91)] + [row["money"][day] for day in (30, 91)]
        cells = [f"{share:.0%}" for share in (*shares, row["by_class"][2])]
        table.add_row(name, *cells, f"{row['days_wrong']:.0f}", f"{row['money_days']:.0f}")
    console.print(table)


WIDTH, HEIGHT, LEFT, TOP, PANEL = 760, 400, 60, 40, 300


def picture(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Two panels: share of the errors, and of the money that is wrong, found by days since they happened."""
    parts = []
    for number, (key, title) in enumerate((("found", "errors found"), ("money", "money in error found"))):
        left = LEFT + number * (PANEL + 70)
        parts += _axes(left, title)
        for name, colour in zip(WAYS, COLOURS, strict=True):
            points = " ".join(
                f"{left + PANEL * day / HORIZON:.1f},{TOP + 290 * (1 - share):.1f}"
                for day, share in enumerate(rows[name][key])
            )
            width = 3 if name == "onhand" else 1.5
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
    x = LEFT
    for name, colour in zip(WAYS, COLOURS, strict=True):
        parts.append(f'<rect x="{x}" y="{HEIGHT - 14}" width="16" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{x + 22}" y="{HEIGHT - 8}" fill="#57606a">{name}</text>')
        x += 50 + 7 * len(name)
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Errors found by days since they happened" font-family="system-ui, sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{inside}\n</svg>\n'
    )


def _axes(left: int, title: str) -> list[str]:
    bottom = TOP + 290
    parts = [f'<text x="{left}" y="{TOP - 14}" fill="#1f2328" font-weight="600">{title}</text>']
    for step in range(6):
        y = bottom - 290 * step / 5
        parts.append(f'<line x1="{left}" x2="{left + PANEL}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#57606a">{step * 20} %</text>')
    for day in (0, 14, 30, 60, 91):
        x = left + PANEL * day / HORIZON
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="#eaeef2"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" fill="#57606a">{day}</text>')
    parts.append(
        f'<text x="{left + PANEL / 2}" y="{bottom + 34}" text-anchor="middle" fill="#57606a">'
        "days since the error happened</text>"
    )
    return parts


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.counting", description=__doc__)
    parser.add_argument("--bins", type=int, default=1200)
    parser.add_argument("--seeds", type=int, default=5, help="how many worlds of each kind")
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--work", type=float, default=1.5, help="counts, as a multiple of each bin once in 91 days")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    chosen = parser.parse_args(arguments)
    lines = max(round(chosen.work * chosen.bins / HORIZON), 1)
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
    console = Console(width=120)
    console.print(f"{chosen.bins} bins, {lines} counts a day for everybody, {chosen.seeds} seeds; share found by then")
    report = {
        world: {
            name: summary(its)
            for name, its in measure(
                seeds, bins=chosen.bins, days=2 * HORIZON, lines=lines, busy=world == "busy"
            ).items()
        }
        for world in WORLDS
    }
    for world, rows in report.items():
        show(console, world, rows)
    if not chosen.dry:
        about = {"bins": chosen.bins, "lines_a_day": lines, "days": 2 * HORIZON, "seeds": list(seeds)}
        LATEST.write_text(json.dumps({"about": about, "worlds": report}) + "\n")
        PICTURE.write_text(picture(report["even"]))
        console.print(f"Written to {LATEST} and {PICTURE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
