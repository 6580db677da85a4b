"""Ledger against orders, against a warehouse, against itself; age, and what a person settles."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_channel import Bench, bench, line, order, page
from noticing import Telling
from sqlalchemy import Engine, text

from adapters.database import in_transaction
from expectations import gate
from inventory.holds.reservations import HoldRequest, reserve
from inventory.ledger.integrity import inspect
from inventory.ledger.ledger import Move
from inventory.ledger.stock import move_stock
from inventory.reconciling.discrepancies import escalate
from inventory.reconciling.drift_report import ages, drifting_places, open_by_age, repeat_offenders
from inventory.reconciling.settling import NotOpen, NotReleasable
from inventory.words import MovementReason, StockState
from tasks.reconciling.compare_ledger import compare_ledger
from tasks.reconciling.compare_orders import compare_orders
from tasks.reconciling.compare_warehouse import NotCompared, WarehouseCompared, as_rows, compare_warehouse
from tasks.reconciling.discrepancy_report import report_discrepancies
from tasks.reconciling.reconcile_report import Reconciled, moment, week
from tasks.reconciling.settle import settle_discrepancy
from tasks.selling.pull import pull

TWO_DAYS = timedelta(days=2)


@pytest.fixture
def market(engine: Engine) -> Bench:
    made = bench(engine, {f"S{number}": 40 for number in range(6)}, shop=True)
    made.channels["shop"] = Telling("shop", shown={f"shop-S{number}": 0 for number in range(6)})
    made.runtime.check = gate.recheck
    pull(made.runtime, "shop")
    made.clock.forward(3600)
    pull(made.runtime, "shop")
    return made


def shop(market: Bench) -> Telling:
    channel = market.channels["shop"]
    assert isinstance(channel, Telling)
    return channel


def sells(market: Bench, *documents: dict[str, Any], shows: bool = True) -> None:
    """The shop has them; `shows`: in its list as well."""
    shop(market).orders |= {one["order_id"]: one for one in documents}
    if shows:
        shop(market).pages = [page(*shop(market).orders.values())]


def discrepancies(market: Bench) -> dict[str, tuple[str, str, str]]:
    rows = market.rows("SELECT subject, drift, kind, status, resolution FROM discrepancy ORDER BY id")
    return {row.subject: (row.drift, row.kind, row.resolution or row.status) for row in rows}


def test_missed_changed_and_phantom_orders(market: Bench) -> None:
    begun = market.clock()
    early = order("early", begun - timedelta(days=1), line("1", "shop-S0", 2))
    sells(market, order("first", begun, line("1", "shop-S0", 1)))
    pull(market.runtime, "shop")
    for number in ("known", "gone"):
        sells(market, order(number, begun, line("1", "shop-S0", 2)))
    pull(market.runtime, "shop")
    market.clock.forward(3600)
    # One that no pull ever showed, one held by the gate, one that the shop lowered, one that it forgot, one too old.
    sells(
        market,
        early,
        order("missed", begun + timedelta(seconds=5), line("1", "shop-S1", 3)),
        order("odd", begun + timedelta(seconds=6), line("1", "shop-S1", 0)),
        order("known", begun, line("1", "shop-S0", 1), updated_at=(begun + timedelta(seconds=9)).isoformat()),
        order("test", begun + timedelta(seconds=7), line("1", "shop-S1", 9), test=True),
        order("post", begun + timedelta(seconds=7), line("1", "postage", 1)),
    )
    del shop(market).orders["gone"]
    shown, shop(market).pages = shop(market).pages, []
    pull(market.runtime, "shop")
    shop(market).pages = [page(*shop(market).orders.values())]
    assert shown
    market.clock.forward(60)
    looked = compare_orders(market.runtime, "shop", window=TWO_DAYS, heal=False)
    assert (looked.missed, looked.healed, [one.order_id for one in looked.phantoms]) == (["missed", "odd"], 0, ["gone"])
    assert looked.changed == {"known": "line 1: the channel says 1 units, the ledger 2"}
    healed = compare_orders(market.runtime, "shop", window=TWO_DAYS, heal=True)
    assert healed.healed == 2
    assert discrepancies(market) == {
        "shop/missed": ("missed_order", "mismatch", "healed"),
        "shop/odd": ("missed_order", "mismatch", "open"),
        "shop/known": ("changed_order", "mismatch", "healed"),
        "shop/gone": ("phantom_order", "mismatch", "open"),
    }
    assert market.one("SELECT sum(held) FROM reservation_line") == 1 + 1 + 2 + 3, "a phantom's units stay held"
    assert ("phantom_order", "shop/gone") in market.incidents()
    assert compare_orders(market.runtime, "shop", window=TWO_DAYS, heal=True).waiting == 1
    # It shows again: it was none.
    sells(market, order("gone", begun, line("1", "shop-S0", 2)))
    compare_orders(market.runtime, "shop", window=TWO_DAYS, heal=True)
    assert discrepancies(market)["shop/gone"][2] == "agrees"
    assert ("phantom_order", "shop/gone") not in market.incidents()


def test_a_channel_that_forgets_everything_is_not_believed(market: Bench) -> None:
    begun = market.clock()
    sells(market, *(order(str(number), begun, line("1", "shop-S0", 1)) for number in range(20)))
    pull(market.runtime, "shop")
    market.clock.forward(3600)
    pull(market.runtime, "shop")
    shop(market).orders, shop(market).pages = {}, []
    result = compare_orders(market.runtime, "shop", window=TWO_DAYS, heal=True)
    assert "not believed" in result.blocked
    assert (result.phantoms, discrepancies(market)) == ([], {})
    assert ("batch_blocked", "orders_reread/shop") in market.incidents()


def test_a_person_settles_a_phantom_order_and_a_dispute(market: Bench) -> None:
    begun = market.clock()
    sells(market, order("gone", begun, line("1", "shop-S0", 2), line("2", "shop-S1", 3)))
    pull(market.runtime, "shop")
    market.clock.forward(3600)
    shop(market).orders, shop(market).pages = {}, []
    pull(market.runtime, "shop")
    compare_orders(market.runtime, "shop", window=TWO_DAYS, heal=True)
    number = market.one("SELECT id FROM discrepancy")

    def settle(which: int, release: bool) -> Any:
        return settle_discrepancy(
            market.runtime, which, actor="Wanda", reason="it was a test purchase", release_units=release
        )

    with pytest.raises(NotOpen, match="no discrepancy 9"):
        settle(9, False)
    settled = settle(number, True)
    assert (settled.released, market.one("SELECT sum(held) FROM reservation_line")) == (5, 0)
    assert market.one("SELECT resolution, actor, reason FROM discrepancy") == (
        "by_person", "Wanda", "it was a test purchase",
    )  # fmt: skip
    with pytest.raises(NotOpen, match="is over since"):
        settle(number, True)
    assert ("phantom_order", "shop/gone") not in market.incidents()
    with market.engine.begin() as connection:
        connection.execute(text("UPDATE listing SET disputed_since = now() WHERE ref = 'shop-S3'"))
        connection.execute(
            text(
                "INSERT INTO discrepancy (listing_id, subject, channel, sku, kind, expected, observed, status, "
                "opened_at, last_seen_at, times) SELECT id, 'shop/shop-S3', 'shop', 'S3', 'foreign_write', 1, 9, "
                "'open', now(), now(), 2 FROM listing WHERE ref = 'shop-S3'"
            )
        )
        connection.execute(text("DELETE FROM outbox"))
    dispute = market.one("SELECT max(id) FROM discrepancy")
    with pytest.raises(NotReleasable):
        settle(dispute, True)
    assert settle(dispute, False).undisputed
    assert market.one("SELECT sku FROM outbox") == "S3"
    assert market.one("SELECT count(*) FROM listing WHERE disputed_since IS NOT NULL") == 0


def counted(market: Bench, source: str, **how: Any) -> WarehouseCompared:
    given: dict[str, Any] = {"folder": Path("/nowhere"), "taken_at": market.clock()} | how
    return compare_warehouse(market.runtime, source, **given)


def moves(market: Bench, sku: str, units: int, from_state: StockState, to_state: StockState, at: datetime) -> None:
    move = Move(sku, "main", from_state, to_state, units, MovementReason.ADJUSTMENT, "test", f"{sku}-{units}-{at}", at)
    in_transaction(market.engine, lambda connection: move_stock(connection, [move], now=market.clock()))


def test_a_warehouse_is_compared_as_of_its_own_moment(market: Bench) -> None:
    taken_at = market.clock()
    market.clock.forward(7200)
    # Sent out an hour after the snapshot; broken minutes before it; on its way in.
    moves(market, "S0", 5, StockState.AVAILABLE, StockState.SHIPPED, taken_at + timedelta(hours=1))
    moves(market, "S1", 4, StockState.AVAILABLE, StockState.WRITTEN_OFF, taken_at - timedelta(minutes=5))
    moves(market, "S2", 6, StockState.SUPPLIER, StockState.INBOUND, taken_at)
    table = "sku,location,quantity\nS0,main,40\nS1,main,40\nS2,main,46\nS3,main,37\nS4,main,43\n"
    result = counted(market, table, taken_at=taken_at)
    assert {one.sku: (one.kind.value, one.expected, one.observed) for one in result.found} == {
        "S1": ("delayed", 36, 40), "S2": ("delayed", 40, 46), "S3": ("bad_count", 40, 37), "S4": ("bad_count", 40, 43),
    }  # fmt: skip
    assert result.swaps == [("main", "S3", "S4", 3)]
    assert {row["taken for"] for row in as_rows(result)} == {"", "S3", "S4"}
    again = counted(market, "sku,location,quantity\nS0,main,35\nS3,main,40\n")
    assert (again.found, again.closed) == ([], 1)
    assert discrepancies(market)["S3@main"] == ("count", "bad_count", "agrees")
    # By state, and complete: what is not listed lies nowhere.
    moves(market, "S5", 2, StockState.AVAILABLE, StockState.DAMAGED, taken_at)
    states = "sku,location,quantity,state\nS5,main,40,available\nS5,main,0,damaged\nS0,main,1,lost\nXX,main,1,available"
    result = counted(market, states)
    assert {one.subject: one.kind.value for one in result.found} == {
        "S5@main/available": "mismatch", "S5@main/damaged": "mismatch",
    }  # fmt: skip
    assert sorted(row["why"].split(":")[0] for row in result.held) == [
        "its state is none of allocated, available, damaged, quarantined, reserved", "the SKU is in the catalogue",
    ]  # fmt: skip
    # Half of all is gone: a part of a file, not a burglary.
    part = counted(market, "sku,location,quantity\nS0,main,35\n", complete=True)
    assert "STK-104" in part.blocked
    assert ("batch_blocked", "warehouse_snapshot") in market.incidents()
    whole = counted(market, "sku,location,quantity\nS0,main,35\nS1,main,36\nS2,main,40\nS3,main,40\nS4,main,40\n",
                    complete=True)  # fmt: skip
    assert [(one.sku, one.observed) for one in whole.found] == [("S5", 0)]
    old = counted(market, "sku,location,quantity\nS0,main,1\nS1,main,36\n", taken_at=taken_at - timedelta(days=3))
    assert (old.stale, {one.kind.value for one in old.found}) == (True, {"stale"})


def test_sold_units_may_have_left_the_warehouse(market: Bench) -> None:
    sells(market, order("1", market.clock(), line("1", "shop-S0", 30)))
    pull(market.runtime, "shop")
    market.clock.forward(3600)
    table = "sku,location,quantity\nS0,main,12\n"
    assert "STK-104" in counted(market, table).blocked
    assert counted(market, table, sold_may_have_left=True).found == []
    [short] = counted(market, "sku,location,quantity\nS0,main,8\n", sold_may_have_left=True).found
    assert (short.kind.value, short.expected, short.observed) == ("bad_count", 10, 8), "but not more than was sold"
    [over] = counted(market, "sku,location,quantity\nS0,main,43\n", sold_may_have_left=True).found
    assert (over.expected, over.observed) == (40, 43)


@pytest.mark.parametrize("source", ["sku,location,quantity\n", "a,b\n1,2\n", "nowhere.csv", "x" * 100])
def test_a_snapshot_that_cannot_be_read_says_why(market: Bench, source: str) -> None:
    with pytest.raises(ValueError, match=r"no rows|columns|cannot be read"):
        counted(market, source)
    with pytest.raises(NotCompared, match="future"):
        counted(market, "sku,location,quantity\nS0,main,1\n", taken_at=market.clock() + timedelta(hours=1))


def test_when_a_snapshot_was_true(tmp_path: Path, market: Bench) -> None:
    now = market.clock()
    assert moment("a\nb", "2026-03-01T06:00+01:00", tmp_path, now=now).isoformat() == "2026-03-01T06:00:00+01:00"
    assert moment("a\nb", "2026-03-01", tmp_path, now=now).tzinfo is not None
    assert moment("a\nb", " ", tmp_path, now=now) == now
    (tmp_path / "w.csv").write_text("x")
    assert moment("w.csv", "", tmp_path, now=now) > now
    assert moment("absent.csv", "", tmp_path, now=now) == now
    with pytest.raises(NotCompared, match="is no time"):
        moment("", "yesterday; DROP", tmp_path, now=now)
    assert week(now) != week(now + timedelta(days=7))


def test_the_ledger_against_itself(market: Bench) -> None:
    begun = market.clock()
    sells(market, *(order(f"o{number}", begun, line("1", f"shop-S{number}", 2)) for number in range(5)))
    pull(market.runtime, "shop")
    with market.engine.connect() as connection:
        assert inspect(connection, now=market.clock()) == []
    with market.engine.begin() as connection:
        old = HoldRequest("old", "shop", (("S5", 1),), timedelta(minutes=5))
        reserve(connection, [old], now=market.clock())
        for broken in (
            "UPDATE balance SET quantity = quantity + 7 WHERE sku = 'S5' AND state = 'available'",
            "UPDATE reservation SET status = 'released' WHERE holder = 'order:shop:o0'",
            "UPDATE reservation_line SET held = 1 WHERE holder = 'order:shop:o1'",
            "UPDATE order_line SET quantity = 9 WHERE holder = 'order:shop:o2'",
            "INSERT INTO reservation (holder, kind, channel, status, placed_at, updated_at, recorded_at, fingerprint, "
            "order_id) VALUES ('hold:shop:h', 'hold', 'shop', 'live', now(), now(), now(), '', 'o3')",
            "INSERT INTO reservation_line VALUES ('hold:shop:h', 'S3', 'main', 2, 0, true)",
            "ALTER TABLE balance DROP CONSTRAINT balance_never_negative",
            "UPDATE balance SET quantity = -1 WHERE sku = 'S4' AND state = 'available'",
            "ALTER TABLE movement DISABLE TRIGGER movement_no_change",
        ):
            connection.execute(text(broken))
    market.clock.forward(2 * 3600)
    result = compare_ledger(market.runtime, heal=True)
    found = {(one.drift.value, one.sku) for one in result.found}
    assert {
        ("balance", "S5"), ("balance", "S4"), ("negative", "S4"), ("orphaned_hold", "S0"), ("orphaned_hold", ""),
        ("unmatched_lines", "S1"), ("unmatched_lines", "S2"), ("doubled_hold", "S3"), ("guard", ""), ("stuck", "S0"),
        ("reserved", "S1"),
    } <= found  # fmt: skip
    assert market.one("SELECT status FROM reservation WHERE holder = 'hold:shop:old'") == "expired", "swept"
    assert discrepancies(market)["orphaned_hold/hold:shop:old"] == ("orphaned_hold", "delayed", "healed")
    assert ("ledger_mismatch", "ledger") in market.incidents()
    assert market.one("SELECT count(*) FROM discrepancy WHERE drift = 'balance' AND severity = 'critical'") == 2
    tables = {key: rows for key, rows, _ in Reconciled(ledger=result).tables()}
    assert len(tables["ledger-compared"]) == len(result.found)


def test_what_stays_open_grows_and_is_told(market: Bench) -> None:
    for day in range(3):
        counted(market, f"sku,location,quantity\nS0,main,{30 + day}\nS1,main,40\n")
        market.clock.forward(24 * 3600 + 60)
        if day < 2:
            counted(market, "sku,location,quantity\nS0,main,40\n")
    with market.engine.begin() as connection:
        escalate(connection, now=market.clock())
    [row] = market.rows(
        "SELECT severity, subject, message FROM incident WHERE kind = 'discrepancy' AND status = 'open'"
    )
    assert (row.severity, row.subject) == ("warning", "warehouse/main")
    market.clock.forward(7 * 24 * 3600)
    report = report_discrepancies(market.runtime)
    assert (report.grown, report.aging[0]["severity"], report.aging[0]["SKU"]) == (1, "critical", "S0")
    assert market.one("SELECT severity FROM incident WHERE kind = 'discrepancy' AND status = 'open'") == "critical"
    with market.engine.connect() as connection:
        now = market.clock()
        [offender] = repeat_offenders(connection, now=now)
        [place] = drifting_places(connection, now=now)
        assert ages(open_by_age(connection, now=now))[0]["over 7 days"] == 1
    assert (offender.sku, offender.times, offender.kinds) == ("S0", 3, ("bad_count",))
    assert (place.place, place.times, place.share) == ("main", 3, 1.0)
    counted(market, "sku,location,quantity\nS0,main,40\n")
    report_discrepancies(market.runtime)
    assert market.rows("SELECT 1 FROM incident WHERE kind = 'discrepancy' AND status = 'open'") == []
    assert replace(report, grown=0).aging == report.aging
