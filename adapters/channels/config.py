"""What every channel's configuration has in common."""

from abc import abstractmethod
from collections.abc import Callable
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from adapters.channels.notices import NoticeQueue
from adapters.channels.protocol import Channel
from adapters.channels.webhooks import ReceivesWebhooks
from inventory.setup import ChannelSetup
from inventory.words import ChannelMode, WriteMode

LOOPBACK = ("127.0.0.1", "::1", "localhost")

Secret = Callable[[str], SecretStr]
"""Name of a secret, as `channels.toml` has it → its value."""


def _unset(name: str) -> SecretStr:
    """Stands for a secret where only the question matters whether one is named."""
    return SecretStr(name)


class ChannelConfigBase(BaseModel):
    """What every channel's table in `channels.toml` has. A vendor's class adds its own fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    code: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    """Ours, in tables, names of runs and alerts: lower case, digits and dashes."""
    vendor: str
    """Each vendor's class narrows it to one literal, by which the table is recognised."""
    base_url: str = Field(pattern=r"^https?://\S+$")
    locations: tuple[str, ...] = Field(min_length=1)
    """Codes of our locations that this channel may sell from."""
    mode: ChannelMode = ChannelMode.SHADOW
    share: int = Field(default=1, gt=0)
    asks_first: bool = False
    """It asks the reservation API before each sale, so it needs no share of its own: it sells from the pool."""
    reservation_token_env: str | tuple[str, ...] | None = None
    """Name of the environment variable with the token by which the reservation API knows it; several for rotation."""
    settle_seconds: float = Field(default=600, ge=0)
    in_doubt_seconds: float = Field(default=600, gt=0)
    overlap_seconds: float = Field(default=600, ge=0)
    timeout_s: float = Field(default=10, gt=0)

    @field_validator("base_url", "token_url", "queue_url", check_fields=False)
    @classmethod
    def _keeps_secrets(cls, url: str | None, info: ValidationInfo) -> str | None:
        """Tokens go there. Raises ValueError: over plain HTTP they could be read on the way."""
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            host = None
        if not host or "\\" in url:
            raise ValueError(f"{info.field_name} is no address; write it as https://api.example.com")
        if parts.scheme != "https" and host not in LOOPBACK:
            raise ValueError(f"{info.field_name} must begin with https://, for the secret would be readable on the way")
        if "@" in parts.netloc:
            raise ValueError(
                f"{info.field_name} holds a user or a password; name them, as an environment variable or a block"
            )
        return url

    @property
    @abstractmethod
    def write_mode(self) -> WriteMode: ...

    @abstractmethod
    def open(self, secret: Secret) -> Channel:
        """The adapter, ready to be used by one thread at a time; close it when done."""

    def webhooks(self, secret: Secret) -> ReceivesWebhooks | None:
        """What judges and reads this channel's webhooks; None when it has none, or no secret is named for them."""
        return None

    def queue(self, secret: Secret) -> NoticeQueue | None:
        """The queue that it puts its notices in, for one thread; None when it has none."""
        return None

    def tells_by_itself(self) -> bool:
        """Whether webhooks or a queue are set up for it; asks for no secret."""
        return self.webhooks(_unset) is not None or self.queue(_unset) is not None

    def setup(self) -> ChannelSetup:
        """The row of the channel in the ledger."""
        return ChannelSetup(
            code=self.code,
            vendor=self.vendor,
            write_mode=self.write_mode,
            locations=self.locations,
            mode=self.mode,
            share=self.share,
            settle_seconds=self.settle_seconds,
            in_doubt_seconds=self.in_doubt_seconds,
            overlap_seconds=self.overlap_seconds,
            asks_first=self.asks_first,
        )
