"""What is eBay's own in setting quantities: two levels, a budget of revisions, zeros, rows that fail singly."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from ebay_stage import EbayStage, staged

from adapters.channels.ebay.ebay_budget import CountedByPublications, day_bounds, refusal, vendor_day
from adapters.channels.ebay.ebay_memory import EbayMemory
from adapters.channels.protocol import Change, ChangeResult
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.faults import Fault, FaultKind, Operation

CHANNELS = Path(__file__).resolve().parents[2] / "adapters" / "channels"
UPDATE = "/sell/inventory/v1/bulk_update_price_quantity"


@pytest.fixture
def stage() -> Iterator[EbayStage]:
    made = staged()
    yield made
    made.close()


def write(stage: EbayStage, *rows: tuple[str, int, int | None]) -> list[ChangeResult]:
    return stage.channel.set_quantities([Change(*row) for row in rows], "key")


def told(results: list[ChangeResult]) -> list[str]:
    return [result.status.value for result in results]


def sent(stage: Any, path: str = UPDATE) -> list[httpx.Request]:
    return [request for request in stage.wire.requests if request.url.path == path]


# Two levels


def test_the_lower_level_is_live_and_both_are_set(stage: EbayStage) -> None:
    product = stage.add("A", 10)
    stage.stock.set_levels(product, 30, 8)
    assert [one.quantity for one in stage.channel.read_quantities(["A"])] == [8]
    stage.stock.set_levels(product, 5, None)
    assert [one.quantity for one in stage.channel.read_quantities(["A"])] == [5]
    assert told(write(stage, ("A", 12, 5))) == ["done"]
    assert (stage.stock.item_quantity(product), stage.stock.offer_quantity(product), product.quantity) == (12, 12, 12)
    stage.buy(("A", 2))
    assert (stage.stock.item_quantity(product), stage.stock.offer_quantity(product)) == (10, 10)


def test_an_absolute_write_puts_sold_units_back(stage: EbayStage) -> None:
    product = stage.add("A", 10)
    stage.buy(("A", 3))
    assert told(write(stage, ("A", 10, 10))) == ["done"]
    assert product.quantity == 10


def test_no_code_replaces_an_inventory_item(stage: EbayStage) -> None:
    """PUT /inventory_item wipes what it does not repeat: no adapter of eBay knows the verb."""
    modules = list(CHANNELS.glob("ebay/*.py"))
    assert len(modules) > 10
    for path in modules:
        text = path.read_text()
        assert '"PUT"' not in text and "'PUT'" not in text, path.name
    stage.add("A", 10)
    write(stage, ("A", 3, 10))
    stage.channel.resume(stage.channel.pause(["A"]))
    list(stage.channel.read_catalogue())
    assert {request.method for request in stage.wire.requests} == {"GET", "POST"}  # type: ignore[attr-defined]


def test_a_location_is_named_when_one_is_configured() -> None:
    stage = staged(locations=("berlin", "hamburg"))
    stage.add("A", 10)
    for location, here in (("berlin", True), ("munich", False), (None, None)):
        channel = stage.open(merchant_location_key=location, transport=stage.wire)  # type: ignore[attr-defined]
        (page,) = channel.read_catalogue()
        assert [entry.stocked_here for entry in page.entries] == [here]
        assert told(channel.set_quantities([Change("A", 9, 10)], "key")) == ["done"]
        assert (b"availabilityDistributions" in sent(stage)[-1].content) is (location is not None)
    stage.close()


# Rows


def test_rows_fail_singly_in_one_call(stage: EbayStage) -> None:
    for sku in "ABC":
        stage.add(sku, 10)
    stage.channel.read_quantities(["A", "B", "C"])
    stage.stock.unpublished.add(stage.shop.product("B").number)
    results = write(stage, ("A", 7, 10), ("B", 7, 10), ("nothing", 7, 10), ("C", 7, 10))
    assert told(results) == ["done", "rejected", "rejected", "done"]
    assert "25713" in results[1].reason
    assert len(sent(stage)) == 1
    assert [stage.shop.product(sku).quantity for sku in "ABC"] == [7, 10, 7]
    assert told(write(stage, ("B", 7, 10))) == ["rejected"]
    assert len(sent(stage)) == 1, "the offer is looked up anew, and there is no live one"


def test_a_vendor_that_takes_one_sku_a_call_gets_one() -> None:
    stage = staged(one_sku_a_call=True)
    rows = [(stage.add(sku, 10).sku, 4, 10) for sku in "ABC"]
    assert told(write(stage, *rows)) == ["done"] * 3
    assert len(sent(stage)) == 4
    assert {product.quantity for product in stage.shop.products.values()} == {4}
    stage.close()


ROW = {"sku": "A", "offerId": "8000001002"}


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([{**ROW, "statusCode": 200}], "done"),
        ([{**ROW, "statusCode": 204}], "done"),
        ([{**ROW, "statusCode": 400, "errors": [{"errorId": 25002}]}], "rejected"),
        ([{**ROW, "statusCode": 500}], "unknown"),
        ([{**ROW, "statusCode": None}], "unknown"),
        ([{"sku": "A", "statusCode": 200}], "unknown"),
        ([{**ROW, "statusCode": 200}, {"sku": "A", "statusCode": 400}], "unknown"),
        ([{**ROW, "sku": "B", "offerId": "1", "statusCode": 200}], "unknown"),
        ([], "unknown"),
        (None, "unknown"),
    ],
)
def test_each_row_is_judged_by_its_own_status(rows: Any, status: str) -> None:
    def see(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(207, json={"responses": rows}) if request.url.path == UPDATE else None

    stage = staged(see)
    assert stage.stock.offer_id(stage.add("A", 10)) == ROW["offerId"]
    (result,) = write(stage, ("A", 3, 10))
    assert result.status.value == status
    assert (result.reason == "") is (status == "done")
    assert stage.memory.revisions.counts(["A"], vendor_day(stage.clock.now()))["A"] == (status != "rejected")
    stage.close()


def test_a_batch_that_is_cut_off_by_a_limit_says_what_was_not_sent(stage: EbayStage) -> None:
    skus = [stage.add(f"N-{number}", 10).sku for number in range(60)]
    stage.shop.faults.replace([Fault(FaultKind.SLOW, Operation.WRITE, times=1, delay_s=0.0)])
    stage.shop.faults._faults += (Fault(FaultKind.THROTTLE, Operation.WRITE),)
    stage.shop.faults._left += [None]
    results = write(stage, *[(sku, 4, 10) for sku in skus])
    assert told(results) == ["done"] * 25 + ["rejected"] * 35
    assert results[-1].reason == "not sent: rate_limited"


# Zeros


def test_a_zero_without_out_of_stock_control_is_not_sent() -> None:
    stage = staged(out_of_stock_control=False)
    stage.add("A", 10), stage.add("B", 10)
    zero, other = write(stage, ("A", 0, 10), ("B", 2, 10))
    assert (zero.status.value, other.status.value) == ("rejected", "done")
    assert "turn it on" in zero.reason and "end the listing" in zero.reason
    assert stage.shop.product("A").quantity == 10
    with pytest.raises(ChannelFault, match="out-of-stock control") as caught:
        stage.channel.pause(["A"])
    assert caught.value.resolution is Resolution.REJECT
    # The seller turns it on; a no is asked for again after a minute.
    stage.stock.out_of_stock_control = True
    assert told(write(stage, ("A", 0, 10))) == ["rejected"]
    stage.clock.seconds += 61
    assert told(write(stage, ("A", 0, 10))) == ["done"]
    assert stage.stock.listing_status(stage.shop.product("A")) == "OUT_OF_STOCK"
    stage.close()


def test_without_the_control_a_sale_ends_the_listing_and_it_reads_as_empty() -> None:
    stage = staged(out_of_stock_control=False)
    stage.add("A", 1)
    order = stage.buy(("A", 1))
    stage.shop.cancel(order.number)
    assert [(one.quantity, one.tracked) for one in stage.channel.read_quantities(["A"])] == [(0, True)]
    (result,) = write(stage, ("A", 5, 0))
    assert result.status.value == "rejected" and "no live" in result.reason
    (page,) = stage.channel.read_catalogue()
    assert [entry.on_sale for entry in page.entries] == [False]
    stage.close()


def test_the_preference_is_asked_for_once_in_a_while(stage: EbayStage) -> None:
    stage.add("A", 10)
    for quantity in (0, 3, 0, 3, 0):
        write(stage, ("A", quantity, 5))
    assert len(sent(stage, "/ws/api.dll")) == 1
    stage.clock.seconds += 3600
    stage.channel.read_quantities(["A"])
    stage.shop.faults.replace([Fault(FaultKind.ERROR_BEFORE, Operation.READ)])
    assert told(write(stage, ("A", 0, 3))) == ["done"], "yesterday's yes will do while it cannot be asked"
    assert len(sent(stage, "/ws/api.dll")) == 2


def test_the_trading_api_says_with_a_200_that_the_token_is_old(stage: EbayStage) -> None:
    stage.add("A", 10)
    stage.channel.read_quantities(["A"])
    stage.expire_credentials()
    assert told(write(stage, ("A", 0, 10))) == ["done"]
    assert len(sent(stage, "/ws/api.dll")) == 2


def test_a_first_zero_that_cannot_be_checked_is_not_sent(stage: EbayStage) -> None:
    stage.add("A", 10)
    stage.channel.read_quantities(["A"])
    stage.shop.faults.replace([Fault(FaultKind.ERROR_BEFORE, Operation.READ)])
    with pytest.raises(ChannelFault) as caught:
        write(stage, ("A", 0, 10))
    assert caught.value.resolution is Resolution.RETRY
    assert sent(stage) == []


# The budget of revisions


def test_the_last_fifty_revisions_are_for_lowering(stage: EbayStage) -> None:
    stage.add("A", 10), stage.add("B", 10)
    today = vendor_day(stage.clock.now())
    stage.memory.revisions.add(["A"] * 199, today)
    assert told(write(stage, ("A", 11, 10))) == ["done"]
    (raise_,) = write(stage, ("A", 12, 11))
    assert raise_.status.value == "rejected" and raise_.reason.startswith("revision budget: 200 of 250")
    assert told(write(stage, ("A", 12, None))) == ["rejected"], "what is not known to lower is a raise"
    assert told(write(stage, ("A", 5, 11), ("B", 50, 10))) == ["done", "done"]
    stage.memory.revisions.add(["A"] * 48, today)
    assert told(write(stage, ("A", 0, 5))) == ["done"]
    (last,) = write(stage, ("A", 0, 5))
    assert last.status.value == "rejected" and "all 250" in last.reason
    stage.clock.seconds += 86_400
    assert told(write(stage, ("A", 12, 0))) == ["done"], "a new day"


def test_the_vendors_own_no_ends_the_day(stage: EbayStage) -> None:
    product = stage.add("A", 10)
    for _ in range(250):
        stage.stock.set_levels(product, 10, 10)
    for quantity in (4, 3):
        (result,) = write(stage, ("A", quantity, 10))
        assert result.status.value == "rejected" and result.reason.startswith("revision budget: eBay")
    assert len(sent(stage)) == 1, "it is not asked again on this day"
    stage.clock.seconds += 86_400
    assert told(write(stage, ("A", 3, 10))) == ["done"]


def test_variations_share_the_revisions_of_their_listing(stage: EbayStage) -> None:
    for sku in ("RED", "BLUE"):
        stage.stock.groups[stage.add(sku, 10).number] = "110000000001"
    stage.channel.read_quantities(["RED", "BLUE"])
    stage.memory.revisions.add(["RED"] * 120 + ["BLUE"] * 79, vendor_day(stage.clock.now()))
    assert told(write(stage, ("RED", 11, 10), ("BLUE", 11, 10))) == ["done", "rejected"]
    assert told(write(stage, ("RED", 12, 11), ("BLUE", 1, 10))) == ["rejected", "done"]


def test_the_day_is_ebays_own() -> None:
    stage = staged()
    assert vendor_day(stage.clock.now()).isoformat() == "2026-11-19", "06:00 UTC is the evening before, in California"
    begin, end = day_bounds(vendor_day(stage.clock.now()))
    assert begin <= stage.clock.now() < end and end - begin == timedelta(hours=24)
    assert refusal(249, raises=False) is None and refusal(250, raises=False) and refusal(200, raises=True)
    stage.close()


def test_a_log_that_all_processes_share(stage: EbayStage) -> None:
    stage.add("A", 10)
    asked: list[Any] = []

    def count(*query: Any) -> dict[str, int]:
        asked.append(query)
        return {"A": 200}

    stage.memory = EbayMemory(revisions=CountedByPublications(count))
    channel = stage.open(transport=stage.wire, memory=stage.memory)  # type: ignore[attr-defined]
    assert told(channel.set_quantities([Change("A", 11, 10)], "key")) == ["rejected"]
    assert told(channel.set_quantities([Change("A", 9, 10)], "key")) == ["done"]
    assert asked[0] == (["A"], *day_bounds(vendor_day(stage.clock.now())))
