"""The Batcher: many callers, one writer, each answered with its own decision."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from ledger_stage import assert_sound, at, balances, business, rows
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from adapters.database import create_engine, in_transaction
from inventory.holds.batching import Batcher, InDoubt, NotDecided
from inventory.holds.hold_terms import expire
from inventory.holds.reservations import HoldRequest, HoldResult, HoldStatus, reserve

Work = Callable[[Connection], list[HoldResult]]


def hold(key: str, *lines: tuple[str, int], channel: str = "web") -> HoldRequest:
    return HoldRequest(key, channel, lines or (("A", 1),), timedelta(hours=1))


class Gate:
    """A transaction that waits until it is let through, and counts the work it was given."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.open, self.entered = engine, threading.Event(), threading.Event()
        self.transactions = 0

    def __call__(self, work: Work) -> list[HoldResult]:
        self.entered.set()
        assert self.open.wait(20)
        self.transactions += 1
        return in_transaction(self.engine, work)


@pytest.fixture
def gate(engine: Engine) -> Gate:
    business(engine, stock_at={"A": {"main": 5}, "B": {"main": 50}})
    return Gate(engine)


@pytest.fixture
def batcher(gate: Gate) -> Iterator[Batcher]:
    with Batcher(gate, lambda: at(1)) as one:
        yield one
        gate.open.set()


def ask_behind_the_gate(batcher: Batcher, gate: Gate, requests: list[HoldRequest]) -> list["Future[HoldResult]"]:
    """The requests all wait while the writer is busy with another one, and become one batch."""
    first = batcher.enqueue(hold("first", ("B", 1)))
    assert gate.entered.wait(20)
    answers = [batcher.enqueue(request) for request in requests]
    gate.open.set()
    assert first.result(20).status is HoldStatus.HELD
    return answers


def test_a_lone_request_is_decided_at_once(gate: Gate, batcher: Batcher) -> None:
    gate.open.set()
    assert batcher.submit(hold("1", ("A", 2)), 20).status is HoldStatus.HELD
    assert balances(gate.engine, "A") == {"main available": 3, "main reserved": 2}


def test_what_waits_is_one_set_first_come_first_served(gate: Gate, batcher: Batcher) -> None:
    answers = ask_behind_the_gate(batcher, gate, [hold(str(number)) for number in range(8)])
    statuses = [answer.result(20).status for answer in answers]
    assert statuses == [HoldStatus.HELD] * 5 + [HoldStatus.REFUSED] * 3
    assert gate.transactions == 2
    assert_sound(gate.engine)


def test_a_batch_is_bounded(gate: Gate) -> None:
    with Batcher(gate, lambda: at(1), largest=3) as batcher:
        answers = ask_behind_the_gate(batcher, gate, [hold(str(number), ("B", 1)) for number in range(7)])
        assert {answer.result(20).status for answer in answers} == {HoldStatus.HELD}
    assert gate.transactions == 1 + 3


def test_the_same_key_twice_in_one_batch_is_held_once(gate: Gate, batcher: Batcher) -> None:
    answers = ask_behind_the_gate(batcher, gate, [hold("k"), hold("k"), hold("k", ("A", 2))])
    statuses = [answer.result(20).status for answer in answers]
    assert statuses == [HoldStatus.HELD, HoldStatus.REPEATED, HoldStatus.CONFLICT]
    assert balances(gate.engine, "A") == {"main available": 4, "main reserved": 1}


def test_a_request_that_cannot_be_stored_fails_alone(gate: Gate, batcher: Batcher) -> None:
    requests = [hold("1"), hold("2"), hold("not\x00text"), hold("3"), hold("4")]
    good = ask_behind_the_gate(batcher, gate, requests)
    bad = good.pop(2)
    assert [answer.result(20).status for answer in good] == [HoldStatus.HELD] * 4
    with pytest.raises(DBAPIError, match="invalid byte sequence"):
        bad.result(20)
    assert_sound(gate.engine)


def test_a_request_the_rules_cannot_read_fails_alone(gate: Gate, batcher: Batcher) -> None:
    with gate.engine.begin() as connection:
        connection.execute(text("INSERT INTO item (sku, title, safety_stock, accuracy_margin) VALUES ('X','',0,0)"))
        connection.execute(text("INSERT INTO bundle_component VALUES ('A', 'X', 1), ('X', 'A', 1)"))
    bad, good = ask_behind_the_gate(batcher, gate, [hold("1", ("A", 1)), hold("2", ("B", 1))])
    assert good.result(20).status is HoldStatus.HELD
    with pytest.raises(ValueError, match="contains itself"):
        bad.result(20)


def test_nonsense_is_refused_before_it_is_queued(gate: Gate, batcher: Batcher) -> None:
    with pytest.raises(ValueError, match="whole units above zero"):
        batcher.submit(hold("1", ("A", 0)))


def test_whoever_stops_waiting_takes_the_request_back(gate: Gate, batcher: Batcher) -> None:
    first = batcher.enqueue(hold("first", ("B", 1)))
    assert gate.entered.wait(20)
    with pytest.raises(NotDecided, match="nothing was done"):
        batcher.submit(hold("late"), timeout=0.01)
    gate.open.set()
    first.result(20)
    assert batcher.submit(hold("next", ("B", 1)), 20).status is HoldStatus.HELD
    assert rows(gate.engine, "SELECT count(*) FROM reservation WHERE holder = 'hold:web:late'") == [(0,)]


def test_what_was_begun_is_in_doubt_and_the_same_key_tells(gate: Gate, batcher: Batcher) -> None:
    with pytest.raises(InDoubt, match="no answer"):
        batcher.submit(hold("k"), timeout=1)
    gate.open.set()
    again = batcher.submit(hold("k"), 20)
    assert again.status is HoldStatus.REPEATED
    assert balances(gate.engine, "A") == {"main available": 4, "main reserved": 1}


