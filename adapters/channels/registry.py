"""The channels a seller has, from one file, and the adapters that speak to them.

`channels.toml` holds addresses and policy; secrets stay in the environment, and the file names the
variables. Every mistake is told in one line that names the channel and the field.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from adapters.allowances import Allowances
from adapters.channels.amazon.amazon_config import AmazonConfig
from adapters.channels.bigcommerce.bigcommerce_config import BigCommerceConfig
from adapters.channels.config import Secret
from adapters.channels.ebay.ebay_budget import CountedByPublications
from adapters.channels.ebay.ebay_config import EbayConfig
from adapters.channels.http_config import HttpConfig, problems_of
from adapters.channels.protocol import Channel
from adapters.channels.shopify.shopify_config import ShopifyConfig
from adapters.channels.woocommerce.woocommerce_config import WooCommerceConfig


class ChannelFileError(ValueError):
    """The channel file is missing or makes no sense; one line a mistake."""


ChannelConfig = Annotated[
    ShopifyConfig | AmazonConfig | EbayConfig | WooCommerceConfig | BigCommerceConfig | HttpConfig,
    Field(discriminator="vendor"),
]
_channels: TypeAdapter[list[ChannelConfig]] = TypeAdapter(list[ChannelConfig])


def read_channels(path: Path) -> dict[str, ChannelConfig]:
    """The channels of a file, by code. Raises ChannelFileError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ChannelFileError(f"{path} does not exist; see docs/channels.example.toml") from None
    except OSError as error:
        raise ChannelFileError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        # Also a number of too many digits, and tables that are nested too deep.
        raise ChannelFileError(f"{path} is not valid TOML: {error}") from None
    try:
        channels = _channels.validate_python(content.get("channel", []))
    except ValidationError as error:
        problems = problems_of(error, "channel")
        raise ChannelFileError("\n".join(f"{path}: {problem}" for problem in problems)) from None
    if not channels:
        raise ChannelFileError(f"{path} has no [[channel]]")
    by_code = {channel.code: channel for channel in channels}
    if len(by_code) != len(channels):
        raise ChannelFileError(f"{path} has two channels with one code")
    return by_code


Revisions = Callable[[str, Sequence[str], datetime, datetime], Mapping[str, int]]
"""(channel, refs, since, until) → how often each listing was written to, by all processes together."""


def open_channel(
    config: ChannelConfig, secret: Secret, revisions: Revisions | None = None, together: Allowances | None = None
) -> Channel:
    """The adapter of one channel, ready to be used by one thread at a time; close it when done.

    `revisions`: for vendors that limit how often a listing may be written to. None: each process counts its own.
    `together`: for vendors that count calls without telling how many are left. None: likewise.
    """
    if isinstance(config, EbayConfig) and revisions is not None:
        return config.open(secret, CountedByPublications(partial(revisions, config.code)))
    if isinstance(config, AmazonConfig | HttpConfig) and together is not None:
        return config.open(secret, together=together)
    return config.open(secret)
