"""The audit before anything is connected: exports of the channels and an order file, to findings and what to do first.

It needs no credentials and no database, and it sends nothing anywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from adapters.export_csv import Export, read_export
from adapters.history_csv import HistoryReport, read_history
from inventory.onboarding.readiness import Comparison, Difference, Offered, compare_exports
from inventory.orders.order_history import DAY, OrderHistory
from inventory.policies.policy_text import parse_policy
from inventory.replaying.replay import is_absolute, top_ups
from inventory.replaying.replay_demand import SkuDemand
from inventory.replaying.replay_shelf import Setting, Shelf, Tally
from tasks.health.health_words import many

POLICIES = ("mirror", "strict")
ENOUGH_SIGNS = 2
"""So many signs or more: the stock is a bottleneck."""
MANY_DIFFER = 0.05
"""Share of the shared SKUs."""


class AuditError(ValueError):
    """What was asked for makes no sense. The message is one line for people."""


@dataclass(frozen=True, slots=True)
class WouldOversell:
    sku: str
    lines: int
    """Order lines that would have been sold and were not there."""
    units: int
    demand: int
    """Order lines of it."""


@dataclass(slots=True)
class Trade:
    """What the order file says."""

    read: HistoryReport
    lines: int
    days: int
    lag: float
    cover_weeks: float | None
    tallies: dict[str, Tally]
    """By policy."""
    worst: list[WouldOversell]
    """Under mirror, the most lines first."""
    a_day: dict[str, float]
    """Order lines by SKU."""

    @property
    def replayed(self) -> int:
        """Order lines of SKUs of which there was any stock to sell."""
        return self.tallies[POLICIES[0]].demand_lines


@dataclass(slots=True)
class Readiness:
    exports: dict[str, Export]
    compared: Comparison
    trade: Trade | None
    signs: list[str] = field(default_factory=list)
    """Sentences."""
    steps: list[str] = field(default_factory=list)
    """What to do, the most urgent first."""

    @property
    def is_bottleneck(self) -> bool:
        return len(self.signs) >= ENOUGH_SIGNS


def check(
    files: Mapping[str, Path], orders: Path | None = None, *, lag: float = 300.0, cover_weeks: float | None = None
) -> Readiness:
    """`files`: two exports or more, by channel. `cover_weeks`: the orders are replayed upon so many weeks of stock;
    None: upon what the channels show today (the largest number of each SKU), without a top-up.
    Raises AuditError, ExportError, TraceError (the files)."""
    if len(files) < 2:
        raise AuditError("an audit compares two channels or more: --export shopify=a.csv --export amazon=b.txt")
    if not (isfinite(lag) and 0 <= lag <= 7 * 86_400):
        raise AuditError("a lag is a number of seconds from 0 to a week")
    if cover_weeks is not None and not (isfinite(cover_weeks) and 0 < cover_weeks <= 520):
        raise AuditError("the cover is a number of weeks above 0")
    exports = {channel: read_export(path) for channel, path in files.items()}
    compared = compare_exports(
        {
            channel: [Offered(row.number, row.sku, row.quantity, row.location) for row in export.rows]
            for channel, export in exports.items()
        }
    )
    stock = compared.most_shown if cover_weeks is None else None
    trade = _trade(orders, len(files), lag, cover_weeks, stock) if orders is not None else None
    found = Readiness(exports, compared, trade)
    found.signs, found.steps = _signs(found), _steps(found)
    return found


def _trade(
    orders: Path, channels: int, lag: float, cover_weeks: float | None, stock: Mapping[str, int] | None
) -> Trade:
    history, read = read_history(orders, shares=[1.0] * channels)
    days = max(1, history.days - history.first_day)
    single = history.single_units()
    tallies, worst = {}, []
    for name in POLICIES:
        total = Tally()
        for place, tally in enumerate(_lives(single, name, channels, lag, cover_weeks or 1.0, stock)):
            total.add(tally)
            if name == POLICIES[0] and tally.oversold_lines:
                sku = history.skus[place]
                worst.append(WouldOversell(sku, tally.oversold_lines, tally.oversold_units, tally.demand_lines))
        tallies[name] = total
    worst.sort(key=lambda one: (-one.lines, one.sku))
    bounds = single.bounds()
    a_day = {sku: float(bounds[place + 1] - bounds[place]) / days for place, sku in enumerate(history.skus)}
    return Trade(read, len(history.at), days, lag, cover_weeks, tallies, worst, a_day)


def _lives(
    history: OrderHistory, policy: str, channels: int, lag: float, cover_weeks: float, stock: Mapping[str, int] | None
) -> list[Tally]:
    """Of each SKU, each line one unit, as `onhand replay` does."""
    plain = parse_policy(policy)
    setting = Setting(round(lag * 1000), [1.0] * channels, [False] * channels, (), is_absolute(plain, "usual"))
    bounds, found = history.bounds(), []
    for sku, name in enumerate(history.skus):
        inside = slice(bounds[sku], bounds[sku + 1])
        at, units = history.at[inside], history.units[inside]
        sales = list(zip(at.tolist(), history.channel[inside].tolist(), units.tolist(), strict=True))
        levels = top_ups(at, units, history, cover_weeks)
        if stock is not None:
            shown = stock.get(name, 0)
            levels = [(history.first_day * DAY, shown)] if shown > 0 else []
            # What no channel lists, or shows none of, cannot be sold: its orders say nothing here.
            sales = sales if levels else []
        found.append(Shelf(plain, setting, SkuDemand([], sku, setting)).live(sales, levels))
    return found


def _signs(found: Readiness) -> list[str]:
    compared, trade = found.compared, found.trade
    signs = []
    if compared.shared and len(compared.different) > MANY_DIFFER * compared.shared:
        share = len(compared.different) / compared.shared
        signs.append(f"{share:.0%} of the SKUs that channels share show different numbers.")
    if compared.sold_out_somewhere:
        those = many(len(compared.sold_out_somewhere), "SKU")
        signs.append(f"Sold out on one channel and still for sale on another: {those}.")
    unclear = len(compared.duplicates) + sum(len(one.without_sku) for one in found.exports.values())
    if unclear:
        signs.append(
            f"Cannot be told apart, for a SKU stands twice on one channel, or none does: {many(unclear, 'listing')}."
        )
    if compared.spelled or compared.perhaps:
        those = many(len(compared.spelled) + len(compared.perhaps), "SKU")
        signs.append(f"Written differently on the channels, so that a program takes them for two things: {those}.")
    if compared.negative:
        signs.append(f"Below zero, so units were sold that were not there: {many(len(compared.negative), 'number')}.")
    if trade is not None:
        oversold = trade.tallies["mirror"].oversold_lines
        if oversold:
            lines = many(trade.replayed, "order line")
            signs.append(f"Would have been oversold at a lag of {trade.lag:g} s: {oversold:,} of {lines}.")
        if trade.read.cancellations:
            signs.append(f"Cancelled in the order file: {many(trade.read.cancellations, 'line')}.")
    return signs


def _steps(found: Readiness) -> list[str]:
    compared, trade = found.compared, found.trade
    a_day = trade.a_day if trade else {}
    steps = []
    if compared.sold_out_somewhere:
        urgent = sorted(compared.sold_out_somewhere, key=lambda one: (-a_day.get(one.sku, 0.0), -one.gap, one.sku))
        names = ", ".join(one.sku for one in urgent[:5])
        steps.append(f"Count these first, and take them off sale until you know, for one channel says none: {names}.")
    elif compared.different:
        names = ", ".join(one.sku for one in by_risk(compared, a_day)[:5])
        steps.append(f"Count the SKUs with the largest gaps, and set every channel to what is there: {names}.")
    if compared.duplicates or any(one.without_sku for one in found.exports.values()):
        steps.append("Give every listing one SKU of its own; nothing can be kept right before.")
    if compared.spelled:
        those = many(len(compared.spelled), "SKU")
        steps.append(f"Write what matches only by its normal form ({those}) alike everywhere, or import aliases.")
    if compared.perhaps:
        steps.append(
            f"Decide which SKUs that differ in marks alone ({len(compared.perhaps):,}) are one thing, and map them."
        )
    lonely = sum(map(len, compared.alone.values()))
    if lonely:
        steps.append(f"Say of {many(lonely, 'SKU')} that one channel alone lists whether that is meant.")
    if trade is not None and trade.tallies["mirror"].oversold_lines:
        steps.append(
            f"Begin with the SKUs that would have oversold most ({len(trade.worst):,} would have): "
            f"{', '.join(one.sku for one in trade.worst[:5])}."
        )
    if compared.promised_twice:
        steps.append("Connect the channels in shadow mode (docs/operations.md): nothing is written, all is seen.")
    return steps or ["Nothing is out of order in these files; look again with today's exports and an order file."]


def by_risk(compared: Comparison, a_day: Mapping[str, float]) -> Sequence[Difference]:
    """The gap counts the more the more often the SKU is sold."""
    return sorted(compared.different, key=lambda one: (-one.gap * (1 + a_day.get(one.sku, 0.0)), one.sku))
