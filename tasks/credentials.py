"""Credentials as Prefect blocks: a typed form in the UI for each vendor, and reading them back by name.

`channels.toml` names a secret by environment variable, or as `block:<type>/<document>.<field>`, for example
`access_token_env = "block:onhand-shopify/main.access_token"`. Registered by `python -m onhand.deploying`, which
`onhand up` runs, or by `prefect block register -m tasks.credentials`.
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import get_current_settings
from pydantic import Field, SecretStr

from adapters.settings import SettingsError

PREFIX = "block:"
KEPT_SECONDS = 180.0
"""A changed block is noticed within this time."""
STALE_SECONDS = 3600.0
"""While Prefect's server does not answer, what was read last is used for so long."""

_NAME = re.compile(r"block:(onhand-[a-z]+)/([a-z0-9]+(?:-[a-z0-9]+)*)\.([a-z_]+)")


def _secret(title: str, description: str) -> Any:
    return Field(default=None, title=title, description=description)


class ShopifyCredentials(Block):
    """What onhand needs to read and write one Shopify shop."""

    _block_type_name = "onhand Shopify"
    _block_type_slug = "onhand-shopify"

    access_token: SecretStr | None = _secret("Admin API access token", "Of the custom app; begins with shpat_")
    client_secret: SecretStr | None = _secret("Client secret", "Of the same app: it signs the webhooks")


class WooCommerceCredentials(Block):
    """What onhand needs to read and write one WooCommerce shop."""

    _block_type_name = "onhand WooCommerce"
    _block_type_slug = "onhand-woocommerce"

    consumer_key: SecretStr | None = _secret("Consumer key", "Permission read/write; begins with ck_")
    consumer_secret: SecretStr | None = _secret("Consumer secret", "Begins with cs_")
    webhook_secret: SecretStr | None = _secret("Webhook secret", "As in the webhook's own settings")


class AmazonCredentials(Block):
    """What onhand needs to read and write one Amazon seller account (Selling Partner API)."""

    _block_type_name = "onhand Amazon"
    _block_type_slug = "onhand-amazon"

    client_id: SecretStr | None = _secret("LWA client id", "Of the application in Seller Central")
    client_secret: SecretStr | None = _secret("LWA client secret", "Amazon ends it every 180 days")
    refresh_token: SecretStr | None = _secret("Refresh token", "From authorising the application; begins with Atzr|")
    aws_key_id: SecretStr | None = _secret("AWS access key id", "Only with a queue of notifications")
    aws_secret_key: SecretStr | None = _secret("AWS secret access key", "Only with a queue of notifications")


class EbayCredentials(Block):
    """What onhand needs to read and write one eBay account."""

    _block_type_name = "onhand eBay"
    _block_type_slug = "onhand-ebay"

    client_id: SecretStr | None = _secret("App ID", "Client id of the key set")
    client_secret: SecretStr | None = _secret("Cert ID", "Client secret of the key set")
    refresh_token: SecretStr | None = _secret("Refresh token", "From the seller's consent; good for about 18 months")
    verification_token: SecretStr | None = _secret("Verification token", "Your own, 32 to 80 characters: notifications")


class HttpCredentials(Block):
    """What onhand needs for a portal or marketplace that channels.toml describes, and for any other vendor."""

    _block_type_name = "onhand HTTP"
    _block_type_slug = "onhand-http"

    token: SecretStr | None = _secret("Token", "An API key or bearer token")
    username: SecretStr | None = _secret("User name", "For basic authentication")
    password: SecretStr | None = _secret("Password", "For basic authentication")
    client_id: SecretStr | None = _secret("Client id", "For OAuth client credentials")
    client_secret: SecretStr | None = _secret("Client secret", "For OAuth client credentials")
    webhook_secret: SecretStr | None = _secret("Webhook secret", "It signs what the vendor sends to us")


class SlackCredentials(Block):
    """Where alerts are posted."""

    _block_type_name = "onhand Slack"
    _block_type_slug = "onhand-slack"

    webhook_url: SecretStr | None = _secret("Webhook URL", "Of an incoming webhook; whoever has it can post")


class MailCredentials(Block):
    """The account that sends alerts by mail."""

    _block_type_name = "onhand Mail"
    _block_type_slug = "onhand-mail"

    password: SecretStr | None = _secret("Password", "Of the account at the SMTP server")


BLOCKS: tuple[type[Block], ...] = (
    ShopifyCredentials,
    WooCommerceCredentials,
    AmazonCredentials,
    EbayCredentials,
    HttpCredentials,
    SlackCredentials,
    MailCredentials,
)


def register_blocks() -> list[str]:
    """Make the forms known to Prefect's server; registering twice is registering once. Returns their slugs."""
    for block in BLOCKS:
        block.register_type_and_schema()
    return [str(block._block_type_slug) for block in BLOCKS]


@dataclass(frozen=True, slots=True)
class _Kept:
    fields: dict[str, str]
    read_at: float


class BlockSecrets:
    """Reads secrets of saved blocks and keeps them for a few minutes. Safe on any number of threads."""

    def __init__(
        self, read: Callable[[str, str], dict[str, Any]] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read or read_block
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str) -> SecretStr:
        """`name`: `block:<type>/<document>.<field>`. Raises SettingsError; no message holds a value."""
        parts = _NAME.fullmatch(name)
        if parts is None:
            raise SettingsError(f"{name} names no block; write block:onhand-shopify/main.access_token, for example")
        slug, document, wanted = parts.groups()
        fields = self._fields(slug, document)
        if wanted not in fields:
            known = ", ".join(sorted(fields)) or "nothing"
            raise SettingsError(f"the block {slug}/{document} has no {wanted} filled in; it has {known}")
        return SecretStr(fields[wanted])

    def _fields(self, slug: str, document: str) -> dict[str, str]:
        with self._lock:
            kept = self._kept.get((slug, document))
            if kept and self._clock() - kept.read_at < KEPT_SECONDS:
                return kept.fields
            try:
                found = self._read(slug, document)
            except _Unreachable as error:
                if kept and self._clock() - kept.read_at < STALE_SECONDS:
                    return kept.fields
                raise SettingsError(f"the block {slug}/{document} cannot be read: {error}") from None
            fields = {field: value for field, value in found.items() if isinstance(value, str) and value}
            self._kept[slug, document] = _Kept(fields, self._clock())
            return fields


class _Unreachable(Exception):
    """Prefect's server did not answer as it should, for now."""


def read_block(slug: str, document: str) -> dict[str, Any]:
    """The fields of one saved block, secrets in clear. Raises SettingsError: there is none, or no server is named."""
    if not _api_url():
        raise SettingsError(
            f"the secret block {slug}/{document} is kept by Prefect's server, and this process knows none: set "
            "PREFECT_API_URL, or name an environment variable in channels.toml"
        )
    try:
        with get_client(sync_client=True) as client:
            found = client.read_block_document_by_name(document, slug, include_secrets=True)
    except ObjectNotFound:
        raise SettingsError(
            f"there is no block {slug}/{document}: make it in the Prefect UI under Blocks, of that type and name"
        ) from None
    except PrefectHTTPStatusError as error:
        raise _Unreachable(f"Prefect's server answered {error.response.status_code}") from None
    except httpx.HTTPError as error:
        raise _Unreachable(f"Prefect's server did not answer, {type(error).__name__}") from None
    return dict(found.data)


def _api_url() -> str | None:
    return get_current_settings().api.url


block_secret = BlockSecrets()
"""The secrets of this process."""
