"""The channels a seller has, from one file, and the adapters that speak to them.

`channels.toml` holds addresses and policy; secrets stay in the environment, and the file names the
variables. Every mistake is told in one line that names the channel and the field.
"""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from adapters.channels.protocol import Channel
from adapters.channels.shopify import Shopify
from adapters.channels.woocommerce import WooCommerce
from inventory.setup import ChannelSetup
from inventory.words import ChannelMode, WriteMode


class ChannelFileError(ValueError):
    """The channel file is missing or makes no sense; one line a mistake."""


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    code: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    """Ours, in tables, names of runs and alerts: lower case, digits and dashes."""
    base_url: str = Field(pattern=r"^https?://\S+$")
    locations: tuple[str, ...] = Field(min_length=1)
    """Codes of our locations that this channel may sell from."""
    mode: ChannelMode = ChannelMode.SHADOW
    share: int = Field(default=1, gt=0)
    settle_seconds: float = Field(default=600, ge=0)
    in_doubt_seconds: float = Field(default=600, gt=0)
    overlap_seconds: float = Field(default=600, ge=0)
    timeout_s: float = Field(default=10, gt=0)

    def setup(self) -> ChannelSetup:
        """The row of the channel in the ledger."""
        return ChannelSetup(
            code=self.code,
            vendor=self.vendor,  # type: ignore[attr-defined]  # each subclass says which
            write_mode=self.write_mode,  # type: ignore[attr-defined]
            locations=self.locations,
            mode=self.mode,
            share=self.share,
            settle_seconds=self.settle_seconds,
            in_doubt_seconds=self.in_doubt_seconds,
            overlap_seconds=self.overlap_seconds,
        )


class ShopifyConfig(_Config):
    vendor: Literal["shopify"]
    location_id: str = Field(pattern=r"^gid://shopify/Location/\d+$")
    access_token_env: str
    """Name of the environment variable with the access token. Scopes: read_orders, read_products,
    read_inventory, write_inventory, read_locations."""

    @property
    def write_mode(self) -> WriteMode:
        return WriteMode.COMPARE_AND_SET


class WooCommerceConfig(_Config):
    vendor: Literal["woocommerce"]
    consumer_key_env: str
    consumer_secret_env: str
    """Names of the environment variables with a key pair of permission read/write."""

    @property
    def write_mode(self) -> WriteMode:
        return WriteMode.ABSOLUTE


ChannelConfig = Annotated[ShopifyConfig | WooCommerceConfig, Field(discriminator="vendor")]
Secret = Callable[[str], SecretStr]
"""Name of an environment variable → its value."""

_channels: TypeAdapter[list[ChannelConfig]] = TypeAdapter(list[ChannelConfig])


def read_channels(path: Path) -> dict[str, ChannelConfig]:
    """The channels of a file, by code. Raises ChannelFileError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ChannelFileError(f"{path} does not exist; see docs/channels.example.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ChannelFileError(f"{path} is not valid TOML: {error}") from None
    try:
        channels = _channels.validate_python(content.get("channel", []))
    except ValidationError as error:
        raise ChannelFileError("\n".join(_problem(path, one) for one in error.errors())) from None
    if not channels:
        raise ChannelFileError(f"{path} has no [[channel]]")
    by_code = {channel.code: channel for channel in channels}
    if len(by_code) != len(channels):
        raise ChannelFileError(f"{path} has two channels with one code")
    return by_code


def _problem(path: Path, problem: object) -> str:
    assert isinstance(problem, dict)
    place = ".".join(str(part) for part in problem["loc"])
    return f"{path}: channel {place}: {problem['msg']}"


def open_channel(config: ChannelConfig, secret: Secret) -> Channel:
    """The adapter of one channel, ready to be used by one thread at a time; close it when done."""
    if isinstance(config, ShopifyConfig):
        return Shopify(
            config.code,
            base_url=config.base_url,
            access_token=secret(config.access_token_env),
            location_id=config.location_id,
            timeout_s=config.timeout_s,
        )
    return WooCommerce(
        config.code,
        base_url=config.base_url,
        consumer_key=secret(config.consumer_key_env),
        consumer_secret=secret(config.consumer_secret_env),
        timeout_s=config.timeout_s,
    )
