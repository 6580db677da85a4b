"""`channels.toml` of the imitated shops, and what they are told of us: where webhooks go, whom they ask for a hold."""

import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from adapters.sandbox.amazon.amazon_state import SELLER
from adapters.settings import PROJECT_ROOT
from onhand.stack import Stack

WAREHOUSE = "main"
PORTAL_EXAMPLE = PROJECT_ROOT / "docs" / "portal.example.toml"


@dataclass(frozen=True)
class StageChannel:
    """One channel of the stage: which imitated vendor it is, and how it behaves."""

    vendor: str
    asks_first: bool = False
    webhooks: bool = True
    """It tells by webhooks. (Amazon tells by its queue.)"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Its own part of `channels.toml`. `{name}` is filled from what the stage knows."""


CHANNELS = {
    "shopify": StageChannel(
        "shopify",
        settings={
            "vendor": "shopify",
            "base_url": "{url}",
            "location_id": "gid://shopify/Location/1",
            "access_token_env": "{TOKEN}",
            "webhook_secret_env": "{WEBHOOK}",
        },
    ),
    "amazon": StageChannel(
        "amazon",
        webhooks=False,
        settings={
            "vendor": "amazon",
            "base_url": "{url}",
            "token_url": "{url}/auth/o2/token",
            "seller_id": SELLER,
            "marketplace_ids": ["ATVPDKIKX0DER"],
            "client_id_env": "{KEY}",
            "client_secret_env": "{SECRET}",
            "refresh_token_env": "{SECRET}",
            "queue_url": "{url}/000000000000/notifications",
            "aws_key_id_env": "{KEY}",
            "aws_secret_key_env": "{SECRET}",
            # The day is some hundred times as fast as a real one, and so is what the vendor allows.
            "rates": {
                "searchOrders": [20.0, 100.0],
                "getOrder": [200.0, 400.0],
                "getListingsItem": [200.0, 400.0],
                "searchListingsItems": [200.0, 400.0],
                "patchListingsItem": [200.0, 400.0],
            },
        },
    ),
    "ebay": StageChannel(
        "ebay",
        settings={
            "vendor": "ebay",
            "base_url": "{url}",
            "marketplace_id": "EBAY_US",
            "client_id_env": "{KEY}",
            "client_secret_env": "{SECRET}",
            "refresh_token_env": "{SECRET}",
            "notification_endpoint": "{intake}/webhooks/ebay",
            "verification_token_env": "{VERIFICATION}",
        },
    ),
    "website": StageChannel(
        "woocommerce",
        asks_first=True,
        settings={
            "vendor": "woocommerce",
            "base_url": "{url}",
            "consumer_key_env": "{KEY}",
            "consumer_secret_env": "{SECRET}",
            "webhook_secret_env": "{WEBHOOK}",
        },
    ),
    "portal": StageChannel("portal", asks_first=True),
}
"""By channel code. The portal's settings are those of docs/portal.example.toml."""


def played(stack: Stack) -> dict[str, StageChannel]:
    """The channels whose shops this stack has."""
    return {code: channel for code, channel in CHANNELS.items() if channel.vendor in stack.shops}


def channel_tables(stack: Stack, common: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The `[[channel]]` tables for the shops of this stack; puts the secrets that they name into its environment."""
    tables = []
    for code, channel in played(stack).items():
        names = _secrets(stack, code, channel)
        known = {"url": stack.shops[channel.vendor].url, "intake": stack.service_urls.get("intake", ""), **names}
        own = _portal(known["url"], names) if channel.vendor == "portal" else _filled(channel.settings, known)
        if channel.asks_first and "reservations" in stack.service_urls:
            own |= {"asks_first": True, "reservation_token_env": names["RESERVATION"]}
        tables.append({**own, "code": code, "locations": [WAREHOUSE], "mode": "live", "share": 1, **common})
    return tables


def introduce(stack: Stack) -> None:
    """Tell the running shops where our services are: from here on they send webhooks, and ask before they sell."""
    intake, reservations = (stack.service_urls[name] for name in ("intake", "reservations"))
    for code, channel in played(stack).items():
        url = stack.shops[channel.vendor].url
        if channel.webhooks:
            told = {"url": f"{intake}/webhooks/{code}", "secret": stack.environment[_variable(code, "WEBHOOK")]}
            _put(f"{url}/sandbox/webhooks", told)
        if channel.asks_first:
            token = stack.environment[_variable(code, "RESERVATION")]
            _put(f"{url}/sandbox/ask", {"url": reservations, "token": token, "ttl_seconds": 60})


def _variable(code: str, what: str) -> str:
    return f"ONHAND_STAGE_{code.upper()}_{what}"


def _secrets(stack: Stack, code: str, channel: StageChannel) -> dict[str, str]:
    """{what: name of its environment variable}; the credential of the shop, and fresh secrets for what it tells us."""
    token = stack.shops[channel.vendor].token
    key, _, secret = token.partition(":")
    values = {"TOKEN": token, "KEY": key, "SECRET": secret}
    values |= {what: secrets.token_urlsafe(32) for what in ("WEBHOOK", "VERIFICATION", "RESERVATION")}
    stack.environment |= {_variable(code, what): value for what, value in values.items()}
    return {what: _variable(code, what) for what in values}


def _filled(settings: Any, known: Mapping[str, str]) -> Any:
    if isinstance(settings, Mapping):
        return {name: _filled(value, known) for name, value in settings.items()}
    return settings.format_map(known) if isinstance(settings, str) else settings


def _portal(url: str, names: Mapping[str, str]) -> dict[str, Any]:
    """The example of the documentation, pointed at the imitated portal."""
    [example] = tomllib.loads(PORTAL_EXAMPLE.read_text(encoding="utf-8"))["channel"]
    example["base_url"] = f"{url}/api/v1"
    example["auth"] |= {"client_id_env": names["KEY"], "client_secret_env": names["SECRET"]}
    example["webhook"] |= {"secret_envs": [names["WEBHOOK"]]}
    return dict(example)


def _put(url: str, body: Mapping[str, Any]) -> None:
    httpx.put(url, json=body, timeout=10, trust_env=False).raise_for_status()
