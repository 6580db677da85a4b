"""The contract of a pause: it stops all selling, and what comes back is what was there before."""

import json

import pytest
from channel_stage import Stage

from adapters.channels.protocol import Change, PauseState
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.shop import Product


def pause(stage: Stage, products: list[Product]) -> PauseState:
    """The state as it comes back from a table."""
    state: PauseState = json.loads(json.dumps(stage.channel.pause([stage.ref(product) for product in products])))
    stage.settle()
    return state


def resume(stage: Stage, state: PauseState) -> None:
    stage.channel.resume(state)
    stage.settle()


def publish(stage: Stage, products: list[Product], quantity: int) -> None:
    """What follows on each resume: the ledger's numbers."""
    rows = [Change(stage.ref(product), quantity, None) for product in products]
    assert {result.status.value for result in stage.channel.set_quantities(rows, "after the pause")} == {"done"}
    stage.settle()


def selling(stage: Stage, products: list[Product]) -> list[bool]:
    return [stage.is_selling(product) for product in products]


class PauseContract:
    def test_a_pause_stops_every_listing_and_resuming_starts_them(self, stage: Stage) -> None:
        products = [stage.add(f"P-{number}", 10) for number in range(30)]
        assert set(selling(stage, products)) == {True}
        state = pause(stage, products)
        assert set(selling(stage, products)) == {False}
        resume(stage, state)
        publish(stage, products, 4)
        assert set(selling(stage, products)) == {True}
        assert {product.quantity for product in products} == {4}

    def test_resuming_brings_no_quantity_back(self, stage: Stage) -> None:
        products = [stage.add("A", 10), stage.add("B", 10)]
        state = pause(stage, products)
        stage.shop.set_quantity(products[0].number, 2, by="somebody else")
        before = [product.quantity for product in products]
        assert before == ([2, 0] if stage.traits.pauses_by_quantity else [2, 10])
        resume(stage, state)
        assert [product.quantity for product in products] == before

    def test_what_the_seller_had_taken_off_stays_off(self, stage: Stage) -> None:
        products = [stage.add("ON", 10), stage.add("OFF", 10)]
        if not stage.switch_off(products[1]):
            pytest.skip("the vendor has no switch for one listing")
        state = pause(stage, products)
        assert selling(stage, products) == [False, False]
        resume(stage, state)
        publish(stage, products, 10)
        assert selling(stage, products) == [True, False]

    def test_a_pause_during_a_pause_is_remembered_as_paused(self, stage: Stage) -> None:
        products = [stage.add("A", 10), stage.add("B", 10)]
        first = pause(stage, products)
        second = pause(stage, products)
        resume(stage, second)
        assert selling(stage, products) == [False, False]
        resume(stage, first)
        publish(stage, products, 10)
        assert selling(stage, products) == [True, True]

    def test_what_is_remembered_before_a_switch_is_turned_is_enough(self, stage: Stage) -> None:
        """As after a crash between the turning and the answer: the pause is repeated, and both are put back."""
        products = [stage.add("A", 10), stage.add("B", 10)]
        refs = [stage.ref(product) for product in products]
        remembered: list[str] = []

        def remember(state: PauseState) -> None:
            if not remembered:
                assert selling(stage, products) == [True, True], "remembered too late"
            remembered.append(json.dumps(state))

        for _ in range(2):
            stage.channel.pause(refs, remember)
            stage.settle()
        assert remembered
        assert selling(stage, products) == [False, False]
        for state in reversed(remembered):
            resume(stage, json.loads(state))
        publish(stage, products, 10)
        assert selling(stage, products) == [True, True]

    def test_resuming_twice_is_harmless(self, stage: Stage) -> None:
        products = [stage.add("A", 10)]
        state = pause(stage, products)
        for _ in range(2):
            resume(stage, state)
        publish(stage, products, 10)
        assert selling(stage, products) == [True]

    def test_a_pause_that_is_refused_says_so(self, stage: Stage) -> None:
        products = [stage.add("A", 10)]
        stranger = stage.another(right_credentials=False)
        with pytest.raises(ChannelFault) as caught:
            stranger.pause([stage.ref(product) for product in products])
        assert caught.value.resolution is Resolution.REAUTHENTICATE
        assert selling(stage, products) == [True]
