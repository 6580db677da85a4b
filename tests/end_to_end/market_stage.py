"""What the end-to-end tests share: a running stack with two imitated shops, seen from outside as a person sees it."""

import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
from sqlalchemy import Engine, text

from adapters.channels.registry import read_channels
from adapters.database import create_engine, in_transaction
from adapters.settings import read_settings
from inventory import setup
from onhand.children import choose_port
from onhand.prefect_api import ENDED, PrefectApi
from onhand.stack import Stack
from onhand.trading_day.stage import fresh_stack, set_faults, set_up, shop_urls

UNITS = {f"SKU-{number:02d}": 200 for number in range(20)}
STRANGER = """
# The website once more, with a secret that is not the website's.
[[channel]]
code = "stranger"
vendor = "woocommerce"
base_url = "{website}"
consumer_key_env = "ONHAND_STAGE_WEBSITE_KEY"
consumer_secret_env = "ONHAND_STAGE_SHOPIFY_TOKEN"
locations = ["main"]
"""
NAMES = {
    "pull_channels/channels",
    "pull_channel/shopify",
    "pull_channel/amazon",
    "pull_channel/ebay",
    "pull_channel/portal",
    "pull_channel/website",
    "publish_availability/all-channels",
    "expire_reservations/holds",
    "reconcile/quantities",
    "reconcile/hot",
    "reconcile/sample",
    "reconcile/orders",
    "reconcile/itself",
    "reconcile/monthly",
    "resolve_discrepancy/discrepancy",
    "outage_fallback/fallback",
    "watchdog/watch",
    "send_alerts/alerts",
    "close_incident/incident",
    "preview_publication/dry-run",
    "audit_catalogue/catalogues",
    "audit_integrations/integrations",
    "set_channel_mode/channel-mode",
    "import_items/items",
    "import_listings/listings",
    "open_balances/opening-stock",
    "replay_policies/order-history",
    "receive_goods/goods-received",
    "post_shipments/shipments",
    "process_returns/returns",
    "write_off_stock/write-off",
    "pull_supplier_feed/supplier-feeds",
    "check_goods/goods-waiting",
    "schedule_cycle_counts/cycle-counts",
    "record_counts/counts",
    "approve_counts/count-approvals",
    "learn_demand/demand",
    "set_policy/policy",
    "adjust_stock/stock-adjustment",
    "transfer_stock/transfer",
    "pause_channel/channel-pause",
    "resume_channel/channel-resume",
    "sync_now/sync",
    "promo_guard/promotion",
    "release_quarantine/quarantine",
    "report_health/health",
}


def until(met: Callable[[], Any], seconds: float = 240.0, every: float = 0.1) -> bool:
    """Whether it is met in time, which a machine that is busy with other things needs more of."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


@dataclass
class Market:
    stack: Stack
    engine: Engine
    api: PrefectApi
    urls: dict[str, str]
    lines: list[str]
    """What the stack has told."""

    def prefect(self, method: str, path: str, body: object = None) -> Any:
        answer = self.try_prefect(method, path, body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def try_prefect(self, method: str, path: str, body: object = None) -> httpx.Response:
        """The answer; asked again while Prefect's SQLite is locked by another writer, or for a time-out by reading."""
        answers: list[httpx.Response] = []
        tries = itertools.count(1)

        def is_answered() -> bool:
            try:
                answer = httpx.request(method, f"{self.stack.api_url}{path}", json=body, timeout=60, trust_env=False)
            except httpx.TransportError:
                if next(tries) > 5:
                    raise
                return False
            answers.append(answer)
            return answer.status_code != httpx.codes.SERVICE_UNAVAILABLE

        until(is_answered, 300, 0.3)
        return answers[-1]

    def start(self, name: str, parameters: Mapping[str, object], **more: object) -> str:
        """As the button in the UI: parameters over those of the deployment."""
        deployment = self.prefect("GET", f"/deployments/name/{name}")
        given = {**deployment["parameters"], **parameters}
        body = {"parameters": given, "idempotency_key": uuid4().hex, **more}
        return str(self.prefect("POST", f"/deployments/{deployment['id']}/create_flow_run", body)["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.prefect("GET", f"/flow_runs/{run_id}")
        return found

    def wait(self, runs: Iterable[str], seconds: float = 300) -> dict[str, str]:
        """{run: type of its state}, when all have ended or the time is over."""
        waiting = list(runs)
        until(lambda: all(self.api.state(run)[0] in ENDED for run in waiting), seconds, 0.3)
        return {run: self.api.state(run)[0] for run in waiting}

    def tasks(self, run_id: str) -> list[dict[str, Any]]:
        wanted = {"flow_runs": {"id": {"any_": [run_id]}}, "sort": "EXPECTED_START_TIME_ASC"}
        return list(self.prefect("POST", "/task_runs/filter", wanted))

    def tables(self, run_id: str) -> dict[str, list[dict[str, Any]]]:
        """{key: rows} of the tables that a run has left, each the newest of its key."""
        wanted = {"artifacts": {"flow_run_id": {"any_": [run_id]}}, "sort": "UPDATED_DESC"}
        found = list(self.prefect("POST", "/artifacts/filter", wanted))
        assert all(one["type"] == "table" and one["description"] for one in found)
        return {one["key"]: json.loads(one["data"]) for one in reversed(found)}

    def logs(self, run_id: str) -> str:
        wanted = {"logs": {"flow_run_id": {"any_": [run_id]}}, "limit": 200}
        return "\n".join(row["message"] for row in self.prefect("POST", "/logs/filter", wanted))

    def buy(self, code: str, *lines: tuple[str, int]) -> dict[str, Any]:
        body = {"lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines]}
        answer = httpx.post(f"{self.urls[code]}/sandbox/checkout", json=body, timeout=60, trust_env=False)
        answer.raise_for_status()
        receipt: dict[str, Any] = answer.json()
        return receipt

    def faults(self, code: str, *faults: dict[str, object]) -> None:
        set_faults(self.urls[code], list(faults))

    def one(self, sql: str, **values: object) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(text(sql), values).scalar_one()

    def change(self, sql: str, **values: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql), values)

    @property
    def secrets(self) -> list[str]:
        return [part for shop in self.stack.shops.values() for part in (shop.token, *shop.token.split(":"))]


@contextmanager
def open_market(folder: Path, units: Mapping[str, int] = UNITS) -> Iterator[Market]:
    """A stack with stock in both shops that show none of it yet; nothing runs by itself."""
    settings = read_settings().model_copy(update={"data_dir": folder, "prefect_port": choose_port(None)})
    lines: list[str] = []
    stack = fresh_stack(settings, "market", lines.append, channels=("shopify", "website"), services=())
    # Prefect plans the runs of a schedule every minute by default, which a test would wait for.
    with patch.dict(os.environ, {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5"}), stack:
        engine = create_engine(stack.database_url, application_name="end-to-end tests")
        api = PrefectApi(stack.api_url)
        try:
            api.pause_schedules()
            set_up(stack, engine, units)
            _add_stranger(stack, engine)
            yield Market(stack, engine, api, shop_urls(stack), lines)
        finally:
            api.close()
            engine.dispose()


def _add_stranger(stack: Stack, engine: Engine) -> None:
    file = stack.settings.channels_file
    file.write_text(file.read_text() + STRANGER.format(**shop_urls(stack)))
    channel = read_channels(file)["stranger"].setup()
    in_transaction(engine, lambda connection: setup.add_channel(connection, channel))
