"""A channel off sale and back: nothing is lost by a crash, its units go to the others, and it never comes back with
more than nobody else may sell."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from shops import LOCATION, Stage, two_shops
from sqlalchemy import Engine, text

from adapters.channels.protocol import ChangeResult, ChangeStatus, Channel, PauseState, Remember, forget
from adapters.http import ChannelFault, Resolution
from expectations import gate
from inventory.channels import UnknownChannel
from inventory.words import PauseOwner
from tasks.outages.lift import NotLiftable, resume_channel
from tasks.outages.pause import LiftedSince, pause_channel
from tasks.publishing.publish import publish
from tasks.publishing.sweep import sweep
from tasks.reconciling.compare import compare_channel
from tasks.runtime import Runtime
from tasks.selling.pull import pull

PERSON, ONHAND, PLATFORM = PauseOwner.PERSON, PauseOwner.ONHAND, PauseOwner.PLATFORM
SPARE = "gid://shopify/Location/2"


@pytest.fixture
def stage(engine: Engine) -> Iterator[Stage]:
    with two_shops(engine, {"A": 10, "B": 4}, locations=(LOCATION, SPARE)) as made:
        made.runtime.check = gate.recheck
        trade(made, 2)
        yield made


def trade(stage: Stage, times: int = 3) -> None:
    """Both shops are read and published until nothing moves any more."""
    for _ in range(times):
        for code in stage.shops:
            pull(stage.runtime, code)
        publish(stage.runtime)


def rows(stage: Stage, sql: str) -> list[tuple[object, ...]]:
    with stage.runtime.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def shown(stage: Stage, sku: str) -> tuple[int, int]:
    return stage.shops["shopify"].product(sku).quantity, stage.shops["website"].product(sku).quantity


def pause(
    stage: Stage, owner: PauseOwner = PERSON, runtime: Runtime | None = None, channel: str = "shopify", **how: str
):
    return pause_channel(
        runtime or stage.runtime,
        channel,
        owner=owner,
        actor="Wanda",
        reason="a bad feed",
        request_key=f"p-{owner}",
        **how,
    )


def resume(stage: Stage, by: PauseOwner = PERSON, channel: str = "shopify"):
    return resume_channel(stage.runtime, channel, by=by, actor="Walter", reason="it is mended", request_key=f"r-{by}")


def incidents(stage: Stage) -> list[tuple[object, ...]]:
    return rows(stage, "SELECT kind, subject FROM incident WHERE status = 'open' ORDER BY kind")


class Dying(Exception):
    """The process dies here."""


class Wrapped:
    """A channel one of whose calls ends badly."""

    def __init__(self, channel: Channel, error: Exception, *, turns: bool) -> None:
        self._channel, self._error, self._turns = channel, error, turns

    def __getattr__(self, name: str):
        return getattr(self._channel, name)

    def pause(self, listing_refs: Sequence[str], remember: Remember = forget) -> PauseState:
        if self._turns:
            self._channel.pause(listing_refs, remember)
        raise self._error

    def resume(self, state: PauseState) -> None:
        if self._turns:
            self._channel.resume(state)
        if not self._turns or state["switched_off"]:
            raise self._error


def failing(stage: Stage, error: Exception, *, turns: bool) -> Runtime:
    return replace(stage.runtime, open=lambda code: Wrapped(stage.runtime.open(code), error, turns=turns))


def test_a_switch_hides_the_shop_and_its_units_go_to_the_other(stage: Stage) -> None:
    shopify, website = stage.shops["shopify"], stage.shops["website"]
    assert shown(stage, "A") == (5, 5)
    report = pause(stage)
    assert (report.status, report.by_switch, report.confirmed) == ("paused", True, True)
    assert (report.still_shown, report.exposure) == (7, 7), "what was sold unseen until now may still come in"
    assert shopify.checkout([("A", 1)]).order is None
    trade(stage)
    assert rows(stage, "SELECT exposure FROM listing WHERE channel = 'shopify' ORDER BY id") == [(0,), (0,)]
    assert shown(stage, "A") == (5, 10), "nothing is written to the paused shop"
    assert shown(stage, "B") == (2, 4)
    for _ in range(8):
        website.checkout([("A", 1)])
    trade(stage)
    with pytest.raises(NotLiftable, match="person"):
        resume(stage, by=ONHAND)
    back = resume(stage)
    assert (back.on_sale, back.lifted, back.zeroed) == (True, ["person"], 2), "the other may sell all of it by now"
    assert shown(stage, "A") == (0, 2)
    assert not shopify.closed
    trade(stage, 6)
    assert shown(stage, "A") == (1, 1)
    assert shopify.checkout([("A", 2)]).refused == [("A", 1)]
    trade(stage)
    assert rows(stage, "SELECT coalesce(sum(oversold), 0) FROM reservation_line") == [(0,)]
    assert incidents(stage) == []
    [row] = rows(stage, "SELECT owner, actor, status, lifted_by, lift_reason FROM channel_pause")
    assert row == ("person", "Wanda", "lifted", "Walter", "it is mended")
    done = rows(stage, "SELECT action, subject, actor, reason FROM operation ORDER BY id")
    assert done == [
        ("pause_channel", "shopify", "Wanda", "a bad feed"),
        ("resume_channel", "shopify", "Walter", "it is mended"),
    ]


def test_a_short_pause_gives_back_what_nobody_else_took(stage: Stage) -> None:
    """Also by zeros, which the website is paused by: there is nothing to be taken away."""
    pause(stage)
    back = resume(stage)
    assert back.zeroed == 0
    assert shown(stage, "A") == (5, 5)
    report = pause(stage, channel="website", owner=ONHAND)
    assert (report.by_switch, report.confirmed, report.still_shown) == (False, True, 0)
    trade(stage)
    assert shown(stage, "A") == (10, 0)
    stage.shops["website"].set_quantity(stage.shops["website"].product("A").number, 3, by="a write on its way")
    pull(stage.runtime, "website")
    compare_channel(stage.runtime, "website", stale_after=timedelta(hours=1), heal=True)
    sweep(stage.runtime)
    assert ("pause_unfinished", "website") in incidents(stage)
    again = pause_channel(stage.runtime, "website", owner=ONHAND, actor="onhand", reason="a bad feed")
    assert (again.still_shown, again.leaks) == (0, False)
    assert ("pause_unfinished", "website") not in incidents(stage)
    trade(stage)
    resume(stage, by=ONHAND, channel="website")
    trade(stage, 6)
    assert shown(stage, "A") == (5, 5)


def test_who_dies_half_way_begins_again_and_nothing_is_forgotten(stage: Stage) -> None:
    shopify = stage.shops["shopify"]
    with pytest.raises(Dying):
        pause(stage, runtime=failing(stage, Dying(), turns=True))
    assert shopify.closed, "it died after the switch was turned"
    [(status, prior)] = rows(stage, "SELECT status, prior FROM channel_pause")
    assert status == "turning"
    assert prior[0]["switched_off"] is True, "what puts it back was kept before"
    trade(stage)
    exposures = "SELECT sum(exposure) FROM listing WHERE channel = 'shopify'"
    assert rows(stage, exposures) == [(7,)], "until it is confirmed all of it counts"
    assert pause(stage).status == "paused"
    with pytest.raises(Dying):
        resume_channel(
            failing(stage, Dying(), turns=True), "shopify", by=PERSON, actor="W", reason="it is mended", request_key="x"
        )
    assert not shopify.closed
    shopify.checkout([("A", 2)])
    assert rows(stage, "SELECT status FROM channel_pause") == [("lifting",)]
    assert rows(stage, exposures) == [(7,)], "what it sells again counts"
    resume(stage)
    trade(stage)
    assert sum(shown(stage, "A")) == 8
    assert rows(stage, "SELECT count(*) FROM operation WHERE action = 'resume_channel'") == [(1,)]


def test_a_switch_that_cannot_be_turned_is_told_and_nothing_is_sent_meanwhile(stage: Stage) -> None:
    fault = ChannelFault("shopify", Resolution.RETRY, "away")
    with pytest.raises(ChannelFault):
        pause(stage, runtime=failing(stage, fault, turns=False))
    assert incidents(stage) == [("pause_unfinished", "shopify")]
    before = shown(stage, "A")
    stage.shops["website"].checkout([("A", 5)])
    trade(stage)
    assert shown(stage, "A")[0] == before[0]
    pause(stage)
    assert incidents(stage) == []


def test_whose_pause_it_is_decides_who_lifts_it(stage: Stage) -> None:
    shopify = stage.shops["shopify"]
    pause(stage, ONHAND)
    pause(stage, PERSON)
    assert len(rows(stage, "SELECT FROM channel_pause WHERE status = 'paused' AND by_switch")) == 2
    ours = resume(stage, by=ONHAND)
    assert (ours.on_sale, ours.kept_by) == (False, ["person"])
    assert shopify.closed, "a person's pause is not ours to lift"
    noted = pause(stage, PLATFORM)
    assert noted.confirmed is True, "the person's switch is off"
    kept = resume(stage, by=PERSON)
    assert kept.kept_by == ["platform"]
    assert shopify.closed
    with pytest.raises(NotLiftable, match="platform"):
        resume_channel(stage.runtime, "shopify", by=PERSON, actor="Walter", reason="it is mended")
    resume(stage, by=PLATFORM)
    assert not shopify.closed, "what the first pause remembered was handed on"
    trade(stage)
    assert shown(stage, "A") == (5, 5)
    with pytest.raises(UnknownChannel):
        pause_channel(stage.runtime, "stranger", owner=PERSON, actor="Wanda", reason="a bad feed")
    with pytest.raises(NotLiftable, match="not paused"):
        resume_channel(stage.runtime, "shopify", by=PERSON, actor="Walter", reason="it is mended")
    assert resume(stage).lifted == [], "that request was done before"
    with pytest.raises(LiftedSince):
        pause(stage, PERSON)
    assert not shopify.closed


def test_it_stays_off_sale_while_it_cannot_be_judged(stage: Stage) -> None:
    pause(stage)
    stage.shops["shopify"].closed = False
    stage.shops["shopify"].checkout([("A", 1)])
    stage.shops["shopify"].closed = True
    unread = replace(stage.runtime, open=lambda code: Unreadable(stage.runtime.open(code)))
    with pytest.raises((NotLiftable, ChannelFault)):
        resume_channel(unread, "shopify", by=PERSON, actor="Walter", reason="it is mended")
    with stage.runtime.engine.begin() as connection:
        connection.execute(text("UPDATE listing SET exposure = 0 WHERE channel = 'shopify'"))
    refusing = replace(stage.runtime, open=lambda code: Unwritable(stage.runtime.open(code)))
    with stage.runtime.engine.begin() as connection:
        connection.execute(text("UPDATE item SET safety_stock = 100"))
    with pytest.raises(NotLiftable, match="refuses"):
        resume_channel(refusing, "shopify", by=PERSON, actor="Walter", reason="it is mended")
    assert rows(stage, "SELECT status FROM channel_pause") == [("paused",)]
    assert stage.shops["shopify"].closed


class Unreadable(Wrapped):
    def __init__(self, channel: Channel) -> None:
        super().__init__(channel, ChannelFault("shopify", Resolution.RETRY, "away"), turns=False)

    def read_quantities(self, listing_refs: Sequence[str]):
        raise self._error


class Unwritable(Wrapped):
    def __init__(self, channel: Channel) -> None:
        super().__init__(channel, Dying(), turns=False)

    def set_quantities(self, changes, key):
        return [ChangeResult(one.listing_ref, ChangeStatus.REJECTED, "not today") for one in changes]


def test_who_pauses_while_it_is_being_resumed_has_the_last_word(stage: Stage) -> None:
    """The switch is turned back, and in that moment onhand and a person want it off."""
    shopify = stage.shops["shopify"]
    pause(stage)
    started: list[threading.Thread] = []

    def meanwhile() -> None:
        if started:
            return
        for owner in (ONHAND, PERSON):
            again = dict(owner=owner, actor="Otto", reason="not yet")
            started.append(threading.Thread(target=pause_channel, args=(stage.runtime, "shopify"), kwargs=again))
            started[-1].start()
        # Their wish is in the ledger before the switch is turned back; they turn it when we have done.
        while len(rows(stage, "SELECT FROM channel_pause WHERE status = 'turning'")) < 2:
            time.sleep(0.01)

    runtime = replace(stage.runtime, open=lambda code: Interrupted(stage.runtime.open(code), meanwhile))
    resume_channel(runtime, "shopify", by=PERSON, actor="Walter", reason="it is mended")
    for thread in started:
        thread.join(60)
    assert shopify.closed
    assert rows(stage, "SELECT owner, status, by_switch FROM channel_pause ORDER BY id") == [
        ("person", "paused", True),
        ("onhand", "paused", True),
    ]
    resume(stage)
    assert not shopify.closed


class Interrupted(Wrapped):
    def __init__(self, channel: Channel, meanwhile: Callable[[], None]) -> None:
        super().__init__(channel, Dying(), turns=True)
        self._meanwhile = meanwhile

    def resume(self, state: PauseState) -> None:
        self._meanwhile()
        self._channel.resume(state)


def test_a_channel_that_shows_zeros_since_its_pause_a_moment_ago_is_believed(engine: Engine) -> None:
    """Nothing has settled yet, so what it may have sold still counts; that it shows nothing is what the pause did."""
    units = {f"S{number:02}": 10 for number in range(25)}
    with two_shops(engine, units, settle=600) as stage:
        publish(stage.runtime)
        for code in stage.shops:
            pull(stage.runtime, code)
        pause(stage, channel="website")
        assert {shown(stage, sku)[1] for sku in units} == {0}
        assert rows(stage, "SELECT count(*) FROM listing WHERE channel = 'website' AND exposure > 0") == [(25,)]
        compared = compare_channel(stage.runtime, "website", stale_after=timedelta(hours=1), heal=True)
        assert (compared.blocked, compared.differing) == ("", 0)
        stage.shops["website"].product("S00").quantity = 3
        compared = compare_channel(stage.runtime, "website", stale_after=timedelta(hours=1), heal=False)
        assert compared.differing == 1, "what somebody put back on sale is seen"
        stage.shops["website"].product("S00").quantity = 0
        assert resume(stage, channel="website").lifted == ["person"]
