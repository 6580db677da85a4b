"""Login with Amazon: the access token that every call carries, by the refresh_token grant.

A token lives an hour and may be used by any number of calls at once, so a process keeps one for each
credential. Source: "Connect to the Selling Partner API" (developer-docs.amazon.com).
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from pydantic import SecretStr

from adapters.http import ChannelFault, Resolution, call, make_client

EARLY_S = 60.0
"""A token is renewed so long before its end: it must outlive the call that it goes with."""


@dataclass(frozen=True, slots=True)
class Credentials:
    client_id: str
    client_secret: SecretStr
    refresh_token: SecretStr


@dataclass(slots=True)
class Token:
    """The token of one credential. Hold `lock` while it is looked at or renewed."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    value: str = field(default="", repr=False)
    until: float = 0.0
    """On the monotonic clock."""


class Tokens:
    """Hands out the access token of one adapter's credential, renewed when it is due."""

    def __init__(
        self,
        channel: str,
        credentials: Credentials,
        shared: Token,
        *,
        token_url: str,
        timeout_s: float,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = channel
        self._credentials = credentials
        self._token = shared
        self._url = token_url
        self._clock = clock
        self._client = make_client(base_url="", timeout_s=timeout_s, transport=transport)

    def close(self) -> None:
        self._client.close()

    def get(self) -> str:
        """Raises ChannelFault: REAUTHENTICATE when the credential is refused, which a person must mend."""
        with self._token.lock:
            if not self._token.value or self._clock() >= self._token.until:
                self._renew()
            return self._token.value

    def forget(self, value: str) -> None:
        """This token was refused. Another thread may have renewed it meanwhile: then nothing happens."""
        with self._token.lock:
            if self._token.value == value:
                self._token.value = ""

    def _renew(self) -> None:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._credentials.refresh_token.get_secret_value(),
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret.get_secret_value(),
        }
        asked_at = self._clock()
        try:
            body = call(self._client, self._channel, "POST", self._url, writes=False, form=form).body
        except ChannelFault as fault:
            if fault.resolution is Resolution.REJECT:
                what = f"the token endpoint refuses the credential, {fault.code or fault.status}"
                refused = ChannelFault(self._channel, Resolution.REAUTHENTICATE, what, status=fault.status)
                raise refused from None
            raise
        value = body.get("access_token") if isinstance(body, dict) else None
        lives = body.get("expires_in") if isinstance(body, dict) else None
        if not isinstance(value, str) or not value or not isinstance(lives, int | float) or lives <= 0:
            raise ChannelFault(self._channel, Resolution.MALFORMED, "the token endpoint answered without a token")
        self._token.value = value
        self._token.until = asked_at + max(lives - EARLY_S, lives / 2)
