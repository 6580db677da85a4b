"""What the ledger's tests share: a small business in one call, orders in one line, and what to look at after."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from adapters.database import in_transaction
from inventory import setup
from inventory.ledger import stock
from inventory.ledger.rebuilding import compare
from inventory.orders.orders import Applied, Sale, SaleLine, SaleReversal, apply_sales
from inventory.words import ReversalKind, ReversalReason, WriteMode

START = datetime(2026, 11, 2, 9, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def open_business(
    connection: Connection,
    *,
    stock_at: Mapping[str, Mapping[str, int]],
    channels: Mapping[str, tuple[str, ...]] | None = None,
    bundles: Mapping[str, Mapping[str, int]] | None = None,
    packs: Mapping[str, tuple[str, int]] | None = None,
) -> None:
    """`stock_at`: {sku: {location: units}}; `channels`: {code: its locations}; `packs`: {ref: (sku, units)}.

    Every channel lists every SKU and bundle under its own name, and every pack.
    """
    channels = channels or {"web": ("main",)}
    bundles, packs = bundles or {}, packs or {}
    places = sorted({place for own in channels.values() for place in own} | {p for s in stock_at.values() for p in s})
    setup.add_locations(connection, places)
    setup.add_items(connection, {sku: sku for sku in (*stock_at, *bundles)})
    for sku, parts in bundles.items():
        setup.add_bundle(connection, sku, parts)
    for code, own in channels.items():
        setup.add_channel(connection, setup.ChannelSetup(code, "test", WriteMode.COMPARE_AND_SET, own))
        setup.add_listings(connection, code, [(sku, sku, 1) for sku in (*stock_at, *bundles)])
        setup.add_listings(connection, code, [(ref, sku, units) for ref, (sku, units) in packs.items()])
    lines = [(sku, place, units) for sku, shelves in stock_at.items() for place, units in shelves.items()]
    stock.receive(connection, lines, receipt="opening", now=START)


def business(engine: Engine, **what: Any) -> None:
    in_transaction(engine, lambda connection: open_business(connection, **what))


def order(
    order_id: str,
    *lines: tuple[str, int] | SaleLine,
    minute: float = 1,
    updated: float | None = None,
    back: Iterable[SaleReversal] = (),
) -> Sale:
    """(listing ref, quantity) lines are numbered from 1."""
    numbered = [
        line if isinstance(line, SaleLine) else SaleLine(str(number), *line) for number, line in enumerate(lines, 1)
    ]
    return Sale(order_id, at(minute), at(minute if updated is None else updated), tuple(numbered), tuple(back))


def reversal(
    reversal_id: str,
    quantity: int,
    *,
    line: str = "1",
    kind: ReversalKind = ReversalKind.CANCELLATION,
    reason: ReversalReason = ReversalReason.CUSTOMER,
    restocked: bool | None = True,
    minute: float = 5,
) -> SaleReversal:
    return SaleReversal(reversal_id, line, quantity, kind, reason, restocked, at(minute))


def sell(engine: Engine, channel: str, *sales: Sale, minute: float = 60) -> Applied:
    return in_transaction(engine, lambda connection: apply_sales(connection, channel, sales, now=at(minute)))


def receive(engine: Engine, sku: str, units: int, *, place: str = "main", name: str = "later") -> None:
    in_transaction(
        engine, lambda connection: stock.receive(connection, [(sku, place, units)], receipt=name, now=at(90))
    )


def rows(engine: Engine, query: str, **parameters: Any) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), parameters)]


def balances(engine: Engine, sku: str) -> dict[str, int]:
    """{'location state': pieces} where there are any; outside accounts left out."""
    found = rows(
        engine,
        "SELECT location || ' ' || state, quantity FROM balance WHERE sku = :sku AND quantity <> 0 "
        "AND state NOT IN ('supplier', 'shipped', 'written_off', 'count_gain', 'count_loss')",
        sku=sku,
    )
    return dict(found)


def lines(engine: Engine) -> dict[tuple[str, str, str], tuple[int, int]]:
    """{(holder, sku, location): (held, oversold)} where there are any."""
    found = rows(
        engine,
        "SELECT holder, sku, location, held, oversold FROM reservation_line WHERE held + oversold > 0",
    )
    return {(holder, sku, place): (held, oversold) for holder, sku, place, held, oversold in found}


def incidents(engine: Engine) -> dict[tuple[str, str], int]:
    """{(kind, subject): times} of the open ones."""
    return {(k, s): n for k, s, n in rows(engine, "SELECT kind, subject, times FROM incident WHERE status = 'open'")}


def dirty(engine: Engine) -> set[str]:
    return {sku for (sku,) in rows(engine, "SELECT sku FROM outbox")}


def clear_outbox(engine: Engine) -> None:
    in_transaction(engine, lambda connection: connection.execute(text("DELETE FROM outbox")))


def assert_sound(engine: Engine) -> None:
    """Balances are the sum of the journal, reserved units are those that live reservations hold."""
    with engine.connect() as connection:
        assert compare(connection) == []
