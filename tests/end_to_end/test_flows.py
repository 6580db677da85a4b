"""The five deployments on a real Prefect server, started as the UI starts them and run by the stock worker."""

import itertools
import os
import random
import re
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest
from market_stage import NAMES, UNITS, Market, until
from sqlalchemy import text

from adapters.database import in_transaction
from inventory.ledger import stock
from onhand.commands.leaks import Wanted, in_files, in_ledger, in_sqlite
from onhand.trading_day.promises import Truth, verdict
from onhand.trading_day.stage import WAREHOUSE, shop_state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

Runs = dict[str, str]
"""{what: id of its flow run}"""


@pytest.fixture(scope="module")
def runs(market: Market) -> Runs:
    """Each deployment once, and a few that go wrong; all have ended."""
    market.faults("website", {"kind": "error_before", "operation": "orders", "times": 1})
    late = datetime.now(UTC) - timedelta(minutes=20)
    first = {
        "publish": market.start("publish_availability/all-channels", {"minutes": 0}),
        "empty": market.start("pull_channel/shopify", {"minutes": 0}),
        "retried": market.start("pull_channel/website", {"minutes": 0}),
        "stranger": market.start("pull_channel/website", {"minutes": 0, "channel": "stranger"}),
        "late": market.start(
            "pull_channel/shopify",
            {"minutes": 15},
            state={"type": "SCHEDULED", "state_details": {"scheduled_time": late.isoformat()}},
        ),
    }
    market.wait(first.values())
    assert until(lambda: not market.one("SELECT count(*) FROM outbox")), "the first numbers have arrived"
    market.buy("shopify", ("SKU-00", 3), ("SKU-01", 1))
    market.buy("shopify", ("SKU-00", 2))
    market.buy("website", ("SKU-00", 4))
    time.sleep(market.one("SELECT max(settle_seconds) FROM channel WHERE mode = 'live'"))
    second = {
        "shopify": market.start("pull_channel/shopify", {"minutes": 0}),
        "website": market.start("pull_channel/website", {"minutes": 0}),
        "items": market.start("import_items/items", {"items": "sku,title\nNEW-1,A new thing\n"}),
        "expire": market.start("expire_reservations/holds", {"minutes": 0}),
    }
    market.wait(second.values())
    both = ["shopify", "website"]
    third = {
        "reconcile": market.start("reconcile/quantities", {"heal": False, "channels": both}),
        "together": market.start("pull_channels/channels", {"minutes": 0, "channels": both}),
        "catalogue": market.start("audit_catalogue/catalogues", {"channel": "shopify"}),
        "preview": market.start("preview_publication/dry-run", {"channel": "website"}),
        "integrations": market.start("audit_integrations/integrations", {"channel": "shopify"}),
    }
    market.wait(third.values())
    return {**first, **second, **third}


def test_all_are_deployed_and_described(market: Market) -> None:
    found = market.prefect("POST", "/deployments/filter", {})
    flows = {one["id"]: one["name"] for one in market.prefect("POST", "/flows/filter", {})}
    assert {f"{flows[one['flow_id']]}/{one['name']}" for one in found} == NAMES
    for one in found:
        assert one["description"]
        assert one["enforce_parameter_schema"] is True
        assert all(
            field["title"] and field["description"] for field in one["parameter_openapi_schema"]["properties"].values()
        )
        assert all(schedule["slug"] and schedule["schedule"]["timezone"] == "UTC" for schedule in one["schedules"])
        assert bool(one["schedules"]) is ("on-demand" not in one["tags"])


def test_each_deployment_completes(market: Market, runs: Runs) -> None:
    for what in runs.keys() - {"stranger", "late"}:
        state = market.run(runs[what])["state"]
        assert state["type"] == "COMPLETED", f"{what}: {state['message']}"


