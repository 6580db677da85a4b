"""What the tests of the declared channel share: the imitated portal, and the description that is its example."""

import json
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import httpx
from channel_stage import Clock, Stage, Traits
from pydantic import SecretStr
from spec_openapi import OpenApiSpec

from adapters.channels.declared.declared import DeclaredChannel
from adapters.channels.declared.declared_wire import Shared
from adapters.channels.http_config import HttpConfig
from adapters.sandbox.portal.portal import create_app
from adapters.sandbox.portal.portal_openapi import document
from adapters.sandbox.shop import Product, Shop

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "portal.example.toml"
API = "/api/v1"
CLIENT_ID = "onhand-client"
SECRET = "cs_71-very-secret"
WRONG_SECRET = "cs_13-wrong-one"
API_KEY = "pk_88-header-secret"


def example() -> dict[str, Any]:
    """The table of the example, as it is read from the file; a new one each time."""
    (table,) = tomllib.loads(EXAMPLE.read_text())["channel"]
    return dict(table)


def merged(table: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` by dotted place; None takes the key away."""
    changed: dict[str, Any] = json.loads(json.dumps(table))
    for place, value in changes.items():
        *above, key = place.split(".")
        at = changed
        for part in above:
            at = at[part]
        if value is None:
            at.pop(key, None)
        else:
            at[key] = value
    return changed


def secrets(values: dict[str, str]) -> Any:
    return lambda name: SecretStr(values[name])


RIGHT = {"PORTAL_CLIENT_ID": CLIENT_ID, "PORTAL_CLIENT_SECRET": SECRET, "PORTAL_KEY": API_KEY}
WRONG = {"PORTAL_CLIENT_ID": CLIENT_ID, "PORTAL_CLIENT_SECRET": WRONG_SECRET, "PORTAL_KEY": WRONG_SECRET}


class PortalStage(Stage):
    """For the contract suite; `changes` vary the description."""

    secrets = (SECRET, WRONG_SECRET, API_KEY)
    traits = Traits(
        orders_per_page=5,
        reversals=frozenset({"cancel", "refund", "return", "remove"}),
        cancel_reasons=frozenset({"customer", "payment", "fraud", "inventory", "damaged", "other"}),
        tells_restocked=True,
        tells_test_orders=True,
        renews_credentials=True,
        unknown_ref="ART/999999999",
    )
    changes: ClassVar[dict[str, Any]] = {}

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = Clock()
        self.shop = Shop(now=self.clock.shop_now, monotonic=self.clock.monotonic)
        self.app = create_app(self.shop, client_id=CLIENT_ID, client_secret=SECRET, api_key=API_KEY)
        self.opened: list[DeclaredChannel] = []
        self.channel = self.another()

    def config(self, **settings: Any) -> HttpConfig:
        table = {**merged(example(), self.changes), "base_url": f"{self.url}{API}", **settings}
        table["orders"] = {**table["orders"], "page_size": self.traits.orders_per_page}
        return HttpConfig(**table)

    def another(
        self,
        *,
        timeout_s: float = 30.0,
        right_credentials: bool = True,
        transport: httpx.BaseTransport | None = None,
    ) -> DeclaredChannel:
        channel = self.config(timeout_s=timeout_s).open(
            secrets(RIGHT if right_credentials else WRONG),
            transport=transport,
            shared=Shared(clock=self.clock.monotonic),
            sleep=self.clock.sleep,
            now=self.clock.now,
        )
        self.opened.append(channel)
        return channel

    def expire_credentials(self) -> None:
        self.app.state.portal.revoke()

    def is_selling(self, product: Product) -> bool:
        return not self.shop.closed and product.listed and product.quantity > 0

    def close(self) -> None:
        for channel in self.opened:
            channel.close()


class KeyedByVersionStage(PortalStage):
    """A key in a header that nobody renews, and a compare-and-set by version."""

    traits = Traits(
        orders_per_page=4,
        reversals=PortalStage.traits.reversals,
        cancel_reasons=PortalStage.traits.cancel_reasons,
        tells_restocked=True,
        tells_test_orders=True,
        unknown_ref="ART/999999999",
    )
    changes: ClassVar[dict[str, Any]] = {
        "auth": {"kind": "header", "name": "X-Portal-Key", "value_env": "PORTAL_KEY"},
        "stock.write.compare": "version",
        "stock.write.row": {"article": "{listing_ref}", "available": "{quantity}", "if_version": "{version}"},
        "stock.read.fields.version": "version",
    }

    def expire_credentials(self) -> None:
        self.app.state.portal._api_key = "another-one"


class PausedByZerosStage(PortalStage):
    """No switch: a pause sets every listing to zero. Written absolutely, read without a single endpoint."""

    traits = Traits(
        orders_per_page=6,
        reversals=PortalStage.traits.reversals,
        cancel_reasons=PortalStage.traits.cancel_reasons,
        tells_restocked=True,
        tells_test_orders=True,
        renews_credentials=True,
        unknown_ref="ART/999999999",
        pauses_by_quantity=True,
    )
    changes: ClassVar[dict[str, Any]] = {
        "pause": None,
        "orders.single": None,
        "stock.write.compare": None,
        "stock.write.row": {"article": "{listing_ref}", "available": "{quantity}"},
    }


def load_spec() -> OpenApiSpec:
    """The portal's own specification."""
    return OpenApiSpec([document()], None, (), ("/openapi.json",), ())
