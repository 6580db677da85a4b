"""Holds: all or nothing, keyed, ended once, and over when their time is over."""

import threading
from datetime import timedelta

import pytest
from ledger_stage import START, assert_sound, at, balances, business, dirty, lines, order, receive, rows, sell
from sqlalchemy import Engine, text

from adapters.database import in_transaction
from inventory.holds import hold_terms, reservations
from inventory.holds.hold_terms import (
    ChangeResult,
    Commit,
    EndResult,
    Extend,
    HoldChange,
    HoldChanged,
    Release,
    change_holds,
)
from inventory.holds.reservations import HoldRequest, HoldResult, HoldStatus
from inventory.words import ReservationStatus


@pytest.fixture
def ten(engine: Engine) -> Engine:
    """Ten of A and three of B at one location, sold by one channel; a bundle of two A and one B."""
    business(engine, stock_at={"A": {"main": 10}, "B": {"main": 3}}, bundles={"SET": {"A": 2, "B": 1}})
    return engine


def request(key: str, *wanted: tuple[str, int], minutes: float = 15, channel: str = "web") -> HoldRequest:
    return HoldRequest(key, channel, wanted, timedelta(minutes=minutes))


def reserve(engine: Engine, *requests: HoldRequest, minute: float = 0) -> list[HoldResult]:
    return in_transaction(engine, lambda c: reservations.reserve(c, requests, now=at(minute)))


def end(engine: Engine, how: str, *keys: str, minute: float = 1) -> list[EndResult]:
    holders = [f"hold:web:{key}" for key in keys]
    found = in_transaction(engine, lambda c: getattr(hold_terms, how)(c, holders, now=at(minute)))
    return [found[holder] for holder in holders]


def change(engine: Engine, *changes: HoldChange, minute: float) -> list[HoldChanged]:
    return in_transaction(engine, lambda c: change_holds(c, changes, now=at(minute)))


def extend(engine: Engine, key: str, minutes: float, *, minute: float) -> ChangeResult:
    return change(engine, Extend(f"hold:web:{key}", timedelta(minutes=minutes)), minute=minute)[0].result


def commit(engine: Engine, key: str, *, minute: float, order_id: str = "1") -> ChangeResult:
    return change(engine, Commit(f"hold:web:{key}", order_id), minute=minute)[0].result


def test_all_or_nothing(ten: Engine) -> None:
    [result] = reserve(ten, request("k", ("A", 4), ("B", 4)))
    assert (result.status, result.short) == (HoldStatus.REFUSED, {"B": (4, 3)})
    assert balances(ten, "A") == {"main available": 10}
    assert lines(ten) == {}


def test_equal_skus_and_bundles_are_added_up_before_checking(ten: Engine) -> None:
    refused, held = reserve(ten, request("six and six", ("A", 6), ("A", 6)), request("k", ("SET", 3), ("A", 4)))
    assert refused.short == {"A": (12, 10)}
    assert held.status is HoldStatus.HELD
    assert lines(ten) == {("hold:web:k", "A", "main"): (10, 0), ("hold:web:k", "B", "main"): (3, 0)}
    assert_sound(ten)


def test_first_come_first_served_within_a_set(ten: Engine) -> None:
    results = reserve(ten, request("z", ("A", 6)), request("a", ("A", 5)), request("m", ("A", 4)))
    assert [one.status for one in results] == [HoldStatus.HELD, HoldStatus.REFUSED, HoldStatus.HELD]


def test_a_key_counts_once(ten: Engine) -> None:
    asked = request("k", ("A", 2), ("A", 1))
    first, repeated = reserve(ten, asked, asked)
    assert (first.status, repeated.status) == (HoldStatus.HELD, HoldStatus.REPEATED)
    same, other = reserve(ten, request("k", ("A", 3)), request("k", ("A", 4)), minute=1)
    assert (same.status, same.reservation) == (HoldStatus.REPEATED, ReservationStatus.LIVE)
    assert other.status is HoldStatus.CONFLICT
    end(ten, "release", "k")
    [after] = reserve(ten, asked, minute=2)
    assert (after.status, after.reservation) == (HoldStatus.REPEATED, ReservationStatus.RELEASED)
    assert balances(ten, "A") == {"main available": 10}


def test_the_same_key_on_another_channel_is_another_hold(ten: Engine) -> None:
    business(ten, stock_at={"A": {}}, channels={"fair": ("main",)})
    results = reserve(ten, request("k", ("A", 1)), request("k", ("A", 1), channel="fair"))
    assert [one.status for one in results] == [HoldStatus.HELD, HoldStatus.HELD]


