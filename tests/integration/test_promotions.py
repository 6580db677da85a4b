"""A promotion's guards hold from their begin to their end by themselves, each as its own number."""

from dataclasses import replace
from datetime import timedelta

import pytest
from fake_channel import Bench, bench
from sqlalchemy import Engine, text

from expectations import gate
from inventory import setup
from inventory.holds.pool import promised_units
from inventory.ledger.explanation import explain
from inventory.publishing.availability import load_market
from inventory.publishing.positions import Stock
from inventory.publishing.promotions import Limits, PromotionError, Window, within_guards
from tasks.publishing.promote import guard, open_guards, promotion, request_for
from tasks.publishing.publish import publish
from tasks.publishing.sweep import sweep
from tasks.selling.pull import pull


@pytest.fixture
def shop(engine: Engine) -> Bench:
    made = bench(engine, {"A": 40, "B": 40}, cas=True, site=True)
    made.runtime = replace(made.runtime, check=gate.recheck)
    settle(made)
    assert shown(made, "A") == (20, 20)
    return made


def settle(shop: Bench) -> None:
    for _ in range(3):
        publish(shop.runtime)
        shop.clock.forward(61)
        for code in shop.channels:
            pull(shop.runtime, code)
    sweep(shop.runtime)
    publish(shop.runtime)


def shown(shop: Bench, sku: str) -> tuple[int, int]:
    return shop.channels["cas"].shown[f"cas-{sku}"], shop.channels["site"].shown[f"site-{sku}"]


def promote(
    shop: Bench, name: str = "sale", key: str = "k", begin: float = 0, hours: float = 24, **what: object
) -> int:
    start = shop.clock() + timedelta(hours=begin)
    limits = Limits(what.get("cap"), what.get("reserve", 0), what.get("no_raises", False))  # type: ignore[arg-type]
    window = None if what.get("end") else Window(start, start + timedelta(hours=hours))
    channels, skus = what.get("channels", ()), what.get("skus", ["A"])
    wanted = promotion(shop.runtime, name=name, skus=skus, channels=channels, window=window, limits=limits)  # type: ignore[arg-type]
    request = request_for(wanted, actor="Wanda", reason="a rush is coming")
    return guard(shop.runtime, wanted, request, approved_by="", request_key=key)


def test_a_cap_holds_from_its_begin_to_its_end(shop: Bench) -> None:
    assert promote(shop, begin=1, hours=2, cap=5, channels=["cas"]) == 1
    settle(shop)
    assert shown(shop, "A") == (20, 20), "it has not begun"
    shop.clock.forward(3600)
    settle(shop)
    assert shown(shop, "A") == (5, 35), "what one may not show the other may"
    assert shown(shop, "B") == (20, 20)
    shop.clock.forward(2 * 3600)
    settle(shop)
    assert shown(shop, "A") == (20, 20)
    assert open_guards(shop.runtime) == []


def test_everything_is_kept_for_one_channel(shop: Bench) -> None:
    """The rule of the field: all of it for one marketplace, and to the other only what is more than a buffer."""
    promote(shop, reserve=38, channels=["site"])
    settle(shop)
    assert shown(shop, "A") == (38, 2)
    shop.move("A", 10, receipt="truck")
    settle(shop)
    assert shown(shop, "A") == (38, 12)


def test_a_reserve_for_all_is_its_own_subtraction_and_binds_those_who_ask_first(shop: Bench) -> None:
    promote(shop, reserve=30)
    settle(shop)
    assert sum(shown(shop, "A")) == 10
    with shop.engine.connect() as connection:
        found = explain(connection, "A", now=shop.clock()).availability
        assert (found.available, found.promotions, found.safety_stock, found.sellable) == (40, 30, 0, 10)
        assert promised_units(connection, ["A"]) == {"A": 40}, "ten on show, thirty kept back"
    promote(shop, key="end", end=True)
    settle(shop)
    assert shown(shop, "A") == (20, 20)


