"""The publish protocol against two imitated shops: the numbers they show, and that they sell only what is there."""

import random

from shops import two_shops
from sqlalchemy import Engine, text

from tasks.publishing.publish import publish
from tasks.selling.pull import pull


def shown(stage, sku):
    return {code: shop.product(sku).quantity for code, shop in stage.shops.items()}


def rows(engine, sql, **values):
    with engine.connect() as connection:
        return connection.execute(text(sql), values).all()


def test_first_publication_splits_the_stock(engine: Engine) -> None:
    with two_shops(engine, {"A": 10, "B": 1, "C": 0}) as stage:
        report = publish(stage.runtime)
        assert (report.sent, report.confirmed, report.held) == (3, 3, 0)
        assert shown(stage, "A") == {"shopify": 5, "website": 5}
        assert sum(shown(stage, "B").values()) == 1
        assert shown(stage, "C") == {"shopify": 0, "website": 0}
        assert publish(stage.runtime).claimed == 0


def test_a_day_of_shoppers_never_sells_what_is_not_there(engine: Engine) -> None:
    """The truth is the shops' own orders, not what the ledger says of them."""
    units = {f"S{number}": number % 7 + 1 for number in range(30)}
    chance = random.Random(7)
    with two_shops(engine, units) as stage:
        runtime = stage.runtime
        publish(runtime)
        for _ in range(25):
            for shop in stage.shops.values():
                for _ in range(3):
                    shop.checkout([(chance.choice(list(units)), chance.randint(1, 3))])
            for code in stage.shops:
                pull(runtime, code)
            publish(runtime)
        for _ in range(6):
            for code in stage.shops:
                pull(runtime, code)
            publish(runtime)
        sold = dict.fromkeys(units, 0)
        for shop in stage.shops.values():
            for order in shop.orders.values():
                for line in order.lines:
                    sold[line.sku] += line.quantity
        left = {sku: sum(shown(stage, sku).values()) for sku in units}
        assert {sku: count for sku, count in sold.items() if count + left[sku] > units[sku]} == {}
        assert sum(sold.values()) + sum(left.values()) == sum(units.values()), "units are stranded"
        assert rows(engine, "SELECT sum(oversold) FROM reservation_line")[0][0] == 0
        assert rows(engine, "SELECT kind, message FROM incident") == []
        assert rows(engine, "SELECT count(*) FROM reservation WHERE kind = 'order' AND synced_at IS NULL")[0][0] == 0
