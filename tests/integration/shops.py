"""Two imitated shops on loopback and a ledger that sells through them: the stage of the publishing tests."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr
from sqlalchemy import Engine

from adapters.channels.protocol import Channel
from adapters.channels.shopify.shopify import Shopify
from adapters.channels.woocommerce.woocommerce import WooCommerce
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Shop
from adapters.sandbox.shopify import shopify as shopify_sandbox
from adapters.sandbox.woocommerce import woocommerce as woocommerce_sandbox
from inventory import setup
from inventory.ledger import stock
from inventory.words import ChannelMode, WriteMode
from tasks.runtime import Runtime

LOCATION = "gid://shopify/Location/1"


@dataclass
class Stage:
    runtime: Runtime
    shops: dict[str, Shop]
    urls: dict[str, str]


def open_shop(code: str, url: str) -> Channel:
    if code == "shopify":
        return Shopify(code, base_url=url, access_token=SecretStr("token"), location_id=LOCATION)
    keys = {"consumer_key": SecretStr("key"), "consumer_secret": SecretStr("secret")}
    return WooCommerce(code, base_url=url, **keys)


@contextmanager
def two_shops(
    engine: Engine,
    units: dict[str, int],
    *,
    settle: float = 0,
    in_doubt: float = 60,
    locations: Sequence[str] = (LOCATION,),
) -> Iterator[Stage]:
    """`shopify` (compare-and-set) and `website` (absolute), each listing every SKU, both empty at first. `locations`
    are the Shopify shop's; it sells from the first."""
    shopify, website = Shop(), Shop()
    app = shopify_sandbox.create_app(
        shopify,
        access_token="token",
        api_version="2026-10",
        location_ids=list(locations),
        maximum_available=20_000,
        restore_rate=1_000,
    )
    other = woocommerce_sandbox.create_app(website, consumer_key="key", consumer_secret="secret")
    with serve(app) as shopify_url, serve(other) as website_url:
        urls = {"shopify": shopify_url, "website": website_url}
        shops = {"shopify": shopify, "website": website}
        modes = {"shopify": WriteMode.COMPARE_AND_SET, "website": WriteMode.ABSOLUTE}
        now = datetime.now(UTC)
        with engine.begin() as connection:
            setup.add_items(connection, dict.fromkeys(units, ""))
            setup.add_locations(connection, ["main"])
            for code, shop in shops.items():
                setup.add_channel(
                    connection,
                    setup.ChannelSetup(
                        code, code, modes[code], ("main",), mode=ChannelMode.LIVE,
                        settle_seconds=settle, in_doubt_seconds=in_doubt, overlap_seconds=5,
                    ),
                )  # fmt: skip
                products = [shop.add_product(sku, title=sku, quantity=0) for sku in units]
                listings = [(shop.naming.listing(product.number), product.sku, 1) for product in products]
                setup.add_listings(connection, code, listings)
            stock.receive(
                connection, [(sku, "main", count) for sku, count in units.items()], receipt="opening", now=now
            )
        runtime = Runtime(engine, lambda code: open_shop(code, urls[code]), lambda: datetime.now(UTC))
        yield Stage(runtime, shops, urls)
