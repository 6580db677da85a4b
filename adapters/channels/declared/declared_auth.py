"""Who a declared channel takes us for: a fixed header, or a token that is fetched and renewed."""

import base64
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from adapters.channels.config import Secret
from adapters.channels.declared.declared_models import Auth, BasicAuth, BearerAuth, ClientCredentialsAuth, HeaderAuth
from adapters.http import ChannelFault, Resolution, call

SHORTEST_S = 5.0
"""A token whose lifetime is shorter than its early renewal is kept for at least this long."""


class Credentials(Protocol):
    def headers(self, client: httpx.Client, channel: str) -> dict[str, str]:
        """The headers of one request. May fetch a token; raises ChannelFault."""
        ...


class FixedHeader:
    def __init__(self, name: str, value: SecretStr) -> None:
        self._name, self._value = name, value

    def headers(self, client: httpx.Client, channel: str) -> dict[str, str]:
        return {self._name: self._value.get_secret_value()}


@dataclass
class TokenPlace:
    """Where the token is, for all adapters of the channel in this process."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    token: SecretStr | None = None
    renew_at: float = 0.0


class ClientCredentials:
    """OAuth 2.0 client credentials. One fetch at a time; the others wait for its token."""

    def __init__(
        self,
        description: ClientCredentialsAuth,
        client_id: SecretStr,
        client_secret: SecretStr,
        place: TokenPlace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._description = description
        self._client_id, self._client_secret = client_id, client_secret
        self._place = place
        self._clock = clock

    def headers(self, client: httpx.Client, channel: str) -> dict[str, str]:
        place = self._place
        with place.lock:
            if place.token is None or self._clock() >= place.renew_at:
                place.token, lifetime = self._fetch(client, channel)
                place.renew_at = self._clock() + max(SHORTEST_S, lifetime - self._description.early_s)
            return {"authorization": f"Bearer {place.token.get_secret_value()}"}

    def forget(self, refused: Mapping[str, str]) -> None:
        """The channel refused this token: fetch another, unless somebody has."""
        place = self._place
        with place.lock:
            if place.token and refused.get("authorization") == f"Bearer {place.token.get_secret_value()}":
                place.token = None

    def _fetch(self, client: httpx.Client, channel: str) -> tuple[SecretStr, float]:
        described = self._description
        form = {"grant_type": "client_credentials", **described.params}
        if described.scope:
            form["scope"] = described.scope
        headers = {}
        identity, secret = self._client_id.get_secret_value(), self._client_secret.get_secret_value()
        if described.send == "basic":
            # RFC 6749, 2.3.1: both are form-encoded before they are joined.
            headers["authorization"] = _basic(quote(identity, safe=""), quote(secret, safe=""))
        else:
            form |= {"client_id": identity, "client_secret": secret}
        try:
            answer = call(client, channel, "POST", described.token_url, writes=False, form=form, headers=headers)
        except ChannelFault as caught:
            fault = caught
        else:
            return self._read(channel, answer.body)
        if fault.resolution is Resolution.REJECT:
            # 400 invalid_client, invalid_scope: a person must look at the credentials.
            what = f"no token was given, status {fault.status}" + (f" {fault.code}" if fault.code else "")
            raise ChannelFault(channel, Resolution.REAUTHENTICATE, what, status=fault.status, code=fault.code)
        raise fault

    def _read(self, channel: str, body: object) -> tuple[SecretStr, float]:
        token = body.get("access_token") if isinstance(body, dict) else None
        kind = str(body.get("token_type", "bearer")) if isinstance(body, dict) else ""
        if not isinstance(token, str) or not _is_header_text(token) or kind.lower() != "bearer":
            raise ChannelFault(channel, Resolution.MALFORMED, "the answer to the request for a token holds none")
        given = body.get("expires_in") if isinstance(body, dict) else None
        try:
            lifetime = float(given) if isinstance(given, int | float | str) else self._description.lifetime_s
        except (ValueError, OverflowError):
            lifetime = self._description.lifetime_s
        return SecretStr(token), lifetime if 0 < lifetime < 10**9 else self._description.lifetime_s


def credentials_for(
    auth: Auth, secret: Secret, place: TokenPlace, clock: Callable[[], float] = time.monotonic
) -> Credentials:
    """Raises ValueError, without the value, for a secret that no header can hold."""
    match auth:
        case BearerAuth():
            token = _header_text(auth.token_env, secret)
            return FixedHeader("authorization", SecretStr(f"Bearer {token}"))
        case BasicAuth():
            user, password = (secret(name).get_secret_value() for name in (auth.user_env, auth.password_env))
            return FixedHeader("authorization", SecretStr(_basic(user, password)))
        case HeaderAuth():
            return FixedHeader(auth.name, SecretStr(auth.prefix + _header_text(auth.value_env, secret)))
        case ClientCredentialsAuth():
            return ClientCredentials(auth, secret(auth.client_id_env), secret(auth.client_secret_env), place, clock)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _header_text(name: str, secret: Secret) -> str:
    value = secret(name).get_secret_value().strip()
    if not _is_header_text(value):
        raise ValueError(f"the value of {name} cannot stand in a header: it is empty, or not printable ASCII")
    return value


def _is_header_text(value: str) -> bool:
    return 0 < len(value) <= 8000 and all(32 <= ord(letter) <= 126 for letter in value)
