"""A Shopify shop in `channels.toml`."""

from typing import Literal

from pydantic import Field

from adapters.channels.config import ChannelConfigBase, Secret
from adapters.channels.shopify import Shopify
from inventory.words import WriteMode


class ShopifyConfig(ChannelConfigBase):
    vendor: Literal["shopify"]
    location_id: str = Field(pattern=r"^gid://shopify/Location/\d+$")
    access_token_env: str
    """Name of the environment variable with the access token. Scopes: read_orders, read_products,
    read_inventory, write_inventory, read_locations."""

    @property
    def write_mode(self) -> WriteMode:
        return WriteMode.COMPARE_AND_SET

    def open(self, secret: Secret) -> Shopify:
        return Shopify(
            self.code,
            base_url=self.base_url,
            access_token=secret(self.access_token_env),
            location_id=self.location_id,
            timeout_s=self.timeout_s,
        )
