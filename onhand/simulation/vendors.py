"""The imitated vendors in process: each one's app, the real adapter before it, and what it promises."""

import random
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette

from adapters.channels.amazon.amazon import Amazon
from adapters.channels.amazon.amazon_budget import Budget
from adapters.channels.amazon.amazon_shared import Shared as AmazonShared
from adapters.channels.bigcommerce.bigcommerce import BigCommerce
from adapters.channels.declared.declared_wire import Shared as DeclaredShared
from adapters.channels.ebay.ebay import Ebay
from adapters.channels.ebay.ebay_memory import EbayMemory
from adapters.channels.http_config import HttpConfig
from adapters.channels.protocol import Channel
from adapters.channels.shopify.shopify import Shopify
from adapters.channels.shopify.shopify_webhooks import ShopifyWebhooks
from adapters.channels.webhooks import ReceivesWebhooks
from adapters.channels.woocommerce.woocommerce import WooCommerce
from adapters.channels.woocommerce.woocommerce_webhooks import WooCommerceWebhooks
from adapters.sandbox.amazon import amazon
from adapters.sandbox.amazon.amazon_state import MARKETPLACE, SELLER
from adapters.sandbox.amazon.amazon_state import Habits as AmazonHabits
from adapters.sandbox.bigcommerce import bigcommerce
from adapters.sandbox.bigcommerce.bigcommerce_state import Habits as BigCommerceHabits
from adapters.sandbox.ebay import ebay
from adapters.sandbox.portal import portal
from adapters.sandbox.shop import Shop
from adapters.sandbox.shopify import shopify
from adapters.sandbox.woocommerce import woocommerce
from adapters.settings import PROJECT_ROOT
from inventory.words import WriteMode

