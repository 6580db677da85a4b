"""A WooCommerce shop in `channels.toml`."""

from typing import Literal

from adapters.channels.config import ChannelConfigBase, Secret
from adapters.channels.signatures import secrets_of
from adapters.channels.woocommerce.woocommerce import WooCommerce
from adapters.channels.woocommerce.woocommerce_webhooks import WooCommerceWebhooks
from inventory.words import WriteMode


class WooCommerceConfig(ChannelConfigBase):
    vendor: Literal["woocommerce"]
    consumer_key_env: str
    consumer_secret_env: str
    """Names of the environment variables with a key pair of permission read/write (of a user who is a shop
    manager): the vendor has no narrower one. To shadow or to try without writing, read is enough."""
    webhook_secret_env: str | tuple[str, ...] = ()
    """Names of the environment variables with the secrets of the webhooks that point at us (`order.created`,
    `order.updated`, `order.deleted`, `order.restored`); old ones too while they are rotated."""

    @property
    def write_mode(self) -> WriteMode:
        return WriteMode.ABSOLUTE

    def webhooks(self, secret: Secret) -> WooCommerceWebhooks | None:
        secrets = secrets_of(self.webhook_secret_env, secret)
        return WooCommerceWebhooks(secrets) if secrets else None

    def open(self, secret: Secret) -> WooCommerce:
        return WooCommerce(
            self.code,
            base_url=self.base_url,
            consumer_key=secret(self.consumer_key_env),
            consumer_secret=secret(self.consumer_secret_env),
            timeout_s=self.timeout_s,
        )
