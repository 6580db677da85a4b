"""The health report as one page that needs nothing else. Every text from outside is escaped."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

from inventory.health.health_samples import Trend
from tasks.health.health_plots import trend_picture
from tasks.health.health_section import Section
from tasks.health.health_sections import worst
from tasks.health.health_words import State, moment

MOST_ROWS = 50
"""Of a section; the artifacts hold more."""
_TEXT_COLUMNS = frozenset({"message", "why", "source", "kinds"})
STYLE = (
    ":root{color-scheme:light dark;--line:#d0d7de;--soft:#57606a;--ground:#f6f8fa}"
    "@media(prefers-color-scheme:dark){:root{--line:#30363d;--soft:#8b949e;--ground:#161b22}"
    "body{background:#0d1117;color:#e6edf3}}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:1.5rem auto;padding:0 1rem}"
    "h1{margin:0}h2{margin:2rem 0 .2rem;font-size:1.15rem}.soft,.none{color:var(--soft)}p{margin:.3rem 0}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(11.5rem,1fr));gap:.6rem;margin:1rem 0}"
    ".tile{display:block;border:1px solid var(--line);border-left:5px solid var(--state);border-radius:6px;"
    "padding:.4rem .7rem;background:var(--ground);color:inherit;text-decoration:none}"
    ".tile b{display:block;font-size:1.35rem;line-height:1.3}.tile small{color:var(--soft)}"
    ".dot{display:inline-block;width:.7em;height:.7em;border-radius:50%;background:var(--state);margin-right:.45em}"
    ".fine{--state:#1a7f37}.unknown{--state:#8b949e}.warning{--state:#d4a72c}.critical{--state:#d1242f}"
    ".table{overflow-x:auto;margin:.5rem 0}table{border-collapse:collapse;font-size:13px}"
    "td,th{padding:.25rem .6rem .25rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line);"
    "white-space:nowrap}th{color:var(--soft);font-weight:600}"
    "td.long{white-space:normal;overflow-wrap:anywhere;min-width:16rem}svg{width:100%;height:auto;margin:.3rem 0}"
)


def health_page(found: Sequence[Section], trends: Mapping[str, Sequence[Trend]], *, at: datetime) -> str:
    """`trends`: by name of the samples."""
    state = worst(list(found))
    tiles = "".join(
        f'<a class="tile {_css(one.state)}" href="#{one.key}"><small>{escape(one.title)}</small>'
        f"<b>{escape(one.figure)}</b><small>{one.state.word}</small></a>"
        for one in found
        if one.figure and one.key != "open-discrepancies"
    )
    body = "\n".join(_section(one, trends.get(one.trend, ())) for one in found)
    return document(
        "Health of the stock",
        f'<h1>Health of the stock</h1><p class="soft"><span class="dot {_css(state)}"></span>{state.word}, as of '
        f'{moment(at)} UTC</p><div class="tiles">{tiles}</div>\n{body}',
    )


def document(title: str, body: str) -> str:
    """`body` is HTML already."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>\n'
        f"{body}\n</body></html>\n"
    )


def _css(state: State) -> str:
    return state.name.lower()


def _section(one: Section, trends: Sequence[Trend]) -> str:
    picture = trend_picture(one.trend, trends) if one.trend else ""
    return (
        f'<h2 id="{one.key}"><span class="dot {_css(one.state)}"></span>{escape(one.title)}</h2>'
        f"<p>{escape(one.says)}</p>{picture}{rows_table(one.rows)}"
    )


def rows_table(rows: Sequence[Mapping[str, str]], most: int = MOST_ROWS) -> str:
    """Of texts; empty for no rows."""
    if not rows:
        return ""
    names = list(rows[0])
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "\n".join("<tr>" + "".join(_cell(name, row[name]) for name in names) + "</tr>" for row in rows[:most])
    more = f'<p class="soft">and {len(rows) - most:,} more</p>' if len(rows) > most else ""
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>{more}'


def _cell(name: str, words: str) -> str:
    style = ' class="long"' if name in _TEXT_COLUMNS else ""
    return f"<td{style}>{escape(words)}</td>"
