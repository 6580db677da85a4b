"""Real weeks of orders into the ledger: plain, and as a bad channel delivers them. The ledger is the same.

Delivered badly: in pages of random size, each order up to three times, in random order. Of each order also
the version before its cancellations comes by, sometimes after the newer one.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from ledger_stage import START, assert_sound, at, rows
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.pool import NullPool

from adapters.channels.protocol import OrderDocument
from adapters.database import create_engine, in_transaction
from adapters.sandbox.trace import read_trace, to_documents
from inventory import setup
from inventory.ledger import stock
from inventory.orders.orders import Sale, SaleLine, SaleReversal, apply_sales
from inventory.skus import is_non_stock
from inventory.words import ReversalKind, ReversalReason, WriteMode

SLICES = ("busiest_week.csv.gz", "two_ordinary_weeks.csv.gz")


@cache
def sales_of(path: Path) -> tuple[Sale, ...]:
    trace = read_trace(path, ZoneInfo("Europe/London"))
    return tuple(sale for document in to_documents(trace, "web") if (sale := sale_of(document)).lines)


def sale_of(document: OrderDocument) -> Sale:
    """As the gate lets it through: lines that are no goods stay behind."""
    goods = [line for line in document["lines"] if not is_non_stock(line["sku"])]
    kept = {line["line_id"] for line in goods}
    return Sale(
        document["order_id"],
        datetime.fromisoformat(document["placed_at"]),
        datetime.fromisoformat(document["updated_at"]),
        tuple(SaleLine(line["line_id"], line["listing_ref"], line["quantity"]) for line in goods),
        tuple(
            SaleReversal(
                one["reversal_id"], one["line_id"], one["quantity"], ReversalKind(one["kind"]),
                ReversalReason(one["reason"]), one["restocked"], datetime.fromisoformat(one["occurred_at"]),
            )
            for one in document["reversals"]
            if one["line_id"] in kept
        ),
    )  # fmt: skip


def demand_of(sales: Sequence[Sale]) -> Counter[str]:
    """{sku: units ordered}"""
    demand: Counter[str] = Counter()
    for sale in sales:
        for line in sale.lines:
            demand[line.listing_ref.removeprefix("web:")] += line.quantity
    return demand


def plainly(sales: Sequence[Sale]) -> Iterator[list[Sale]]:
    for start in range(0, len(sales), 250):
        yield list(sales[start : start + 250])


def badly(sales: Sequence[Sale], seed: int) -> Iterator[list[Sale]]:
    chance = random.Random(seed)
    copies = []
    for sale in sales:
        copies += [sale] * chance.randint(1, 3)
        if sale.reversals and chance.random() < 0.7:
            copies.append(replace(sale, updated_at=sale.placed_at, reversals=()))
    chance.shuffle(copies)
    while copies:
        size = chance.randint(1, 400)
        yield copies[:size]
        del copies[:size]


def ledger_after(engine: Engine, sales: Sequence[Sale], pages: Iterator[list[Sale]], cover: float) -> dict[str, object]:
    """Open a business with `cover` times what is ordered of each SKU, deliver the pages, and look."""
    demand = demand_of(sales)

    def open_business(connection: Connection) -> None:
        setup.add_locations(connection, ["main"])
        setup.add_items(connection, {sku: "" for sku in demand})
        channel = setup.ChannelSetup("web", "trace", WriteMode.COMPARE_AND_SET, ("main",))
        setup.add_channel(connection, channel)
        setup.add_listings(connection, "web", [(f"web:{sku}", sku, 1) for sku in demand])
        opening = [(sku, "main", int(units * cover)) for sku, units in demand.items()]
        stock.receive(connection, opening, receipt="opening", now=START)

    in_transaction(engine, open_business)
    for page in pages:
        applied = in_transaction(engine, lambda connection, page=page: apply_sales(connection, "web", page, now=at(9)))
        assert applied.unmapped == []
    assert_sound(engine)
    return {
        "balances": set(rows(engine, "SELECT sku, location, state, quantity FROM balance WHERE quantity <> 0")),
        "short": set(rows(engine, "SELECT sku, sum(oversold) FROM reservation_line GROUP BY sku")),
        "by order": set(rows(engine, "SELECT holder, sku, sum(held + oversold) FROM reservation_line GROUP BY 1, 2")),
        "lines": set(rows(engine, "SELECT holder, line_id, sku, quantity, reversed FROM order_line")),
        "reversals": set(rows(engine, "SELECT reversal_id, holder, quantity, applied, status FROM reversal")),
    }  # fmt: skip


@pytest.mark.parametrize("cover", [1.0, 0.4], ids=["ample", "scarce"])
@pytest.mark.parametrize("name", SLICES)
def test_a_real_week_delivered_badly_is_the_same_ledger(
    engine: Engine, shared: Path, name: str, cover: float, second_engine: Engine
) -> None:
    path = shared / "data" / "online_retail" / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the project")
    sales = sales_of(path)
    plain = ledger_after(engine, sales, plainly(sales), cover)
    bad = ledger_after(second_engine, sales, badly(sales, seed=7), cover)
    assert bad == plain
    ordered = sum(demand_of(sales).values())
    back = sum(applied for _, _, _, applied, _ in plain["reversals"])  # type: ignore[attr-defined]
    short = sum(units for _, units in plain["short"])  # type: ignore[attr-defined]
    held = rows(engine, "SELECT sum(quantity) FROM balance WHERE state = 'reserved'")[0][0]
    assert held + short + back == ordered
    assert (short > 0) == (cover < 1)


@pytest.fixture
def second_engine(engine: Engine, postgres: str) -> Iterator[Engine]:
    """Another database of this test's own."""
    name = f"{engine.url.database}_second"
    admin = create_engine(make_url(postgres).set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE template_ledger'))
    second = create_engine(engine.url.set(database=name))
    yield second
    second.dispose()
    with admin.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
