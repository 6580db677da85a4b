"""A reconciliation in pieces tells and heals what one piece would; a piece that fails is told, and the others count."""

import importlib
import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from fake_channel import Bench, bench
from prefect import Task
from sqlalchemy import Engine, text

from adapters.http import ChannelFault, Resolution
from expectations import gate
from inventory import setup
from inventory.reconciling.listing_scopes import ALL, Range, pages_of, ranges_of
from inventory.reconciling.reconciliation import Reconciliation
from tasks import fan_out
from tasks.publishing.publish import publish
from tasks.reconciling.compare import Scope, compare_channel
from tasks.reconciling.reconcile_report import Incomplete
from tasks.reconciling.wide_reconciliation import Ended, Piece, end_blocks, joined, pieces
from tasks.selling.pull import pull

UNITS = {f"S{number:02d}": 40 for number in range(48)}


@pytest.fixture
def market(engine: Engine) -> Bench:
    """Two channels that show 20 of each SKU, and know it; `small` lists a tenth of what they do."""
    made = bench(engine, UNITS, shop=True, web=True, small=True)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM listing WHERE channel = 'small' AND ref > 'small-S02'"))
    made.channels["small"].shown = dict.fromkeys(["small-S00", "small-S01", "small-S02"], 0)
    made.runtime.check = gate.recheck
    for _ in range(3):
        made.clock.forward(5)
        for code in made.channels:
            pull(made.runtime, code)
        publish(made.runtime)
        made.clock.forward(40)
    return made


def look(market: Bench, piece: Piece) -> Reconciliation:
    return compare_channel(
        market.runtime, piece.channel, stale_after=timedelta(minutes=30), heal=True, scope=Scope(within=piece.within)
    )


def test_every_listing_is_in_one_range_also_those_that_come_later(market: Bench) -> None:
    with market.engine.connect() as connection:
        for count in (1, 2, 7, 64):
            ranges = ranges_of(connection, "shop", count)
            seen = [ref for one in ranges for page in pages_of(connection, "shop", 4, within=one) for ref in page.refs]
            assert sorted(seen) == [f"shop-{sku}" for sku in UNITS]
            assert ranges[0].first == ALL.first and ranges[-1].last == ALL.last and len(ranges) <= count
        assert ranges_of(connection, "nobody", 3) == [ALL]
        connection.rollback()
        with market.engine.begin() as other:
            setup.add_listings(other, "shop", [("late", "S00", 1)])
        refs = [ref for page in pages_of(connection, "shop", 100, within=ranges[-1]) for ref in page.refs]
        assert refs[-1] == "late"


def test_pieces_are_a_channel_each_and_large_ones_in_ranges(market: Bench) -> None:
    whole = pieces(market.runtime, ["shop", "web", "small", "shop"], 4, by_listings=False)
    assert whole == [Piece("shop"), Piece("web"), Piece("small")]
    divided = pieces(market.runtime, ["shop", "web", "small", "new"], 4, by_listings=True)
    assert [one.channel for one in divided] == ["shop", "shop", "web", "web", "small", "new"]
    assert divided[0].within.last + 1 == divided[1].within.first
    assert divided[1].parameters == {
        "channels": ["shop"], "first_listing": divided[1].within.first, "last_listing": 0, "runs": 1
    }  # fmt: skip


def test_pieces_together_find_and_heal_what_one_look_would(market: Bench) -> None:
    market.channels["shop"].shown |= {"shop-S00": 90, "shop-S47": 11}
    market.clock.forward(60)
    for code in market.channels:
        pull(market.runtime, code)
    parts = pieces(market.runtime, ["shop"], 3, by_listings=True)
    results = [look(market, one) for one in parts]
    assert [one.asked for one in results] == [16, 16, 16]
    assert [[found.ref for found in one.worst] for one in results] == [["shop-S00"], [], ["shop-S47"]]
    found = market.rows("SELECT subject, kind FROM discrepancy ORDER BY subject")
    assert [row.kind for row in found] == ["foreign_write", "mismatch"]
    for _ in range(4):
        market.clock.forward(60)
        for code in market.channels:
            pull(market.runtime, code)
        publish(market.runtime)
    assert (market.channels["shop"].shown["shop-S00"], market.channels["shop"].shown["shop-S47"]) == (14, 20)


