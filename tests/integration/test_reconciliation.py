"""Ledger against channel quantities: each class, what is healed and what is not, disputes, the gate, staleness."""

from datetime import timedelta

import pytest
from fake_channel import Bench, bench, line, order, page
from sqlalchemy import Engine, text

from adapters.http import ChannelFault, Resolution
from benchmarks.reconciliation import fill, looks
from expectations import gate
from inventory.reconciling.reconciliation import Reconciliation
from tasks.publishing.publish import publish
from tasks.reconciling.compare import Scope, compare_channel
from tasks.selling.pull import pull

HALF_AN_HOUR = timedelta(minutes=30)
UNITS = {f"S{number:02d}": 40 for number in range(24)}


@pytest.fixture
def market(engine: Engine) -> Bench:
    """Two channels that show 20 of each SKU; everything has been read and settled."""
    made = bench(engine, UNITS, shop=True, web=True)
    made.runtime.check = gate.recheck
    settle(made)
    assert made.channels["shop"].shown["shop-S00"] == 20
    return made


def settle(market: Bench, times: int = 3) -> None:
    """Everybody is up to date."""
    for _ in range(times):
        market.clock.forward(5)
        for code in market.channels:
            pull(market.runtime, code)
        publish(market.runtime)
        market.clock.forward(40)


def look(market: Bench, code: str = "shop", **how: object) -> Reconciliation:
    given: dict[str, object] = {"stale_after": HALF_AN_HOUR, "heal": True} | how
    if given.pop("pull", True):
        pull(market.runtime, code)
    return compare_channel(market.runtime, code, **given)  # type: ignore[arg-type]


def opened(market: Bench) -> dict[str, tuple[str, str]]:
    """{subject: (class, resolution or status)} of the newest of each subject."""
    rows = market.rows("SELECT subject, kind, status, resolution FROM discrepancy ORDER BY id")
    return {row.subject: (row.kind, row.resolution or row.status) for row in rows}


def test_what_agrees_is_left_alone(market: Bench) -> None:
    written = "SELECT max(observed_at) FROM listing WHERE channel = 'shop'"
    before = market.one(written)
    market.clock.forward(600)
    result = look(market)
    assert (result.asked, result.compared, result.equal, result.differing) == (24, 24, 24, 0)
    assert (opened(market), market.one(written)) == ({}, before)
    market.clock.forward(24 * 3600)
    look(market)
    assert market.one(written) > before, "but once a day it is noted that it was seen"


def test_each_class_and_what_becomes_of_it(market: Bench) -> None:
    shop = market.channels["shop"]
    # Somebody raises one, somebody lowers one, one sale is not shown yet, one has been sold below zero.
    shop.shown |= {"shop-S00": 90, "shop-S01": 11, "shop-S02": 17, "shop-S03": -2}
    late = order("late", market.clock(), line("1", "shop-S02", 3))
    result = look(market)
    assert {one.ref: one.kind.value for one in result.worst} == {
        "shop-S00": "foreign_write", "shop-S01": "mismatch", "shop-S02": "mismatch", "shop-S03": "bad_count",
    }  # fmt: skip
    assert result.healing == 4
    kinds = {("foreign_write", "shop/shop-S00"), ("drift", "shop"), ("negative_stock", "shop/shop-S03")}
    assert kinds <= market.incidents()
    market.clock.forward(15)
    assert look(market).by_class.keys() <= {"delayed", "bad_count", "mismatch"}, "our own numbers are on their way"
    assert opened(market)["shop/shop-S01"] == ("mismatch", "open"), "what was understood is not forgotten"
    shop.pages = [page(late)]
    settle(market)
    look(market)
    assert opened(market) == {
        "shop/shop-S00": ("foreign_write", "healed"),
        "shop/shop-S01": ("foreign_write", "healed"),
        "shop/shop-S02": ("delayed", "explained"),
        "shop/shop-S03": ("bad_count", "healed"),
    }
    assert {kind for kind, _ in market.incidents()} & {"foreign_write", "drift", "negative_stock"} == set()


def test_a_number_that_somebody_sets_back_is_left_to_a_person(market: Bench) -> None:
    shop = market.channels["shop"]
    shop.shown["shop-S00"] = 90
    look(market)
    settle(market)
    look(market)
    assert shop.shown["shop-S00"] == 20, "once it is healed"
    shop.shown["shop-S00"] = 12
    look(market)
    settle(market)
    assert shop.shown["shop-S00"] == 20
    result = look(market)
    assert result.disputed == ("shop/shop-S00",), "lowered is a foreign write as well, and it is the second"
    assert ("write_conflict", "shop/shop-S00") in market.incidents()
    shop.shown["shop-S00"] = 15
    assert look(market).healing == 0
    settle(market)
    assert (shop.shown["shop-S00"], opened(market)["shop/shop-S00"]) == (15, ("foreign_write", "open"))
    shop.shown["shop-S00"] = 999
    look(market)
    settle(market)
    assert shop.shown["shop-S00"] <= 20, "units that do not exist are taken off sale all the same"