def test_a_schedule_starts_runs_by_itself(market: Market) -> None:
    """Prefect's own scheduler, on the packages that are locked: it stores runs from a schedule that is active."""
    deployment = market.prefect("GET", "/deployments/name/pull_channels/channels")
    [schedule] = deployment["schedules"]
    path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
    wanted = {
        "deployments": {"id": {"any_": [deployment["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    market.prefect("PATCH", path, {"active": True})
    try:
        assert until(lambda: market.prefect("POST", "/flow_runs/filter", wanted), 240, 1.0), "no run was scheduled"
        [*planned] = market.prefect("POST", "/flow_runs/filter", wanted)
        assert all(run["auto_scheduled"] for run in planned)
    finally:
        market.prefect("PATCH", path, {"active": False})


def test_names_tell_channel_and_window(market: Market, runs: Runs) -> None:
    names = {what: market.run(run)["name"] for what, run in runs.items()}
    assert re.fullmatch(r"pull-shopify-\d\d:\d\d-once", names["shopify"])
    assert re.fullmatch(r"pull-website-\d\d:\d\d-once", names["website"])
    assert re.fullmatch(r"publish-\d\d:\d\d-once", names["publish"])
    assert re.fullmatch(r"expire-\d\d:\d\d-once", names["expire"])
    assert re.fullmatch(r"reconcile-shopify-website-\d\d:\d\d", names["reconcile"])
    assert re.fullmatch(r"pull-shopify-\d\d:\d\d-\d\d:\d\d", names["late"])


def test_tables_can_be_read(market: Market, runs: Runs) -> None:
    published = market.tables(runs["publish"])["published"]
    assert {(row["channel"], row["SKU"]) for row in published} == {
        (code, sku) for code in ("shopify", "website") for sku in UNITS
    }
    assert {row["answer"] for row in published} == {"confirmed"}
    assert all(row["sent"] + row["exposure of others"] <= row["sellable"] for row in published)

    (row,) = market.tables(runs["shopify"])["pull-shopify"]
    counted = ("new", "new orders", "units held", "units oversold", "held back", "blocked")
    assert [row[name] for name in counted] == [2, 2, 6, 0, 0, 0]
    (row,) = market.tables(runs["website"])["pull-website"]
    assert [row[name] for name in counted] == [1, 1, 4, 0, 0, 0]
    (row,) = market.tables(runs["empty"])["pull-shopify"]
    assert [row[name] for name in counted] == [0] * 6

    assert market.tables(runs["expire"]) == {"expired-holds": [{"holds expired": 0}]}
    compared = market.tables(runs["reconcile"])["reconciliation"]
    assert [(row["channel"], row["listings"], row["unknown to the channel"]) for row in compared] == [
        ("shopify", len(UNITS), 0),
        ("website", len(UNITS), 0),
    ]
    assert market.tables(runs["reconcile"])["discrepancies"] == []


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("pull_channel/shopify", {"channel": "Shopify!"}),
        ("pull_channel/shopify", {"minutes": -1}),
        ("pull_channel/shopify", {"minutes": "soon"}),
        ("publish_availability/all-channels", {"limit": 0}),
        ("expire_reservations/holds", {"every_seconds": 0}),
        ("reconcile/quantities", {"channels": []}),
        ("reconcile/quantities", {"heal": "perhaps"}),
    ],
)
def test_bad_parameters_are_refused_at_once(market: Market, name: str, parameters: dict[str, Any]) -> None:
    deployment = market.prefect("GET", f"/deployments/name/{name}")
    body = {"parameters": {**deployment["parameters"], **parameters}}
    answer = market.try_prefect("POST", f"/deployments/{deployment['id']}/create_flow_run", body)
    assert answer.status_code in (409, 422)
    assert next(iter(parameters)) in answer.text or str(next(iter(parameters.values()))) in answer.text


def test_a_shop_that_fails_for_a_moment_is_asked_again(market: Market, runs: Runs) -> None:
    assert market.run(runs["retried"])["state"]["type"] == "COMPLETED"
    (task,) = market.tasks(runs["retried"])
    assert (task["run_count"], task["state"]["type"]) == (2, "COMPLETED")
    assert "500" in market.logs(runs["retried"])


def test_a_wrong_token_is_not_tried_again_and_never_told(market: Market, runs: Runs) -> None:
    state = market.run(runs["stranger"])["state"]
    assert state["type"] == "FAILED"
    assert "stranger" in state["message"] and "401" in state["message"]
    (task,) = market.tasks(runs["stranger"])
    assert (task["run_count"], task["state"]["type"]) == (1, "FAILED")
    logs = market.logs(runs["stranger"])
    assert "401" in logs
    assert [secret for secret in market.secrets if secret in logs + state["message"]] == []


def test_a_run_that_comes_too_late_ends_at_once(market: Market, runs: Runs) -> None:
    run = market.run(runs["late"])
    assert run["state"]["type"] == "COMPLETED"
    assert market.tasks(runs["late"]) == []
    assert run["total_run_time"] < 60, "it was started for fifteen minutes"


def test_a_killed_worker_loses_nothing_and_does_nothing_twice(market: Market, runs: Runs) -> None:
    """SIGKILL of the worker and of its runs, with orders half applied and a write on its way."""
    killed = start_shifts(market)
    trade = Trade(market)
    with trade:
        market.faults("shopify", {"kind": "slow", "operation": "write", "delay_s": 1.0})
        worker = kill_in_the_middle(market)
        market.faults("shopify")
        assert until(lambda: market.stack.processes.get("worker", worker) != worker)
        assert "worker has died and is started again" in market.lines
        # Two minutes pass: what the dead had claimed is free again.
        for table in ("inbox", "outbox"):
            market.change(f"UPDATE {table} SET lease_until = now() WHERE lease_until > now()")
        again = start_shifts(market)
    assert trade.bought > 30
    over = datetime.now(UTC)
    drained = until(lambda: is_quiet(market, over), 240, 0.3)
    for run in again:
        market.api.cancel(run)
    for run in killed:
        market.prefect("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CRASHED"}, "force": True})
    assert drained, [market.api.state(run) for run in again]
    truth = Truth.of({code: shop_state(url) for code, url in market.urls.items()})
    with market.engine.connect() as connection:
        lines = verdict(connection, truth, {sku: units + trade.delivered for sku, units in UNITS.items()})
    assert [line for line in lines if line.kept is False] == []
    assert sum(line.kept is True for line in lines) > 5


def start_shifts(market: Market) -> list[str]:
    """Publishing and both pulls, quick and for long; runs when all of them have been seen at work."""
    begun = datetime.now(UTC)
    runs = [
        market.start("publish_availability/all-channels", {"minutes": 10, "every_seconds": 0.3}),
        *(market.start(f"pull_channel/{code}", {"minutes": 10, "every_seconds": 0.3}) for code in market.urls),
    ]
    at_work = "SELECT count(*) FROM channel WHERE pulled_at > :begun"
    assert until(lambda: market.one(at_work, begun=begun) == len(market.urls))
    assert until(lambda: market.api.state(runs[0])[0] == "RUNNING")
    return runs


def kill_in_the_middle(market: Market) -> int:
    """Kill the worker and everything below it while both kinds of work are half done."""
    halfway = """
        SELECT EXISTS (SELECT FROM inbox WHERE status = 'pending' AND lease_owner IS NOT NULL)
           AND EXISTS (SELECT FROM publication WHERE status = 'sent')
    """
    worker = market.stack.processes["worker"]
    family = [psutil.Process(worker), *psutil.Process(worker).children(recursive=True)]
    assert len(family) >= 4
    with market.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert until(lambda: connection.execute(text(halfway)).scalar_one(), every=0.002)
        for process in family:
            os.kill(process.pid, signal.SIGKILL)
    return worker


def is_quiet(market: Market, over: datetime) -> bool:
    """All that was sold until `over` is pulled, applied and published, and nothing is in doubt."""
    return not market.one(
        """
        SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM inbox WHERE status = 'pending')
             + (SELECT count(*) FROM listing WHERE settling IS NOT NULL OR unconfirmed_until IS NOT NULL)
             + (SELECT count(*) FROM channel WHERE mode = 'live' AND pulled_at < :over)
        """,
        over=over,
    )


class Trade:
    """A small day, from first to last of the block: purchases in both shops, and deliveries, which raise numbers."""

    def __init__(self, market: Market) -> None:
        self.bought = 0
        self.delivered = 0
        """Units of each SKU."""
        self._market = market
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="trade")

    def __enter__(self) -> "Trade":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        # What was bought last is shown by the shops within this time.
        time.sleep(1.0)

    def _go_on(self) -> None:
        chance = random.Random(5)
        for number in itertools.count():
            if self._over.wait(0.1):
                return
            if number % 20 == 0:
                self._deliver(10, f"delivery {number}")
            code = chance.choice(list(self._market.urls))
            skus = chance.sample(sorted(UNITS), 2)
            receipt = self._market.buy(code, *((sku, chance.randint(1, 2)) for sku in skus))
            self.bought += len(receipt["accepted"])

    def _deliver(self, units: int, receipt: str) -> None:
        lines = [(sku, WAREHOUSE, units) for sku in UNITS]
        in_transaction(
            self._market.engine,
            lambda connection: stock.receive(connection, lines, receipt=receipt, actor="test", now=datetime.now(UTC)),
        )
        self.delivered += units


def test_no_secret_is_stored_or_logged(market: Market, runs: Runs) -> None:
    """All that Prefect keeps (states, logs, artifacts, parameters, events), the ledger, and every log file of the
    stack; nor any of what the imitated shops say of their buyers."""
    buyers = ("Testbuyer-", "@private.example", "+49 30 5550", "Invented Lane", "please ring twice")
    secrets = {f"secret {number}": one for number, one in enumerate(market.secrets)}
    wanted = Wanted(secrets | {f"buyer {number}": one for number, one in enumerate(buyers)})
    file = market.stack.data_dir / "prefect" / "prefect.db"
    assert list(in_sqlite(file, Wanted({"a run": "pull-shopify"}))), "or this test proves nothing"
    assert market.one("SELECT count(*) FROM inbox"), "or this test proves nothing"
    logs = list(market.stack.logs.iterdir())
    assert len(logs) >= 4
    assert [*in_sqlite(file, wanted), *in_ledger(market.engine, wanted), *in_files(logs, wanted)] == []
