"""An eBay seller's account, imitated: the Sell APIs on the real wire format, stateful, with eBay's own habits.

It takes both levels of its numbers down when it sells; a quantity that is written is absolute, so an old one
puts sold units back; rows of a bulk call fail singly inside a 207; a listing is revised 250 times a day at
most; without the out-of-stock control a zero ends the listing; getOrders leaves the cancellation requests
out; a 429 says nothing of when; a token ends after two hours.

Notifications are off until `PUT /sandbox/webhooks` names a receiver.
"""

import json
from collections.abc import Callable
from datetime import UTC, timedelta
from email.utils import format_datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.sandbox.control import control_routes, under_faults
from adapters.sandbox.deliveries import Deliveries
from adapters.sandbox.ebay.ebay_documents import item_document, offer_document, order_document, order_id, stamp
from adapters.sandbox.ebay.ebay_identity import Identity, Kind, bearer
from adapters.sandbox.ebay.ebay_queries import cut_orders, page_of, requests_of
from adapters.sandbox.ebay.ebay_signing import MANNER, Signer, messages
from adapters.sandbox.ebay.ebay_stock import Document, Refusal, Stock
from adapters.sandbox.faults import Operation
from adapters.sandbox.shop import Naming, Order, Shop, ShopError, number_of

INVENTORY, ORDERS = "/sell/inventory/v1", "/sell/fulfillment/v1/order"
THROTTLED_FOR = timedelta(seconds=30)


def create_app(
    shop: Shop,
    *,
    client_id: str,
    client_secret: str,
    refresh_token: str,
    out_of_stock_control: bool = True,
    one_sku_a_call: bool = False,
    newest_first: bool = False,
    locations: tuple[str, ...] = (),
) -> Starlette:
    """`one_sku_a_call`: as one text of the vendor has it for bulk_update_price_quantity (another says 25).
    `newest_first`: the order of getOrders, which the vendor does not promise."""
    signer = Signer()
    stock = Stock(shop, out_of_stock_control=out_of_stock_control)
    identity = Identity(client_id, client_secret, refresh_token, shop.monotonic)
    vendor = _Vendor(shop, stock, identity, signer, one_sku_a_call, newest_first, locations)
    deliveries = Deliveries(shop, messages(shop, signer), MANNER)
    shop.naming = Naming(listing=lambda number: shop.products[number].sku, order=order_id)
    routes = [
        Route("/identity/v1/oauth2/token", identity.token, methods=["POST"]),
        Route(ORDERS, vendor.orders, methods=["GET"]),
        Route(f"{ORDERS}/{{order_id}}", vendor.order, methods=["GET"]),
        Route(f"{INVENTORY}/inventory_item", vendor.items, methods=["GET"]),
        Route(f"{INVENTORY}/bulk_get_inventory_item", vendor.bulk_get, methods=["POST"]),
        Route(f"{INVENTORY}/offer", vendor.offers, methods=["GET"]),
        Route(f"{INVENTORY}/bulk_update_price_quantity", vendor.bulk_update, methods=["POST"]),
        Route("/commerce/notification/v1/public_key/{kid}", vendor.public_key, methods=["GET"]),
        Route("/developer/analytics/v1_beta/rate_limit/", vendor.rate_limit, methods=["GET"]),
        Route("/ws/api.dll", vendor.trading, methods=["POST"]),
        # A refund of some units is money only: eBay neither tells the units nor puts them back.
        *control_routes(shop, deliveries, whole_orders=True),
    ]
    app = Starlette(routes=routes)
    app.state.deliveries, app.state.stock, app.state.identity, app.state.signer = deliveries, stock, identity, signer
    return app


def create_app_from_token(shop: Shop, token: str) -> Starlette:
    """`token` is `client_id:client_secret`; the refresh token that is asked for is the client secret too."""
    client_id, _, client_secret = token.partition(":")
    return create_app(shop, client_id=client_id, client_secret=client_secret, refresh_token=client_secret)


