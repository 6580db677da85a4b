"""Nothing received and nothing to publish is lost: leases, coalescing, and what a database cannot store."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from ledger_stage import at, rows
from sqlalchemy import Engine

from adapters.database import in_transaction
from inventory.orders import inbox
from inventory.publishing import outbox

LEASE = timedelta(minutes=2)


def store(engine: Engine, *documents: dict[str, Any], channel: str = "web") -> int:
    return in_transaction(engine, lambda c: inbox.store(c, channel, documents, now=at(0)))


def take(engine: Engine, owner: str, *, limit: int = 100, minute: float = 0) -> list[inbox.Event]:
    return in_transaction(
        engine, lambda c: inbox.claim(c, "web", owner=owner, limit=limit, lease=LEASE, now=at(minute))
    )


def claim(engine: Engine, owner: str, *, limit: int = 100, minute: float = 0) -> list[outbox.Claim]:
    return in_transaction(engine, lambda c: outbox.claim(c, owner=owner, limit=limit, lease=LEASE, now=at(minute)))


def mark(engine: Engine, *skus: str, minute: float = 0, due: float | None = None) -> None:
    later = None if due is None else at(due)
    in_transaction(engine, lambda c: outbox.mark_dirty(c, skus, now=at(minute), due=later))


def finish(engine: Engine, claims: list[outbox.Claim], owner: str, *, minute: float = 1) -> None:
    in_transaction(engine, lambda c: outbox.finish(c, claims, owner=owner, now=at(minute)))


def test_the_same_version_is_one_event_and_any_change_another(engine: Engine) -> None:
    first = {"order_id": "1", "lines": [1, 2]}
    assert store(engine, first, {"lines": [1, 2], "order_id": "1"}, first) == 1
    assert store(engine, first, {**first, "lines": [2, 1]}) == 1
    assert store(engine, first, channel="fair") == 1
    assert [event.payload["lines"] for event in take(engine, "w")] == [[1, 2], [2, 1]]


def test_an_event_is_claimed_by_one_and_comes_back_when_its_claimer_dies(engine: Engine) -> None:
    store(engine, *({"order_id": str(n)} for n in range(3)))
    assert len(take(engine, "killed", limit=2)) == 2
    assert [one.payload["order_id"] for one in take(engine, "other", minute=1)] == ["2"]
    assert take(engine, "other", minute=2) == [], "a lease lasts to its end"
    assert [one.payload["order_id"] for one in take(engine, "other", minute=2.01)] == ["0", "1"]


def test_settled_events_do_not_come_again_until_they_are_reopened(engine: Engine) -> None:
    store(engine, *({"order_id": str(n)} for n in range(3)))
    first, second, third = (event.id for event in take(engine, "w"))
    in_transaction(engine, lambda c: inbox.settle(c, [first], [second], now=at(1)))
    assert [event.id for event in take(engine, "w", minute=5)] == [third]
    assert in_transaction(engine, lambda c: inbox.reopen(c, [first, second])) == 1
    assert [event.id for event in take(engine, "w", minute=6)] == [second]
    with engine.connect() as connection:
        assert inbox.waiting(connection, "web") == 2


def race(engine: Engine, claim_some: Any) -> list[Any]:
    taken: list[Any] = []

    def work(worker: int) -> None:
        while some := claim_some(f"w{worker}"):
            assert len(some) <= 7
            taken.extend(some)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


@pytest.mark.parametrize("analysed", [False, True])
def test_claimers_never_get_the_same_row_nor_more_than_they_asked_for(engine: Engine, analysed: bool) -> None:
    """Whatever plan the database chooses."""
    store(engine, *({"order_id": str(n)} for n in range(300)))
    mark(engine, *(f"S{n}" for n in range(300)))
    if analysed:
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("ANALYZE inbox, outbox")
    events = race(engine, lambda owner: take(engine, owner, limit=7))
    claims = race(engine, lambda owner: claim(engine, owner, limit=7))
    assert sorted(int(event.payload["order_id"]) for event in events) == list(range(300))
    assert sorted(one.sku for one in claims) == sorted(f"S{n}" for n in range(300))


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("a\x00b", "a�b"),
        ("\\u0000", "\\u0000"),
        ("half \ud83d", "half �"),
        ("whole \U0001f600", "whole \U0001f600"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ({"\x00key": ["\ud800", None, True, 1.5]}, {"�key": ["�", None, True, 1.5]}),
        (10**60, 10**60),
        ("x" * 2_000_000, "x" * 2_000_000),
    ],
    ids=["nul", "escaped", "surrogate", "emoji", "nan", "infinity", "nested", "huge number", "huge text"],
)
def test_what_no_database_takes_is_stored_all_the_same(engine: Engine, value: Any, stored: Any) -> None:
    """One such value must not keep the other orders of its page out."""
    assert store(engine, {"order_id": "1", "note": value}, {"order_id": "2\x00\ud800"}, {"order_id": None}) == 3
    assert store(engine, {"order_id": "1", "note": value}) == 0
    assert take(engine, "w")[0].payload == {"order_id": "1", "note": stored}


def test_many_changes_make_one_pending_entry(engine: Engine) -> None:
    for minute in range(5):
        mark(engine, "A", "B", "A", minute=minute)
    assert rows(engine, "SELECT sku, generation FROM outbox ORDER BY 1") == [("A", 1), ("B", 1)], "nothing was claimed"
    assert [one.dirty_at for one in claim(engine, "w", minute=9)] == [at(0), at(0)]


def test_an_entry_marked_again_while_it_is_claimed_stays(engine: Engine) -> None:
    mark(engine, "A", "B")
    claims = claim(engine, "w")
    mark(engine, "A", minute=1)
    assert claim(engine, "other", minute=1) == [], "still claimed"
    finish(engine, claims, "w")
    assert [(one.sku, one.generation) for one in claim(engine, "other", minute=1)] == [("A", 2)]


def test_a_mark_that_is_committed_while_its_entry_is_finished_leaves_it_free(engine: Engine) -> None:
    """The finish waits for the mark's lock, and must then find the entry that it may not delete."""
    mark(engine, "A")
    claims = claim(engine, "w")
    with engine.connect() as marker:
        outbox.mark_dirty(marker, ["A"], now=at(1))
        finishing = threading.Thread(target=finish, args=(engine, claims, "w"))
        finishing.start()
        finishing.join(0.3)
        assert finishing.is_alive(), "it waits, or this test proves nothing"
        marker.commit()
    finishing.join(10)
    assert [(one.sku, one.generation) for one in claim(engine, "other", minute=1)] == [("A", 2)]


