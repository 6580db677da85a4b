"""The channels a seller has, from one file, and the adapters that speak to them.

`channels.toml` holds addresses and policy; secrets stay in the environment, and the file names the
variables. Every mistake is told in one line that names the channel and the field.
"""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from adapters.channels.config import Secret
from adapters.channels.protocol import Channel
from adapters.channels.shopify_config import ShopifyConfig
from adapters.channels.woocommerce_config import WooCommerceConfig


class ChannelFileError(ValueError):
    """The channel file is missing or makes no sense; one line a mistake."""


ChannelConfig = Annotated[ShopifyConfig | WooCommerceConfig, Field(discriminator="vendor")]
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
    return config.open(secret)
