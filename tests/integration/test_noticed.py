"""From a notice to the ledger: read from the channel, applied once, and nothing lost when a process dies."""

import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest
from fake_channel import page
from noticing import Shop, open_shop, told
from sqlalchemy import Engine

from adapters.channels.notices import UNREADABLE, Notice
from adapters.channels.protocol import OrderPage
from adapters.database import in_transaction
from adapters.http import ChannelFault, Resolution
from adapters.wakeups import PUBLISH, Wakeups
from tasks.selling.noticed import CLAIM, PAUSES, clear_old
from tasks.selling.pull import pull


@pytest.fixture
def shop(engine: Engine) -> Shop:
    return open_shop(engine)


def test_what_a_notice_names_is_read_and_applied_once(shop: Shop) -> None:
    shop.sells("1", "2")
    assert shop.tells(told("1"), told("1"), told("2"), told("1", "updated")) == 3
    assert shop.tells(told("2")) == 0, "the same message again"
    report = shop.reads()
    assert (report.claimed, report.read, report.stored, report.applied.new_orders) == (3, 2, 2, 2)
    assert shop.channel.asked == [["1", "2"]], "many notices of one order are one question"
    assert shop.held() == 2
    assert shop.reads().claimed == 0
    shop.tells(told("1", "late"), told("2", "later"))
    assert (shop.reads().stored, shop.held()) == (0, 2), "a late one changes nothing"


def test_a_notice_moves_no_watermark_and_settles_no_exposure(shop: Shop) -> None:
    pull(shop.stage.runtime, "shop")
    before = shop.stage.one("SELECT watermark, pulled_at FROM channel")
    shop.stage.clock.forward(60)
    shop.sells("1")
    shop.tells(told("1"))
    shop.reads()
    assert shop.stage.one("SELECT watermark, pulled_at FROM channel") == before


def test_a_forged_notice_of_an_order_that_is_not_there_does_no_harm(shop: Shop) -> None:
    shop.tells(told("no such order"), told("x" * 190), told("'; DROP TABLE notice; --"))
    report = shop.reads()
    assert (report.read, report.missing, shop.held()) == (0, 3, 0)


def test_an_order_that_is_not_shown_yet_is_asked_for_again_and_then_left_to_polling(shop: Shop) -> None:
    shop.tells(told("slow"), told("never"))
    assert shop.reads().missing == 2
    assert shop.reads().claimed == 0, "not at once"
    shop.sells("slow")
    for pause in PAUSES:
        shop.stage.clock.forward(pause.total_seconds())
        shop.reads()
    assert shop.held() == 1
    assert dict(shop.statuses()) == {"slow": "read", "never": "left"}
    assert [ids for ids in shop.channel.asked if "never" in ids][2:] == [["never"]] * (len(PAUSES) - 1)


def test_a_channel_that_is_away_keeps_its_notices_waiting(shop: Shop) -> None:
    shop.sells("1")
    shop.tells(told("1"))
    shop.channel.away = ChannelFault("shop", Resolution.RATE_LIMITED, "too fast", retry_after=20)
    assert "too fast" in shop.reads().fault
    shop.channel.away = None
    shop.stage.clock.forward(19)
    assert shop.reads().claimed == 0
    shop.stage.clock.forward(1)
    assert shop.reads().read == 1
    assert shop.statuses() == [("1", "read")]


