"""The figures as pictures: one page of HTML that needs nothing else. Inline SVG, without a library."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10

from benchmarks.figures import Figure, said
from benchmarks.registry import BENCHMARKS
from benchmarks.report import Entry
from tasks.replaying.replay_picture import COLOURS

WIDTH, HEIGHT = 860, 380
LEFT, RIGHT, TOP, BOTTOM = 80, 300, 20, 44
BAR = 22
GREY = "#57606a"
HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Benchmarks</title>'
    "<style>body{font:14px system-ui,sans-serif;max-width:900px;margin:2rem auto;color:#1f2328}"
    "svg{width:100%}</style><h1>Benchmarks</h1>"
)


def picture_page(entries: Mapping[str, Entry]) -> str:
    parts = [HEAD]
    for name in BENCHMARKS:
        if name not in entries:
            continue
        figures = entries[name].result.figures
        parts.append(f"<h2>{escape(BENCHMARKS[name].title)}</h2>")
        lines: dict[str, list[Figure]] = defaultdict(list)
        for one in figures:
            if one.series:
                lines[one.unit].append(one)
        parts += [curves(unit, points) for unit, points in lines.items()]
        parts.append(bars([one for one in figures if one.ratio is not None]))
        parts += [f"<p>{escape(note)}</p>" for note in entries[name].result.notes]
    return "\n".join([*parts, "</html>", ""])


def curves(unit: str, points: Sequence[Figure]) -> str:
    """Each series as a line, both axes logarithmic, with the lowest and the highest run of every point."""
    if not points:
        return ""
    across = _Axis([one.x or 1.0 for one in points], LEFT, WIDTH - RIGHT)
    down = _Axis([value for one in points for value in (one.min, one.max)], HEIGHT - BOTTOM, TOP)
    parts = [_text(LEFT, HEIGHT - 6, f"{unit}, beside how much there is", GREY)]
    for power in range(-4, 9):
        for axis, lowest, highest in ((across, LEFT, WIDTH - RIGHT), (down, TOP, HEIGHT - BOTTOM)):
            place = axis(10.0**power)
            if lowest - 1 <= place <= highest + 1:
                told = f"{10.0**power:,g}"
                if axis is across:
                    parts += [
                        _line(place, TOP, place, HEIGHT - BOTTOM),
                        _text(place, HEIGHT - 26, told, GREY, "middle"),
                    ]
                else:
                    parts += [_line(LEFT, place, WIDTH - RIGHT, place), _text(LEFT - 8, place + 4, told, GREY, "end")]
    names = list(dict.fromkeys(one.series for one in points))
    for number, name in enumerate(names):
        colour = COLOURS[number % len(COLOURS)]
        its = sorted((one for one in points if one.series == name), key=lambda one: one.x or 0.0)
        path = " ".join(f"{across(one.x or 1.0):.1f},{down(one.median):.1f}" for one in its)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for one in its:
            x = across(one.x or 1.0)
            told = escape(f"{one.name}: {said(one.median)} {unit} ({said(one.min)} to {said(one.max)})")
            parts.append(_line(x, down(one.min), x, down(one.max), colour))
            parts.append(f'<circle cx="{x:.1f}" cy="{down(one.median):.1f}" r="3.5" fill="{colour}">'
                         f"<title>{told}</title></circle>")  # fmt: skip
        parts.append(_text(WIDTH - RIGHT + 16, TOP + 14 + 17 * number, name, colour))
    return _svg(max(HEIGHT, TOP + 30 + 17 * len(names)), parts, f"{unit} by size")


def bars(figures: Sequence[Figure]) -> str:
    """How many times what stands beside it each figure is, on a logarithmic scale."""
    if not figures:
        return ""
    left, right = 520, 60
    ratios = [one.ratio for one in figures if one.ratio]
    axis = _Axis([1.0, *ratios], left, WIDTH - right)
    parts = []
    for number, one in enumerate(figures):
        y, ratio = 8 + BAR * number, one.ratio or 1.0
        begin, end = sorted((axis(1.0), axis(ratio)))
        colour = {None: "#1f6feb", True: "#1a7f37", False: "#d1242f"}[one.met]
        told = escape(f"{one.name}: {said(one.median)} {one.unit}; {one.beside}: {said(one.floor)}")
        parts.append(f'<rect x="{begin:.1f}" y="{y}" width="{max(1.0, end - begin):.1f}" height="{BAR - 7}" '
                     f'fill="{colour}"><title>{told}</title></rect>')  # fmt: skip
        name = one.name if len(one.name) < 78 else one.name[:76] + "…"
        parts += [_text(left - 30, y + 12, name, "#1f2328", "end"), _text(end + 5, y + 12, f"{ratio:,.3g} ×", GREY)]
    height = 16 + BAR * len(figures)
    return _svg(height, [_line(axis(1.0), 0, axis(1.0), height), *parts], "times what stands beside it")


class _Axis:
    """A place for each number, logarithmically, between whole powers of ten or twice the range."""

    def __init__(self, numbers: Sequence[float], begin: float, end: float) -> None:
        powers = [log10(number) for number in numbers if number > 0] or [0.0]
        self._low, self._high = floor(min(powers) * 4) / 4, ceil(max(powers) * 4) / 4
        if self._low == self._high:
            self._high += 0.25
        self._begin, self._end = begin, end

    def __call__(self, number: float) -> float:
        share = (log10(max(number, 1e-9)) - self._low) / (self._high - self._low)
        return self._begin + share * (self._end - self._begin)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = "#d0d7de") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, told: str, colour: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(told)}</text>'


def _svg(height: float, parts: Sequence[str], label: str) -> str:
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(label)}" font-family="system-ui, sans-serif" font-size="12">\n{inside}\n</svg>'
    )
