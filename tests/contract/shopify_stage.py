"""What the tests of the Shopify adapter share: a sandbox shop on loopback and the adapter in front of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from adapters.channels.shopify import Shopify
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Order, Shop
from adapters.sandbox.shopify import LOCATION_ID, create_app

TOKEN = "shpat_0123456789abcdef"
OTHER_LOCATION = "gid://shopify/Location/2"
DAWN = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
EVER = DAWN - timedelta(days=1)


@dataclass
class Clock:
    """The shop's clock and the bucket's, moved by hand; sleeping moves it."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return DAWN + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


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
