"""The publish protocol with eBay as one of two channels, and the revisions of the day counted from the ledger."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from adapters.channels.ebay.ebay import Ebay
from adapters.channels.ebay.ebay_budget import CountedByPublications, day_bounds, vendor_day
from adapters.channels.ebay.ebay_memory import EbayMemory
from adapters.channels.protocol import Channel
from adapters.channels.woocommerce.woocommerce import WooCommerce
from adapters.sandbox.ebay import ebay as ebay_sandbox
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop
from adapters.sandbox.woocommerce import woocommerce as woocommerce_sandbox
from inventory import setup
from inventory.ledger import stock
from inventory.publishing.revisions import count_revisions
from inventory.words import ChannelMode, WriteMode
from tasks.publishing.publish import publish
from tasks.runtime import Runtime
from tasks.selling.pull import pull


@contextmanager
def market(engine: Engine, units: dict[str, int]) -> Iterator[tuple[Runtime, dict[str, Shop]]]:
    shops = {"ebay": Shop(), "website": Shop()}
    apps = {
        "ebay": ebay_sandbox.create_app_from_token(shops["ebay"], "id:secret"),
        "website": woocommerce_sandbox.create_app(shops["website"], consumer_key="key", consumer_secret="secret"),
    }
    secret = SecretStr("secret")

    def count(refs: Sequence[str], since: datetime, until: datetime) -> Mapping[str, int]:
        with engine.connect() as connection:
            return count_revisions(connection, "ebay", refs, since=since, until=until)

    memory = EbayMemory(revisions=CountedByPublications(count))

    def open_channel(code: str) -> Channel:
        if code == "website":
            return WooCommerce(code, base_url=urls[code], consumer_key=SecretStr("key"), consumer_secret=secret)
        return Ebay(
            code,
            base_url=urls[code],
            client_id=SecretStr("id"),
            client_secret=secret,
            refresh_token=secret,
            marketplace_id="EBAY_US",
            memory=memory,
        )

    with serve(apps["ebay"]) as one, serve(apps["website"]) as other:
        urls = {"ebay": one, "website": other}
        with engine.begin() as connection:
            setup.add_items(connection, dict.fromkeys(units, ""))
            setup.add_locations(connection, ["main"])
            for code, shop in shops.items():
                settings = setup.ChannelSetup(
                    code, code, WriteMode.ABSOLUTE, ("main",), mode=ChannelMode.LIVE,
                    settle_seconds=0, in_doubt_seconds=60, overlap_seconds=5,
                )  # fmt: skip
                setup.add_channel(connection, settings)
                products = [shop.add_product(sku, title=sku, quantity=0) for sku in units]
                listings = [(shop.naming.listing(product.number), product.sku, 1) for product in products]
                setup.add_listings(connection, code, listings)
            lines = [(sku, "main", count) for sku, count in units.items()]
            stock.receive(connection, lines, receipt="opening", now=datetime.now(UTC))
        yield Runtime(engine, open_channel, lambda: datetime.now(UTC)), shops


def test_a_day_of_shoppers_on_ebay_and_the_website_sells_only_what_is_there(engine: Engine) -> None:
    units = {f"S{number}": number % 7 + 1 for number in range(20)}
    chance = random.Random(11)
    with market(engine, units) as (runtime, shops):
        publish(runtime)
        for turn in range(20):
            for shop in shops.values():
                order = shop.checkout([(chance.choice(list(units)), chance.randint(1, 3))]).order
                if order is not None and turn % 5 == 4:
                    shop.cancel(order.number, reason="customer")
            for code in shops:
                pull(runtime, code)
            publish(runtime)
        for _ in range(6):
            for code in shops:
                pull(runtime, code)
            publish(runtime)
        sold = dict.fromkeys(units, 0)
        for shop in shops.values():
            for order in shop.orders.values():
                for line in order.lines:
                    sold[line.sku] += line.quantity - line.reversed
        shown = {sku: sum(shop.product(sku).quantity for shop in shops.values()) for sku in units}
        assert sum(sold.values()) > 20
        assert {sku: count for sku, count in sold.items() if count + shown[sku] > units[sku]} == {}
        with engine.connect() as connection:
            assert connection.execute(text("SELECT sum(oversold) FROM reservation_line")).scalar_one() == 0
            begin, end = day_bounds(vendor_day(datetime.now(UTC)))
            counted = count_revisions(connection, "ebay", list(units), since=begin, until=end)
            writes = [one for one in shops["ebay"].written if one.by == "api"]
            assert sum(counted.values()) == len(writes)


@pytest.mark.parametrize(("status", "counts"), [("confirmed", 1), ("unconfirmed", 1), ("rejected", 0), ("stale", 0)])
def test_only_what_may_have_been_applied_is_counted(engine: Engine, status: str, counts: int) -> None:
    with market(engine, {"A": 5, "B": 3}) as (runtime, _), engine.connect() as connection:
        now = datetime.now(UTC)
        day = {"since": now - timedelta(hours=1), "until": now + timedelta(hours=1)}
        assert count_revisions(connection, "ebay", ["A"], **day) == {}
        assert count_revisions(connection, "ebay", [], **day) == {}
        publish(runtime)
        with engine.begin() as changing:
            changing.execute(text("UPDATE publication SET status = :status WHERE sku = 'A'"), {"status": status})
        assert count_revisions(connection, "ebay", ["A", "nothing"], **day).get("A", 0) == counts
        assert count_revisions(connection, "website", ["A"], **day) == {}, "another channel's refs"
        before = {"since": now - timedelta(days=2), "until": now - timedelta(days=1)}
        assert count_revisions(connection, "ebay", ["A"], **before) == {}
