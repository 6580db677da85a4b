"""How the sandboxes send webhooks: at once, again where the vendor does, and with each fault by seed."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from adapters.sandbox.control import control_routes
from adapters.sandbox.deliveries import Deliveries, Manner, Message
from adapters.sandbox.server import serve
from adapters.sandbox.shop import Order, Shop

URL = "http://127.0.0.1:9/hooks/shop?x=1"
SHOPIFY_LIKE = Manner(retries=(0.001,) * 3, stops_after=1)
WOO_LIKE = Manner(stops_after=3, snapshot=False)


def sign(body: bytes, secret: str) -> dict[str, str]:
    return {"x-signature": hashlib.sha256(secret.encode() + body).hexdigest()}


def is_right(request: httpx.Request) -> bool:
    return request.headers["x-signature"] == sign(request.content, "s3cret")["x-signature"]


class Receiver:
    """Answers by `judge`; keeps what it was sent, and when."""

    def __init__(self, judge: Callable[[httpx.Request, int], int] = lambda request, number: 200) -> None:
        self.requests: list[httpx.Request] = []
        self.at: list[float] = []
        self._judge = judge
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.at.append(time.monotonic())
            self.requests.append(request)
            status = self._judge(request, len(self.requests))
        if status == 0:
            raise httpx.ConnectError("nobody is there")
        return httpx.Response(status)

    @property
    def bodies(self) -> list[str]:
        return [request.content.decode() for request in self.requests]


class Scene:
    def __init__(self) -> None:
        self.shop = Shop()
        self.shop.add_product("A", "Thing", 100_000)
        self.opened: list[Deliveries] = []

    def send(self, receiver: Receiver, manner: Manner = SHOPIFY_LIKE, **settings: Any) -> Deliveries:
        def build(order: Order, placed: bool) -> Message | None:
            reversed_units = sum(line.reversed for line in order.lines)
            if order.test:
                return None
            return Message({"content-type": "application/json"}, f"{order.number}:{reversed_units}".encode(), sign)

        made = Deliveries(self.shop, build, manner, transport=httpx.MockTransport(receiver))
        made.configure({"url": URL, "secret": "s3cret", **settings})
        self.opened.append(made)
        return made

    def buy(self, **how: Any) -> Order:
        order = self.shop.checkout([("A", 2)], **how).order
        assert order is not None
        return order


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    for deliveries in made.opened:
        deliveries.close()


def test_each_event_is_sent_once_signed_and_at_once(scene: Scene) -> None:
    receiver = Receiver()
    deliveries = scene.send(receiver)
    waits = []
    for _ in range(20):
        began = time.monotonic()
        scene.buy()
        assert deliveries.settle()
        waits.append(receiver.at[-1] - began)
    assert len(receiver.bodies) == len(set(receiver.bodies)) == 20
    assert all(is_right(request) for request in receiver.requests)
    assert {(request.method, str(request.url)) for request in receiver.requests} == {("POST", URL)}
    assert deliveries.counts() == {"events": 20, "sent": 20, "answered": 20}
    assert sorted(waits)[10] < 1


def test_a_shop_that_is_told_of_no_receiver_sends_nothing_and_starts_nothing(scene: Scene) -> None:
    before = threading.active_count()
    deliveries = Deliveries(scene.shop, lambda order, placed: Message({}, b""), SHOPIFY_LIKE)
    scene.buy()
    assert threading.active_count() == before
    assert deliveries.settle() and deliveries.counts() == {}
    receiver = Receiver()
    sending = scene.send(receiver)
    scene.buy(test=True)
    assert sending.settle() and sending.counts() == {"events": 1, "silent": 1}
    sending.configure({"url": None})
    scene.buy()
    assert receiver.requests == []


def test_refused_is_sent_again_word_for_word_until_it_is_taken(scene: Scene) -> None:
    receiver = Receiver(lambda request, number: [503, 0, 200][number - 1])
    deliveries = scene.send(receiver)
    scene.buy()
    assert deliveries.settle()
    assert len(set(receiver.bodies)) == 1
    assert deliveries.counts() == {"events": 1, "sent": 3, "refused": 1, "unreachable": 1, "answered": 1}


def test_who_never_takes_it_is_given_up(scene: Scene) -> None:
    receiver = Receiver(lambda request, number: 500)
    deliveries = scene.send(receiver)
    scene.buy()
    assert deliveries.settle() and deliveries.stopped
    assert len(receiver.requests) == 4
    scene.buy()
    assert deliveries.counts() == {"events": 1, "sent": 4, "refused": 4, "given_up": 1}
    deliveries.configure({"url": URL})
    assert not deliveries.stopped


def test_without_retries_only_failures_in_a_row_count(scene: Scene) -> None:
    receiver = Receiver(lambda request, number: 200 if number == 3 else 410)
    deliveries = scene.send(receiver, WOO_LIKE)
    for number in range(1, 7):
        scene.buy()
        assert deliveries.settle()
        assert deliveries.stopped is (number == 6)
    scene.buy()
    assert len(receiver.requests) == 6


@pytest.mark.parametrize(("manner", "told"), [(SHOPIFY_LIKE, "0"), (WOO_LIKE, "2")])
def test_a_late_message_tells_what_was_so_or_what_is_so(scene: Scene, manner: Manner, told: str) -> None:
    receiver = Receiver()
    deliveries = scene.send(receiver, manner, late=1.0, late_s=0.15)
    began = time.monotonic()
    with scene.shop.lock:
        order = scene.buy()
        order.lines[0].reversed = 2
    assert deliveries.settle()
    assert receiver.bodies == [f"{order.number}:{told}"]
    assert receiver.at[0] - began >= 0.15


def test_faults_strike_by_seed(scene: Scene) -> None:
    receiver = Receiver()
    deliveries = scene.send(receiver, lost=0.2, twice=0.3, shuffled=0.3, seed=7)
    orders = [scene.buy() for _ in range(200)]
    assert deliveries.settle()
    counts = deliveries.counts()
    assert 20 < counts["lost"] < 60 and 40 < counts["twice"] < 80 and counts["shuffled"] > 40
    numbers = [int(body.partition(":")[0]) for body in receiver.bodies]
    assert len(set(numbers)) == 200 - counts["lost"]
    assert set(numbers) < {order.number for order in orders}
    assert len(numbers) > len(set(numbers))
    assert numbers != sorted(numbers)
    again = Scene()
    other = again.send(Receiver(), lost=0.2, twice=0.3, shuffled=0.3, seed=7)
    for _ in range(200):
        again.buy()
    assert other.settle()
    assert {name: other.counts()[name] for name in ("lost", "twice", "shuffled")} == {
        name: counts[name] for name in ("lost", "twice", "shuffled")
    }
    other.close()


def test_forged_ones_come_on_top_and_are_signed_wrong(scene: Scene) -> None:
    receiver = Receiver(lambda request, number: 200 if is_right(request) else 401)
    deliveries = scene.send(receiver, forged=1.0)
    for _ in range(5):
        scene.buy()
    assert deliveries.settle()
    assert sorted(is_right(request) for request in receiver.requests) == [False] * 5 + [True] * 5
    assert deliveries.counts() == {"events": 5, "sent": 5, "answered": 5, "forged": 5}
    careless = scene.send(Receiver(), forged=1.0)
    scene.buy()
    assert careless.settle() and careless.counts()["forged_accepted"] == 1


def test_a_truncated_one_is_whole_when_it_comes_again(scene: Scene) -> None:
    receiver = Receiver(lambda request, number: 200 if is_right(request) else 401)
    deliveries = scene.send(receiver, truncated=1.0)
    order = scene.buy()
    assert deliveries.settle()
    assert [len(body) for body in receiver.bodies] == [3, 6]
    assert receiver.bodies[1] == f"{order.number}:0"
    assert deliveries.counts()["answered"] == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "https://example.com/hook"},
        {"url": "file:///etc/passwd"},
        {"url": URL, "lost": 1.5},
        {"url": URL, "late_s": -1},
        {"url": URL, "hurry": 0},
        {"url": URL, "lots": 1},
    ],
)
def test_nonsense_is_refused(scene: Scene, settings: dict[str, Any]) -> None:
    deliveries = Deliveries(scene.shop, lambda order, placed: None, SHOPIFY_LIKE)
    with pytest.raises((ValueError, TypeError)):
        deliveries.configure(settings)


def test_the_control_endpoint_turns_it_on_and_off() -> None:
    shop = Shop()
    shop.add_product("A", "Thing", 9)
    deliveries = Deliveries(shop, lambda order, placed: Message({}, b"{}"), WOO_LIKE)
    app = Starlette(routes=control_routes(shop, deliveries))
    app.state.deliveries = deliveries
    with serve(app) as base, httpx.Client(base_url=base, timeout=60) as client:
        assert client.put("/sandbox/webhooks", json={"url": URL, "secret": "s3cret"}).json() == {"on": True}
        client.post("/sandbox/checkout", json={"lines": [{"sku": "A", "quantity": 1}]})
        assert deliveries.settle()
        state = client.get("/sandbox/state")
        assert state.json()["webhooks"] == {"events": 1, "sent": 1, "unreachable": 1, "given_up": 1}
        assert "s3cret" not in state.text
        assert client.put("/sandbox/webhooks", json={"url": None}).json() == {"on": False}
        assert client.put("/sandbox/webhooks", json={"url": "https://example.com"}).status_code == 400
        assert client.put("/sandbox/webhooks", json=[1]).status_code == 400
    with serve(Starlette(routes=control_routes(shop))) as base:
        assert httpx.put(f"{base}/sandbox/webhooks", json={"url": URL}, timeout=60).status_code == 400
