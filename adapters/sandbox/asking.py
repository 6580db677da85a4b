"""A shop's side of the reservation API: ask before selling, commit what was sold; without an answer sell nothing."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from pydantic import SecretStr

from adapters.http import Answer, ChannelFault, call, make_client

_NAME = "reservations"


@dataclass(frozen=True, slots=True)
class Held:
    """What the shop may sell now: {listing ref: units}, possibly less than it asked for."""

    key: str
    units: dict[str, int]


class Asking:
    """One for each shop; for any number of threads. `counts` says how it went, `milliseconds` how long each took."""

    def __init__(
        self,
        url: str,
        token: SecretStr,
        *,
        ttl_seconds: int = 300,
        timeout_s: float = 3.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._client = make_client(
            base_url=url,
            headers={"authorization": f"Bearer {token.get_secret_value()}"},
            timeout_s=timeout_s,
            transport=transport,
        )
        self._ttl_seconds = ttl_seconds
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        """asked, held, refused, unanswered; committed, uncommitted; released."""
        self.milliseconds: list[float] = []

    def ask(self, wanted: Mapping[str, int]) -> Held | None:
        """Ask for {listing ref: units > 0}, as much as is free. None: nothing is, or nobody answered; sell nothing."""
        key = uuid4().hex
        lines = [{"listing_ref": ref, "quantity": units} for ref, units in wanted.items()]
        body = {"key": key, "lines": lines, "ttl_seconds": self._ttl_seconds, "partial": True}
        started = time.perf_counter()
        answer = self._twice("/v1/reservations", body)
        with self._lock:
            self.milliseconds.append((time.perf_counter() - started) * 1000)
        if isinstance(answer, Answer) and answer.body["status"] == "held":
            self._count("asked", "held")
            return Held(key, {line["listing_ref"]: line["held"] for line in answer.body["lines"]})
        refused = isinstance(answer, ChannelFault) and answer.status == 409
        self._count("asked", "refused" if refused else "unanswered")
        return None

    def commit(self, key: str, order_id: str) -> None:
        """The order was placed. Where nobody answers the order is there all the same, and tells the key itself."""
        answer = self._twice(f"/v1/reservations/{key}/commit", {"order_id": order_id})
        self._count("committed" if isinstance(answer, Answer) else "uncommitted")

    def release(self, key: str) -> None:
        """Nothing was sold after all. Where nobody answers the hold runs out."""
        if isinstance(self._twice(f"/v1/reservations/{key}/release", {}), Answer):
            self._count("released")

    def close(self) -> None:
        self._client.close()

    def _twice(self, path: str, body: dict[str, Any]) -> Answer | ChannelFault:
        """Where the answer is not known the same is asked once more: the key makes that harmless."""
        answer = self._once(path, body)
        if isinstance(answer, ChannelFault) and answer.retriable:
            answer = self._once(path, body)
        return answer

    def _once(self, path: str, body: dict[str, Any]) -> Answer | ChannelFault:
        try:
            return call(self._client, _NAME, "POST", path, writes=True, json=body)
        except ChannelFault as fault:
            return fault

    def _count(self, *what: str) -> None:
        with self._lock:
            self.counts.update(what)
