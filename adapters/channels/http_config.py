"""A declared channel in `channels.toml`: everything about a portal that nobody has a connector for.

Every key is explained in `docs/declared_channel.md`; `docs/portal.example.toml` is a whole one.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError, field_validator, model_validator

from adapters.allowances import Allowances
from adapters.channels.config import ChannelConfigBase, Secret
from adapters.channels.declared.declared import PINNED_WITHIN_S, DeclaredChannel, numbered
from adapters.channels.declared.declared_auth import credentials_for
from adapters.channels.declared.declared_fields import Catalogue, Orders, Stock
from adapters.channels.declared.declared_models import (
    Abilities,
    Auth,
    ClientCredentialsAuth,
    Limits,
    Pause,
    Webhook,
    Zeros,
)
from adapters.channels.declared.declared_values import known_keys, refuse_unknown_keys
from adapters.channels.declared.declared_webhooks import DeclaredWebhooks
from adapters.channels.declared.declared_wire import Shared, Wire, shared_for
from inventory.words import WriteMode

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class HttpConfig(ChannelConfigBase):
    vendor: Literal["http"]
    auth: Auth
    limits: Limits = Limits()
    orders: Orders
    stock: Stock
    catalogue: Catalogue | None = None
    pause: Pause = Zeros()
    webhook: Webhook | None = None
    capabilities: Abilities = Abilities()

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            refuse_unknown_keys(given, known_keys(cls))
        return given

    @field_validator("base_url")
    @classmethod
    def _safe_address(cls, base_url: str) -> str:
        _check_address(base_url, "base_url")
        return base_url

    @model_validator(mode="after")
    def _fits_together(self) -> "HttpConfig":
        if isinstance(self.auth, ClientCredentialsAuth) and not self.auth.token_url.startswith("/"):
            _check_address(self.auth.token_url, "auth.token_url", query=True)
        orders = self.orders
        if "until" in orders.uses() and orders.until_ahead_s < PINNED_WITHIN_S:
            if numbered(orders) and orders.sort != "oldest_change_first":
                raise ValueError(
                    "orders: rows leave a window that ends now, and move the borders of counted pages; write "
                    f'sort = "oldest_change_first", or until_ahead_s of {PINNED_WITHIN_S} or more'
                )
            if self.settle_seconds < -orders.until_ahead_s:
                raise ValueError(
                    f"an order is unseen for {-orders.until_ahead_s:g} s by orders.until_ahead_s alone; write "
                    f"settle_seconds = {-orders.until_ahead_s:g} or more"
                )
        return self

    @property
    def write_mode(self) -> WriteMode:
        return WriteMode.ABSOLUTE if self.stock.write.compare == "none" else WriteMode.COMPARE_AND_SET

    def open(
        self,
        secret: Secret,
        *,
        transport: httpx.BaseTransport | None = None,
        shared: Shared | None = None,
        together: Allowances | None = None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> DeclaredChannel:
        """See the base. Limits and tokens are shared by all adapters of the channel in this process, unless
        `shared` is handed in; with `together` limits are shared by all processes. Raises ValueError for a secret that
        cannot be sent."""
        known = shared or shared_for(self.code, self.base_url, self.auth.model_dump_json())
        known.together = together or known.together
        wire = Wire(
            self.code,
            base_url=self.base_url,
            credentials=credentials_for(self.auth, secret, known.token, known.clock),
            limits=self.limits,
            timeout_s=self.timeout_s,
            shared=known,
            transport=transport,
            sleep=sleep,
            now=now,
        )
        return DeclaredChannel(
            self.code,
            wire=wire,
            orders=self.orders,
            stock=self.stock,
            catalogue=self.catalogue,
            pause=self.pause,
            abilities=self.capabilities,
            now=now,
        )

    def webhooks(self, secret: Secret) -> DeclaredWebhooks | None:
        if self.webhook is None:
            return None
        return DeclaredWebhooks(self.webhook, [secret(name) for name in self.webhook.secret_envs])


def problems_of(error: ValidationError, *above: str | int) -> list[str]:
    """One line for each mistake: `channel.2.orders.paging.cursor: …`. `above` is where the table stands."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        message = "is missing; write it" if problem["type"] == "missing" else problem["msg"]
        lines.append(f"{place_of((*above, *problem['loc']))}: {message.removeprefix('Value error, ')}")
    return lines


def place_of(loc: Sequence[str | int]) -> str:
    """The keys on the way, without the tags by which pydantic names the variants of a table."""
    kept = [
        str(part) for before, part in zip(("", *loc), loc, strict=False) if before not in _VARIANTS and part != "http"
    ]
    return ".".join(kept)


_VARIANTS = frozenset({"auth", "paging", "pause"})


def _check_address(url: str, name: str, *, query: bool = False) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or "\\" in url:
        raise ValueError(f"{name} is no address; write it as https://portal.example.com/api")
    if parts.scheme != "https" and host not in _LOOPBACK:
        raise ValueError(f"{name} must begin with https://, for the secret would be readable on the way")
    if "@" in parts.netloc:
        raise ValueError(f"{name} holds a user or a password; write them into auth, as names of environment variables")
    if parts.fragment or (parts.query and not query):
        raise ValueError(f"{name} has a query or a fragment; write parameters into params")
