"""Amazon's Selling Partner API, imitated on its real wire format, stateful, with its own habits.

It takes its own number down when an order is placed (PENDING too) and puts it back on a cancellation unless
there was no stock; an accepted quantity is absolute and goes live later, so that it puts back what was sold
meanwhile; searchOrders lags; every operation has its token bucket; a DEFAULT quantity flips an FBA offer.

Beside the common `/sandbox/…` endpoints: POST /sandbox/status {order_id, status}, PUT /sandbox/habits (the
fields of `Habits`), PUT /sandbox/fba {sku: {the fields of `FbaStock`}}.
"""

import hmac
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.channels.amazon import amazon_budget as operations
from adapters.sandbox.amazon.amazon_documents import order_name
from adapters.sandbox.amazon.amazon_feeds import Feeds
from adapters.sandbox.amazon.amazon_listings import Listings
from adapters.sandbox.amazon.amazon_pages import Pages
from adapters.sandbox.amazon.amazon_queue import PATH as QUEUE_PATH
from adapters.sandbox.amazon.amazon_queue import Queue
from adapters.sandbox.amazon.amazon_state import FbaStock, Habits, State
from adapters.sandbox.amazon.amazon_wire import Refused, csv, quota_exceeded
from adapters.sandbox.control import control_routes, under_faults
from adapters.sandbox.faults import Operation
from adapters.sandbox.shop import Naming, Shop, ShopError, number_of

ORDERS = "/orders/2026-01-01/orders"
ITEMS = "/listings/2021-08-01/items/{seller}"
FEEDS = "/feeds/2021-06-30"
TOKEN_PATH = "/auth/o2/token"  # noqa: S105 - a path
QUICK = Habits(apply_delay_s=0.2, feed_delay_s=0.4, search_lag_s=0.0, rate_scale=500.0)
"""For a day that runs faster than the real one."""


def create_app(
    shop: Shop,
    *,
    client_id: str,
    client_secret: str,
    refresh_token: str,
    habits: Habits | None = None,
    fba: Mapping[str, FbaStock] | None = None,
) -> Starlette:
    """`fba`: SKUs that Amazon's own warehouse sends. The queue takes the client id as its key id. `app.state.amazon`
    is the vendor, for tests."""
    vendor = Vendor(shop, habits or Habits(), dict(fba or {}), (client_id, client_secret, refresh_token))
    shop.naming = Naming(listing=lambda number: shop.products[number].sku, order=order_name)
    shop.on_change.append(vendor.queue.order_changed)
    routes = [
        Route(TOKEN_PATH, vendor.token, methods=["POST"]),
        Route(ORDERS, vendor.search_orders, methods=["GET"]),
        Route(f"{ORDERS}/{{order}}", vendor.get_order, methods=["GET"]),
        Route(ITEMS, vendor.search_listings, methods=["GET"]),
        Route(f"{ITEMS}/{{sku:path}}", vendor.get_listing, methods=["GET"]),
        Route(f"{ITEMS}/{{sku:path}}", vendor.patch_listing, methods=["PATCH"]),
        Route(f"{FEEDS}/documents", vendor.create_document, methods=["POST"]),
        Route(f"{FEEDS}/documents/{{document}}", vendor.get_document, methods=["GET"]),
        Route(f"{FEEDS}/feeds", vendor.create_feed, methods=["POST"]),
        Route(f"{FEEDS}/feeds", vendor.get_feeds, methods=["GET"]),
        Route(f"{FEEDS}/feeds/{{feed}}", vendor.get_feed, methods=["GET"]),
        Route("/presigned/{document}", vendor.presigned, methods=["GET", "PUT"]),
        Route("/fba/inventory/v1/summaries", vendor.fba_summaries, methods=["GET"]),
        Route("/", vendor.queue.answer, methods=["POST"]),
        Route(QUEUE_PATH, vendor.queue.answer, methods=["POST"]),
        Route("/sandbox/status", vendor.set_status, methods=["POST"]),
        Route("/sandbox/habits", vendor.set_habits, methods=["PUT"]),
        Route("/sandbox/fba", vendor.set_fba, methods=["PUT"]),
        Route("/sandbox/cancel", vendor.cancel, methods=["POST"]),
        *control_routes(shop),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(_Settled, vendor=vendor)])
    app.state.amazon = vendor
    return app