def test_what_was_sold_goes_before_what_is_only_divided_anew(engine: Engine) -> None:
    def settled(sku: str, minute: float) -> None:
        in_transaction(engine, lambda connection: outbox.mark_dirty(connection, [sku], now=at(minute), eager=False))

    settled("SETTLED", 0)
    settled("BOTH", 0)
    mark(engine, "SOLD", "BOTH", minute=1)
    sold = in_transaction(
        engine,
        lambda connection: outbox.claim(
            connection, owner="w", limit=9, lease=timedelta(minutes=1), now=at(2), eager_only=True
        ),
    )
    assert {one.sku for one in sold} == {"SOLD", "BOTH"}
    assert [one.sku for one in claim(engine, "w", minute=2)] == ["SETTLED"]


def test_a_killed_publishers_entries_come_back_and_its_late_finish_does_nothing(engine: Engine) -> None:
    mark(engine, "A")
    late = claim(engine, "killed")
    assert claim(engine, "other", minute=2) == []
    again = claim(engine, "other", minute=3)
    assert [one.sku for one in again] == ["A"]
    finish(engine, late, "killed", minute=3)
    assert rows(engine, "SELECT lease_owner FROM outbox") == [("other",)]
    finish(engine, again, "other", minute=3)
    assert rows(engine, "SELECT count(*) FROM outbox") == [(0,)]


def test_what_is_given_back_comes_due_at_its_time_or_at_once_when_marked_again(engine: Engine) -> None:
    mark(engine, "A", "B")
    claims = claim(engine, "w")
    mark(engine, "B", minute=1)
    in_transaction(engine, lambda c: outbox.give_back(c, {one: at(30) for one in claims}, owner="w"))
    assert [one.sku for one in claim(engine, "w", minute=1)] == ["B"]
    assert {one.sku for one in claim(engine, "w", minute=30)} == {"A", "B"}
    with engine.connect() as connection:
        entries, age = outbox.backlog(connection, now=at(40))
    assert (entries, age) == (2, 40 * 60)


def test_an_entry_is_not_due_before_its_time_unless_something_new_happens(engine: Engine) -> None:
    mark(engine, "A", due=10)
    assert claim(engine, "w", minute=9) == []
    mark(engine, "A", minute=9, due=20)
    assert claim(engine, "w", minute=9) == [], "later does not postpone"
    mark(engine, "A", minute=9)
    assert len(claim(engine, "w", minute=9)) == 1


def test_what_is_sold_while_it_is_claimed_is_told_apart_from_its_echo(engine: Engine) -> None:
    with engine.begin() as connection:
        outbox.mark_dirty(connection, ["A", "B", "C"], now=at(0))
        claims = outbox.claim(connection, owner="one", limit=10, lease=LEASE, now=at(0))
        assert outbox.sold_again(connection, claims) == set()
        outbox.mark_dirty(connection, ["A"], now=at(0))
        outbox.mark_dirty(connection, ["B"], now=at(0), eager=False)
        assert outbox.sold_again(connection, claims) == {"A"}
        outbox.finish(connection, claims, owner="one", now=at(0))
        eager = outbox.claim(connection, owner="two", limit=10, lease=LEASE, now=at(0), eager_only=True)
        assert [one.sku for one in eager] == ["A"]
