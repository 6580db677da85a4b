"""The audit as sections for the terminal, a page that needs nothing else, and figures for programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from inventory.onboarding.readiness import Difference
from tasks.health.health_page import document, rows_table
from tasks.health.health_section import Section
from tasks.health.health_words import State, many, number, percent
from tasks.onboarding.readiness_check import Readiness, by_risk
from tasks.replaying.replay_picture import COLOURS

MOST_BARS = 12
MOST_ROWS = 20
"""Of a table of the page; `--json` has them all."""
MOST_JSON = 1000
"""Findings of a kind that `--json` names; all are counted."""
ROW, BAR, NAME, WIDE = 26, 9, 190, 760


def sections(found: Readiness) -> list[Section]:
    """Those with something to say, the worst first."""
    made = [_differences(found), _sold_out(found), _names(found), _alone(found), _trade(found), _files(found)]
    return sorted((one for one in made if one is not None), key=lambda one: -one.state)


def verdict(found: Readiness) -> str:
    signs = len(found.signs)
    if found.is_bottleneck:
        return f"{signs} signs that the stock holds the business back (two are enough)."
    return "One sign that something drifts." if signs else "No sign of trouble in these files."


def _a_day(found: Readiness) -> Mapping[str, float]:
    return found.trade.a_day if found.trade else {}


def _difference_rows(found: Readiness, differences: Sequence[Difference]) -> list[dict[str, str]]:
    rates = _a_day(found)
    return [
        {
            "SKU": one.sku,
            **{channel: number(one.shown.get(channel)) for channel in found.exports},
            "gap": number(one.gap),
            "promised twice": number(one.twice),
            **({"order lines a day": f"{rates.get(one.sku, 0.0):.1f}"} if found.trade else {}),
        }
        for one in differences
    ]


def _differences(found: Readiness) -> Section:
    compared = found.compared
    share = len(compared.different) / compared.shared if compared.shared else None
    state = State.UNKNOWN if share is None else State.WARNING if compared.different else State.FINE
    told = (
        f"{len(compared.different):,} of {compared.shared:,} shared SKUs ({percent(share)}) show different numbers. "
        f"{_highest(found)}The channels together promise {compared.promised_twice:,} units more than once."
        if share is not None
        else "The channels share no SKU: map their codes first."
    )
    rows = _difference_rows(found, by_risk(compared, _a_day(found)))
    return Section("differences", "Out of sync", state, percent(share), told, rows)


def _highest(found: Readiness) -> str:
    """Who shows the most where they differ: the channel that hears last of the others' sales, as a rule."""
    most = Counter(max(one.shown, key=lambda name: one.shown[name]) for one in found.compared.different)
    told = ", ".join(f"{channel} in {times:,}" for channel, times in most.most_common())
    return f"The highest number stands on {told}. " if told else ""


def _sold_out(found: Readiness) -> Section | None:
    those = found.compared.sold_out_somewhere
    if not those:
        return None
    told = f"{many(len(those), 'SKU')}: nothing left on one channel, for sale on another. One of the two is wrong."
    rates = _a_day(found)
    rows = _difference_rows(found, sorted(those, key=lambda one: (-rates.get(one.sku, 0.0), -one.gap, one.sku)))
    return Section("sold-out", "Sold out here, on sale there", State.CRITICAL, number(len(those)), told, rows)


def _names(found: Readiness) -> Section | None:
    compared = found.compared
    rows = [
        {"what": "twice on one channel", "where": one.channel, "SKU": one.sku,
         "detail": f"rows {_list(one.rows)}: {_list(one.quantities)}"}
        for one in compared.duplicates
    ]  # fmt: skip
    for channel, export in found.exports.items():
        rows += [{"what": "no SKU", "where": channel, "SKU": "", "detail": f"row {row}"} for row in export.without_sku]
    rows += [
        {"what": "below zero", "where": channel, "SKU": sku, "detail": number(quantity)}
        for channel, sku, quantity in compared.negative
    ]
    rows += [
        {"what": "written differently", "where": " and ".join(written), "SKU": sku,
         "detail": ", ".join(f"{channel} {spelled!r}" for channel, spelled in written.items())}
        for sku, written in compared.spelled
    ]  # fmt: skip
    rows += [
        {"what": "perhaps the same", "where": f"{channel} and {other}", "SKU": sku, "detail": f"{other} {name!r}"}
        for channel, sku, other, name in compared.perhaps
    ]
    rows += [
        {"what": "no goods", "where": channel, "SKU": sku, "detail": "on the list of codes that move no stock"}
        for channel, sku in compared.no_goods
    ]
    if not rows:
        return None
    told = (
        f"Twice on one channel: {len(compared.duplicates):,}; matching only after normalisation: "
        f"{len(compared.spelled):,}; perhaps the same: {len(compared.perhaps):,}; "
        f"below zero: {len(compared.negative):,}."
    )
    return Section("names", "Codes that do not meet", State.WARNING, number(len(rows)), told, rows)


