"""The contract of trouble: what each fault of the wire becomes, for each way of asking."""

from collections.abc import Callable
from typing import Any

import pytest
from channel_stage import Stage
from contract_place import Place

from adapters.channels.protocol import Change, ChangeResult, Channel
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.faults import FaultKind, Operation
from adapters.sandbox.shop import Product

SHORT_S = 1.0
LONG_S = 3.0
"""For so long an answer hangs; the adapter gives up after SHORT_S."""

READS: dict[str, tuple[Operation, Callable[[Stage, Channel], Any]]] = {
    "pull_orders": (Operation.ORDERS, lambda stage, channel: stage.pull(channel=channel)),
    "read_orders": (
        Operation.ORDERS,
        lambda stage, channel: channel.read_orders([stage.shop.naming.order(number) for number in stage.shop.orders]),
    ),
    "read_quantities": (
        Operation.READ,
        lambda stage, channel: channel.read_quantities([*map(stage.shop.naming.listing, stage.shop.products)]),
    ),
    "read_catalogue": (Operation.READ, lambda stage, channel: list(channel.read_catalogue())),
}
READ_FAULTS = [
    (FaultKind.TIMEOUT_BEFORE, Resolution.RETRY),
    (FaultKind.ERROR_BEFORE, Resolution.RETRY),
    (FaultKind.ERROR_AFTER, Resolution.RETRY),
    (FaultKind.MALFORMED, Resolution.MALFORMED),
    (FaultKind.HTML, Resolution.MALFORMED),
    (FaultKind.THROTTLE, Resolution.RATE_LIMITED),
]
LOST = [
    (FaultKind.TIMEOUT_BEFORE, False),
    (FaultKind.TIMEOUT_AFTER, True),
    (FaultKind.ERROR_BEFORE, False),
    (FaultKind.ERROR_AFTER, True),
    (FaultKind.MALFORMED, True),
    (FaultKind.HTML, False),
]


def sold(stage: Stage) -> Product:
    """A shop with something in it, and a session that is open."""
    product = stage.add("A", 1000)
    for _ in range(3 * stage.traits.orders_per_page):
        stage.buy(("A", 1))
    return product


def write(channel: Channel, stage: Stage, *products: Product, quantity: int = 7) -> list[ChangeResult]:
    results = channel.set_quantities(
        [Change(stage.ref(product), quantity, product.quantity) for product in products], "key"
    )
    assert [result.listing_ref for result in results] == [stage.ref(product) for product in products]
    return results


def impatient(stage: Stage, kind: FaultKind) -> Channel:
    """For the faults that hang, an adapter that does not wait for long; with its session open."""
    if not kind.startswith("timeout"):
        return stage.channel
    channel = stage.another(timeout_s=SHORT_S)
    channel.read_quantities([*map(stage.shop.naming.listing, stage.shop.products)][:1])
    return channel