def test_a_fault_half_way_through_loses_nothing_of_the_first_half(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.selling.noticed.READ", 1)
    shop.sells("1", "2")
    shop.tells(told("1"), told("2"))
    ask = shop.channel.read_orders

    def once(order_ids: Sequence[str]) -> OrderPage:
        if shop.channel.asked:
            raise ChannelFault("shop", Resolution.RETRY, "gone")
        return ask(order_ids)

    monkeypatch.setattr(shop.channel, "read_orders", once)
    report = shop.reads()
    assert (report.read, bool(report.fault), shop.held()) == (1, True, 1)
    assert shop.statuses() == [("1", "read"), ("2", "pending")]


def test_a_notice_without_an_order_is_a_pull_and_many_are_one(shop: Shop) -> None:
    shop.sells("1")
    shop.channel.pages = [page(shop.channel.orders["1"])]
    shop.tells(told("", "a"), told("", "b"), Notice("c", UNREADABLE, ()))
    report = shop.reads()
    assert (report.pulled, report.stored, len(shop.channel.asked_since)) == (True, 1, 1)
    shop.tells(told("", "d"))
    assert (shop.reads().pulled, len(shop.channel.asked_since)) == (False, 1), "what came before the pull is in it"
    shop.stage.clock.forward(1)
    shop.tells(told("", "e"))
    assert not shop.reads().pulled, "not again at once"
    assert shop.statuses()[-1] == ("", "pending")
    shop.stage.clock.forward(60)
    assert shop.reads().pulled
    assert {status for _, status in shop.statuses()} == {"read"}


def test_a_channel_whose_single_reads_are_dear_is_pulled_when_many_wait(shop: Shop) -> None:
    shop.channel.singly = False
    shop.sells(*map(str, range(8)))
    shop.channel.pages = [page(*shop.channel.orders.values())]
    shop.tells(*(told(str(number)) for number in range(5)))
    assert (shop.reads().pulled, shop.channel.asked) == (False, [["0", "1", "2", "3", "4"]])
    shop.tells(*(told(str(number), "again") for number in range(6)))
    assert (shop.reads().pulled, len(shop.channel.asked), shop.held()) == (True, 1, 8)


def test_a_notice_about_a_listing_lets_the_publisher_look_at_it(shop: Shop) -> None:
    shop.stage.rows("SELECT 1")
    in_transaction(shop.stage.engine, lambda c: c.exec_driver_sql("DELETE FROM outbox"))
    shop.tells(Notice("level", "inventory_levels/update", (), ("shop-A", "unknown")))
    with Wakeups(shop.stage.engine, [PUBLISH]) as wakeups:
        assert shop.reads().listings == 1
        assert wakeups.wait(5) == {PUBLISH}
    assert [row.sku for row in shop.stage.rows("SELECT sku FROM outbox")] == ["A"]
    assert shop.statuses() == [("", "read")] * 2
    assert shop.channel.asked == []


def test_more_than_one_claim_holds_are_taken_up_by_the_next(shop: Shop) -> None:
    orders = [str(number) for number in range(CLAIM + 5)]
    shop.sells(*orders)
    shop.tells(*map(told, orders))
    assert [shop.reads().claimed for _ in range(3)] == [CLAIM, 5, 0]
    assert shop.held() == CLAIM + 5


def test_what_a_killed_process_held_is_taken_up_when_its_lease_ends(shop: Shop) -> None:
    shop.sells("1", "2")
    shop.tells(told("1"), told("2"))

    class Killed(BaseException):
        pass

    def dies(order_ids: Sequence[str]) -> OrderPage:
        raise Killed

    shop.channel.read_orders = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        shop.reads()
    del shop.channel.read_orders
    assert shop.reads(owner="another").claimed == 0
    shop.stage.clock.forward(121)
    assert shop.reads(owner="another").applied.new_orders == 2


def test_two_at_once_read_everything_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.selling.noticed.CLAIM", 7)
    orders = [str(number) for number in range(60)]
    shop.sells(*orders)
    shop.tells(*map(told, orders))
    claimed: list[int] = []

    def work(owner: str) -> None:
        while (report := shop.reads(owner=owner)).claimed:
            claimed.append(report.claimed)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(claimed) == 60 and shop.held() == 60
    assert sorted(one for ids in shop.channel.asked for one in ids) == sorted(orders)


def test_old_notices_are_deleted_and_waiting_ones_kept(shop: Shop) -> None:
    shop.sells("1")
    shop.tells(told("1"))
    shop.reads()
    shop.tells(told("waits"))
    shop.stage.clock.forward(86400 * 10)
    shop.tells(told("1", "new"))
    assert clear_old(shop.stage.runtime, timedelta(days=20)) == 0
    assert clear_old(shop.stage.runtime, timedelta(days=9)) == 1
    assert [order_id for order_id, _ in shop.statuses()] == ["waits", "1"]