def _list(values: Sequence[int], most: int = 6) -> str:
    return ", ".join(map(str, values[:most])) + (", …" if len(values) > most else "")


def _alone(found: Readiness) -> Section | None:
    lonely = {channel: skus for channel, skus in found.compared.alone.items() if skus}
    if not lonely:
        return None
    rates = _a_day(found)
    rows = [
        {"channel": channel, "SKU": sku, "order lines a day": f"{rates.get(sku, 0.0):.1f}"}
        for channel, skus in lonely.items()
        for sku in sorted(skus, key=lambda one: (-rates.get(one, 0.0), one))
    ]
    told = ", ".join(f"{len(skus):,} on {channel} alone" for channel, skus in lonely.items())
    return Section("alone", "On one channel alone", State.FINE, number(len(rows)), f"{told}.", rows)


def _trade(found: Readiness) -> Section | None:
    trade = found.trade
    if trade is None:
        return None
    mirror, strict = trade.tallies["mirror"], trade.tallies["strict"]
    share = percent(mirror.oversold_lines / max(1, trade.replayed), 2)
    upon = "the numbers of today" if trade.cover_weeks is None else f"{trade.cover_weeks:g} weeks of stock"
    told = (
        f"{trade.replayed:,} of {trade.lines:,} order lines of {trade.days:,} days come upon {upon} on "
        f"{len(found.exports)} channels: if every channel shows all of it and hears of the others' sales after "
        f"{trade.lag:g} s, {mirror.oversold_lines:,} lines ({share}) "
        f"are oversold; under strict {strict.oversold_lines:,}, with {_fill(strict)} of what one counter would have "
        "delivered. `onhand replay` tells more."
    )
    rows = [
        {"SKU": one.sku, "oversold lines": number(one.lines), "order lines": number(one.demand),
         "of its lines": percent(one.lines / max(1, one.demand))}
        for one in trade.worst
    ]  # fmt: skip
    state = State.WARNING if mirror.oversold_lines else State.FINE
    return Section("oversold", "What would have been oversold", state, number(mirror.oversold_lines), told, rows)


def _fill(tally: Any) -> str:
    return percent(tally.delivered_units / tally.counter_units if tally.counter_units else 1.0)


def _files(found: Readiness) -> Section:
    rows = [
        {
            "file of": channel,
            "rows": number(len(export.rows)),
            "SKU from": export.sku_heading,
            "quantity from": export.quantity_heading,
            "the channel's own stock": number(export.fulfilled_by_channel),
            "not stocked": number(export.not_stocked),
            "cannot be read": number(len(export.bad)),
            "which": "; ".join(f"row {one.number}: {one.reason}" for one in export.bad[:5]),
        }
        for channel, export in found.exports.items()
    ]
    if found.trade is not None:
        bad_orders = found.trade.read.bad
        rows.append(
            dict.fromkeys(rows[0], "")
            | {"file of": "orders", "rows": number(found.trade.read.rows), "cannot be read": number(len(bad_orders)),
               "which": "; ".join(f"row {one.line_number}: {one.reason}" for one in bad_orders[:5])}
        )  # fmt: skip
    bad = sum(len(export.bad) for export in found.exports.values())
    bad += len(found.trade.read.bad) if found.trade else 0
    told = f"Cannot be read, and left out: {many(bad, 'row')}." if bad else "Every row could be read."
    return Section("files", "What was read", State.WARNING if bad else State.FINE, number(bad), told, rows)


def audit_page(found: Readiness) -> str:
    """Self-contained; every text of the files is escaped."""
    made = sections(found)
    steps = "".join(f"<li>{escape(one)}</li>" for one in found.steps)
    signs = "".join(f"<li>{escape(one)}</li>" for one in found.signs)
    state = "critical" if found.is_bottleneck else "warning" if found.signs else "fine"
    tiles = "".join(
        f'<a class="tile {one.state.name.lower()}" href="#{one.key}"><small>{escape(one.title)}</small>'
        f"<b>{escape(one.figure)}</b><small>{one.state.word}</small></a>"
        for one in made
    )
    body = []
    for one in made:
        picture = gap_bars(found) if one.key == "differences" else ""
        body.append(
            f'<h2 id="{one.key}"><span class="dot {one.state.name.lower()}"></span>{escape(one.title)}</h2>'
            f"<p>{escape(one.says)}</p>{picture}{rows_table(one.rows, MOST_ROWS)}"
        )
    return document(
        "Stock audit",
        f'<h1>Stock audit</h1><p class="soft"><span class="dot {state}"></span>{escape(verdict(found))}</p>'
        f'<div class="tiles">{tiles}</div><h2>What to do first</h2><ol>{steps}</ol>'
        + (f"<h2>Signs</h2><ul>{signs}</ul>" if signs else "")
        + "\n".join(body),
    )


