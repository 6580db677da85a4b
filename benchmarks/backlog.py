"""Publishing under backlog: how much of each vendor's allowance is used, and how many calls a listing costs.

The publisher itself, gate and ledger and all, on the adapters against the imitated vendors, whose allowances are the
real ones. Publisher, adapter and vendor share one virtual clock: a call takes `ROUND_TRIP_S` of it, a wait takes as
long as it is. So minutes of waiting cost none, and how fast this machine is, is not in the figures.

**Allowance used**: of what the vendor granted from the first call to the last (what was in the bucket at the beginning,
and what flowed in meanwhile), the share that was spent; where operations have buckets of their own, of the one that
is the bottleneck. **Listings in a writing call**: beside the most that the vendor takes.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import Engine, text

from adapters.channels.amazon.amazon import Amazon
from adapters.channels.amazon.amazon_budget import PLANS, Budget
from adapters.channels.amazon.amazon_shared import Shared
from adapters.channels.bigcommerce.bigcommerce import BigCommerce
from adapters.channels.ebay.ebay import Ebay
from adapters.channels.ebay.ebay_memory import EbayMemory
from adapters.channels.protocol import Channel
from adapters.channels.shopify.shopify import Shopify
from adapters.channels.woocommerce.woocommerce import WooCommerce
from adapters.sandbox.amazon import amazon
from adapters.sandbox.amazon.amazon_state import MARKETPLACE, SELLER
from adapters.sandbox.amazon.amazon_state import Habits as AmazonHabits
from adapters.sandbox.bigcommerce import bigcommerce
from adapters.sandbox.bigcommerce.bigcommerce_state import WINDOW_S
from adapters.sandbox.bigcommerce.bigcommerce_state import Habits as BigCommerceHabits
from adapters.sandbox.ebay import ebay
from adapters.sandbox.shop import Shop
from adapters.sandbox.shopify import shopify
from adapters.sandbox.woocommerce import woocommerce
from benchmarks.audit import Violation
from benchmarks.figures import Result, Say, Target
from benchmarks.ledger import LOCATION, laboratory, open_ledger
from expectations import gate
from inventory import setup
from inventory.ledger.stock import receive
from inventory.publishing.outbox import mark_dirty
from inventory.words import ChannelMode, WriteMode
from tasks.publishing.publish import publish
from tasks.runtime import Runtime

CHANNEL = "vendor"
ROUND_TRIP_S = 0.15
IDLE_S = 0.3
"""The publisher looks again after so long when nothing is due."""
LONGEST_S = 6 * 3600.0
UNITS = 12
URL = "http://127.0.0.1"
KEY, SECRET = "key", "secret"
USED = Target(95)


@dataclass
class Clock:
    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 20, 18, 0, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass(frozen=True, slots=True)
class Call:
    at: float
    request: httpx.Request
    answer: httpx.Response


class Wire(httpx.BaseTransport):
    """The imitated vendor without a socket. Every call takes its time on the clock and is kept."""

    def __init__(self, app: Any, clock: Clock, at_once: int) -> None:
        self._wire, self._clock = httpx.ASGITransport(app=app), clock
        self._takes_s = ROUND_TRIP_S / at_once
        self.told: list[Call] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self._clock.seconds += self._takes_s
        answer = asyncio.run(self._forward(request))
        self.told.append(Call(self._clock.seconds, request, answer))
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async def _forward(self, request: httpx.Request) -> httpx.Response:
        answer = await self._wire.handle_async_request(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


@dataclass(frozen=True, slots=True)
class Spent:
    """What a backlog cost."""

    listings: int
    seconds: float
    """Of the virtual clock."""
    told: list[Call]

    def calls(self, part: str) -> int:
        """With this in their method and path, or in their body."""
        return sum(
            part in f"{one.request.method} {one.request.url.path}" or part.encode() in one.request.content
            for one in self.told
        )


@dataclass(frozen=True, slots=True)
class Vendor:
    app: Callable[[Shop, Clock], Any]
    channel: Callable[[Wire, Clock], Channel]
    listings: int
    """Enough that the bucket is emptied and waiting begins."""
    writes: str
    """What a writing call has in its path or body."""
    most: int
    """Listings that the vendor takes in one writing call."""
    used: Callable[[Spent], tuple[str, float]] | None = None
    """(what is limited, share of it that was spent); None: the vendor limits no rate. Of an allowance by the window, of
    the windows that came to their end."""
    compare_and_set: bool = False
    at_once: int = 1
    """Calls that the adapter makes at the same time."""


def measure(quick: bool, say: Say) -> Result:
    result = Result()
    with laboratory() as lab:
        for name, vendor in VENDORS.items():
            if quick and name != "shopify":
                continue
            say(name)
            spent = _backlog(open_ledger(lab.fresh()), vendor, 60 if quick else vendor.listings)
            _tell(result, name, vendor, spent)
    result.notes.append(
        f"All on a virtual clock, a call taking {ROUND_TRIP_S} s; one run each, because it repeats exactly. Before "
        "a number is written the listing is read, and after it, so reading takes its part of the allowance too."
    )
    return result


def _tell(result: Result, name: str, vendor: Vendor, spent: Spent) -> None:
    what = f"{name}, {spent.listings:,} listings"
    if vendor.used is not None:
        limited, share = vendor.used(spent)
        result.add(f"{what}: share of the allowance used ({limited})", "%", [share * 100], targets=[USED])
    writes = spent.calls(vendor.writes)
    result.add(
        f"{what}: listings in a writing call", "listings", [spent.listings / writes],
        beside="the most that the vendor takes", floor=[min(vendor.most, spent.listings)],
    )  # fmt: skip
    result.add(f"{what}: published", "listings/s", [spent.listings / spent.seconds])


def _backlog(engine: Engine, vendor: Vendor, listings: int) -> Spent:
    """Every listing shows nothing yet and is to show what is there."""
    clock = Clock()
    shop = Shop(now=clock.now, monotonic=clock.monotonic)
    wire = Wire(vendor.app(shop, clock), clock, vendor.at_once)
    skus = [f"B{number:05d}" for number in range(listings)]
    refs = {sku: shop.naming.listing(shop.add_product(sku, sku, 0).number) for sku in skus}
    channel = vendor.channel(wire, clock)
    write_mode = WriteMode.COMPARE_AND_SET if vendor.compare_and_set else WriteMode.ABSOLUTE
    with engine.begin() as connection:
        setup.add_items(connection, dict.fromkeys(skus, ""))
        its = setup.ChannelSetup(CHANNEL, "bench", write_mode, (LOCATION,), ChannelMode.LIVE, settle_seconds=60)
        setup.add_channel(connection, its)
        setup.add_listings(connection, CHANNEL, [(refs[sku], sku, 1) for sku in skus])
        receive(connection, [(sku, LOCATION, UNITS) for sku in skus], receipt="backlog", now=clock.now())
        connection.execute(text("DELETE FROM outbox"))
        mark_dirty(connection, skus, now=clock.now())
        connection.execute(text("UPDATE channel SET pulled_at = :now, watermark = :now"), {"now": clock.now()})
    runtime = Runtime(engine, lambda code: channel, clock.now, check=gate.recheck, at_once=1)
    # The adapter is one for all passes, as the pool of a process keeps it.
    channel.close, close = lambda: None, channel.close  # type: ignore[method-assign]
    last = 0.0
    while clock.seconds < LONGEST_S:
        calls = len(wire.told)
        publish(runtime)
        if len(wire.told) > calls:
            last = clock.seconds
            continue
        with engine.connect() as connection:
            if not connection.execute(text("SELECT count(*) FROM outbox")).scalar_one():
                break
        clock.seconds += IDLE_S
    close()
    wrong = [sku for sku in skus if shop.product(sku).quantity != UNITS]
    engine.dispose()
    if wrong:
        raise Violation(f"{len(wrong)} listings do not show their number, as {wrong[0]}")
    return Spent(listings, last, wire.told)


# The vendors


def _shopify_used(spent: Spent) -> tuple[str, float]:
    points = 0.0
    for one in spent.told:
        points += one.answer.json().get("extensions", {}).get("cost", {}).get("actualQueryCost") or 0.0
    return "2,000 points and 100 a second", points / (2000 + 100 * spent.seconds)


def _bigcommerce_used(spent: Spent) -> tuple[str, float]:
    windows = max(1.0, spent.seconds // WINDOW_S)
    return "150 calls in 30 seconds", sum(one.at < windows * WINDOW_S for one in spent.told) / (150 * windows)


_AMAZON = {
    "searchListingsItems": "GET /listings/2021-08-01/items/A1SANDBOXSELLER",
    "patchListingsItem": "PATCH /listings/",
    "createFeed": "POST /feeds/2021-06-30/feeds",
    "createFeedDocument": "POST /feeds/2021-06-30/documents",
    "getFeed": "GET /feeds/2021-06-30/feeds/",
}


def _amazon_used(spent: Spent) -> tuple[str, float]:
    shares = {
        name: spent.calls(path) / (PLANS[name].burst + PLANS[name].rate * spent.seconds)
        for name, path in _AMAZON.items()
    }
    tightest = max(shares, key=lambda name: shares[name])
    plan = PLANS[tightest]
    return f"{tightest}, {plan.burst:g} and {plan.rate:.3g} a second", shares[tightest]


def _amazon(wire: Wire, clock: Clock) -> Channel:
    return Amazon(
        CHANNEL, base_url=URL, token_url=f"{URL}{amazon.TOKEN_PATH}", seller_id=SELLER, marketplace_ids=(MARKETPLACE,),
        client_id=KEY, client_secret=SecretStr(SECRET), refresh_token=SecretStr(SECRET), transport=wire,
        shared=Shared(Budget(clock=clock.monotonic, sleep=clock.sleep)), now=clock.now, clock=clock.monotonic,
        sleep=clock.sleep, chance=random.Random(1),  # noqa: S311 - not a secret
    )  # fmt: skip


def _ebay(wire: Wire, clock: Clock) -> Channel:
    return Ebay(
        CHANNEL, base_url=URL, client_id=SecretStr(KEY), client_secret=SecretStr(SECRET),
        refresh_token=SecretStr(SECRET), marketplace_id="EBAY_US", transport=wire, clock=clock.monotonic, now=clock.now,
        memory=EbayMemory(), at_once=1,
    )  # fmt: skip


VENDORS = {
    "shopify": Vendor(
        lambda shop, clock: shopify.create_app(shop, access_token=SECRET, clock=clock.monotonic),
        lambda wire, clock: Shopify(
            CHANNEL, base_url=URL, access_token=SecretStr(SECRET), location_id=shopify.LOCATION_ID, transport=wire,
            sleep=clock.sleep, clock=clock.monotonic,
        ),
        3000, "SetQuantities", 250, _shopify_used, compare_and_set=True,
    ),
    "amazon": Vendor(
        lambda shop, clock: amazon.create_app(
            shop, client_id=KEY, client_secret=SECRET, refresh_token=SECRET, habits=AmazonHabits(doubles_every=0)
        ),
        _amazon, 6000, "POST /feeds/2021-06-30/feeds", 10_000, _amazon_used,
    ),
    "bigcommerce": Vendor(
        lambda shop, clock: bigcommerce.create_app(shop, access_token=SECRET, habits=BigCommerceHabits()),
        lambda wire, clock: BigCommerce(
            CHANNEL, base_url=URL, store_hash=bigcommerce.STORE_HASH, access_token=SecretStr(SECRET), transport=wire,
            clock=clock.monotonic, sleep=clock.sleep,
        ),
        8000, "/inventory/adjustments/absolute", 2000, _bigcommerce_used,
    ),
    "ebay": Vendor(
        lambda shop, clock: ebay.create_app(shop, client_id=KEY, client_secret=SECRET, refresh_token=SECRET),
        _ebay, 1000, "bulk_update_price_quantity", 25, at_once=8,
    ),
    "woocommerce": Vendor(
        lambda shop, clock: woocommerce.create_app(shop, consumer_key=KEY, consumer_secret=SECRET),
        lambda wire, clock: WooCommerce(
            CHANNEL, base_url=URL, consumer_key=SecretStr(KEY), consumer_secret=SecretStr(SECRET), transport=wire
        ),
        1000, "/products/batch", 100,
    ),
}  # fmt: skip
