"""Orders in the ledger: what is held, what is oversold, and what repeats and edits do."""

from datetime import timedelta

import pytest
from ledger_stage import (
    START,
    assert_sound,
    at,
    balances,
    business,
    clear_outbox,
    dirty,
    incidents,
    lines,
    order,
    receive,
    reversal,
    rows,
    sell,
)
from sqlalchemy import Connection, Engine, text

from adapters.database import in_transaction
from inventory.holds.hold_terms import ship
from inventory.holds.reservations import HoldRequest, reserve
from inventory.orders.orders import SaleLine, apply_sales
from inventory.words import ReversalKind


@pytest.fixture
def ten(engine: Engine) -> Engine:
    """Ten of A at one location, sold by one channel."""
    business(engine, stock_at={"A": {"main": 10}})
    return engine


def exposures(engine: Engine) -> dict[str, tuple[int | None, int | None]]:
    found = rows(engine, "SELECT channel || ' ' || ref, exposure, settling FROM listing ORDER BY 1")
    return {name: (exposure, settling) for name, exposure, settling in found}


def test_lines_of_one_sku_are_merged_before_checking(ten: Engine) -> None:
    applied = sell(ten, "web", order("1", ("A", 6), ("A", 6)))
    assert (applied.units_held, applied.units_oversold) == (10, 2)
    assert lines(ten) == {("order:web:1", "A", "main"): (10, 0), ("order:web:1", "A", ""): (0, 2)}
    assert balances(ten, "A") == {"main reserved": 10}
    assert incidents(ten) == {("oversold", "A"): 1}
    assert_sound(ten)


def test_bundles_that_share_a_component_share_its_stock(engine: Engine) -> None:
    business(
        engine,
        stock_at={"CUP": {"main": 10}, "POT": {"main": 2}},
        bundles={"SET": {"CUP": 4, "POT": 1}, "PAIR": {"CUP": 2}},
    )
    applied = sell(engine, "web", order("1", ("SET", 2), ("PAIR", 1), ("CUP", 1)))
    assert (applied.units_held, applied.units_oversold) == (12, 1)
    assert balances(engine, "CUP") == {"main reserved": 10}
    assert balances(engine, "POT") == {"main reserved": 2}
    assert_sound(engine)


def test_a_bundle_of_bundles_comes_down_to_its_pieces(engine: Engine) -> None:
    business(engine, stock_at={"A": {"main": 30}}, bundles={"SIX": {"A": 6}, "CASE": {"SIX": 2}})
    assert sell(engine, "web", order("1", ("CASE", 2))).units_held == 24


def test_a_pack_takes_its_pieces(engine: Engine) -> None:
    business(engine, stock_at={"A": {"main": 10}}, packs={"A-3": ("A", 3)})
    applied = sell(engine, "web", order("1", ("A-3", 3), ("A", 2)))
    assert (applied.units_held, applied.units_oversold) == (10, 1)


def test_the_location_that_fewest_channels_share_is_used_first(engine: Engine) -> None:
    business(
        engine,
        stock_at={"A": {"common": 5, "own": 3, "other": 9}},
        channels={"web": ("common", "own"), "fair": ("common", "other")},
    )
    sell(engine, "web", order("1", ("A", 4)))
    assert balances(engine, "A") == {
        "common available": 4,
        "common reserved": 1,
        "own reserved": 3,
        "other available": 9,
    }
    applied = sell(engine, "web", order("2", ("A", 6)))
    assert (applied.units_held, applied.units_oversold) == (4, 2), "what lies elsewhere is not for this channel"


def test_what_returns_goes_to_who_was_promised_first(ten: Engine) -> None:
    """Also on top of what such an order holds already."""
    sell(ten, "web", order("later", ("A", 8), minute=9))
    sell(ten, "web", order("early", ("A", 5), minute=2), order("between", ("A", 4), minute=4))
    assert lines(ten)["order:web:early", "A", "main"] == (2, 0)
    receive(ten, "A", 5)
    assert lines(ten)["order:web:early", "A", "main"] == (5, 0), "covered first, and added to what it held"
    assert lines(ten)["order:web:between", "A", "main"] == (2, 0)
    assert lines(ten)["order:web:between", "A", ""] == (0, 2)
    assert balances(ten, "A") == {"main reserved": 15}
    assert_sound(ten)


def test_cover_comes_from_the_waiting_channels_own_locations_only(engine: Engine) -> None:
    business(engine, stock_at={"A": {"east": 0, "west": 0}}, channels={"web": ("east",), "fair": ("west",)})
    sell(engine, "web", order("1", ("A", 2)))
    receive(engine, "A", 5, place="west")
    assert balances(engine, "A") == {"west available": 5}
    receive(engine, "A", 1, place="east", name="east")
    assert lines(engine) == {("order:web:1", "A", "east"): (1, 0), ("order:web:1", "A", ""): (0, 1)}


