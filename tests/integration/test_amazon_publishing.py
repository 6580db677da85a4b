"""The publish protocol with a channel that applies what it accepts later, and sells meanwhile."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pydantic import SecretStr
from shops import Stage, open_shop
from sqlalchemy import Engine, text

from adapters.channels.amazon.amazon import Amazon
from adapters.channels.protocol import Channel
from adapters.sandbox.amazon import amazon as amazon_sandbox
from adapters.sandbox.amazon.amazon_state import MARKETPLACE, SELLER, FbaStock, Habits
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop
from adapters.sandbox.woocommerce import woocommerce as woocommerce_sandbox
from inventory import setup
from inventory.ledger import stock
from inventory.words import ChannelMode, WriteMode
from tasks.publishing.publish import publish
from tasks.runtime import Runtime
from tasks.selling.pull import pull


@contextmanager
def amazon_and_website(engine: Engine, units: dict[str, int], apply_delay_s: float) -> Iterator[Stage]:
    amazon, website = Shop(), Shop()
    habits = Habits(apply_delay_s=apply_delay_s, feed_delay_s=0.05, search_lag_s=0, rate_scale=10_000)
    app = amazon_sandbox.create_app(
        amazon, client_id="id", client_secret="secret", refresh_token="refresh", habits=habits
    )
    other = woocommerce_sandbox.create_app(website, consumer_key="key", consumer_secret="secret")
    with serve(app) as amazon_url, serve(other) as website_url:

        def open_(code: str) -> Channel:
            if code == "website":
                return open_shop(code, website_url)
            return Amazon(
                code,
                base_url=amazon_url,
                token_url=f"{amazon_url}/auth/o2/token",
                seller_id=SELLER,
                marketplace_ids=(MARKETPLACE,),
                client_id="id",
                client_secret=SecretStr("secret"),
                refresh_token=SecretStr("refresh"),
                apply_wait_s=20,
                feed_wait_s=30,
            )

        shops = {"amazon": amazon, "website": website}
        with engine.begin() as connection:
            setup.add_items(connection, dict.fromkeys(units, ""))
            setup.add_locations(connection, ["main"])
            for code, shop in shops.items():
                channel = setup.ChannelSetup(
                    code, code, WriteMode.ABSOLUTE, ("main",), mode=ChannelMode.LIVE,
                    settle_seconds=0, in_doubt_seconds=60, overlap_seconds=5,
                )  # fmt: skip
                setup.add_channel(connection, channel)
                products = [shop.add_product(sku, title=sku, quantity=0) for sku in units]
                listings = [(shop.naming.listing(product.number), product.sku, 1) for product in products]
                setup.add_listings(connection, code, listings)
            rows = [(sku, "main", count) for sku, count in units.items()]
            stock.receive(connection, rows, receipt="opening", now=datetime.now(UTC))
        app.state.amazon.state.fba["FBA"] = FbaStock()
        yield Stage(Runtime(engine, open_, lambda: datetime.now(UTC)), shops, {"amazon": amazon_url})


def test_a_day_of_shoppers_never_sells_what_is_not_there(engine: Engine) -> None:
    units = {f"S{number}": number % 7 + 1 for number in range(60)} | {"FBA": 5}
    chance = random.Random(7)
    with amazon_and_website(engine, units, apply_delay_s=0.15) as stage:
        amazon = stage.shops["amazon"]
        end = time.monotonic() + 120
        # On a stalled machine a pass finds that it is too late to send what it planned, and the next one plans anew.
        while sum(product.quantity for product in amazon.products.values()) <= 60:
            assert time.monotonic() < end, "published by feed"
            publish(stage.runtime)
            time.sleep(0.05)
        assert amazon.product("FBA").quantity == 0, "what Amazon fulfils is never written to"
        for _ in range(5):
            for shop in stage.shops.values():
                for _ in range(4):
                    shop.checkout([(chance.choice(list(units)), chance.randint(1, 3))])
            for code in stage.shops:
                pull(stage.runtime, code)
            publish(stage.runtime)
        sold = dict.fromkeys(units, 0)
        for shop in stage.shops.values():
            for order in shop.orders.values():
                for line in order.lines:
                    sold[line.sku] += line.quantity
        left = {sku: sum(shop.product(sku).quantity for shop in stage.shops.values()) for sku in units}
        assert sum(sold.values()) > 25
        assert {sku: count for sku, count in sold.items() if count + left[sku] > units[sku]} == {}
        with engine.connect() as connection:
            assert connection.execute(text("SELECT sum(oversold) FROM reservation_line")).scalar() == 0
            kinds = set(connection.execute(text("SELECT DISTINCT kind FROM incident")).scalars())
        assert not kinds & {"oversold", "exposure_exceeded"}
