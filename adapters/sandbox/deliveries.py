"""The webhooks of an imitated shop: sent in the background, in the vendor's manner, with faults by seed.

Vendor-neutral. A vendor's sandbox says how a message looks (`build`) and how the vendor behaves when the
receiver does not take it (`Manner`); all is off until `PUT /sandbox/webhooks` names a receiver.
"""

import heapq
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from adapters.http import make_client
from adapters.sandbox.shop import Order, Shop

SENDERS = 4
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SHUFFLE_S = 0.25
"""The longest that a shuffled message is held back, so that later ones overtake it."""

Sign = Callable[[bytes, str], Mapping[str, str]]
"""Body and secret → the headers that prove it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One call of the receiver; the address is the receiver's own."""

    headers: dict[str, str]
    body: bytes
    sign: Sign | None = None


Build = Callable[[Order, bool], Message | None]
"""What the vendor tells of an order that was placed (True) or changed; None when it tells nothing.
Called with the shop's lock held: be quick."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the vendor delivers."""

    timeout_s: float = 5.0
    retries: tuple[float, ...] = ()
    """Seconds from each failed attempt to the next one. As long as the tuple is: then it is given up."""
    stops_after: int | None = None
    """Messages given up in a row, after which the vendor sends no more at all."""
    snapshot: bool = True
    """A body tells what was so when it happened; False: what is so when it is sent."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What `PUT /sandbox/webhooks` takes. Faults are probabilities, for each message by itself."""

    url: str
    secret: str = field(default="", repr=False)
    lost: float = 0.0
    """Never sent."""
    twice: float = 0.0
    late: float = 0.0
    """Sent after `late_s`."""
    late_s: float = 2.0
    shuffled: float = 0.0
    """Overtaken by later ones."""
    forged: float = 0.0
    """A stranger sends the same again, with a signature that is not right."""
    truncated: float = 0.0
    """The first attempt arrives cut short."""
    seed: int = 0
    hurry: float = 1000.0
    """The vendor's hours between retries pass so many times faster."""

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Settings":
        """Raises ValueError or TypeError for what makes no sense."""
        settings = cls(**raw)
        address = urlsplit(settings.url)
        if address.scheme not in ("http", "https") or address.hostname not in LOOPBACK:
            raise ValueError("a sandbox sends to this machine only")
        if not all(0.0 <= getattr(settings, name) <= 1.0 for name in PROBABILITIES):
            raise ValueError("probabilities are from 0 to 1")
        if settings.late_s < 0 or settings.hurry <= 0:
            raise ValueError("late_s is not negative, hurry is above 0")
        return settings


PROBABILITIES = ("lost", "twice", "late", "shuffled", "forged", "truncated")
assert set(PROBABILITIES) < {each.name for each in fields(Settings)}


@dataclass(slots=True)
class _Parcel:
    """A message on its way."""

    order: Order | None
    placed: bool
    faults: frozenset[str]
    message: Message | None = None
    attempt: int = 0
    kind: Literal["event", "forged", "hello"] = "event"


