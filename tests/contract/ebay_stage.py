"""What the tests of the eBay adapter share: a sandbox account and the adapter in front of it."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
from channel_stage import Clock, Stage, Traits
from pydantic import SecretStr

from adapters.channels.ebay.ebay import Ebay
from adapters.channels.ebay.ebay_memory import EbayMemory
from adapters.channels.ebay.ebay_notifications import EbayWebhooks
from adapters.sandbox.ebay.ebay import create_app
from adapters.sandbox.shop import Shop

CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN = "app-id-1f3c", "PRD-9c4e-very-secret", "v^1.1#r^1-very-secret"
WRONG_SECRET = "PRD-0000-wrong-secret"
ENDPOINT = "https://seller.example/webhooks/ebay"
VERIFICATION_TOKEN = "verification-token-of-32-letters-or-more"
ORDERS_PER_PAGE = 3


class EbayStage(Stage):
    """`watch` and `bend` are a hand on the adapter's own wire, for the adapters that are opened with `wired`."""

    traits = Traits(
        orders_per_page=ORDERS_PER_PAGE,
        reversals=frozenset({"cancel"}),
        cancel_reasons=frozenset({"customer", "payment", "inventory"}),
        renews_credentials=True,
        untracked=False,
        oversell=False,
        pauses_by_quantity=True,
    )
    secrets = (CLIENT_SECRET, REFRESH_TOKEN, WRONG_SECRET)

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        self.clock = Clock()
        self.shop = Shop(now=self.clock.shop_now, monotonic=self.clock.monotonic)
        self.app = create_app(
            self.shop, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, refresh_token=REFRESH_TOKEN, **options
        )
        self.memory = EbayMemory()
        self._opened: list[Ebay] = []
        self.channel: Ebay = self.open()

    def open(self, **changes: Any) -> Ebay:
        settings: dict[str, Any] = {
            "base_url": self.url,
            "client_id": SecretStr(CLIENT_ID),
            "client_secret": SecretStr(CLIENT_SECRET),
            "refresh_token": SecretStr(REFRESH_TOKEN),
            "marketplace_id": "EBAY_US",
            "timeout_s": 30.0,
            "clock": self.clock.monotonic,
            "now": self.clock.now,
            "memory": self.memory,
            "page_size": ORDERS_PER_PAGE,
            # One after another, so that what is asked comes in one order always.
            "at_once": 1,
        }
        self._opened.append(Ebay("ebay", **{**settings, **changes}))
        return self._opened[-1]

    def another(self, *, timeout_s: float = 30.0, right_credentials: bool = True) -> Ebay:
        if right_credentials:
            return self.open(timeout_s=timeout_s)
        return self.open(timeout_s=timeout_s, client_secret=SecretStr(WRONG_SECRET), memory=EbayMemory())

    def webhooks(self, transport: httpx.BaseTransport | None = None) -> EbayWebhooks:
        return EbayWebhooks(
            "ebay",
            base_url=self.url,
            client_id=SecretStr(CLIENT_ID),
            client_secret=SecretStr(CLIENT_SECRET),
            endpoint=ENDPOINT,
            verification_token=SecretStr(VERIFICATION_TOKEN),
            clock=self.clock.monotonic,
            memory=EbayMemory(),
            transport=transport,
        )

    @property
    def stock(self) -> Any:
        return self.app.state.stock  # type: ignore[attr-defined]

    def expire_credentials(self) -> None:
        self.app.state.identity.expire_all()  # type: ignore[attr-defined]

    def close(self) -> None:
        for channel in self._opened:
            channel.close()
        self.app.state.deliveries.close()  # type: ignore[attr-defined]


class InProcess(httpx.BaseTransport):
    """The sandbox without a socket: `see` gets each request before it, and may answer in its place."""

    def __init__(self, app: Any, see: Callable[[httpx.Request], httpx.Response | None] = lambda request: None) -> None:
        self._wire = httpx.ASGITransport(app=app)
        self._see = see
        self.requests: list[httpx.Request] = []
        self.answers: list[httpx.Response] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answer = self._see(request) or asyncio.run(self._forward(request))
        answer.request = request
        self.answers.append(answer)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async def _forward(self, request: httpx.Request) -> httpx.Response:
        answer = await self._wire.handle_async_request(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


def staged(see: Callable[[httpx.Request], httpx.Response | None] = lambda request: None, **options: Any) -> EbayStage:
    """A stage without a server. Close it."""
    stage = EbayStage("http://127.0.0.1", **options)
    stage.wire = InProcess(stage.app, see)  # type: ignore[attr-defined]
    stage.channel = stage.open(transport=stage.wire)  # type: ignore[attr-defined]
    return stage
