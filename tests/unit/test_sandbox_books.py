"""An imitated shop that is killed comes back with what it had told."""

import asyncio
from pathlib import Path

import httpx
from starlette.applications import Starlette

from adapters.sandbox.books import Books, Kept
from adapters.sandbox.control import control_routes
from adapters.sandbox.shop import Shop


def ask(shop: Shop, file: Path, method: str, path: str, body: object) -> httpx.Response:
    app = Kept(Starlette(routes=control_routes(shop)), Books(shop, file))

    async def once() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.test") as client:
            return await client.request(method, path, json=body)

    return asyncio.run(once())


def test_what_was_told_is_there_after_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "shop.books"
    shop = Shop()
    ask(shop, file, "POST", "/sandbox/products", [{"sku": "A", "quantity": 5}])
    sold = ask(shop, file, "POST", "/sandbox/checkout", {"lines": [{"sku": "A", "quantity": 2}]}).json()
    shop.checkout([("A", 1)])  # nobody was told, and the process is killed

    heir = Shop()
    state = ask(heir, file, "GET", "/sandbox/state", None).json()
    assert [order["order_id"] for order in state["orders"]] == [sold["order_id"]]
    assert state["products"][0]["quantity"] == 3
    again = ask(heir, file, "POST", "/sandbox/checkout", {"lines": [{"sku": "A", "quantity": 9}]}).json()
    assert again["accepted"][0]["quantity"] == 3
    assert again["order_id"] != sold["order_id"]
    assert heir.product("A").quantity == heir.products[heir.product("A").number].quantity == 0


def test_a_draft_that_a_kill_left_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "shop.books"
    ask(Shop(), file, "POST", "/sandbox/products", [{"sku": "A", "quantity": 5}])
    before = file.read_bytes()
    file.with_suffix(".new").write_bytes(b"half of")
    ask(Shop(), file, "GET", "/sandbox/state", None)
    assert file.read_bytes() == before
