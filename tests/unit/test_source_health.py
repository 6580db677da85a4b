"""The state of a source and the ladder: pure, so tried with everything."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.channels.pause_switches import PAUSE_SWITCHES, UNKNOWN_SWITCH, pause_switch
from adapters.channels.registry import ChannelConfig
from benchmarks.fallback_ladder import WhileDark, contenders
from inventory.outages.ageing import aged_percent, aged_units, allowance
from inventory.outages.fallback_limits import WHOLE_CHANNEL, Allowed, Limits, within_limits
from inventory.outages.fallback_settings import Fallback
from inventory.outages.fallback_store import Switch, Taken
from inventory.outages.health_store import Seen
from inventory.outages.ladder import Decision, Stake, Trouble, choose, climb, limited, risk_of
from inventory.outages.outage_words import HealthState, LadderStep, SourceKind
from inventory.outages.source_health import Evidence, Health, next_health
from inventory.policies.policy import Offer
from inventory.policies.policy_file import PolicyFileError, parse_policy_file
from inventory.publishing.positions import Position, Stock
from tasks.outages.fall_back import trouble_of
from tasks.outages.fallback_report import Source

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
CALM, STAGE = timedelta(minutes=3), timedelta(minutes=5)
BADNESS = {HealthState.LIVE: 0, HealthState.RECOVERING: 1, HealthState.DEGRADED: 2, HealthState.DARK: 3}

evidences = st.builds(
    Evidence,
    st.floats(0, 3),
    st.booleans(),
    st.dictionaries(st.sampled_from(["pull", "read", "write"]), st.integers(1, 5)),
    st.booleans(),
    st.booleans(),
    st.just(False),
)


def step(before: Health, found: Evidence, now: datetime) -> Health:
    return next_health(before, found, now=now, calm=CALM, stages=2, stage_length=STAGE)


def worse(one: Evidence, other: Evidence) -> Evidence:
    """All that speaks against either."""
    faults = {call: max(one.faults.get(call, 0), other.faults.get(call, 0)) for call in (*one.faults, *other.faults)}
    return Evidence(
        max(one.staleness, other.staleness), one.dark or other.dark, faults, one.refused or other.refused,
        one.untold or other.untold,
    )  # fmt: skip


@given(st.sampled_from(list(BADNESS)), st.integers(0, 30), st.integers(0, 2), evidences, evidences)
def test_worse_evidence_never_gives_a_better_state(
    state: HealthState, minutes: int, stage: int, one: Evidence, other: Evidence
) -> None:
    before = Health(state, START, "", START, stage, START)
    now = START + timedelta(minutes=minutes)
    assert BADNESS[step(before, one, now).state] <= BADNESS[step(before, worse(one, other), now).state]


@given(st.lists(st.tuples(st.integers(5, 120), evidences), min_size=1, max_size=60))
def test_it_does_not_flap_and_comes_back_only_after_a_calm_time(looks: list[tuple[int, Evidence]]) -> None:
    """Good again only after nothing was wrong for the whole calm time; from darkness only through every stage."""
    health, now = Health.new(START), START
    wrong_at, dark_at, lived_at = None, None, None
    for seconds, evidence in looks:
        now += timedelta(seconds=seconds)
        after = step(health, evidence, now)
        wrong_at = now if evidence.gravity is not HealthState.LIVE else wrong_at
        dark_at = now if evidence.gravity is HealthState.DARK else dark_at
        if after.state is HealthState.LIVE and health.state is not HealthState.LIVE:
            assert wrong_at is not None and now - wrong_at >= CALM
            if health.state is HealthState.RECOVERING:
                assert dark_at is not None and now - dark_at >= 2 * STAGE
            assert lived_at is None or now - lived_at > CALM
            lived_at = now
        assert (after.state is HealthState.DARK) == (evidence.gravity is HealthState.DARK), "noticed at once"
        assert after.since == (health.since if after.state is health.state else now)
        assert (after.state is HealthState.LIVE) or after.cause
        health = after


def test_the_way_down_and_back() -> None:
    good, failing = Evidence(0.4), Evidence(0.4, faults={"write": 3})
    health, states = Health.new(START), []
    script = [good, Evidence(0.9), failing, Evidence(1.2), good, good, failing, *[good] * 14]
    for minute, evidence in enumerate(script):
        health = step(health, evidence, START + timedelta(minutes=minute))
        states.append((health.state.value, health.stage))
    assert states[:7] == [
        ("live", 0), ("live", 0), ("degraded", 0), ("dark", 0), ("recovering", 0), ("recovering", 0), ("recovering", 0),
    ]  # fmt: skip
    assert states[11:13] == [("recovering", 1), ("recovering", 1)], "held up for a minute by what failed"
    assert states[-5:] == [("live", 0)] * 5
    paused = step(health, Evidence(2, paused=True), START)
    assert (paused.state, paused.cause) == (HealthState.PAUSED, "not read for longer than its interval allows")
    assert step(paused, good, START).state is HealthState.RECOVERING


CHANNELS = ("amazon", "ebay", "website")
stakes = st.builds(
    lambda sellable, exposed, part: (sellable, exposed, part),
    st.integers(0, 40),
    st.tuples(*[st.integers(0, 60)] * 3),
    st.tuples(*[st.integers(0, 100)] * 3),
)
settings = st.builds(
    Fallback,
    limit=st.floats(0, 200),
    penalty=st.floats(0, 10),
    hide_at_most=st.integers(0, 4),
    throttles=st.sampled_from([(), (50, 25, 10), (30,)]),
)
troubles = st.builds(
    Trouble,
    st.sampled_from(CHANNELS),
    st.integers(0, 120).map(lambda minutes: timedelta(minutes=minutes)),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2),
    st.sampled_from([100, 50]),
)


@st.composite
def markets(draw: st.DrawFn) -> dict[str, Stake]:
    found = {}
    for number in range(draw(st.integers(0, 6))):
        sellable, exposed, part = draw(stakes)
        shown = {code: units * share // 100 for code, units, share in zip(CHANNELS, exposed, part, strict=True)}
        found[f"S{number}"] = Stake(f"S{number}", sellable, dict(zip(CHANNELS, exposed, strict=True)), shown)
    return found


def does(decision: Decision, trouble: Trouble, market: dict[str, Stake], terms: Fallback) -> float:
    return risk_of(trouble, limited(market, decision.limits), terms)


@given(troubles, markets(), settings)
def test_the_ladder_never_does_more_than_is_needed(trouble: Trouble, market: dict[str, Stake], terms: Fallback) -> None:
    others = [code for code in CHANNELS if code != trouble.channel]
    found = choose(trouble, market, others, terms)
    assert found.before == risk_of(trouble, market, terms)
    assert found.after == pytest.approx(does(found, trouble, market, terms))
    assert found.after <= found.before
    if found.before <= terms.limit:
        assert found.step is LadderStep.NOTHING
    if found.step is LadderStep.NOTHING:
        assert found.limits == ()
        return
    assert found.after < found.before, "what helps nothing is not done"
    here = {one.channel for one in found.limits}
    assert here <= ({trouble.channel} if trouble.answers else set(others))
    skus = sorted({one.sku for one in found.limits})
    if found.step is LadderStep.HIDE:
        assert len(skus) <= terms.hide_at_most - trouble.hidden
        for sku in skus:
            fewer = limited(market, [one for one in found.limits if one.sku != sku])
            assert risk_of(trouble, fewer, terms) > terms.limit, "each hidden SKU was needed"
    elif found.after <= terms.limit:
        # No smaller step would have done.
        smaller = Fallback(**{**terms.model_dump(), "throttles": ()}) if found.step is LadderStep.THROTTLE else terms
        calmer = Trouble(trouble.channel, trouble.stale, trouble.answers, False, trouble.hidden, trouble.percent)
        assert choose(calmer, market, others, smaller).after > terms.limit
    if found.step is LadderStep.PAUSE:
        assert trouble.may_pause and trouble.answers


@given(st.lists(troubles, max_size=3, unique_by=lambda one: one.channel), markets(), settings)
def test_the_most_at_risk_comes_first_and_the_next_sees_what_is_left(
    several: list[Trouble], market: dict[str, Stake], terms: Fallback
) -> None:
    done = list(climb(several, market, ["website"], terms))
    risks = [risk_of(one, market, terms) for one, _ in done]
    assert risks == sorted(risks, reverse=True)
    assert {one.channel for one, _ in done} == {one.channel for one in several}
    assert all(decision.before <= risk for (_, decision), risk in zip(done, risks, strict=True))


@given(troubles, settings, st.integers(0, 50), st.tuples(*[st.integers(0, 20)] * 3))
def test_what_is_backed_calls_for_nothing(
    trouble: Trouble, terms: Fallback, spare: int, exposed: tuple[int, int, int]
) -> None:
    """As under strict: whatever happens, all that is shown is there."""
    by_channel = dict(zip(CHANNELS, exposed, strict=True))
    seen = {"A": Stake("A", 10, {"amazon": 4, "ebay": 6, "website": 6}, {})}
    assert seen["A"].at_stake("amazon") == 0, "a fence of four for amazon; the two others hear of each other"
    assert replace(seen["A"], blind=frozenset(["ebay"])).at_stake("amazon") == 4
    market = {"A": Stake("A", sum(exposed) + spare, by_channel, by_channel)}
    assert choose(trouble, market, CHANNELS, terms).step is LadderStep.NOTHING


@given(st.floats(0, 400), st.floats(0, 10), st.integers(0, 100), st.floats(0, 100), st.integers(0, 10_000))
def test_weight_is_lost_with_age_slowly_and_within_bounds(
    days: float, every: float, most: int, a_day: float, units: int
) -> None:
    terms = Fallback(age_percent_a_day=a_day, age_percent_most=most)
    own = timedelta(days=every)
    percent = aged_percent(timedelta(days=days), own, terms)
    assert 0 <= percent <= most
    assert percent <= aged_percent(timedelta(days=days + 1), own, terms)
    assert aged_percent(allowance(own), own, terms) == 0
    assert 0 <= aged_units(units, percent) <= units
    assert aged_units(units, percent) * 100 >= units * percent


def test_the_settings_stand_in_the_policy_file() -> None:
    file = parse_policy_file("[fallback]\nlimit = 20\npenalties = {amazon = 5}\nthrottles = [40, 20]\n")
    assert (file.fallback.penalty_of("amazon"), file.fallback.penalty_of("ebay"), file.fallback.limit) == (5, 1, 20)
    assert file.unknown(["ebay"], []) == ["fallback.penalties: no channel 'amazon'"]
    assert parse_policy_file("").fallback == Fallback()
    for wrong in ("throttles = [10, 50]", "raises = [50, 25]", "limit = -1", "limit = nan", "hide_at_most = 1.5",
                  "age_percent_most = 101", "surprise = 1", "throttles = [100]"):  # fmt: skip
        with pytest.raises(PolicyFileError, match="fallback"):
            parse_policy_file(f"[fallback]\n{wrong}\n")


def test_limits_only_take_away_and_hold_for_bundles() -> None:
    def at(listing: int, components: dict[str, int], exposure: int, **more: Any) -> Position:
        return Position(listing, "amazon", str(listing), "A", components, frozenset(["main"]), 1.0, exposure, exposure,
                        True, **more)  # fmt: skip

    stock = {"A": Stock({"main": 10, "far": 90}), "B": Stock({"main": 9})}
    alone, pair, kit = at(1, {"A": 1}, 8), at(2, {"A": 2}, 0, cap=1), at(3, {"A": 1, "B": 4}, 0)
    asking = at(4, {"A": 1}, 0, asks_first=True)
    hidden = {("amazon", "B"): (Allowed(0, hard=True),), ("ebay", "A"): (Allowed(0, hard=True),)}
    throttled = {("amazon", WHOLE_CHANNEL): (Allowed(25, hard=True), Allowed(50, hard=True))}
    # Amazon leaves all, or nine tenths, of the twelve that ebay may sell: of ten nothing, of twenty-two ten.
    other = replace(at(5, {"A": 1}, 12), channel="ebay")
    plenty = {"A": Stock({"main": 22})}
    for percent, units in ((0, 10), (10, 11), (50, 16), (99, 21)):
        beside = {("amazon", "A"): (Allowed(percent, hard=True, beside="ebay"),)}
        assert [one.cap for one in within_limits([alone, other], plenty, beside)] == [units, None]
    raised = {("amazon", WHOLE_CHANNEL): (Allowed(25, hard=False),)}

    def caps(limits: Limits) -> list[int | None]:
        return [one.cap for one in within_limits([alone, pair, kit, asking], stock, limits)]

    assert caps(hidden) == [None, 1, 0, None]
    assert caps(throttled) == [3, 1, 0, None]
    assert caps(raised) == [8, 1, 0, None], "what is shown already is not taken away"


def test_every_vendor_has_its_switch_in_words() -> None:
    vendors = {get_args(config.model_fields["vendor"].annotation)[0] for config in get_args(get_args(ChannelConfig)[0])}
    assert vendors == set(PAUSE_SWITCHES)
    assert pause_switch("unheard-of") is UNKNOWN_SWITCH


def test_the_contenders_of_the_benchmark_differ_only_while_a_channel_is_dark() -> None:
    offers = [Offer(1.0, 6), Offer(1.0, 10), Offer(1.0, 10)]
    shown = {one.text: one.entitled(10, offers) for one in contenders() if isinstance(one, WhileDark)}
    assert set(map(tuple, shown.values())) == {(10, 10, 10)}
    offers[0].reachable = False
    dark = {one.percent: one.entitled(10, offers)[1] for one in contenders() if isinstance(one, WhileDark)}
    assert dark == {50: 7, 25: 5, 10: 4, 0: 4, None: 0}
    assert all(one.lowers(10, offers, [10, 7, 7]) for one in contenders() if isinstance(one, WhileDark))


def test_the_switch_is_not_turned_to_and_fro() -> None:
    terms, now = Fallback(pause_after_minutes=15, pause_apart_minutes=60), START + timedelta(hours=5)

    def may_pause(lasted: float, lifted: float | None, state: HealthState = HealthState.DARK) -> Trouble:
        began = now - timedelta(minutes=lasted)
        seen = Seen(Evidence(2), now - timedelta(minutes=lasted + 10))
        source = Source(SourceKind.CHANNEL, "amazon", Health(state, began), seen, state)
        switch = Switch(None if lifted is None else now - timedelta(minutes=lifted))
        steps = [Taken("amazon", LadderStep.HIDE, "amazon", "A", 0, began)]
        return trouble_of(source, steps, switch, {"amazon"}, terms, now)

    assert [may_pause(*how).may_pause for how in ((14, None), (15, None), (30, 59), (30, 60))] == [
        False, True, False, True,
    ]  # fmt: skip
    found = may_pause(30, None)
    assert (found.stale, found.answers, found.hidden, found.percent) == (timedelta(minutes=40), True, 1, 100)
    assert may_pause(30, None, HealthState.DEGRADED).stale == timedelta(minutes=30)
