"""Trends as pictures: inline SVG, without a library."""

from collections.abc import Sequence
from datetime import date, timedelta
from html import escape
from math import ceil, floor, log10

from inventory.health.health_samples import Trend
from tasks.health.health_words import number, percent, seconds
from tasks.replaying.replay_picture import COLOURS

WIDTH, HEIGHT = 760, 190
LEFT, RIGHT, TOP, BOTTOM = 66, 150, 12, 26
MOST_LINES = 7
_SHARES = frozenset({"ira", "failed syncs", "cancelled"})
_GREY = "#8b949e"


def trend_picture(name: str, trends: Sequence[Trend]) -> str:
    """Day by day, a line a subject: the whole business first and bold. Empty when nothing was noted."""
    shown = sorted(trends, key=lambda one: (one.subject != "", -max(value for _, value in one.points)))[:MOST_LINES]
    if not shown:
        return ""
    days = [day for one in shown for day, _ in one.points]
    first, last = min(days), max(days)
    if first == last:
        first -= timedelta(days=1)
    lowest, highest = _range(name, [value for one in shown for _, value in one.points])

    def across(day: date) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (day - first).days / (last - first).days

    def down(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - lowest) / (highest - lowest))

    parts = []
    for step in range(4):
        value = lowest + (highest - lowest) * step / 3
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(value):.1f}" y2="{down(value):.1f}" stroke="{_GREY}" '
            f'stroke-opacity="0.3"/><text x="{LEFT - 8}" y="{down(value) + 4:.1f}" text-anchor="end" fill="{_GREY}">'
            f"{_said(name, value)}</text>"
        )
    for day, anchor in ((first, "start"), (last, "end")):
        parts.append(f'<text x="{across(day):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}" fill="{_GREY}">{day}</text>')
    free = _spread([down(one.points[-1][1]) for one in shown])
    for place, (one, beside) in enumerate(zip(shown, free, strict=True)):
        colour, whole = COLOURS[place % len(COLOURS)], not one.subject
        points = " ".join(f"{across(day):.1f},{down(value):.1f}" for day, value in one.points)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{2.5 if whole else 1.3}"/>'
        )
        subject = escape(one.subject or "all")
        for day, value in one.points:
            parts.append(
                f'<circle cx="{across(day):.1f}" cy="{down(value):.1f}" r="{3 if whole else 2}" fill="{colour}">'
                f"<title>{subject}, {day}: {_said(name, value)}</title></circle>"
            )
        told = f"{one.subject or 'all'} {_said(name, one.points[-1][1])}"
        short = told if len(told) <= 22 else told[:21] + "…"
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{beside + 4:.1f}" fill="{colour}">{escape(short)}</text>')
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(name)} by day" font-family="system-ui, sans-serif" font-size="12">\n{inside}\n</svg>'
    )


def _said(name: str, value: float) -> str:
    if name in _SHARES:
        return percent(value)
    return seconds(value) if name == "sync gap" else number(value)


def _range(name: str, values: Sequence[float]) -> tuple[float, float]:
    """From nothing to a round number above the largest; of an accuracy from a round one below the smallest to all."""
    if name == "ira":
        return min(0.9, floor(min(values) * 20) / 20), 1.0
    most = max(values)
    counted = name not in _SHARES and name != "sync gap"
    if counted and most <= 12:
        # A third of it is a whole number, as what is counted.
        return 0.0, max(3.0, ceil(most / 3) * 3.0)
    if most <= 0:
        return 0.0, 0.01
    size = 10.0 ** floor(log10(most))
    return 0.0, ceil(most / size * 2) / 2 * size


def _spread(places: Sequence[float], apart: float = 14.0) -> list[float]:
    """Labels beside their lines, none over another."""
    found = [0.0] * len(places)
    last = TOP - apart
    for index in sorted(range(len(places)), key=lambda one: places[one]):
        last = found[index] = max(places[index], last + apart)
    over = max(0.0, last - (HEIGHT - BOTTOM))
    return [max(float(TOP), one - over) for one in found]
