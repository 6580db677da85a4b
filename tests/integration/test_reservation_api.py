"""The reservation API on a real ledger: what each call answers, and what it leaves in the rows."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from ledger_stage import assert_sound, at, balances, business, rows, sell
from ledger_stage import order as an_order
from reservation_stage import Caller, Clock, served
from sqlalchemy import Engine

from adapters.database import create_engine
from onhand.services.reservation_api import Terms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def url(engine: Engine, clock: Clock) -> Iterator[str]:
    business(
        engine,
        stock_at={"A": {"main": 10}, "B": {"main": 3}},
        channels={"web": ("main",), "pos": ("main",)},
        bundles={"SET": {"A": 2, "B": 1}},
        packs={"pack": ("A", 4)},
    )
    with served(engine, clock) as url:
        yield url


@pytest.fixture
def web(url: str) -> Iterator[Caller]:
    with Caller(url) as caller:
        yield caller


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, object] = answer.json()
    assert (found["type"], found["status"]) == (f"urn:onhand:{kind}", status)
    return found


def test_a_sale_from_asking_to_the_order(web: Caller, engine: Engine) -> None:
    held = web.ask("cart-1", ("A", 2), refs=(("pack", 1),), ttl_seconds=600)
    assert held.status_code == 201
    assert held.headers["location"] == "/v1/reservations/cart-1"
    assert held.json() == {
        "key": "cart-1", "channel": "web", "status": "held", "outcome": "held",
        "lines": [{"sku": "A", "asked": 2, "held": 2}, {"listing_ref": "pack", "asked": 1, "held": 1}],
        "placed_at": "2026-11-02T09:01:00.000Z", "expires_at": "2026-11-02T09:11:00.000Z", "order_id": None,
    }  # fmt: skip
    committed = web.commit("cart-1", "1001").json()
    assert (committed["status"], committed["outcome"], committed["expires_at"], committed["order_id"]) == (
        "committed", "committed", None, "1001",
    )  # fmt: skip
    sell(engine, "web", replace(an_order("1001", ("A", 6)), hold="cart-1"))
    assert web.read("cart-1").json()["status"] == "sold"
    late = web.commit("cart-1", "1001")
    assert (late.status_code, late.json()["outcome"]) == (200, "already_sold")
    problem(web.commit("cart-1", "1002"), 409, "other-order")
    assert balances(engine, "A") == {"main available": 4, "main reserved": 6}
    assert_sound(engine)


def test_what_is_not_free_is_refused_with_what_is(web: Caller, engine: Engine) -> None:
    refused = problem(web.ask("k", ("A", 4), ("B", 4), ("NONE", 1)), 409, "refused")
    assert refused["lines"] == [
        {"sku": "A", "asked": 4, "held": 0, "free": 10, "known": True},
        {"sku": "B", "asked": 4, "held": 0, "free": 3, "known": True},
        {"sku": "NONE", "asked": 1, "held": 0, "free": 0, "known": False},
    ]
    again = problem(web.ask("k", ("A", 4), ("B", 4), ("NONE", 1)), 409, "refused")
    assert again == refused, "asking again with the same key tells the same"
    problem(web.commit("k"), 409, "over")
    assert web.release("k").json()["outcome"] == "already_refused"
    assert balances(engine, "A") == {"main available": 10}


def test_partial(web: Caller) -> None:
    held = web.ask("k", ("B", 5), ("SET", 1), partial=True)
    assert held.status_code == 201
    assert held.json()["lines"] == [
        {"sku": "B", "asked": 5, "held": 3, "free": 3, "known": True},
        {"sku": "SET", "asked": 1, "held": 0, "free": 0, "known": True},
    ]
    problem(web.ask("k2", ("B", 1), partial=True), 409, "refused")


def test_a_key_counts_once(web: Caller, engine: Engine, clock: Clock) -> None:
    web.ask("k", ("A", 2))
    again = web.ask("k", ("A", 1), ("A", 1))
    assert (again.status_code, again.json()["outcome"], again.json()["status"]) == (200, "repeated", "held")
    problem(web.ask("k", ("A", 3)), 409, "key-conflict")
    clock.forward(hours=1)
    late = web.ask("k", ("A", 2))
    assert (late.status_code, late.json()["status"]) == (200, "expired")
    assert rows(engine, "SELECT count(*) FROM reservation") == [(1,)]


def test_extending_and_what_is_too_late(web: Caller, clock: Clock) -> None:
    web.ask("k", ("A", 1), ttl_seconds=60)
    clock.forward(seconds=59)
    assert web.extend("k", 60).json()["expires_at"] == "2026-11-02T09:02:59.000Z"
    clock.forward(seconds=60)
    assert problem(web.extend("k"), 409, "over")["hold_status"] == "expired"
    assert problem(web.commit("k"), 409, "over")["hold_status"] == "expired"
    late = web.release("k")
    assert (late.status_code, late.json()["outcome"]) == (200, "already_expired")
    assert web.free("A") == {"A": 10}


def test_saying_it_twice_is_no_error(web: Caller, clock: Clock) -> None:
    for key in ("a", "b"):
        web.ask(key, ("A", 1))
    assert [web.commit("a").json()["outcome"] for _ in range(2)] == ["committed", "already_committed"]
    assert web.extend("a").json()["outcome"] == "already_committed"
    problem(web.commit("a", "1002"), 409, "other-order")
    assert [web.release("b").json()["outcome"] for _ in range(2)] == ["released", "already_released"]
    clock.forward(days=400)
    assert web.read("a").json()["status"] == "committed"
    assert web.release("a").json()["outcome"] == "released", "an order that was taken back"


def test_no_hold_no_answer_but_404(web: Caller) -> None:
    for answer in (web.read("none"), web.extend("none"), web.commit("none"), web.release("none")):
        problem(answer, 404, "unknown-key")


def test_a_token_reaches_its_own_channel_alone(url: str, web: Caller, engine: Engine) -> None:
    web.ask("k", ("A", 1))
    with Caller(url, "pos") as pos:
        problem(pos.read("k"), 404, "unknown-key")
        problem(pos.release("k"), 404, "unknown-key")
        assert pos.ask("k", ("A", 2)).json()["channel"] == "pos"
    assert rows(engine, "SELECT holder FROM reservation ORDER BY holder") == [("hold:pos:k",), ("hold:web:k",)]


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer token-of-the-websit", "Basic token-of-the-website"])
def test_without_a_token_nothing_is_told(url: str, authorization: str) -> None:
    headers = {"authorization": authorization} if authorization else {}
    for method, path in (
        ("POST", "/v1/reservations"),
        ("GET", "/v1/reservations/k"),
        ("GET", "/v1/availability?sku=A"),
    ):
        answer = httpx.request(method, url + path, headers=headers, timeout=60, trust_env=False)
        problem(answer, 401, "unauthorised")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_availability(web: Caller) -> None:
    web.ask("k", ("A", 3))
    query = [("sku", "A"), ("sku", "SET"), ("sku", "A"), ("sku", "NONE"), ("listing_ref", "pack")]
    answer = web.client.get("/v1/availability", params=query).json()
    assert answer == {
        "channel": "web",
        "free": [
            {"sku": "A", "free": 7, "known": True},
            {"sku": "NONE", "free": 0, "known": False},
            {"sku": "SET", "free": 3, "known": True},
            {"listing_ref": "pack", "free": 1, "known": True},
        ],
    }


def test_the_key_may_come_in_a_header(web: Caller) -> None:
    body = {"lines": [{"sku": "A", "quantity": 1}]}
    for sent in ('"cart-1"', "cart-1"):
        answer = web.client.post("/v1/reservations", json=body, headers={"Idempotency-Key": sent})
        assert answer.json()["key"] == "cart-1"
    both = {**body, "key": "cart-2"}
    problem(web.client.post("/v1/reservations", json=both, headers={"Idempotency-Key": "cart-1"}), 422, "invalid")
    problem(web.client.post("/v1/reservations", json=body), 422, "invalid")


def test_the_longest_time_is_a_setting(web: Caller) -> None:
    refused = problem(web.ask("k", ("A", 1), ttl_seconds=3601), 422, "invalid")
    assert refused["errors"] == [{"field": "ttl_seconds", "message": "Input should be less than or equal to 3600"}]


def test_stock_that_changed_wakes_the_publisher(engine: Engine, clock: Clock) -> None:
    business(engine, stock_at={"A": {"main": 1}})
    woken: list[int] = []
    rung = threading.Semaphore(0)

    def wake() -> None:
        woken.append(1)
        rung.release()

    with served(engine, clock, wake=wake) as url, Caller(url) as web:
        assert web.ask("k", ("A", 1)).status_code == 201
        assert rung.acquire(timeout=60)
        web.ask("k", ("A", 1)), web.ask("refused", ("A", 1)), web.commit("k"), web.read("k")
        assert len(woken) == 1, "nothing of this changed the stock"
        web.release("k")
        assert rung.acquire(timeout=60)
    assert len(woken) == 2


def test_a_database_that_is_away_is_told_and_comes_back(engine: Engine, clock: Clock) -> None:
    nowhere = create_engine("postgresql://nobody@127.0.0.1:9/nothing", pool_size=1)
    with served(nowhere, clock) as url, Caller(url) as web:
        for answer in (web.ask("k", ("A", 1)), web.commit("k")):
            found = problem(answer, 503, "in-doubt")
            assert answer.headers["retry-after"] == "1"
            assert "same key" in str(found["detail"])
        for answer in (web.read("k"), web.client.get("/v1/availability?sku=A"), web.client.get("/health")):
            problem(answer, 503, "unavailable")
            assert answer.headers["retry-after"] == "1"
    nowhere.dispose()


def test_a_ledger_that_is_slow_is_told_apart_from_one_that_did_nothing(engine: Engine, clock: Clock) -> None:
    business(engine, stock_at={"A": {"main": 5}})
    with served(engine, clock, answer_s=0.3) as url, Caller(url) as web, Caller(url) as other:
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT FROM balance WHERE sku = 'A' FOR UPDATE")
            problem(web.ask("begun", ("A", 1)), 503, "in-doubt")
            problem(other.ask("waiting", ("A", 1)), 503, "unavailable")
        again = web.ask("begun", ("A", 1))
        assert (again.status_code, again.json()["outcome"]) == (200, "repeated")
        problem(other.read("waiting"), 404, "unknown-key")
    assert balances(engine, "A") == {"main available": 4, "main reserved": 1}


def test_health(web: Caller) -> None:
    assert web.client.get("/health").json() == {"status": "ok"}


def test_a_body_that_is_too_long_is_not_read(engine: Engine, clock: Clock) -> None:
    with served(engine, clock, Terms(body_bytes=1000)) as url, Caller(url) as web:
        body = b'{"key": "' + b"k" * 2000 + b'"}'
        problem(web.client.post("/v1/reservations", content=body), 413, "too-large")
        problem(web.client.post("/v1/reservations", content=iter([body[:900], body[900:]])), 413, "too-large")


def test_terms_are_judged_at_the_same_instant_by_all(web: Caller, engine: Engine, clock: Clock) -> None:
    """At its very end a hold is over: the commit is refused, and the units are another's. While the commit has the
    hold locked, nobody waits for it: a rival of that moment is refused, and gets the units when he asks again."""
    web.ask("k", ("B", 3), ttl_seconds=60)
    clock.forward(seconds=60)
    answers: dict[str, int] = {}
    threads = [
        threading.Thread(target=lambda: answers.update(commit=web.commit("k").status_code)),
        threading.Thread(target=lambda: answers.update(rival=web.ask("rival", ("B", 3)).status_code)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers["commit"] == 409
    if answers["rival"] != 201:
        assert answers["rival"] == 409
        assert web.ask("again", ("B", 3)).status_code == 201
    assert_sound(engine)
    assert at(2) - clock.now == timedelta(0)
