"""What the tests of the WooCommerce adapter share: a sandbox shop on loopback and the adapter in front of it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import channel_stage
import httpx
from pydantic import SecretStr
from spec_traffic import SPECS, Spec
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.channels.protocol import Change, ChangeStatus, Channel, OrderDocument
from adapters.channels.woocommerce.woocommerce import WooCommerce
from adapters.sandbox.faults import Fault, FaultKind, Operation
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Order, Product, Shop
from adapters.sandbox.woocommerce.woocommerce import create_app
from adapters.sandbox.woocommerce.woocommerce_documents import Catalogue

START = datetime(2026, 11, 20, 10, 0, 0, 250_000, tzinfo=UTC)
SECRET = "cs_9f1c-very-secret"
WRONG_SECRET = "cs_44aa-wrong-one"


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


class Bench:
    """A shop that is served, its clock, and the adapter that looks at it."""

    def __init__(self, clock: Clock, shop: Shop, catalogue: Catalogue, base: str) -> None:
        self.clock, self.shop, self.catalogue, self.base = clock, shop, catalogue, base
        self.opened: list[WooCommerce] = []
        self.channel = self.adapter()

    def adapter(self, **changes: Any) -> WooCommerce:
        """Closed at the end of the test."""
        settings: dict[str, Any] = {
            "base_url": self.base,
            "consumer_key": SecretStr("ck_1"),
            "consumer_secret": SecretStr(SECRET),
            "timeout_s": 30.0,
        }
        self.opened.append(WooCommerce("woo", **{**settings, **changes}))
        return self.opened[-1]

    def pull(self, since: datetime = START, channel: WooCommerce | None = None) -> list[OrderDocument]:
        pages = list((channel or self.channel).pull_orders(since))
        assert not [defect for page in pages for defect in page.defects]
        return [order for page in pages for order in page.orders]

    def sell(self, sku: str, quantity: int = 1) -> Order:
        order = self.shop.checkout([(sku, quantity)]).order
        assert order is not None
        return order

    def status(self, order: Order, status: str) -> None:
        body = {"order_id": str(order.number), "status": status}
        httpx.post(f"{self.base}/sandbox/status", json=body, timeout=60).raise_for_status()

    def fault(self, kind: FaultKind, operation: Operation, times: int | None = 1, **more: Any) -> None:
        self.shop.faults.replace([Fault(kind, operation, times=times, **more)])

    def ref(self, sku: str) -> str:
        return self.catalogue.listing_ref(self.shop.product(sku).number)

    def set(self, sku: str, quantity: int, channel: WooCommerce | None = None) -> ChangeStatus:
        change = Change(self.ref(sku), quantity, None)
        (result,) = (channel or self.channel).set_quantities([change], "key")
        assert result.listing_ref == change.listing_ref
        return result.status


class Place:
    """One served address for a whole module; each test puts its own shop behind it."""

    app: ASGIApp
    url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    @contextmanager
    def bench(self) -> Iterator[Bench]:
        clock, catalogue = Clock(), Catalogue()
        shop = Shop(now=clock)
        for number in range(6):
            shop.add_product(f"SKU-{number}", f"Thing {number}", 1000)
        parent = shop.take_number()
        for colour in ("RED", "BLUE"):
            catalogue.parents[shop.add_product(f"SHIRT-{colour}", f"Shirt {colour}", 50).number] = parent
        family = shop.add_product("FAMILY", "Shared by its variations", 33)
        catalogue.shared[shop.take_number()] = family.number
        shop.add_product("LOOSE", "Not counted", 0, tracked=False)
        shop.add_product("BACK", "May go below zero", 5, oversell_allowed=True)
        self.app = create_app(shop, consumer_key="ck_1", consumer_secret=SECRET, catalogue=catalogue)
        made = Bench(clock, shop, catalogue, self.url)
        try:
            yield made
        finally:
            for channel in made.opened:
                channel.close()


@contextmanager
def served() -> Iterator[Place]:
    place = Place()
    with serve(Starlette(routes=[Mount("/", app=place)])) as place.url:
        yield place


class Meddling(httpx.BaseTransport):
    """The real wire, and a hand on it: `before` sees each request, `change` may alter each JSON answer."""

    def __init__(
        self,
        change: Callable[[str, Any], Any] = lambda path, body: body,
        before: Callable[[httpx.Request], None] = lambda request: None,
        headers: Callable[[dict[str, str]], dict[str, str]] = lambda headers: headers,
    ) -> None:
        self._wire = httpx.HTTPTransport()
        self._change, self._before, self._headers = change, before, headers
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._before(request)
        self.requests.append(request)
        answer = self._wire.handle_request(request)
        body = json.loads(answer.read())
        names = ("x-wp-total", "x-wp-totalpages", "date")
        kept = {name: answer.headers[name] for name in names if name in answer.headers}
        answer.close()
        return httpx.Response(
            answer.status_code, headers=self._headers(kept), json=self._change(request.url.path, body)
        )

    def close(self) -> None:
        self._wire.close()


class WooCommerceStage(channel_stage.Stage):
    """For the contract suite. Every third product is a variation."""

    secrets = (SECRET, WRONG_SECRET)
    traits = channel_stage.Traits(
        orders_per_page=5,
        reversals=frozenset({"cancel", "refund"}),
        cancel_reasons=frozenset({"customer", "payment"}),
        pauses_by_quantity=True,
        tells_restocked=True,
    )

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = channel_stage.Clock()
        self.catalogue = Catalogue()
        self.shop = Shop(now=self.clock.shop_now, monotonic=self.clock.monotonic)
        self.parent = self.shop.take_number()
        self.opened: list[WooCommerce] = []
        self._let_in(SECRET)
        self.channel = self.another()

    def _let_in(self, secret: str) -> None:
        self.app = create_app(self.shop, consumer_key="ck_1", consumer_secret=secret, catalogue=self.catalogue)

    def another(self, *, timeout_s: float = 30.0, right_credentials: bool = True) -> Channel:
        self.opened.append(
            WooCommerce(
                "woo",
                base_url=self.url,
                consumer_key=SecretStr("ck_1"),
                consumer_secret=SecretStr(SECRET if right_credentials else WRONG_SECRET),
                timeout_s=timeout_s,
                page_size=self.traits.orders_per_page,
            )
        )
        return self.opened[-1]

    def add(self, sku: str, quantity: int, **flags: Any) -> Product:
        product = super().add(sku, quantity, **flags)
        if len(self.shop.products) % 3 == 0:
            self.catalogue.parents[product.number] = self.parent
        return product

    def expire_credentials(self) -> None:
        self._let_in("cs_rotated")

    def close(self) -> None:
        for channel in self.opened:
            channel.close()


SPECIFICATION = SPECS / "woocommerce" / "wc_v3_subset.derived.openapi.json"
"""Derived from the vendor's documentation; what its tables leave out is added by `_amend`."""