def test_closing_answers_what_waits_and_takes_no_more(gate: Gate) -> None:
    batcher = Batcher(gate, lambda: at(1))
    first = batcher.enqueue(hold("first", ("B", 1)))
    assert gate.entered.wait(20)
    waiting = [batcher.enqueue(hold(str(number), ("B", 1))) for number in range(20)]
    assert not batcher.close(timeout=0.01)
    with pytest.raises(NotDecided, match="after closing"):
        batcher.submit(hold("late"))
    gate.open.set()
    assert batcher.close(20) and batcher.close(20)
    assert {answer.result(0).status for answer in [first, *waiting]} == {HoldStatus.HELD}


def test_an_outage_is_told_to_all_and_the_batcher_goes_on(gate: Gate, engine: Engine) -> None:
    attempts: list[int] = []

    def transaction(work: Work) -> list[HoldResult]:
        attempts.append(1)
        if len(attempts) == 2:
            raise OperationalError("SELECT", {}, OSError("connection refused"))
        return gate(work)

    with Batcher(transaction, lambda: at(1)) as batcher:
        answers = ask_behind_the_gate(batcher, gate, [hold(str(number)) for number in range(5)])
        for answer in answers:
            with pytest.raises(InDoubt, match="did not answer"):
                answer.result(20)
        assert len(attempts) == 2, "not tried singly"
        assert batcher.submit(hold("0"), 20).status is HoldStatus.HELD


def test_a_server_that_ends_the_connection_costs_one_batch(gate: Gate, engine: Engine, database_url: str) -> None:
    gate.open.set()
    breaking = threading.Event()

    def cut(connection: Connection) -> None:
        if breaking.is_set():
            breaking.clear()
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    def transaction(work: Work) -> list[HoldResult]:
        def broken(connection: Connection) -> list[HoldResult]:
            done = work(connection)
            cut(connection)
            return done

        return in_transaction(engine, broken)

    with Batcher(transaction, lambda: at(1)) as batcher:
        breaking.set()
        with pytest.raises(InDoubt):
            batcher.submit(hold("k"), 20)
        assert batcher.submit(hold("k"), 20).status is HoldStatus.HELD, "it had not been committed"
    assert_sound(engine)


def test_many_threads_get_their_own_answers(gate: Gate, batcher: Batcher) -> None:
    gate.open.set()
    with ThreadPoolExecutor(40) as pool:
        requests = [hold(str(number), ("B", 1)) for number in range(200)]
        results = list(pool.map(partial(batcher.submit, timeout=60), requests))
    assert [result.holder for result in results] == [request.holder for request in requests]
    assert sum(result.status is HoldStatus.HELD for result in results) == 50
    assert balances(gate.engine, "B") == {"main reserved": 50}
    assert_sound(gate.engine)


def test_two_batchers_in_two_processes_give_out_the_stock_exactly(engine: Engine, database_url: str) -> None:
    stock = {f"R{number}": {"main": 1 + number % 12} for number in range(60)}
    business(engine, stock_at=stock)
    script = Path(__file__).with_name("batchers.py")
    environment = {**os.environ, "PYTHONPATH": str(script.parents[2])}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), database_url, "60", str(first), "8"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )
        for first in (0, 8)
    ]  # fmt: skip
    try:
        answers = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0], answers
    expected = {sku: shelf["main"] for sku, shelf in stock.items()}
    assert sum(int(out) for out, _ in answers) == sum(expected.values())
    found = rows(engine, "SELECT sku, sum(held) FROM reservation_line GROUP BY sku")
    assert dict(found) == expected
    assert {sku: balances(engine, sku) for sku in stock} == {
        sku: {"main reserved": units} for sku, units in expected.items()
    }
    assert_sound(engine)


def test_a_batch_needs_room() -> None:
    with pytest.raises(ValueError, match="room"):
        Batcher(lambda work: [], lambda: at(1), largest=0)


def test_plans_do_not_age(database_url: str) -> None:
    """A kept plan that was made for an empty table would read all of it once it has grown."""
    engine = create_engine(database_url)
    business(engine, stock_at={"A": {"main": 10_000}})
    with Batcher(partial(in_transaction, engine), lambda: at(1)) as batcher:
        for number in range(8):
            batcher.submit(hold(str(number)), 20)
    with engine.connect() as connection:
        shown = connection.execute(text("SHOW plan_cache_mode")).scalar_one()
    scans = rows(
        engine,
        "SELECT relname, seq_scan FROM pg_stat_user_tables "
        "WHERE relname IN ('reservation', 'reservation_line', 'movement', 'outbox') AND seq_scan > 0",
    )
    engine.dispose()
    assert shown == "force_custom_plan"
    assert scans == []


def test_a_sweep_ends_no_more_than_it_was_asked_to(gate: Gate) -> None:
    """Holds of a chunk share their SKUs with all the others that are due."""

    def hold_ten(connection: Connection) -> list[HoldResult]:
        return reserve(connection, [hold(str(number), ("B", 1)) for number in range(10)], now=at(1))

    in_transaction(gate.engine, hold_ten)
    left = []
    for _ in range(4):
        in_transaction(gate.engine, lambda connection: expire(connection, now=at(90), limit=4))
        left.append(rows(gate.engine, "SELECT count(*) FROM reservation WHERE status = 'live'")[0][0])
    assert left == [6, 2, 0, 0]
    assert balances(gate.engine, "B") == {"main available": 50}
    assert_sound(gate.engine)
