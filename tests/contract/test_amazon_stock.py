"""Quantities of Amazon: the guard before a write, the two paths, and what an accepted write is worth."""

from collections.abc import Iterator
from typing import Any

import pytest
from amazon_stage import AmazonStage
from contract_place import Place, served

from adapters.channels.amazon.amazon_fba import FbaStock as Row
from adapters.channels.protocol import Change, ChangeResult, ChangeStatus, Reading
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.amazon.amazon_state import FbaStock, Habits
from adapters.sandbox.faults import FaultKind, Operation


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served() as place:
        yield place


@pytest.fixture
def stage(place: Place) -> Iterator[AmazonStage]:
    with place.staged(AmazonStage) as stage:
        assert isinstance(stage, AmazonStage)
        yield stage


def put(stage: AmazonStage, *rows: tuple[str, int], channel: Any = None, expected: int | None = None) -> list[str]:
    changes = [Change(sku, quantity, expected) for sku, quantity in rows]
    return [result.status.value for result in (channel or stage.channel).set_quantities(changes, "key")]


def result(stage: AmazonStage, sku: str, quantity: int, channel: Any = None) -> ChangeResult:
    (found,) = (channel or stage.channel).set_quantities([Change(sku, quantity, None)], "key")
    return found


# The guard


def test_a_quantity_never_reaches_what_amazon_fulfils(stage: AmazonStage) -> None:
    stage.add("MINE", 5)
    theirs = stage.add("THEIRS", 50)
    stage.vendor.state.fba["THEIRS"] = FbaStock()
    before = dict(stage.shop.calls)
    answers = stage.channel.set_quantities([Change("THEIRS", 7, 50), Change("MINE", 7, 5)], "key")
    assert [answer.status for answer in answers] == [ChangeStatus.REJECTED, ChangeStatus.DONE]
    assert "AMAZON_NA" in answers[0].reason
    assert stage.shop.calls["write"] - before.get("write", 0) == 1
    many = [(f"S-{number}", 1) for number in range(60)]
    for sku, _ in many:
        stage.add(sku, 9)
    assert put(stage, *many, ("THEIRS", 7))[-1] == "rejected"
    stage.channel.pause(["MINE", "THEIRS", *(sku for sku, _ in many)])
    stage.settle()
    assert (theirs.quantity, stage.vendor.state.stranded) == (50, [])
    assert stage.channel.read_quantities(["THEIRS"]) == [Reading("THEIRS", 0, tracked=False)]


def test_the_sandbox_does_strand_what_is_written_without_the_guard(stage: AmazonStage) -> None:
    """Else the test above would prove nothing."""
    stage.add("THEIRS", 50)
    stage.channel.read_quantities(["THEIRS"])
    stage.vendor.state.fba["THEIRS"] = FbaStock()
    result(stage, "THEIRS", 7)
    assert stage.vendor.state.stranded == ["THEIRS"], "flipped since it was read, within the time that a read counts"
    stage.clock.seconds += 61
    stage.vendor.state.fba["THEIRS"] = FbaStock()
    assert result(stage, "THEIRS", 7).status is ChangeStatus.REJECTED


def test_an_offer_is_read_before_the_write_unless_it_was_just_read(stage: AmazonStage) -> None:
    stage.add("A", 5)
    stage.channel.read_quantities(["A"])
    reads = stage.shop.calls["read"]
    stage.channel.set_quantities([Change("A", 6, 5)], "key")
    polls = stage.shop.calls["read"] - reads
    stage.clock.seconds += 61
    reads = stage.shop.calls["read"]
    stage.channel.set_quantities([Change("A", 7, 6)], "key")
    assert stage.shop.calls["read"] - reads == polls + 1


def test_a_listing_without_a_fulfilment_channel_is_not_written(stage: AmazonStage, place: Place) -> None:
    stage.add("A", 5)
    place.bend = lambda call, body: body.replace(b'"fulfillmentAvailability"', b'"somethingElse"')
    answer = result(stage, "A", 7)
    assert (answer.status, stage.shop.calls["write"]) == (ChangeStatus.REJECTED, 0)
    assert "no fulfilment channel" in answer.reason


