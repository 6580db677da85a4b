"""eBay over HTTP: a token for each call, once more with a new one after a 401, and the reset after a 429.

eBay sends no Retry-After: the end of a limit is asked of the Analytics API, once for each refusal.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Never

import httpx
from pydantic import SecretStr

from adapters.channels.ebay.ebay_memory import EbayMemory
from adapters.channels.ebay.ebay_tokens import Credentials, EbayTokens
from adapters.http import Answer, ChannelFault, Resolution, call, make_client, transfer

RATE_LIMIT_PATH = "/developer/analytics/v1_beta/rate_limit/"
LONGEST_WAIT_S = 24 * 3600.0


class EbayClient:
    """One account's endpoint. Its reads may be used by several threads at once."""

    def __init__(
        self,
        channel: str,
        *,
        base_url: str,
        credentials: Credentials,
        marketplace_id: str,
        memory: EbayMemory,
        timeout_s: float,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.channel = channel
        self.tokens = EbayTokens(
            channel,
            credentials,
            memory,
            base_url=base_url,
            timeout_s=timeout_s,
            transport=transport,
            clock=clock,
        )
        self._http = make_client(
            base_url=base_url,
            headers={"x-ebay-c-marketplace-id": marketplace_id},
            timeout_s=timeout_s,
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        writes: bool = False,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        mint: Callable[[], SecretStr] | None = None,
    ) -> Answer:
        """One request. A 401 was certainly not applied, so also a write is sent again with a new token.
        `mint` gives the token, the seller's if nothing is said. Raises ChannelFault."""

        def send(token: SecretStr) -> Answer:
            sent = _bearer(token)
            return call(self._http, self.channel, method, path, writes=writes, json=json, params=params, headers=sent)

        try:
            return self._authorized(send, mint or self.tokens.user)
        except ChannelFault as fault:
            if fault.resolution is not Resolution.RATE_LIMITED or fault.retry_after is not None:
                raise
            raise self._with_reset(fault, path) from None

    def trade(self, name: str, content: bytes, headers: Mapping[str, str]) -> bytes:
        """One call of the Trading API that only reads: XML in, XML out. `forget_token` when it says so inside."""
        token = self.tokens.user().get_secret_value()
        sent = {**headers, "x-ebay-api-call-name": name, "x-ebay-api-iaf-token": token, "content-type": "text/xml"}
        return transfer(self._http, self.channel, "POST", "/ws/api.dll", writes=False, content=content, headers=sent)

    def forget_token(self) -> None:
        self.tokens.forget(self.tokens.user())

    def malformed(self, what: str) -> Never:
        raise ChannelFault(self.channel, Resolution.MALFORMED, what)

    def _authorized(self, send: Callable[[SecretStr], Answer], mint: Callable[[], SecretStr]) -> Answer:
        token = mint()
        try:
            return send(token)
        except ChannelFault as fault:
            if fault.status != 401:
                raise
        self.tokens.forget(token)
        return send(mint())

    def _with_reset(self, fault: ChannelFault, path: str) -> ChannelFault:
        """The same fault, with the time until the exhausted limit starts anew, where eBay says it."""
        area, name = path.strip("/").split("/")[:2]
        try:
            answer = self._ask_limits({"api_context": area, "api_name": name})
        except ChannelFault:
            return fault
        wait_s = _longest_wait(answer)
        return ChannelFault(
            self.channel,
            Resolution.RATE_LIMITED,
            f"eBay's limit of calls to its {name} API is reached",
            retry_after=wait_s,
            status=fault.status,
            code=fault.code,
        )

    def _ask_limits(self, params: Mapping[str, str]) -> Answer:
        sent = _bearer(self.tokens.application())
        return call(self._http, self.channel, "GET", RATE_LIMIT_PATH, writes=False, params=params, headers=sent)


def _bearer(token: SecretStr) -> dict[str, str]:
    return {"authorization": f"Bearer {token.get_secret_value()}"}


def _longest_wait(answer: Answer) -> float | None:
    """Seconds until the last of the exhausted limits starts anew, by eBay's own clock; None when it does not say."""
    now = shop_time(answer) or datetime.now(UTC)
    waits = []
    for rate in _rates(answer.body):
        reset = instant(rate.get("reset"))
        if reset is not None and rate.get("remaining") == 0:
            waits.append((reset - now).total_seconds())
    usable = [wait for wait in waits if 0 <= wait <= LONGEST_WAIT_S]
    return max(usable, default=None)


def _rates(body: Any) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for limit in _rows(body, "rateLimits"):
        for resource in _rows(limit, "resources"):
            found += _rows(resource, "rates")
    return found


def _rows(parent: Any, name: str) -> list[Mapping[str, Any]]:
    rows = parent.get(name) if isinstance(parent, Mapping) else None
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def shop_time(answer: Answer) -> datetime | None:
    """When eBay answered, by its clock, to the second before."""
    try:
        moment = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def instant(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
