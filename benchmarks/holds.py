"""Reservations: the floor, the peers' pattern, one request a transaction, and the Batcher. Each in a worker process."""

import threading
from datetime import timedelta
from functools import partial

import psycopg
from sqlalchemy import create_engine, make_url

from adapters.database import in_transaction
from benchmarks.clients import Done, Load, run_threads
from benchmarks.ledger import POOL, now, open_ledger
from benchmarks.peer_pattern import reserve_as_peers
from inventory.holds.batching import Batcher
from inventory.holds.reservations import HoldRequest, HoldResult, HoldStatus, reserve

TTL = timedelta(hours=1)


def floor(url: str, load: Load, begin: float, share: int) -> Done:
    """The least that a database can do for a sale: one conditional update of one row, prepared, committed.

    Neither idempotent nor all-or-nothing, and it leaves no trace of who bought what. It takes the first line
    of each order only, over one connection of the bare driver for each client.
    """
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    mine = threading.local()
    connections = [psycopg.connect(address, autocommit=True, prepare_threshold=0) for _ in range(load.clients)]
    spare = iter(connections)

    def step(lines: tuple[tuple[str, int], ...], _key: str) -> int:
        if not hasattr(mine, "connection"):
            mine.connection = next(spare)
        sku, units = lines[0]
        done = mine.connection.execute(
            "UPDATE floor SET quantity = quantity - %s WHERE sku = %s AND quantity >= %s", (units, sku, units)
        )
        assert done.rowcount == 1, "the floor ran out of stock"
        return units

    done = run_threads(step, load, begin=begin, share=share)
    for connection in connections:
        connection.close()
    return done


def as_peers_do(url: str, load: Load, begin: float, share: int) -> Done:
    """Holds as open-source shops make them (`benchmarks.peer_pattern`), a connection for each client."""
    engine = create_engine(url, pool_size=load.clients)

    def step(lines: tuple[tuple[str, int], ...], key: str) -> int:
        assert reserve_as_peers(engine, f"{share}-{key}", lines, now(), TTL), "the peer ran out of stock"
        return sum(units for _, units in lines)

    done = run_threads(step, load, begin=begin, share=share)
    engine.dispose()
    return done


def batched(url: str, load: Load, begin: float, share: int) -> Done:
    """Durable holds by one Batcher, which all clients of this process share."""
    engine = open_ledger(url)
    with Batcher(partial(in_transaction, engine), now) as batcher:

        def step(lines: tuple[tuple[str, int], ...], key: str) -> int:
            return _units(batcher.submit(HoldRequest(key, POOL, lines, TTL)), lines)

        done = run_threads(step, load, begin=begin, share=share)
    engine.dispose()
    return done


def direct(url: str, load: Load, begin: float, share: int) -> Done:
    """Durable holds, each in a transaction of its own."""
    engine = open_ledger(url)

    def step(lines: tuple[tuple[str, int], ...], key: str) -> int:
        request = HoldRequest(key, POOL, lines, TTL)
        return _units(in_transaction(engine, lambda connection: reserve(connection, [request], now=now()))[0], lines)

    done = run_threads(step, load, begin=begin, share=share)
    engine.dispose()
    return done


def _units(result: HoldResult, lines: tuple[tuple[str, int], ...]) -> int:
    assert result.status is HoldStatus.HELD, f"{result.holder} was {result.status}"
    return sum(units for _, units in lines)
