"""BigCommerce's REST over HTTP: one request, one answer, judged; and the store's allowance of calls.

All apps of a store share one allowance (150 calls in 30 seconds with the smaller plans). Every answer says in
`X-Rate-Limit-Requests-Left` and `X-Rate-Limit-Time-Reset-Ms` what is left of it and when it is new; a 429 has no
`Retry-After`. Source: the vendor's "API best practices", rate limits.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Never, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from adapters.http import Answer, ChannelFault, Resolution, call, make_client

LARGEST_PAGE = 250
LONGEST_WINDOW_S = 3600.0

T = TypeVar("T")


class BigCommerceClient:
    """One store's API, versions 2 and 3. Raises ChannelFault for whatever is no usable answer."""

    def __init__(
        self,
        code: str,
        *,
        base_url: str,
        store_hash: str,
        access_token: SecretStr,
        timeout_s: float,
        most_wait_s: float,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        address = urlsplit(base_url)
        if address.scheme != "https" and address.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError(f"{code}: the address must begin with https://")
        self.code = code
        self.clock = clock
        self.sleep = sleep
        self._most_wait_s = most_wait_s
        self._left: int | None = None
        self._new_at = 0.0
        self._http = make_client(
            base_url=f"{base_url.rstrip('/')}/stores/{store_hash}",
            headers={"x-auth-token": access_token.get_secret_value()},
            timeout_s=timeout_s,
            transport=transport,
        )
        self._http.event_hooks = {"request": [], "response": [self._note]}

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any]) -> Answer:
        return self._call("GET", path, writes=False, params=params)

    def put(self, path: str, body: Any) -> Answer:
        return self._call("PUT", path, writes=True, json=body)

    def list_v2(self, path: str, params: Mapping[str, Any]) -> list[Any]:
        """One page. Version 2 answers 204 where there is nothing."""
        body = self.get(path, params).body
        if body is not None and not isinstance(body, list):
            self.malformed(f"GET {path}: the answer is no list")
        return body or []

    def data(self, body: Any, path: str) -> list[Any]:
        """The rows of an answer of version 3."""
        rows = body.get("data") if isinstance(body, dict) else None
        if not isinstance(rows, list):
            self.malformed(f"{path}: the answer has no data")
        return rows

    def walk(self, path: str, params: Mapping[str, Any], size: int) -> list[Any]:
        """All rows of a list of version 3, which new rows join at its end only."""
        found: list[Any] = []
        page = 1
        while True:
            body = self.get(path, {**params, "page": page, "limit": size}).body
            rows, total = self.data(body, path), _total(body)
            found += rows
            if len(found) == total or (len(rows) < size and (total is None or len(found) > total)):
                return found
            if not rows:
                self.malformed(f"GET {path}: {len(found)} rows came of {total}")
            page += 1

    def malformed(self, what: str) -> Never:
        raise ChannelFault(self.code, Resolution.MALFORMED, what)

    def _call(self, method: str, path: str, *, writes: bool, json: Any = None, params: Any = None) -> Answer:
        self._await_allowance()
        try:
            return call(self._http, self.code, method, path, writes=writes, json=json, params=params)
        except ChannelFault as fault:
            if fault.resolution is not Resolution.RATE_LIMITED or fault.retry_after is not None:
                raise
            limited = fault
        raise self._limited(f"{method} {path} was refused as too fast", limited.status)

    def _await_allowance(self) -> None:
        wait_s = self._new_at - self.clock()
        if self._left != 0 or wait_s <= 0:
            return
        if wait_s > self._most_wait_s:
            raise self._limited("the store's allowance of calls is used up", None)
        self.sleep(wait_s)

    def _limited(self, what: str, status: int | None) -> ChannelFault:
        wait_s = max(0.0, self._new_at - self.clock()) if self._left is not None else None
        return ChannelFault(self.code, Resolution.RATE_LIMITED, what, retry_after=wait_s, status=status)

    def _note(self, response: httpx.Response) -> None:
        left, reset_ms = (
            response.headers.get(f"x-rate-limit-{name}", "") for name in ("requests-left", "time-reset-ms")
        )
        if re.fullmatch(r"[0-9]{1,9}", left) and re.fullmatch(r"[0-9]{1,12}", reset_ms):
            self._left = int(left)
            self._new_at = self.clock() + min(int(reset_ms) / 1000, LONGEST_WINDOW_S)


def chunks(rows: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


def joined(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def identity(value: Any) -> int | None:
    """An id of the vendor, when it is one."""
    number = whole(value)
    return number if number is not None and 0 < number < 10**18 else None


def _total(body: Any) -> int | None:
    meta = body.get("meta") if isinstance(body, Mapping) else None
    pagination = meta.get("pagination") if isinstance(meta, Mapping) else None
    return whole(pagination.get("total")) if isinstance(pagination, Mapping) else None
