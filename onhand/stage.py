"""Two imitated shops, a ledger with limited stock, and the configuration that connects them: for demo and `up`."""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx
from sqlalchemy import Connection, Engine

from adapters.channels.registry import read_channels
from adapters.database import in_transaction
from adapters.settings import Settings
from inventory import setup, stock
from inventory.skus import is_non_stock
from onhand.stack import Progress, Stack, StackError, running_stack

WAREHOUSE = "main"
SHOPS = {"shopify": "shopify", "website": "woocommerce"}
"""{channel code: vendor}"""

_CHANNELS = """\
# Written for the imitated shops of this stack. Real shops: docs/channels.example.toml.
[[channel]]
code = "shopify"
vendor = "shopify"
base_url = "{shopify}"
location_id = "gid://shopify/Location/1"
access_token_env = "ONHAND_STAGE_SHOPIFY_TOKEN"
locations = ["{warehouse}"]
mode = "live"
share = 1
settle_seconds = {settle}
in_doubt_seconds = {in_doubt}
overlap_seconds = 5
timeout_s = 2

[[channel]]
code = "website"
vendor = "woocommerce"
base_url = "{website}"
consumer_key_env = "ONHAND_STAGE_WEBSITE_KEY"
consumer_secret_env = "ONHAND_STAGE_WEBSITE_SECRET"
locations = ["{warehouse}"]
mode = "live"
share = 1
settle_seconds = {settle}
in_doubt_seconds = {in_doubt}
overlap_seconds = 5
timeout_s = 2
"""

SETTLE_SECONDS = 1.0
"""The imitated shops show an order to the API at most this long after it was placed."""
IN_DOUBT_SECONDS = 6.0
"""They apply a write whose answer never came within this time, or never."""


def fresh_stack(settings: Settings, folder: str, progress: Progress, *, deploy: bool = True) -> Stack:
    """A stack in a folder of its own, wiped: the shops live in memory and begin with nothing, and so must the rest.

    Raises StackError when one runs there.
    """
    data_dir = settings.data_dir / folder
    if (running := running_stack(data_dir)) is not None:
        raise StackError(f"a stack runs already on {data_dir} (process {running.pid}): stop it first")
    if data_dir.exists():
        shutil.rmtree(data_dir)
    data_dir.mkdir(parents=True)
    channels = data_dir / "channels.toml"
    own = settings.model_copy(update={"data_dir": data_dir, "channels_file": channels, "database_url": None})
    stack = Stack(own, shops=tuple(SHOPS.values()), deploy=deploy, progress=progress)
    key, _, secret = stack.shops["woocommerce"].token.partition(":")
    stack.environment |= {
        "ONHAND_CHANNELS_FILE": str(channels),
        "ONHAND_STAGE_SHOPIFY_TOKEN": stack.shops["shopify"].token,
        "ONHAND_STAGE_WEBSITE_KEY": key,
        "ONHAND_STAGE_WEBSITE_SECRET": secret,
    }
    channels.write_text(
        _CHANNELS.format(**shop_urls(stack), warehouse=WAREHOUSE, settle=SETTLE_SECONDS, in_doubt=IN_DOUBT_SECONDS)
    )
    return stack


def shop_urls(stack: Stack) -> dict[str, str]:
    return {code: stack.shops[vendor].url for code, vendor in SHOPS.items()}


def set_up(stack: Stack, engine: Engine, units: Mapping[str, int]) -> None:
    """The SKUs with these units in the warehouse, on sale in both shops, which show none of them yet."""
    goods = {sku: count for sku, count in units.items() if not is_non_stock(sku)}
    refs = {code: _add_products(url, list(goods)) for code, url in shop_urls(stack).items()}
    channels = read_channels(stack.settings.channels_file)
    now = datetime.now(UTC)

    def work(connection: Connection) -> None:
        setup.add_items(connection, dict.fromkeys(goods, ""))
        setup.add_locations(connection, [WAREHOUSE])
        for code, config in channels.items():
            setup.add_channel(connection, config.setup())
            setup.add_listings(connection, code, [(ref, sku, 1) for sku, ref in refs[code].items()])
        lines = [(sku, WAREHOUSE, count) for sku, count in goods.items()]
        stock.receive(connection, lines, receipt="opening stock", actor="stage", now=now)

    in_transaction(engine, work)


def _add_products(url: str, skus: list[str]) -> dict[str, str]:
    """{SKU: listing ref} in an imitated shop."""
    body = [{"sku": sku, "title": f"Product {sku}", "quantity": 0} for sku in skus]
    response = httpx.post(f"{url}/sandbox/products", json=body, timeout=60, trust_env=False)
    response.raise_for_status()
    return {row["sku"]: row["listing_ref"] for row in response.json()}


def set_faults(url: str, faults: list[dict[str, object]]) -> None:
    httpx.put(f"{url}/sandbox/faults", json=faults, timeout=10, trust_env=False).raise_for_status()


def shop_state(url: str) -> dict[str, object]:
    """The truth of an imitated shop: products, orders, calls, faults."""
    response = httpx.get(f"{url}/sandbox/state", timeout=60, trust_env=False)
    response.raise_for_status()
    state: dict[str, object] = response.json()
    return state
