"""An Amazon seller in `channels.toml`.

The least roles that the application needs in Seller Central (Develop Apps): *Inventory and Order Tracking*
(orders, without any personal data), *Product Listing* (quantities), *Amazon Fulfillment* only where FBA stock is
read. No restricted role: buyer and recipient are never asked for. The queue's credential needs `sqs:ReceiveMessage`
and `sqs:DeleteMessage` on that one queue; its policy lets Amazon's account 437568002678 send to it.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from adapters.allowances import Allowances
from adapters.channels.amazon.amazon import TOKEN_URL, Amazon
from adapters.channels.amazon.amazon_budget import PLANS, Plan
from adapters.channels.amazon.amazon_notifications import AmazonQueue
from adapters.channels.config import ChannelConfigBase, Secret
from inventory.words import WriteMode


class AmazonConfig(ChannelConfigBase):
    vendor: Literal["amazon"]
    base_url: str = Field(default="https://sellingpartnerapi-na.amazon.com", pattern=r"^https?://\S+$")
    """By region: sellingpartnerapi-na, -eu or -fe."""
    token_url: str = Field(default=TOKEN_URL, pattern=r"^https?://\S+$")
    seller_id: str = Field(min_length=1)
    marketplace_ids: tuple[str, ...] = Field(min_length=1, max_length=50)
    """The first is the one that quantities are written to."""
    client_id_env: str
    client_secret_env: str
    """Amazon ends it every 180 days."""
    refresh_token_env: str
    settle_seconds: float = Field(default=600, ge=0)
    """More than the two minutes for which Amazon keeps a change from `searchOrders`."""
    rates: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Operation → calls a second and burst, where the seller's plan is not the default (`amazon_budget.PLANS`)."""
    most_wait_s: float = Field(default=5, ge=0)
    apply_wait_s: float = Field(default=5, ge=0)
    """How long an accepted quantity may take until a read shows it; later the row counts as in doubt."""
    feed_wait_s: float = Field(default=20, ge=0)
    feed_from: int = Field(default=50, ge=1, le=1000)
    """So many quantities and more at once go by feed."""
    doubt_lowerings: bool = False
    """True: a lowering is in doubt even when it is read back, because sales could have brought the number about
    while the write is still on its way."""
    queue_url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """The SQS queue to which Amazon sends its notifications."""
    aws_key_id_env: str | None = None
    aws_secret_key_env: str | None = None

    @model_validator(mode="after")
    def _a_queue_has_keys(self) -> Self:
        if self.queue_url is not None and None in (self.aws_key_id_env, self.aws_secret_key_env):
            raise ValueError("queue_url needs aws_key_id_env and aws_secret_key_env")
        unknown = self.rates.keys() - PLANS.keys()
        if unknown:
            raise ValueError(f"rates: no operation {min(unknown)}; there are {', '.join(sorted(PLANS))}")
        return self

    @property
    def write_mode(self) -> WriteMode:
        return WriteMode.ABSOLUTE

    def open(self, secret: Secret, together: Allowances | None = None) -> Amazon:
        return Amazon(
            self.code,
            base_url=self.base_url,
            token_url=self.token_url,
            seller_id=self.seller_id,
            marketplace_ids=self.marketplace_ids,
            client_id=secret(self.client_id_env).get_secret_value(),
            client_secret=secret(self.client_secret_env),
            refresh_token=secret(self.refresh_token_env),
            plans={name: Plan(rate, burst) for name, (rate, burst) in self.rates.items()},
            timeout_s=self.timeout_s,
            most_wait_s=self.most_wait_s,
            apply_wait_s=self.apply_wait_s,
            feed_wait_s=self.feed_wait_s,
            feed_from=self.feed_from,
            doubt_lowerings=self.doubt_lowerings,
            together=together,
        )

    def queue(self, secret: Secret) -> AmazonQueue | None:
        """The queue of notifications; None when none is configured."""
        if self.queue_url is None or self.aws_key_id_env is None or self.aws_secret_key_env is None:
            return None
        return AmazonQueue(
            self.code,
            queue_url=self.queue_url,
            key_id=secret(self.aws_key_id_env).get_secret_value(),
            secret_key=secret(self.aws_secret_key_env),
            timeout_s=self.timeout_s,
        )