URL = "http://127.0.0.1"
KEY, SECRET = "key-1", "secret-1"
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Clocks:
    """Ours. `sleep` passes virtual time."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    page: int = 4
    """Orders on a page: few, so that there are several."""


@dataclass(frozen=True)
class Traits:
    """What the vendor tells and how it takes writes; the seconds are what it promises."""

    write_mode: WriteMode
    partial_cancels: bool
    tells_restocked: bool
    partial_writes: bool = False
    """It answers a batch row by row."""
    settle: float = 30.0
    in_doubt: float = 60.0
    short_token: bool = False


@dataclass(frozen=True)
class Shopfront:
    """One imitated shop. `open(transport, memory)` makes an adapter; `memory` is what one process of ours keeps."""

    app: Starlette
    open: Callable[[httpx.BaseTransport, Any], Channel]
    memory: Callable[[], Any]
    due: Callable[[], None] = lambda: None
    """Makes live what has become due; called before anybody buys."""
    end_token: Callable[[], None] = lambda: None
    receiver: ReceivesWebhooks | None = None


def _shopify(code: str, shop: Shop, clocks: Clocks) -> Shopfront:
    app = shopify.create_app(
        shop, access_token=SECRET, maximum_available=20_000.0, restore_rate=1_000.0, clock=clocks.monotonic
    )
    receiver = ShopifyWebhooks([SecretStr(SECRET)], location_id=shopify.LOCATION_ID)

    def adapter(transport: httpx.BaseTransport, _: Any) -> Channel:
        return Shopify(
            code, base_url=URL, access_token=SecretStr(SECRET), location_id=shopify.LOCATION_ID, timeout_s=TIMEOUT_S,
            transport=transport, sleep=clocks.sleep, clock=clocks.monotonic, orders_per_page=clocks.page,
            lines_per_page=2,
        )  # fmt: skip

    return Shopfront(app, adapter, lambda: None, receiver=receiver)


def _woocommerce(code: str, shop: Shop, clocks: Clocks) -> Shopfront:
    app = woocommerce.create_app(shop, consumer_key=KEY, consumer_secret=SECRET)

    def adapter(transport: httpx.BaseTransport, _: Any) -> Channel:
        return WooCommerce(
            code, base_url=URL, consumer_key=SecretStr(KEY), consumer_secret=SecretStr(SECRET), timeout_s=TIMEOUT_S,
            transport=transport, page_size=clocks.page,
        )  # fmt: skip

    return Shopfront(app, adapter, lambda: None, receiver=WooCommerceWebhooks([SecretStr(SECRET)]))


def _portal(code: str, shop: Shop, clocks: Clocks) -> Shopfront:
    app = portal.create_app(shop, client_id=KEY, client_secret=SECRET)
    (table,) = tomllib.loads((PROJECT_ROOT / "docs" / "portal.example.toml").read_text(encoding="utf-8"))["channel"]
    table |= {"code": code, "base_url": f"{URL}/api/v1", "timeout_s": TIMEOUT_S}
    table["orders"]["page_size"] = clocks.page
    config = HttpConfig(**table)
    names = {table["auth"]["client_id_env"]: KEY}

    def secret(name: str) -> SecretStr:
        return SecretStr(names.get(name, SECRET))

    def adapter(transport: httpx.BaseTransport, memory: Any) -> Channel:
        return config.open(secret, transport=transport, shared=memory, sleep=clocks.sleep, now=clocks.now)

    return Shopfront(
        app, adapter, lambda: DeclaredShared(clock=clocks.monotonic), end_token=app.state.portal.revoke,
        receiver=config.webhooks(secret),
    )  # fmt: skip


def _ebay(code: str, shop: Shop, clocks: Clocks) -> Shopfront:
    app = ebay.create_app(shop, client_id=KEY, client_secret=SECRET, refresh_token=SECRET)

    def adapter(transport: httpx.BaseTransport, memory: Any) -> Channel:
        return Ebay(
            code, base_url=URL, client_id=SecretStr(KEY), client_secret=SecretStr(SECRET),
            refresh_token=SecretStr(SECRET), marketplace_id="EBAY_US", timeout_s=TIMEOUT_S, transport=transport,
            clock=clocks.monotonic, now=clocks.now, memory=memory, page_size=clocks.page, at_once=1,
        )  # fmt: skip

    return Shopfront(app, adapter, EbayMemory, end_token=app.state.identity.expire_all)


def _amazon(code: str, shop: Shop, clocks: Clocks) -> Shopfront:
    habits = AmazonHabits(apply_delay_s=2.0, feed_delay_s=4.0, search_lag_s=20.0, rate_scale=1000.0)
    app = amazon.create_app(shop, client_id=KEY, client_secret=SECRET, refresh_token=SECRET, habits=habits)

    def adapter(transport: httpx.BaseTransport, memory: Any) -> Channel:
        return Amazon(
            code, base_url=URL, token_url=f"{URL}{amazon.TOKEN_PATH}", seller_id=SELLER, marketplace_ids=(MARKETPLACE,),
            client_id=KEY, client_secret=SecretStr(SECRET), refresh_token=SecretStr(SECRET), timeout_s=TIMEOUT_S,
            transport=transport, shared=memory, now=clocks.now, clock=clocks.monotonic, sleep=clocks.sleep,
            chance=random.Random(1), page_size=clocks.page,  # noqa: S311 - of pauses between calls
        )  # fmt: skip

    return Shopfront(
        app, adapter, lambda: AmazonShared(Budget(clock=clocks.monotonic, sleep=clocks.sleep)),
        due=app.state.amazon.settle, end_token=app.state.amazon.state.expire_tokens,
    )  # fmt: skip


def _bigcommerce(code: str, shop: Shop, clocks: Clocks) -> Shopfront:
    app = bigcommerce.create_app(
        shop, access_token=SECRET, habits=BigCommerceHabits(apply_delay_s=1.0, calls_per_window=0)
    )
    store = app.state.bigcommerce

    def adapter(transport: httpx.BaseTransport, _: Any) -> Channel:
        return BigCommerce(
            code, base_url=URL, store_hash=bigcommerce.STORE_HASH, access_token=SecretStr(SECRET), timeout_s=TIMEOUT_S,
            transport=transport, clock=clocks.monotonic, sleep=clocks.sleep, page_size=clocks.page,
        )  # fmt: skip

    return Shopfront(app, adapter, lambda: None, due=store.settle)


MAKERS: dict[str, Callable[[str, Shop, Clocks], Shopfront]] = {
    "shopify": _shopify, "woocommerce": _woocommerce, "portal": _portal, "ebay": _ebay, "amazon": _amazon,
    "bigcommerce": _bigcommerce,
}  # fmt: skip
TRAITS = {
    "shopify": Traits(WriteMode.COMPARE_AND_SET, partial_cancels=True, tells_restocked=True),
    "woocommerce": Traits(WriteMode.ABSOLUTE, partial_cancels=True, tells_restocked=True, partial_writes=True),
    "portal": Traits(
        WriteMode.COMPARE_AND_SET, partial_cancels=True, tells_restocked=True, partial_writes=True, short_token=True
    ),
    "ebay": Traits(
        WriteMode.ABSOLUTE, partial_cancels=False, tells_restocked=False, partial_writes=True, short_token=True
    ),
    "amazon": Traits(WriteMode.ABSOLUTE, partial_cancels=False, tells_restocked=True, short_token=True),
    "bigcommerce": Traits(WriteMode.ABSOLUTE, partial_cancels=True, tells_restocked=False),
}


def is_write(vendor: str) -> Callable[[httpx.Request], bool]:
    """Whether a request changes a quantity there."""
    if vendor == "shopify":
        return lambda request: b"inventorySetQuantities" in request.read()
    if vendor == "amazon":
        return lambda request: request.method == "PATCH" or request.url.path.endswith("/feeds")
    places = {
        "woocommerce": "/batch", "portal": "/stock/batch", "ebay": "/bulk_update_price_quantity",
        "bigcommerce": "/inventory/adjustments/absolute",
    }  # fmt: skip
    return lambda request: request.method in ("POST", "PUT") and request.url.path.endswith(places[vendor])
