"""A BigCommerce store, imitated: orders v2, refunds, inventory and catalogue v3 on the real wire format, stateful.

Its habits: an adjustment is taken as a whole or not at all, and is applied a moment later; what is counted for the
product is refused for the variant; safety stock is never shown; the lists of version 2 have pages by number only,
dates of whole seconds, and no body where they are empty; all calls share one allowance in 30 seconds, and a 429 says
only in milliseconds how long it lasts.

Beside the common `/sandbox/…` endpoints: PUT /sandbox/habits {name: value}, POST /sandbox/status {order_id, status_id}.
"""

import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.sandbox.bigcommerce.bigcommerce_documents import (
    Document,
    error_document,
    item_document,
    order_document,
    product_document,
    product_lines,
    refund_documents,
)
from adapters.sandbox.bigcommerce.bigcommerce_state import ELSEWHERE, LOCATION, Habits, Store
from adapters.sandbox.bigcommerce.bigcommerce_webhooks import MANNER, WebhookMessages
from adapters.sandbox.control import control_routes, under_faults
from adapters.sandbox.deliveries import Deliveries
from adapters.sandbox.faults import Operation
from adapters.sandbox.shop import Naming, Order, Shop, ShopError, number_of

STORE_HASH = "store_hash"
PROBLEM = "application/problem+json"
MOST_ADJUSTMENTS = 2000
MOST_PRODUCTS = 10
MOST_STOCK = 2_147_483_647
THROTTLED_S = 1.0
SORTS: dict[str, Callable[[Order], Any]] = {
    "id:asc": lambda order: order.number,
    "date_modified:asc": lambda order: (_second(order.updated_at), order.number),
}


def create_app(
    shop: Shop,
    *,
    access_token: str,
    store_hash: str = STORE_HASH,
    client_secret: str = "",
    habits: Habits | None = None,
) -> Starlette:
    """`client_secret`: that of the app, with which webhooks are signed; without one they are not."""
    store = Store(shop, habits or Habits())
    vendor = _Vendor(store, access_token, f"https://api.bigcommerce.com/stores/{store_hash}/v2")
    deliveries = Deliveries(shop, WebhookMessages(store_hash, shop.now, client_secret).build, MANNER)
    shop.naming = Naming(listing=store.listing)
    v2, v3 = f"/stores/{store_hash}/v2", f"/stores/{store_hash}/v3"
    routes = [
        Route(f"{v2}/orders", vendor.endpoint(Operation.ORDERS, vendor.list_orders, repeats=True)),
        Route(f"{v2}/orders/{{order:int}}", vendor.endpoint(Operation.ORDERS, vendor.one_order)),
        Route(f"{v2}/orders/{{order:int}}/products", vendor.endpoint(Operation.ORDERS, vendor.list_lines)),
        Route(f"{v3}/orders/payment_actions/refunds", vendor.endpoint(Operation.ORDERS, vendor.list_refunds)),
        Route(f"{v3}/inventory/items", vendor.endpoint(Operation.READ, vendor.list_items)),
        Route(f"{v3}/catalog/products", vendor.endpoint(Operation.READ, vendor.list_products), methods=["GET"]),
        Route(f"{v3}/catalog/products", vendor.endpoint(Operation.WRITE, vendor.update_products), methods=["PUT"]),
        Route(
            f"{v3}/inventory/adjustments/absolute",
            vendor.endpoint(Operation.WRITE, vendor.adjust),
            methods=["PUT"],
        ),
        Route("/sandbox/habits", vendor.set_habits, methods=["PUT"]),
        Route("/sandbox/status", vendor.set_status, methods=["POST"]),
        *control_routes(shop, deliveries),
    ]
    app = Starlette(routes=routes)
    app.state.deliveries = deliveries
    app.state.bigcommerce = store
    return app


def create_app_from_token(shop: Shop, token: str) -> Starlette:
    return create_app(shop, access_token=token)


class _Refused(Exception):
    def __init__(self, status: int, title: str, media: str = PROBLEM) -> None:
        super().__init__(title)
        self.answer = JSONResponse(error_document(status, title), status_code=status, media_type=media)


