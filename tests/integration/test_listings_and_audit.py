"""The catalogue of a channel: audited, mapped from itself or from CSV, dropped."""

from pathlib import Path

import pytest
from fake_channel import Bench, bench, entry, line, order, page
from sqlalchemy import Engine

from adapters.channels.protocol import CatalogueEntry, CataloguePage, Defect
from adapters.http import ChannelFault, Resolution
from tasks.onboarding.audit import audit_channel
from tasks.onboarding.map_listings import MapReport, map_listings
from tasks.selling.pull import pull

HEAD = "channel,listing_ref,sku,units_per_listing\n"


@pytest.fixture
def shop(engine: Engine) -> Bench:
    return bench(engine, {"A": 3, "B": 4}, cas=True, site=False)


def lists(shop: Bench, *entries: CatalogueEntry, code: str = "cas") -> None:
    shop.channels[code].catalogue = [CataloguePage([one]) for one in entries]


def mapped(shop: Bench, **how: object) -> MapReport:
    return map_listings(shop.runtime, "cas", folder=Path(), **({"dry_run": False} | how))  # type: ignore[arg-type]


def listings(shop: Bench) -> set[tuple[str, str, int]]:
    return {tuple(row) for row in shop.rows("SELECT ref, sku, units_per_listing FROM listing WHERE channel = 'cas'")}


def open_findings(shop: Bench) -> set[tuple[str, str]]:
    return {tuple(row) for row in shop.rows("SELECT kind, listing_ref FROM catalogue_finding WHERE status = 'open'")}


def test_findings_are_opened_counted_and_resolved(shop: Bench) -> None:
    lists(shop, entry("cas-A", "A", tracked=False), entry("cas-B", "B"), entry("new", "a"))
    report = audit_channel(shop.runtime, "cas")
    assert (report.counts.entries, report.counts.blockers, report.counts.warnings) == (3, 1, 3)
    assert ("catalogue", "cas") in shop.incidents()
    shop.clock.forward(60)
    audit_channel(shop.runtime, "cas")
    assert shop.one("SELECT times FROM catalogue_finding WHERE kind = 'untracked'") == 2
    lists(shop, entry("cas-A", "A"), entry("cas-B", "B"))
    shop.clock.forward(60)
    assert audit_channel(shop.runtime, "cas").counts.resolved == 4
    assert open_findings(shop) == set()
    assert shop.incidents() == set()
    assert shop.one("SELECT audited_at FROM channel WHERE code = 'cas'") == shop.clock()


def test_a_catalogue_that_ends_midway_finds_nothing_gone(shop: Bench) -> None:
    lists(shop, entry("cas-A", "A"))
    shop.channels["cas"].catalogue.append(ChannelFault("cas", Resolution.RETRY, "away"))
    with pytest.raises(ChannelFault):
        audit_channel(shop.runtime, "cas")
    assert open_findings(shop) == set()
    assert shop.one("SELECT audited_at FROM channel WHERE code = 'cas'") is None
    shop.channels["cas"].catalogue = [CataloguePage([entry("cas-A", "A")], [Defect("cas-B", "no id", "{}")])]
    audit_channel(shop.runtime, "cas")
    assert open_findings(shop) == {("unreadable", "cas-B")}


def test_what_is_unambiguous_is_mapped_by_itself(shop: Bench) -> None:
    lists(
        shop, entry("cas-A", "A"), entry("cas-B", "B"), entry("x", " b "), entry("y", "Z"), entry("z", ""),
        entry("fba", "A", fulfilled_by_channel=True),
    )  # fmt: skip
    dry = mapped(shop, dry_run=True)
    assert dry.mapped == 0, "two listings of the channel are called B"
    lists(shop, entry("cas-A", "A"), entry("x", " b "), entry("y", "Z"), entry("fba", "A", fulfilled_by_channel=True))
    dry = mapped(shop, dry_run=True)
    assert (dry.mapped, [row["listing"] for row in dry.rows]) == (1, ["x"])
    assert len(listings(shop)) == 2
    assert mapped(shop).mapped == 1
    assert ("x", "B", 1) in listings(shop)
    assert shop.one("SELECT mapped_at FROM listing WHERE ref = 'x'") == shop.clock()
    assert open_findings(shop) == {("unmapped", "y"), ("gone", "cas-B"), ("fulfilled_by_channel", "fba")}
    assert mapped(shop).mapped == 0


