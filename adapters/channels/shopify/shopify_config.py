"""A Shopify shop in `channels.toml`."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from adapters.channels.config import ChannelConfigBase, Secret
from adapters.channels.shopify.shopify import Shopify
from adapters.channels.shopify.shopify_webhooks import ShopifyWebhooks
from adapters.channels.signatures import secrets_of
from inventory.words import WriteMode


class ShopifyConfig(ChannelConfigBase):
    vendor: Literal["shopify"]
    location_id: str = Field(pattern=r"^gid://shopify/Location/\d+$")
    access_token_env: str
    """Name of the environment variable with the access token.

    Least scopes: read_orders, read_products, read_inventory, write_inventory, read_locations (no scope to
    write includes another's). To pause: write_locations, and write_products in a shop of one location,
    where listings that go on selling at zero are stopped one by one. No customer data: none is asked for.
    """
    webhook_secret_env: str | tuple[str, ...] = ()
    """Names of the environment variables with the app's client secret; the old one too while it is rotated."""

    @property
    def write_mode(self) -> WriteMode:
        return WriteMode.COMPARE_AND_SET

    def webhooks(self, secret: Secret) -> ShopifyWebhooks | None:
        secrets = secrets_of(self.webhook_secret_env, secret)
        host = (urlsplit(self.base_url).hostname or "").lower()
        domain = host if host.endswith(".myshopify.com") else None
        return ShopifyWebhooks(secrets, shop_domain=domain, location_id=self.location_id) if secrets else None

    def open(self, secret: Secret) -> Shopify:
        return Shopify(
            self.code,
            base_url=self.base_url,
            access_token=secret(self.access_token_env),
            location_id=self.location_id,
            timeout_s=self.timeout_s,
        )
