"""The plan as a pure function: whatever is done of it, in whatever order, the bound holds."""

from dataclasses import replace
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as some

from inventory.publishing.publishing import Market, Position, Step, Stock, plan

PLACES = ["north", "south", "west"]
ELIGIBLE = [frozenset(chosen) for size in (1, 2, 3) for chosen in combinations(PLACES, size)]
RECIPES = [{"A": 1}, {"B": 1}, {"A": 2}, {"A": 1, "B": 2}, {"B": 3}]


def position(number: int, **given: object) -> Position:
    values: dict[str, object] = {
        "listing_id": number, "channel": f"channel{number}", "ref": str(number), "sku": "A", "components": {"A": 1},
        "locations": frozenset({"north"}), "share": 1, "exposure": 0, "live": 0, "compare_and_set": True,
    }  # fmt: skip
    live = given.get("live", given.get("exposure", 0))
    return Position(**{**values, "live": live, **given})  # type: ignore[arg-type]


def unions(positions: list[Position]) -> set[frozenset[str]]:
    sets = {one.locations for one in positions}
    return {frozenset().union(*some) for size in range(1, len(sets) + 1) for some in combinations(sets, size)}


def excess(market: Market) -> list[tuple[str, frozenset[str], int]]:
    """Pieces by which what the listings of a set of locations may sell exceeds what lies there."""
    found = []
    for sku, stock in market.stock.items():
        for places in unions(list(market.positions)):
            inside = [one for one in market.positions if one.locations <= places]
            exposed = sum((one.exposure or 0) * one.components.get(sku, 0) for one in inside)
            found.append((sku, places, exposed - stock.sellable(places)))
    return found


def backed(market: Market) -> bool:
    return all(units <= 0 for _, _, units in excess(market))


@some.composite
def markets(draw: some.DrawFn) -> Market:
    stock = {
        sku: Stock({place: draw(some.integers(0, 12)) for place in PLACES}, draw(some.integers(0, 3))) for sku in "AB"
    }
    positions = []
    for number in range(draw(some.integers(1, 5))):
        asks_first = draw(some.sampled_from([False, False, True]))
        exposure = 0 if asks_first else draw(some.none() | some.integers(0, 6))
        live = draw(some.none() | some.integers(0, 9 if asks_first else exposure or 0))
        positions.append(
            position(
                number,
                components=draw(some.sampled_from(RECIPES)),
                locations=draw(some.sampled_from(ELIGIBLE)),
                share=draw(some.sampled_from([1, 2, 5])),
                exposure=exposure,
                live=live,
                compare_and_set=draw(some.booleans()),
                open=draw(some.sampled_from([True, True, True, False])),
                cap=draw(some.none() | some.integers(0, 5)),
                asks_first=asks_first,
            )
        )
    return Market(stock, positions)


def done(market: Market, steps: list[Step], *, answered: bool = True) -> Market:
    """The steps are sent together and, if `answered`, the channels say that they are applied."""
    changed = {step.position.listing_id: step for step in steps}
    positions = []
    for one in market.positions:
        step = changed.get(one.listing_id)
        if step is not None:
            assert one.exposure is not None
            fall = step.fall if answered else 0
            live = step.quantity if answered else one.live
            one = replace(one, exposure=max(0, one.exposure + step.growth - fall), live=live)
        positions.append(one)
    return Market(market.stock, positions)


@settings(max_examples=400, deadline=None)
@given(markets(), some.data())
def test_any_part_of_any_plan_keeps_what_was_backed_backed(market: Market, data: some.DataObject) -> None:
    before = {(sku, places): units for sku, places, units in excess(market)}
    for _ in range(3):
        for raising in (False, True):
            steps = [step for step in plan(market) if step.raises is raising]
            kept = [step for step in steps if data.draw(some.booleans())]
            market = done(market, kept, answered=data.draw(some.booleans()))
            for sku, places, units in excess(market):
                assert units <= max(0, before[sku, places])


@settings(max_examples=300, deadline=None)
@given(markets())
def test_all_raises_of_one_plan_fit_together(market: Market) -> None:
    if backed(market):
        assert backed(done(market, [step for step in plan(market) if step.raises], answered=False))


