"""Imitated shops, a ledger with limited stock, and the configuration that connects them: for demo and `up`."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import httpx
import tomli_w
from sqlalchemy import Connection, Engine

from adapters.channels.registry import read_channels
from adapters.database import in_transaction
from adapters.settings import Settings
from inventory import setup
from inventory.ledger import stock
from inventory.skus import is_non_stock
from onhand.stack import SERVICES, Progress, Stack, StackError, running_stack
from onhand.trading_day.stage_channels import CHANNELS, WAREHOUSE, channel_tables, played

SETTLE_SECONDS = 1.0
"""The imitated shops show an order to the API at most this long after it was placed."""
IN_DOUBT_SECONDS = 6.0
"""They apply a write whose answer never came within this time, or never."""
COMMON = {
    "settle_seconds": SETTLE_SECONDS,
    "in_doubt_seconds": IN_DOUBT_SECONDS,
    "overlap_seconds": 5,
    "timeout_s": 2,
}
"""What all channels of the stage have in `channels.toml`."""


def fresh_stack(
    settings: Settings,
    folder: str,
    progress: Progress,
    *,
    channels: Sequence[str] = tuple(CHANNELS),
    services: Sequence[str] = SERVICES,
    deploy: bool = True,
) -> Stack:
    """A stack in a folder of its own, wiped: the shops live in memory and begin with nothing, and so must the rest.

    `channels` are codes of `CHANNELS`. Raises StackError when one runs there.
    """
    data_dir = settings.data_dir / folder
    if (running := running_stack(data_dir)) is not None:
        raise StackError(f"a stack runs already on {data_dir} (process {running.pid}): stop it first")
    if data_dir.exists():
        shutil.rmtree(data_dir)
    data_dir.mkdir(parents=True)
    file = data_dir / "channels.toml"
    own = settings.model_copy(update={"data_dir": data_dir, "channels_file": file, "database_url": None})
    stack = Stack(
        own,
        shops=[CHANNELS[code].vendor for code in channels],
        services=services,
        deploy=deploy,
        progress=progress,
    )
    stack.environment["ONHAND_CHANNELS_FILE"] = str(file)
    file.write_text(tomli_w.dumps({"channel": channel_tables(stack, COMMON)}))
    return stack


def shop_urls(stack: Stack) -> dict[str, str]:
    return {code: stack.shops[channel.vendor].url for code, channel in played(stack).items()}


def set_up(stack: Stack, engine: Engine, units: Mapping[str, int]) -> None:
    """The SKUs with these units in the warehouse, on sale in every shop, which show none of them yet."""
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
