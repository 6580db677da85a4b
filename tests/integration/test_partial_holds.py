"""Holds of as much as there is, of listings, told again as they were told first; and reading what is there."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_stage import assert_sound, at, balances, business, lines, rows
from sqlalchemy import Engine

from adapters.database import in_transaction
from inventory.holds import hold_readings
from inventory.holds.hold_terms import Commit, Release, change_holds
from inventory.holds.reservations import (
    HeldLine,
    HoldRequest,
    HoldResult,
    HoldState,
    HoldStatus,
    Wanted,
    fill,
    holder_of,
    reserve,
)
from inventory.words import ReservationStatus


@pytest.fixture
def ten(engine: Engine) -> Engine:
    """Ten of A, three of B; a bundle of two A and one B; packs of four A."""
    business(
        engine,
        stock_at={"A": {"main": 10}, "B": {"main": 3}},
        bundles={"SET": {"A": 2, "B": 1}},
        packs={"pack": ("A", 4), "pair-of-sets": ("SET", 2)},
    )
    return engine


def ask(engine: Engine, key: str, *skus: tuple[str, int], minute: float = 0, **more: Any) -> HoldResult:
    request = HoldRequest(key, "web", skus, timedelta(minutes=15), **more)
    return in_transaction(engine, lambda c: reserve(c, [request], now=at(minute)))[0]


def read(engine: Engine, key: str, minute: float = 1) -> HoldState | None:
    holder = holder_of("web", key)
    return in_transaction(engine, lambda c: hold_readings.read_holds(c, [holder], now=at(minute))).get(holder)


def held(result: HoldResult) -> list[tuple[str, int, int, int | None]]:
    return [(line.name, line.asked, line.held, line.free) for line in result.hold.lines]


def test_as_much_of_each_line_as_is_free(ten: Engine) -> None:
    result = ask(ten, "k", ("A", 4), ("B", 5), partial=True)
    assert result.status is HoldStatus.HELD
    assert held(result) == [("A", 4, 4, None), ("B", 5, 3, 3)]
    assert result.short == {"B": (5, 3)}
    assert lines(ten) == {("hold:web:k", "A", "main"): (4, 0), ("hold:web:k", "B", "main"): (3, 0)}
    assert_sound(ten)


def test_nothing_held_is_refused(ten: Engine) -> None:
    ask(ten, "all", ("A", 10))
    result = ask(ten, "k", ("A", 1), ("SET", 2), partial=True)
    assert result.status is HoldStatus.REFUSED
    assert held(result) == [("A", 1, 0, 0), ("SET", 2, 0, 0)]
    assert balances(ten, "B") == {"main available": 3}


def test_bundles_are_held_whole_and_share_their_parts(ten: Engine) -> None:
    result = ask(ten, "k", ("A", 5), ("SET", 3), partial=True)
    assert held(result) == [("A", 5, 5, None), ("SET", 3, 2, 2)]
    assert balances(ten, "A") == {"main available": 1, "main reserved": 9}
    assert balances(ten, "B") == {"main available": 1, "main reserved": 2}


def test_listings_are_counted_in_their_own_units(ten: Engine) -> None:
    whole = ask(ten, "whole", listings=(("pack", 1), ("pair-of-sets", 1)))
    assert held(whole) == [("pack", 1, 1, None), ("pair-of-sets", 1, 1, None)]
    assert lines(ten) == {("hold:web:whole", "A", "main"): (8, 0), ("hold:web:whole", "B", "main"): (2, 0)}
    refused = ask(ten, "more", listings=(("pack", 1),))
    assert (refused.short, held(refused)) == ({"A": (4, 2)}, [("pack", 1, 0, 0)])


def test_a_name_that_never_was_is_told(ten: Engine) -> None:
    ask(ten, "all", ("B", 3))
    result = ask(ten, "k", ("NEVER", 1), ("B", 1), ("A", 1), listings=(("nowhere", 1),))
    assert result.status is HoldStatus.REFUSED
    assert {line.name: line.known for line in result.hold.lines} == {
        "A": True, "B": True, "NEVER": False, "nowhere": False,
    }  # fmt: skip
    partial = ask(ten, "p", ("NEVER", 1), ("A", 1), listings=(("nowhere", 1),), partial=True)
    assert held(partial) == [("A", 1, 1, None), ("NEVER", 1, 0, 0), ("nowhere", 1, 0, 0)]


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("units", [2, 99])
def test_a_repeated_request_is_answered_as_the_first(ten: Engine, units: int, partial: bool) -> None:
    first = ask(ten, "k", ("A", units), listings=(("pack", 1),), partial=partial)
    again = ask(ten, "k", ("A", units), minute=1, listings=(("pack", 1),), partial=partial)
    assert again.status is HoldStatus.REPEATED
    assert again.hold == first.hold
    assert read(ten, "k") == first.hold


def test_whether_partial_is_a_part_of_what_is_asked(ten: Engine) -> None:
    ask(ten, "k", ("A", 2))
    assert ask(ten, "k", ("A", 2), partial=True).status is HoldStatus.CONFLICT
    assert ask(ten, "k", listings=(("A", 2),)).status is HoldStatus.CONFLICT


def test_names_cannot_be_mistaken_for_each_other(ten: Engine) -> None:
    ask(ten, "k", ("A", 1), ("B", 2))
    assert ask(ten, "k", ('A",1],["B', 2)).status is HoldStatus.CONFLICT


def test_reading_tells_what_became_of_it(ten: Engine) -> None:
    for key in ("live", "committed", "released"):
        ask(ten, key, ("A", 1))
    ask(ten, "refused", ("A", 99))
    changes = [Commit("hold:web:committed", "1001"), Release("hold:web:released")]
    in_transaction(ten, lambda c: change_holds(c, changes, now=at(1)))
    found = {key: read(ten, key) for key in ("live", "committed", "released", "refused", "none")}
    assert {key: state and state.status for key, state in found.items()} == {
        "live": ReservationStatus.LIVE,
        "committed": ReservationStatus.LIVE,
        "released": ReservationStatus.RELEASED,
        "refused": ReservationStatus.REFUSED,
        "none": None,
    }
    assert found["committed"] and (found["committed"].expires_at, found["committed"].order_id) == (None, "1001")
    late = read(ten, "live", minute=15)
    assert late and late.status is ReservationStatus.EXPIRED, "although nobody swept"


def free(engine: Engine, *skus: str, refs: tuple[str, ...] = (), minute: float = 1) -> list[HeldLine]:
    return in_transaction(engine, lambda c: hold_readings.free_units(c, "web", skus, refs, now=at(minute)))


def test_what_is_free_counts_what_expired_and_not_what_is_promised(ten: Engine) -> None:
    ask(ten, "k", ("A", 7))
    found = {line.name: (line.free, line.known) for line in free(ten, "A", "B", "SET", "X", refs=("pack", "nowhere"))}
    assert found == {
        "A": (3, True), "B": (3, True), "SET": (1, True), "X": (0, False), "pack": (0, True), "nowhere": (0, False),
    }  # fmt: skip
    with ten.begin() as connection:
        connection.exec_driver_sql("UPDATE item SET safety_stock = 1 WHERE sku = 'A'")
    assert [line.free for line in free(ten, "A", minute=1)] == [2]
    assert [line.free for line in free(ten, "A", "SET", refs=("pack",), minute=15)] == [9, 3, 2]


pieces = st.dictionaries(st.sampled_from("ABC"), st.integers(1, 4), min_size=1)


@given(
    wanted=st.lists(st.tuples(st.integers(1, 9), pieces), max_size=5),
    left=st.fixed_dictionaries({sku: st.integers(0, 20) for sku in "ABC"}),
)
def test_filling_takes_no_more_than_there_is_and_leaves_no_unit_that_fits(
    wanted: list[tuple[int, dict[str, int]]], left: dict[str, int]
) -> None:
    asked = [Wanted(str(number), False, units, parts) for number, (units, parts) in enumerate(wanted)]
    after = dict(left)
    found = fill(asked, after)
    used = {
        sku: sum(line.held * one.pieces.get(sku, 0) for line, one in zip(found, asked, strict=True)) for sku in left
    }
    assert after == {sku: left[sku] - used[sku] for sku in left}
    assert all(units >= 0 for units in after.values())
    for line, one in zip(found, asked, strict=True):
        assert 0 <= line.held <= one.units
        assert line.held == one.units or any(after[sku] < count for sku, count in one.pieces.items())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_sequence_of_asking_holds_more_than_there_is(ten: Engine, data: st.DataObject) -> None:
    run = rows(ten, "SELECT count(*) FROM reservation")[0][0]
    name = st.sampled_from(["A", "B", "SET"])
    asked = data.draw(
        st.lists(
            st.tuples(st.lists(st.tuples(name, st.integers(1, 6)), min_size=1, max_size=3), st.booleans()), max_size=6
        )
    )
    requests = [
        HoldRequest(f"{run}-{number}", "web", tuple(found), timedelta(hours=1), partial=partial)
        for number, (found, partial) in enumerate(asked)
    ]
    results = in_transaction(ten, lambda c: reserve(c, requests, now=at(1)))
    for request, result in zip(requests, results, strict=True):
        if result.status is HoldStatus.REFUSED:
            assert all(line.held == 0 for line in result.hold.lines)
        elif not request.partial:
            assert all(line.held == line.asked for line in result.hold.lines)
    assert_sound(ten)
    holders = [result.holder for result in results]
    in_transaction(ten, lambda c: change_holds(c, [Release(holder) for holder in holders], now=at(2)))
    assert (balances(ten, "A"), balances(ten, "B")) == ({"main available": 10}, {"main available": 3})
