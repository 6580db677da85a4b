"""A replay for people: rows of a table, a page of its own, words about what was read."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tasks.replaying.replay_orders import MOST_SHOWN, Replay
from tasks.replaying.replay_picture import frontier

COLUMNS = ("policy", "lag", "outage", "oversold", "in outages", "units", "fill", "hidden", "calls/line")
"""`oversold`: order lines, outside the outages; `in outages`: those within; `units`: of both."""
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2328}"
    ".table{overflow-x:auto}table{border-collapse:collapse}"
    "td,th{padding:.3rem .6rem;white-space:nowrap;border-bottom:1px solid #d0d7de;text-align:right}"
    "td:first-child,th:first-child,td:nth-child(3),th:nth-child(3){text-align:left}"
    "td:nth-child(3){white-space:normal;overflow-wrap:anywhere;min-width:8rem}svg{width:100%;height:auto}"
    "@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}}"
)


def table_rows(replay: Replay) -> list[dict[str, str]]:
    """By column name; with costs when the seller gave figures."""
    return [_row(row, costs=_has_costs(replay)) for row in replay.rows]


def _has_costs(replay: Replay) -> bool:
    return bool(replay.request.oversell_cost or replay.request.margin)


def _row(row: Mapping[str, Any], *, costs: bool) -> dict[str, str]:
    shown = (
        row["policy"],
        f"{row['lag']:g} s",
        row["outage"],
        f"{row['oversold_lines_outside']:,}",
        f"{row['oversold_lines_in_outage']:,}",
        f"{row['oversold_units']:,}",
        f"{row['fill']:.2%}",
        f"{row['hidden_lines_share']:.2%}",
        f"{row['api_calls_per_line']:.2f}",
    )
    found = dict(zip(COLUMNS, shown, strict=True))
    return found | {"cost": f"{row['cost']:,.2f}"} if costs else found


def about(replay: Replay) -> list[str]:
    """What was read, one sentence each."""
    read, request = replay.read, replay.request
    said = [
        f"{replay.lines:,} lines of {replay.skus:,} SKUs on {replay.days:,} days, "
        f"{request.channels} channels, stock for {request.cover_weeks:g} weeks topped up every Monday, "
        + ("each line one unit" if request.units == "line" else "real quantities, accepted in part"),
        f"left out: {read.cancellations:,} cancellations, {read.adjustments:,} stock adjustments, "
        f"{sum(read.non_stock.values()):,} rows that are no goods, {len(read.bad):,} that cannot be read",
    ]
    said += [f"line {one.line_number}: {one.reason}" for one in read.bad[:MOST_SHOWN]]
    if len(read.bad) > MOST_SHOWN:
        said.append(f"and {len(read.bad) - MOST_SHOWN:,} more")
    if read.spread_over_the_minute:
        said.append("the file is exact to the minute: each order was given a second of it, by the seed")
    if replay.days < 63:
        said.append(
            "short history: top-ups need eight weeks before, so the first level is that of the file's own first weeks, "
            "and calibrated knows nothing on the first day"
        )
    return said


def html_page(replay: Replay) -> str:
    """A page that needs nothing else."""
    rows = table_rows(replay)
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0]) if rows else ""
    body = "\n".join("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row.values()) + "</tr>" for row in rows)
    notes = "\n".join(f"<li>{escape(one)}</li>" for one in about(replay))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Replay of policies</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>Replay of policies</h1>\n{frontier(replay.rows)}\n"
        "<p>Each mark is one policy at one lag; the upper left corner is best. Fill is what was delivered, against one "
        "counter that all channels ask. Oversold lines are those that could not be delivered as sold.</p>\n"
        f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>\n'
        f"<ul>{notes}</ul>\n</body></html>\n"
    )


def markdown(rows: Sequence[Mapping[str, str]], notes: Sequence[str]) -> str:
    if not rows:
        return ""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"- {one}" for one in notes)])
