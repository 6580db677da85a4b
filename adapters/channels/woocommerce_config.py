"""A WooCommerce shop in `channels.toml`."""

from typing import Literal

from adapters.channels.config import ChannelConfigBase, Secret
from adapters.channels.woocommerce import WooCommerce
from inventory.words import WriteMode


class WooCommerceConfig(ChannelConfigBase):
    vendor: Literal["woocommerce"]
    consumer_key_env: str
    consumer_secret_env: str
    """Names of the environment variables with a key pair of permission read/write."""

    @property
    def write_mode(self) -> WriteMode:
        return WriteMode.ABSOLUTE

    def open(self, secret: Secret) -> WooCommerce:
        return WooCommerce(
            self.code,
            base_url=self.base_url,
            consumer_key=secret(self.consumer_key_env),
            consumer_secret=secret(self.consumer_secret_env),
            timeout_s=self.timeout_s,
        )