class FaultsContract:
    @pytest.mark.parametrize(("kind", "resolution"), READ_FAULTS)
    @pytest.mark.parametrize("reading", READS)
    def test_a_read_without_an_answer_raises(
        self, stage: Stage, reading: str, kind: FaultKind, resolution: Resolution
    ) -> None:
        sold(stage)
        _, read = READS[reading]
        channel = impatient(stage, kind)
        before = read(stage, channel)
        stage.fault(kind, times=None, delay_s=LONG_S)
        with pytest.raises(ChannelFault) as caught:
            read(stage, channel)
        assert caught.value.resolution is resolution
        assert caught.value.channel == channel.code
        stage.no_faults()
        stage.clock.seconds += 60
        assert read(stage, channel) == before, "and goes on when it is over"

    @pytest.mark.parametrize("kind", [FaultKind.ERROR_BEFORE, FaultKind.MALFORMED, FaultKind.HTML])
    def test_a_later_page_without_an_answer_never_looks_like_the_end(
        self, stage: Stage, place: Place, kind: FaultKind
    ) -> None:
        sold(stage)
        stage.pull()
        calls = place.calls

        def from_the_second(call: int) -> None:
            if call == calls + 2:
                stage.fault(kind, Operation.ORDERS, times=None)

        place.before = from_the_second
        with pytest.raises(ChannelFault):
            stage.pull()

    @pytest.mark.parametrize(("kind", "applied"), LOST)
    def test_a_write_without_an_answer_is_unknown_and_never_sent_again(
        self, stage: Stage, kind: FaultKind, applied: bool
    ) -> None:
        product = stage.add("A", 1000)
        channel = impatient(stage, kind)
        stage.fault(kind, Operation.WRITE, delay_s=LONG_S)
        (result,) = write(channel, stage, product)
        assert result.status.value == "unknown"
        assert result.reason
        assert stage.shop.calls["write"] == 1
        stage.settle()
        assert product.quantity == (7 if applied else 1000)
        (reading,) = stage.channel.read_quantities([stage.ref(product)])
        assert reading.quantity == product.quantity

    @pytest.mark.parametrize("kind", [FaultKind.ERROR_AFTER, FaultKind.HTML])
    def test_a_batch_that_loses_an_answer_tells_each_row_truly(self, stage: Stage, kind: FaultKind) -> None:
        products = [stage.add(f"N-{number}", 1000) for number in range(30)]
        products = products[: stage.channel.capabilities.write_batch]
        stage.fault(kind, Operation.WRITE)
        results = write(stage.channel, stage, *products)
        stage.settle()
        assert "unknown" in {result.status.value for result in results}
        for result, product in zip(results, products, strict=True):
            if result.status.value != "unknown":
                assert (result.status.value == "done") is (product.quantity == 7)

    def test_a_read_that_is_throttled_once_waits_or_says_so(self, stage: Stage) -> None:
        product = sold(stage)
        for operation, read in READS.values():
            stage.fault(FaultKind.THROTTLE, operation)
            try:
                assert read(stage, stage.channel)
            except ChannelFault as fault:
                assert fault.resolution is Resolution.RATE_LIMITED
                assert fault.retry_after is None or 0 <= fault.retry_after <= 3600
            stage.no_faults()
            stage.clock.seconds += 60
        assert stage.channel.read_quantities([stage.ref(product)])

    @pytest.mark.parametrize("times", [1, None])
    def test_a_write_that_is_throttled_waits_or_says_that_nothing_was_applied(
        self, stage: Stage, times: int | None
    ) -> None:
        product = stage.add("A", 1000)
        stage.fault(FaultKind.THROTTLE, Operation.WRITE, times=times)
        try:
            (result,) = write(stage.channel, stage, product)
        except ChannelFault as fault:
            assert fault.resolution is Resolution.RATE_LIMITED
            stage.settle()
            assert stage.shop.written == []
        else:
            stage.settle()
            assert (result.status.value, times, product.quantity) == ("done", 1, 7)

    def test_a_slow_answer_is_waited_for(self, stage: Stage) -> None:
        product = sold(stage)
        expected = stage.pull()
        stage.fault(FaultKind.SLOW, times=2, delay_s=0.1)
        assert stage.pull() == expected
        stage.fault(FaultKind.SLOW, times=1, delay_s=0.1)
        assert write(stage.channel, stage, product)[0].status.value == "done"

    @pytest.mark.parametrize("asking", [*READS, "set_quantities"])
    def test_wrong_credentials_need_a_person(self, stage: Stage, asking: str) -> None:
        product = sold(stage)
        stranger = stage.another(right_credentials=False)
        with pytest.raises(ChannelFault) as caught:
            self.ask(stage, stranger, asking, product)
        assert caught.value.resolution is Resolution.REAUTHENTICATE
        assert stage.shop.written == []

    @pytest.mark.parametrize("asking", [*READS, "set_quantities"])
    def test_an_expired_token_is_renewed_or_needs_a_person(self, stage: Stage, asking: str) -> None:
        product = sold(stage)
        before = None if asking == "set_quantities" else self.ask(stage, stage.channel, asking, product)
        stage.channel.read_quantities([stage.ref(product)])
        stage.expire_credentials()
        if stage.traits.renews_credentials:
            after = self.ask(stage, stage.channel, asking, product)
            stage.settle()
            assert after == before if before is not None else product.quantity == 7
            assert len(stage.shop.written) == (asking == "set_quantities")
            return
        with pytest.raises(ChannelFault) as caught:
            self.ask(stage, stage.channel, asking, product)
        assert caught.value.resolution is Resolution.REAUTHENTICATE
        assert stage.shop.written == []

    def test_a_token_that_expires_between_two_pages_costs_no_order(self, stage: Stage, place: Place) -> None:
        sold(stage)
        whole = stage.pull()
        calls = place.calls
        place.before = lambda call: stage.expire_credentials() if call == calls + 2 else None
        if stage.traits.renews_credentials:
            assert stage.pull() == whole
            return
        with pytest.raises(ChannelFault) as caught:
            stage.pull()
        assert caught.value.resolution is Resolution.REAUTHENTICATE

    def test_closing_twice_is_harmless(self, stage: Stage) -> None:
        stage.channel.close()
        stage.channel.close()

    def ask(self, stage: Stage, channel: Channel, asking: str, product: Product) -> Any:
        if asking == "set_quantities":
            return write(channel, stage, product)
        return READS[asking][1](stage, channel)
