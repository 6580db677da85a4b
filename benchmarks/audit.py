"""What must be true of the rows after every measurement. A figure without it would be worth nothing."""

from sqlalchemy import Connection, Engine, text

from benchmarks.ledger import SKUS, STOCK

_CHECKS = {
    "a physical balance is negative": "SELECT count(*) FROM balance WHERE quantity < 0 AND state <> 'supplier'",
    "balances are not the sum of their movements": """
        SELECT count(*) FROM balance FULL JOIN (
            SELECT sku, location, state, sum(change) AS quantity
            FROM (SELECT sku, location, from_state AS state, -quantity AS change FROM movement
                  UNION ALL SELECT sku, to_location, to_state, quantity FROM movement) AS sides
            GROUP BY sku, location, state
        ) AS journal USING (sku, location, state)
        WHERE coalesce(balance.quantity, 0) <> coalesce(journal.quantity, 0)
    """,
    "reserved units are not those of the live reservations": """
        SELECT count(*) FROM (SELECT sku, location, quantity FROM balance WHERE state = 'reserved') AS balance
        FULL JOIN (
            SELECT line.sku, line.location, sum(line.held) AS held
            FROM reservation_line AS line JOIN reservation USING (holder)
            WHERE reservation.status = 'live' AND line.location <> '' GROUP BY line.sku, line.location
        ) AS line USING (sku, location)
        WHERE coalesce(balance.quantity, 0) <> coalesce(line.held, 0)
    """,
    "a hold was promised units that do not exist": """
        SELECT count(*) FROM reservation_line AS line JOIN reservation USING (holder)
        WHERE line.oversold > 0 AND reservation.kind = 'hold'
    """,
}


class Violation(AssertionError):
    """A promise broke while it was measured."""


def audit(engine: Engine, *, held: int | None = None, units: int | None = None) -> None:
    """Raise Violation unless the ledger is sound, with `held` live reservations of `units` units in all.

    A measurement only moves units between `available` and `reserved`, so every SKU still has its stock.
    """
    with engine.connect() as connection:
        for what, query in _CHECKS.items():
            if count := connection.execute(text(query)).scalar_one():
                raise Violation(f"{what} ({count} times)")
        on_hand = _number(connection, "SELECT sum(quantity) FROM balance WHERE state IN ('available', 'reserved')")
        _equal("units on hand", on_hand, len(SKUS) * STOCK)
        if held is not None:
            live = _number(connection, "SELECT count(*) FROM reservation WHERE status = 'live'")
            _equal("live reservations and accepted answers", live, held)
        if units is not None:
            reserved = _number(connection, "SELECT coalesce(sum(quantity), 0) FROM balance WHERE state = 'reserved'")
            _equal("reserved units and accepted units", reserved, units)


def audit_floor(engine: Engine, sold: int) -> None:
    with engine.connect() as connection:
        left = _number(connection, "SELECT sum(quantity) FROM floor")
    _equal("units left of the floor", left, len(SKUS) * STOCK - sold)


def audit_peer(engine: Engine, requests: int, units: int) -> None:
    with engine.connect() as connection:
        held = _number(connection, "SELECT count(DISTINCT request) FROM peer_hold")
        _equal("requests that the peers' pattern holds units for", held, requests)
        _equal("its units", _number(connection, "SELECT coalesce(sum(quantity), 0) FROM peer_hold"), units)


def _number(connection: Connection, query: str) -> int:
    return int(connection.execute(text(query)).scalar_one())


def _equal(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise Violation(f"{what}: {found}, expected {expected}")
