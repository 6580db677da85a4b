"""One Selling Partner API call: its token, its bucket, its retries. Reads are tried again, writes never."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from adapters.channels.amazon.amazon_shared import Shared
from adapters.channels.amazon.amazon_tokens import Credentials, Tokens
from adapters.http import Answer, ChannelFault, Resolution, call, make_client, public, transfer

BACKOFF_S = 0.5
TIMES_THROTTLED = 3
"""A read that is refused as too fast is tried again so many times."""


class AmazonClient:
    """Not for use by several threads at once; what it shares with others is in `Shared`."""

    def __init__(
        self,
        code: str,
        *,
        base_url: str,
        token_url: str,
        credentials: Credentials,
        shared: Shared,
        timeout_s: float,
        most_wait_s: float,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
    ) -> None:
        self.code = code
        self.shared = shared
        self.clock = clock
        self.sleep = sleep
        self._most_wait_s = most_wait_s
        self._chance = chance or random.Random()  # noqa: S311 - spreads retries, protects nothing
        self._client = make_client(base_url=base_url, timeout_s=timeout_s, transport=transport)
        # Signed addresses get no token of ours, so they have a client of their own.
        self._plain = make_client(base_url="", timeout_s=timeout_s, transport=transport)
        self._tokens = Tokens(
            code, credentials, shared.token, token_url=token_url, timeout_s=timeout_s, transport=transport, clock=clock
        )

    def close(self) -> None:
        self._client.close()
        self._plain.close()
        self._tokens.close()

    def read(
        self, operation: str, path: str, params: Mapping[str, Any] | None = None, *, most_wait_s: float | None = None
    ) -> Any:
        """The body of a GET. Waits for the bucket, and after a refusal, for at most `most_wait_s` a time.

        Raises ChannelFault; RATE_LIMITED with the time to wait when that is too long.
        """
        most = self._most_wait_s if most_wait_s is None else most_wait_s
        for refused in range(TIMES_THROTTLED + 1):
            self.shared.budget.take(self.code, operation, most)
            try:
                return self._send(operation, "GET", path, writes=False, params=params).body
            except ChannelFault as fault:
                pause = BACKOFF_S * 2**refused * (0.5 + self._chance.random() / 2)
                pause = max(pause, fault.retry_after or 0.0)
                if fault.resolution is not Resolution.RATE_LIMITED or refused == TIMES_THROTTLED or pause > most:
                    raise
            self.sleep(pause)
        raise AssertionError

    def write(self, operation: str, method: str, path: str, body: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The body of the answer. Raises ChannelFault; nothing is sent twice, save after a refused token."""
        self.shared.budget.take(self.code, operation, self._most_wait_s)
        return self._send(operation, method, path, writes=True, json=body, params=params).body

    def upload(self, url: str, content: bytes, content_type: str) -> None:
        """Raises ChannelFault. An upload by itself changes nothing at the vendor."""
        headers = {"content-type": content_type}
        transfer(self._plain, self.code, "PUT", self._outside(url), writes=False, content=content, headers=headers)

    def download(self, url: str) -> bytes:
        """Raises ChannelFault."""
        return transfer(self._plain, self.code, "GET", self._outside(url), writes=False)

    def _outside(self, url: str) -> str:
        """The address of a document, as an answer says it: never one of this machine, unless Amazon is there, too."""
        own = urlsplit(str(self._client.base_url)).hostname
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            host = None
        if not host or (host != own and (parts.scheme != "https" or not public(host))):
            raise ChannelFault(self.code, Resolution.MALFORMED, "a document lies at an address that is none")
        return url

    def _send(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        writes: bool,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
    ) -> Answer:
        for renewed in (False, True):
            token = self._tokens.get()
            self._client.headers["x-amz-access-token"] = token
            try:
                answer = call(self._client, self.code, method, path, writes=writes, json=json, params=params)
            except ChannelFault as fault:
                if fault.resolution is Resolution.REAUTHENTICATE and not renewed:
                    # Refused before anything was done: an expired token says 403, as a missing role does.
                    self._tokens.forget(token)
                    continue
                if fault.resolution is Resolution.RATE_LIMITED:
                    self.shared.budget.refused(operation)
                raise
            self.shared.budget.told(operation, answer.headers.get("x-amzn-ratelimit-limit"))
            return answer
        raise AssertionError
