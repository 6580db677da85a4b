"""Who goes with the next set, and that all are served in the order of asking."""

import random
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection

from inventory.holds.batching import AnyBatcher
from inventory.holds.waiting_room import WaitingRoom


def come(place: WaitingRoom[str], requests: str) -> "list[Future[Any]]":
    answers: list[Future[Any]] = [Future() for _ in requests]
    assert all(place.enter(request, answer) for request, answer in zip(requests, answers, strict=True))
    return answers


def going(place: WaitingRoom[str]) -> str:
    return "".join(one.request for one in place.next_set())


def test_whoever_is_there_goes_and_no_more_than_there_is_room_for() -> None:
    place: WaitingRoom[str] = WaitingRoom(largest=3)
    come(place, "ABCDE")
    assert [going(place), going(place)] == ["ABC", "DE"]


def test_whoever_has_just_been_answered_is_waited_for_but_not_for_long() -> None:
    place: WaitingRoom[str] = WaitingRoom(largest=100)
    come(place, "AB")
    place.settle(place.next_set())
    come(place, "C")
    assert going(place) == "C", "nobody else has come within the lull"


def test_the_first_after_a_quiet_time_goes_at_once() -> None:
    place: WaitingRoom[str] = WaitingRoom(largest=100)
    found: list[str] = []
    writer = threading.Thread(target=lambda: found.append(going(place)))
    writer.start()
    come(place, "A")
    writer.join(60)
    assert found == ["A"]


def test_whoever_has_gone_is_left_out() -> None:
    place: WaitingRoom[str] = WaitingRoom(largest=100)
    answers = come(place, "AB")
    assert answers[0].cancel()
    assert going(place) == "B"
    assert not answers[1].cancel(), "from here on it cannot be taken back"


def test_closing_lets_in_nobody_and_lets_all_out() -> None:
    place: WaitingRoom[str] = WaitingRoom(largest=1)
    come(place, "AB")
    place.close()
    assert not place.enter("C", Future())
    assert [going(place), going(place), going(place)] == ["A", "B", ""]


@dataclass(frozen=True)
class Ask:
    number: int
    bad: bool = False

    @property
    def holder(self) -> str:
        return str(self.number)


class Witness(AnyBatcher[Ask, int]):
    """Decides nothing, and looks who is decided after whom."""

    def __init__(self, seed: int) -> None:
        self.order: list[int] = []
        self._chance = random.Random(seed)
        super().__init__(lambda work: work(None), lambda: datetime(2026, 1, 1, tzinfo=UTC), largest=8)  # type: ignore[arg-type]

    def check(self, request: Ask) -> None:
        pass

    def decide(self, connection: Connection, requests: Sequence[Ask], now: datetime) -> list[int]:
        threading.Event().wait(self._chance.random() * 0.001)
        if any(one.bad for one in requests):
            raise ValueError("bad")
        self.order += [one.number for one in requests]
        return [one.number for one in requests]


@pytest.mark.parametrize("seed", [1, 2])
def test_all_are_served_in_the_order_of_asking_also_where_a_set_fails(seed: int) -> None:
    chance = random.Random(seed)
    asks = [Ask(number, chance.random() < 0.02) for number in range(1500)]
    with Witness(seed) as batcher:
        answers = [batcher.enqueue(ask) for ask in asks]
        for ask, answer in zip(asks, answers, strict=True):
            if ask.bad:
                with pytest.raises(ValueError, match="bad"):
                    answer.result(60)
            else:
                assert answer.result(60) == ask.number
    assert batcher.order == [ask.number for ask in asks if not ask.bad]
