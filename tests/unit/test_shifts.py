"""Shifts that were killed begin again: Prefect's server is imitated, the clock is ours."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.prefect_server import PrefectServer
from onhand.children import takes
from onhand.shifts import ShiftKeeper

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ACTIVE = [{"active": True}]
DEPLOYMENTS = [
    {"id": "pub", "name": "all-channels", "flow_id": "f", "parameters": {"minutes": 15}, "schedules": ACTIVE},
    {"id": "off", "name": "paused", "flow_id": "f", "parameters": {"minutes": 15}, "schedules": [{"active": False}]},
    {"id": "rec", "name": "quantities", "flow_id": "f", "parameters": {"scope": "full"}, "schedules": ACTIVE},
]


class FakePrefect:
    """What a keeper asks and does; runs begin when `take` says so."""

    def __init__(self) -> None:
        self.now = NOON + timedelta(minutes=5)
        self.away = False
        self.processes: set[str] = set()
        self.runs: list[dict[str, Any]] = []
        self.plan(NOON + timedelta(minutes=15))

    def plan(self, at: datetime, minutes: float = 15) -> dict[str, Any]:
        run = {"id": f"run-{len(self.runs)}", "name": f"run {len(self.runs)}", "deployment_id": "pub", "flow_id": "f"}
        run |= {"expected_start_time": at.isoformat(), "start_time": None, "parameters": {"minutes": minutes}}
        run["state"] = {"type": "SCHEDULED", "message": ""}
        self.runs.append(run)
        return run

    def take(self, run: dict[str, Any], state: str = "RUNNING", started: bool = True) -> None:
        run["state"]["type"] = state
        run["start_time"] = self.now.isoformat() if started else None
        self.processes.add(run["id"])

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @property
    def started(self) -> list[dict[str, Any]]:
        return self.runs[1:]

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        body, path = json.loads(request.content), request.url.path.removeprefix("/api")
        if path == "/flows/filter":
            return httpx.Response(200, json=[{"id": "f", "name": "publish_availability"}])
        if path == "/deployments/filter":
            return httpx.Response(200, json=DEPLOYMENTS)
        if path == "/deployments/pub/create_flow_run":
            return httpx.Response(201, json=self.plan(self.now, body["parameters"]["minutes"]))
        if path.endswith("/set_state"):
            [run] = [one for one in self.runs if one["id"] == path.split("/")[2]]
            run["state"] = body["state"]
            return httpx.Response(201, json={})
        if path == "/flow_runs/filter":
            return httpx.Response(200, json=self._filtered(body))
        return httpx.Response(404, json={})

    def _filtered(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        wanted, found = body["flow_runs"], self.runs
        if types := wanted.get("state", {}).get("type"):
            found = [one for one in found if one["state"]["type"] in types["any_"]]
        if before := wanted.get("expected_start_time"):
            found = [one for one in found if one["expected_start_time"] < before["before_"]]
        if "start_time" in wanted:
            found = sorted((one for one in found if one["start_time"]), key=lambda one: str(one["start_time"]))[::-1]
        return found[: body["limit"]]


@pytest.fixture
def prefect() -> FakePrefect:
    return FakePrefect()


@pytest.fixture
def keeper(prefect: FakePrefect) -> Iterator[ShiftKeeper]:
    # A function of its own, so that a test may change what it answers.
    server = PrefectServer("http://prefect.test/api", transport=httpx.MockTransport(lambda one: prefect.answer(one)))
    keeper = ShiftKeeper(
        server,
        "onhand",
        processes=lambda: prefect.processes,
        now=lambda: prefect.now,
        monotonic=lambda: prefect.now.timestamp(),
    )
    yield keeper
    keeper.close()


def test_what_should_run_and_does_not_is_started_until_the_next_scheduled_run(
    prefect: FakePrefect, keeper: ShiftKeeper
) -> None:
    assert keeper.look() == ["publish_availability/all-channels"], "neither what is paused nor what is no shift"
    assert prefect.started[0]["parameters"] == {"minutes": 10}
    assert keeper.look() == [], "a worker will take it"
    prefect.take(prefect.started[0])
    assert keeper.look() == []
    prefect.pass_by(9 * 60 + 45)
    prefect.take(prefect.started[0], "CRASHED")
    prefect.processes.clear()
    assert keeper.look() == [], "the next one is near"


def test_a_killed_run_begins_again(prefect: FakePrefect, keeper: ShiftKeeper) -> None:
    keeper.look()
    prefect.take(prefect.started[0], "CRASHED")
    prefect.pass_by(5)
    assert keeper.look() == ["publish_availability/all-channels"]
    assert len(prefect.started) == 2


def test_a_run_whose_worker_died_with_it_is_said_to_have_crashed(prefect: FakePrefect, keeper: ShiftKeeper) -> None:
    keeper.look()
    prefect.take(prefect.started[0])
    prefect.processes.clear()
    assert keeper.look() == [], "it may have been looked for between two processes"
    assert prefect.started[0]["state"]["type"] == "RUNNING"
    prefect.pass_by(5)
    assert keeper.look() == ["publish_availability/all-channels"]
    assert prefect.started[0]["state"]["type"] == "CRASHED"


def test_a_run_that_was_taken_and_has_not_begun_is_given_time(prefect: FakePrefect, keeper: ShiftKeeper) -> None:
    keeper.look()
    prefect.take(prefect.started[0], "PENDING", started=False)
    prefect.processes.clear()
    for _ in range(6):
        assert keeper.look() == []
        prefect.pass_by(9)
    prefect.pass_by(9)
    assert keeper.look() == ["publish_availability/all-channels"], "although no run of it has ever begun"
    assert prefect.started[0]["state"]["type"] == "CRASHED"


def test_where_runs_may_be_elsewhere_none_is_called_lost(prefect: FakePrefect) -> None:
    server = PrefectServer("http://prefect.test/api", transport=httpx.MockTransport(prefect.answer))
    keeper = ShiftKeeper(server, "onhand", processes=None, now=lambda: prefect.now, monotonic=lambda: 0.0)
    keeper.look()
    prefect.take(prefect.started[0])
    prefect.processes.clear()
    for _ in range(3):
        prefect.pass_by(60)
        assert keeper.look() == []
    assert prefect.started[0]["state"]["type"] == "RUNNING"
    keeper.close()


@pytest.mark.parametrize("state", ["CANCELLED", "COMPLETED"])
def test_what_a_person_has_ended_stays_so_until_the_next(prefect: FakePrefect, keeper: ShiftKeeper, state: str) -> None:
    keeper.look()
    prefect.take(prefect.started[0], state)
    prefect.pass_by(60)
    assert keeper.look() == []


def test_one_that_dies_at_once_is_started_in_growing_pauses(prefect: FakePrefect, keeper: ShiftKeeper) -> None:
    starts = []
    for _ in range(100):
        if keeper.look():
            starts.append(prefect.now.timestamp())
        prefect.take(prefect.runs[-1], "CRASHED")
        prefect.pass_by(5)
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert pauses[:5] == [5, 10, 20, 40, 60]
    assert set(pauses[5:]) == {60}


def test_a_run_that_a_worker_takes_while_we_look_is_not_started_twice(
    prefect: FakePrefect, keeper: ShiftKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.look()
    answer = prefect.answer

    def takes_it(request: httpx.Request) -> httpx.Response:
        answered = answer(request)
        if b"PENDING" in request.content:
            prefect.take(prefect.started[0], "PENDING", started=False)
        return answered

    monkeypatch.setattr(prefect, "answer", takes_it)
    assert keeper.look() == []
    assert len(prefect.started) == 1


def test_runs_wait_for_what_starts_them_fast_but_not_for_ever(prefect: FakePrefect) -> None:
    fast = False
    server = PrefectServer("http://prefect.test/api", transport=httpx.MockTransport(prefect.answer))
    clock = {"now": lambda: prefect.now, "monotonic": lambda: prefect.now.timestamp()}
    keeper = ShiftKeeper(server, "onhand", processes=lambda: prefect.processes, ready=lambda: fast, **clock)
    assert keeper.look() == []
    fast = True
    assert keeper.look() == ["publish_availability/all-channels"]
    prefect.take(prefect.started[0], "CRASHED")
    fast = False
    prefect.pass_by(10)
    assert keeper.look() == []
    prefect.pass_by(46)
    assert keeper.look() == ["publish_availability/all-channels"]
    keeper.close()


def test_a_server_that_listens_is_told_from_one_that_does_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert not takes(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        assert takes(path)
    assert not takes(path), "it was killed, and its socket is still there"


def test_one_that_prefect_does_not_take_is_tried_again(
    prefect: FakePrefect, keeper: ShiftKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, refusals = prefect.answer, [503]

    def busy(request: httpx.Request) -> httpx.Response:
        is_start = request.url.path.endswith("create_flow_run")
        return httpx.Response(refusals.pop()) if is_start and refusals else answer(request)

    monkeypatch.setattr(prefect, "answer", busy)
    assert keeper.look() == []
    assert keeper.look() == ["publish_availability/all-channels"]


def test_while_prefect_is_away_nothing_happens_and_that_is_said_once(prefect: FakePrefect) -> None:
    said: list[str] = []
    server = PrefectServer("http://prefect.test/api", transport=httpx.MockTransport(prefect.answer))
    keeper = ShiftKeeper(server, "onhand", processes=set, progress=said.append, now=lambda: prefect.now)
    prefect.away = True
    assert keeper.look() == keeper.look() == []
    assert len(said) == 1 and "Prefect does not answer" in said[0]
    prefect.away = False
    assert keeper.look() == ["publish_availability/all-channels"]
    keeper.close()
