"""Channels go dark during trading, on a virtual clock: noticed, limited as needed, read first, raised slowly."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fake_channel import Clock, bench
from shops import LOCATION, Stage, two_shops
from sqlalchemy import Engine, text
from test_policies_in_force import CALIBRATED, rest, sold_for_weeks

from adapters.channels.protocol import Channel
from adapters.database import in_transaction
from adapters.http import ChannelFault
from adapters.sandbox.faults import Fault, FaultKind, Operation
from expectations import gate
from inventory.channels import UnknownChannel
from inventory.ledger.explanation import explain
from inventory.outages.ageing import note_location_read
from inventory.policies.policy_store import bring_in_force
from inventory.words import PauseOwner
from onhand import command_line
from tasks.learn import learn
from tasks.outages.fall_back import look
from tasks.outages.fallback_report import Looked
from tasks.outages.lift import resume_channel
from tasks.outages.pause import pause_channel
from tasks.outages.write_runbook import runbook_of
from tasks.publishing.publish import publish
from tasks.publishing.watch import watch
from tasks.runtime import Memory
from tasks.selling.pull import pull

SPARE = "gid://shopify/Location/2"
EVERY = 300
RISKY = """
[default]
policy = "mirror"
[fallback]
limit = 1.0
penalties = {shopify = 3.0}
full_after_minutes = 30
hide_at_most = 1
throttles = []
pause_after_minutes = 10
pause_least_minutes = 10
raises = [25, 50]
"""


class Dying(Exception):
    """The process dies here."""


class DiesAtTheSwitch:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str):
        return getattr(self._channel, name)

    def pause(self, *given, **named):
        raise Dying


@dataclass
class Trading:
    stage: Stage
    clock: Clock

    def minutes(self, count: int, *, looking: bool = True) -> list[Looked]:
        """Pull every five minutes, publish and look every minute."""
        found = []
        for _ in range(count):
            self.clock.forward(60)
            if self.clock.at.timestamp() % EVERY < 60:
                self.pull()
            publish(self.stage.runtime)
            if looking:
                found.append(look(self.stage.runtime))
            publish(self.stage.runtime)
        return found

    def pull(self) -> None:
        for code in self.stage.shops:
            try:
                pull(self.stage.runtime, code)
            except ChannelFault:
                assert self.stage.shops[code].faults.faults()

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with self.stage.runtime.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def states(self, code: str = "shopify") -> list[str]:
        return [
            str(after)
            for (after,) in self.rows(f"SELECT after FROM health_change WHERE subject = '{code}' ORDER BY id")
        ]

    def steps(self) -> list[tuple[object, ...]]:
        return self.rows("SELECT step, on_channel, sku, percent FROM fallback_step WHERE ended_at IS NULL ORDER BY id")

    def incidents(self) -> set[tuple[object, ...]]:
        return set(self.rows("SELECT kind, subject FROM incident WHERE status = 'open'"))

    def shown(self, sku: str) -> tuple[int, int]:
        return tuple(self.stage.shops[code].product(sku).quantity for code in ("shopify", "website"))

    def breaks(self, code: str, operation: Operation) -> None:
        self.stage.shops[code].faults.replace([Fault(FaultKind.ERROR_BEFORE, operation)])

    def mends(self, code: str) -> None:
        self.stage.shops[code].faults.replace([])

    def oversold(self) -> int:
        return int(self.rows("SELECT coalesce(sum(oversold), 0) FROM reservation_line")[0][0])  # type: ignore[call-overload]


@pytest.fixture
def trading(engine: Engine) -> Iterator[Trading]:
    with two_shops(engine, {"A": 10, "B": 4}, locations=(LOCATION, SPARE)) as made:
        clock = Clock(datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1))
        for shop in made.shops.values():
            shop.now = clock
        made.runtime = replace(made.runtime, now=clock, check=gate.recheck, memory=Memory())
        at = Trading(made, clock)
        at.pull()
        yield at


def in_force(at: Trading, policy: str) -> None:
    engine, now = at.stage.runtime.engine, at.clock()
    in_transaction(engine, lambda c: bring_in_force(c, policy, actor="jo", reason="to try it", now=now))


def test_a_channel_goes_dark_and_comes_back(trading: Trading) -> None:
    at, shopify, website = trading, trading.stage.shops["shopify"], trading.stage.shops["website"]
    in_force(at, RISKY)
    at.minutes(12)
    assert (at.shown("A"), at.shown("B")) == ((10, 10), (4, 4)), "mirrored: twice what there is"
    assert (at.states(), at.steps()) == ([], [])

    at.breaks("shopify", Operation.ORDERS)
    assert shopify.checkout([("A", 3)]).order is not None
    website.checkout([("A", 2)])
    looks = at.minutes(11)
    assert "shopify" not in [one.subject for found in looks[:6] for one in found.sources if one.step != "nothing"]
    assert at.states()[-1] == "dark"
    hidden = ("hide", "shopify", "A", 0)
    assert hidden in at.steps(), "the SKU of which the most is at stake, and no more than may be hidden"
    assert at.shown("A")[0] == 0
    assert at.shown("B")[0] == 4
    assert {("channel_dark", "shopify"), ("fallback", "shopify")} <= at.incidents()
    page = runbook_of(at.stage.runtime.engine, "shopify", now=at.clock())
    for said in (
        "# When shopify is dark",
        "It is dark since",
        "without a class: mirror",
        "hide A on shopify",
        "× 3 (",
        "hide the riskiest SKUs, at most 1",
        "raised to 25 %, then 50 %",
        "*Fulfill online orders*",
    ):
        assert said in page
    assert shopify.checkout([("A", 1)]).order is None
    tried = look(at.stage.runtime, dry_run=True)
    assert tried.dry_run
    assert tried.sources[0].doing.startswith("1 SKUs hidden on shopify")

    # It lasts: the next step is its switch. The process dies at it, and the next look turns it.
    dying = replace(at.stage.runtime, open=lambda code: DiesAtTheSwitch(at.stage.runtime.open(code)))
    died = False
    for _ in range(15):
        at.clock.forward(60)
        before = at.rows("SELECT count(*) FROM fallback_step")
        wanted = look(at.stage.runtime, dry_run=True).to_pause
        assert at.rows("SELECT count(*) FROM fallback_step") == before, "a dry run writes nothing"
        if wanted:
            with pytest.raises(Dying):
                look(dying)
            died = True
            break
        look(at.stage.runtime)
    assert died and not shopify.closed
    assert at.minutes(1)[0].turned[0].startswith("shopify is paused")
    assert shopify.closed
    assert at.minutes(1)[0].turned == [], "turned once"
    assert at.states()[-1] == "paused"
    pause_channel(at.stage.runtime, "shopify", owner=PauseOwner.PERSON, actor="Wanda", reason="it stays off")

    # It answers again: its orders are read first. Ours is lifted, the person's stays.
    at.mends("shopify")
    said = [turned for found in at.minutes(20) for turned in found.turned]
    assert said == ["our pause of shopify is lifted, but stays off sale by person"]
    assert shopify.closed
    assert at.rows("SELECT count(*) FROM reservation WHERE channel = 'shopify'") == [(1,)]
    assert at.rows("SELECT step FROM fallback_step WHERE ended_at IS NULL ORDER BY id") == [("raise",), ("hide",)]
    resume_channel(
        at.stage.runtime, "shopify", by=PauseOwner.PERSON, actor="Wanda", reason="all is well", request_key="w"
    )
    assert not shopify.closed

    # In stages: a quarter of what there is, half, all. What it showed already is not taken away.
    raised = []
    for _ in range(16):
        at.minutes(1)
        raised.append((at.shown("A")[0], [percent for step, *_, percent in at.steps() if step == "raise"]))
    assert at.states()[-3:] == ["paused", "recovering", "live"]
    assert [units for units, _ in raised] == sorted(units for units, _ in raised)
    assert (2, [25]) in raised and (3, [50]) in raised
    assert raised[-1] == (5, [])
    assert at.shown("A") == (5, 5)
    assert at.incidents() == set()
    assert at.oversold() == 0
    assert at.minutes(2)[-1].sources[0].doing == ""


def test_a_channel_that_cannot_be_reached_at_all_makes_the_others_give_up(trading: Trading) -> None:
    at = trading
    in_force(at, RISKY.replace("hide_at_most = 1", "hide_at_most = 9"))
    at.minutes(12)
    at.breaks("shopify", Operation.ANY)
    at.stage.shops["website"].checkout([("A", 1)])
    at.stage.shops["website"].checkout([("B", 1)])
    at.minutes(25)
    assert {("hide", "website", "A", 0), ("hide", "website", "B", 0)} <= set(at.steps())
    assert at.shown("A") == (10, 0), "what it shows counts as sold; the other gives it up"
    [(message,)] = at.rows("SELECT message FROM incident WHERE kind = 'fallback' AND status = 'open'")
    assert "count as sold until it is read" in str(message)
    assert at.rows("SELECT count(*) FROM channel_pause") == [(0,)], "its switch cannot be reached"
    faults = at.rows("SELECT DISTINCT call FROM channel_fault WHERE channel = 'shopify' AND times >= 3")
    assert ("read",) in faults
    at.stage.shops["shopify"].checkout([("A", 9)])
    at.mends("shopify")
    at.minutes(30)
    assert at.states()[-2:] == ["recovering", "live"]
    assert at.shown("A") == (0, 0)
    assert at.oversold() == 0
    assert at.rows("SELECT count(*) FROM channel_fault WHERE cleared_at IS NULL") == [(0,)]
    assert at.incidents() == set()


def feeds(at: Trading, *days_ago: int) -> None:
    with at.stage.runtime.engine.begin() as connection:
        for days in days_ago:
            connection.execute(
                text(
                    "INSERT INTO supplier_feed (supplier, status, digest, pulled_at, rows, known, held, stocked, "
                    "units, approved_by) VALUES ('acme', 'applied', '', :at, 1, 1, 0, 1, 1, '')"
                ),
                {"at": at.clock() - timedelta(days=days)},
            )


def test_under_strict_nothing_is_needed_and_a_location_loses_weight(
    trading: Trading,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    at = trading
    feeds(at, 3, 2, 1, 0)
    at.minutes(12)
    assert at.shown("A") == (5, 5)
    engine, runtime = at.stage.runtime.engine, at.stage.runtime
    for days in (2, 1, 0):
        taken = at.clock() - timedelta(days=days)
        in_transaction(engine, lambda c: note_location_read(c, ["main", "nowhere"], taken_at=taken))  # noqa: B023
    at.breaks("shopify", Operation.ORDERS)
    at.minutes(90, looking=False)
    at.minutes(2)
    assert at.states() == ["dark"]
    assert "backed by stock that nobody else may sell" in runbook_of(engine, "shopify", now=at.clock())
    with pytest.raises(UnknownChannel):
        runbook_of(engine, "stranger", now=at.clock())
    assert [step for step, *_ in at.steps()] == ["raise"], "nothing but that it is not raised at once when it is back"
    assert at.incidents() == {("channel_dark", "shopify")}
    at.mends("shopify")
    at.minutes(20)
    assert at.shown("A") == (5, 5)

    with pytest.raises(UnknownChannel):
        look(runtime, channel="stranger")
    assert [one.subject for one in look(runtime, channel="website").sources] == ["website"]
    at.clock.forward(4.2 * 86400)
    at.pull()
    at.minutes(2)
    assert {("source_dark", "location/main"), ("source_dark", "supplier/acme")} <= at.incidents()
    feeds(at, 0)
    with engine.connect() as connection:
        found = explain(connection, "A", at.clock())
    assert dict(found.availability.aged_at) == {"main": 1}, "5 %, rounded up"
    assert found.availability.sellable == 9
    in_transaction(engine, lambda c: note_location_read(c, ["main"], taken_at=at.clock()))
    at.minutes(2)
    with engine.connect() as connection:
        assert explain(connection, "A", at.clock()).availability.sellable == 10
    assert not {("source_dark", "location/main"), ("source_dark", "supplier/acme")} & at.incidents()
    assert at.states("acme") == ["dark", "recovering", "live"]

    monkeypatch.setenv("ONHAND_DATABASE_URL", database_url)
    assert command_line.run(["runbook", "website", "--to", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text().startswith("# When website is dark")
    assert command_line.run(["runbook", "shopify"]) == 0
    assert "# When shopify is dark" in capsys.readouterr().out
    for wrong in (["stranger"], ["shopify", "--to", str(tmp_path / "no" / "page.md")]):
        assert command_line.run(["runbook", *wrong]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_fence_that_holds_calls_for_no_step(engine: Engine) -> None:
    """Under calibrated, whose learnt demand says what a dark channel may plausibly sell."""
    at = bench(engine, {"A": 40, "B": 2, "C": 7}, shop=True, market=True, site=False)
    at.runtime.check = gate.recheck
    rest(at)
    sold_for_weeks(at)
    learn(at.runtime)
    engine, now = at.engine, at.clock()
    in_transaction(engine, lambda c: bring_in_force(c, CALIBRATED, actor="jo", reason="to try it", now=now))
    rest(at)
    for _ in range(30):
        at.clock.forward(60)
        for code in ("shop", "site"):
            pull(at.runtime, code)
        publish(at.runtime)
        found = look(at.runtime)
        watch(at.runtime)
        publish(at.runtime)
    assert at.rows("SELECT subject, state FROM source_health WHERE state = 'dark'") == [("market", "dark")]
    assert at.one("SELECT sum(exposure) FROM listing WHERE sku = 'A'") > 60, "plenty is still mirrored"
    assert [one.risk <= 5 for one in found.sources if one.subject == "market"] == [True]
    assert at.rows("SELECT step FROM fallback_step WHERE step <> 'raise'") == []