def test_a_repeated_page_changes_nothing(ten: Engine) -> None:
    page = [order("1", ("A", 6), back=[reversal("r", 1)]), order("2", ("A", 6))]
    sell(ten, "web", *page)
    before = (balances(ten, "A"), lines(ten), incidents(ten), rows(ten, "SELECT count(*) FROM movement"))
    again = sell(ten, "web", *reversed(page))
    assert (again.new_orders, again.units_held, again.reversals) == (0, 0, 0)
    assert (balances(ten, "A"), lines(ten), incidents(ten), rows(ten, "SELECT count(*) FROM movement")) == before


def test_the_same_page_twice_in_one_transaction(ten: Engine) -> None:
    def twice(connection: Connection) -> int:
        page = [order("1", ("A", 6))]
        apply_sales(connection, "web", page, now=at(60))
        return apply_sales(connection, "web", page, now=at(61)).new_orders

    assert in_transaction(ten, twice) == 0
    assert balances(ten, "A") == {"main available": 4, "main reserved": 6}


def test_an_order_twice_in_a_page_counts_once(ten: Engine) -> None:
    applied = sell(ten, "web", order("1", ("A", 3)), order("1", ("A", 3)), order("1", ("A", 4), updated=2))
    assert (applied.orders, applied.units_held) == (1, 4)


def test_a_line_or_reversal_twice_in_a_document_counts_once(ten: Engine) -> None:
    twice = order("1", SaleLine("1", "A", 5), SaleLine("1", "A", 5), back=[reversal("r", 2), reversal("r", 2)])
    sell(ten, "web", twice)
    assert balances(ten, "A") == {"main available": 7, "main reserved": 3}


def test_the_quantity_of_a_line_raised_and_lowered(ten: Engine) -> None:
    """Each version counts from the one before, also back and forth between the same numbers."""
    for version, (quantity, held) in enumerate([(5, 5), (7, 7), (5, 5), (7, 7), (4, 4), (7, 7), (7, 7)]):
        sell(ten, "web", order("1", ("A", quantity), updated=10 + version))
        assert balances(ten, "A") == {"main available": 10 - held, "main reserved": held}, version
    assert rows(ten, "SELECT quantity, reversed FROM order_line") == [(7, 0)]
    assert_sound(ten)


def test_a_raise_beyond_the_stock_is_oversold(ten: Engine) -> None:
    sell(ten, "web", order("1", ("A", 8)))
    applied = sell(ten, "web", order("1", ("A", 12), updated=8))
    assert (applied.units_held, applied.units_oversold) == (2, 2)


def test_an_edit_and_a_reversal_do_not_count_each_other(ten: Engine) -> None:
    first = order("1", ("A", 7))
    cancelled = order("1", ("A", 7), updated=3, back=[reversal("r", 4, minute=3)])
    lowered = order("1", ("A", 6), updated=4, back=[reversal("r", 4, minute=3)])
    for version in (first, cancelled, lowered, cancelled, lowered):
        sell(ten, "web", version)
    assert balances(ten, "A") == {"main available": 8, "main reserved": 2}
    assert rows(ten, "SELECT quantity, reversed FROM order_line") == [(6, 4)]
    assert_sound(ten)


def test_lowered_below_what_was_reversed_already_puts_back_the_rest_once(ten: Engine) -> None:
    sell(ten, "web", order("1", ("A", 7), back=[reversal("r", 4)]))
    for version in (8, 8, 9):
        sell(ten, "web", order("1", ("A", 2), updated=version))
    assert balances(ten, "A") == {"main available": 10}
    assert incidents(ten) == {("excess_reversal", "order:web:1/1"): 1}


def test_an_older_version_after_a_newer_one(ten: Engine) -> None:
    sell(ten, "web", order("1", ("A", 3), updated=8, back=[reversal("new", 1, minute=8)]))
    sell(ten, "web", order("1", ("A", 6), updated=4, back=[reversal("old", 1, minute=4)]))
    assert balances(ten, "A") == {"main available": 9, "main reserved": 1}


def test_a_line_added_and_cancelled_before_the_version_was_seen(ten: Engine) -> None:
    """The reversal is older than the version that brings its line: still the sale comes first."""
    sell(ten, "web", order("1", ("A", 2)))
    late = order("1", ("A", 2), ("A", 3), updated=20, back=[reversal("r", 3, line="2", minute=5)])
    sell(ten, "web", late)
    assert balances(ten, "A") == {"main available": 8, "main reserved": 2}


def test_an_unmapped_line_is_reported_and_comes_in_once_it_is_mapped(ten: Engine) -> None:
    sale = order("1", ("A", 1), ("NEW", 2), back=[reversal("r", 2, line="2")], updated=6)
    applied = sell(ten, "web", sale)
    assert applied.unmapped == [("1", "2")]
    assert applied.units_held == 1
    assert incidents(ten) == {("unmatched_reversal", "order:web:1/2"): 1}
    business(ten, stock_at={"NEW": {"main": 5}})
    again = sell(ten, "web", sale)
    assert again.unmapped == []
    assert balances(ten, "NEW") == {"main available": 5}, "sold and cancelled"
    assert incidents(ten) == {}, "what was unmatched has been matched"
    assert_sound(ten)


