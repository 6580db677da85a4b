"""The drills: what happens in each of them, beat by beat. `drills` plays them and tells what onhand did."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from onhand.simulation.scenario import Buys, ChannelPlan, Happening, Scenario, Task, Trouble, TroubleKind, Works

MINUTE = 60.0
HOUR = 3600.0
SHOPS = ("shopify", "ebay", "woocommerce")


@dataclass(frozen=True)
class Beat:
    """Something happens at `at`; the story tells what onhand has done about it by the next beat."""

    at: float
    what: str


@dataclass(frozen=True)
class Drill:
    name: str
    title: str
    hero: str
    """The SKU whose numbers are shown."""
    scenario: Scenario
    beats: tuple[Beat, ...]
    confirmed_every: float = 0.0
    """Seconds between two snapshots of the warehouse; 0: it sends none."""
    silent_from: float = float("inf")
    """From then on the warehouse sends none."""


def _ours(start: float, end: float, every: float, channels: Sequence[str]) -> Iterator[Happening]:
    """The usual flows, every so many seconds."""
    at = start
    while at < end:
        yield from (Works(at, Task.PULL, code) for code in channels)
        yield Works(at + 3, Task.WATCH)
        yield Works(at + 4, Task.FALL_BACK)
        yield Works(at + 6, Task.PUBLISH)
        at += every


def _shoppers(seed: int, start: float, end: float, many: int, channels: Sequence[str], sku: str) -> Iterator[Happening]:
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose, protects nothing
    for _ in range(many):
        yield Buys(chance.uniform(start, end), chance.choice(list(channels)), ((sku, chance.choice((1, 1, 1, 2))),))


def _scenario(stock: Mapping[str, int], happenings: Sequence[Happening], hours: float, page: int = 10) -> Scenario:
    plans = tuple(ChannelPlan(code, code, tuple(stock), {}) for code in SHOPS)
    ordered = tuple(sorted(happenings, key=lambda one: one.at))
    return Scenario(1, hours / 24, stock, {}, plans, ordered, page=page)


def _weekend_promotion() -> Drill:
    begins, ends = 30 * MINUTE, 4 * HOUR
    happenings = [
        *_ours(0, 6 * HOUR, 20 * MINUTE, SHOPS),
        *_shoppers(1, 0, begins, 6, SHOPS, "BESTSELLER"),
        Works(begins - 5 * MINUTE, Task.PROMOTE, "", "BESTSELLER", 1),
        *_shoppers(2, begins, begins + HOUR, 60, SHOPS, "BESTSELLER"),
        *_shoppers(3, begins + HOUR, ends, 40, SHOPS, "BESTSELLER"),
        Works(2.5 * HOUR, Task.RECEIVE, "", "BESTSELLER", 40),
    ]
    beats = (
        Beat(0, "an ordinary morning"), Beat(begins - 5 * MINUTE, "the best seller is guarded: two stay in reserve"),
        Beat(begins, "the promotion begins, twelve times the demand"), Beat(begins + HOUR, "the rush goes on"),
        Beat(2.5 * HOUR, "40 more arrive"), Beat(ends, "the promotion is over"),
    )  # fmt: skip
    scenario = _scenario({"BESTSELLER": 60, "OTHER": 20}, happenings, 6)
    return Drill("weekend_promotion", "A weekend promotion on one best seller", "BESTSELLER", scenario, beats)


def _marketplace_times_out() -> Drill:
    dark, back = 40 * MINUTE, 2 * HOUR
    happenings = [
        *_ours(0, 3.5 * HOUR, 10 * MINUTE, SHOPS),
        *_shoppers(4, 0, 3.2 * HOUR, 50, SHOPS, "MUG"),
        Trouble(dark, back, TroubleKind.REQUEST_LOST, "ebay", 1.0),
    ]
    beats = (
        Beat(0, "trade as usual"), Beat(dark, "eBay's API answers nothing any more; its buyers buy on"),
        Beat(dark + 20 * MINUTE, "twenty minutes later"), Beat(back, "eBay answers again"),
        Beat(back + 40 * MINUTE, "forty minutes later"),
    )  # fmt: skip
    scenario = _scenario({"MUG": 45, "LAMP": 12}, happenings, 3.5)
    return Drill("marketplace_times_out", "A marketplace's API times out", "MUG", scenario, beats)


def _warehouse_offline() -> Drill:
    silent = 12 * HOUR
    happenings = [
        *_ours(0, 96 * HOUR, 8 * HOUR, SHOPS),
        *_shoppers(5, 0, 80 * HOUR, 30, SHOPS, "MUG"),
    ]
    beats = (
        Beat(0, "the warehouse confirms its stock every four hours"), Beat(silent, "the warehouse goes silent"),
        Beat(silent + 24 * HOUR, "a day later"), Beat(silent + 72 * HOUR, "three days later"),
    )  # fmt: skip
    scenario = _scenario({"MUG": 100, "LAMP": 12}, happenings, 96)
    title = "The warehouse is offline"
    return Drill("warehouse_offline", title, "MUG", scenario, beats, confirmed_every=4 * HOUR, silent_from=silent)


def _erp_rejects() -> Drill:
    begins, ends = 30 * MINUTE, 90 * MINUTE
    happenings = [
        *_ours(0, 2.5 * HOUR, 10 * MINUTE, SHOPS),
        *_shoppers(6, 0, 2.2 * HOUR, 45, SHOPS, "MUG"),
        Trouble(begins, ends, TroubleKind.REFUSED, "woocommerce", 1.0),
    ]
    beats = (
        Beat(0, "the website's numbers go through its ERP"), Beat(begins, "the ERP refuses every change of stock"),
        Beat(begins + 30 * MINUTE, "half an hour later"), Beat(ends, "the ERP takes changes again"),
    )  # fmt: skip
    scenario = _scenario({"MUG": 40, "LAMP": 12}, happenings, 2.5)
    return Drill("erp_rejects", "The ERP behind a channel rejects every change", "MUG", scenario, beats)


def _three_units() -> Drill:
    wishes = [Buys(20 * MINUTE + second, code, (("LAST", 1),)) for second in (0, 1) for code in SHOPS]
    happenings = [*_ours(0, 40 * MINUTE, 5 * MINUTE, SHOPS), *wishes]
    beats = (
        Beat(0, "three units, three channels"),
        Beat(20 * MINUTE, "within two seconds six buyers want one each, two at every channel"),
        Beat(25 * MINUTE, "five minutes later"),
    )  # fmt: skip
    scenario = _scenario({"LAST": 3}, happenings, 40 / 60)
    return Drill("three_units_three_channels", "The last three units on three channels", "LAST", scenario, beats)


def _thousand_orders() -> Drill:
    rush = 10 * MINUTE
    happenings = [
        *_ours(0, rush, 5 * MINUTE, SHOPS),
        *_ours(rush + 5, rush + MINUTE, 15, SHOPS),
        *_shoppers(7, rush, rush + MINUTE, 1000, SHOPS, "TICKET"),
        *_ours(rush + MINUTE, rush + 6 * MINUTE, MINUTE, SHOPS),
    ]
    beats = (
        Beat(0, "700 tickets on three channels"), Beat(rush, "a thousand orders within one minute"),
        Beat(rush + MINUTE, "the minute is over"), Beat(rush + 5 * MINUTE, "four minutes later"),
    )  # fmt: skip
    scenario = _scenario({"TICKET": 700}, happenings, 0.3, page=25)
    return Drill("thousand_orders_in_a_minute", "A thousand orders in a minute", "TICKET", scenario, beats)


DRILLS: dict[str, Callable[[], Drill]] = {
    "weekend_promotion": _weekend_promotion,
    "marketplace_times_out": _marketplace_times_out,
    "warehouse_offline": _warehouse_offline,
    "erp_rejects": _erp_rejects,
    "three_units_three_channels": _three_units,
    "thousand_orders_in_a_minute": _thousand_orders,
}
