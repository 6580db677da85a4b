"""A shop that asks, from the shopper to the ledger: shoppers at once, the API, the order that takes its hold over."""

from concurrent.futures import ThreadPoolExecutor

import httpx
from ledger_stage import assert_sound, balances, business, lines, rows
from reservation_stage import TOKENS, real_clock, served
from sqlalchemy import Engine

from adapters.sandbox.server import app_for, serve
from adapters.sandbox.shop import Shop


def test_shoppers_of_a_shop_that_asks_get_what_there_is(engine: Engine) -> None:
    shop = Shop()
    with serve(app_for("woocommerce", shop, "key:secret")) as store, served(engine, real_clock) as api:
        client = httpx.Client(base_url=store, trust_env=False, timeout=30)
        [product] = client.post("/sandbox/products", json=[{"sku": "CUP", "quantity": 50}]).json()
        # The shop shows far more than there is: what it shows is no promise.
        business(engine, stock_at={"CUP": {"main": 7}}, packs={product["listing_ref"]: ("CUP", 1)})
        setting = {"url": api, "token": TOKENS["web"], "ttl_seconds": 60}
        assert client.put("/sandbox/ask", json=setting).json() == {"on": True}
        with ThreadPoolExecutor(8) as pool:
            body = {"lines": [{"sku": "CUP", "quantity": 2}]}
            receipts = list(pool.map(lambda _: client.post("/sandbox/checkout", json=body).json(), range(12)))
        sold = sum(line["quantity"] for receipt in receipts for line in receipt["accepted"])
        assert sold == 7
        assert all(receipt["asked_ms"] > 0 for receipt in receipts)
        state = client.get("/sandbox/state").json()
        assert {name: state["asking"][name] for name in ("asked", "held", "refused", "committed")} == {
            "asked": 12, "held": 4, "refused": 8, "committed": 4,
        }  # fmt: skip
        committed = rows(engine, "SELECT substr(holder, 10), order_id FROM reservation WHERE status = 'live'")
        assert dict(committed) == {order["hold"]: order["order_id"] for order in state["orders"]}
        assert client.put("/sandbox/ask", json={"url": None}).json() == {"on": False}
        assert client.post("/sandbox/checkout", json=body).json()["asked_ms"] is None
        client.close()
    assert balances(engine, "CUP") == {"main reserved": 7}
    assert sum(held for held, _ in lines(engine).values()) == 7
    assert_sound(engine)


def test_nonsense_is_told(engine: Engine) -> None:
    with serve(app_for("woocommerce", Shop(), "key:secret")) as store:
        answer = httpx.put(f"{store}/sandbox/ask", json={"url": "http://127.0.0.1:9"}, timeout=60, trust_env=False)
        assert answer.status_code == 400
        assert httpx.get(f"{store}/sandbox/state", timeout=60, trust_env=False).json()["asking"] is None