def create_app_from_token(shop: Shop, token: str) -> Starlette:
    """`token` is `key:secret`: the key is the client id and the queue's key id, the secret is the client secret
    and the refresh token. Everything is quick (`QUICK`)."""
    key, _, secret = token.partition(":")
    habits = Habits(**{name: getattr(QUICK, name) for name in Habits.__dataclass_fields__})
    return create_app(shop, client_id=key, client_secret=secret, refresh_token=secret, habits=habits)


class _Settled:
    """What has become due happens before anybody looks or buys."""

    def __init__(self, app: ASGIApp, vendor: "Vendor") -> None:
        self._app = app
        self._vendor = vendor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._vendor.settle()
        await self._app(scope, receive, send)


class Vendor:
    def __init__(self, shop: Shop, habits: Habits, fba: dict[str, FbaStock], credentials: tuple[str, str, str]) -> None:
        self.shop = shop
        self.state = State(shop, habits, fba)
        self.listings = Listings(self.state)
        self.pages = Pages(self.state)
        self.feeds = Feeds(self.state, self.listings)
        self.queue = Queue(self.state, credentials[0])
        self.state.on_quantity.append(self.queue.quantity_changed)
        self.feeds.on_end.append(self.queue.feed_ended)
        self._credentials = credentials
        self._previous: tuple[str, Response] | None = None

    def settle(self) -> None:
        with self.shop.lock:
            self.feeds.settle()
            self.state.settle()

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        client_id, secret, refresh = self._credentials
        if form.get("grant_type") != "refresh_token":
            return _login_refused(400, "unsupported_grant_type")
        if form.get("client_id") != client_id or not _same(form.get("client_secret", ""), secret):
            return _login_refused(401, "invalid_client")
        if not _same(form.get("refresh_token", ""), refresh):
            return _login_refused(400, "invalid_grant")
        self.shop.count("token")
        lives = int(self.state.habits.token_life_s)
        return JSONResponse(
            {
                "access_token": self.state.new_token(),
                "refresh_token": refresh,
                "token_type": "bearer",
                "expires_in": lives,
            }
        )

    async def search_orders(self, request: Request) -> Response:
        pulled = str(request.url.remove_query_params(["paginationToken"]))
        previous = self._previous[1] if self._previous and self._previous[0] == pulled else None

        def answer() -> Response:
            made = JSONResponse(self.pages.search(request.query_params))
            self._previous = pulled, made
            return made

        return await self._answer(request, operations.SEARCH_ORDERS, Operation.ORDERS, answer, previous)

    async def get_order(self, request: Request) -> Response:
        name = request.path_params["order"]
        return await self._answer(
            request,
            operations.GET_ORDER,
            Operation.ORDERS,
            lambda: JSONResponse(self.pages.one(name, request.query_params)),
        )

    async def search_listings(self, request: Request) -> Response:
        return await self._answer(
            request,
            operations.SEARCH_LISTINGS,
            Operation.READ,
            lambda: JSONResponse(self.listings.search(request.query_params)),
        )

    async def get_listing(self, request: Request) -> Response:
        sku = request.path_params["sku"]
        return await self._answer(
            request,
            operations.GET_LISTING,
            Operation.READ,
            lambda: JSONResponse(self.listings.one(sku, request.query_params)),
        )

    async def patch_listing(self, request: Request) -> Response:
        sku, body = request.path_params["sku"], await _json(request)
        return await self._answer(
            request,
            operations.PATCH_LISTING,
            Operation.WRITE,
            lambda: JSONResponse(self.listings.patch(sku, request.query_params, body)),
        )

    async def create_document(self, request: Request) -> Response:
        body = await _json(request)
        # It changes nothing that is sold, so only faults that strike everything strike it.
        return await self._answer(
            request,
            operations.CREATE_DOCUMENT,
            Operation.ANY,
            lambda: JSONResponse(self.feeds.create_document(body, _base(request)), status_code=201),
        )

    async def create_feed(self, request: Request) -> Response:
        body = await _json(request)
        return await self._answer(
            request,
            operations.CREATE_FEED,
            Operation.WRITE,
            lambda: JSONResponse(self.feeds.create_feed(body), status_code=202),
        )

    async def get_feed(self, request: Request) -> Response:
        feed_id = request.path_params["feed"]
        return await self._answer(
            request, operations.GET_FEED, Operation.READ, lambda: JSONResponse(self.feeds.feed(feed_id))
        )

    async def get_feeds(self, request: Request) -> Response:
        statuses = csv(request.query_params, "processingStatuses")
        return await self._answer(
            request, operations.GET_FEEDS, Operation.READ, lambda: JSONResponse(self.feeds.all(statuses))
        )

    async def get_document(self, request: Request) -> Response:
        name = request.path_params["document"]
        return await self._answer(
            request,
            operations.GET_DOCUMENT,
            Operation.READ,
            lambda: JSONResponse(self.feeds.document(name, _base(request))),
        )

    async def presigned(self, request: Request) -> Response:
        name, signature = request.path_params["document"], request.query_params.get("X-Amz-Signature", "")
        if request.method == "PUT":
            done = self.feeds.put(name, signature, await request.body())
            return Response(status_code=200) if done else PlainTextResponse("AccessDenied", status_code=403)
        content = self.feeds.get(name, signature)
        return PlainTextResponse("AccessDenied", status_code=403) if content is None else Response(content)

    async def fba_summaries(self, request: Request) -> Response:
        return await self._answer(
            request,
            operations.FBA_SUMMARIES,
            Operation.READ,
            lambda: JSONResponse(self.pages.summaries(request.query_params)),
        )

    async def set_status(self, request: Request) -> Response:
        body = await request.json()
        number = number_of(str(body["order_id"]))
        with self.shop.lock:
            self.state.statuses[number] = str(body["status"])
            self.shop.touch(number)
        return JSONResponse({"status": body["status"]})

    async def set_habits(self, request: Request) -> Response:
        try:
            self.state.habits.set(await request.json())
        except (ShopError, ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({})

    async def set_fba(self, request: Request) -> Response:
        for sku, levels in (await request.json()).items():
            self.state.fba[sku] = FbaStock(**levels)
        return JSONResponse({"fba": sorted(self.state.fba)})

    async def cancel(self, request: Request) -> Response:
        """As the common one, but whether units go back to the counter is Amazon's rule."""
        body = await request.json()
        reason = str(body.get("reason", "customer"))
        lines = body.get("lines")
        try:
            made = self.shop.cancel(
                number_of(str(body["order_id"])),
                None if lines is None else [(number_of(row["line_id"]), int(row["quantity"])) for row in lines],
                restock=reason != "inventory",
                reason=reason,
                how=body.get("how"),
            )
        except (ShopError, ValueError, TypeError, KeyError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=400)
        return JSONResponse({"reversed": sum(reversal.quantity for reversal in made)})

    async def _answer(
        self,
        request: Request,
        operation: str,
        kind: Operation,
        answer: Callable[[], Response],
        previous: Response | None = None,
    ) -> Response:
        """`previous`: the page of the same search that a wrong cache would give again."""
        problem = self.state.token_problem(request.headers.get("x-amz-access-token"))
        if problem:
            return Refused(403, "Unauthorized", "Access to requested resource is denied.", problem).answer
        if not self.state.allowed(operation):
            return quota_exceeded()

        def work() -> Response:
            try:
                with self.shop.lock:
                    made = answer()
            except Refused as refused:
                return refused.answer
            made.headers["x-amzn-RateLimit-Limit"] = f"{self.state.rate(operation):g}"
            return made

        repeated = (lambda: previous) if previous else None
        return await under_faults(self.shop, kind, work, throttled=quota_exceeded, repeated=repeated)


async def _json(request: Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        return None


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())


def _login_refused(status: int, error: str) -> Response:
    return JSONResponse({"error": error, "error_description": "The request is not valid"}, status_code=status)
