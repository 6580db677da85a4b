"""The imitated eBay's OAuth: tokens of two kinds that end, and the errors of eBay when they have."""

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable
from typing import Literal
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

LIFE_S = 7200
Kind = Literal["user", "application"]


class Identity:
    """`clock` times the tokens. A refresh token is not rotated and does not end."""

    def __init__(self, client_id: str, client_secret: str, refresh_token: str, clock: Callable[[], float]) -> None:
        self._client = f"{client_id}:{client_secret}".encode()
        self._refresh_token = refresh_token
        self._clock = clock
        self._ends: dict[str, tuple[Kind, float]] = {}
        self.minted = 0

    async def token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("ascii", "replace")))
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        try:
            client = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            client = b""
        if scheme.lower() != "basic" or not hmac.compare_digest(client, self._client):
            return _refused(401, "invalid_client", "client authentication failed")
        return self._granted(form)

    def _granted(self, form: dict[str, str]) -> Response:
        match form.get("grant_type"):
            case "refresh_token":
                if not hmac.compare_digest(form.get("refresh_token", ""), self._refresh_token):
                    what = "the provided authorization refresh token is invalid or was issued to another client"
                    return _refused(400, "invalid_grant", what)
                return self._mint("user", "User Access Token")
            case "client_credentials":
                return self._mint("application", "Application Access Token")
            case _:
                return _refused(400, "unsupported_grant_type", "grant type in request is not supported")

    def _mint(self, kind: Kind, name: str) -> Response:
        token = f"v^1.1#i^1#{secrets.token_urlsafe(24)}"
        self._ends[token] = kind, self._clock() + LIFE_S
        self.minted += 1
        return JSONResponse({"access_token": token, "expires_in": LIFE_S, "token_type": name})

    def knows(self, token: str, *kinds: Kind) -> bool:
        kind, end = self._ends.get(token, ("user", 0.0))
        return token in self._ends and kind in kinds and self._clock() < end

    def expire_all(self) -> None:
        self._ends.clear()


def bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _refused(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status_code=status)
