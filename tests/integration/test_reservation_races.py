"""The reservation API under many callers, and under SIGKILL: the rows say what was given out."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from ledger_stage import assert_sound, balances, business, rows
from reservation_stage import Caller, real_clock, served
from sqlalchemy import Engine

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}


def test_sixteen_callers_never_hold_more_than_there_is(engine: Engine) -> None:
    stock = {f"R{number}": {"main": 1 + number % 5} for number in range(12)}
    business(engine, stock_at=stock)
    with served(engine, real_clock) as url:
        done = subprocess.run(
            [sys.executable, str(HERE / "reservation_callers.py"), url, "16", "12"],
            capture_output=True, text=True, timeout=240, env=ENVIRONMENT, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["errors"], told["created_twice"]) == ([], [])
    assert set(told["statuses"]) == {"200", "201", "409"}
    held = rows(
        engine,
        "SELECT sku, sum(held) FROM reservation_line JOIN reservation USING (holder) "
        "WHERE status = 'live' AND held > 0 GROUP BY sku",
    )
    assert dict(held) == told["kept"], "what was committed is what is held"
    for sku, shelf in stock.items():
        assert sum(balances(engine, sku).values()) == shelf["main"]
        assert told["kept"][sku] <= shelf["main"]
    assert_sound(engine)


def test_one_key_at_the_same_moment_is_one_hold(engine: Engine) -> None:
    business(engine, stock_at={"A": {"main": 100}})
    answers: list[httpx.Response] = []
    barrier = threading.Barrier(12)
    with served(engine, real_clock) as first, served(engine, real_clock) as second:

        def ask(url: str) -> None:
            with Caller(url) as caller:
                barrier.wait(20)
                answers.append(caller.ask("k", ("A", 3)))

        threads = [threading.Thread(target=ask, args=(url,)) for url in (first, second) * 6]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
    bodies = [{**answer.json(), "outcome": ""} for answer in answers]
    assert all(body == bodies[0] for body in bodies), "all are told the same"
    assert balances(engine, "A") == {"main available": 97, "main reserved": 3}


@contextmanager
def mortal(database_url: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(HERE / "reservation_killed.py"), database_url, str(port)]
    process = subprocess.Popen(command, env=ENVIRONMENT)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                httpx.get(f"{url}/health", trust_env=False, timeout=30)
                break
            except httpx.TransportError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
        yield url, process
    finally:
        process.kill()
        process.wait()


def test_a_service_killed_before_it_answered_tells_the_truth_when_asked_again(
    engine: Engine, database_url: str
) -> None:
    business(engine, stock_at={"A": {"main": 5}})
    with mortal(database_url) as (url, process), Caller(url) as caller:
        assert caller.ask("quiet", ("A", 1)).status_code == 201
        with pytest.raises(httpx.TransportError):
            caller.ask("fatal-1", ("A", 2))
        assert process.wait(10) == -9
    with mortal(database_url) as (url, process), Caller(url) as caller:
        again = caller.ask("fatal-1", ("A", 2))
        assert (again.status_code, again.json()["outcome"], again.json()["status"]) == (200, "repeated", "held")
        with pytest.raises(httpx.TransportError):
            caller.commit("quiet", "fatal-order")
        assert process.wait(10) == -9
    with mortal(database_url) as (url, _), Caller(url) as caller:
        committed = caller.commit("quiet", "fatal-order").json()
        assert (committed["outcome"], committed["status"]) == ("already_committed", "committed")
    assert balances(engine, "A") == {"main available": 2, "main reserved": 3}
    assert_sound(engine)
