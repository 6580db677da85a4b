"""The generated day has the shape that was measured on the recording."""

import csv
import gzip
from collections import Counter
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from adapters.sandbox.generator import (
    CATALOGUE_SIZE,
    LINES_OF_AN_ORDER,
    UNITS_OF_A_LINE,
    cancellations_for,
    catalogue,
    generate,
)
from adapters.sandbox.trace import Trace, TraceError, read_trace
from inventory.skus import is_non_stock, normalise

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "online_retail"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded trace is not there: {DATA}")


@pytest.fixture(scope="module")
def trace() -> Trace:
    return generate(seed=7, days=60)


def quantities(trace: Trace) -> list[int]:
    return [line.quantity for order in trace.orders for line in order.lines]


def test_the_same_seed_gives_the_same_day() -> None:
    assert generate(3) == generate(3)
    assert generate(3) != generate(4)
    assert generate(3, days=2).day(1) == generate(3)


def test_orders_a_day(trace: Trace) -> None:
    per_day = Counter(order.placed_at.date() for order in trace.orders)
    assert len(per_day) == 60
    assert all(day.weekday() != 5 for day in per_day), "no trade on Saturdays"
    assert 62 <= min(per_day.values()) < 75
    assert 138 < max(per_day.values()) <= 151


def test_lines_of_an_order(trace: Trace) -> None:
    sizes = [len(order.lines) for order in trace.orders]
    assert np.quantile(sizes, [0.5, 0.9, 0.99]) == pytest.approx([15, 53, 198], rel=0.1)
    assert max(sizes) <= 1112
    assert np.mean(sizes) == pytest.approx(1_014_944 / 39_516, rel=0.08)
    assert max(value for _, value in LINES_OF_AN_ORDER) == 1112


def test_units_of_a_line(trace: Trace) -> None:
    units = quantities(trace)
    assert np.quantile(units, [0.5, 0.75, 0.9, 0.99]).tolist() == [3, 12, 24, 100]
    assert np.mean(np.array(units) == 1) == pytest.approx(0.279, abs=0.01)
    assert sum(UNITS_OF_A_LINE.values()) == pytest.approx(1)


def test_popularity(trace: Trace) -> None:
    goods = catalogue()
    assert len(goods.skus) == len(set(goods.skus)) == CATALOGUE_SIZE
    assert not any(map(is_non_stock, goods.skus))
    assert all(normalise(sku) == sku for sku in goods.skus)
    assert any(sku.endswith("B") for sku in goods.skus), "letter variants are there"
    lines = Counter(line.sku for order in trace.orders for line in order.lines)
    counts = np.array(sorted(lines.values(), reverse=True))
    shares = [counts[: round(CATALOGUE_SIZE * part)].sum() / counts.sum() for part in (0.01, 0.05, 0.2, 0.5)]
    assert shares == pytest.approx([0.106, 0.317, 0.671, 0.924], abs=0.02)
    ranks = np.arange(10, 1001)
    slope = np.polyfit(np.log(ranks), np.log(counts[9:1000]), 1)[0]
    assert slope == pytest.approx(-0.56, abs=0.04)


def test_repeats_inside_an_order(trace: Trace) -> None:
    repeats = sum(len(order.lines) - len({line.sku for line in order.lines}) for order in trace.orders)
    assert repeats / len(quantities(trace)) == pytest.approx(0.0227, abs=0.003)
    assert all([line.line for line in o.lines] == list(range(1, len(o.lines) + 1)) for o in trace.orders[:50])


def test_trading_hours(trace: Trace) -> None:
    hours = Counter(order.placed_at.hour for order in trace.orders)
    assert set(hours) <= set(range(7, 20))
    assert hours.most_common(1)[0][0] == 12
    assert list(trace.orders) == sorted(trace.orders, key=lambda order: order.placed_at)


def test_cancellations(trace: Trace) -> None:
    units = {(order.order_id, line.line): line for order in trace.orders for line in order.lines}
    placed = {order.order_id: order.placed_at for order in trace.orders}
    assert len(trace.cancellations) / len(units) == pytest.approx(0.0183, abs=0.001)
    in_part = 0
    for cancellation in trace.cancellations:
        assert cancellation.matched is not None
        line = units[cancellation.matched]
        assert line.sku == cancellation.sku
        assert 0 < cancellation.quantity <= line.quantity
        assert cancellation.at > placed[cancellation.matched[0]]
        in_part += cancellation.quantity < line.quantity
    assert in_part / len(trace.cancellations) == pytest.approx(0.58, abs=0.04)
    assert len({c.cancellation_id for c in trace.cancellations}) == len(trace.cancellations)


def test_what_is_asked_for() -> None:
    zone = ZoneInfo("Europe/London")
    trace = generate(1, orders=5, skus=40, start=date(2026, 11, 7), zone=zone)
    assert trace.trading_days() == [date(2026, 11, 8)]
    assert len(trace.orders) == 5
    assert {line.sku for order in trace.orders for line in order.lines} <= set(catalogue(40).skus)
    assert generate(1, orders=3, skus=1).orders
    for wrong in ({"days": 0}, {"orders": 0}, {"skus": 0}):
        with pytest.raises(TraceError):
            generate(1, **wrong)  # type: ignore[arg-type]


def test_no_cancellations_for_no_orders() -> None:
    assert cancellations_for([], np.random.default_rng(1)) == []


@needs_data
def test_against_the_recorded_slices(trace: Trace) -> None:
    """The slices are other weeks than the two years that were measured, so the bounds are wide."""
    sizes: Counter[str] = Counter()
    units: list[int] = []
    for name in ("busiest_week.csv.gz", "two_ordinary_weeks.csv.gz"):
        with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["is_cancellation"] == "False" and float(row["unit_price"]):
                    sizes[row["order_id"]] += 1
                    units.append(int(row["qty"]))
    assert np.quantile([len(o.lines) for o in trace.orders], [0.5, 0.9, 0.99]) == pytest.approx(
        np.quantile(list(sizes.values()), [0.5, 0.9, 0.99]), rel=0.35
    )
    assert np.quantile(quantities(trace), [0.5, 0.75, 0.9, 0.99]) == pytest.approx(
        np.quantile(units, [0.5, 0.75, 0.9, 0.99]), rel=0.25
    )
    assert np.mean(np.array(quantities(trace)) == 1) == pytest.approx(np.mean(np.array(units) == 1), abs=0.03)


@needs_data
def test_cancellations_can_be_added_to_a_recorded_day() -> None:
    day = read_trace(DATA / "busiest_week.csv.gz").day(1)
    made = cancellations_for(day.orders, np.random.default_rng(5))
    lines = sum(not is_non_stock(line.sku) for order in day.orders for line in order.lines)
    assert len(made) == round(0.0183 * lines)
    assert not any(is_non_stock(cancellation.sku) for cancellation in made)
