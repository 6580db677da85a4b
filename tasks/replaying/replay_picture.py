"""The frontier as a picture: oversold lines against fill. Inline SVG, without a library."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from typing import Any

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 24, 56
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#0f766e", "#bc4c00", "#57606a")


def frontier(rows: Sequence[Mapping[str, Any]]) -> str:
    """One mark per row; those of one policy are joined from lag to lag. Upper left is best."""
    if not rows:
        return ""
    most = max(row["oversold_lines"] for row in rows)
    lowest = min(0.99, *(row["fill"] for row in rows)) if len(rows) > 1 else min(0.99, rows[0]["fill"])
    lowest = max(0.0, int(lowest * 50) / 50)

    def across(lines: float) -> float:
        # None is a place of its own on a logarithmic axis.
        return LEFT + (WIDTH - LEFT - RIGHT) * (log10(1 + lines) / max(log10(1 + most), 1.0))

    def down(fill: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (min(fill, 1.0) - lowest) / (1 - lowest))

    names = list(dict.fromkeys((row["policy"], row["outage"]) for row in rows))
    parts = [*_axes(most, lowest, across, down)]
    for number, (policy, outage) in enumerate(names):
        colour = COLOURS[number % len(COLOURS)]
        points = [row for row in rows if (row["policy"], row["outage"]) == (policy, outage)]
        places = [(across(row["oversold_lines"]), down(row["fill"])) for row in points]
        if len(places) > 1:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-opacity="0.4"/>')
        for row, (x, y) in zip(points, places, strict=True):
            told = f"{policy}, lag {row['lag']:g} s, outage {outage}: {row['oversold_lines']} oversold lines, "
            told += f"fill {row['fill']:.2%}"
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"><title>{escape(told)}</title></circle>'
            )
        x, y = places[0]
        anchor, beside = ("end", -9) if x > WIDTH - 200 else ("start", 9)
        parts.append(
            f'<text x="{x + beside:.1f}" y="{y + 4 + 13 * (number % 2):.1f}" text-anchor="{anchor}" '
            f'fill="{colour}">{escape(policy)}</text>'
        )
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Oversold lines against fill" font-family="system-ui, sans-serif" font-size="12">\n{inside}\n'
        "</svg>"
    )


def _axes(most: int, lowest: float, across: Any, down: Any) -> list[str]:
    parts = [
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle" fill="#57606a">'
        "oversold order lines</text>",
        f'<text x="16" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" fill="#57606a" '
        f'transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) / 2})">fill against one counter</text>',
    ]
    marks = [0, *(value for value in (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000) if value <= most)]
    for value in marks:
        x = across(value)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#d0d7de"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#57606a">{value:,}</text>'
        )
    for step in range(6):
        fill = lowest + (1 - lowest) * step / 5
        y = down(fill)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#57606a">{fill:.1%}</text>')
    return parts