@settings(max_examples=300, deadline=None)
@given(markets())
def test_slices_are_within_what_is_sellable(market: Market) -> None:
    entitled = market.slices()
    assert all(entitled[one.listing_id] >= 0 for one in market.positions)
    assert all(one.cap is None or entitled[one.listing_id] <= one.cap for one in market.positions)
    for sku, stock in market.stock.items():
        for places in unions(list(market.positions)):
            inside = [one for one in market.positions if one.locations <= places]
            given_out = sum(entitled[one.listing_id] * one.components.get(sku, 0) for one in inside)
            on_shelf = sum(stock.available.get(place, 0) for place in places)
            assert given_out <= on_shelf
            if places == frozenset(PLACES):
                assert given_out <= stock.sellable(places)


@settings(max_examples=300, deadline=None)
@given(markets())
def test_a_step_says_what_it_does(market: Market) -> None:
    for step in plan(market):
        one = step.position
        assert one.open and one.live is not None and one.exposure is not None
        assert step.quantity >= 0
        assert step.quantity <= step.ceiling
        assert step.growth == 0 or step.raises or not one.compare_and_set
        assert (step.quantity > one.live) is step.raises
        if one.asks_first:
            assert step.growth == step.fall == 0, "what it shows is no promise"
            assert step.quantity <= max(0, market.room(one).units), "but there is that much beside what is promised"
        else:
            assert one.exposure + step.growth >= step.quantity, "a number on sale is never thought away"


@settings(max_examples=200, deadline=None)
@given(markets())
def test_plans_come_to_an_end(market: Market) -> None:
    """Steps that are all applied, with every order read, lead to a market that asks for nothing more."""
    for _ in range(12):
        steps = plan(market)
        if not steps:
            return
        market = done(market, [step for step in steps if step.raises is steps[0].raises])
        settled = [
            one if one.live is None or one.asks_first else replace(one, exposure=one.live) for one in market.positions
        ]
        market = Market(market.stock, settled)
    raise AssertionError(f"still {plan(market)}")


def test_what_is_not_backed_is_lowered_first() -> None:
    north = Stock({"north": 4})
    market = Market({"A": north}, [position(1, exposure=3), position(2, exposure=0), position(3, exposure=3)])
    steps = plan(market)
    assert [(step.position.listing_id, step.quantity, step.must_lower) for step in steps] == [
        (1, 2, True),
        (3, 1, True),
    ]


def test_two_raises_of_one_plan_do_not_take_the_same_unit() -> None:
    """The third listing has more than its slice, so that what is free is less than what the others are entitled to."""
    market = Market({"A": Stock({"north": 6})}, [position(1), position(2), position(3, exposure=5)])
    assert sum(step.growth for step in plan(market) if step.raises) == 1


def test_the_last_unit_does_not_wander() -> None:
    for holder in (1, 2, 3):
        positions = [position(number, exposure=int(number == holder)) for number in (1, 2, 3)]
        assert plan(Market({"A": Stock({"north": 1})}, positions)) == []


def test_a_listing_with_nothing_gets_units_from_one_with_too_many() -> None:
    market = Market({"A": Stock({"north": 6})}, [position(1, exposure=6), position(2)])
    [lower] = plan(market)
    assert (lower.position.listing_id, lower.quantity, lower.fall, lower.must_lower) == (1, 3, 3, False)
    [up] = plan(done(market, [lower]))
    assert (up.position.listing_id, up.quantity, up.growth) == (2, 3, 3)


def test_nobody_gives_for_an_absolute_channel_that_would_not_take() -> None:
    """Seven shown, ten due: for three more it is not closed, so the other must not be lowered for it."""
    market = Market(
        {"A": Stock({"north": 20})}, [position(1, exposure=13), position(2, exposure=7, compare_and_set=False)]
    )
    assert plan(market) == []


