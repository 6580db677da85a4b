"""What every sandbox app shares: faults applied to a call, and the endpoints for shoppers and tests.

The control endpoints are not the vendor's and need no token: a sandbox listens on loopback only.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from adapters.sandbox.asking import Asking
from adapters.sandbox.deliveries import Deliveries
from adapters.sandbox.faults import Fault, FaultKind, Operation
from adapters.sandbox.shop import Checkout, Order, Shop, ShopError, number_of

MAINTENANCE = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body>We will be back.</body></html>"


async def under_faults(
    shop: Shop,
    operation: Operation,
    answer: Callable[[], Response],
    *,
    throttled: Callable[[], Response],
    repeated: Callable[[], Response] | None = None,
) -> Response:
    """Answer one API call as the shop's plan has it. Counts the call.

    `answer` does the work and builds the vendor's answer; `throttled` is the vendor's way to say "too
    fast"; `repeated` is the previous page once more (without one, REPEAT is an ordinary answer).
    """
    shop.count(operation)
    fault = shop.faults.draw(operation)
    if fault is None:
        return answer()
    match fault.kind:
        case FaultKind.THROTTLE:
            return throttled()
        case FaultKind.ERROR_BEFORE:
            return _error(500)
        case FaultKind.ERROR_AFTER:
            answer()
            return _error(502)
        case FaultKind.TIMEOUT_BEFORE:
            return await _hang(fault)
        case FaultKind.TIMEOUT_AFTER:
            answer()
            return await _hang(fault)
        case FaultKind.MALFORMED:
            body = bytes(answer().body)
            return Response(body[: max(1, len(body) * 2 // 3)], media_type="application/json")
        case FaultKind.HTML:
            return HTMLResponse(MAINTENANCE)
        case FaultKind.REPEAT:
            return repeated() if repeated else answer()
        case _:
            await asyncio.sleep(fault.delay_s)
            return answer()


async def _hang(fault: Fault) -> Response:
    await asyncio.sleep(fault.delay_s)
    return _error(504)


def _error(status: int) -> Response:
    return HTMLResponse(MAINTENANCE, status_code=status)


def control_routes(shop: Shop, deliveries: Deliveries | None = None, *, whole_orders: bool = False) -> list[Route]:
    """The `/sandbox/…` endpoints; mount them beside the vendor's API. Nonsense is answered 400.

    `deliveries`: the vendor's webhooks, for those that have some. `whole_orders`: only whole orders are cancelled,
    as where the vendor tells of no units otherwise.
    """
    control = _Control(shop, deliveries, whole_orders)
    return [
        Route("/sandbox/products", control.products, methods=["POST"]),
        Route("/sandbox/checkout", control.checkout, methods=["POST"]),
        Route("/sandbox/cancel", control.cancel, methods=["POST"]),
        Route("/sandbox/quantity", control.quantity, methods=["PUT"]),
        Route("/sandbox/faults", control.faults, methods=["PUT"]),
        Route("/sandbox/webhooks", control.webhooks, methods=["PUT"]),
        Route("/sandbox/ask", control.ask, methods=["PUT"]),
        Route("/sandbox/state", control.state, methods=["GET"]),
    ]


class _Control:
    def __init__(self, shop: Shop, deliveries: Deliveries | None, whole_orders: bool) -> None:
        self._shop = shop
        self._deliveries = deliveries
        self._whole_orders = whole_orders

    async def products(self, request: Request) -> Response:
        return await self._do(request, self._add_products)

    async def checkout(self, request: Request) -> Response:
        return await self._do(request, self._check_out, waits=self._shop.ask is not None)

    async def cancel(self, request: Request) -> Response:
        return await self._do(request, self._cancel)

    async def quantity(self, request: Request) -> Response:
        return await self._do(request, self._set_quantity)

    async def faults(self, request: Request) -> Response:
        return await self._do(request, self._set_faults)

    async def webhooks(self, request: Request) -> Response:
        return await self._do(request, self._set_webhooks)

    async def ask(self, request: Request) -> Response:
        return await self._do(request, self._set_ask)

    async def state(self, request: Request) -> Response:
        sent = self._deliveries.counts() if self._deliveries else {}
        return JSONResponse({**state_of(self._shop), "webhooks": sent})

    async def _do(self, request: Request, action: Callable[[Any], Any], *, waits: bool = False) -> Response:
        """`waits`: the action takes its time, so it has a thread of its own."""
        try:
            body = await request.json()
            return JSONResponse(await asyncio.to_thread(action, body) if waits else action(body))
        except (ShopError, ValueError, TypeError, KeyError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=400)

    def _add_products(self, rows: Sequence[dict[str, Any]]) -> Any:
        named = self._shop.naming.listing
        made = [self._shop.add_product(row["sku"], row.get("title", row["sku"]), int(row["quantity"])) for row in rows]
        return [{"sku": product.sku, "listing_ref": named(product.number)} for product in made]

    def _check_out(self, body: dict[str, Any]) -> Any:
        lines = [(line["sku"], int(line["quantity"])) for line in body["lines"]]
        return self._receipt(self._shop.checkout(lines, test=bool(body.get("test", False))))

    def _receipt(self, done: Checkout) -> Any:
        naming = self._shop.naming
        refused = [{"sku": sku, "quantity": quantity} for sku, quantity in done.refused]
        asked_ms = done.asked_ms and round(done.asked_ms, 2)
        if done.order is None:
            return {"order_id": None, "placed_at": None, "accepted": [], "refused": refused, "asked_ms": asked_ms}
        accepted = [
            {"sku": line.sku, "quantity": line.quantity, "line_id": naming.line(line.number)}
            for line in done.order.lines
        ]
        return {
            "order_id": naming.order(done.order.number),
            "placed_at": done.order.placed_at.isoformat(),
            "accepted": accepted,
            "refused": refused,
            "asked_ms": asked_ms,
        }

    def _cancel(self, body: dict[str, Any]) -> Any:
        lines = body.get("lines")
        if lines is not None and self._whole_orders:
            raise ShopError("here only whole orders are cancelled")
        made = self._shop.cancel(
            number_of(body["order_id"]),
            None if lines is None else [(number_of(line["line_id"]), int(line["quantity"])) for line in lines],
            restock=bool(body.get("restock", True)),
            reason=str(body.get("reason", "customer")),
            how=body.get("how"),
        )
        return {"reversed": sum(reversal.quantity for reversal in made)}

    def _set_quantity(self, body: dict[str, Any]) -> Any:
        product = self._shop.product(body["sku"])
        self._shop.set_quantity(product.number, int(body["quantity"]), by="somebody else")
        return {"sku": product.sku, "quantity": product.quantity}

    def _set_webhooks(self, body: dict[str, Any]) -> Any:
        if self._deliveries is None:
            raise ShopError("this vendor sends no webhooks")
        self._deliveries.configure(body)
        return {"on": body.get("url") is not None}

    def _set_ask(self, body: dict[str, Any]) -> Any:
        """{"url", "token", "ttl_seconds"} of a reservation API; {"url": null} turns it off."""
        before, self._shop.ask = self._shop.ask, None
        if before is not None:
            before.close()
        if body.get("url") is not None:
            ttl_seconds = int(body.get("ttl_seconds", 300))
            self._shop.ask = Asking(str(body["url"]), SecretStr(body["token"]), ttl_seconds=ttl_seconds)
        return {"on": self._shop.ask is not None}

    def _set_faults(self, rows: Sequence[dict[str, Any]]) -> Any:
        self._shop.faults.replace([Fault.from_dict(row) for row in rows])
        return {"faults": len(rows)}


def state_of(shop: Shop) -> dict[str, Any]:
    """All that an oracle asks: products, orders, calls, faults that struck. No personal data."""
    with shop.lock:
        return {
            "products": [
                {"sku": p.sku, "listing_ref": shop.naming.listing(p.number), "quantity": p.quantity}
                for p in shop.products.values()
            ],
            "orders": [_order_state(shop, order) for order in shop.orders.values()],
            "calls": dict(shop.calls),
            "faults": dict(shop.faults.counts),
            "asking": _asking_state(shop.ask),
        }


def _asking_state(asking: Asking | None) -> dict[str, Any] | None:
    if asking is None:
        return None
    return {**asking.counts, "milliseconds": [round(one, 2) for one in asking.milliseconds]}


def _order_state(shop: Shop, order: Order) -> dict[str, Any]:
    return {
        "order_id": shop.naming.order(order.number),
        "hold": order.hold,
        "placed_at": order.placed_at.isoformat(),
        "cancelled": order.cancelled_at is not None,
        "lines": [
            {
                "line_id": shop.naming.line(line.number),
                "sku": line.sku,
                "quantity": line.quantity,
                "reversed": line.reversed,
            }
            for line in order.lines
        ],
    }
