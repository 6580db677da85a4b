"""How notices arrive and who hears of them: wake-ups, the queue, the comparison with polling, and a killed intake."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fake_channel import page
from noticing import Shop, open_shop, told
from sqlalchemy import Connection, Engine, event

from adapters.channels.notices import UNREADABLE, Notice
from adapters.database import in_transaction
from adapters.http import ChannelFault, Resolution
from adapters.wakeups import PUBLISH, Wakeups, pull_topic, wake
from benchmarks.ledger import laboratory
from benchmarks.webhook_client import burst
from benchmarks.webhooks import intake_burst
from tasks.selling.gaps import compare_with_notices
from tasks.selling.listen import Listener, listening
from tasks.selling.pull import pull
from tasks.selling.queue import drain


@pytest.fixture
def shop(engine: Engine) -> Shop:
    return open_shop(engine)


# Waking


def test_a_wake_up_comes_at_once_and_others_do_not(engine: Engine) -> None:
    with Wakeups(engine, [PUBLISH]) as wakeups:
        assert wakeups.wait(0) == set()
        wake(engine, pull_topic("shop"))
        assert wakeups.wait(0.2) == set(), "somebody else's"
        timer = threading.Timer(0.1, wake, (engine, PUBLISH, "other"))
        began = time.monotonic()
        timer.start()
        assert wakeups.wait(20) == {PUBLISH}
        assert time.monotonic() - began < 15
        wake(engine, PUBLISH)
        wake(engine, PUBLISH)
        time.sleep(0.5)
        assert (wakeups.wait(20), wakeups.wait(0)) == ({PUBLISH}, set())


def test_a_wake_up_is_one_statement_that_begins_and_ends_nothing(engine: Engine) -> None:
    alone: list[bool] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(connection: Connection, *_: object) -> None:
        alone.append(connection.connection.driver_connection.autocommit)  # type: ignore[union-attr]

    wake(engine, PUBLISH, "other")
    assert alone == [True]
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
    assert alone == [True, False], "the connection goes back as it was"


def test_without_a_connection_it_waits_and_comes_back(engine: Engine) -> None:
    def hang_up(c: Any) -> None:
        c.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'onhand wake-ups' AND datname = current_database()"
        )

    with Wakeups(engine, [PUBLISH]) as wakeups:
        in_transaction(engine, hang_up)
        began = time.monotonic()
        assert wakeups.wait(0.2) == set()
        assert time.monotonic() - began >= 0.2, "never busy"
        assert wakeups.wait(20) == {PUBLISH}, "something may have been called meanwhile"
        wake(engine, PUBLISH)
        assert wakeups.wait(20) == {PUBLISH}


def attend_until(listener: Listener, met: Callable[[], bool]) -> None:
    for _ in range(100):
        if met():
            return
        listener.attend(0.3)


def test_a_shift_reads_what_it_is_told_of_while_it_waits(shop: Shop) -> None:
    shop.sells("waiting", "told")
    shop.tells(told("waiting"))

    def tell() -> None:
        shop.tells(told("told"))
        wake(shop.stage.engine, pull_topic("shop"))

    with listening(shop.stage.runtime, "shop") as listener:
        timer = threading.Timer(0.1, tell)
        timer.start()
        listener.attend(0.6)
        timer.join()
        attend_until(listener, lambda: len(listener.reports) > 1)
    assert [report.read for report in listener.reports] == [1, 1]
    assert shop.held() == 2


def test_whoever_changes_stock_wakes_the_publisher(shop: Shop) -> None:
    shop.sells("1")
    shop.channel.pages = [page(shop.channel.orders["1"])]
    with Wakeups(shop.stage.engine, [PUBLISH]) as wakeups:
        pull(shop.stage.runtime, "shop")
        assert wakeups.wait(20) == {PUBLISH}


# The queue


@dataclass
class Message:
    notices: tuple[Notice, ...]


@dataclass
class Queue:
    waiting: list[Message]
    before_acknowledge: Callable[[], None] = lambda: None

    def receive(self, wait_s: float) -> list[Message]:
        return self.waiting[:10]

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self.before_acknowledge()
        self.waiting = [one for one in self.waiting if one not in messages]


def test_a_queue_is_stored_before_it_is_acknowledged(shop: Shop) -> None:
    def dies() -> None:
        assert len(shop.statuses()) == 3, "stored by now"
        raise ChannelFault("shop", Resolution.RETRY, "gone")

    queue = Queue([Message((told("1"),)), Message((told("2"), told("2"))), Message((Notice("x", UNREADABLE, ()),))])
    queue.waiting.append(Message((Notice("feed", "FEED_PROCESSING_FINISHED", ()),)))
    queue.before_acknowledge = dies
    with pytest.raises(ChannelFault):
        drain(shop.stage.runtime, "shop", queue, 0)
    queue.before_acknowledge = lambda: None
    assert drain(shop.stage.runtime, "shop", queue, 0) == 0, "they came again"
    assert (queue.waiting, len(shop.statuses())) == ([], 3)
    assert drain(shop.stage.runtime, "shop", queue, 0) == 0


def test_a_shift_drains_its_channels_queue_in_the_background(shop: Shop) -> None:
    shop.sells("1")
    queue = Queue([Message((told("1"),))])
    receive = queue.receive

    def patient(wait_s: float) -> list[Message]:
        time.sleep(0.02)
        return receive(wait_s)

    queue.receive = patient  # type: ignore[method-assign]
    with listening(replace(shop.stage.runtime, queue=lambda code: queue), "shop") as listener:
        attend_until(listener, lambda: shop.held() > 0)
    assert shop.held() == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "queue-shop"]


# Gaps


def polled(shop: Shop, *order_ids: str, wait: float = 121) -> Any:
    """A poll finds these orders; then the grace time passes."""
    shop.sells(*order_ids)
    shop.channel.pages = [page(*(shop.channel.orders[one] for one in order_ids))]
    pull(shop.stage.runtime, "shop")
    shop.stage.clock.forward(wait)
    return compare_with_notices(shop.stage.runtime, "shop")


def counts(shop: Shop) -> dict[str, int]:
    return {
        row.outcome: row.n
        for row in shop.stage.rows("SELECT outcome, sum(times)::int AS n FROM intake_count GROUP BY 1")
    }


def test_polled_events_that_nobody_told_of_are_counted_and_a_person_is_told(shop: Shop) -> None:
    compare_with_notices(shop.stage.runtime, "shop")
    shop.tells(told("1"))
    polled(shop, "1")
    assert counts(shop) == {"compared": 1}
    polled(shop, *"2345")
    assert counts(shop) == {"compared": 5, "missed": 4}
    assert shop.stage.incidents() == set(), "a few may be lost"
    polled(shop, "6")
    assert shop.stage.incidents() == {("webhook_gap", "shop")}
    assert compare_with_notices(shop.stage.runtime, "shop").compared == 0, "each event is compared once"
    shop.tells(told("7"))
    polled(shop, "7")
    assert shop.stage.incidents() == set(), "it tells again"


def test_a_notice_that_comes_a_little_later_is_not_missed(shop: Shop) -> None:
    compare_with_notices(shop.stage.runtime, "shop")
    assert polled(shop, "1", wait=60).compared == 0
    shop.tells(told("1"))
    shop.stage.clock.forward(61)
    result = compare_with_notices(shop.stage.runtime, "shop")
    assert (result.compared, result.missed) == (1, 0)


def test_an_older_notice_of_the_same_order_does_not_count_for_a_later_change(shop: Shop) -> None:
    compare_with_notices(shop.stage.runtime, "shop")
    shop.tells(told("1"))
    shop.stage.clock.forward(600)
    assert polled(shop, "1").missed == 1


def test_a_channel_that_should_tell_and_never_did_is_named_at_once(shop: Shop) -> None:
    compare_with_notices(shop.stage.runtime, "shop")
    polled(shop, "1")
    assert shop.stage.incidents() == {("webhook_gap", "shop")}
    assert "no notice has ever come" in shop.stage.one("SELECT message FROM incident")


def test_silence_is_noticed(shop: Shop) -> None:
    compare_with_notices(shop.stage.runtime, "shop")
    shop.tells(told("1"))
    polled(shop, "1")
    shop.stage.clock.forward(3600)
    polled(shop, "2")
    assert shop.stage.incidents() == {("webhook_gap", "shop")}
    assert "no notice came since" in shop.stage.one("SELECT message FROM incident")


def test_only_a_channel_that_is_to_tell_is_compared(shop: Shop) -> None:
    pull(shop.stage.runtime, "shop")
    assert shop.stage.one("SELECT compared_up_to FROM channel") is None
    pull(replace(shop.stage.runtime, expects_notices=lambda code: True), "shop")
    assert shop.stage.one("SELECT compared_up_to FROM channel") is not None


# A process that is killed


def test_killed_between_storing_and_answering(database_url: str, engine: Engine) -> None:
    """The vendor got no answer and sends it again; it is one row."""
    script = Path(__file__).with_name("intake_killed.py")
    for _ in range(2):
        done = subprocess.run([sys.executable, str(script), database_url], check=False, timeout=240)
        assert done.returncode == -signal.SIGKILL
        with engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT event_id, order_id, status FROM notice").all()
        assert [tuple(row) for row in found] == [("event-1", "order-1", "pending")]


@pytest.mark.slow
def test_a_burst_over_many_connections_loses_nothing_and_stores_nothing_twice() -> None:
    """Duplicates, forged ones, truncated ones; verified down to the ledger (see `python -m benchmarks.webhooks`)."""
    with laboratory() as lab:
        done = intake_burst(lab.fresh(), burst(500, seed=1), connections=12)
    assert done.applied_orders > 400
    assert {status for _, status in done.answers.statuses} == {0, 200, 401}