def test_without_raises_it_only_falls(shop: Bench) -> None:
    promote(shop, no_raises=True)
    shop.move("A", 100, receipt="truck")
    settle(shop)
    assert shown(shop, "A") == (20, 20)
    with shop.engine.begin() as connection:
        connection.execute(text("UPDATE item SET safety_stock = 120 WHERE sku = 'A'"))
    promote(shop, name="other", key="other", cap=100)
    settle(shop)
    assert sum(shown(shop, "A")) == 20, "lowered for the safety stock"
    [row] = shop.rows("SELECT count(*) AS n FROM operation WHERE action = 'promo_guard'")
    assert row.n == 2


def test_of_several_the_strictest_holds_and_a_name_again_replaces(shop: Bench) -> None:
    promote(shop, "one", "1", cap=9)
    promote(shop, "two", "2", cap=4, channels=["cas"])
    promote(shop, "three", "3", reserve=5, channels=["site"])
    settle(shop)
    assert shown(shop, "A") == (4, 9)
    promote(shop, "two", "4", cap=6, channels=["cas"])
    settle(shop)
    assert shown(shop, "A") == (6, 9)
    assert [(row["promotion"], row["channel"], row["cap"]) for row in open_guards(shop.runtime)] == [
        ("one", "all", 9), ("three", "site", ""), ("two", "cas", 6),
    ]  # fmt: skip
    assert promote(shop, "two", "4", cap=1, channels=["cas"]) == 0, "the same request is done once"


def test_packs_and_bundles_are_guarded_by_what_is_in_them(shop: Bench) -> None:
    with shop.engine.begin() as connection:
        setup.add_items(connection, {"KIT": ""})
        setup.add_bundle(connection, "KIT", {"A": 2, "B": 1})
        setup.add_listings(connection, "cas", [("six", "A", 6), ("kit", "KIT", 1)])
    with shop.engine.connect() as connection:
        market = load_market(connection, ["A"], {})
    guards = {("A", "cas"): Limits(reserve=30), ("KIT", ""): Limits(cap=3)}
    stock = {"A": Stock({"main": 40}), "B": Stock({"main": 40})}
    caps = {one.ref: one.cap for one in within_guards(market.positions, stock, guards)}
    assert caps == {"cas-A": 10, "cas-B": None, "six": 1, "kit": 3, "site-A": None, "site-B": None}
    with pytest.raises(PromotionError, match="components"):
        promote(shop, reserve=1, skus=["KIT"])


def test_nonsense_is_refused_and_changes_nothing(shop: Bench) -> None:
    naive = shop.clock().replace(tzinfo=None)
    for says, what in (
        ("at least one SKU", {"cap": 1, "skus": [" "]}),
        ("not in the ledger: 'stranger'", {"cap": 1, "skus": ["A", "stranger"]}),
        ("not in the ledger", {"cap": 1, "skus": ["A\x00"]}),
        ("no channel moon; there are cas, site", {"cap": 1, "channels": ["moon"]}),
        ("say what it limits", {}),
        ("from 0 to", {"reserve": 1_000_001}),
        ("ends before it begins", {"cap": 1, "hours": -1}),
        ("over already", {"cap": 1, "begin": -48}),
        ("longer than 92 days", {"cap": 1, "hours": 93 * 24}),
        ("no promotion 'sale' is open", {"end": True}),
    ):
        with pytest.raises(PromotionError, match=says):
            promote(shop, **what)  # type: ignore[arg-type]
    with pytest.raises(PromotionError, match="offset"):
        window = Window(naive, naive + timedelta(hours=1))
        promotion(shop.runtime, name="sale", skus=["A"], channels=(), window=window, limits=Limits(1))
    assert shop.one("SELECT count(*) FROM promotion_guard") == 0
    assert shop.one("SELECT count(*) FROM operation") == 0