def test_a_quantity_below_zero_is_not_sent(stage: AmazonStage) -> None:
    stage.add("A", 5)
    assert (put(stage, ("A", -1)), stage.shop.calls["write"]) == (["rejected"], 0)


# What an accepted write is worth


def test_an_accepted_write_that_is_not_seen_in_time_is_unknown(stage: AmazonStage) -> None:
    product = stage.add("A", 5)
    stage.habits.apply_delay_s = 60
    answer = result(stage, "A", 7)
    assert (answer.status, product.quantity) == (ChangeStatus.UNKNOWN, 5)
    stage.clock.seconds += 60
    assert stage.channel.read_quantities(["A"]) == [Reading("A", 7, tracked=True)]


def test_a_sale_after_the_write_hides_it(stage: AmazonStage) -> None:
    """Six are seen, seven were set: nothing says that the six are not yet the old ones."""
    stage.add("A", 6)
    stage.habits.apply_delay_s = 60
    assert put(stage, ("A", 7)) == ["unknown"]


def test_a_lowering_can_be_doubted_always(stage: AmazonStage) -> None:
    product = stage.add("A", 6)
    careful = stage.adapter(doubt_lowerings=True)
    assert put(stage, ("A", 5), channel=careful, expected=6) == ["unknown"]
    stage.settle()
    assert product.quantity == 5
    assert put(stage, ("A", 9), channel=careful, expected=5) == ["done"]


def test_a_refused_patch_says_why(stage: AmazonStage) -> None:
    stage.add("A", 5)
    answer = result(stage, "A", 2_000_000_000)
    assert (answer.status, answer.reason) == (ChangeStatus.REJECTED, "refused with 99022")


def test_throttled_writes_are_not_repeated_and_the_rest_is_not_sent(stage: AmazonStage) -> None:
    for sku in "ABC":
        stage.add(sku, 5)
    stage.fault(FaultKind.THROTTLE, Operation.WRITE)
    with pytest.raises(ChannelFault) as caught:
        put(stage, ("A", 1), ("B", 1), ("C", 1))
    assert caught.value.resolution is Resolution.RATE_LIMITED
    assert (stage.shop.calls["write"], stage.shop.written) == (1, [])


def test_merge_keeps_what_stands_beside_the_quantity(stage: AmazonStage) -> None:
    product = stage.add("A", 5)
    many = [stage.add(f"S-{number}", 5).sku for number in range(60)]
    assert put(stage, ("A", 7)) == ["done"]
    assert set(put(stage, *[(sku, 8) for sku in many])) == {"done"}
    for one, quantity in ((product, 7), (stage.shop.product("S-1"), 8)):
        (entry,) = stage.vendor.state.attributes_of(one)["fulfillment_availability"]
        assert (entry["quantity"], entry["lead_time_to_ship_max_days"]) == (quantity, 3)


@pytest.mark.parametrize("sku", ["a/b", "ä ö", "100%", "x,y", "q?r#s", "..", "+1", "it's"])
def test_any_sku_can_be_read_and_written(stage: AmazonStage, sku: str) -> None:
    if sku == "..":
        pytest.skip("no client sends a path that ends in two dots")
    stage.add(sku, 5)
    stage.add("B", 6)
    assert {one.listing_ref: one.quantity for one in stage.channel.read_quantities([sku, "B"])} == {sku: 5, "B": 6}
    assert put(stage, (sku, 7), ("B", 8)) == ["done", "done"]


# By feed


def feed_of(stage: AmazonStage, count: int = 60) -> list[tuple[str, int]]:
    return [(stage.add(f"S-{number}", number).sku, number + 1) for number in range(count)]


