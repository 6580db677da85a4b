"""Any sequence of calls of two channels, over HTTP, against a model that fits in the head."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from ledger_stage import assert_sound, balances, business
from reservation_stage import Caller, Clock, served
from sqlalchemy import Engine, text

STOCK = {"A": 6, "B": 2}
PARTS = {"A": {"A": 1}, "B": {"B": 1}, "SET": {"A": 2, "B": 1}}
CHANNELS = ("web", "pos")
TTL = timedelta(seconds=100)

channels = st.sampled_from(CHANNELS)
keys = st.sampled_from(["k1", "k2", "k3", "k4"])
wanted = st.lists(st.tuples(st.sampled_from(sorted(PARTS)), st.integers(1, 4)), min_size=1, max_size=3)


@dataclass
class Hold:
    asked: dict[str, int]
    partial: bool
    held: dict[str, int]
    status: str
    ends: datetime
    order: str | None = None
    pieces: dict[str, int] = field(default_factory=dict)


class Model(RuleBasedStateMachine):
    engine: Engine
    clock: Clock
    callers: dict[str, Caller]

    def __init__(self) -> None:
        super().__init__()
        with self.engine.begin() as connection:
            # Movements cannot be deleted: each run has keys of its own instead.
            self.run = connection.execute(text("SELECT count(*) FROM reservation")).scalar_one()
        self.holds: dict[tuple[str, str], Hold] = {}

    def teardown(self) -> None:
        for (channel, key), hold in self.holds.items():
            if hold.status in ("held", "committed"):
                self.callers[channel].release(self.key(key))

    def key(self, key: str) -> str:
        return f"{self.run}-{key}"

    def look(self) -> None:
        """A hold past its time is over, for whoever looks."""
        for hold in self.holds.values():
            if hold.status == "held" and hold.ends <= self.clock.now:
                hold.status, hold.pieces = "expired", {}

    def left(self) -> dict[str, int]:
        self.look()
        taken = {sku: sum(hold.pieces.get(sku, 0) for hold in self.holds.values()) for sku in STOCK}
        return {sku: STOCK[sku] - taken[sku] for sku in STOCK}

    def matches(self, answer: httpx.Response, hold: Hold, status: int, outcome: str) -> None:
        assert answer.status_code == status, answer.text
        told: dict[str, Any] = answer.json()
        if status == 409:
            assert (told["type"], told.get("hold_status")) == (f"urn:onhand:{outcome}", hold.status)
        else:
            assert (told["outcome"], told["status"], told["order_id"]) == (outcome, hold.status, hold.order)
        assert {line["sku"]: line["held"] for line in told["lines"]} == hold.held

    @rule(channel=channels, key=keys, lines=wanted, partial=st.booleans())
    def ask(self, channel: str, key: str, lines: list[tuple[str, int]], partial: bool) -> None:
        asked: dict[str, int] = {}
        for sku, units in lines:
            asked[sku] = asked.get(sku, 0) + units
        left = self.left()
        answer = self.callers[channel].ask(self.key(key), *lines, partial=partial, ttl_seconds=int(TTL.total_seconds()))
        known = self.holds.get((channel, key))
        if known and (known.asked, known.partial) != (asked, partial):
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:onhand:key-conflict")
        elif known:
            status, outcome = (409, "refused") if known.status == "refused" else (200, "repeated")
            self.matches(answer, known, status, outcome)
        else:
            hold = self.holds[channel, key] = self.decide(asked, partial, left)
            self.matches(answer, hold, *((201, "held") if hold.status == "held" else (409, "refused")))

    def decide(self, asked: dict[str, int], partial: bool, left: dict[str, int]) -> Hold:
        held, after = {}, dict(left)
        for sku, units in sorted(asked.items()):
            held[sku] = min([units, *(after[part] // count for part, count in PARTS[sku].items())])
            for part, count in PARTS[sku].items():
                after[part] -= held[sku] * count
        if any(held.values()) if partial else held == asked:
            pieces = {part: left[part] - after[part] for part in left}
            return Hold(asked, partial, held, "held", self.clock.now + TTL, pieces=pieces)
        return Hold(asked, partial, dict.fromkeys(asked, 0), "refused", self.clock.now)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), seconds=st.integers(1, 300))
    def extend(self, data: st.DataObject, seconds: int) -> None:
        (channel, key), hold = self.one(data)
        answer = self.callers[channel].extend(self.key(key), seconds)
        if hold.status == "held":
            hold.ends = max(hold.ends, self.clock.now + timedelta(seconds=seconds))
            self.matches(answer, hold, 200, "extended")
        elif hold.status == "committed":
            self.matches(answer, hold, 200, "already_committed")
        else:
            self.matches(answer, hold, 409, "over")

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), order=st.sampled_from(["1001", "1002"]))
    def commit(self, data: st.DataObject, order: str) -> None:
        (channel, key), hold = self.one(data)
        answer = self.callers[channel].commit(self.key(key), order)
        if hold.order not in (None, order):
            self.matches(answer, hold, 409, "other-order")
        elif hold.status == "held":
            hold.status, hold.order = "committed", order
            self.matches(answer, hold, 200, "committed")
        elif hold.status == "committed":
            self.matches(answer, hold, 200, "already_committed")
        else:
            self.matches(answer, hold, 409, "over")

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        (channel, key), hold = self.one(data)
        answer = self.callers[channel].release(self.key(key))
        if hold.status in ("held", "committed"):
            hold.status, hold.pieces = "released", {}
            self.matches(answer, hold, 200, "released")
        else:
            self.matches(answer, hold, 200, f"already_{hold.status}")

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        (channel, key), hold = self.one(data)
        self.matches(self.callers[channel].read(self.key(key)), hold, 200, "read")

    @rule(seconds=st.integers(1, 120))
    def wait(self, seconds: int) -> None:
        self.clock.forward(seconds=seconds)

    @invariant()
    def what_is_free_is_what_nobody_holds(self) -> None:
        left = self.left()
        sets = min(left["A"] // 2, left["B"])
        assert self.callers["web"].free("A", "B", "SET") == {**left, "SET": sets}

    def one(self, data: st.DataObject) -> tuple[tuple[str, str], Hold]:
        self.look()
        return data.draw(st.sampled_from(sorted(self.holds.items(), key=lambda item: item[0])))


@pytest.fixture
def callers(engine: Engine) -> Iterator[tuple[dict[str, Caller], Clock]]:
    business(
        engine,
        stock_at={sku: {"main": units} for sku, units in STOCK.items()},
        channels=dict.fromkeys(CHANNELS, ("main",)),
        bundles={"SET": PARTS["SET"]},
    )
    clock = Clock()
    with served(engine, clock) as url, Caller(url, "web") as web, Caller(url, "pos") as pos:
        yield {"web": web, "pos": pos}, clock


def test_the_api_and_the_model_agree(engine: Engine, callers: tuple[dict[str, Caller], Clock]) -> None:
    Model.engine, (Model.callers, Model.clock) = engine, callers
    run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    assert_sound(engine)
    with callers[0]["web"].client.stream("GET", "/health") as answer:
        assert answer.status_code == 200
    assert set(balances(engine, "A")) == {"main available"}
