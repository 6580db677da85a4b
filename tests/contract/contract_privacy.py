"""The contract of silence: what an adapter never says, and that nothing strange makes it fall over."""

import json
import logging
import random
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from channel_stage import Stage
from contract_faults import READS
from contract_place import MOST_CALLS, Place

from adapters.channels.protocol import Change, ChangeStatus
from adapters.http import ChannelFault
from adapters.sandbox.faults import FaultKind

JUNK: list[Any] = [None, -1, 0, 7.5, True, "", "junk", [], {}, [None], {"junk": 1}, 10**20]


def a_day(stage: Stage) -> list[str]:
    """One order of every kind. Gives all that is personal in them."""
    stage.add("A", 1000)
    orders = [stage.buy(("A", 3)) for _ in range(1 + len(stage.traits.reversals))]
    for order, how in zip(orders, sorted(stage.traits.reversals), strict=False):
        stage.shop.cancel(order.number, None if how == "cancel" else [(order.lines[0].number, 1)], how=how)
    return [text for order in orders for text in order.buyer.strings()]


def everything(stage: Stage) -> Iterator[str]:
    """All that the adapter says to all that can be asked, faults with their whole traceback."""
    askings: list[Callable[[], Any]] = [
        lambda: list(stage.channel.pull_orders(stage.clock.shop_now().replace(year=2020))),
        *(lambda read=read: read(stage, stage.channel) for name, (_, read) in READS.items() if name != "pull_orders"),
        lambda: stage.channel.set_quantities([Change(stage.ref(stage.shop.product("A")), 5, None)], "key"),
        lambda: stage.channel.resume(stage.channel.pause([stage.ref(stage.shop.product("A"))])),
    ]
    for ask in askings:
        try:
            yield repr(ask())
        except ChannelFault as fault:
            yield "".join(traceback.format_exception(fault))
            yield repr(vars(fault))


class PrivacyContract:
    @pytest.mark.parametrize("kind", [None, FaultKind.THROTTLE, FaultKind.MALFORMED, FaultKind.ERROR_AFTER])
    def test_no_personal_data_and_no_secret_leaves_the_adapter(
        self, stage: Stage, kind: FaultKind | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        personal = a_day(stage)
        caplog.set_level(logging.INFO)
        caplog.set_level(logging.DEBUG, logger="adapters")
        if kind is not None:
            stage.fault(kind, times=None)
        said = "\n".join(everything(stage))
        said += "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
        said += f"{stage.channel!r} {stage.channel}"
        assert personal
        assert not [text for text in personal if text in said]
        assert not [secret for secret in stage.secrets if secret in said]

    def test_no_secret_is_told_when_it_is_wrong(self, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
        a_day(stage)
        caplog.set_level(logging.INFO)
        right, stage.channel = stage.channel, stage.another(right_credentials=False)
        said = "\n".join(everything(stage)) + f"{stage.channel!r} {vars(stage.channel)!r}" + caplog.text
        right.close()
        assert not [secret for secret in stage.secrets if secret in said]

    @pytest.mark.parametrize("seed", range(40))
    def test_a_strange_answer_is_a_defect_or_a_fault_and_nothing_worse(
        self, stage: Stage, place: Place, seed: int
    ) -> None:
        """One value of each answer is replaced by junk: whatever it does, the adapter ends, and in its own words."""
        personal = a_day(stage)
        chance = random.Random(seed)
        place.bend = lambda call, body: junk_in(body, chance)
        said = "\n".join(everything(stage))
        assert place.calls < MOST_CALLS
        assert not [text for text in personal if text in said]
        place.bend = lambda call, body: body
        stage.clock.seconds += 3600
        results = stage.another().set_quantities([Change(stage.ref(stage.shop.product("A")), 5, None)], "another")
        assert {result.status for result in results} == {ChangeStatus.DONE}


def junk_in(body: bytes, chance: random.Random) -> bytes:
    """The JSON with one value of it, at any depth, replaced."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    spots = list(places(document))
    if not spots:
        return body
    holder, key = chance.choice(spots)
    holder[key] = chance.choice(JUNK)
    return json.dumps(document).encode()


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places(inner)
