"""A channel that asks first: its order takes the hold's units over, whatever else wanted them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from ledger_stage import assert_sound, at, balances, business, incidents, lines, order, reversal, rows, sell
from sqlalchemy import Engine

from adapters.database import in_transaction
from inventory.holds.reservations import HoldRequest, HoldResult, HoldStatus, reserve
from inventory.publishing.exposure import Observation, exposed_units, observe

HELD = "hold:web:cart-1"


def hold(engine: Engine, *asked: tuple[str, int], key: str = "cart-1", minutes: float = 30) -> HoldResult:
    request = HoldRequest(key, "web", tuple(asked), timedelta(minutes=minutes))
    [result] = in_transaction(engine, lambda connection: reserve(connection, [request], now=at(0)))
    return result


def status_of(engine: Engine, holders: Sequence[str]) -> dict[str, str]:
    found = rows(engine, "SELECT holder, status FROM reservation WHERE holder = ANY(:holders)", holders=list(holders))
    return dict(found)


def held_order(name: str, *asked: tuple[str, int], key: str = "cart-1", **more: object):  # type: ignore[no-untyped-def]
    return replace(order(name, *asked, **more), hold=key)  # type: ignore[arg-type]


def test_the_order_has_the_units_and_the_hold_is_over(engine: Engine) -> None:
    business(engine, stock_at={"CUP": {"main": 5}})
    assert hold(engine, ("CUP", 2)).status is HoldStatus.HELD
    applied = sell(engine, "web", held_order("1", ("CUP", 2)), minute=5)
    assert (applied.units_held, applied.units_oversold) == (2, 0)
    assert lines(engine) == {("order:web:1", "CUP", "main"): (2, 0)}
    assert balances(engine, "CUP") == {"main available": 3, "main reserved": 2}
    assert status_of(engine, [HELD]) == {HELD: "sold"}
    again = sell(engine, "web", held_order("1", ("CUP", 2)), minute=6)
    assert (again.new_orders, again.units_held) == (0, 0)
    assert_sound(engine)


def test_an_order_whose_units_are_held_is_never_oversold_by_one_that_came_before(engine: Engine) -> None:
    """The other order was placed earlier, is applied in the same page and waits for units."""
    business(engine, stock_at={"CUP": {"main": 2}})
    hold(engine, ("CUP", 2))
    sell(engine, "web", order("0", ("CUP", 1), minute=0), held_order("1", ("CUP", 2), minute=1), minute=5)
    assert lines(engine) == {("order:web:1", "CUP", "main"): (2, 0), ("order:web:0", "CUP", ""): (0, 1)}
    assert_sound(engine)


def test_what_the_order_did_not_need_goes_to_who_waits(engine: Engine) -> None:
    business(engine, stock_at={"CUP": {"main": 3}})
    hold(engine, ("CUP", 3))
    sell(engine, "web", order("0", ("CUP", 1)), minute=4)
    assert ("oversold", "CUP") in incidents(engine)
    sell(engine, "web", held_order("1", ("CUP", 2)), minute=5)
    assert lines(engine) == {("order:web:1", "CUP", "main"): (2, 0), ("order:web:0", "CUP", "main"): (1, 0)}
    assert_sound(engine)


def test_an_order_for_more_than_was_held_takes_the_rest_from_the_shelf(engine: Engine) -> None:
    business(engine, stock_at={"CUP": {"main": 3}, "POT": {"main": 1}})
    hold(engine, ("CUP", 1))
    applied = sell(engine, "web", held_order("1", ("CUP", 2), ("POT", 2)), minute=5)
    assert (applied.units_held, applied.units_oversold) == (3, 1)
    assert_sound(engine)


def test_a_hold_that_ran_out_or_never_was_is_as_none(engine: Engine) -> None:
    business(engine, stock_at={"CUP": {"main": 3}})
    hold(engine, ("CUP", 2), minutes=1)
    sell(engine, "web", held_order("1", ("CUP", 2)), held_order("2", ("CUP", 1), key="nobody"), minute=5)
    assert status_of(engine, [HELD]) == {HELD: "expired"}
    assert balances(engine, "CUP") == {"main reserved": 3}
    assert_sound(engine)


def test_another_channel_cannot_take_the_hold(engine: Engine) -> None:
    business(engine, stock_at={"CUP": {"main": 2}}, channels={"web": ("main",), "shop": ("main",)})
    hold(engine, ("CUP", 2))
    applied = sell(engine, "shop", held_order("1", ("CUP", 2)), minute=5)
    assert applied.units_oversold == 2
    assert status_of(engine, [HELD]) == {HELD: "live"}
    assert_sound(engine)


def test_a_cancelled_order_gives_back_what_the_hold_gave_it(engine: Engine) -> None:
    business(engine, stock_at={"CUP": {"main": 2}})
    hold(engine, ("CUP", 2))
    sell(engine, "web", held_order("1", ("CUP", 2), back=[reversal("r", 2)]), minute=9)
    assert balances(engine, "CUP") == {"main available": 2}
    assert_sound(engine)


def test_a_bundle_and_several_places(engine: Engine) -> None:
    business(
        engine,
        stock_at={"CUP": {"a": 1, "b": 3}, "POT": {"b": 1}},
        channels={"web": ("a", "b")},
        bundles={"SET": {"CUP": 3, "POT": 1}},
    )
    hold(engine, ("SET", 1))
    sell(engine, "web", held_order("1", ("SET", 1)), minute=5)
    assert {key[0] for key in lines(engine)} == {"order:web:1"}
    assert sum(held for held, _ in lines(engine).values()) == 4
    assert_sound(engine)


def test_a_channel_that_asks_first_has_no_exposure(engine: Engine) -> None:
    business(engine, stock_at={"CUP": {"main": 5}}, channels={"web": ("main",), "shop": ("main",)})
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE channel SET asks_first = true WHERE code = 'web'")
        ids = {row.channel: row.id for row in connection.exec_driver_sql("SELECT channel, id FROM listing")}
        seen = [Observation(ids["web"], 5, True), Observation(ids["shop"], 2, True)]
        observe(connection, seen, read_started=at(1), read_ended=at(1))
        assert exposed_units(connection, ["CUP"]) == {"CUP": 2}
    assert hold(engine, ("CUP", 4)).status is HoldStatus.REFUSED
    assert hold(engine, ("CUP", 3), key="cart-2").status is HoldStatus.HELD
    sell(engine, "web", held_order("1", ("CUP", 3), key="cart-2"), minute=5)
    assert incidents(engine) == {}, "selling what was held is no excess"
