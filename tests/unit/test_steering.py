"""Policies other than strict in the publisher's plan: the same answers as the policy functions give, put together."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from inventory.policies.policy import Offer
from inventory.policies.policy_file import Terms
from inventory.policies.policy_text import parse_policy
from inventory.publishing.positions import Demand, Position, Room, Step, Stock
from inventory.publishing.promotions import Limits, within_guards
from inventory.publishing.publishing import Market, plan
from inventory.publishing.unseen import Sizes, Unseen

SIZES = Sizes.of([0, 0.7, 0.2, 0.0, 0.1])


def listing(number: int, policy: str, **given: object) -> Position:
    live = given.pop("live", 0)
    lines = given.pop("lines", 0.001)
    assert isinstance(lines, float)
    values: dict[str, object] = {
        "listing_id": number, "channel": f"channel{number}", "ref": str(number), "sku": "A", "components": {"A": 1},
        "locations": frozenset({"main"}), "share": 1, "exposure": live, "live": live, "compare_and_set": True,
        "terms": Terms(parse_policy(policy)), "demand": Demand(3.0, lines * 2, Unseen(lines, 2.0, SIZES), 60.0),
    }  # fmt: skip
    return Position(**{**values, **given})  # type: ignore[arg-type]


def after(market: Market, steps: list[Step]) -> Market:
    """The channels do as they are told; what was said of an absolute write is evidence by then."""
    told = {step.position.listing_id: step.quantity for step in steps}
    done = []
    for one in market.positions:
        quantity = told.get(one.listing_id, one.live)
        done.append(replace(one, live=quantity, exposure=0 if one.asks_first else quantity))
    return Market(market.stock, done)


def settled(market: Market) -> dict[int, int | None]:
    for _ in range(12):
        steps = plan(market)
        if not steps:
            return {one.listing_id: one.live for one in market.positions}
        lowerings = [step for step in steps if not step.raises]
        market = after(market, lowerings or steps)
    raise AssertionError(f"still {plan(market)}")


def of(units: int, *positions: Position, **stock: int) -> Market:
    return Market({"A": Stock({"main": units}), **{sku: Stock({"main": n}) for sku, n in stock.items()}}, positions)


@pytest.mark.parametrize(
    ("policy", "shown"), [("mirror", 50), ("fixed:5", 45), ("percentage:90", 45), ("calibrated:0.001", 50)]
)
@pytest.mark.parametrize("compare_and_set", [True, False])
def test_plenty_is_shown_everywhere_as_the_policy_says(policy: str, shown: int, compare_and_set: bool) -> None:
    four = [listing(number, policy, compare_and_set=compare_and_set) for number in range(4)]
    market = of(50, *four)
    numbers = settled(market)
    if policy == "calibrated:0.001":
        assert all(45 <= (number or 0) <= 50 for number in numbers.values())
    else:
        assert set(numbers.values()) == {shown}


def test_scarce_stock_is_given_to_whom_the_policy_function_names() -> None:
    four = [listing(number, "calibrated:0.0001", lines=0.3, share=1) for number in range(4)]
    numbers = settled(of(2, *four))
    assert sum(number or 0 for number in numbers.values()) <= 2, "unseen demand is far above epsilon: no doubling"
    offers = [Offer(1, 0, rate=3.0, busiest_lines=0.6, unseen=Unseen(0.3, 2.0, SIZES)) for _ in range(4)]
    policy = parse_policy("calibrated:0.0001")
    assert sorted(policy.entitled(2, offers)) == sorted(number or 0 for number in numbers.values())


def test_without_knowledge_calibrated_splits_as_strict_does() -> None:
    positions = [listing(number, "calibrated:0.001", demand=None) for number in range(2)]
    assert all(one.is_strict for one in positions)
    assert sorted(settled(of(9, *positions)).values()) == [4, 5]


def test_the_fence_goes_up_when_a_channel_is_noticed_to_be_dark() -> None:
    """What it may plausibly sell until it is read again is taken from the others; nothing is written to it."""
    positions = [listing(number, "calibrated:0.001", live=60, lines=1e-6) for number in range(3)]
    assert plan(of(60, *positions)) == []
    fenced = []
    for lines in (1.0, 4.0, 60.0):
        dark = replace(positions[0], dark=True, demand=Demand(3.0, 2.0, Unseen(lines, 2.0, SIZES), 3600))
        numbers = settled(of(60, dark, *positions[1:]))
        assert numbers[0] == 60
        fenced.append(60 - (numbers[1] or 0))
    assert 0 < fenced[0] < fenced[1] < fenced[2] <= 60, "more as it lasts, never more than it can sell"


def test_nothing_is_raised_or_set_at_a_channel_whose_orders_were_not_read() -> None:
    """Not even under strict; what is shown and does not exist may be taken away, where that puts nothing back."""
    for policy in ("strict", "mirror", "calibrated:0.001"):
        for compare_and_set in (True, False):
            one = listing(1, policy, live=2, dark=True, compare_and_set=compare_and_set)
            assert plan(of(9, one, listing(2, policy, live=1))) == [
                step for step in plan(of(9, one, listing(2, policy, live=1))) if step.position.listing_id == 2
            ]
            steps = [step for step in plan(of(0, one)) if step.position.listing_id == 1]
            assert all(step.quantity == 0 and step.must_lower for step in steps)
    [closed] = plan(of(0, listing(1, "strict", live=2, dark=True, compare_and_set=False)))
    assert closed.quantity == 0


@pytest.mark.parametrize("policy", ["strict", "mirror", "fixed:2", "calibrated:0.001"])
def test_of_a_disputed_listing_only_what_does_not_exist_is_taken_off_sale(policy: str) -> None:
    disputed = listing(1, policy, live=5, disputed=True)
    [step] = plan(of(0, disputed))
    assert (step.quantity, step.must_lower) == (0, True)
    assert plan(of(9, disputed)) == []


@pytest.mark.parametrize("policy", ["strict", "mirror", "calibrated:0.001"])
@pytest.mark.parametrize("compare_and_set", [True, False])
def test_without_raises_what_was_sold_unseen_is_not_put_back(policy: str, compare_and_set: bool) -> None:
    one = listing(1, policy, live=5, exposure=10, compare_and_set=compare_and_set)
    guards = {("A", "channel1"): Limits(no_raises=True)}
    assert plan(of(20, *within_guards([one], {"A": Stock({"main": 20})}, guards))) == []


def test_what_a_strict_listing_holds_is_not_there_for_the_others() -> None:
    numbers = settled(of(12, listing(1, "strict"), listing(2, "mirror"), listing(3, "mirror")))
    assert numbers == {1: 4, 2: 8, 3: 8}


def test_limits_hold_at_once_and_what_a_cap_leaves_goes_to_the_others() -> None:
    """The promotion of the field's guides: all for the marketplace, a small number for the website."""
    capped = replace(listing(1, "strict", live=20), cap=5)
    numbers = settled(of(40, capped, listing(2, "strict", live=20)))
    assert numbers == {1: 5, 2: 35}
    nothing_else = [
        replace(listing(n, "strict", live=units), share=share) for n, units, share in ((1, 5, 0), (2, 35, 9))
    ]
    assert settled(of(40, *nothing_else)) == {1: 5, 2: 35}, "a smaller share takes nothing away while nobody lacks it"
    for policy in ("strict", "mirror", "calibrated:0.001"):
        floored = replace(listing(1, policy, live=2), terms=Terms(parse_policy(policy), floor=3))
        assert settled(of(2, floored))[1] == 0
        assert settled(of(9, floored))[1] == 9


