"""A WooCommerce shop, imitated: REST wc/v3 on the real wire format, stateful, with its own habits.

It takes its own number down when it sells; a quantity that is written is absolute, so an old one puts
sold units back; cancelling puts units back, refunding only when asked; rows of a batch fail singly
inside a 200; `status=any` hides the trash. It has no rate limit of its own: the host refuses (429).

Beside the common `/sandbox/…` endpoints: POST /sandbox/status {order_id, status} sets a status by hand.
"""

import base64
import binascii
import hmac
from collections.abc import Callable
from datetime import UTC, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.sandbox.control import control_routes, under_faults
from adapters.sandbox.deliveries import Deliveries
from adapters.sandbox.faults import Operation
from adapters.sandbox.shop import Naming, Order, Product, Shop, number_of
from adapters.sandbox.woocommerce.woocommerce_documents import (
    Catalogue,
    Document,
    Site,
    order_document,
    product_document,
    refund_documents,
    status_of,
    variable_document,
    variation_document,
)
from adapters.sandbox.woocommerce.woocommerce_query import (
    ORDER_KEYS,
    STATUSES,
    Refused,
    cut,
    included,
    invalid,
    select,
    since,
    sort_key,
    wanted_status,
    within,
)
from adapters.sandbox.woocommerce.woocommerce_webhooks import MANNER, PING, SOURCE, WebhookMessages
from adapters.sandbox.woocommerce.woocommerce_writes import write, wrong_value

API = "/wp-json/wc/v3"
LARGEST_BATCH = 100


def create_app(
    shop: Shop,
    *,
    consumer_key: str,
    consumer_secret: str,
    catalogue: Catalogue | None = None,
    site_offset: timedelta = timedelta(hours=1),
) -> Starlette:
    """`site_offset`: the site's own time less UTC, in which the dates without `_gmt` are."""
    vendor = _Vendor(shop, catalogue or Catalogue(), site_offset, f"{consumer_key}:{consumer_secret}")
    deliveries = Deliveries(shop, WebhookMessages(vendor.document, shop.now).build, MANNER, hello=PING)
    shop.naming = Naming(listing=vendor.catalogue.listing_ref)
    routes = [
        Route(f"{API}/orders", vendor.orders, methods=["GET"]),
        Route(f"{API}/orders/{{order:int}}/refunds", vendor.refunds, methods=["GET"]),
        Route(f"{API}/products", vendor.products, methods=["GET"]),
        Route(f"{API}/products/batch", vendor.write_products, methods=["POST"]),
        Route(f"{API}/products/{{parent:int}}/variations", vendor.variations, methods=["GET"]),
        Route(f"{API}/products/{{parent:int}}/variations/batch", vendor.write_variations, methods=["POST"]),
        Route("/sandbox/status", vendor.set_status, methods=["POST"]),
        *control_routes(shop, deliveries),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(_Dated, shop=shop)])
    app.state.deliveries = deliveries
    return app


def create_app_from_token(shop: Shop, token: str) -> Starlette:
    """`token` is `consumer_key:consumer_secret`."""
    key, _, secret = token.partition(":")
    return create_app(shop, consumer_key=key, consumer_secret=secret)


class _Dated:
    """Every answer carries the time of the shop's own clock, right or wrong."""

    def __init__(self, app: ASGIApp, shop: Shop) -> None:
        self._app = app
        self._shop = shop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(self._shop.now().astimezone(UTC), usegmt=True)
                message["headers"] = [*message.get("headers", []), (b"date", date.encode())]
            await send(message)

        await self._app(scope, receive, dated)


