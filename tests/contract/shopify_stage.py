"""What the tests of the Shopify adapter share: a sandbox shop on loopback and the adapter in front of it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import channel_stage
import httpx
from channel_stage import Clock
from pydantic import SecretStr
from spec_traffic import SPECS, Spec

from adapters.channels.protocol import Channel
from adapters.channels.shopify.shopify import Shopify
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Order, Shop
from adapters.sandbox.shopify.shopify import LOCATION_ID, create_app

TOKEN = "shpat_0123456789abcdef"
WRONG_TOKEN = "shpat_wrong_fedcba9876543210"
OTHER_LOCATION = "gid://shopify/Location/2"
DAWN = channel_stage.START
EVER = DAWN - timedelta(days=1)


@dataclass
class Stage:
    shop: Shop
    clock: Clock
    url: str
    channel: Shopify

    def ref(self, sku: str) -> str:
        return self.shop.naming.listing(self.shop.product(sku).number)

    def buy(self, *lines: tuple[str, int]) -> Order:
        self.clock.seconds += 1
        order = self.shop.checkout(lines).order
        assert order is not None
        return order

    def pull(self, since: datetime = EVER) -> list[dict[str, Any]]:
        return [order for page in self.channel.pull_orders(since) for order in page.orders]

    def only(self) -> dict[str, Any]:
        (document,) = self.pull()
        return document

    def quantity(self, sku: str) -> int:
        return self.shop.product(sku).quantity

    def fault(self, kind: FaultKind, **how: Any) -> None:
        self.shop.faults.replace([Fault(kind, **how)])


class Place:
    """One served address for a whole module; each test puts its own shop behind it."""

    def __init__(self) -> None:
        self.app: Any = None
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    @contextmanager
    def stage(self, *, restore_rate: float = 10_000.0, maximum: float = 20_000.0, **options: Any) -> Iterator[Stage]:
        clock = Clock()
        shop = Shop(now=clock.now, monotonic=clock.monotonic)
        self.app = create_app(
            shop,
            access_token=TOKEN,
            location_ids=(LOCATION_ID, OTHER_LOCATION),
            maximum_available=maximum,
            restore_rate=restore_rate,
            clock=clock.monotonic,
        )
        for sku in "ABCDE":
            shop.add_product(sku, f"Thing {sku}", 1000)
        channel = Shopify(
            "shop",
            base_url=self.url,
            access_token=SecretStr(options.pop("token", TOKEN)),
            location_id=LOCATION_ID,
            sleep=clock.sleep,
            clock=clock.monotonic,
            **options,
        )
        try:
            yield Stage(shop, clock, self.url, channel)
        finally:
            channel.close()


@contextmanager
def served() -> Iterator[Place]:
    place = Place()
    with serve(place) as place.url:
        yield place


def scripted(*bodies: Any) -> Shopify:
    """The adapter against a shop that answers exactly these bodies."""
    answers = iter(bodies)
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=next(answers)))
    return Shopify(
        "shop", base_url="http://shop.test", access_token=SecretStr(TOKEN), location_id=LOCATION_ID, transport=transport
    )


def statuses(results: Any) -> list[str]:
    return [result.status.value for result in results]


class ShopifyStage(channel_stage.Stage):
    """For the contract suite."""

    secrets = (TOKEN, WRONG_TOKEN)
    traits = channel_stage.Traits(
        orders_per_page=3,
        reversals=frozenset({"cancel", "refund", "return", "remove"}),
        cancel_reasons=frozenset({"customer", "payment", "fraud", "inventory", "other"}),
        tells_restocked=True,
        tells_test_orders=True,
        unknown_ref="gid://shopify/InventoryItem/999999999",
        unknown_order="gid://shopify/Order/999999999",
    )

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = Clock()
        self.shop = Shop(now=self.clock.shop_now, monotonic=self.clock.monotonic)
        self.opened: list[Shopify] = []
        self._let_in(TOKEN)
        self.channel = self.another()

    def _let_in(self, token: str) -> None:
        self.app = create_app(
            self.shop,
            access_token=token,
            location_ids=(LOCATION_ID, OTHER_LOCATION),
            maximum_available=20_000.0,
            restore_rate=10_000.0,
            clock=self.clock.monotonic,
        )

    def another(self, *, timeout_s: float = 30.0, right_credentials: bool = True) -> Channel:
        self.opened.append(
            Shopify(
                "shop",
                base_url=self.url,
                access_token=SecretStr(TOKEN if right_credentials else WRONG_TOKEN),
                location_id=LOCATION_ID,
                timeout_s=timeout_s,
                sleep=self.clock.sleep,
                clock=self.clock.monotonic,
                orders_per_page=self.traits.orders_per_page,
                lines_per_page=2,
                lines_per_call=50,
            )
        )
        return self.opened[-1]

    def expire_credentials(self) -> None:
        self._let_in("shpat_rotated")

    def close(self) -> None:
        for channel in self.opened:
            channel.close()


def load_spec() -> Spec:
    """The Admin API's schema. Its scalars are texts: what they look like is in the documentation only."""
    return Spec.load(
        SPECS / "shopify/sdl/admin_2026-10.nodesc.graphql",
        scalars={
            "ID": lambda value: isinstance(value, str) and value.startswith("gid://shopify/"),
            "DateTime": lambda value: bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(value))),
        },
    )
