"""Onboarding a channel from start to live, by the flows alone, with their tables as people see them."""

import importlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fake_channel import Bench, bench, entry, line, order, page
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness
from sqlalchemy import Engine, text

from adapters.channels.protocol import CataloguePage

pytestmark = pytest.mark.slow

FLOWS = (
    "set_channel_mode", "preview_publication", "audit_catalogue", "import_listings", "import_items", "open_balances",
    "audit_integrations",
)  # fmt: skip


@pytest.fixture(scope="module")
def _prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def shop(engine: Engine, monkeypatch: pytest.MonkeyPatch, _prefect: None) -> Bench:
    """A channel in shadow that lists two things, an empty ledger, and the flows working on it."""
    made = bench(engine, {}, cas=True)
    with engine.begin() as connection:
        connection.execute(text("UPDATE channel SET mode = 'shadow'"))
    made.channels["cas"].shown = {"r1": 3, "r2": 1}
    made.channels["cas"].catalogue = [CataloguePage([entry("r1", "a-1"), entry("r2", "pack of A-1")])]
    for name in (*FLOWS, "pull_channel", "publish_availability"):
        monkeypatch.setattr(importlib.import_module(f"flows.{name}"), "runtime", lambda: made.runtime)
    return made


def flow_of(name: str) -> Flow[..., Any]:
    found = getattr(importlib.import_module(f"flows.{name}"), name)
    assert isinstance(found, Flow)
    return found


def run(name: str, **parameters: Any) -> dict[str, list[dict[str, Any]]]:
    """Run it to its end; {key of a table: its rows}."""
    state = flow_of(name)(**parameters, return_state=True)
    assert state.is_completed(), state.message
    return tables(str(state.state_details.flow_run_id))


def tables(run_id: str) -> dict[str, list[dict[str, Any]]]:
    with get_client(sync_client=True) as client:
        found = client._client.post("/artifacts/filter", json={"artifacts": {"flow_run_id": {"any_": [run_id]}}}).json()
    return {one["key"]: json.loads(one["data"]) for one in found if one["type"] == "table"}


def test_from_nothing_to_live(shop: Bench) -> None:
    assert run("audit_integrations")["integrations"][0]["orders"] == "can be read"
    dry = run("import_items", items="sku,title\nA-1,Apple\n,\n", aliases="alias,sku\npack,A-1\n")
    assert [row["row"] for row in dry["imported-items"]] == []
    assert shop.one("SELECT count(*) FROM item") == 0
    run("import_items", items="sku,title\nA-1,Apple\n", dry_run=False)
    findings = run("audit_catalogue", channel="cas")["catalogue-cas"]
    assert [(row["listing"], row["SKU here"]) for row in findings] == [("r1", "A-1"), ("r2", "")]
    assert [row["listing"] for row in run("import_listings", channel="cas", dry_run=False)["listings-cas"]] == ["r1"]
    csv = "channel,listing_ref,sku,units_per_listing\ncas,r2,A-1,6\ncas,r3,A-1,1\n"
    mapped = run("import_listings", channel="cas", csv=csv, dry_run=False)["listings-cas"]
    assert [(row["listing"], row["outcome"]) for row in mapped] == [("r3", "held back"), ("r2", "mapped")]
    stock = run("open_balances", csv="sku;location;quantity\r\nA-1;main;24\r\nA-1;attic;1\r\n", actor="Wanda")
    assert [(row["row"], row["location"]) for row in stock["opening-stock"]] == [(3, "attic")]
    run("set_channel_mode", channel="cas", mode="dry_run", actor="Wanda", reason="to look")
    refused = flow_of("set_channel_mode")(channel="cas", mode="live", actor="Wanda", reason="eager", return_state=True)
    assert refused.is_failed() and "each listing read once" in str(refused.message)
    missing = tables(str(refused.state_details.flow_run_id))["mode-cas"]
    assert {row["what"] for row in missing if row["is"] == "missing"} == {
        "orders read since the listings were made", "each listing read once",
    }  # fmt: skip
    shop.clock.forward(1)
    shop.channels["cas"].pages = [page(order("1", shop.clock(), line("1", "r1", 2)))]
    run("pull_channel", channel="cas")
    run("publish_availability")
    assert shop.channels["cas"].written == []
    preview = run("preview_publication")["preview-cas"]
    assert {(row["listing"], row["gate"]) for row in preview} >= {("r1", "goes")}
    run("set_channel_mode", channel="cas", mode="live", actor="Wanda", reason="it is right")
    run("publish_availability")
    live = {row["listing"]: row["would be sent"] for row in preview if row["would be sent"] != ""}
    assert live.items() <= shop.channels["cas"].shown.items()
    changes = shop.rows("SELECT to_mode, reason FROM channel_change ORDER BY id")
    assert [tuple(row) for row in changes] == [("dry_run", "to look"), ("live", "it is right")]


def test_a_blocked_opening_fails_and_says_how_many(shop: Bench) -> None:
    csv = "sku,location,quantity\n" + "".join(f"X{number},main,1\n" for number in range(12))
    state = flow_of("open_balances")(csv=csv, actor="Wanda", return_state=True)
    assert state.is_failed() and "nothing was opened" in str(state.message)
    assert len(tables(str(state.state_details.flow_run_id))["opening-stock"]) == 12