def gap_bars(found: Readiness) -> str:
    """What each channel shows of the SKUs that matter most. Empty when all agree."""
    shown = list(by_risk(found.compared, _a_day(found)))[:MOST_BARS]
    if not shown:
        return ""
    most = max(1, *(max(one.shown.values()) for one in shown))
    channels = list(found.exports)
    row = max(ROW, BAR * len(channels) + 8)
    parts = [
        f'<rect x="{NAME + 130 * place}" y="2" width="10" height="10" fill="{COLOURS[place % len(COLOURS)]}"/>'
        f'<text x="{NAME + 130 * place + 15}" y="11" fill="#8b949e">{escape(channel[:16])}</text>'
        for place, channel in enumerate(channels)
    ]
    for index, one in enumerate(shown):
        top = 24 + index * row
        parts.append(
            f'<text x="{NAME - 8}" y="{top + row / 2 - 1:.0f}" text-anchor="end" fill="#8b949e">'
            f"{escape(one.sku[:26])}</text>"
        )
        for place, channel in enumerate(channels):
            if channel not in one.shown:
                continue
            quantity, y = one.shown[channel], top + place * BAR
            width, colour = max(1.5, (WIDE - NAME - 60) * max(0, quantity) / most), COLOURS[place % len(COLOURS)]
            parts.append(
                f'<rect x="{NAME}" y="{y}" width="{width:.1f}" height="{BAR - 1}" fill="{colour}"/>'
                f'<text x="{NAME + width + 5:.1f}" y="{y + BAR - 1}" font-size="9" fill="#8b949e">{quantity:,}</text>'
            )
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {24 + row * len(shown)}" role="img" '
        f'aria-label="What each channel shows" font-family="system-ui, sans-serif" font-size="12">\n{inside}\n</svg>'
    )


def as_plain(found: Readiness) -> dict[str, Any]:
    """For programs: the verdict, the figures, and the findings by name."""
    compared, trade = found.compared, found.trade
    plain: dict[str, Any] = {
        "bottleneck": found.is_bottleneck,
        "signs": found.signs,
        "steps": found.steps,
        "counts": {
            "skus": compared.skus,
            "shared": compared.shared,
            "different": len(compared.different),
            "sold_out_somewhere": len(compared.sold_out_somewhere),
            "promised_twice": compared.promised_twice,
            "spelled": len(compared.spelled),
            "duplicates": len(compared.duplicates),
            "negative": len(compared.negative),
            "alone": {channel: len(skus) for channel, skus in compared.alone.items()},
        },
        "different": [
            {"sku": one.sku, "shown": dict(one.shown), "gap": one.gap, "promised_twice": one.twice}
            for one in by_risk(compared, _a_day(found))[:MOST_JSON]
        ],
        "duplicates": [asdict(one) for one in compared.duplicates[:MOST_JSON]],
        "spelled": [{"sku": sku, "written": written} for sku, written in compared.spelled[:MOST_JSON]],
        "perhaps": [list(one) for one in compared.perhaps[:MOST_JSON]],
        "negative": [list(one) for one in compared.negative[:MOST_JSON]],
        "alone": {channel: skus[:MOST_JSON] for channel, skus in compared.alone.items()},
        "files": {
            channel: {
                "rows": len(export.rows),
                "without_sku": export.without_sku[:MOST_JSON],
                "fulfilled_by_channel": export.fulfilled_by_channel,
                "bad": [asdict(one) for one in export.bad[:MOST_JSON]],
            }
            for channel, export in found.exports.items()
        },
    }
    if trade is not None:
        plain["orders"] = {
            "lines": trade.lines,
            "days": trade.days,
            "lag_seconds": trade.lag,
            "cover_weeks": trade.cover_weeks,
            "cancelled_lines": trade.read.cancellations,
            "bad": [{"row": one.line_number, "reason": one.reason} for one in trade.read.bad[:MOST_JSON]],
            "policies": {name: asdict(tally) for name, tally in trade.tallies.items()},
            "worst": [asdict(one) for one in trade.worst[:MOST_JSON]],
        }
    return plain
