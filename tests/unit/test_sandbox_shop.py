"""The imitated shop itself: what its storefront sells, what its faults do, what its control endpoints say."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse

from adapters.sandbox.control import control_routes, under_faults
from adapters.sandbox.faults import Fault, FaultKind, FaultPlan, Operation
from adapters.sandbox.server import main, serve
from adapters.sandbox.shop import Shop, ShopError, number_of


@pytest.fixture
def shop() -> Shop:
    built = Shop(now=lambda: datetime(2026, 11, 20, tzinfo=UTC), monotonic=lambda: 0.0)
    built.add_product("A", "Thing", 5)
    return built


def test_sells_at_most_what_it_shows(shop: Shop) -> None:
    done = shop.checkout([("A", 3), ("A", 4), ("A", 1), ("nope", 1)])
    assert done.order is not None
    assert [line.quantity for line in done.order.lines] == [3, 2]
    assert done.refused == [("A", 2), ("A", 1), ("nope", 1)]
    assert (shop.product("A").quantity, shop.product("A").committed) == (0, 5)
    assert shop.checkout([("A", 1)]).order is None
    shop.set_quantity(shop.product("A").number, -2, by="somebody else")
    assert shop.checkout([("A", 1)]).order is None


def test_oversells_only_where_it_is_allowed(shop: Shop) -> None:
    shop.product("A").oversell_allowed = True
    order = shop.checkout([("A", 9)]).order
    assert order is not None
    assert shop.product("A").quantity == -4


def test_reverses_no_more_than_was_sold(shop: Shop) -> None:
    order = shop.checkout([("A", 4)]).order
    assert order is not None
    line = order.lines[0].number
    shop.cancel(order.number, [(line, 1)], restock=True)
    assert shop.product("A").quantity == 2
    for lines in ([(line, 4)], [(line, 2), (line, 2)], [(line, 0)], [(7, 1)]):
        with pytest.raises(ShopError):
            shop.cancel(order.number, lines)
    shop.cancel(order.number, restock=False, reason="inventory")
    assert (shop.product("A").quantity, shop.product("A").committed) == (2, 0)
    assert order.cancelled_at is not None
    with pytest.raises(ShopError):
        shop.cancel(99)


def test_ids_end_in_their_number() -> None:
    assert (number_of("gid://shopify/Order/17"), number_of("17")) == (17, 17)
    for nonsense in ("", "gid://shopify/Order/", "-3", "x17x"):
        with pytest.raises(ShopError):
            number_of(nonsense)


def test_a_plan_of_faults_is_repeatable_bounded_and_timed() -> None:
    at = [0.0]
    plans = [FaultPlan([Fault(FaultKind.SLOW, probability=0.5)], seed=7, now=lambda: at[0]) for _ in range(2)]
    struck = [[plan.draw(Operation.READ) is not None for _ in range(200)] for plan in plans]
    assert struck[0] == struck[1]
    assert 60 < sum(struck[0]) < 140
    assert plans[0].counts["slow"] == sum(struck[0])

    plan = plans[0]
    plan.replace([Fault(FaultKind.HTML, Operation.WRITE, times=2, from_s=10, until_s=20), Fault(FaultKind.LATE)])
    assert plan.draw(Operation.WRITE) is None
    at[0] = 15.0
    drawn = [plan.draw(operation) for operation in (Operation.READ, *[Operation.WRITE] * 3)]
    assert [fault.kind if fault else None for fault in drawn] == [None, FaultKind.HTML, FaultKind.HTML, None]
    assert plan.lateness() == 5.0
    at[0] = 20.0
    assert plan.draw(Operation.WRITE) is None


@pytest.mark.parametrize("raw", [{}, {"kind": "x"}, {"kind": "html", "probability": 2}, {"kind": "html", "colour": 1}])
def test_nonsense_makes_no_fault(raw: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        Fault.from_dict(raw)


def test_control_endpoints(shop: Shop) -> None:
    async def vendor(request: Any) -> Any:
        answer = JSONResponse({"answer": "of the vendor"})
        return await under_faults(shop, Operation.READ, lambda: answer, throttled=lambda: JSONResponse({}, 429))

    app = Starlette(routes=control_routes(shop))
    app.add_route("/vendor", vendor)
    with serve(app) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        (made,) = client.post("/sandbox/products", json=[{"sku": "B", "title": "Other", "quantity": 2}]).json()
        bought = client.post("/sandbox/checkout", json={"lines": [{"sku": "B", "quantity": 3}]}).json()
        assert bought["refused"] == [{"sku": "B", "quantity": 1}]
        (line,) = bought["accepted"]
        none = client.post("/sandbox/checkout", json={"lines": [{"sku": "B", "quantity": 1}]}).json()
        assert (none["order_id"], none["accepted"]) == (None, [])
        lines = [{"line_id": line["line_id"], "quantity": 1}]
        cancel = {"order_id": bought["order_id"], "lines": lines, "restock": True, "reason": "customer"}
        assert client.post("/sandbox/cancel", json=cancel).json() == {"reversed": 1}
        assert client.put("/sandbox/quantity", json={"sku": "A", "quantity": 77}).json()["quantity"] == 77
        assert client.put("/sandbox/faults", json=[{"kind": "throttle", "times": 1}]).json() == {"faults": 1}
        assert [client.get("/vendor").status_code for _ in range(2)] == [429, 200]
        state = client.get("/sandbox/state").json()
        assert {product["sku"]: product["quantity"] for product in state["products"]} == {"A": 77, "B": 1}
        assert made["listing_ref"] in [product["listing_ref"] for product in state["products"]]
        (order,) = state["orders"]
        assert order["lines"] == [{"line_id": line["line_id"], "sku": "B", "quantity": 2, "reversed": 1}]
        assert (state["calls"], state["faults"]) == ({"read": 2}, {"throttle": 1})
        for method, path, body in (
            ("POST", "/sandbox/products", [{"sku": "B", "quantity": 2}]),
            ("POST", "/sandbox/checkout", {"lines": [{"sku": "B", "quantity": -1}]}),
            ("POST", "/sandbox/cancel", {"order_id": "x"}),
            ("PUT", "/sandbox/faults", [{"kind": "?"}]),
            ("PUT", "/sandbox/quantity", {"sku": "?", "quantity": 1}),
        ):
            assert client.request(method, path, json=body).status_code == 400


def test_a_process_without_a_credential_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shopify", "--port", "8101", "--token-env", "ONHAND_NO_SUCH_VARIABLE"]) == 2
    assert "ONHAND_NO_SUCH_VARIABLE" in capsys.readouterr().err
