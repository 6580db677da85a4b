"""The whole way: imitated shops send webhooks with every fault, and what they sold comes into the ledger."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
from pydantic import SecretStr
from shops import Stage, two_shops
from sqlalchemy import Engine, text

from adapters.channels.shopify.shopify_webhooks import ShopifyWebhooks
from adapters.channels.woocommerce.woocommerce_webhooks import WooCommerceWebhooks
from adapters.wakeups import PUBLISH, Wakeups
from expectations import gate
from inventory.ledger import rebuilding
from onhand.services.intake import create_app
from onhand.services.serve import serving
from tasks.publishing.publish import publish
from tasks.selling.listen import listening
from tasks.selling.pull import pull

SECRET = "a secret that is only between these two"
SKUS = [f"S{number}" for number in range(6)]


@contextmanager
def working(stage: Stage) -> Iterator[None]:
    """A pull shift for each shop that never polls, and a publisher that has no beat: both live on wake-ups."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def shift(code: str) -> None:
        with listening(stage.runtime, code) as listener:
            while not stop.is_set():
                listener.attend(0.5)

    def publisher() -> None:
        with Wakeups(stage.runtime.engine, [PUBLISH]) as wakeups:
            while not stop.is_set():
                if wakeups.wait(0.5):
                    while publish(stage.runtime).sent:
                        pass

    def guarded(work: Any, *arguments: str) -> None:
        try:
            work(*arguments)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(shift, code)) for code in stage.shops]
    threads.append(threading.Thread(target=guarded, args=(publisher,)))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(90)
    assert errors == []


@contextmanager
def told(stage: Stage, engine: Engine, **faults: float) -> Iterator[None]:
    """Both shops send their webhooks to an intake."""
    secrets = [SecretStr("an old one"), SecretStr(SECRET)]
    receivers = {"shopify": ShopifyWebhooks(secrets), "website": WooCommerceWebhooks(secrets)}
    with ExitStack() as stack:
        intake = stack.enter_context(serving(create_app(engine, receivers)))  # type: ignore[arg-type]
        for code, url in stage.urls.items():
            settings = {"url": f"{intake}/webhooks/{code}", "secret": SECRET, **faults}
            httpx.put(f"{url}/sandbox/webhooks", json=settings, timeout=60, trust_env=False).raise_for_status()
            off = {"url": None}
            stack.callback(httpx.put, f"{url}/sandbox/webhooks", json=off, trust_env=False)
        yield


def orders_in(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM reservation")).scalar_one())


def until(condition: Any, seconds: float = 90) -> bool:
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(found)


def ready(stage: Stage) -> None:
    gate.load()
    for code in stage.shops:
        pull(stage.runtime, code)
    while publish(stage.runtime).sent:
        pass


def test_a_sale_is_off_the_other_channel_without_a_poll(engine: Engine) -> None:
    with two_shops(engine, {"A": 2}) as stage:
        ready(stage)
        with told(stage, engine), working(stage):
            assert {code: shop.product("A").quantity for code, shop in stage.shops.items()} == {
                "shopify": 1,
                "website": 1,
            }
            stage.shops["shopify"].checkout([("A", 1)])
            began = time.monotonic()
            assert until(lambda: orders_in(engine) == 1)
            print(f"in the ledger after {time.monotonic() - began:.2f} s")
            stage.shops["website"].checkout([("A", 1)])
            assert until(lambda: orders_in(engine) == 2)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT sum(held) FROM reservation_line")).scalar_one() == 2


def test_with_every_fault_nothing_is_lost_and_nothing_twice(engine: Engine) -> None:
    """What a webhook never told of, polling finds."""
    faults = {"twice": 0.3, "shuffled": 0.5, "forged": 0.2, "truncated": 0.2, "lost": 0.1, "seed": 4}
    with two_shops(engine, dict.fromkeys(SKUS, 40)) as stage:
        ready(stage)
        with told(stage, engine, **faults), working(stage):
            sold = 0
            for number in range(60):
                shop = list(stage.shops.values())[number % 2]
                order = shop.checkout([(SKUS[number % len(SKUS)], 1)])
                sold += order is not None
                time.sleep(0.02)
            until(lambda: orders_in(engine) >= 0.75 * sold)
            by_notice = orders_in(engine)
            states = [
                httpx.get(f"{url}/sandbox/state", timeout=60, trust_env=False).json() for url in stage.urls.values()
            ]
        for code in stage.shops:
            pull(stage.runtime, code)
        sent = [state["webhooks"] for state in states]
        print(by_notice, sold, sent)
        assert orders_in(engine) == sum(len(shop.orders) for shop in stage.shops.values())
        assert by_notice >= 0.6 * sold, "webhooks told of most"
        assert not any(counts.get("forged_accepted") for counts in sent)
    with engine.connect() as connection:
        assert rebuilding.compare(connection) == []
        outcomes = dict(connection.execute(text("SELECT outcome, sum(times)::int FROM intake_count GROUP BY 1")).all())
        assert connection.execute(text("SELECT count(*) FROM reservation_line WHERE oversold > 0")).scalar_one() == 0
        columns = connection.execute(text("SELECT string_agg(notice::text, ' ') FROM notice")).scalar_one()
    assert outcomes["forged"] > 0
    for shop in stage.shops.values():
        for order in shop.orders.values():
            assert order.buyer.name not in columns and order.buyer.email not in columns
