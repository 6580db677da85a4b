"""A bare HTTP client that sends a burst over many connections: it costs a fraction of what it measures."""

import asyncio
import hashlib
import hmac
import json
import random
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

SECRET = b"of the burst"
PATH = "/webhooks/marketplace"
SIZE = 4000
"""Bytes of a body, about those of an order of two lines."""


def sign(body: bytes) -> str:
    return hmac.new(SECRET, body, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Delivery:
    """`kind`: genuine; forged; short (the body lost its end, the signature is of the whole); cut (the connection ends
    within the body); broken (half a document, and signed as such)."""

    kind: str
    event_id: str
    body: bytes
    signature: str


def burst(count: int, seed: int) -> list[Delivery]:
    """`count` deliveries: 1 % forged, 1 % truncated, 15 % of the others a second or third time; shuffled."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    odd = max(1, count // 100)
    fresh = int((count - 2 * odd) / 1.15)
    genuine = [_delivery("genuine", number) for number in range(fresh)]
    again = [chance.choice(genuine) for _ in range(count - 2 * odd - fresh)]
    forged = [_delivery("forged", fresh + number) for number in range(odd)]
    truncated = [_delivery(("short", "cut", "broken")[number % 3], fresh + odd + number) for number in range(odd)]
    deliveries = [*genuine, *again, *forged, *truncated]
    chance.shuffle(deliveries)
    return deliveries


def _delivery(kind: str, number: int) -> Delivery:
    event_id = f"event-{number}"
    document = {"event_id": event_id, "topic": "orders/create", "order_id": f"order-{number}"}
    body = json.dumps(document | {"padding": "x" * (SIZE - len(json.dumps(document)))}).encode()
    if kind == "forged":
        return Delivery(kind, event_id, body, sign(body + b"!"))
    if kind == "short":
        return Delivery(kind, event_id, body[: SIZE // 2], sign(body))
    if kind == "broken":
        return Delivery(kind, event_id, body[: SIZE // 2], sign(body[: SIZE // 2]))
    return Delivery(kind, event_id, body, sign(body))


def whole(delivery: Delivery) -> Delivery:
    """What the vendor sends again when it got no 2xx for a genuine message."""
    return _delivery("genuine", int(delivery.event_id.removeprefix("event-")))


@dataclass(slots=True)
class Answers:
    seconds: list[float] = field(default_factory=list)
    """Of each answer 200."""
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    """{(kind, status): times}; status 0 is no answer."""
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        return sum(self.statuses.values()) / self.elapsed

    def quantile_ms(self, share: float) -> float:
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))] * 1000


async def send(port: int, deliveries: Sequence[Delivery], connections: int) -> Answers:
    """Each connection sends the next delivery when it has the answer to its last. What a vendor would send again (no
    answer, 503, a message that was spoilt on its way) is sent again, whole, until it is taken."""
    answers, queue = Answers(), deque(deliveries)
    started = time.perf_counter()
    await asyncio.gather(*(_connection(port, queue, answers) for _ in range(connections)))
    answers.elapsed = time.perf_counter() - started
    return answers


async def _connection(port: int, queue: deque[Delivery], answers: Answers) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while queue:
        one = queue.popleft()
        if one.kind == "cut":
            writer.write(_request(one)[: -SIZE // 2])
            await writer.drain()
            status, closes = 0, True
        else:
            begun = time.perf_counter()
            writer.write(_request(one))
            status, closes = await _answer(reader)
            if status == 200:
                answers.seconds.append(time.perf_counter() - begun)
        answers.statuses[one.kind, status] += 1
        if status != 200 and one.kind != "forged":
            queue.append(whole(one))
        if closes:
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


def _request(one: Delivery) -> bytes:
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"x-signature: {one.signature}\r\ncontent-length: {len(one.body)}\r\n\r\n"
    )
    return head.encode() + one.body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
    await reader.readexactly(length)
    return int(head.split(" ", 2)[1]), "connection: close" in head
