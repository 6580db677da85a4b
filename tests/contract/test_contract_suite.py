"""The suite sees a broken adapter: each way to break one makes the test fail that is there for it."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from math import prod
from pathlib import Path
from typing import Any

import pytest
from channel_contract import contract_suite
from channel_stage import Stage
from contract_orders import at
from contract_place import Place, served
from shopify_stage import ShopifyStage

from adapters.channels.protocol import Change, ChangeResult, ChangeStatus, OrderPage, Reading
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.faults import FaultKind

Suite = contract_suite(ShopifyStage)
"""Not collected under this name; its tests are called one by one."""

_numbers = count()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served() as place:
        yield place


@pytest.fixture
def stage(place: Place) -> Iterator[Stage]:
    with place.staged(ShopifyStage) as stage:
        yield stage


def run(name: str, stage: Stage, place: Place, **given: Any) -> None:
    test = getattr(Suite(), name)
    at_hand = {"stage": stage, "place": place, **given}
    test(**{parameter: at_hand[parameter] for parameter in inspect.signature(test).parameters})


def vary(stage: Stage, method: str, changed: Callable[..., Any]) -> None:
    setattr(stage.channel, method, changed)


def pages(stage: Stage, change: Callable[[OrderPage], OrderPage]) -> None:
    """Bends every page of a pull."""
    pull = stage.channel.pull_orders
    vary(stage, "pull_orders", lambda since: (change(page) for page in pull(since)))


def results(stage: Stage, change: Callable[[ChangeResult], ChangeResult]) -> None:
    """Bends every result of a write."""
    write = stage.channel.set_quantities
    vary(stage, "set_quantities", lambda rows, key: [change(row) for row in write(rows, key)])


def loses_the_last_of_a_full_page(stage: Stage) -> None:
    pages(stage, lambda page: OrderPage(page.orders[: stage.traits.orders_per_page - 1]))


def begins_after_the_instant(stage: Stage) -> None:
    pull = stage.channel.pull_orders

    def later(since: datetime) -> Iterator[OrderPage]:
        for page in pull(since):
            yield OrderPage([order for order in page.orders if at(order["updated_at"]) > since])

    vary(stage, "pull_orders", later)


def takes_a_bad_page_for_the_end(stage: Stage) -> None:
    pull = stage.channel.pull_orders

    def shortened(since: Any) -> Iterator[OrderPage]:
        try:
            yield from pull(since)
        except ChannelFault:
            return

    vary(stage, "pull_orders", shortened)


def names_reversals_anew(stage: Stage) -> None:
    def change(page: OrderPage) -> OrderPage:
        for order in page.orders:
            for reversal in order["reversals"]:
                reversal["reversal_id"] = f"r{next(_numbers)}"
        return page

    pages(stage, change)


def reverses_twice(stage: Stage) -> None:
    def change(page: OrderPage) -> OrderPage:
        for order in page.orders:
            order["reversals"] += [{**row, "reversal_id": f"{row['reversal_id']}+"} for row in order["reversals"]]
        return page

    pages(stage, change)


def tells_the_buyer(stage: Stage) -> None:
    def change(page: OrderPage) -> OrderPage:
        for order in page.orders:
            number = int(order["order_id"].rpartition("/")[2])
            order["lines"][0]["sku"] = stage.shop.orders[number].buyer.email
        return page

    pages(stage, change)


def tells_its_secret(stage: Stage) -> None:
    def fail(refs: Sequence[str]) -> list[Reading]:
        raise ChannelFault("shop", Resolution.REJECT, f"refused with {stage.secrets[0]}")

    vary(stage, "read_quantities", fail)


def shows_zero_for_the_unknown(stage: Stage) -> None:
    read = stage.channel.read_quantities

    def padded(refs: Sequence[str]) -> list[Reading]:
        found = read(refs)
        known = {reading.listing_ref for reading in found}
        return [*found, *(Reading(ref, 0, True) for ref in refs if ref not in known)]

    vary(stage, "read_quantities", padded)


def takes_silence_for_success(stage: Stage) -> None:
    results(stage, lambda row: replace(row, status=ChangeStatus.DONE))


def sends_a_write_again(stage: Stage) -> None:
    write = stage.channel.set_quantities

    def stubborn(rows: Sequence[Change], key: str) -> list[ChangeResult]:
        first = write(rows, key)
        return write(rows, key) if first and first[0].status is ChangeStatus.UNKNOWN else first

    vary(stage, "set_quantities", stubborn)


def one_row_spoils_all(stage: Stage) -> None:
    write = stage.channel.set_quantities

    def spoiled(rows: Sequence[Change], key: str) -> list[ChangeResult]:
        found = write(rows, key)
        worst = next((row.status for row in found if row.status is not ChangeStatus.DONE), ChangeStatus.DONE)
        return [replace(row, status=worst) for row in found]

    vary(stage, "set_quantities", spoiled)


def resumes_what_was_off(stage: Stage) -> None:
    resume = stage.channel.resume

    def generous(state: dict[str, Any]) -> None:
        resume(state)
        for product in stage.shop.products.values():
            product.listed = True

    vary(stage, "resume", generous)


def pauses_nothing(stage: Stage) -> None:
    vary(stage, "pause", lambda refs: {})


def forgets_what_it_paused(stage: Stage) -> None:
    pause = stage.channel.pause
    vary(stage, "pause", lambda refs: {key: None for key in pause(refs)})


UNKNOWN = "test_a_write_without_an_answer_is_unknown_and_never_sent_again"
BREAKAGES: list[tuple[Callable[[Stage], None], str, dict[str, Any]]] = [
    (loses_the_last_of_a_full_page, "test_nothing_is_lost_at_page_borders", {"surplus": 0}),
    (loses_the_last_of_a_full_page, "test_orders_of_one_instant_are_all_read", {}),
    (begins_after_the_instant, "test_pulls_one_after_another_lose_nothing", {}),
    (
        takes_a_bad_page_for_the_end,
        "test_a_later_page_without_an_answer_never_looks_like_the_end",
        {"kind": FaultKind.HTML},
    ),
    (names_reversals_anew, "test_several_reversals_keep_their_ids", {"how": "refund"}),
    (reverses_twice, "test_what_is_left_is_cancelled_and_nothing_twice", {"how": "refund"}),
    (reverses_twice, "test_single_orders_read_as_in_a_pull", {}),
    (tells_the_buyer, "test_no_personal_data_and_no_secret_leaves_the_adapter", {"kind": None}),
    (tells_its_secret, "test_no_personal_data_and_no_secret_leaves_the_adapter", {"kind": None}),
    (shows_zero_for_the_unknown, "test_an_unknown_listing_is_absent", {}),
    (takes_silence_for_success, UNKNOWN, {"kind": FaultKind.ERROR_BEFORE, "applied": False}),
    (sends_a_write_again, UNKNOWN, {"kind": FaultKind.ERROR_AFTER, "applied": True}),
    (one_row_spoils_all, "test_a_row_that_is_refused_does_not_harm_the_others", {}),
    (one_row_spoils_all, "test_a_sale_in_between_makes_its_row_stale_and_only_its_row", {}),
    (resumes_what_was_off, "test_what_the_seller_had_taken_off_stays_off", {}),
    (pauses_nothing, "test_a_pause_stops_every_listing_and_resuming_starts_them", {}),
    (forgets_what_it_paused, "test_a_pause_stops_every_listing_and_resuming_starts_them", {}),
]


@pytest.mark.parametrize(("breakage", "name", "given"), BREAKAGES)
def test_a_broken_adapter_is_caught(
    stage: Stage,
    place: Place,
    caplog: pytest.LogCaptureFixture,
    breakage: Callable[[Stage], None],
    name: str,
    given: dict[str, Any],
) -> None:
    run(name, stage, place, caplog=caplog, **given)
    with place.staged(ShopifyStage) as broken:
        breakage(broken)
        with pytest.raises((AssertionError, ChannelFault, pytest.fail.Exception, ValueError, TypeError, KeyError)):
            run(name, broken, place, caplog=caplog, **given)


def test_one_call_gives_as_many_tests_as_the_documentation_says() -> None:
    def times(test: Any) -> int:
        return prod(len(list(mark.args[1])) for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize")

    number = sum(times(getattr(Suite, name)) for name in dir(Suite) if name.startswith("test_"))
    assert f"{number} tests" in (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text()
