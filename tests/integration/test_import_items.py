"""Items, bundles and aliases from CSV."""

from pathlib import Path

import pytest
from fake_channel import Bench, bench
from sqlalchemy import Engine

from tasks.onboarding.load_items import ItemsReport, load_items

BUNDLES = "bundle_sku,component_sku,quantity\n"


@pytest.fixture
def shop(engine: Engine) -> Bench:
    return bench(engine, {"A": 3, "B": 0}, cas=True)


def load(shop: Bench, **tables: object) -> ItemsReport:
    return load_items(shop.runtime, folder=Path(), **tables)  # type: ignore[arg-type]


def refused(report: ItemsReport) -> list[tuple[str, int]]:
    return [(one["table"], one["row"]) for one in report.refused]


def test_items_are_added_and_changed(shop: Bench) -> None:
    text = "sku,title,safety_stock\n a ,Apple,2\nnew-1,New,\nPOST,no goods,\nNEW-2,x,-1\nnew-3,x,\nNEW-3,y,\n,empty,\n"
    report = load(shop, items=text)
    assert report.items == 2
    assert refused(report) == [("items", 4), ("items", 5), ("items", 6), ("items", 7), ("items", 8)]
    items = shop.rows("SELECT sku, title, safety_stock FROM item ORDER BY sku")
    assert [tuple(row) for row in items] == [("A", "Apple", 2), ("B", "", 0), ("NEW-1", "New", 0)]
    assert shop.one("SELECT count(*) FROM outbox WHERE sku = 'A'") == 1, "its safety stock counts at once"
    load(shop, items="sku,title\nA,\n")
    assert tuple(shop.rows("SELECT title, safety_stock FROM item WHERE sku = 'A'")[0]) == ("Apple", 2)


def test_a_dry_run_writes_nothing_but_sees_what_it_would(shop: Bench) -> None:
    tables = {"items": "sku,title\nKIT,\n", "bundles": BUNDLES + "KIT,A,2\n", "aliases": "alias,sku\nkit-x,KIT\n"}
    report = load(shop, **tables, dry_run=True)
    assert (report.items, report.bundles, report.aliases, report.refused) == (1, 1, 1, [])
    assert shop.one("SELECT count(*) FROM item") == 2
    load(shop, **tables)
    assert shop.one("SELECT sku FROM sku_alias") == "KIT"
    assert tuple(shop.rows("SELECT * FROM bundle_component")[0]) == ("KIT", "A", 2)


def test_a_bundle_is_taken_whole_or_not_at_all(shop: Bench) -> None:
    load(shop, items="sku,title\nK1,\nK2,\nK3,\nK4,\n")
    rows = "K1,A,1\nK1,Z,1\nK2,A,1\nK2,B,2\nA,B,1\nK3,K4,1\nK4,K3,1\nK2x,A,1\n"
    report = load(shop, bundles=BUNDLES + rows)
    assert report.bundles == 1
    assert sorted(refused(report)) == [("bundles", number) for number in (2, 3, 6, 7, 8, 9)]
    assert {row.bundle_sku for row in shop.rows("SELECT bundle_sku FROM bundle_component")} == {"K2"}
    load(shop, bundles=BUNDLES + "K2,B,3\n")
    assert tuple(shop.rows("SELECT * FROM bundle_component")[0]) == ("K2", "B", 3), "its rows are its whole recipe"


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "", "10001", "x"])
def test_pieces_are_whole_numbers(shop: Bench, quantity: str) -> None:
    load(shop, items="sku,title\nK,\n")
    assert refused(load(shop, bundles=f"{BUNDLES}K,A,{quantity}\n")) == [("bundles", 2)]


def test_aliases_name_a_sku_and_are_none(shop: Bench) -> None:
    report = load(shop, aliases="alias,sku\nold,A\nA,B\nx,Z\ny,A\ny,B\n")
    assert report.aliases == 1
    assert refused(report) == [("aliases", 3), ("aliases", 4), ("aliases", 5), ("aliases", 6)]