class _Vendor:
    def __init__(
        self,
        shop: Shop,
        stock: Stock,
        identity: Identity,
        signer: Signer,
        one_sku_a_call: bool,
        newest_first: bool,
        locations: tuple[str, ...],
    ) -> None:
        self._shop, self._stock, self._identity, self._signer = shop, stock, identity, signer
        self._one_sku_a_call, self._newest_first, self._locations = one_sku_a_call, newest_first, locations
        self._last_page: tuple[str, Response] | None = None
        self._throttled_until = shop.now() - THROTTLED_FOR

    async def orders(self, request: Request) -> Response:
        listed = str(request.url.remove_query_params(["offset"]))
        previous = self._last_page[1] if self._last_page and self._last_page[0] == listed else None
        return await self._answer(request, Operation.ORDERS, lambda: self._list_orders(request, listed), previous)

    async def order(self, request: Request) -> Response:
        return await self._answer(request, Operation.ORDERS, lambda: self._one_order(request.path_params["order_id"]))

    async def items(self, request: Request) -> Response:
        return await self._answer(request, Operation.READ, lambda: self._list_items(request))

    async def bulk_get(self, request: Request) -> Response:
        body = await _json_of(request)
        return await self._answer(request, Operation.READ, lambda: self._bulk(body, self._read_row))

    async def offers(self, request: Request) -> Response:
        return await self._answer(request, Operation.READ, lambda: self._list_offers(request))

    async def bulk_update(self, request: Request) -> Response:
        body = await _json_of(request)
        return await self._answer(request, Operation.WRITE, lambda: self._update(body))

    async def public_key(self, request: Request) -> Response:
        def answer() -> Response:
            key = self._signer.public_key(request.path_params["kid"])
            if key is None:
                raise Refusal(404, 195001, "The specified key id is invalid.")
            return JSONResponse(key)

        return await self._answer(request, Operation.ANY, answer, kinds=("application",))

    async def rate_limit(self, request: Request) -> Response:
        kinds: tuple[Kind, ...] = ("application", "user")
        return await self._answer(request, Operation.ANY, lambda: self._limits(request), kinds=kinds)

    async def trading(self, request: Request) -> Response:
        content = await request.body()
        known = self._identity.knows(request.headers.get("x-ebay-api-iaf-token", ""), "user")

        def answer() -> Response:
            name = request.headers.get("x-ebay-api-call-name", "")
            inside = "<Ack>Failure</Ack><Errors><ErrorCode>21917053</ErrorCode></Errors>"
            if known and name == "GetUserPreferences" and b"ShowOutOfStockControlPreference>true" in content:
                on = str(self._stock.out_of_stock_control).lower()
                inside = f"<Ack>Success</Ack><OutOfStockControlPreference>{on}</OutOfStockControlPreference>"
            elif known:
                inside = "<Ack>Failure</Ack><Errors><ErrorCode>2</ErrorCode></Errors>"
            text = (
                f'<?xml version="1.0" encoding="UTF-8"?><{name}Response xmlns="urn:ebay:apis:eBLBaseComponents">'
                f"<Timestamp>{stamp(self._shop.now())}</Timestamp>{inside}<Version>1395</Version></{name}Response>"
            )
            return Response(text, media_type="text/xml")

        return await under_faults(self._shop, Operation.READ, answer, throttled=self._throttled)

    async def _answer(
        self,
        request: Request,
        operation: Operation,
        answer: Callable[[], Response],
        previous: Response | None = None,
        kinds: tuple[Kind, ...] = ("user",),
    ) -> Response:
        """`previous`: the page of the same list that a cache with a wrong key would give again."""
        if not self._identity.knows(bearer(request), *kinds):
            error = {"errorId": 1001, "domain": "OAuth", "category": "REQUEST", "message": "Invalid access token"}
            return JSONResponse({"errors": [error]}, status_code=401)

        def work() -> Response:
            try:
                with self._shop.lock:
                    made = answer()
            except Refusal as refused:
                made = JSONResponse({"errors": [refused.error]}, status_code=refused.status)
            # By the shop's own clock, right or wrong.
            made.headers["date"] = format_datetime(self._shop.now().astimezone(UTC), usegmt=True)
            return made

        repeated = (lambda: previous) if previous else None
        return await under_faults(self._shop, operation, work, throttled=self._throttled, repeated=repeated)

    def _throttled(self) -> Response:
        self._throttled_until = self._shop.now() + THROTTLED_FOR
        error = {"errorId": 2001, "domain": "ACCESS", "category": "REQUEST", "message": "Too many requests."}
        return JSONResponse({"errors": [error]}, status_code=429)

    def _list_orders(self, request: Request, listed: str) -> Response:
        query = request.query_params
        if "orderIds" in query:
            ids = query["orderIds"].split(",")
            if len(ids) > 50:
                raise Refusal(400, 30900, "Exceeded maximum number of order IDs (the current limit is 50)")
            found = [order for one in ids if (order := self._visible(one)) is not None]
            rows = [order_document(order, self._stock, whole=False) for order in found]
            return JSONResponse({"total": len(rows), "limit": 50, "offset": 0, "orders": rows})
        body = cut_orders(request, self._shop, newest_first=self._newest_first)
        body["orders"] = [order_document(order, self._stock, whole=False) for order in body["orders"]]
        answer = JSONResponse(body)
        self._last_page = listed, answer
        return answer

    def _one_order(self, name: str) -> Response:
        order = self._visible(name)
        if order is None:
            raise Refusal(404, 32100, f"Invalid order ID: {name}")
        return JSONResponse(order_document(order, self._stock, whole=True))

    def _visible(self, name: str) -> Order | None:
        try:
            order = self._shop.orders.get(number_of(name))
        except ShopError:
            return None
        seen = order is not None and order.visible_from <= self._shop.monotonic() and order_id(order.number) == name
        return order if seen else None

    def _list_items(self, request: Request) -> Response:
        body, rows = page_of(request, list(self._shop.products.values()), largest=200, default=25)
        body["inventoryItems"] = [item_document(product, self._stock, self._locations) for product in rows]
        return JSONResponse(body)

    def _list_offers(self, request: Request) -> Response:
        try:
            product = self._stock.product(request.query_params.get("sku"))
        except Refusal:
            raise Refusal(404, 25713, "This Offer is not available.") from None
        body, _ = page_of(request, [product], largest=100, default=100)
        return JSONResponse({**body, "offers": [offer_document(product, self._stock)]})

    def _bulk(self, body: Any, row: Callable[[Document], Document]) -> Response:
        rows = [row(one) for one in requests_of(body)]
        whole = all(one["statusCode"] == 200 for one in rows)
        return JSONResponse({"responses": rows}, status_code=200 if whole else 207)

    def _read_row(self, asked: Document) -> Document:
        try:
            item = item_document(self._stock.product(asked.get("sku")), self._stock, self._locations)
        except Refusal as refused:
            return {"sku": str(asked.get("sku")), "statusCode": refused.status, "errors": [refused.error]}
        return {"sku": item["sku"], "statusCode": 200, "inventoryItem": item, "errors": [], "warnings": []}

    def _update(self, body: Any) -> Response:
        if self._one_sku_a_call and len({one.get("sku") for one in requests_of(body)}) > 1:
            raise Refusal(400, 25709, "Invalid value for requests.", fieldName="requests")
        return self._bulk(body, self._update_row)

    def _update_row(self, asked: Document) -> Document:
        offers = asked.get("offers") or [{}]
        row: Document = {"sku": str(asked.get("sku"))}
        if offers[0].get("offerId"):
            row["offerId"] = str(offers[0]["offerId"])
        try:
            product = self._stock.product(asked.get("sku"))
            if offers[0].get("offerId") not in (None, self._stock.offer_id(product)):
                raise Refusal(404, 25713, "This Offer is not available.")
            stock = asked.get("shipToLocationAvailability") or {}
            self._stock.set_levels(product, stock.get("quantity"), offers[0].get("availableQuantity"))
        except Refusal as refused:
            return {**row, "statusCode": refused.status, "errors": [refused.error], "warnings": []}
        return {**row, "statusCode": 200, "errors": [], "warnings": []}

    def _limits(self, request: Request) -> Response:
        now, name = self._shop.now(), request.query_params.get("api_name", "inventory")
        spent = now < self._throttled_until
        reset = self._throttled_until if spent else now + timedelta(days=1)
        rate = {
            "count": 0,
            "limit": 100000,
            "remaining": 0 if spent else 90000,
            "reset": stamp(reset),
            "timeWindow": 86400,
        }
        resources = [{"name": f"sell.{name}", "rates": [rate]}]
        area = request.query_params.get("api_context", "sell")
        limits = [{"apiContext": area, "apiName": name, "apiVersion": "v1", "resources": resources}]
        return JSONResponse({"rateLimits": limits})


async def _json_of(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        return None
