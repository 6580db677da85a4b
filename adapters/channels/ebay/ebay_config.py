"""An eBay account in `channels.toml`."""

from typing import Literal

from pydantic import Field, model_validator

from adapters.channels.config import ChannelConfigBase, Secret
from adapters.channels.ebay.ebay import Ebay
from adapters.channels.ebay.ebay_budget import RevisionLog
from adapters.channels.ebay.ebay_memory import memory_of
from adapters.channels.ebay.ebay_notifications import EbayWebhooks
from inventory.words import WriteMode


class EbayConfig(ChannelConfigBase):
    """`base_url` is `https://api.ebay.com` (`https://api.sandbox.ebay.com` for eBay's own sandbox).

    Least scopes that the seller consents to: `https://api.ebay.com/oauth/api_scope` (the Trading preference),
    `…/oauth/api_scope/sell.inventory`, and `…/oauth/api_scope/sell.fulfillment` (its `.readonly` form is enough:
    orders are only read). The application's own token needs `https://api.ebay.com/oauth/api_scope`.
    """

    vendor: Literal["ebay"]
    marketplace_id: str = Field(pattern=r"^EBAY_[A-Z_]{2,20}$")
    client_id_env: str
    client_secret_env: str
    """Names of the environment variables with the application's key set (App ID and Cert ID)."""
    refresh_token_env: str
    """Name of the environment variable with the seller's refresh token (good for about 18 months)."""
    merchant_location_key: str | None = Field(default=None, max_length=36)
    """The inventory location that the numbers are written to; without it the account's total is set."""
    notification_endpoint: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """The address of our intake as eBay has it, to the letter: the challenge is answered with it."""
    verification_token_env: str | None = None
    """Name of the environment variable with the verification token, 32 to 80 letters, digits, `_` and `-`."""

    @model_validator(mode="after")
    def _both_or_none(self) -> "EbayConfig":
        if (self.notification_endpoint is None) != (self.verification_token_env is None):
            raise ValueError("notification_endpoint and verification_token_env go together")
        return self

    @property
    def write_mode(self) -> WriteMode:
        return WriteMode.ABSOLUTE

    def open(self, secret: Secret, revisions: RevisionLog | None = None) -> Ebay:
        """`revisions`: a log that all processes share (`ebay_budget.CountedByPublications`); None: this one's own."""
        client_id, client_secret = secret(self.client_id_env), secret(self.client_secret_env)
        refresh_token = secret(self.refresh_token_env)
        memory = memory_of(self.base_url, client_id, client_secret, refresh_token)
        if revisions is not None:
            memory.revisions = revisions
        return Ebay(
            self.code,
            base_url=self.base_url,
            client_id=client_id,
            client_secret=client_secret,
            refresh_token=refresh_token,
            marketplace_id=self.marketplace_id,
            merchant_location_key=self.merchant_location_key,
            timeout_s=self.timeout_s,
            memory=memory,
        )

    def webhooks(self, secret: Secret) -> EbayWebhooks | None:
        if self.notification_endpoint is None or self.verification_token_env is None:
            return None
        token = secret(self.verification_token_env)
        return EbayWebhooks(
            self.code,
            base_url=self.base_url,
            client_id=secret(self.client_id_env),
            client_secret=secret(self.client_secret_env),
            endpoint=self.notification_endpoint,
            verification_token=token,
            timeout_s=self.timeout_s,
        )