def test_a_channel_closed_to_be_raised_waits_for_its_orders() -> None:
    """Closed at four, with three more free: raising to three now would only close it again."""
    closed = position(1, exposure=4, live=0, compare_and_set=False)
    market = Market({"A": Stock({"north": 15})}, [closed, position(2, exposure=8)])
    assert [step for step in plan(market) if step.position.listing_id == 1] == []
    read = Market(market.stock, [replace(closed, exposure=0), market.positions[1]])
    assert [step.quantity for step in plan(read)] == [7]


def test_the_odd_units_of_several_places_do_not_all_go_to_who_has_more() -> None:
    """Else two listings would be raised and closed in turn for ever, each when it has less."""
    stock = Stock({"north": 1, "south": 1, "west": 3})
    for exposures in ((0, 1), (3, 1), (3, 2), (1, 3)):
        listings = [position(n, exposure=units, locations=frozenset(PLACES)) for n, units in enumerate(exposures)]
        assert sorted(Market({"A": stock}, listings).slices().values()) == [2, 3]


def test_an_exposure_that_nobody_knows_blocks_the_raises_of_its_stock() -> None:
    unknown = position(1, exposure=None, live=None)
    apart = position(3, components={"B": 1})
    market = Market({"A": Stock({"north": 9}), "B": Stock({"north": 2})}, [unknown, position(2), apart])
    assert [step.position.listing_id for step in plan(market)] == [3]


def test_a_cap_is_kept_and_an_absolute_write_fits_beside_what_is_live() -> None:
    market = Market({"A": Stock({"north": 10})}, [position(1, cap=2), position(2, exposure=1, compare_and_set=False)])
    # What the cap leaves over goes to the other: 8, of which 1 is exposed already.
    assert [(step.quantity, step.growth) for step in plan(market)] == [(2, 2), (7, 7)]


def test_a_bundle_and_its_part_share_the_part() -> None:
    kit = position(1, sku="KIT", components={"A": 2, "B": 1})
    market = Market({"A": Stock({"north": 7}), "B": Stock({"north": 9})}, [kit, position(2)])
    steps = {step.position.listing_id: step.quantity for step in plan(market)}
    assert steps[1] * 2 + steps[2] <= 7
    assert steps[1] == 1 or steps[1] == 2


def test_who_may_sell_from_one_place_only_is_not_robbed_of_it() -> None:
    """Two in the north, two in the south: the listing of both places may not take what the north alone can give."""
    north = position(1, exposure=2, locations=frozenset({"north"}))
    both = position(2, exposure=2, locations=frozenset({"north", "south"}))
    market = Market({"A": Stock({"north": 2, "south": 2})}, [north, both])
    assert market.room(both).units == 0
    assert market.room(north).units == 0
    assert plan(Market(market.stock, [replace(north, exposure=0, live=0), both])) != []


def test_the_pool_has_its_part_and_every_asking_channel_shows_all_of_it() -> None:
    shops = [position(1), position(2, asks_first=True), position(3, asks_first=True)]
    market = Market({"A": Stock({"north": 9})}, shops)
    market = done(market, plan(market))
    market = done(market, plan(market))
    assert {one.channel: one.live for one in market.positions} == {"channel1": 3, "channel2": 6, "channel3": 6}
    assert plan(market) == []


def test_a_blind_channel_gives_when_the_pool_has_nothing() -> None:
    market = Market({"A": Stock({"north": 4})}, [position(1, exposure=4), position(2, asks_first=True)])
    [lower] = plan(market)
    assert (lower.position.listing_id, lower.quantity) == (1, 2)
    [shown] = plan(done(market, [lower]))
    assert (shown.position.listing_id, shown.quantity, shown.growth) == (2, 2, 0)


def test_the_pool_shows_nothing_while_somebody_may_sell_everything() -> None:
    """Also when a listing was never read."""
    blind = position(1, exposure=5, live=2)
    assert [
        step.quantity
        for step in plan(Market({"A": Stock({"north": 4})}, [blind, position(2, asks_first=True, live=3)]))
        if step.position.asks_first
    ] == [0]
    unknown = position(1, exposure=None, live=None)
    assert [
        step.quantity
        for step in plan(Market({"A": Stock({"north": 4})}, [unknown, position(2, asks_first=True, live=3)]))
    ] == [0]