def test_the_csv_way_holds_back_what_cannot_be_right(shop: Bench) -> None:
    lists(
        shop, *(entry(ref, "") for ref in ("cas-A", "cas-B", "x", "y", "z", "w")),
        entry("fba", "A", fulfilled_by_channel=True),
    )  # fmt: skip
    text = HEAD + (
        "cas,x,b,6\nsite,site-A,A,1\ncas,y,Z,1\ncas,nowhere,A,1\ncas,fba,A,1\ncas,z,A,0\ncas,cas-A,B,1\n"
        "cas,cas-B,B,\ncas,w,A,1\ncas,w,A,2\ncas,z\n"
    )
    report = mapped(shop, source=text)
    assert (report.mapped, report.same, report.others) == (1, 1, 1)
    held = {row["row"]: row["why"] for row in report.rows if row["outcome"] == "held back"}
    assert {row: why.rpartition("(")[2].rstrip(")") for row, why in held.items() if row != 12} == {
        4: "MAP-004", 5: "MAP-003", 6: "MAP-007", 7: "MAP-005", 8: "MAP-008", 10: "MAP-006", 11: "MAP-006",
    }  # fmt: skip
    assert "2 of 4 cells" in held[12]
    assert listings(shop) == {("cas-A", "A", 1), ("cas-B", "B", 1), ("x", "B", 6)}
    assert mapped(shop, source=HEAD + "cas,cas-A,B,2\n", remap=True).mapped == 1
    assert ("cas-A", "B", 2) in listings(shop)
    assert {row.sku for row in shop.rows("SELECT sku FROM outbox")} >= {"A", "B"}


def test_a_table_for_another_catalogue_is_blocked(shop: Bench) -> None:
    lists(shop, *(entry(f"r{number}", "") for number in range(12)), entry("x", ""))
    text = HEAD + "cas,x,A,1\n" + "".join(f"cas,r{number},Q{number},1\n" for number in range(12))
    report = mapped(shop, source=text)
    assert report.blocked and report.mapped == 0 and len(listings(shop)) == 2
    assert mapped(shop, source=text, approved_by="Wanda").mapped == 1


def test_a_sale_that_was_held_back_is_booked_once_its_listing_is_mapped(shop: Bench) -> None:
    shop.channels["cas"].pages = [page(order("1", shop.clock(), line("1", "x", 2)))]
    assert pull(shop.runtime, "cas").applied.quarantined == 1
    lists(shop, entry("cas-A", "A"), entry("cas-B", "B"), entry("x", ""))
    mapped(shop, source=HEAD + "cas,x,A,1\n")
    shop.channels["cas"].pages = []
    assert pull(shop.runtime, "cas").applied.units_held == 2
    assert shop.one("SELECT count(*) FROM quarantined_row WHERE status = 'open'") == 0


def test_a_listing_that_is_gone_is_dropped_once_its_orders_are_read(shop: Bench) -> None:
    lists(shop, entry("cas-A", "A", fulfilled_by_channel=True))
    report = mapped(shop, drop=True)
    assert report.dropped == 0 and {row["outcome"] for row in report.rows} == {"kept"}
    shop.clock.forward(1)
    pull(shop.runtime, "cas")
    assert mapped(shop, drop=True, dry_run=True).dropped == 0
    shop.clock.forward(1)
    assert mapped(shop, drop=True).dropped == 2
    assert listings(shop) == set()
    assert open_findings(shop) == {("fulfilled_by_channel", "cas-A")}
