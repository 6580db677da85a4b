"""eBay's OAuth tokens: made from the refresh token or from the application's own credentials, and kept.

Source: "OAuth tokens" of the developer documentation. A user token lives 7,200 s; the refresh token about
18 months and is not rotated: an answer that makes a new user token brings no new refresh token. It ends
when the seller changes the password or takes the consent back: then a person must give consent anew.
"""

from collections.abc import Callable
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from adapters.channels.ebay.ebay_memory import EbayMemory, Token
from adapters.http import ChannelFault, Resolution, call, make_client

TOKEN_PATH = "/identity/v1/oauth2/token"  # noqa: S105 - a path
APPLICATION_SCOPE = "https://api.ebay.com/oauth/api_scope"
EARLY_S = 300.0
"""So long before its end a token is replaced, or after nine tenths of its life if it is short."""
LONGEST_S = 7200.0
REFUSED = frozenset({"invalid_grant", "invalid_client", "invalid_scope", "unauthorized_client", "access_denied"})


@dataclass(frozen=True, slots=True)
class Credentials:
    client_id: SecretStr
    client_secret: SecretStr
    refresh_token: SecretStr | None = None
    """None where only the application itself speaks."""


class EbayTokens:
    """Thread safe: a token is minted once, whoever needs it first."""

    def __init__(
        self,
        channel: str,
        credentials: Credentials,
        memory: EbayMemory,
        *,
        base_url: str,
        timeout_s: float,
        transport: httpx.BaseTransport | None,
        clock: Callable[[], float],
    ) -> None:
        self._channel = channel
        self._credentials = credentials
        self._memory = memory
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._transport = transport
        self._clock = clock

    def user(self) -> SecretStr:
        """A token that speaks for the seller. Raises ChannelFault."""
        assert self._credentials.refresh_token is not None
        refresh = self._credentials.refresh_token.get_secret_value()
        # Without `scope` the token has all that the seller consented to.
        return self._token("user", {"grant_type": "refresh_token", "refresh_token": refresh})

    def application(self) -> SecretStr:
        """A token that speaks for the application alone. Raises ChannelFault."""
        return self._token("application", {"grant_type": "client_credentials", "scope": APPLICATION_SCOPE})

    def forget(self, token: SecretStr) -> None:
        """The vendor does not take it any more."""
        with self._memory.lock:
            for kind, known in list(self._memory.tokens.items()):
                if known.value == token:
                    del self._memory.tokens[kind]

    def _token(self, kind: str, form: dict[str, str]) -> SecretStr:
        with self._memory.lock:
            known = self._memory.tokens.get(kind)
            if known is None or known.good_until <= self._clock():
                known = self._memory.tokens[kind] = self._mint(form)
            return known.value

    def _mint(self, form: dict[str, str]) -> Token:
        asked_at = self._clock()
        id_and_secret = (
            self._credentials.client_id.get_secret_value(),
            self._credentials.client_secret.get_secret_value(),
        )
        client = make_client(
            base_url=self._base_url, auth=id_and_secret, timeout_s=self._timeout_s, transport=self._transport
        )
        try:
            answer = call(client, self._channel, "POST", TOKEN_PATH, writes=False, form=form)
        except ChannelFault as fault:
            raise self._plain(fault) from None
        finally:
            if self._transport is None:
                client.close()
        body = answer.body if isinstance(answer.body, dict) else {}
        value, seconds = body.get("access_token"), body.get("expires_in")
        usable = isinstance(value, str) and value.isascii() and value.isprintable() and value.strip() == value != ""
        if not usable or isinstance(seconds, bool) or not isinstance(seconds, int | float):
            what = f"POST {TOKEN_PATH} answered no token"
            raise ChannelFault(self._channel, Resolution.MALFORMED, what, status=answer.status)
        life = min(max(float(seconds), 0.0), LONGEST_S)
        return Token(SecretStr(str(value)), asked_at + max(life - EARLY_S, life * 0.9 if life < 2 * EARLY_S else 0.0))

    def _plain(self, fault: ChannelFault) -> ChannelFault:
        if fault.code not in REFUSED:
            return fault
        what = (
            f"eBay does not take the credentials ({fault.code}): the seller must give consent anew, or a key is wrong"
        )
        return ChannelFault(self._channel, Resolution.REAUTHENTICATE, what, status=fault.status, code=fault.code)