@pytest.mark.parametrize("packs", [False, True])
def test_many_go_by_one_feed(stage: AmazonStage, packs: bool) -> None:
    stage.habits.packs_reports = packs
    rows = [*feed_of(stage), ("UNKNOWN", 5)]
    rows[3] = (rows[3][0], 2_000_000_000)
    answers = stage.channel.set_quantities([Change(sku, quantity, None) for sku, quantity in rows], "key")
    assert stage.shop.calls["write"] == 1
    said = {answer.listing_ref: (answer.status.value, answer.reason) for answer in answers}
    assert said.pop("S-3") == ("rejected", "refused with 99022")
    assert said.pop("UNKNOWN") == ("rejected", "Amazon does not know this SKU")
    assert set(said.values()) == {("done", "")}
    assert [stage.shop.product(f"S-{number}").quantity for number in (0, 3, 59)] == [1, 3, 60]


def test_a_feed_that_does_not_end_keeps_its_skus_from_the_other_path(stage: AmazonStage) -> None:
    rows = feed_of(stage)
    stage.vendor.feeds.stuck = True
    assert set(put(stage, *rows)) == {"unknown"}
    before = stage.shop.calls["write"]
    other = stage.adapter()
    answer = result(stage, "S-1", 3, other)
    assert (answer.status, stage.shop.calls["write"]) == (ChangeStatus.REJECTED, before)
    assert answer.reason.startswith("held by feed 5")
    with pytest.raises(ChannelFault, match="wait for a feed"):
        other.pause(["S-1"])
    stage.vendor.feeds.stuck = False
    stage.settle()
    assert result(stage, "S-1", 4, other).status is ChangeStatus.DONE


@pytest.mark.parametrize(("status", "said"), [("CANCELLED", "rejected"), ("FATAL", "unknown")])
def test_a_feed_that_ends_badly(stage: AmazonStage, status: str, said: str) -> None:
    rows = feed_of(stage)
    stage.vendor.feeds.stuck = True
    stage.clock.sleep = lambda seconds: (  # type: ignore[method-assign]
        setattr(stage.clock, "seconds", stage.clock.seconds + seconds),
        [stage.vendor.feeds.end(feed, status) for feed in stage.vendor.feeds._feeds],
    )[0]
    channel = stage.adapter(sleep=stage.clock.sleep)
    assert set(put(stage, *rows, channel=channel)) == {said}
    assert stage.shop.written == []


def test_a_feed_whose_submission_is_lost_is_unknown_and_holds_its_skus(stage: AmazonStage) -> None:
    rows = feed_of(stage)
    stage.fault(FaultKind.ERROR_AFTER, Operation.WRITE)
    assert set(put(stage, *rows)) == {"unknown"}
    assert put(stage, rows[0]) == ["rejected"]
    stage.settle()
    assert put(stage, ("S-0", 9)) == ["done"], "no feed is running any more, so the lost one has ended"


def test_a_document_that_cannot_be_put_down_changes_nothing(stage: AmazonStage) -> None:
    rows = feed_of(stage)
    stage.channel.read_quantities([sku for sku, _ in rows])
    stage.fault(FaultKind.ERROR_AFTER, Operation.ANY)
    with pytest.raises(ChannelFault) as caught:
        put(stage, *rows)
    assert (caught.value.resolution, "document" in str(caught.value)) == (Resolution.RETRY, True)
    assert stage.shop.calls["write"] == 0


def test_a_report_that_cannot_be_read_leaves_the_reads_to_decide(stage: AmazonStage, place: Place) -> None:
    rows = feed_of(stage)
    place.bend = lambda call, body: b'{"header": 1}' if b'"messagesProcessed"' in body else body
    assert set(put(stage, *rows)) == {"done"}


def test_what_was_patched_and_not_seen_stays_on_its_path(stage: AmazonStage) -> None:
    rows = feed_of(stage)
    stage.habits.apply_delay_s = 60
    assert put(stage, ("S-0", 9)) == ["unknown"]
    stage.habits.apply_delay_s = 1
    before = stage.shop.calls["write"]
    put(stage, *rows)
    assert stage.shop.calls["write"] - before == 2, "one feed, and one patch"


def test_looking_at_many_takes_longer_than_the_wait_and_leaves_none_in_doubt(place: Place) -> None:
    """With the vendor's real rates, 300 listings are 15 calls: three seconds for one look."""
    habits = Habits(apply_delay_s=1.5, feed_delay_s=0.5, search_lag_s=0, rate_scale=1.0)
    with place.staged(lambda url: AmazonStage(url, habits=habits, apply_wait_s=2.0)) as stage:
        assert isinstance(stage, AmazonStage)
        assert set(put(stage, *feed_of(stage, 300))) == {"done"}


