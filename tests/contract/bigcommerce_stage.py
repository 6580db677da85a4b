"""What the tests of the BigCommerce adapter share: a sandbox store on loopback and the adapter in front of it."""

from typing import Any

import yaml
from channel_stage import Clock, Stage, Traits
from pydantic import SecretStr
from spec_joined import join
from spec_traffic import SPECS, Spec

from adapters.channels.bigcommerce.bigcommerce import BigCommerce
from adapters.channels.protocol import Channel
from adapters.sandbox.bigcommerce.bigcommerce import STORE_HASH, create_app
from adapters.sandbox.bigcommerce.bigcommerce_state import Habits, Store
from adapters.sandbox.shop import Order, Product, Shop

TOKEN, WRONG_TOKEN = "bc-token-very-secret", "bc-token-wrong-one"
FAMILY = 77
DOCUMENTS = ("orders.v2.oas2.yml", "orders.v3.yml", "inventory.v3.yml", "products_catalog.v3.yml")


class BigCommerceStage(Stage):
    """Everything on virtual clocks. Every third product is a variant of one family."""

    secrets = (TOKEN, WRONG_TOKEN)

    def __init__(self, url: str, *, habits: Habits | None = None) -> None:
        self.url = url
        self.clock = Clock()
        self.shop = Shop(now=self.clock.shop_now, monotonic=self.clock.monotonic)
        self.habits = habits or Habits(calls_per_window=0)
        self._let_in(TOKEN)
        self.traits = Traits(
            orders_per_page=5,
            reversals=frozenset({"cancel", "refund"}),
            cancel_reasons=frozenset({"payment"}),
            settles_in_s=self.habits.apply_delay_s,
            unknown_ref="999999999/999999999",
            oversell=False,
            pauses_by_quantity=True,
        )
        self.opened: list[BigCommerce] = []
        self.channel = self.adapter()

    def _let_in(self, token: str) -> None:
        self.app = create_app(self.shop, access_token=token, habits=self.habits)
        before = getattr(self, "store", None)
        self.store: Store = self.app.state.bigcommerce
        if before is not None:
            self.store.families = before.families

    def adapter(self, **options: Any) -> BigCommerce:
        settings: dict[str, Any] = {
            "base_url": self.url,
            "store_hash": STORE_HASH,
            "access_token": SecretStr(TOKEN),
            "timeout_s": 30.0,
            "page_size": 5,
            "clock": self.clock.monotonic,
            "sleep": self.clock.sleep,
        }
        self.opened.append(BigCommerce("bigcommerce", **{**settings, **options}))
        return self.opened[-1]

    def another(self, *, timeout_s: float = 30.0, right_credentials: bool = True) -> Channel:
        token = TOKEN if right_credentials else WRONG_TOKEN
        return self.adapter(timeout_s=timeout_s, access_token=SecretStr(token))

    def add(self, sku: str, quantity: int, **flags: Any) -> Product:
        product = super().add(sku, quantity, **flags)
        if len(self.shop.products) % 3 == 0:
            self.store.families[product.number] = FAMILY
        return product

    def expire_credentials(self) -> None:
        self._let_in("rotated")

    def settle(self) -> None:
        super().settle()
        with self.shop.lock:
            self.store.settle()

    def buy(self, *lines: tuple[str, int], test: bool = False) -> Order:
        with self.shop.lock:
            self.store.settle()
        return super().buy(*lines, test=test)

    def close(self) -> None:
        for channel in self.opened:
            channel.close()


def load_spec() -> Spec:
    """401 and 429 are documented for all APIs at once, and 204 for the lists of version 2 nowhere."""
    return Spec.load(*(SPECS / "bigcommerce" / name for name in DOCUMENTS), amend=amend, undocumented=(204, 401, 429))


def amend(document: dict[str, Any]) -> None:
    """Where the documents contradict their own descriptions."""
    for parameter in document["components"].get("parameters", {}).values():
        # "List of … separated by comma", declared as one number.
        if parameter["name"].endswith("_id:in") and parameter["schema"].get("type") == "integer":
            parameter["schema"] = {"type": "string", "pattern": r"^[0-9]+(,[0-9]+)*$"}
        # "To specify the direction, add :asc or :desc".
        if parameter["name"] == "sort" and "date_modified" in parameter["schema"]["enum"]:
            ways = ["", ":asc", ":desc"]
            parameter["schema"]["enum"] = [f"{name}{way}" for name in parameter["schema"]["enum"] for way in ways]
    join(document)
    if "/catalog/products" in document["paths"]:
        _with_variants(document, _variant_schema())


def _with_variants(value: Any, variant: dict[str, Any]) -> None:
    """`include=variants` is documented, what then comes is not; and of `base_variant_id` it says "null for complex"."""
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _with_variants(one, variant)
    properties = value.get("properties") if isinstance(value, dict) else None
    if isinstance(properties, dict) and "availability" in properties and "id" in properties:
        # Called read-only, and required to update several products.
        properties["id"] = {"type": "integer"}
    if isinstance(properties, dict) and "base_variant_id" in properties:
        properties["base_variant_id"] = {"type": "integer", "nullable": True}
        properties["variants"] = {"type": "array", "items": variant}


def _variant_schema() -> dict[str, Any]:
    """As the list of all variants has it, in the vendor's document of variants."""
    path = SPECS / "bigcommerce" / "product-variants_catalog.v3.yml"
    document = yaml.safe_load(path.read_text())
    join(document)
    answer = document["paths"]["/catalog/variants"]["get"]["responses"]["200"]
    schema: dict[str, Any] = answer["content"]["application/json"]["schema"]["properties"]["data"]["items"]
    return schema
