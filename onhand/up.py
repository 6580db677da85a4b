"""`onhand up`: everything on this machine until somebody stops it, with imitated shops or with the seller's own."""

import json
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
from rich.console import Console

from adapters.channels.registry import read_channels
from adapters.database import create_engine
from adapters.prefect_server import PrefectServer
from adapters.sandbox.demand import hottest, stock_for
from adapters.sandbox.generator import generate
from adapters.settings import settings
from inventory.channels import channel_state
from inventory.setup import add_channel, add_locations
from onhand.children import WORK_POOL
from onhand.prefect_api import PrefectApi
from onhand.processes import marked
from onhand.shifts import LOOK_EVERY, ShiftKeeper, runs_of
from onhand.stack import SERVICES, Progress, Stack, interruptible
from onhand.trading_day.stage import fresh_stack, set_up, shop_urls
from onhand.trading_day.stage_channels import introduce

FOLDER = "up"
"""Below the data folder; wiped by each start with imitated shops, which live in memory."""
SEED = 7
PRODUCTS = 200
COVER = 1.0
PORTS = {"intake": 4210, "reservations": 4211}
"""The same at each start: the shops' webhooks and counters are set to them."""
SHIFT_MINUTES = 15
"""Of the schedules in prefect.yaml: each quarter of an hour a run ends and the next begins."""


def run_up(*, shops: bool = True, deploy: bool = True) -> int:
    """Start the stack, say where it is, and wait; 0 after a wish to stop, 1 when it could not go on.

    Raises ChannelFileError when the seller's own channels are wanted and their file is missing or wrong.
    """
    console = Console()

    def say(line: str) -> None:
        console.print(f"  {line}" if line else "", markup=False, highlight=False, soft_wrap=True)

    stack = fresh_stack(settings(), FOLDER, say, deploy=deploy) if shops else _own_shops(say, deploy)
    with interruptible(), stack:
        units = stock_the_shops(stack) if shops else register_channels(stack, say)
        if shops:
            introduce(stack)
        if shops and deploy:
            start_shifts(stack)
        console.print(f"\nonhand is up: {stack.ui_url}  (Ctrl-C stops it)\n", highlight=False, soft_wrap=True)
        for line in what_to_do(stack, units):
            say(line)
        look_after(stack, say)
    return 1 if stack.failure else 0


def _own_shops(say: Progress, deploy: bool) -> Stack:
    channels = read_channels(settings().channels_file)
    for channel in channels.values():
        say(f"{channel.code}: {channel.vendor} at {channel.base_url}")
    return Stack(shops=(), services=SERVICES, ports=PORTS, deploy=deploy, progress=say)


def register_channels(stack: Stack, say: Progress = lambda line: None) -> dict[str, int]:
    """The channels of channels.toml and their locations in the ledger, as the file has them; no stock. Says in which
    mode each one is: the ledger's holds, the file's is only the one it began with."""
    engine = create_engine(stack.database_url, application_name="onhand up")
    try:
        with engine.begin() as connection:
            for channel in read_channels(stack.settings.channels_file).values():
                add_locations(connection, channel.locations)
                add_channel(connection, channel.setup())
                mode = channel_state(connection, channel.code).mode
                file = "" if mode is channel.mode else f" (channels.toml: {channel.mode}; set_channel_mode changes it)"
                say(f"{channel.code}: {mode}{file}")
    finally:
        engine.dispose()
    return {}


def some_stock() -> dict[str, int]:
    """A small catalogue with generated stock: {SKU: units}."""
    day = generate(SEED)
    stock = stock_for(day, COVER, np.random.default_rng(SEED))
    return {sku: stock[sku] for sku in hottest(day, PRODUCTS)}


def stock_the_shops(stack: Stack) -> dict[str, int]:
    """Some stock in the ledger, on sale in every shop; {SKU: units}."""
    units = some_stock()
    engine = create_engine(stack.database_url, application_name="onhand up")
    try:
        set_up(stack, engine, units)
    finally:
        engine.dispose()
    return units


def start_shifts(stack: Stack) -> list[str]:
    """What the schedules start every quarter of an hour, now and until then; the ids of the runs."""
    left = SHIFT_MINUTES - (datetime.now(UTC).minute % SHIFT_MINUTES)
    api = PrefectApi(stack.api_url)
    try:
        return [
            api.start("publish_availability", "all-channels", minutes=left),
            api.start("pull_channels", "channels", channels=list(shop_urls(stack)), minutes=left),
        ]
    finally:
        api.close()


def look_after(stack: Stack, say: Progress) -> None:
    """Until the stack stops: shifts that are missing, because they were killed or the machine was off, are started."""
    # With a server of others' a run may be on another machine.
    here = None if stack.settings.prefect_api_url else lambda: runs_of(marked(str(stack.data_dir)))
    keeper = ShiftKeeper(
        PrefectServer(stack.api_url),
        WORK_POOL,
        processes=here,
        ready=stack.starts_runs_at_its_best,
        progress=say,
    )
    try:
        while not stack.wait(LOOK_EVERY):
            keeper.look()
    finally:
        keeper.close()


def what_to_do(stack: Stack, units: Mapping[str, int]) -> list[str]:
    """Lines for people: where everything is, and what to try."""
    lines = [f"{code:<10} {url}" for code, url in (shop_urls(stack) if stack.shops else {}).items()]
    lines += [f"{'logs':<10} {stack.logs}", ""]
    if not units:
        return [*lines, "Deployments → any of them → Run → Custom run: the form says what each field means."]
    sku = max(units, key=lambda one: units[one])
    body = shlex.quote(json.dumps({"lines": [{"sku": sku, "quantity": 1}]}))
    buy = f"curl -s {shop_urls(stack)['shopify']}/sandbox/checkout -H 'content-type: application/json' -d {body}"
    return [
        *lines,
        f"Both shops are being filled now, with {len(units)} products from one stock. Buy one in the Shopify shop:",
        "",
        f"  {buy}",
        "",
        "Orders are read once a minute. To have it read now: Deployments → shopify (pull_channel) → Run → Quick run.",
        "Its run and its Artifacts tell what was read; those of publish_availability what the website shows since:",
        "",
        f"  curl -s {shop_urls(stack)['website']}/sandbox/state",
        f"  .venv/bin/onhand explain {shlex.quote(sku)}",
        "",
    ]