def test_a_part_says_nothing_for_the_rest_of_its_channel(market: Bench) -> None:
    """Neither that its held numbers are usable again, nor that the answer is believed."""
    shop = market.channels["shop"]
    parts = pieces(market.runtime, ["shop"], 2, by_listings=True)
    good = dict(shop.shown)
    shop.shown = {ref: units for ref, units in good.items() if ref >= "shop-S24"}
    shop.shown |= {"shop-S00": 10**12, "shop-S40": 10**12}
    blocked = [look(market, one) for one in parts]
    assert [bool(one.blocked) for one in blocked] == [True, False]
    held = "SELECT listing_ref FROM quarantined_row WHERE suite = 'channel_snapshot' AND status = 'open' ORDER BY 1"
    assert [row.listing_ref for row in market.rows(held)] == ["shop-S00", "shop-S40"]
    shop.shown = good
    look(market, parts[1])
    assert [row.listing_ref for row in market.rows(held)] == ["shop-S00"]
    assert ("batch_blocked", "channel_snapshot/shop") in market.incidents()
    shown = {"reconciliation": [{"channel": "shop", "not believed": ""}]}
    end_blocks(market.runtime, [Ended(parts[0], "failed", shown), Ended(parts[1], "", shown)])
    assert ("batch_blocked", "channel_snapshot/shop") in market.incidents(), "one part is not known"
    end_blocks(market.runtime, [Ended(one, "", shown) for one in parts])
    assert ("batch_blocked", "channel_snapshot/shop") not in market.incidents()


def test_one_report_of_all_pieces() -> None:
    small = [{"channel": "web", "expected": 5, "shown": 7}]
    large = [{"channel": "shop", "expected": 5, "shown": 90}, {"channel": "shop", "expected": 5, "shown": 4}]
    ended = [
        Ended(Piece("web"), "", {"reconciliation": [{"channel": "web"}], "discrepancies": small, "aging": [{"a": 1}]}),
        Ended(Piece("shop", Range(1, 9)), "", {"reconciliation": [{"channel": "shop"}], "discrepancies": large}),
        Ended(Piece("shop", Range(10, ALL.last)), "crashed: its worker is gone", {}),
    ]
    tables, faults = joined(ended)
    found = {key: rows for key, rows, _ in tables}
    assert found["reconciliation"] == [{"channel": "web"}, {"channel": "shop", "part": "listings 1–9"}]
    assert [row["shown"] for row in found["discrepancies"]] == [90, 7, 4]
    assert set(found) == {"reconciliation", "discrepancies", "reconciliation-parts"}
    assert faults == ["shop, listings 10–the last: crashed: its worker is gone"]
    assert [row["how it ended"] for row in found["reconciliation-parts"]][:2] == ["to its end"] * 2


def test_the_flow_joins_what_its_runs_tell_and_fails_if_one_failed(
    market: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = importlib.import_module("flows.reconcile")
    shown: dict[str, list[dict[str, Any]]] = {}
    monkeypatch.setattr(module, "runtime", lambda: market.runtime)
    monkeypatch.setattr(module, "table", lambda key, rows, words: shown.__setitem__(key, rows))
    monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger("test"))
    started: list[dict[str, Any]] = []

    def run_pieces(parts: Sequence[Piece], *, at_once: int, most_s: float) -> list[Ended]:
        started.extend(one.parameters for one in parts)
        ended = []
        for one in parts:
            own: dict[str, list[dict[str, Any]]] = {}
            monkeypatch.setattr(module, "table", lambda key, rows, words, own=own: own.__setitem__(key, rows))
            fault = ""
            try:
                module.reconcile.fn(**one.parameters)
            except Incomplete as incomplete:
                fault = str(incomplete)
            ended.append(Ended(one, fault, own))
        monkeypatch.setattr(module, "table", lambda key, rows, words: shown.__setitem__(key, rows))
        return ended

    for name, value in list(vars(module).items()):
        if isinstance(value, Task):
            monkeypatch.setattr(module, name, value.fn)
    monkeypatch.setattr(module, "run_pieces", run_pieces)
    market.channels["web"].unreadable = ChannelFault("web", Resolution.RETRY, "it is away")
    with pytest.raises(Incomplete, match="it is away"):
        module.reconcile.fn(channels=["shop", "web", "small"], runs=4)
    assert len(started) == 5 and {one["runs"] for one in started} == {1}
    counted = [(row["channel"], row["listings"]) for row in shown["reconciliation"]]
    assert counted == [("shop", 24), ("shop", 24), ("small", 3)]
    assert [row["how it ended"] != "to its end" for row in shown["reconciliation-parts"]] == [
        False,
        False,
        True,
        True,
        False,
    ]
    assert "aging" in shown


def test_only_a_run_of_a_deployment_can_be_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "deployment", SimpleNamespace(get_id=lambda: None))
    with pytest.raises(fan_out.NoDeployment, match="start it from a deployment"):
        fan_out.run_pieces([Piece("shop")], at_once=2, most_s=1)


def test_the_tables_of_a_run_are_read_from_its_artifacts() -> None:
    rows = [{"channel": "shop", "listings": 3}]
    artifacts = [
        SimpleNamespace(type="table", key="reconciliation", data=json.dumps(rows)),
        SimpleNamespace(type="markdown", key="page", data="# no table"),
    ]
    assert fan_out.tables_of(artifacts) == {"reconciliation": rows}
