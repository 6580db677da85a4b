"""What a channel says that cannot be true: held back by key and reason, told, and nothing else suffers."""

from datetime import timedelta

import pytest
from fake_channel import Bench, bench, line, order, page
from shops import two_shops
from sqlalchemy import Engine, text

from adapters.channels.protocol import Defect
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.faults import Fault, FaultKind, Operation
from inventory import setup
from inventory.orders import inbox
from inventory.publishing.outbox import mark_dirty
from tasks.publishing.publish import publish
from tasks.selling.pull import pull


@pytest.fixture
def shop(engine: Engine) -> Bench:
    made = bench(engine, {"A": 10, "B": 10}, shop=True)
    publish(made.runtime)
    return made


def held(shop: Bench) -> dict[str, str]:
    rows = shop.rows("SELECT row_key, rules FROM quarantined_row WHERE status = 'open' AND suite = 'orders_pulled'")
    return {row.row_key: row.rules for row in rows}


def known_orders(shop: Bench) -> dict[str, int]:
    rows = shop.rows("SELECT holder, sum(quantity) AS units FROM order_line GROUP BY holder")
    return {row.holder.removeprefix("order:shop:"): int(row.units) for row in rows}


def tell(shop: Bench, *orders: object, defects: tuple[Defect, ...] = ()) -> None:
    shop.channels["shop"].pages = [page(*orders, defects=defects)]


