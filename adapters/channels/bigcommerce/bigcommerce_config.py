"""A BigCommerce store in `channels.toml`.

The least OAuth scopes that the store's API account needs (Settings, API accounts): *Orders: read-only*
(`store_v2_orders_read_only`: orders and refunds), *Store inventory: modify* (`store_inventory`), *Products: read-only*
(`store_v2_products_read_only`: what is counted, and the catalogue). *Products: modify* (`store_v2_products`) only to
pause a store with products that it does not count. No scope of customers: their data is never asked for by itself,
and what comes with an order is dropped.
"""

from typing import Literal

from pydantic import Field

from adapters.channels.bigcommerce.bigcommerce import BigCommerce
from adapters.channels.bigcommerce.bigcommerce_webhooks import HEADER, BigCommerceWebhooks
from adapters.channels.config import ChannelConfigBase, Secret
from adapters.channels.signatures import secrets_of
from inventory.words import WriteMode


class BigCommerceConfig(ChannelConfigBase):
    vendor: Literal["bigcommerce"]
    base_url: str = Field(default="https://api.bigcommerce.com", pattern=r"^https?://\S+$")
    store_hash: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """What the API's addresses have after `/stores/`."""
    access_token_env: str
    location_id: int = Field(default=1, gt=0)
    """The store's location that quantities are written to (1 is the one that every store begins with). The storefront
    sells from all its enabled locations: nothing else of ours may lie at another one."""
    most_wait_s: float = Field(default=35, ge=0)
    """How long one call may wait for the store's next allowance of calls, which comes every 30 seconds."""
    apply_wait_s: float = Field(default=5, ge=0)
    """How long an accepted quantity may take until a read shows it; later the row counts as in doubt."""
    doubt_lowerings: bool = False
    """True: a lowering is in doubt even when it is read back, because sales could have brought the number about
    while the write is still on its way."""
    webhook_secret_env: str | tuple[str, ...] = ()
    """The value of the header that our webhooks were made with; the old one too while it is rotated."""
    webhook_header: str = Field(default=HEADER, pattern=r"^[A-Za-z0-9-]{1,64}$")
    webhook_client_secret_env: str | tuple[str, ...] = ()
    """The app's client secret, where the store signs its webhooks with it: then every call must be signed."""

    @property
    def write_mode(self) -> WriteMode:
        return WriteMode.ABSOLUTE

    def webhooks(self, secret: Secret) -> BigCommerceWebhooks | None:
        secrets = secrets_of(self.webhook_secret_env, secret)
        signing = secrets_of(self.webhook_client_secret_env, secret)
        header = self.webhook_header
        return BigCommerceWebhooks(secrets, header=header, client_secrets=signing) if secrets else None

    def open(self, secret: Secret) -> BigCommerce:
        return BigCommerce(
            self.code,
            base_url=self.base_url,
            store_hash=self.store_hash,
            access_token=secret(self.access_token_env),
            location_id=self.location_id,
            timeout_s=self.timeout_s,
            most_wait_s=self.most_wait_s,
            apply_wait_s=self.apply_wait_s,
            doubt_lowerings=self.doubt_lowerings,
        )