class _Vendor:
    def __init__(self, store: Store, access_token: str, base: str) -> None:
        self._store = store
        self._shop = store.shop
        self._token = access_token.encode()
        self._base = base
        self._last_page: Response | None = None
        self._transactions = 0

    def endpoint(
        self, operation: Operation, work: Callable[[Request, Any], Response], *, repeats: bool = False
    ) -> Callable[[Request], Any]:
        """`repeats`: a cache before it may give its last page again, whatever was asked for."""

        async def answer(request: Request) -> Response:
            given = request.headers.get("x-auth-token", "").encode()
            if not hmac.compare_digest(given, self._token):
                return _Refused(401, "Unauthorized").answer
            with self._shop.lock:
                allowed, headers = self._store.take_call()
            if not allowed:
                return _too_fast(headers)
            body = await _json_of(request) if request.method == "PUT" else None
            last = self._last_page

            def do() -> Response:
                try:
                    with self._shop.lock:
                        self._store.settle()
                        made = work(request, body)
                except _Refused as refused:
                    made = refused.answer
                if repeats:
                    self._last_page = made
                return made

            made = await under_faults(
                self._shop,
                operation,
                do,
                throttled=lambda: _too_fast(self._store.quota(0, THROTTLED_S)),
                repeated=(lambda: last) if repeats and last is not None else None,
            )
            made.headers.update({name: value for name, value in headers.items() if name not in made.headers})
            return made

        return answer

    async def set_habits(self, request: Request) -> Response:
        try:
            self._store.habits.set(await request.json())
        except (ShopError, ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({})

    async def set_status(self, request: Request) -> Response:
        body = await request.json()
        number = number_of(str(body["order_id"]))
        self._store.statuses[number] = int(body["status_id"])
        self._shop.touch(number)
        return JSONResponse({"status_id": body["status_id"]})

    def list_orders(self, request: Request, _: Any) -> Response:
        query = request.query_params
        sort = query.get("sort", "id:asc")
        if sort not in SORTS:
            raise _Refused(400, "The field 'sort' is invalid.")
        edge = timedelta(seconds=1 if self._store.habits.excludes_limits else 0)
        first, last = _date(query.get("min_date_modified")), _date(query.get("max_date_modified"))
        found = [
            order
            for order in self._shop.changed_since(None)
            if (first is None or _second(order.updated_at) >= first + edge)
            and (last is None or _second(order.updated_at) <= last - edge)
            and order.number >= int(query.get("min_id", 0))
        ]
        rows = _cut(request, sorted(found, key=SORTS[sort]), 50)
        return _v2([self._order(order, request) for order in rows])

    def one_order(self, request: Request, _: Any) -> Response:
        return JSONResponse(self._order(self._named(request), request))

    def list_lines(self, request: Request, _: Any) -> Response:
        return _v2(_cut(request, product_lines(self._named(request), self._store), 50))

    def list_refunds(self, request: Request, _: Any) -> Response:
        wanted = _numbers(request, "order_id:in")
        orders = [order for number, order in self._shop.orders.items() if wanted is None or number in wanted]
        refunds = [refund for order in orders for refund in refund_documents(order)]
        # This list has an empty `meta`.
        return JSONResponse({"data": _cut(request, sorted(refunds, key=lambda one: one["id"]), 50), "meta": {}})

    def list_items(self, request: Request, _: Any) -> Response:
        variants, products = _numbers(request, "variant_id:in"), _numbers(request, "product_id:in")
        asked = _numbers(request, "location_id:in")
        locations = [one for one in (LOCATION, ELSEWHERE) if asked is None or one in asked]
        found = []
        for product_id in self._store.product_ids():
            below = self._store.variants(product_id)
            # What is not counted is no inventory item; what is counted as a whole is one.
            counted = below[:1] if product_id in self._store.whole else below
            found += [
                item_document(product, self._store, locations)
                for product in counted
                if self._store.tracking(product_id) != "none"
                and (variants is None or product.number in variants)
                and (products is None or product_id in products)
            ]
        return _v3(request, found)

    def list_products(self, request: Request, _: Any) -> Response:
        query, wanted = request.query_params, _numbers(request, "id:in")
        after = int(query.get("id:greater", 0))
        found = [one for one in self._store.product_ids() if one > after and (wanted is None or one in wanted)]
        variants = "variants" in query.get("include", "").split(",")
        fields = {"id", "variants", *query.get("include_fields", "").split(",")}
        rows = [product_document(one, self._store, variants=variants) for one in found]
        if "include_fields" in query:
            rows = [{name: value for name, value in row.items() if name in fields} for row in rows]
        return _v3(request, rows)

    def update_products(self, request: Request, body: Any) -> Response:
        if not isinstance(body, list) or not 0 < len(body) <= MOST_PRODUCTS:
            raise _Refused(422, f"from 1 to {MOST_PRODUCTS} products")
        known = self._store.product_ids()
        for row in body:
            if row.get("id") not in known:
                raise _Refused(404, "one of the products is not there")
            if row.get("availability") not in ("available", "disabled", "preorder"):
                raise _Refused(422, "availability is invalid")
        for row in body:
            self._store.switch(row["id"], row["availability"])
        return JSONResponse(
            {"data": [product_document(row["id"], self._store, variants=False) for row in body], "meta": {}}
        )

    def adjust(self, request: Request, body: Any) -> Response:
        items = body.get("items") if isinstance(body, dict) else None
        if not isinstance(items, list) or not 0 < len(items) <= MOST_ADJUSTMENTS:
            raise _Refused(422, f"items: from 1 to {MOST_ADJUSTMENTS}")
        wanted = [self._adjustment(item) for item in items]
        for number, quantity in wanted:
            self._store.accept(number, quantity)
        self._transactions += 1
        return JSONResponse({"transaction_id": f"{self._transactions:032x}"})

    def _adjustment(self, item: Document) -> tuple[int, int]:
        quantity = item.get("quantity")
        if isinstance(quantity, bool) or not isinstance(quantity, int) or not 0 <= quantity <= MOST_STOCK:
            raise _Refused(422, "quantity is invalid")
        if item.get("location_id") != LOCATION:
            raise _Refused(422, "no such location")
        variant, product_id = item.get("variant_id"), item.get("product_id")
        if variant is not None:
            product_id = self._store.product_id(variant) if variant in self._shop.products else None
        if product_id not in self._store.product_ids():
            raise _Refused(422, f"[Item with {'variant' if variant else 'product'}_id is not there]")
        tracking = self._store.tracking(product_id)
        if tracking != ("variant" if variant is not None else "product"):
            raise _Refused(422, f"[Item is tracked by {tracking}, please update stock by {tracking} id]")
        return variant or self._store.variants(product_id)[0].number, quantity

    def _named(self, request: Request) -> Order:
        order = self._shop.orders.get(int(request.path_params["order"]))
        if order is None:
            raise _Refused(404, "The requested resource was not found.", media="application/json")
        return order

    def _order(self, order: Order, request: Request) -> Document:
        asked = "consignments.line_items" in request.query_params.get("include", "").split(",")
        return order_document(order, self._store, lines=asked, base=self._base)


async def _json_of(request: Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        return None


def _too_fast(headers: dict[str, str]) -> Response:
    return JSONResponse(error_document(429, "Too many requests"), status_code=429, headers=headers, media_type=PROBLEM)


def _v2(rows: list[Document]) -> Response:
    return JSONResponse(rows) if rows else Response(status_code=204)


def _v3(request: Request, rows: list[Document]) -> Response:
    page = _cut(request, rows, 50)
    limit = int(request.query_params.get("limit", 50))
    pagination = {
        "total": len(rows),
        "count": len(page),
        "per_page": limit,
        "current_page": int(request.query_params.get("page", 1)),
        "total_pages": -(-len(rows) // limit),
    }
    return JSONResponse({"data": page, "meta": {"pagination": pagination}})


def _cut(request: Request, rows: list[Any], usual: int) -> list[Any]:
    limit, page = int(request.query_params.get("limit", usual)), int(request.query_params.get("page", 1))
    if not 0 < limit <= 1000 or page < 1:
        raise _Refused(413, "The limit is too large.")
    return rows[(page - 1) * limit : page * limit]


def _numbers(request: Request, name: str) -> set[int] | None:
    text = request.query_params.get(name)
    return None if text is None else {int(part) for part in text.split(",")}


def _date(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)