class Deliveries:
    """The webhooks of one shop. Thread safe; `close` it when done.

    `hello` is what the vendor sends to a receiver that it is told of, before any event.
    """

    def __init__(
        self,
        shop: Shop,
        build: Build,
        manner: Manner,
        *,
        hello: Message | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._shop = shop
        self._build = build
        self._manner = manner
        self._hello = hello
        self._transport = transport
        self._counts: Counter[str] = Counter()
        self._run: _Run | None = None
        shop.on_change.append(self._note)

    def configure(self, raw: Mapping[str, Any]) -> None:
        """Send to this receiver from now on, or to nobody (`url` None). What is on its way is dropped.

        Raises ValueError or TypeError for what makes no sense.
        """
        if not isinstance(raw, Mapping):
            raise TypeError("the settings are no object")
        settings = None if raw.get("url") is None else Settings.from_dict(raw)
        before, self._run = self._run, None
        if before:
            before.stop()
        if settings:
            run = _Run(self._shop, self._build, self._manner, settings, self._counts, self._transport)
            run.start(self._hello)
            self._run = run

    def counts(self) -> dict[str, int]:
        """`events` of the shop; `silent` ones that the vendor tells nobody; `sent` attempts, of which
        `answered` (2xx), `refused` or `unreachable`; messages `given_up`; and how often each fault struck.
        Forged ones are counted apart, with `forged_accepted` for those that were answered 2xx."""
        return dict(self._counts)

    def message(self, order: Order, placed: bool, secret: str) -> tuple[dict[str, str], bytes] | None:
        """Headers and body of what the vendor would tell of this, signed; for who delivers it by other means. Call with
        the shop's lock held."""
        message = self._build(order, placed)
        if message is None:
            return None
        return {**message.headers, **(message.sign(message.body, secret) if message.sign else {})}, message.body

    @property
    def stopped(self) -> bool:
        """The vendor has given the receiver up."""
        return self._run is not None and self._run.given_up

    def settle(self, timeout_s: float = 5.0) -> bool:
        """Wait until nothing is on its way any more; False when that takes longer."""
        return self._run is None or self._run.settle(timeout_s)

    def close(self) -> None:
        run, self._run = self._run, None
        if run:
            run.stop()
            run.join()

    def _note(self, order: Order, placed: bool) -> None:
        if run := self._run:
            run.note(order, placed)


class _Run:
    """One receiver, from `start` to `stop`."""

    def __init__(
        self,
        shop: Shop,
        build: Build,
        manner: Manner,
        settings: Settings,
        counts: Counter[str],
        transport: httpx.BaseTransport | None,
    ) -> None:
        self.given_up = False
        self._shop, self._build, self._manner, self._settings, self._counts = shop, build, manner, settings, counts
        self._client = make_client(base_url=settings.url, timeout_s=manner.timeout_s, transport=transport)
        self._random = random.Random(settings.seed)  # noqa: S311 - repeatable on purpose, protects nothing
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, _Parcel]] = []
        self._order = itertools.count()
        self._on_its_way = 0
        self._failures = 0
        self._stopping = False
        self._senders = [
            threading.Thread(target=self._send_all, name="sandbox webhooks", daemon=True) for _ in range(SENDERS)
        ]
        self._running = len(self._senders)

    def start(self, hello: Message | None) -> None:
        for sender in self._senders:
            sender.start()
        if hello:
            self._push(_Parcel(None, True, frozenset(), hello, kind="hello"))

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify_all()

    def join(self) -> None:
        for sender in self._senders:
            sender.join(self._manner.timeout_s + 1.0)

    def settle(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._on_its_way, timeout_s)

    def note(self, order: Order, placed: bool) -> None:
        wishes = self._settings
        with self._changed:
            if self._stopping or self.given_up:
                return
            self._counts["events"] += 1
            struck = frozenset(name for name in PROBABILITIES if self._random.random() < getattr(wishes, name))
            held = SHUFFLE_S * self._random.random() if "shuffled" in struck else 0.0
            for name in struck - {"forged"}:
                self._counts[name] += 1
        if "lost" in struck:
            return
        parcel = _Parcel(order, placed, struck)
        if not self._manner.snapshot or self._write(parcel):
            self._push(parcel, held + (wishes.late_s if "late" in struck else 0.0))

    def _write(self, parcel: _Parcel) -> Message | None:
        assert parcel.order is not None
        parcel.message = self._build(parcel.order, parcel.placed)
        if parcel.message is None:
            self._count("silent")
        return parcel.message

    def _push(self, parcel: _Parcel, after_s: float = 0.0) -> None:
        with self._changed:
            if not self._stopping:
                heapq.heappush(self._waiting, (time.monotonic() + after_s, next(self._order), parcel))
                self._changed.notify()

    def _next(self) -> _Parcel | None:
        """The parcel that is due, as soon as there is one; None at the end."""
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                if self._waiting and self._waiting[0][0] <= now:
                    self._on_its_way += 1
                    return heapq.heappop(self._waiting)[2]
                self._changed.wait(self._waiting[0][0] - now if self._waiting else None)
        return None

    def _send_all(self) -> None:
        while parcel := self._next():
            try:
                self._forward(parcel)
            finally:
                with self._changed:
                    self._on_its_way -= 1
                    self._changed.notify_all()
        with self._changed:
            self._running -= 1
            last = self._running == 0
        if last:
            self._client.close()

    def _forward(self, parcel: _Parcel) -> None:
        message = parcel.message
        if message is None:
            with self._shop.lock:
                message = self._write(parcel)
            if message is None:
                return
        if parcel.attempt == 0 and "twice" in parcel.faults:
            self._push(_Parcel(None, parcel.placed, frozenset(), message))
        if parcel.attempt == 0 and "forged" in parcel.faults:
            self._push(_Parcel(None, parcel.placed, frozenset(), message, kind="forged"))
        self._attempt(parcel, message)

    def _attempt(self, parcel: _Parcel, message: Message) -> None:
        body, headers = message.body, dict(message.headers)
        if message.sign:
            # Right in form, but made for another body: wrong whatever kind of key the vendor signs with.
            headers.update(message.sign(b"forged" + body if parcel.kind == "forged" else body, self._settings.secret))
        if parcel.attempt == 0 and "truncated" in parcel.faults:
            body = body[: len(body) // 2]
        outcome = self._post(headers, body)
        if parcel.kind != "event":
            if parcel.kind == "forged":
                self._count("forged", *(["forged_accepted"] if outcome == "answered" else []))
            return
        self._count("sent", outcome)
        if outcome == "answered":
            self._failures = 0
        elif parcel.attempt < len(self._manner.retries):
            parcel.attempt += 1
            self._push(parcel, self._manner.retries[parcel.attempt - 1] / self._settings.hurry)
        else:
            self._give_up()

    def _post(self, headers: Mapping[str, str], body: bytes) -> str:
        try:
            answer = self._client.post(self._settings.url, content=body, headers=headers)
        except httpx.HTTPError:
            return "unreachable"
        return "answered" if answer.is_success else "refused"

    def _give_up(self) -> None:
        self._count("given_up")
        with self._changed:
            self._failures += 1
            if self._manner.stops_after is not None and self._failures >= self._manner.stops_after:
                self.given_up = True
                self._waiting.clear()

    def _count(self, *names: str) -> None:
        with self._changed:
            for name in names:
                self._counts[name] += 1
