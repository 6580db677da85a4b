"""What only BigCommerce has about stock: applied later, counted in two ways, safety stock, batches all or nothing."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from bigcommerce_stage import FAMILY, BigCommerceStage, load_spec
from contract_place import Place, served

from adapters.channels.bigcommerce.bigcommerce_writes import ABSOLUTE
from adapters.channels.protocol import Change, ChangeResult, Channel
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.bigcommerce.bigcommerce_state import LOCATION
from adapters.sandbox.faults import FaultKind, Operation
from adapters.sandbox.shop import Product


class Wire(httpx.BaseTransport):
    """The real wire: it remembers what was sent, and `before` may do something at the shop first."""

    def __init__(self) -> None:
        self._wire = httpx.HTTPTransport()
        self.sent: list[tuple[str, str, Any]] = []
        self.before: Callable[[httpx.Request], None] = lambda request: None
        self.change: Callable[[str, Any], Any] = lambda path, body: body

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/stores/store_hash")
        self.sent.append((request.method, path, json.loads(request.read() or b"null")))
        self.before(request)
        answer = self._wire.handle_request(request)
        content = answer.read()
        answer.close()
        if "json" in answer.headers.get("content-type", ""):
            content = json.dumps(self.change(path, json.loads(content))).encode()
        headers = {name: value for name, value in answer.headers.items() if name.startswith("x-")}
        return httpx.Response(answer.status_code, headers=headers, content=content)

    def writes(self) -> list[Any]:
        return [body for method, _, body in self.sent if method == "PUT"]

    def close(self) -> None:
        self._wire.close()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served(records=True) as place:
        yield place


@pytest.fixture
def stage(place: Place) -> Iterator[BigCommerceStage]:
    with place.staged(BigCommerceStage) as stage:
        assert isinstance(stage, BigCommerceStage)
        yield stage


@pytest.fixture
def wire() -> Wire:
    return Wire()


def put(stage: BigCommerceStage, channel: Channel, *wanted: tuple[Product, int]) -> list[ChangeResult]:
    return channel.set_quantities([Change(stage.ref(product), quantity, None) for product, quantity in wanted], "key")


def shown(stage: BigCommerceStage, product: Product) -> tuple[int, bool]:
    (reading,) = stage.channel.read_quantities([stage.ref(product)])
    return reading.quantity, reading.tracked


def test_what_is_taken_and_not_seen_is_in_doubt_until_it_shows(stage: BigCommerceStage) -> None:
    product = stage.add("A", 10)
    stage.habits.apply_delay_s = 60
    (result,) = put(stage, stage.channel, (product, 4))
    assert (result.status.value, result.reason) == ("unknown", "taken, not yet seen at the listing")
    assert sum(stage.clock.slept) <= 5
    assert shown(stage, product) == (10, True)
    stage.settle()
    stage.clock.seconds += 60
    assert shown(stage, product) == (4, True)


def test_what_is_seen_soon_is_done(stage: BigCommerceStage) -> None:
    products = [stage.add(sku, 10) for sku in "ABC"]
    assert {one.status.value for one in put(stage, stage.channel, *((product, 3) for product in products))} == {"done"}
    assert [product.quantity for product in products] == [3, 3, 3]
    assert 0 < sum(stage.clock.slept) < 2


def test_a_lowering_can_be_left_in_doubt(stage: BigCommerceStage) -> None:
    lower, raised, blind = (stage.add(sku, 10) for sku in "ABC")
    changes = [Change(stage.ref(lower), 3, 10), Change(stage.ref(raised), 12, 10), Change(stage.ref(blind), 12, None)]
    results = stage.adapter(doubt_lowerings=True).set_quantities(changes, "key")
    assert [one.status.value for one in results] == ["unknown", "done", "unknown"]
    assert [product.quantity for product in (lower, raised, blind)] == [3, 12, 12]


def test_only_absolute_adjustments_by_what_the_product_is_counted_by(stage: BigCommerceStage, wire: Wire) -> None:
    simple, _, variant = (stage.add(sku, 10) for sku in ("SIMPLE", "OTHER", "VARIANT"))
    put(stage, stage.adapter(transport=wire), (simple, 1), (variant, 2))
    assert {path for method, path, _ in wire.sent if method != "GET"} == {ABSOLUTE}
    (body,) = wire.writes()
    assert body["items"] == [
        {"location_id": LOCATION, "product_id": stage.store.product_id(simple.number), "quantity": 1},
        {"location_id": LOCATION, "variant_id": variant.number, "quantity": 2},
    ]
    assert stage.store.product_id(variant.number) == FAMILY


def test_safety_stock_is_never_shown_and_stays_on_the_shelf(stage: BigCommerceStage, wire: Wire) -> None:
    product = stage.add("A", 10)
    stage.store.safety[product.number] = 3
    assert shown(stage, product) == (10, True)
    (result,) = put(stage, stage.adapter(transport=wire), (product, 0))
    assert result.status.value == "done"
    assert wire.writes()[0]["items"][0]["quantity"] == 3
    assert product.quantity == 0


def test_stock_elsewhere_is_neither_shown_nor_touched(stage: BigCommerceStage) -> None:
    product = stage.add("A", 10, elsewhere={"2": 90})
    assert shown(stage, product) == (10, True)
    put(stage, stage.channel, (product, 4))
    assert (product.quantity, product.elsewhere) == (4, {"2": 90})


def test_one_number_for_all_variants_is_shown_and_not_written_but_paused(stage: BigCommerceStage) -> None:
    products = [stage.add(sku, 10) for sku in "ABC"]
    for product in products[1:]:
        stage.store.families[product.number] = FAMILY
    stage.store.whole.add(FAMILY)
    assert shown(stage, products[1]) == shown(stage, products[2]) == (10, True)
    (result,) = put(stage, stage.channel, (products[2], 4))
    assert (result.status.value, "tracked by variant" in result.reason) == ("rejected", True)
    entries = {entry.sku: entry for page in stage.channel.read_catalogue() for entry in page.entries}
    assert [entries[sku].stocked_here for sku in "ABC"] == [True, False, False]
    stage.channel.pause([stage.ref(product) for product in products])
    stage.settle()
    assert (products[0].quantity, products[1].quantity) == (0, 0)


def test_what_is_not_counted_is_not_written(stage: BigCommerceStage, wire: Wire) -> None:
    product = stage.add("LOOSE", 10, tracked=False)
    assert shown(stage, product) == (0, False)
    (result,) = put(stage, stage.adapter(transport=wire), (product, 4))
    assert (result.status.value, "does not count" in result.reason) == ("rejected", True)
    assert wire.writes() == []


def test_a_row_that_became_bad_is_found_by_halves(stage: BigCommerceStage, wire: Wire) -> None:
    """Its product ceased to be counted between our look and our write, and so the whole call is refused."""
    products = [stage.add(f"N-{number}", 10) for number in range(16)]

    def meanwhile(request: httpx.Request) -> None:
        if request.method == "PUT":
            products[6].tracked = False

    wire.before = meanwhile
    results = put(stage, stage.adapter(transport=wire), *((product, 3) for product in products))
    assert [one.status.value for one in results] == ["rejected" if number == 6 else "done" for number in range(16)]
    assert "422" in results[6].reason
    assert len(wire.writes()) == 9


def test_a_batch_that_is_refused_for_all_its_rows_does_not_cost_a_call_a_row(
    stage: BigCommerceStage, wire: Wire
) -> None:
    products = [stage.add(f"N-{number}", 10) for number in range(200)]
    channel = stage.adapter(transport=wire, location_id=9)
    results = put(stage, channel, *((product, 3) for product in products))
    assert {one.status.value for one in results} == {"rejected"}
    assert len(wire.writes()) <= 82


def test_an_answer_without_a_transaction_is_in_doubt(stage: BigCommerceStage, wire: Wire) -> None:
    product = stage.add("A", 10)
    wire.change = lambda path, body: {} if path == ABSOLUTE else body
    (result,) = put(stage, stage.adapter(transport=wire), (product, 4))
    assert (result.status.value, "no transaction_id came" in result.reason) == ("unknown", True)


def test_more_than_two_thousand_are_several_calls(stage: BigCommerceStage, wire: Wire) -> None:
    products = [stage.shop.add_product(f"N-{number}", "Thing", 10) for number in range(2003)]
    results = put(stage, stage.adapter(transport=wire), *((product, 3) for product in products))
    assert {one.status.value for one in results} == {"done"}
    assert [len(body["items"]) for body in wire.writes()] == [2000, 3]


def test_what_zeros_do_not_stop_is_switched_off_and_back(stage: BigCommerceStage) -> None:
    names = ("COUNTED", "LOOSE", "PREORDER", "OFF")
    products = [stage.shop.add_product(sku, f"Thing {sku}", 5, tracked=sku == "COUNTED") for sku in names]
    numbers = [stage.store.product_id(product.number) for product in products]
    stage.store.switch(numbers[2], "preorder")
    stage.store.switch(numbers[3], "disabled")
    state = json.loads(json.dumps(stage.channel.pause([stage.ref(product) for product in products])))
    stage.settle()
    assert [stage.is_selling(product) for product in products] == [False] * 4
    stage.channel.resume(state)
    assert [stage.store.availability(number) for number in numbers] == [
        "available",
        "available",
        "preorder",
        "disabled",
    ]
    with pytest.raises(ValueError):
        stage.channel.resume({"zeroed": []})


def test_a_pause_that_fails_half_way_puts_the_switches_back(stage: BigCommerceStage, wire: Wire) -> None:
    """Twelve products are two calls; the second fails."""
    products = [stage.shop.add_product(f"L-{number}", "Thing", 5, tracked=False) for number in range(12)]
    channel = stage.adapter(transport=wire)

    def second_fails(request: httpx.Request) -> None:
        if request.method == "PUT":
            stage.no_faults()
            if len(wire.writes()) == 2:
                stage.fault(FaultKind.ERROR_BEFORE, Operation.WRITE)

    wire.before = second_fails
    with pytest.raises(ChannelFault) as caught:
        channel.pause([stage.ref(product) for product in products])
    assert caught.value.resolution is Resolution.UNKNOWN
    assert all(product.listed for product in products)


def test_the_allowance_is_waited_for_or_said(stage: BigCommerceStage) -> None:
    products = [stage.add(f"N-{number}", 10) for number in range(4)]
    stage.habits.calls_per_window = 4
    refs = [stage.ref(product) for product in products[:2]]
    for _ in range(4):
        assert len(stage.channel.read_quantities(refs)) == 2
    assert [round(seconds) for seconds in stage.clock.slept] == [30]
    hurried = stage.adapter(most_wait_s=0)
    stage.clock.seconds += 40
    with pytest.raises(ChannelFault) as caught:
        for _ in range(4):
            hurried.read_quantities(refs)
    assert caught.value.resolution is Resolution.RATE_LIMITED
    assert caught.value.retry_after == pytest.approx(30, abs=1)


def test_a_refusal_says_in_seconds_what_the_vendor_says_in_milliseconds(stage: BigCommerceStage) -> None:
    product = stage.add("A", 10)
    stage.fault(FaultKind.THROTTLE, Operation.READ)
    with pytest.raises(ChannelFault) as caught:
        shown(stage, product)
    assert (caught.value.resolution, caught.value.status) == (Resolution.RATE_LIMITED, 429)
    assert caught.value.retry_after == pytest.approx(1.0)


@pytest.mark.parametrize("ref", ["", "7", "7/", "/7", "0/1", "07/1", "1/2/3", "a/b", "1/-2", "\u0661/\u0662"])
def test_what_is_no_name_of_a_listing_is_unknown(stage: BigCommerceStage, ref: str) -> None:
    assert stage.channel.read_quantities([ref]) == []
    (result,) = stage.channel.set_quantities([Change(ref, 1, None)], "key")
    assert result.status.value == "rejected"


def test_all_that_was_said_here_is_in_the_specification_too(place: Place) -> None:
    spec = load_spec()
    assert {str(problem) for exchange in place.exchanges for problem in spec.check(exchange)} == set()
    summary = spec.summary()
    print(f"\nBigCommerce's stock: {summary['requests']} requests and {summary['answers']} answers validated")
    if len(place.exchanges) > 100:
        assert "PUT /stores/store_hash/v3/catalog/products" in summary["requests_by_operation"]
