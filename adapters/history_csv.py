"""A seller's order history from a CSV file, as columns for the replay, and what of the file is no demand."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

import numpy as np

from adapters.sandbox.order_csv import BadRow, Row, TraceError, read_rows
from inventory.orders.order_history import OrderHistory, monday_before
from inventory.skus import NON_STOCK

SPLITS = ("customer", "order")


@dataclass(slots=True)
class HistoryReport:
    """What became of the rows."""

    rows: int = 0
    """That could be read, whatever they are."""
    bad: list[BadRow] = field(default_factory=list)
    cancellations: int = 0
    adjustments: int = 0
    """Free of charge and nobody's, or negative: stock was put right."""
    non_stock: Counter[str] = field(default_factory=Counter)
    """Rows by code that is no goods."""
    merged: int = 0
    """Rows of a SKU that stood in its order before."""
    spread_over_the_minute: bool = False
    """The file is exact to the minute; each order was given a second."""


def read_history(
    path: Path, *, shares: Sequence[float], split: str = "customer", seed: int = 0,
    non_stock: Mapping[str, str] = NON_STOCK,
) -> tuple[OrderHistory, HistoryReport]:  # fmt: skip
    """`split`: what decides the channel of an order, by a hash: the customer (orders of nobody known: each by its
    own number) or the order. Raises TraceError when there is no demand in the file."""
    rows, bad = read_rows(path, UTC)
    report = HistoryReport(rows=len(rows), bad=bad)
    orders: dict[str, list[Row]] = {}
    for row in rows:
        if _is_demand(row, report, non_stock):
            orders.setdefault(row.order_id, []).append(row)
    if not orders:
        first = f"; line {bad[0].line_number}: {bad[0].reason}" if bad else ""
        raise TraceError(f"{path} has no usable order line{first}")
    return _columns(orders, report, shares, split, seed), report


def _is_demand(row: Row, report: HistoryReport, non_stock: Mapping[str, str]) -> bool:
    if row.cancellation:
        report.cancellations += 1
    elif row.sku in non_stock:
        report.non_stock[row.sku] += 1
    elif row.quantity < 0 and not row.free:
        report.bad.append(BadRow(row.line_number, "qty is negative on a sale"))
    elif row.free and (row.customer is None or row.quantity < 0):
        report.adjustments += 1
    else:
        return True
    return False


def _columns(
    orders: Mapping[str, list[Row]], report: HistoryReport, shares: Sequence[float], split: str, seed: int
) -> OrderHistory:
    placed = {order: min(row.at for row in rows).replace(tzinfo=None) for order, rows in orders.items()}
    report.spread_over_the_minute = not any(at.second or at.microsecond for at in placed.values())
    origin = monday_before(min(placed.values()))
    edges = np.cumsum(shares) / sum(shares)
    names: dict[str, int] = {}
    at, sku, channel, units = [], [], [], []
    for order, rows in orders.items():
        moment = int((placed[order] - origin).total_seconds() * 1000)
        if report.spread_over_the_minute:
            moment += int(_chance(f"{seed} second {order}") * 60_000)
        buyer = next((row.customer for row in rows if row.customer), None) if split == "customer" else None
        where = int(np.searchsorted(edges, _chance(f"{seed} {'customer ' + buyer if buyer else 'order ' + order}"),
                                    side="right"))  # fmt: skip
        together: Counter[str] = Counter()
        for row in rows:
            together[row.sku] += row.quantity
        report.merged += len(rows) - len(together)
        for name, quantity in together.items():
            at.append(moment)
            sku.append(names.setdefault(name, len(names)))
            channel.append(min(where, len(shares) - 1))
            units.append(quantity)
    ordered = sorted(names)
    place = np.empty(len(names), dtype=np.int32)
    place[[names[name] for name in ordered]] = np.arange(len(names), dtype=np.int32)
    moments, skus = np.array(at, dtype=np.int64), place[np.array(sku)]
    by_sku = np.lexsort((moments, skus))
    return OrderHistory(
        origin,
        tuple(ordered),
        len(shares),
        moments[by_sku],
        skus[by_sku],
        np.array(channel, dtype=np.int16)[by_sku],
        np.array(units, dtype=np.int64)[by_sku],
    )


def _chance(name: str) -> float:
    """Between 0 and 1, the same for the same name on every machine."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()) / 2**64