def test_nothing_is_healed_by_an_answer_that_is_not_believed(market: Bench) -> None:
    shop = market.channels["shop"]
    shop.shown = dict.fromkeys(shop.shown, 0) | {"shop-S00": 70}
    result = look(market)
    assert "SNP-003" in result.blocked and "SNP-004" in result.blocked
    assert (result.healing, opened(market)) == (0, {})
    assert ("batch_blocked", "channel_snapshot/shop") in market.incidents()
    rows = market.rows("SELECT ref, exposure, settling FROM listing WHERE channel = 'shop' ORDER BY ref LIMIT 2")
    assert [tuple(row) for row in rows] == [("shop-S00", 70, None), ("shop-S01", 20, None)], "the worst case counts"
    assert look(market, approved_by="Wanda").by_class == {"mismatch": 23}
    assert ("batch_blocked", "channel_snapshot/shop") not in market.incidents()
    shop.shown = {}
    assert "SNP-002" in look(market).blocked, "no answer is not no stock"


def test_nothing_is_healed_on_a_stale_read(market: Bench) -> None:
    shop = market.channels["shop"]
    shop.shown["shop-S00"] = 7
    market.clock.forward(3600)
    shop.pages = [ChannelFault("shop", Resolution.RETRY, "503")]
    result = look(market, pull=False)
    assert (result.stale, result.by_class, result.healing) == (True, {"stale": 1}, 0)
    assert market.one("SELECT count(*) FROM outbox") == 0
    shop.pages = [page(order("1", market.clock() - timedelta(minutes=40), line("1", "shop-S00", 13)))]
    settle(market)
    look(market)
    assert opened(market) == {"shop/shop-S00": ("stale", "explained")}


def test_sales_that_come_while_we_read_are_no_difference(market: Bench) -> None:
    shop = market.channels["shop"]
    sold = order("1", market.clock(), line("1", "shop-S00", 4))
    pull(market.runtime, "shop")
    shop.shown["shop-S00"] = 16
    shop.pages = [page(sold)]
    result = look(market, pull=False)
    assert (result.differing, opened(market)) == (0, {})


def test_strange_numbers_are_set_aside_and_named(market: Bench) -> None:
    market.channels["shop"].shown |= {"shop-S00": 10**12}
    result = look(market)
    assert (result.unusable, result.compared, result.blocked) == (1, 23, "")
    assert market.one("SELECT row_key FROM quarantined_row WHERE suite = 'channel_snapshot'") == "shop/shop-S00"
    market.channels["shop"].shown |= {"shop-S00": 20}
    look(market)
    assert market.one("SELECT status FROM quarantined_row WHERE suite = 'channel_snapshot'") == "released"


def test_scopes(market: Bench) -> None:
    market.clock.forward(40 * 24 * 3600)
    settle(market, 1)
    assert look(market, scope=Scope("hot")).asked == 0, "nothing moved, nothing is low"
    market.move("S05", 3, receipt="today")
    assert look(market, scope=Scope("hot")).asked == 1
    sampled = [look(market, scope=Scope("sample", seed=seed, size=5)).asked for seed in (1, 2)]
    assert sampled == [5, 5]
    assert look(market, scope=Scope("full", skus=("S01", "S02"))).asked == 2


def test_a_channel_that_asks_first_shows_its_own_sales(market: Bench) -> None:
    web = market.channels["web"]
    with market.engine.begin() as connection:
        connection.execute(text("UPDATE channel SET asks_first = true WHERE code = 'web'"))
    market.move("S00", 1, receipt="one more")
    settle(market)
    shown = web.shown["web-S00"]
    market.clock.forward(30)
    web.shown["web-S00"] -= 3
    web.pages = [page(order("1", market.clock(), line("1", "web-S00", 3)))]
    market.clock.forward(60)
    assert look(market, "web").differing == 0, "it took its own number down"
    web.shown |= {"web-S00": shown + 40, "web-S01": 3}
    assert {one.ref: one.kind.value for one in look(market, "web").worst} == {
        "web-S00": "foreign_write", "web-S01": "mismatch",
    }  # fmt: skip


def test_where_no_number_was_ever_sent_what_was_seen_there_counts(market: Bench) -> None:
    """It asks first and showed already what it should, so there was nothing to send; then somebody else wrote."""
    web = market.channels["web"]
    with market.engine.begin() as connection:
        connection.execute(text("UPDATE channel SET asks_first = true WHERE code = 'web'"))
    market.move("S00", 1, receipt="one more")
    settle(market)
    never_sent = "UPDATE listing SET published = NULL, published_at = NULL, confirmed = NULL, confirmed_at = NULL "
    with market.engine.begin() as connection:
        connection.execute(text(never_sent + "WHERE channel = 'web'"))
    shown = web.shown["web-S00"]
    market.clock.forward(60)
    web.shown["web-S00"] -= 3
    web.pages = [page(order("1", market.clock(), line("1", "web-S00", 3)))]
    market.clock.forward(60)
    assert look(market, "web").differing == 0, "it took its own number down"
    web.shown["web-S01"] += 1
    assert {one.ref: one.kind.value for one in look(market, "web").worst} == {"web-S01": "foreign_write"}
    settle(market)
    assert (web.shown["web-S00"], web.shown["web-S01"]) == (shown - 3, 20)


def test_the_measured_comparison_is_the_real_one(engine: Engine) -> None:
    fill(engine, 700)
    results = looks(engine, 700, gate.recheck)
    assert [one.differing for one in results] == [0, 0, 0, 7]
    with engine.connect() as connection:
        noted = "SELECT count(*) FROM listing WHERE observed_at > now() - interval '1 hour'"
        assert connection.execute(text(noted)).scalar_one() == 100 + 6, "a seventh each day, and what differs"
        opened = connection.execute(text("SELECT kind, count(*) FROM discrepancy GROUP BY kind")).all()
    assert [tuple(row) for row in opened] == [("foreign_write", 7)]
