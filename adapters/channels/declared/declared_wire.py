"""The wire of a declared channel: templates become requests, with credentials, within the limits.

What all adapters of one channel in this process must share (its allowance, its token) is in `Shared`.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from adapters.allowances import Allowances
from adapters.channels.declared import declared_templates as templates
from adapters.channels.declared.declared_auth import ClientCredentials, Credentials, TokenPlace
from adapters.channels.declared.declared_models import Limits, Request
from adapters.http import Answer, ChannelFault, Resolution, call, make_client

FIRST_WAIT_S = 0.5
"""After "too fast" without a time; each further one doubles it."""
_NUMBER = re.compile(r"\d{1,15}(\.\d{1,9})?")


@dataclass
class Shared:
    """What one process knows of one channel's allowance. Thread safe."""

    clock: Callable[[], float] = time.monotonic
    lock: threading.Lock = field(default_factory=threading.Lock)
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Held during a request where only one may be under way."""
    token: TokenPlace = field(default_factory=TokenPlace)
    together: Allowances | None = None
    """Where all processes count their requests; None: this one counts its own."""
    _free_at: float = 0.0
    _closed_until: float = 0.0

    def reserve(self, limits: Limits, most_s: float) -> float:
        """Seconds to wait before the next request, whose place is taken by this; not taken if over `most_s`.

        The generic cell rate algorithm: `_free_at` is when the bucket would be full again.
        """
        with self.lock:
            now = self.clock()
            wait = max(0.0, self._closed_until - now)
        if self.together is not None and limits.requests_per_second is not None and wait <= most_s:
            return max(wait, self.together.take("requests", limits.requests_per_second, limits.burst, most_s))
        with self.lock:
            if limits.requests_per_second is not None:
                interval = 1.0 / limits.requests_per_second
                full_at = max(self._free_at, now)
                wait = max(wait, full_at - (limits.burst - 1) * interval - now)
                if wait <= most_s:
                    self._free_at = full_at + interval
            return wait

    def close_for(self, seconds: float) -> None:
        """The channel refuses everybody for so long."""
        with self.lock:
            self._closed_until = max(self._closed_until, self.clock() + seconds)


_shared: dict[tuple[str, ...], Shared] = {}
_shared_lock = threading.Lock()


def shared_for(*key: str) -> Shared:
    """The same object for the same key, in this process."""
    with _shared_lock:
        return _shared.setdefault(key, Shared())


class Wire:
    """Sends the requests of one description. Not for use by several threads at once."""

    def __init__(
        self,
        channel: str,
        *,
        base_url: str,
        credentials: Credentials,
        limits: Limits,
        timeout_s: float,
        shared: Shared,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.channel = channel
        self._origin = _origin(base_url)
        self._base = base_url.rstrip("/")
        self._credentials = credentials
        self._limits = limits
        self._shared = shared
        self._sleep = sleep
        self._now = now
        self._http = make_client(base_url=self._base, timeout_s=timeout_s, transport=transport)
        self._http.event_hooks = {"response": [self._translate_retry_after]}

    def close(self) -> None:
        self._http.close()

    def ask(self, request: Request, values: Mapping[str, Any], *, writes: bool) -> Answer:
        """One request by its template. Raises ChannelFault; REJECT for values that cannot be sent."""
        try:
            path = templates.fill_path(request.path, values)
            params = templates.fill_params(request.params, values, lists=request.lists)
            headers = templates.fill_headers(request.headers, values)
        except templates.UnsafeValueError as error:
            reason = str(error)
        else:
            body = None if request.body is None else templates.fill(request.body, values)
            return self._send(request.method, path, params=params, headers=headers, json=body, writes=writes)
        raise ChannelFault(self.channel, Resolution.REJECT, f"{request.method} {request.path} was not sent: {reason}")

    def follow(self, request: Request, link: str) -> Answer:
        """The page that a link leads to: on the channel's own host, or not at all."""
        whole = urljoin(f"{self._base}{request.path}", link)
        if _origin(whole) != self._origin or any(ord(letter) <= 32 for letter in whole):
            raise ChannelFault(
                self.channel, Resolution.MALFORMED, f"{request.method} {request.path} links to another place"
            )
        return self._send(request.method, whole, params=None, headers={}, json=None, writes=False)

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        json: Any,
        writes: bool,
    ) -> Answer:
        """Waits and asks again where the request was certainly not carried out: too fast, or a token that ran out."""
        waited, patience, renewed = 0.0, FIRST_WAIT_S, False
        while True:
            waited = self._wait(self._shared.reserve(self._limits, self._limits.max_wait_s - waited), waited)
            secret = self._credentials.headers(self._http, self.channel)
            try:
                with self._turn():
                    return call(
                        self._http,
                        self.channel,
                        method,
                        path,
                        writes=writes,
                        json=json,
                        params=params,
                        headers={**headers, **secret},
                    )
            except ChannelFault as caught:
                fault = self._judged(caught)
            if fault.status == 401 and not renewed and isinstance(self._credentials, ClientCredentials):
                self._credentials.forget(secret)
                renewed = True
                continue
            if fault.resolution is not Resolution.RATE_LIMITED:
                raise fault
            pause = patience if fault.retry_after is None else fault.retry_after
            self._shared.close_for(pause)
            if waited + pause > self._limits.max_wait_s:
                raise fault
            patience *= 2

    def _wait(self, seconds: float, waited: float) -> float:
        if waited + seconds > self._limits.max_wait_s:
            what = "its limit leaves no room for another request now"
            raise ChannelFault(self.channel, Resolution.RATE_LIMITED, what, retry_after=seconds)
        if seconds > 0:
            self._sleep(seconds)
        return waited + seconds

    def _turn(self) -> AbstractContextManager[Any]:
        return self._shared.turn if self._limits.one_at_a_time else nullcontext()

    def _judged(self, fault: ChannelFault) -> ChannelFault:
        """The fault as the description's own table of statuses has it."""
        resolution = self._limits.statuses.get(fault.status or 0)
        if resolution is None:
            return fault
        what = f"the channel answered {fault.status}" + (f" {fault.code}" if fault.code else "")
        return ChannelFault(
            self.channel, resolution, what, retry_after=fault.retry_after, status=fault.status, code=fault.code
        )

    def _translate_retry_after(self, response: httpx.Response) -> None:
        name, unit = self._limits.retry_after_header, self._limits.retry_after_unit
        value = response.headers.get(name, "").strip()
        if (name.lower() == "retry-after" and unit == "seconds") or not _NUMBER.fullmatch(value):
            return
        number = float(value)
        seconds = {
            "seconds": number,
            "milliseconds": number / 1000,
            "epoch_s": number - self._now().timestamp(),
        }[unit]
        response.headers["retry-after"] = f"{min(max(0.0, seconds), 999_999_999):.6f}"


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return "", "", None