def test_without_an_allowance_for_feeds_rows_are_patched(place: Place) -> None:
    habits = Habits(apply_delay_s=0, feed_delay_s=0, search_lag_s=0)
    with place.staged(lambda url: AmazonStage(url, habits=habits)) as stage:
        assert isinstance(stage, AmazonStage)
        rows = feed_of(stage)
        for _ in range(5):
            assert set(put(stage, *rows)) == {"done"}
        assert stage.shop.calls["write"] == 5
        assert set(put(stage, *rows)) == {"done"}
        assert stage.shop.calls["write"] == 65


def test_a_pause_zeroes_by_one_feed_and_says_which(stage: AmazonStage) -> None:
    rows = feed_of(stage, 20)
    state = stage.channel.pause([sku for sku, _ in rows])
    assert state == {"zeroed": sorted(sku for sku, _ in rows)}
    stage.settle()
    assert {stage.shop.product(sku).quantity for sku, _ in rows} == {0}
    stage.channel.resume(state)
    stage.settle()
    assert {stage.shop.product(sku).quantity for sku, _ in rows} == {0}


# The catalogue and the warehouse


def test_more_listings_than_one_search_gives(stage: AmazonStage) -> None:
    for number in range(2300):
        stage.shop.add_product(f"P-{number}", f"Thing {number}", number)
    stage.vendor.state.fba["P-7"] = FbaStock()
    entries = [entry for page in stage.channel.read_catalogue() for entry in page.entries]
    assert len(entries) == len({entry.listing_ref for entry in entries}) == 2300
    by_ref = {entry.listing_ref: entry for entry in entries}
    theirs, mine, none = by_ref["P-7"], by_ref["P-8"], by_ref["P-0"]
    assert (theirs.fulfilled_by_channel, theirs.quantity, theirs.stocked_here) == (True, None, False)
    assert (mine.fulfilled_by_channel, mine.quantity, mine.tracked, mine.oversell_allowed) == (False, 8, True, False)
    assert (mine.on_sale, none.on_sale) == (True, False)


def test_a_catalogue_that_cannot_be_gone_on_with_is_no_end(stage: AmazonStage, place: Place) -> None:
    for number in range(30):
        stage.add(f"P-{number}", number)
    place.bend = lambda call, body: body.replace(b'"pagination"', b'"lost"')
    assert sum(len(page.entries) for page in stage.channel.read_catalogue()) == 30, "by the date of creation"
    place.bend = lambda call, body: body.replace(b'"pagination"', b'"lost"').replace(b"createdDate", b"lostToo")
    with pytest.raises(ChannelFault) as caught:
        list(stage.channel.read_catalogue())
    assert caught.value.resolution is Resolution.MALFORMED


def test_the_stock_in_amazons_warehouse(stage: AmazonStage) -> None:
    for number in range(120):
        stage.add(f"F-{number}", number)
        stage.vendor.state.fba[f"F-{number}"] = FbaStock(1, 2, 3, 4, 5)
    stage.add("MINE", 9)
    rows = stage.channel.read_fba_stock()
    assert [row.sku for row in rows] == [f"F-{number}" for number in range(120)]
    assert rows[7] == Row("F-7", 7, 6, 4, 0, 5, 7 + 6 + 4 + 5, rows[7].updated_at)


def test_a_token_for_the_warehouse_that_ran_out_begins_anew(stage: AmazonStage, place: Place) -> None:
    for number in range(60):
        stage.add(f"F-{number}", number)
        stage.vendor.state.fba[f"F-{number}"] = FbaStock()
    stage.channel.read_quantities(["F-0"])
    first = place.calls

    def hold_up(call: int) -> None:
        if call == first + 2:
            stage.clock.seconds += 31

    place.before = hold_up
    assert len(stage.channel.read_fba_stock()) == 60
    assert place.calls >= first + 4