BROKEN = {
    "a quantity missing": (lambda sale: sale["lines"][0].pop("quantity"), "ORD-005"),
    "a quantity of words": (lambda sale: sale["lines"][0].update(quantity="two"), "ORD-005"),
    "a negative quantity": (lambda sale: sale["lines"][0].update(quantity=-1), "ORD-005"),
    "half a unit": (lambda sale: sale["lines"][0].update(quantity=0.5), "ORD-005"),
    "an absurd quantity": (lambda sale: sale["lines"][0].update(quantity=10**9), "ORD-006"),
    "an unknown listing": (lambda sale: sale["lines"][0].update(listing_ref="nobody's", sku="X"), "ORD-004"),
    "a line without an id": (lambda sale: sale["lines"][0].update(line_id=None), "ORD-003"),
    "a time that is none": (lambda sale: sale.update(placed_at="yesterday"), "ORD-008"),
    "an order from the future": (lambda sale: sale.update(placed_at="2036-01-01T00:00:00+00:00"), "ORD-008"),
    "lines that are no list": (lambda sale: sale.update(lines="none"), "ORD-001"),
    "one line id that says two things": (lambda sale: sale["lines"].append(line("1", "shop-A", 3)), "ORD-007"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_row_is_held_and_the_others_are_applied(shop: Bench, what: str) -> None:
    spoil, rule = BROKEN[what]
    now = shop.clock()
    broken = order("bad", now, line("1", "shop-A", 2))
    spoil(broken)
    tell(shop, broken, order("good", now, line("1", "shop-B", 3)))
    shop.clock.forward(20)
    report = pull(shop.runtime, "shop")
    assert known_orders(shop).get("good") == 3
    assert "bad" not in known_orders(shop)
    assert report.applied.quarantined >= 1
    assert all(key.startswith("shop/bad") and rule in rules for key, rules in held(shop).items())
    assert held(shop)
    assert ("quarantined_rows", "shop") in shop.incidents()
    assert pull(shop.runtime, "shop").stored == 0, "the same page again is nothing new"

    # The channel comes to its senses: a later, sound version of the order releases what was held of the first.
    later = shop.clock()
    tell(shop, order("bad", later, line("1", "shop-A", 2)))
    pull(shop.runtime, "shop")
    assert known_orders(shop) == {"good": 3, "bad": 2}
    assert held(shop) == {}
    assert shop.incidents() == set()


def test_a_duplicate_is_one_order(shop: Bench) -> None:
    sale = order("1", shop.clock(), line("1", "shop-A", 2))
    tell(shop, sale, sale)
    assert pull(shop.runtime, "shop").stored == 1
    pull(shop.runtime, "shop")
    assert known_orders(shop) == {"1": 2}
    assert shop.one("SELECT count(*) FROM movement WHERE reason = 'sale'") == 1


def test_an_order_from_the_future_does_not_hide_the_next(shop: Bench) -> None:
    now = shop.clock()
    tell(shop, order("future", now + timedelta(days=3650), line("1", "shop-A")))
    pull(shop.runtime, "shop")
    shop.clock.forward(5)
    tell(shop, order("next", shop.clock(), line("1", "shop-A")))
    pull(shop.runtime, "shop")
    assert shop.channels["shop"].asked_since[-1] <= now
    assert known_orders(shop) == {"next": 1}


def test_an_empty_answer_does_not_move_the_watermark_of_a_slow_clock(shop: Bench) -> None:
    """The channel's clock is five minutes behind, which is more than the overlap."""
    pull(shop.runtime, "shop")
    first = shop.channels["shop"].asked_since[-1]
    shop.clock.forward(600)
    pull(shop.runtime, "shop")
    assert shop.channels["shop"].asked_since[-1] <= first


def test_a_pull_reaches_back_to_an_order_that_was_hidden(engine: Engine) -> None:
    shop = bench(engine, {"A": 5}, shop=True)
    with engine.begin() as connection:
        connection.execute(text("UPDATE channel SET settle_seconds = 300, overlap_seconds = 5"))
    shown = shop.clock()
    tell(shop, order("shown", shown, line("1", "shop-A")))
    pull(shop.runtime, "shop")
    pull(shop.runtime, "shop")
    assert shop.channels["shop"].asked_since[-1] <= shown - timedelta(seconds=300)


def test_a_first_pull_that_fails_forgets_no_order(shop: Bench) -> None:
    channel = shop.channels["shop"]
    channel.pages = [ChannelFault("shop", Resolution.RETRY, "GET orders: 503")]
    with pytest.raises(ChannelFault):
        pull(shop.runtime, "shop")
    shop.clock.forward(3600)
    channel.pages = []
    pull(shop.runtime, "shop")
    assert channel.asked_since[1] == channel.asked_since[0]


@pytest.mark.parametrize("resolution", [Resolution.MALFORMED, Resolution.RETRY])
def test_a_page_that_cannot_be_read_stops_the_watermark(shop: Bench, resolution: Resolution) -> None:
    pull(shop.runtime, "shop")
    before = shop.one("SELECT watermark FROM channel")
    sound = page(order("1", shop.clock(), line("1", "shop-A")))
    shop.channels["shop"].pages = [sound, ChannelFault("shop", resolution, "GET orders: no JSON")]
    shop.clock.forward(5)
    with pytest.raises(ChannelFault):
        pull(shop.runtime, "shop")
    assert shop.one("SELECT watermark FROM channel") == before
    assert (("page_unreadable", "shop") in shop.incidents()) is (resolution is Resolution.MALFORMED)
    assert shop.one("SELECT status FROM inbox") == "pending", "what came before is kept"
    shop.channels["shop"].pages = []
    pull(shop.runtime, "shop")
    assert known_orders(shop) == {"1": 1}
    assert shop.incidents() == set()


def test_a_part_that_cannot_be_translated_is_held_until_it_can(shop: Bench) -> None:
    tell(shop, order("1", shop.clock(), line("1", "shop-A")), defects=(Defect("9", "the order is a list"),))
    assert pull(shop.runtime, "shop").defects == 1
    assert known_orders(shop) == {"1": 1}
    assert held(shop) == {"shop/9": "DEFECT"}
    assert ("quarantined_rows", "shop") in shop.incidents()
    tell(shop, order("9", shop.clock(), line("1", "shop-A")))
    pull(shop.runtime, "shop")
    assert held(shop) == {}
    assert shop.incidents() == set()


def test_a_blocked_batch_waits_for_a_person(shop: Bench) -> None:
    now = shop.clock()
    bad = [order(f"bad{number}", now, line("1", "shop-A", -1)) for number in range(15)]
    good = [order(f"good{number}", now, line("1", "shop-B")) for number in range(8)]
    tell(shop, *bad, *good)
    report = pull(shop.runtime, "shop")
    assert (report.applied.blocked, report.applied.complete) == (23, False)
    assert known_orders(shop) == {}
    assert ("batch_blocked", "orders_pulled/shop") in shop.incidents()
    shop.clock.forward(130)
    assert pull(shop.runtime, "shop").applied.blocked == 23, "it goes on waiting"
    shop.clock.forward(130)
    report = pull(shop.runtime, "shop", approved_by="mara")
    assert (report.applied.new_orders, report.applied.quarantined) == (8, 15)
    assert len(held(shop)) == 15
    assert ("batch_blocked", "orders_pulled/shop") not in shop.incidents()


def test_a_listing_mapped_later_gets_its_sale(shop: Bench) -> None:
    tell(shop, order("1", shop.clock(), line("1", "new", 2), line("2", "shop-B", 1)))
    pull(shop.runtime, "shop")
    assert known_orders(shop) == {"1": 1}, "the line that is known is reserved at once"
    with shop.engine.begin() as connection:
        setup.add_listings(connection, "shop", [("new", "A", 1)])
        ids = [row.inbox_id for row in connection.execute(text("SELECT inbox_id FROM quarantined_row"))]
        assert inbox.reopen(connection, ids) == 1
    pull(shop.runtime, "shop")
    assert known_orders(shop) == {"1": 3}
    assert shop.one("SELECT quantity FROM balance WHERE sku = 'A' AND state = 'reserved'") == 2
    assert held(shop) == {}


def test_a_sale_that_is_held_keeps_its_listing_from_settling(shop: Bench) -> None:
    """Sold, read, but not in the ledger: what the shop shows is less, and that is no evidence."""
    channel = shop.channels["shop"]
    now = shop.clock()
    for sku in "AB":
        channel.shown[f"shop-{sku}"] -= 4
    tell(shop, order("held", now, line("1", "shop-A", -4)), order("B", now, line("1", "shop-B", 1)))
    shop.clock.forward(30)
    pull(shop.runtime, "shop")
    with shop.engine.begin() as connection:
        mark_dirty(connection, ["A"], now=shop.clock())
    publish(shop.runtime)
    shop.clock.forward(30)
    pull(shop.runtime, "shop")
    exposure = "SELECT exposure FROM listing WHERE ref = 'shop-A'"
    assert shop.one(exposure) == 10
    tell(shop, order("held", shop.clock(), line("1", "shop-A", 4)))
    shop.clock.forward(30)
    pull(shop.runtime, "shop")
    publish(shop.runtime)
    shop.clock.forward(30)
    pull(shop.runtime, "shop")
    assert shop.one(exposure) == 6


@pytest.mark.parametrize("kind", [FaultKind.MALFORMED, FaultKind.HTML, FaultKind.ERROR_BEFORE, FaultKind.THROTTLE])
@pytest.mark.parametrize("code", ["shopify", "website"])
def test_on_the_wire(engine: Engine, kind: FaultKind, code: str) -> None:
    """The real adapters: a body cut short, HTML for JSON, a 5xx and a throttle lose no order."""
    with two_shops(engine, {"A": 6}) as stage:
        pull(stage.runtime, code)
        publish(stage.runtime)
        shop = stage.shops[code]
        shop.checkout([("A", 2)])
        shop.faults.replace([Fault(kind, Operation.ORDERS, times=1)])
        query = text("SELECT watermark FROM channel WHERE code = :code")
        with engine.connect() as connection:
            before = connection.execute(query, {"code": code}).scalar_one()
        try:
            pull(stage.runtime, code)
        except ChannelFault:
            with engine.connect() as connection:
                assert connection.execute(query, {"code": code}).scalar_one() == before
                kinds = set(connection.execute(text("SELECT kind FROM incident WHERE status = 'open'")).scalars())
            assert kinds == ({"page_unreadable"} if kind in (FaultKind.MALFORMED, FaultKind.HTML) else set())
            pull(stage.runtime, code)
        else:
            assert kind is FaultKind.THROTTLE, "only a throttled read may be asked again by the adapter itself"
        with engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM order_line")).scalar_one() == 1
            assert connection.execute(text("SELECT count(*) FROM incident WHERE status = 'open'")).scalar_one() == 0
