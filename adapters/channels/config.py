"""What every channel's configuration has in common."""

from abc import abstractmethod
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from adapters.channels.notices import NoticeQueue
from adapters.channels.protocol import Channel
from adapters.channels.webhooks import ReceivesWebhooks
from inventory.setup import ChannelSetup
from inventory.words import ChannelMode, WriteMode

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