def test_clients_with_one_key_share_one_hold(ten: Engine) -> None:
    found: list[HoldStatus] = []
    threads = [
        threading.Thread(target=lambda: found.append(reserve(ten, request("k", ("A", 1)))[0].status)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [HoldStatus.HELD] + 7 * [HoldStatus.REPEATED]
    assert balances(ten, "A") == {"main available": 9, "main reserved": 1}


def test_expiry_is_judged_when_it_is_read(ten: Engine) -> None:
    """No sweeper runs: the units are free all the same, in full, and once."""
    reserve(ten, request("old", ("A", 10), ("B", 3), minutes=5))
    [early] = reserve(ten, request("early", ("A", 1)), minute=4.99)
    assert early.status is HoldStatus.REFUSED
    [late] = reserve(ten, request("late", ("A", 10)), minute=5)
    assert late.status is HoldStatus.HELD
    assert balances(ten, "B") == {"main available": 3}
    assert dirty(ten) == {"A", "B"}
    assert rows(ten, "SELECT status FROM reservation WHERE holder = 'hold:web:old'") == [("expired",)]
    assert_sound(ten)


def test_a_sale_takes_what_an_expired_hold_held(ten: Engine) -> None:
    reserve(ten, request("old", ("A", 10), minutes=5))
    assert sell(ten, "web", order("1", ("A", 4))).units_oversold == 0
    assert_sound(ten)


def test_the_sweeper_works_in_chunks(ten: Engine) -> None:
    business(ten, stock_at={f"S{i}": {"main": 1} for i in range(25)})
    reserve(ten, *(request(f"k{i}", (f"S{i}", 1), minutes=1 + i / 100) for i in range(25)))
    reserve(ten, request("stays", ("A", 1), minutes=60))
    swept = [in_transaction(ten, lambda c: hold_terms.expire(c, now=at(2), limit=10)) for _ in range(4)]
    assert swept == [10, 10, 5, 0]
    assert lines(ten) == {("hold:web:stays", "A", "main"): (1, 0)}
    assert_sound(ten)


def test_sweepers_and_buyers_at_once(ten: Engine) -> None:
    business(ten, stock_at={f"S{i}": {"main": 1} for i in range(40)})
    reserve(ten, *(request(f"k{i}", (f"S{i}", 1), (f"S{(i + 1) % 40}", 1), minutes=1) for i in range(0, 40, 2)))
    swept: list[int] = []
    held: list[HoldStatus] = []

    def sweep() -> None:
        swept.extend(in_transaction(ten, lambda c: hold_terms.expire(c, now=at(2), limit=3)) for _ in range(8))

    def buy() -> None:
        held.extend(reserve(ten, request(f"buy{i}", (f"S{i}", 1)), minute=2)[0].status for i in range(40))

    threads = [threading.Thread(target=sweep), threading.Thread(target=sweep), threading.Thread(target=buy)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(swept) <= 20
    in_transaction(ten, lambda c: hold_terms.expire(c, now=at(2)))
    assert rows(ten, "SELECT count(*) FROM reservation WHERE status = 'expired'") == [(20,)]
    assert_sound(ten)


def test_a_hold_ends_once_and_says_how_it_ended(ten: Engine) -> None:
    reserve(ten, request("a", ("A", 2)), request("b", ("A", 2)), request("c", ("A", 2), minutes=1))
    reserve(ten, request("d", ("A", 99)))
    assert end(ten, "release", "a", "a", "none") == [EndResult.ENDED, EndResult.ENDED, EndResult.UNKNOWN]
    assert end(ten, "ship", "b") == [EndResult.ENDED]
    assert end(ten, "release", "a", "b", "c", "d", minute=3) == [
        EndResult.ALREADY_RELEASED,
        EndResult.ALREADY_SHIPPED,
        EndResult.ALREADY_EXPIRED,
        EndResult.WAS_REFUSED,
    ]
    assert end(ten, "ship", "c", minute=4) == [EndResult.ALREADY_EXPIRED]
    assert balances(ten, "A") == {"main available": 8}
    assert rows(ten, "SELECT quantity FROM balance WHERE state = 'shipped'") == [(2,)]
    assert_sound(ten)


def test_a_hold_can_be_extended_while_it_lives(ten: Engine) -> None:
    reserve(ten, request("k", ("A", 10), minutes=5))
    assert extend(ten, "k", 5, minute=4) is ChangeResult.DONE
    assert extend(ten, "k", 1, minute=4) is ChangeResult.DONE, "and is not made shorter"
    assert reserve(ten, request("other", ("A", 1)), minute=8)[0].status is HoldStatus.REFUSED
    assert extend(ten, "k", 11, minute=9) is ChangeResult.OVER
    assert extend(ten, "none", 19, minute=1) is ChangeResult.UNKNOWN


def test_a_committed_hold_stays_and_a_late_commit_is_told(ten: Engine) -> None:
    reserve(ten, request("k", ("A", 4), minutes=5), request("late", ("B", 3), minutes=5))
    assert commit(ten, "k", minute=4) is ChangeResult.DONE
    assert commit(ten, "k", minute=99) is ChangeResult.ALREADY_COMMITTED, "saying it again is no error"
    assert commit(ten, "k", minute=99, order_id="2") is ChangeResult.OTHER_ORDER
    assert commit(ten, "late", minute=5) is ChangeResult.OVER
    in_transaction(ten, lambda c: hold_terms.expire(c, now=at(999)))
    assert rows(ten, "SELECT order_id FROM reservation WHERE holder = 'hold:web:k'") == [("1",)]
    assert lines(ten) == {("hold:web:k", "A", "main"): (4, 0)}


def test_what_was_committed_cannot_be_made_to_expire(ten: Engine) -> None:
    """Nor can an order."""
    reserve(ten, request("k", ("A", 4), minutes=5))
    commit(ten, "k", minute=1)
    sell(ten, "web", order("1", ("B", 1)))
    assert extend(ten, "k", 1, minute=2) is ChangeResult.ALREADY_COMMITTED
    assert change(ten, Extend("order:web:1", timedelta(minutes=1)), minute=2)[0].result is ChangeResult.UNKNOWN
    assert in_transaction(ten, lambda c: hold_terms.expire(c, now=at(999))) == 0
    assert len(lines(ten)) == 2


def test_an_extension_into_the_past_is_refused(ten: Engine) -> None:
    reserve(ten, request("k", ("A", 4)))
    with pytest.raises(ValueError, match="release it instead"):
        extend(ten, "k", 0, minute=5)


def test_a_set_of_changes_is_judged_one_after_the_other(ten: Engine) -> None:
    reserve(ten, request("a", ("A", 2)), request("b", ("A", 3)), request("c", ("B", 1), minutes=1))
    a, b, c = (f"hold:web:{key}" for key in "abc")
    changed = change(
        ten, Commit(a, "7"), Release(b), Commit(b, "8"), Commit(a, "8"), Release(a), Release(a), Release(c),
        Release("hold:web:none"),
        minute=2,
    )  # fmt: skip
    over, done = ChangeResult.OVER, ChangeResult.DONE
    assert [one.result for one in changed] == [
        done, done, over, ChangeResult.OTHER_ORDER, done, over, over, ChangeResult.UNKNOWN,
    ]  # fmt: skip
    statuses = [one.hold and one.hold.status for one in changed]
    live, released = ReservationStatus.LIVE, ReservationStatus.RELEASED
    assert statuses == [live, released, released, live, released, released, ReservationStatus.EXPIRED, None]
    assert balances(ten, "A") == {"main available": 10}
    assert rows(ten, "SELECT order_id FROM reservation WHERE holder = 'hold:web:a'") == [("7",)]
    assert_sound(ten)


def test_an_order_without_an_id_cannot_be_committed(ten: Engine) -> None:
    with pytest.raises(ValueError, match="without an id"):
        commit(ten, "k", minute=1, order_id="")


def test_commits_and_expiry_at_the_same_instant(ten: Engine) -> None:
    """Whoever came first is right, and both know it: the units are kept or they are free."""
    business(ten, stock_at={f"S{i}": {"main": 1} for i in range(60)})
    reserve(ten, *(request(f"k{i}", (f"S{i}", 1), minutes=5) for i in range(60)))
    committed: list[str] = []
    swept: list[int] = []
    rival: list[HoldResult] = []

    def commit_all() -> None:
        # The last moment at which it is still in time: the sweeper's clock is a breath ahead.
        for i in range(60):
            if commit(ten, f"k{i}", minute=4.9999) is ChangeResult.DONE:
                committed.append(f"hold:web:k{i}")

    def sweep() -> None:
        swept.extend(in_transaction(ten, lambda c: hold_terms.expire(c, now=at(5), limit=7)) for _ in range(12))

    def want() -> None:
        for i in reversed(range(60)):
            rival.extend(reserve(ten, request(f"rival{i}", (f"S{i}", 1)), minute=5))

    threads = [threading.Thread(target=one) for one in (commit_all, sweep, want)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    in_transaction(ten, lambda c: hold_terms.expire(c, now=at(6)))
    kept = {holder for holder, *_ in lines(ten)}
    assert set(committed) <= kept, "what was committed in time stays"
    assert rows(ten, "SELECT count(*) FROM reservation WHERE status = 'expired'") == [(60 - len(committed),)]
    won = {one.holder for one in rival if one.status is HoldStatus.HELD}
    assert kept == set(committed) | won
    assert_sound(ten)


def test_what_blind_channels_may_still_sell_is_not_free(ten: Engine) -> None:
    """Also as part of a bundle, and in packs."""
    business(ten, stock_at={"A": {}}, channels={"fair": ("main",)}, packs={"A-2": ("A", 2)}, bundles={"SET": {"A": 2}})
    exposure = text("UPDATE listing SET exposure = :units WHERE channel = 'fair' AND ref = :ref")
    with ten.begin() as connection:
        for ref, units in (("A", 1), ("A-2", 2), ("SET", 1)):
            connection.execute(exposure, {"ref": ref, "units": units})
    [result] = reserve(ten, request("k", ("A", 4)))
    assert result.short == {"A": (4, 3)}
    assert reserve(ten, request("fits", ("A", 3)))[0].status is HoldStatus.HELD


def test_margin_and_safety_stock_are_not_free(ten: Engine) -> None:
    with ten.begin() as connection:
        connection.execute(text("UPDATE item SET accuracy_margin = 2, safety_stock = 3 WHERE sku = 'A'"))
    assert reserve(ten, request("k", ("A", 6)))[0].short == {"A": (6, 5)}
    assert reserve(ten, request("fits", ("A", 5)))[0].status is HoldStatus.HELD


def test_a_channel_holds_only_what_lies_at_its_locations(engine: Engine) -> None:
    business(engine, stock_at={"A": {"east": 2, "west": 5}}, channels={"web": ("east",), "fair": ("east", "west")})
    refused, unknown = reserve(engine, request("k", ("A", 3)), request("k", ("A", 1), channel="nobody"))
    assert (refused.short, unknown.short) == ({"A": (3, 2)}, {"A": (1, 0)})
    assert reserve(engine, request("none", ("NOTHING", 1)))[0].short == {"NOTHING": (1, 0)}


@pytest.mark.parametrize(
    "asked",
    [
        request("k"),
        request("k", ("A", 0)),
        request("k", ("A", -1)),
        request("k", ("A", True)),
        request("k", ("A", 1.5)),  # type: ignore[arg-type]
        request("k", ("A", 10**12)),
        request("k", ("A", 1), minutes=0),
        request("k", ("A", 1), minutes=-1),
    ],
)
def test_a_request_without_sense_is_refused_before_anything_is_done(ten: Engine, asked: HoldRequest) -> None:
    with pytest.raises(ValueError, match="hold 'k'"):
        reserve(ten, request("good", ("A", 1)), asked)
    assert lines(ten) == {}


def test_a_shipment_and_goods_for_the_same_order_do_not_block_each_other(ten: Engine) -> None:
    """The goods cover the order, which refers to its row, while the shipment has that row locked."""
    sell(ten, "web", order("1", ("A", 12)))
    locked, ready = threading.Event(), threading.Event()

    def hold_the_order() -> None:
        with ten.begin() as connection:
            connection.execute(text("SELECT FROM reservation FOR NO KEY UPDATE"))
            locked.set()
            assert ready.wait(10), "the receipt waited for the order's row"

    thread = threading.Thread(target=hold_the_order)
    thread.start()
    assert locked.wait(10)
    receive(ten, "A", 2)
    ready.set()
    thread.join()
    assert lines(ten) == {("order:web:1", "A", "main"): (12, 0)}


def test_no_lock_on_a_reservation_is_stronger_than_it_must_be() -> None:
    """FOR UPDATE on a reservation would meet the reference from its lines, and deadlock with whoever covers it."""
    import inspect

    from inventory.holds import reservation_store
    from inventory.orders import order_store

    for module in (reservations, hold_terms, reservation_store, order_store):
        assert "FOR UPDATE" not in inspect.getsource(module).replace("Not FOR UPDATE", "")
    assert START < at(1)
