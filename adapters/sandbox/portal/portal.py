"""A wholesale portal, imitated: a plain JSON API as B2B portals have it, of no vendor in particular.

OAuth 2.0 client credentials or a key in a header; orders by cursor, oldest change first; stock with a version
for each article, written in batches whose rows fail singly; a compare-and-set by the expected number or by
version; 429 with a header of its own; one switch for the whole storefront. `GET /openapi.json` describes it.
Where it asked for a hold before it sold, the order has a `reservation_key`.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.sandbox.control import control_routes, under_faults
from adapters.sandbox.deliveries import Deliveries
from adapters.sandbox.faults import Operation
from adapters.sandbox.portal.portal_documents import (
    Versions,
    article_document,
    instant_of,
    order_document,
    stock_document,
)
from adapters.sandbox.portal.portal_openapi import API, LARGEST_BATCH, LARGEST_PAGE, document
from adapters.sandbox.portal.portal_webhooks import MANNER, WebhookMessages
from adapters.sandbox.shop import Naming, Product, Shop, ShopError, number_of

RETRY_MS = 1500


def create_app(
    shop: Shop,
    *,
    client_id: str,
    client_secret: str,
    api_key: str | None = None,
    token_seconds: int = 900,
) -> Starlette:
    """`api_key`: also taken, in the header X-Portal-Key. `app.state.portal.revoke()` ends all tokens."""
    portal = _Portal(shop, client_id, client_secret, api_key, token_seconds)
    shop.naming = Naming(listing=lambda number: f"ART/{number}")
    deliveries = Deliveries(shop, WebhookMessages(shop).build, MANNER)
    routes = [
        Route("/openapi.json", portal.openapi, methods=["GET"]),
        Route(f"{API}/oauth/token", portal.token, methods=["POST"]),
        Route(f"{API}/orders", portal.orders, methods=["GET"]),
        Route(f"{API}/orders/{{order}}", portal.order, methods=["GET"]),
        Route(f"{API}/stock", portal.stock, methods=["GET"]),
        Route(f"{API}/stock/batch", portal.write, methods=["POST"]),
        Route(f"{API}/articles", portal.articles, methods=["GET"]),
        Route(f"{API}/storefront", portal.storefront, methods=["GET", "PUT"]),
        *control_routes(shop, deliveries),
    ]
    app = Starlette(routes=routes)
    app.state.deliveries, app.state.portal = deliveries, portal
    return app


def create_app_from_token(shop: Shop, token: str) -> Starlette:
    """`token` is `client_id:client_secret`; the secret is the key of the header too."""
    client_id, _, client_secret = token.partition(":")
    return create_app(shop, client_id=client_id, client_secret=client_secret, api_key=client_secret)


class _Refused(Exception):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(code)
        self.answer = JSONResponse({"code": code, "detail": detail}, status_code=status)


class _Portal:
    def __init__(self, shop: Shop, client_id: str, client_secret: str, api_key: str | None, seconds: int) -> None:
        self._shop = shop
        self._client = f"{client_id}:{client_secret}"
        self._api_key = api_key
        self._token_seconds = seconds
        self._tokens: dict[str, float] = {}
        self._versions = Versions(shop)
        self._last_page: tuple[str, Response] | None = None
        self.tokens_given = 0

    def revoke(self) -> None:
        with self._shop.lock:
            self._tokens.clear()

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(document())

    async def token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        try:
            named = base64.b64decode(given, validate=True).decode() if scheme.lower() == "basic" else ""
        except (binascii.Error, UnicodeDecodeError):
            named = ""
        named = named or f"{form.get('client_id', '')}:{form.get('client_secret', '')}"
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, status_code=400)
        if not hmac.compare_digest(named.encode(), self._client.encode()):
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        token = secrets.token_urlsafe(24)
        with self._shop.lock:
            self._tokens[token] = self._shop.monotonic() + self._token_seconds
            self.tokens_given += 1
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": self._token_seconds})

    async def orders(self, request: Request) -> Response:
        asked = str(request.url.remove_query_params(["cursor"]))
        previous = self._last_page[1] if self._last_page and self._last_page[0] == asked else None

        def answer() -> Response:
            page = self._list_orders(request.query_params)
            self._last_page = asked, page
            return page

        return await self._answer(request, Operation.ORDERS, answer, previous)

    async def order(self, request: Request) -> Response:
        return await self._answer(request, Operation.ORDERS, lambda: self._one_order(request.path_params["order"]))

    async def stock(self, request: Request) -> Response:
        return await self._answer(request, Operation.READ, lambda: self._list_stock(request.query_params))

    async def articles(self, request: Request) -> Response:
        return await self._answer(request, Operation.READ, lambda: self._list_articles(request.query_params))

    async def write(self, request: Request) -> Response:
        body = await _json_of(request)
        return await self._answer(request, Operation.WRITE, lambda: self._write_stock(body))

    async def storefront(self, request: Request) -> Response:
        if request.method == "GET":
            return await self._answer(request, Operation.READ, lambda: JSONResponse({"open": not self._shop.closed}))
        body = await _json_of(request)
        return await self._answer(request, Operation.WRITE, lambda: self._set_storefront(body))

    async def _answer(
        self,
        request: Request,
        operation: Operation,
        answer: Callable[[], Response],
        previous: Response | None = None,
    ) -> Response:
        if not self._knows(request):
            return _Refused(401, "invalid_token", "The token or key is not valid, or not any more.").answer

        def work() -> Response:
            try:
                with self._shop.lock:
                    return answer()
            except _Refused as refused:
                return refused.answer

        repeated = (lambda: previous) if previous else None
        return await under_faults(self._shop, operation, work, throttled=_too_fast, repeated=repeated)

    def _knows(self, request: Request) -> bool:
        key = request.headers.get("x-portal-key", "")
        if self._api_key is not None and key and hmac.compare_digest(key.encode(), self._api_key.encode()):
            return True
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        with self._shop.lock:
            valid = self._tokens.get(token, 0.0) > self._shop.monotonic()
        return scheme.lower() == "bearer" and valid

    def _list_orders(self, query: Mapping[str, str]) -> Response:
        since = query.get("changed_from")
        moment = None if since is None else instant_of(since)
        if since is not None and moment is None:
            raise _Refused(400, "invalid_changed_from", "changed_from is no ISO 8601 time with an offset.")
        after = _cursor_of(query)
        found = [order for order in self._shop.changed_since(moment) if order.change > after]
        found.sort(key=lambda order: order.change)
        size = _limit_of(query)
        page = found[:size]
        following = _cursor(page[-1].change) if len(found) > size else None
        return JSONResponse({"orders": [order_document(order) for order in page], "next_cursor": following})

    def _one_order(self, name: str) -> Response:
        order = self._shop.orders.get(int(name)) if name.isascii() and name.isdecimal() and len(name) < 19 else None
        if order is None or order.visible_from > self._shop.monotonic():
            raise _Refused(404, "unknown_order", "There is no such order.")
        return JSONResponse(order_document(order))

    def _list_stock(self, query: Mapping[str, str]) -> Response:
        names = [name for name in query.get("articles", "").split(",") if name]
        if not names or len(names) > LARGEST_PAGE:
            raise _Refused(400, "invalid_articles", f"articles must name from 1 to {LARGEST_PAGE}.")
        found = [product for name in dict.fromkeys(names) if (product := self._product(name))]
        rows = [stock_document(self._shop, product, self._versions.of(product)) for product in found]
        return JSONResponse({"stock": rows})

    def _list_articles(self, query: Mapping[str, str]) -> Response:
        after, size = _cursor_of(query), _limit_of(query)
        found = [product for number, product in sorted(self._shop.products.items()) if number > after]
        following = _cursor(found[size - 1].number) if len(found) > size else None
        rows = [article_document(self._shop, product) for product in found[:size]]
        return JSONResponse({"articles": rows, "next_cursor": following})

    def _write_stock(self, body: Any) -> Response:
        rows = body.get("updates") if isinstance(body, dict) else None
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            raise _Refused(400, "invalid_body", "updates must be a list of objects.")
        if len(rows) > LARGEST_BATCH:
            raise _Refused(413, "too_many_rows", f"At most {LARGEST_BATCH} updates in one request.")
        return JSONResponse({"results": [self._write_row(row) for row in rows]})

    def _write_row(self, row: dict[str, Any]) -> dict[str, Any]:
        name, wanted = str(row.get("article", "")), row.get("available")
        product = self._product(name)
        if product is None:
            return {"article": name, "result": "unknown_article", "available": None, "version": None}
        result = "updated"
        if not _is_quantity(wanted):
            result = "invalid"
        elif not product.tracked:
            result = "not_counted"
        elif "if_available" in row and row["if_available"] != product.quantity:
            result = "conflict"
        elif "if_version" in row and row["if_version"] != self._versions.of(product):
            result = "conflict"
        else:
            self._shop.set_quantity(product.number, wanted, by="api")
        shown = product.quantity if product.tracked else None
        return {"article": name, "result": result, "available": shown, "version": self._versions.of(product)}

    def _set_storefront(self, body: Any) -> Response:
        wanted = body.get("open") if isinstance(body, dict) else None
        if not isinstance(wanted, bool):
            raise _Refused(400, "invalid_body", "open must be true or false.")
        self._shop.closed = not wanted
        return JSONResponse({"open": wanted})

    def _product(self, name: str) -> Product | None:
        try:
            number = number_of(name) if name.startswith("ART/") and len(name) < 24 else 0
        except ShopError:
            return None
        return self._shop.products.get(number)


async def _json_of(request: Request) -> Any:
    try:
        return await request.json()
    except (ValueError, RecursionError):
        return None


def _is_quantity(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(f"after {place}".encode()).decode()


def _cursor_of(query: Mapping[str, str]) -> int:
    given = query.get("cursor")
    if given is None:
        return 0
    try:
        text = base64.b64decode(given, altchars=b"-_", validate=True).decode("ascii")
        return int(text.removeprefix("after "))
    except (ValueError, UnicodeDecodeError):
        raise _Refused(400, "invalid_cursor", "The cursor is not one of ours.") from None


def _limit_of(query: Mapping[str, str]) -> int:
    text = query.get("limit", "50")
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    if not 1 <= limit <= LARGEST_PAGE:
        raise _Refused(400, "invalid_limit", f"limit is from 1 to {LARGEST_PAGE}.")
    return limit


def _too_fast() -> Response:
    answer = {"code": "too_many_requests", "detail": "Please slow down."}
    return JSONResponse(answer, status_code=429, headers={"X-Portal-Retry-In-Ms": str(RETRY_MS)})