class _Vendor:
    def __init__(self, shop: Shop, catalogue: Catalogue, offset: timedelta, credential: str) -> None:
        self.catalogue = catalogue
        self._shop = shop
        self._offset = offset
        self._credential = credential.encode()
        self._statuses: dict[int, str] = {}
        self._last_page: tuple[str, Response] | None = None

    def document(self, order: Order) -> Document:
        """The order as the API shows it. Call with the shop's lock held."""
        site = Site(f"{SOURCE.rstrip('/')}{API}", self._offset)
        return order_document(order, status_of(order, self._statuses), self.catalogue, site)

    async def orders(self, request: Request) -> Response:
        previous = self._last_page[1] if self._last_page and self._last_page[0] == _list_of(request) else None
        return await self._answer(request, Operation.ORDERS, lambda: self._list_orders(request), previous)

    async def refunds(self, request: Request) -> Response:
        return await self._answer(request, Operation.ORDERS, lambda: self._list_refunds(request))

    async def products(self, request: Request) -> Response:
        return await self._answer(request, Operation.READ, lambda: self._list_products(request))

    async def variations(self, request: Request) -> Response:
        return await self._answer(request, Operation.READ, lambda: self._list_variations(request))

    async def write_products(self, request: Request) -> Response:
        body = await _json_of(request)
        return await self._answer(request, Operation.WRITE, lambda: self._write(body, self._product_row))

    async def write_variations(self, request: Request) -> Response:
        body = await _json_of(request)
        parent = int(request.path_params["parent"])
        return await self._answer(
            request, Operation.WRITE, lambda: self._write(body, partial(self._variation_row, parent))
        )

    async def set_status(self, request: Request) -> Response:
        body = await request.json()
        number = number_of(str(body["order_id"]))
        self._statuses[number] = str(body["status"])
        self._shop.touch(number)
        return JSONResponse({"status": body["status"]})

    async def _answer(
        self,
        request: Request,
        operation: Operation,
        answer: Callable[[], Response],
        previous: Response | None = None,
    ) -> Response:
        """`previous`: the page of the same list that a cache with a wrong key would give again."""
        if not self._knows(request):
            verb = "view" if request.method == "GET" else "batch"
            return Refused(401, f"woocommerce_rest_cannot_{verb}", "Sorry, you cannot list resources.").answer

        def work() -> Response:
            try:
                with self._shop.lock:
                    return answer()
            except Refused as refused:
                return refused.answer

        repeated = (lambda: previous) if previous else None
        return await under_faults(self._shop, operation, work, throttled=_host_refuses, repeated=repeated)

    def _knows(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        try:
            credential = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(credential, self._credential)

    def _site(self, request: Request) -> Site:
        return Site(f"{str(request.base_url).rstrip('/')}{API}", self._offset)

    def _list_orders(self, request: Request) -> Response:
        query = request.query_params
        if query.get("orderby", "date") not in ORDER_KEYS:
            raise invalid("orderby", f"orderby is not one of {', '.join(sorted(ORDER_KEYS))}.")
        statuses = set(query.get("status", "any").split(","))
        if not statuses <= {"any", *STATUSES}:
            raise invalid("status", "status[0] is not one of the known ones.")
        wanted = included(query)
        local = timedelta(0) if query.get("dates_are_gmt", "false") in ("true", "1") else self._offset
        found = [
            (order, status)
            for order in self._shop.changed_since(since(query, local))
            if (wanted is None or order.number in wanted)
            and within(query, "modified_", order.updated_at + local)
            and within(query, "", order.placed_at + local)
            and wanted_status(status := status_of(order, self._statuses), statuses)
        ]
        found.sort(key=sort_key(query.get("orderby", "date")), reverse=query.get("order", "desc") == "desc")
        site = self._site(request)
        page, headers = cut(request, found)
        rows = [order_document(order, status, self.catalogue, site) for order, status in page]
        answer = JSONResponse(select(rows, query), headers=headers)
        self._last_page = _list_of(request), answer
        return answer

    def _list_refunds(self, request: Request) -> Response:
        order = self._shop.orders.get(int(request.path_params["order"]))
        if order is None:
            raise Refused(404, "woocommerce_rest_order_invalid_id", "Invalid order ID.")
        page, headers = cut(request, refund_documents(order, self.catalogue, self._site(request)))
        return JSONResponse(select(page, request.query_params), headers=headers)

    def _list_products(self, request: Request) -> Response:
        wanted = included(request.query_params)
        numbers = [n for n in self._top_level() if wanted is None or n in wanted]
        page, headers = cut(request, _in_order(request, numbers))
        rows = [self._product(number, self._site(request)) for number in page]
        return JSONResponse(select(rows, request.query_params), headers=headers)

    def _list_variations(self, request: Request) -> Response:
        parent = int(request.path_params["parent"])
        if parent not in self._top_level():
            raise Refused(404, "woocommerce_rest_product_invalid_id", "Invalid ID.")
        wanted = included(request.query_params)
        known = {**self.catalogue.parents, **self.catalogue.shared}
        numbers = [n for n, above in known.items() if above == parent and (wanted is None or n in wanted)]
        page, headers = cut(request, _in_order(request, numbers))
        return JSONResponse(select([self._variation(n) for n in page], request.query_params), headers=headers)

    def _top_level(self) -> set[int]:
        simple = {number for number in self._shop.products if number not in self.catalogue.parents}
        return simple | set(self.catalogue.parents.values()) | set(self.catalogue.shared.values())

    def _product(self, number: int, site: Site) -> Document:
        product = self._shop.products.get(number)
        if product is None or number in self.catalogue.shared.values():
            return variable_document(number, product, self.catalogue)
        return product_document(product, self.catalogue, site, self._shop.now())

    def _variation(self, number: int) -> Document:
        shared = number in self.catalogue.shared
        product = self._shop.products[self.catalogue.shared.get(number, number)]
        return variation_document(number, product, self.catalogue, shared=shared)

    def _write(self, body: Any, write: Callable[[Document], Document]) -> Response:
        rows = body.get("update", []) if isinstance(body, dict) else None
        if not isinstance(rows, list):
            raise Refused(400, "rest_invalid_json", "Invalid JSON body passed.")
        if len(rows) > LARGEST_BATCH:
            message = f"Unable to accept more than {LARGEST_BATCH} items for this request."
            raise Refused(413, "woocommerce_rest_request_entity_too_large", message)
        return JSONResponse({"update": [write(row) for row in rows]})

    def _product_row(self, row: Document) -> Document:
        number = row.get("id")
        if not isinstance(number, int) or number not in self._top_level():
            return _failed_row(number, "woocommerce_rest_product_invalid_id", "Invalid ID.")
        return self._set(self._shop.products.get(number), row) or self._product(number, Site(API, self._offset))

    def _variation_row(self, parent: int, row: Document) -> Document:
        number = row.get("id")
        known = {**self.catalogue.parents, **self.catalogue.shared}
        if not isinstance(number, int) or known.get(number) != parent:
            return _failed_row(number, "woocommerce_rest_product_variation_invalid_id", "Invalid ID.")
        # A variation that shares its parent's stock has no counter of its own to set.
        own = None if number in self.catalogue.shared else self._shop.products.get(number)
        return self._set(own, row) or self._variation(number)

    def _set(self, product: Product | None, row: Document) -> Document | None:
        """Apply the row; an error row when a value in it is none."""
        if (wrong := wrong_value(row)) is not None:
            return _failed_row(row.get("id"), "rest_invalid_param", f"Invalid parameter(s): {wrong}")
        if product is not None:
            write(self._shop, self.catalogue, product, row)
        return None


async def _json_of(request: Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        return None


def _in_order(request: Request, numbers: list[int]) -> list[int]:
    """By id or by date, which is the same here; the newest first unless it is said otherwise."""
    return sorted(numbers, reverse=request.query_params.get("order", "desc") == "desc")


def _list_of(request: Request) -> str:
    """What is asked for, wherever in it the page begins."""
    return str(request.url.remove_query_params(["page", "offset"]))


def _host_refuses() -> Response:
    return HTMLResponse("<h1>Too Many Requests</h1>", status_code=429, headers={"Retry-After": "1"})


def _failed_row(number: Any, code: str, message: str) -> Document:
    return {"id": number, "error": {"code": code, "message": message, "data": {"status": 400}}}