def test_a_bundle_is_the_least_that_its_components_allow() -> None:
    kit = listing(1, "mirror", sku="KIT", components={"A": 2, "B": 1})
    numbers = settled(of(9, kit, listing(2, "mirror"), B=3))
    assert numbers == {1: 3, 2: 9}


def test_who_asks_first_is_shown_what_the_policy_leaves() -> None:
    asks = listing(1, "fixed:3", asks_first=True, compare_and_set=False)
    market = of(10, asks, listing(2, "fixed:3"))
    assert settled(market) == {1: 7, 2: 7}
    assert market.steering.kept_from_pool("A") == 3
    assert of(10, replace(asks, terms=Terms())).steering.kept_from_pool("A") is None


@some.composite
def markets(draw: some.DrawFn) -> Market:
    policies = draw(some.lists(some.sampled_from(["strict", "mirror", "fixed:2", "percentage:60", "calibrated:0.01"]),
                               min_size=1, max_size=4))  # fmt: skip
    positions = []
    for number, policy in enumerate(policies):
        asks = draw(some.sampled_from([False, False, False, True]))
        live = draw(some.integers(0, 9))
        positions.append(
            listing(
                number, policy, live=live, asks_first=asks, lines=draw(some.sampled_from([0.0001, 0.01, 0.5, 5.0])),
                exposure=0 if asks else live + draw(some.sampled_from([0, 0, 1, 4])),
                compare_and_set=draw(some.booleans()) and not asks, dark=draw(some.sampled_from([False, False, True])),
                components=draw(some.sampled_from([{"A": 1}, {"A": 2}, {"A": 1, "B": 1}])),
                cap=draw(some.none() | some.integers(1, 6)),
            )
        )  # fmt: skip
    return of(draw(some.integers(0, 15)), *positions, B=draw(some.integers(0, 5)))


@settings(max_examples=150, deadline=None)
@given(markets())
def test_every_number_is_backed_as_its_policy_counts_and_the_plan_comes_to_rest(market: Market) -> None:
    for step in plan(market):
        room: Room = step.room
        assert step.quantity >= 0
        assert step.position.cap is None or step.quantity <= step.position.cap
        assert step.quantity <= step.ceiling
        assert step.counted >= step.quantity
        if step.raises:
            assert not step.position.dark
            if not step.position.asks_first:
                assert step.counted * room.pieces + room.others <= room.sellable
    settled(
        Market(market.stock, [replace(one, exposure=0 if one.asks_first else one.live) for one in market.positions])
    )