def test_exposure_falls_by_what_is_read_and_grows_by_what_is_put_back(ten: Engine) -> None:
    sell(ten, "web", order("0", ("A", 1)))
    assert exposures(ten) == {"web A": (None, None)}, "a listing that was never read stays unknown"
    in_transaction(
        ten, lambda c: c.execute(text("UPDATE listing SET exposure = 5, settling = 4, settling_since = now()"))
    )
    sell(ten, "web", order("1", ("A", 3)))
    assert exposures(ten) == {"web A": (2, 4)}
    sell(ten, "web", order("1", ("A", 3), updated=9, back=[reversal("r", 2)]))
    assert exposures(ten) == {"web A": (4, 6)}
    sell(ten, "web", order("1", ("A", 3), updated=9, back=[reversal("r2", 1, restocked=False)]))
    assert exposures(ten) == {"web A": (4, 6)}, "the channel did not put it back"
    sell(ten, "web", order("2", ("A", 5)))
    assert exposures(ten) == {"web A": (0, 6)}
    assert ("exposure_exceeded", "A") in incidents(ten)


def test_many_pages_of_several_channels(engine: Engine) -> None:
    stock = {f"S{i}": {"main": 20} for i in range(12)}
    business(engine, stock_at=stock, channels={"web": ("main",), "fair": ("main",)})
    for page in range(5):
        for channel in ("web", "fair"):
            sell(
                engine, channel, *(order(f"{page}-{n}", (f"S{n % 12}", 1), (f"S{(n + 5) % 12}", 1)) for n in range(24))
            )
    held = rows(engine, "SELECT sku, sum(held), sum(oversold) FROM reservation_line GROUP BY sku")
    assert {(h, o) for _, h, o in held} == {(20, 20)}
    assert {sku for sku, _, _ in held} == dirty(engine) == set(stock)
    assert_sound(engine)


def test_every_sku_that_moved_is_computed_again(engine: Engine) -> None:
    """A sale of A ends a hold on A and B that is past its time: B has units to show again."""
    business(engine, stock_at={"A": {"main": 3}, "B": {"main": 3}})
    hold = HoldRequest("k", "web", (("A", 2), ("B", 2)), timedelta(minutes=5))
    in_transaction(engine, lambda c: reserve(c, [hold], now=START))
    clear_outbox(engine)
    sell(engine, "web", order("1", ("A", 3)))
    assert dirty(engine) == {"A", "B"}
    assert balances(engine, "B") == {"main available": 3}
    assert_sound(engine)


def test_an_expiring_hold_covers_an_order_that_is_changed_in_the_same_page(engine: Engine) -> None:
    business(engine, stock_at={"A": {"main": 4}})
    in_transaction(
        engine, lambda c: reserve(c, [HoldRequest("k", "web", (("A", 3),), timedelta(minutes=5))], now=START)
    )
    sell(engine, "web", order("1", ("A", 4), minute=1), minute=2)
    assert lines(engine)["order:web:1", "A", ""] == (0, 3)
    sell(engine, "web", order("1", ("A", 4), minute=1, updated=9, back=[reversal("r", 1)]), minute=20)
    assert lines(engine) == {("order:web:1", "A", "main"): (3, 0)}
    assert balances(engine, "A") == {"main available": 1, "main reserved": 3}
    assert_sound(engine)


def test_shipped_then_returned(ten: Engine) -> None:
    sell(ten, "web", order("1", ("A", 4)))
    in_transaction(ten, lambda c: ship(c, ["order:web:1"], now=at(70)))
    assert balances(ten, "A") == {"main available": 6}
    back = [
        reversal("money", 1, kind=ReversalKind.REFUND, restocked=None),
        reversal("goods", 1, kind=ReversalKind.RETURN, restocked=None),
        reversal("shelf", 1, kind=ReversalKind.RETURN, restocked=True),
    ]
    sell(ten, "web", order("1", ("A", 4), updated=9, back=back))
    assert balances(ten, "A") == {"main available": 7, "main quarantined": 1}
    assert rows(ten, "SELECT quantity FROM balance WHERE state = 'shipped'") == [(2,)]
    assert_sound(ten)


def test_what_was_sent_of_a_short_order_comes_back_whole(ten: Engine) -> None:
    sell(ten, "web", order("1", ("A", 12)))
    in_transaction(ten, lambda c: ship(c, ["order:web:1"], now=at(70)))
    sell(ten, "web", order("1", ("A", 12), updated=9, back=[reversal("r", 10, kind=ReversalKind.RETURN)]))
    assert balances(ten, "A") == {"main available": 10}
    assert_sound(ten)