def load_spec() -> Spec:
    return Spec.load(
        SPECIFICATION,
        amend=_amend,
        # Of WordPress's REST API, which the vendor's pages do not repeat.
        query_of_all={"_fields"},
        # A host refuses what comes too fast, the vendor does not.
        undocumented={429},
    )


def document() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(SPECIFICATION.read_text())
    _amend(made)
    return made


def _amend(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    # The table calls it an integer for refunds only; the shops send a text, as everywhere.
    refund_item = schemas["OrderRefund"]["properties"]["line_items"]["items"]["properties"]
    refund_item["tax_class"] = schemas["Order"]["properties"]["line_items"]["items"]["properties"]["tax_class"]
    # The documentation shows these in its examples; its tables do not name them.
    anything = {"type": "object", "additionalProperties": True}
    for name in ("Order", "OrderRefund", "Product", "ProductVariation"):
        schemas[name]["properties"] |= {"_links": anything, "error": anything}
    schemas["Error"]["properties"]["data"] = anything
    # Documented for every list, but absent from what was derived for refunds.
    paging = {"page": {"type": "integer"}, "per_page": {"type": "integer", "minimum": 1, "maximum": 100}}
    for path, item in document["paths"].items():
        if path.endswith("/refunds"):
            named = item["get"].setdefault("parameters", [])
            known = {parameter["name"] for parameter in named}
            named += [{"name": n, "in": "query", "schema": s} for n, s in paging.items() if n not in known]
