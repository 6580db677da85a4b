"""The gate in the real pass: it knows direction, fails closed, names what it holds; and what answers do."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest
from fake_channel import Bench, FakeChannel, bench, line, order, page
from sqlalchemy import Engine, text

from adapters.channels.protocol import Change, ChangeResult, ChangeStatus
from adapters.http import ChannelFault, Resolution
from expectations import gate
from expectations.parameters import OutgoingPush, Parameters
from inventory.publishing.outbox import mark_dirty
from tasks.publishing.publish import publish
from tasks.publishing.read import read_live
from tasks.selling.pull import pull

MANY = {f"S{number:02}": 4 for number in range(24)}
Check = Callable[[str, pd.DataFrame, Parameters], gate.Verdict]


def again(shop: Bench, seconds: float = 31) -> None:
    shop.clock.forward(seconds)
    with shop.engine.begin() as connection:
        skus = [row.sku for row in connection.execute(text("SELECT sku FROM item"))]
        mark_dirty(connection, skus, now=shop.clock())


def take_off_shelf(shop: Bench, units: int) -> None:
    """Units are written off: what is shown is not backed any more."""
    with shop.engine.begin() as connection:
        connection.execute(text("UPDATE item SET safety_stock = :units"), {"units": units})


def blocking(rule: str) -> Check:
    """The real gate, with one batch rule failing whatever the batch is."""

    def check(suite: str, frame: pd.DataFrame, parameters: Parameters) -> gate.Verdict:
        if suite == "outgoing_push" and rule == "PSH-102":
            assert isinstance(parameters, OutgoingPush)
            parameters = replace(parameters, max_rows=0)
        return gate.check(suite, frame, parameters)

    return check


def broken(suite: str, frame: pd.DataFrame, parameters: Parameters) -> gate.Verdict:
    """A frame that lost a column cannot be judged."""
    return gate.check(suite, frame.drop(columns="quantity"), parameters)


def no_verdict(suite: str, frame: pd.DataFrame, parameters: Parameters) -> gate.Verdict:
    """The gate itself fails; the rows can still be looked at by the plain masks."""
    return replace(gate.recheck(suite, frame, parameters), status=gate.Status.ERROR, error="the library broke")


def held(shop: Bench) -> dict[str, str]:
    return {row.row_key: row.rules for row in shop.rows("SELECT * FROM quarantined_row WHERE status = 'open'")}


def test_in_a_blocked_batch_the_raise_waits_and_the_decrease_goes(engine: Engine) -> None:
    shop = bench(engine, {"A": 4, "B": 0}, cas=True)
    publish(shop.runtime)
    shop.move("B", 3, receipt="more")
    with engine.begin() as connection:
        connection.execute(text("UPDATE item SET safety_stock = 2 WHERE sku = 'A'"))
    again(shop)
    report = publish(replace(shop.runtime, check=blocking("PSH-102")))
    assert shop.channels["cas"].shown == {"cas-A": 2, "cas-B": 0}
    assert (report.held, report.confirmed) == (1, 1)
    assert set(held(shop)) == {"cas/cas-B"}
    assert ("batch_blocked", "outgoing_push/cas") in shop.incidents()
    assert shop.one("SELECT held_since FROM listing WHERE ref = 'cas-B'") == shop.clock()
    assert publish(shop.runtime).claimed == 0, "it is not tried again at once"
    shop.clock.forward(31)
    publish(shop.runtime)
    assert shop.channels["cas"].shown == {"cas-A": 2, "cas-B": 3}
    assert held(shop) == {}
    assert shop.incidents() == set()
    assert shop.one("SELECT held_since FROM listing WHERE ref = 'cas-B'") is None


@pytest.mark.parametrize("check", [broken, no_verdict])
def test_a_gate_that_fails_lets_nothing_up(engine: Engine, check: Check) -> None:
    shop = bench(engine, {"A": 4}, cas=True)
    report = publish(replace(shop.runtime, check=check))
    assert (report.sent, report.held) == (0, 1)
    assert shop.channels["cas"].shown == {"cas-A": 0}
    assert ("batch_blocked", "outgoing_push/cas") in shop.incidents()
    assert shop.one("SELECT status FROM gate_run") == "error"
    assert set(held(shop)) == {"cas/cas-A"}


def test_a_gate_that_fails_lets_down_what_is_not_backed(engine: Engine) -> None:
    shop = bench(engine, {"A": 4}, cas=True)
    publish(shop.runtime)
    take_off_shelf(shop, 3)
    again(shop)
    publish(replace(shop.runtime, check=no_verdict))
    assert shop.channels["cas"].shown == {"cas-A": 1}


def test_a_mass_of_zeros_that_the_ledger_calls_for_goes(engine: Engine) -> None:
    shop = bench(engine, MANY, cas=True)
    publish(shop.runtime)
    assert sum(shop.channels["cas"].shown.values()) == 96
    take_off_shelf(shop, 4)
    again(shop)
    publish(shop.runtime)
    assert sum(shop.channels["cas"].shown.values()) == 0, "not backed: the zeros are true"
    assert ("batch_blocked", "outgoing_push/cas") in shop.incidents(), "and somebody looks at it"


def test_what_is_held_for_long_falls_to_the_safe_value(engine: Engine) -> None:
    shop = bench(engine, {"A": 4}, cas=True)
    publish(shop.runtime)
    shop.move("A", 4, receipt="more")
    again(shop)
    kept = replace(shop.runtime, check=blocking("PSH-102"))
    publish(kept)
    assert shop.channels["cas"].shown == {"cas-A": 4}
    again(shop, 16 * 60)
    publish(kept, safe_after=timedelta(minutes=15))
    assert shop.channels["cas"].shown == {"cas-A": 0}
    shop.clock.forward(120)
    pull(shop.runtime, "cas")
    again(shop)
    publish(shop.runtime)
    assert shop.channels["cas"].shown == {"cas-A": 8}, "and it comes back by itself"


def test_a_foreign_write_between_read_and_write_is_computed_anew(engine: Engine) -> None:
    shop = bench(engine, {"A": 4}, cas=True)
    channel = shop.channels["cas"]

    def somebody_else(channel: FakeChannel, changes: Sequence[Change]) -> None:
        channel.shown["cas-A"], channel.before_write = 1, None

    channel.before_write = somebody_else
    report = publish(shop.runtime)
    assert (report.stale, report.confirmed, report.finished) == (1, 0, 0)
    assert shop.one("SELECT exposure FROM listing") == 1, "nothing was applied, so its growth is gone again"
    report = publish(shop.runtime)
    assert report.confirmed == 1
    assert channel.shown == {"cas-A": 4}
    assert [row.status for row in shop.rows("SELECT status FROM publication ORDER BY id")] == ["stale", "confirmed"]


def test_a_rejected_row_leaves_the_others(engine: Engine) -> None:
    shop = bench(engine, {"A": 4, "B": 2}, cas=True)
    channel = shop.channels["cas"]

    def refuse(channel: FakeChannel, changes: Sequence[Change]) -> list[ChangeResult]:
        refused = ChangeResult("cas-A", ChangeStatus.REJECTED, "the listing is archived")
        return [refused if one.listing_ref == "cas-A" else channel._set(one) for one in changes]

    channel.before_write = refuse
    report = publish(shop.runtime)
    assert (report.rejected, report.confirmed, report.finished) == (1, 1, 1)
    rejected = shop.rows("SELECT status, reason FROM publication WHERE status = 'rejected'")
    assert [row.reason for row in rejected] == ["the listing is archived"]
    assert shop.one("SELECT exposure FROM listing WHERE ref = 'cas-A'") == 0
    assert "rejected" in {kind for kind, _ in shop.incidents()}
    channel.before_write = None
    assert publish(shop.runtime).claimed == 0
    shop.clock.forward(61)
    publish(shop.runtime)
    assert channel.shown == {"cas-A": 4, "cas-B": 2}
    assert shop.incidents() == set()


@pytest.mark.parametrize("applied", [True, False])
def test_an_answer_that_never_came_counts_its_worst_case(engine: Engine, applied: bool) -> None:
    shop = bench(engine, {"A": 4}, cas=True, site=False)
    site = shop.channels["site"]

    def lost(channel: FakeChannel, changes: Sequence[Change]) -> list[ChangeResult]:
        if applied:
            channel.shown["site-A"] = changes[0].quantity
        return [ChangeResult(one.listing_ref, ChangeStatus.UNKNOWN, "time-out") for one in changes]

    site.before_write = lost
    report = publish(shop.runtime)
    assert (report.unconfirmed, report.finished) == (1, 0)
    site.before_write = None
    assert shop.one("SELECT exposure FROM listing WHERE ref = 'site-A'") == 2
    again(shop, 5)
    assert publish(shop.runtime).sent == 0, "nothing is written on top of a write in doubt"
    shop.clock.forward(61)
    publish(shop.runtime)
    for _ in range(3):
        shop.clock.forward(20)
        pull(shop.runtime, "site")
        publish(shop.runtime)
    assert shop.channels["cas"].shown == {"cas-A": 2}
    assert site.shown == {"site-A": 2}
    assert shop.one("SELECT exposure FROM listing WHERE ref = 'site-A'") == 2


def test_a_doubt_does_not_keep_the_others_of_its_sku_waiting(engine: Engine) -> None:
    shop = bench(engine, {"A": 4}, cas=True, site=False)
    cas, site = shop.channels["cas"], shop.channels["site"]

    def foreign(channel: FakeChannel, changes: Sequence[Change]) -> None:
        channel.shown["cas-A"], channel.before_write = 1, None

    cas.before_write = foreign
    site.before_write = lambda _, changes: [ChangeResult(one.listing_ref, ChangeStatus.UNKNOWN) for one in changes]
    report = publish(shop.runtime)
    assert (report.stale, report.unconfirmed) == (1, 1)
    publish(shop.runtime)
    assert cas.shown == {"cas-A": 2}


def test_a_sender_that_stood_still_does_not_send_any_more(engine: Engine) -> None:
    """Between the commit and the wire the process was asleep for longer than the worst case is counted."""
    shop = bench(engine, {"A": 4}, site=False)
    open_channel = shop.runtime.open
    calls = []

    def slow(code: str) -> object:
        calls.append(code)
        if len(calls) == 2:
            shop.clock.forward(61)
        return open_channel(code)

    report = publish(replace(shop.runtime, open=slow))
    assert report.stale == 1
    assert shop.channels["site"].written == []


def test_an_answer_that_was_overtaken_changes_nothing(engine: Engine) -> None:
    """A lowering is answered after its doubt ended and its effect was observed: it must not count twice."""
    shop = bench(engine, {"A": 6}, cas=True)
    publish(shop.runtime)
    take_off_shelf(shop, 4)
    again(shop)
    other = replace(shop.runtime, owner="another")

    def meanwhile(channel: FakeChannel) -> None:
        channel.after_write = None
        shop.clock.forward(125)
        read_live(other, {"cas": {"cas-A": shop.one("SELECT id FROM listing")}})
        shop.clock.forward(20)
        pull(other, "cas")
        channel.shown["cas-A"] -= 1

    shop.channels["cas"].after_write = meanwhile
    publish(shop.runtime)
    assert shop.channels["cas"].shown == {"cas-A": 1}
    assert shop.one("SELECT exposure FROM listing") == 2, "one may be sold yet, and one is sold unseen"


def test_a_channel_that_cannot_be_read_comes_back(engine: Engine) -> None:
    shop = bench(engine, {"A": 4}, cas=True, site=False)
    site = shop.channels["site"]
    site.unreadable = ChannelFault("site", Resolution.RETRY, "did not connect")
    report = publish(shop.runtime)
    assert report.unread == ("site",)
    assert shop.channels["cas"].shown == {"cas-A": 0}, "what the other may have on sale nobody knows"
    site.unreadable = None
    shop.clock.forward(6)
    publish(shop.runtime)
    assert {one.shown[f"{code}-A"] for code, one in shop.channels.items()} == {2}


def test_more_than_was_set_is_told(engine: Engine) -> None:
    shop = bench(engine, {"A": 4}, cas=True)
    channel = shop.channels["cas"]

    def raised(channel: FakeChannel) -> None:
        channel.shown["cas-A"], channel.after_write = 9, None

    channel.after_write = raised
    publish(shop.runtime)
    assert ("foreign_write", "cas/cas-A") in shop.incidents()
    assert shop.one("SELECT read_back FROM publication") == 9
    publish(shop.runtime)
    again(shop)
    publish(shop.runtime)
    assert channel.shown == {"cas-A": 4}, "what is not backed is taken down"


def test_a_late_order_against_a_stale_reading(engine: Engine) -> None:
    """An order is applied while the number is on its way: the bound still holds, and the next pass is right."""
    shop = bench(engine, {"A": 4}, cas=True, site=False)
    publish(shop.runtime)
    for channel in shop.channels.values():
        channel.shown[f"{channel.code}-A"] -= 1
        channel.pages = [page(order("1", shop.clock(), line("1", f"{channel.code}-A")))]
        pull(shop.runtime, channel.code)
    publish(shop.runtime)
    total = shop.one("SELECT sum(exposure) FROM listing")
    assert total == 2
    assert shop.one("SELECT quantity FROM balance WHERE state = 'available'") == 2


def expose(shop: Bench, live: dict[str, int]) -> None:
    """As if these numbers had been on sale for long."""
    for code, units in live.items():
        shop.channels[code].shown[f"{code}-A"] = units
        with shop.engine.begin() as connection:
            connection.execute(
                text("UPDATE listing SET exposure = :units, observed = :units WHERE channel = :code"),
                {"units": units, "code": code},
            )


def test_what_a_pass_makes_possible_is_done_by_the_next(engine: Engine) -> None:
    """Lowered to give to an absolute channel, which must be closed for it: nothing else marks the SKU again."""
    shop = bench(engine, {"A": 12}, cas=True, site=False)
    expose(shop, {"cas": 9, "site": 3})
    for _ in range(6):
        publish(shop.runtime)
        shop.clock.forward(20)
        pull(shop.runtime, "site")
    assert {code: one.shown[f"{code}-A"] for code, one in shop.channels.items()} == {"cas": 6, "site": 6}


def test_an_exposure_above_what_was_seen_is_looked_at_again(engine: Engine) -> None:
    """A unit put back and sold again leaves it counted twice when it settles; only another look can tell."""
    shop = bench(engine, {"A": 1}, cas=True)
    expose(shop, {"cas": 0})
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE listing SET exposure = 1, settling = 1, settling_since = :at, observed_at = :at"),
            {"at": shop.clock()},
        )
        connection.execute(text("DELETE FROM outbox"))
    for _ in range(4):
        shop.clock.forward(20)
        pull(shop.runtime, "cas")
        publish(shop.runtime)
    assert shop.channels["cas"].shown == {"cas-A": 1}
