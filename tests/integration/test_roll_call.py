"""The watchdog's look: who is silent, whose runs fail, and when that ends. Prefect's server is imitated."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from adapters.alert_targets import SlackConfig
from adapters.prefect_server import PrefectServer
from adapters.pulse import pulse
from adapters.sandbox.slack import WEBHOOK, SlackSandbox
from adapters.slack import Slack
from inventory.alerting.alert_text import Links
from inventory.outages.liveness import beat, retire
from inventory.words import IncidentKind
from tasks.close import NoSuchIncident, close
from tasks.health.roll_call import RollCall, call_the_roll, pinger, tell_ledger_is_back, tell_without_ledger
from tasks.health.tell import Office
from tasks.runtime import Runtime

START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
PULLS = {"channels": ["website", "shopify"], "every_seconds": 60, "minutes": 15}


class FakePrefect:
    """Answers the questions of the roll call from lists of runs."""

    def __init__(self) -> None:
        self.away = False
        self.pool = "READY"
        self.runs: list[dict[str, Any]] = []
        self.auth: set[str | None] = set()

    def run(self, number: int, deployment: str, state: str, at: datetime, name: str = "") -> None:
        moment = at.isoformat().replace("+00:00", "Z")
        facts = {"id": f"run-{number}", "name": f"run {number}", "deployment_id": deployment, "flow_id": "f1"}
        shown = {"type": state, "name": name or state.title(), "message": "boom\nTraceback: long"}
        times = {"expected_start_time": moment, "start_time": None if name == "Late" else moment, "end_time": moment}
        self.runs.append(facts | times | {"state": shown, "parameters": {"minutes": 15}})

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.auth.add(request.headers.get("authorization"))
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        body = json.loads(request.content)
        match request.url.path:
            case "/api/flows/filter":
                return httpx.Response(200, json=[{"id": "f1", "name": "pull_channels"}])
            case "/api/deployments/filter":
                schedules = [{"active": True}]
                deployments = [
                    {"id": "d1", "name": "channels", "flow_id": "f1", "parameters": PULLS, "schedules": schedules},
                    {"id": "d2", "name": "slow", "flow_id": "f1", "schedules": schedules, "paused": False,
                     "parameters": {"channel": "amazon", "every_seconds": 900}},
                ]  # fmt: skip
                deployments.append({"id": "d3", "name": "by-hand", "flow_id": "f1", "parameters": {}, "schedules": []})
                return httpx.Response(200, json=deployments)
            case "/api/work_pools/filter":
                return httpx.Response(200, json=[{"name": "onhand", "status": self.pool}])
            case "/api/flow_runs/filter":
                return httpx.Response(200, json=self._filtered(body))
        return httpx.Response(404, json={})

    def _filtered(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        wanted, found = body["flow_runs"], self.runs
        if types := wanted.get("state", {}).get("type"):
            found = [one for one in found if one["state"]["type"] in types["any_"]]
        if names := wanted.get("state", {}).get("name"):
            found = [one for one in found if one["state"]["name"] in names["any_"]]
        if "end_time" in wanted:
            found = [one for one in found if one["end_time"] > wanted["end_time"]["after_"]]
        if "start_time" in wanted:
            found = [one for one in found if one["start_time"]]
        if deployments := body.get("deployments"):
            found = [one for one in found if one["deployment_id"] in deployments["id"]["any_"]]
        return sorted(found, key=lambda one: one["start_time"] or "", reverse=True)[: body["limit"]]


class Stage:
    def __init__(self, engine: Engine) -> None:
        self.engine, self.now, self.prefect = engine, START, FakePrefect()
        self.runtime = Runtime(engine, open=lambda code: pytest.fail(code), now=lambda: self.now)

    def look(self) -> RollCall:
        transport = httpx.MockTransport(self.prefect.answer)
        server = PrefectServer("http://prefect.test/api", auth=SecretStr("u:p"), transport=transport)
        try:
            return call_the_roll(self.runtime, server)
        finally:
            server.close()

    def change(self, sql: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql), values)

    def open(self) -> dict[str, str]:
        with self.engine.connect() as connection:
            rows = connection.execute(text("SELECT kind, subject, message FROM incident WHERE status = 'open'"))
            return {f"{row.kind}:{row.subject}": row.message for row in rows}


@pytest.fixture
def stage(engine: Engine) -> Stage:
    stage = Stage(engine)
    for code, pulled in (("shopify", START), ("amazon", START), ("website", None)):
        stage.change(
            "INSERT INTO channel (code, vendor, mode, write_mode, share, settle_seconds, in_doubt_seconds, "
            "overlap_seconds, pulled_at) VALUES (:code, 'x', 'shadow', 'absolute', 1, 60, 60, 60, :pulled)",
            code=code, pulled=pulled,
        )  # fmt: skip
    return stage


def test_a_day_of_the_watchdog(stage: Stage) -> None:
    found = stage.look()
    assert (found.silent, found.troubled) == ([], {})
    assert stage.prefect.auth == {"Basic dTpw"}

    # A channel is silent by its own interval: shopify is read each minute, amazon each quarter of an hour.
    stage.now += timedelta(minutes=8)
    stage.look()
    assert list(stage.open()) == ["not_running:pull/shopify"]
    stage.now += timedelta(minutes=30)
    stage.change("UPDATE channel SET pulled_at = :now, mode = 'live' WHERE code <> 'amazon'", now=stage.now)
    stage.change("UPDATE channel SET pulled_at = NULL WHERE code = 'website'")
    stage.look()
    assert sorted(stage.open()) == ["not_running:pull/amazon", "not_running:pull/website"]
    stage.change("UPDATE channel SET pulled_at = :now", now=stage.now)
    assert stage.look().silent == []
    assert stage.open() == {}

    # Work that lies undone.
    stage.change("INSERT INTO item (sku, title, safety_stock, accuracy_margin) VALUES ('A', '', 0, 0)")
    stage.change("INSERT INTO outbox (sku, generation, dirty_at, due_at) VALUES ('A', 1, :now, :now)", now=stage.now)
    stage.change(
        "INSERT INTO reservation (holder, kind, channel, status, placed_at, updated_at, recorded_at, expires_at, "
        "fingerprint) VALUES ('hold:x:1', 'hold', 'x', 'live', :now, :now, :now, :now, '')", now=stage.now,
    )  # fmt: skip
    assert stage.look().silent == []
    stage.now += timedelta(minutes=5)
    stage.change("UPDATE channel SET pulled_at = :now", now=stage.now)
    assert [sign.part for sign in stage.look().silent] == ["publish"]
    stage.now += timedelta(minutes=6)
    stage.change("UPDATE channel SET pulled_at = :now", now=stage.now)
    assert [sign.part for sign in stage.look().silent] == ["publish", "sweep"]
    assert stage.open()["not_running:publish"] == "1 SKUs changed and are not published"


def test_services_beat_and_retire(stage: Stage) -> None:
    with stage.engine.begin() as connection:
        for one in ("a:1", "b:2"):
            beat(connection, "service/intake", one, now=stage.now, again_within=timedelta(minutes=2))
        beat(connection, "watchdog/cron", "c:3", now=stage.now, again_within=timedelta(minutes=2))
        retire(connection, "watchdog/cron", "c:3")
    stage.now += timedelta(minutes=3)
    with stage.engine.begin() as connection:
        beat(connection, "service/intake", "b:2", now=stage.now, again_within=timedelta(minutes=2))
    assert stage.look().silent == []
    stage.now += timedelta(minutes=3)
    stage.look()
    assert list(stage.open()) == ["not_running:service/intake"]
    with stage.engine.begin() as connection:
        retire(connection, "service/intake", "a:1")
        retire(connection, "service/intake", "b:2")
    stage.look()
    assert stage.open() == {}


def test_runs_that_fail_hang_or_are_late(stage: Stage) -> None:
    prefect, now = stage.prefect, stage.now
    prefect.run(1, "d1", "FAILED", now - timedelta(minutes=30))
    prefect.run(2, "d1", "COMPLETED", now - timedelta(minutes=15))
    assert stage.look().troubled == {}
    prefect.run(3, "d1", "CRASHED", now - timedelta(minutes=1))
    assert stage.look().troubled == {"pull_channels/channels": "run 3 crashed: boom"}
    stage.look()
    with stage.engine.connect() as connection:
        row = connection.execute(text("SELECT times, detail FROM incident WHERE kind = 'run_failed'")).one()
    assert (row.times, row.detail) == (1, {"flow_run_id": "run-3"}), "the same run is no repeat"

    prefect.run(4, "d1", "RUNNING", now)
    stage.look()
    assert stage.open() == {}
    stage.now += timedelta(minutes=31)
    stage.change("UPDATE channel SET pulled_at = :now", now=stage.now)
    assert "hangs or has lost its process" in stage.look().troubled["pull_channels/channels"]
    prefect.runs.clear()
    prefect.run(5, "d2", "SCHEDULED", now, "Late")
    prefect.run(6, "d2", "SCHEDULED", now + timedelta(minutes=15), "Late")
    prefect.pool = "NOT_READY"
    stage.look()
    told = stage.open()
    assert told["run_failed:pull_channels/slow"].endswith("2 runs have not begun, the oldest was due at 08:00 UTC: "
                                                          "no worker takes them")  # fmt: skip
    assert told["not_running:prefect/worker"] == "no worker is online for the work pool onhand"

    # A server that is away says nothing about its runs, so what is known of them stays.
    prefect.away = True
    stage.look()
    assert set(stage.open()) == {*told, "not_running:prefect/server"}
    prefect.away, prefect.pool = False, "READY"
    prefect.runs.clear()
    stage.look()
    assert stage.open() == {}


def test_whose_failure_is_told_and_for_how_long(stage: Stage) -> None:
    prefect, now = stage.prefect, stage.now
    prefect.run(1, "d1", "FAILED", now)
    prefect.run(2, "d3", "FAILED", now)
    assert list(stage.look().troubled) == ["pull_channels/channels"], "d3 was started by a person, who sees it"
    prefect.run(3, "d3", "CRASHED", now + timedelta(seconds=1))
    assert sorted(stage.look().troubled) == ["pull_channels/by-hand", "pull_channels/channels"]
    # Hours later no run was well, so it is still open; what a person has closed stays closed.
    stage.now += timedelta(hours=9)
    close(stage.runtime, IncidentKind.RUN_FAILED, "pull_channels/by-hand", actor="Wanda", reason="my own mistake")
    prefect.runs.pop()
    prefect.run(3, "d3", "CRASHED", stage.now)
    stage.look()
    assert [subject for subject in stage.open() if "run_failed" in subject] == ["run_failed:pull_channels/channels"]
    prefect.run(4, "d1", "COMPLETED", stage.now)
    stage.look()
    assert [subject for subject in stage.open() if "run_failed" in subject] == []


def test_the_ping_says_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        if len(seen) == 3:
            raise httpx.ConnectError("to https://ping.test/aSecret", request=request)
        return httpx.Response(200 if len(seen) == 1 else 500)

    ping = pinger(SecretStr("https://ping.test/aSecret"), httpx.MockTransport(answer))
    assert ping is not None
    assert [ping(), ping(), ping()] == [True, False, False]
    assert "aSecret" not in caplog.text
    assert len(caplog.records) == 2
    assert pinger(None) is None


def test_without_the_ledger_everybody_is_told_once_an_hour_and_of_its_end(tmp_path: Path) -> None:
    box, away = SlackSandbox(), SlackSandbox(gone=True)
    boxes = {"duty": box, "lead": away}
    targets = [SlackConfig(name=name, type="slack", webhook_url_env="X") for name in boxes]
    office = Office(targets, Links(), lambda one: Slack(SecretStr(WEBHOOK), transport=boxes[one.name].transport()))
    memory = tmp_path / "deep" / "away.json"
    assert tell_ledger_is_back(office, memory, now=START) == []
    told = [
        tell_without_ledger(office, memory, "OperationalError", now=START + timedelta(minutes=minutes))
        for minutes in (0, 1, 59, 60)
    ]
    assert told == [["duty"], [], [], ["duty"]]
    assert tell_ledger_is_back(office, memory, now=START + timedelta(minutes=90)) == ["duty"]
    assert tell_ledger_is_back(office, memory, now=START + timedelta(minutes=91)) == []
    assert box.taken[-1]["text"] == "✅ Resolved: A part has stopped: database"
    assert "08:00 UTC to 09:30 UTC (1 h 30 min)" in json.dumps(box.taken[-1])


def test_a_person_closes_an_incident(stage: Stage) -> None:
    stage.now += timedelta(hours=1)
    stage.look()
    (row, *_) = close(stage.runtime, IncidentKind.NOT_RUNNING, " pull/shopify ", actor=" Wanda ", reason="a holiday")
    assert (row["closed by"], row["reason"], row["subject"]) == ("Wanda", "a holiday", "pull/shopify")
    assert "not_running:pull/shopify" not in stage.open()
    for subject in ("pull/shopify", "'; DROP TABLE incident; --", "x" * 300):
        with pytest.raises(NoSuchIncident, match="open are: pull/amazon"):
            close(stage.runtime, IncidentKind.NOT_RUNNING, subject, actor="Wanda", reason="again")


def test_a_service_beats_while_it_answers_itself(stage: Stage, database_url: str) -> None:
    """On a real clock, with a service that answers: waits for a sign, however long that takes."""
    import http.server
    import threading

    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            asked.set()

    asked = threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

        def beats() -> int:
            with stage.engine.connect() as connection:
                return int(connection.execute(text("SELECT count(*) FROM heartbeat")).scalar_one())

        with pulse(database_url, "service/test", "::", server.server_address[1], every_s=0.02):
            while not beats():
                assert asked.wait(60)
        assert beats() == 0
        server.shutdown()
