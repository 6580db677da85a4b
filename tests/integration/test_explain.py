"""`onhand explain`: every number of a SKU, who holds it, what is behind it, and what looks wrong."""

import json
from datetime import timedelta

import pytest
from ledger_stage import START, at, business, order, receive, sell
from sqlalchemy import Engine, text

from adapters.database import in_transaction
from inventory import setup
from inventory.holds.reservations import HoldRequest, reserve
from inventory.ledger.explanation import Explanation, UnknownSku, explain
from inventory.ledger.ledger import Move
from inventory.ledger.stock import move_stock
from inventory.reconciling.suspicion import Pattern
from inventory.words import MovementReason, StockState
from onhand import command_line


@pytest.fixture
def ledger(engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Engine:
    business(
        engine,
        stock_at={"CUP": {"east": 50, "west": 6}, "POT": {"east": 3}},
        channels={"web": ("east",), "fair": ("east", "west")},
        bundles={"SET": {"CUP": 4, "POT": 1}},
    )
    in_transaction(engine, lambda c: setup.add_aliases(c, {"mug": "CUP"}))
    monkeypatch.setenv("ONHAND_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "250")
    return engine


def explained(engine: Engine, sku: str, *, minute: float = 60) -> Explanation:
    with engine.connect() as connection:
        return explain(connection, sku, at(minute))


def take(engine: Engine, units: int, *, reason: MovementReason, reference: str = "", place: str = "east") -> None:
    out = Move(
        sku="CUP", location=place, from_state=StockState.AVAILABLE, to_state=StockState.COUNT_LOSS, quantity=units,
        reason=reason, source="operator", actor="jo", event_key=f"out:{reason}:{place}:{reference}", occurred_at=at(30),
        reference=reference,
    )  # fmt: skip
    in_transaction(engine, lambda c: move_stock(c, [out], now=at(30)))


def patterns(engine: Engine) -> list[Pattern]:
    return [one.pattern for one in explained(engine, "CUP").suspects]


def test_the_numbers_add_up(ledger: Engine) -> None:
    sell(ledger, "fair", order("1", ("SET", 2)), order("2", ("CUP", 1)))
    in_transaction(
        ledger, lambda c: reserve(c, [HoldRequest("k", "web", (("CUP", 5),), timedelta(minutes=5))], now=START)
    )
    with ledger.begin() as connection:
        connection.execute(text("UPDATE item SET accuracy_margin = 2, safety_stock = 3 WHERE sku = 'CUP'"))
        connection.execute(
            text("UPDATE listing SET exposure = 7, published = 7, published_at = now() WHERE ref = 'CUP'")
        )
    found = explained(ledger, "CUP")
    stock = found.availability
    assert (stock.on_hand, stock.reserved, stock.available, stock.sellable) == (56, 14, 42, 37)
    assert sum(place.on_hand for place in found.locations) == stock.on_hand
    assert {place.location: place.channels for place in found.locations} == {"east": ("fair", "web"), "west": ("fair",)}
    assert sum(one.held for one in found.holders) == stock.reserved
    assert [one.holder for one in found.holders if one.due] == ["hold:web:k"]
    for state in ("available", "reserved"):
        after = {one.location: one.after for one in found.entries if one.state == state}
        assert sum(after.values()) == getattr(stock, state), "the running balance ends at the balance"
    assert {(one.channel, one.ref, one.pieces) for one in found.listings} == {
        ("web", "CUP", 1), ("web", "SET", 4), ("fair", "CUP", 1), ("fair", "SET", 4),
    }  # fmt: skip
    assert {one.exposure for one in found.listings} == {7, None}
    assert found.bundles == ("POT", "SET") or set(found.bundles) == {"POT", "SET"}
    assert [one.sku for one in found.pending] == ["CUP", "POT"]


def test_the_oversold_are_named(ledger: Engine) -> None:
    sell(ledger, "web", order("1", ("POT", 5)))
    found = explained(ledger, "POT")
    assert found.oversold == 2
    assert [(one.kind, one.subject) for one in found.incidents] == [("oversold", "POT")]


def test_a_bundle_points_to_its_components(ledger: Engine) -> None:
    found = explained(ledger, "SET")
    assert found.components == {"CUP": 4, "POT": 1}
    assert [one.ref for one in found.listings] == ["SET", "SET"]
    assert found.availability.on_hand == 0


@pytest.mark.parametrize("asked", ["CUP", "cup", " cup ", "mug"])
def test_aliases_and_spellings_find_the_sku(ledger: Engine, asked: str) -> None:
    assert explained(ledger, asked).sku == "CUP"


def test_an_unknown_sku_is_told_with_what_is_near(ledger: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnknownSku) as caught:
        explained(ledger, "CUPP")
    assert caught.value.near == ("CUP",)
    assert command_line.run(["explain", "CUPP"]) == 2
    said = capsys.readouterr()
    assert said.err == "onhand: no SKU is called 'CUPP'; did you mean CUP?\n"
    for nonsense in ("", "\x00", "'; DROP TABLE item; --", "x" * 5000):
        assert command_line.run(["explain", nonsense]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_ordinary_trade_is_not_suspect(ledger: Engine) -> None:
    sell(ledger, "web", order("1", ("CUP", 20)), order("2", ("CUP", 20), minute=2))
    sell(ledger, "fair", order("1", ("CUP", 1), minute=3))
    take(ledger, 3, reason=MovementReason.ADJUSTMENT, reference="broken box")
    receive(ledger, "CUP", 9, place="east")
    assert patterns(ledger) == []


def test_a_large_manual_adjustment_is_suspect(ledger: Engine) -> None:
    take(ledger, 45, reason=MovementReason.ADJUSTMENT)
    assert patterns(ledger) == [Pattern.LARGE_ADJUSTMENT]
    assert "by jo" in explained(ledger, "CUP").suspects[0].evidence


def test_a_sync_to_zero_is_suspect(ledger: Engine) -> None:
    take(ledger, 6, reason=MovementReason.APP_SYNC, place="west")
    assert patterns(ledger) == [Pattern.SYNC_TO_ZERO]
    with ledger.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO discrepancy (listing_id, channel, sku, kind, expected, observed, status, resolution, "
                "opened_at, last_seen_at, times) SELECT id, channel, sku, 'foreign_write', 8, 0, 'open', '', "
                "now(), now(), 1 FROM listing WHERE ref = 'CUP' AND channel = 'web'"
            )
        )
    assert patterns(ledger) == [Pattern.SYNC_TO_ZERO, Pattern.SYNC_TO_ZERO]
    assert [one.subject for one in explained(ledger, "CUP").discrepancies] == ["web:CUP"]


def test_a_duplicate_deduction_is_suspect(ledger: Engine) -> None:
    sell(ledger, "web", order("77", ("CUP", 2)))
    sell(ledger, "fair", order("77", ("CUP", 2), minute=9))
    assert patterns(ledger) == [Pattern.DUPLICATE_DEDUCTION]
    sell(ledger, "web", order("90", ("CUP", 3), minute=20), order("91", ("CUP", 3), minute=20.1))
    assert len(patterns(ledger)) == 2
    take(ledger, 2, reason=MovementReason.ADJUSTMENT, reference="sold on web, 90")
    assert patterns(ledger) == 3 * [Pattern.DUPLICATE_DEDUCTION]


def test_what_the_command_prints(ledger: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    sell(ledger, "web", order("1", ("CUP", 2)), order("2", ("CUP", 60)))
    take(ledger, 4, reason=MovementReason.COUNT, place="west")
    with ledger.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO publication (listing_id, channel, sku, quantity, growth, status, inputs, policy_version, "
                "key, reason, sent_at) SELECT id, channel, sku, 5, 0, 'sent', '{\"slice\": 5, \"components\": {}}', "
                "'strict/2', 'k', '', now() FROM listing WHERE ref = 'CUP'"
            )
        )
    assert command_line.run(["explain", "mug"]) == 0
    shown = capsys.readouterr().out
    for part in (
        "= sellable",
        "order:web:2",
        "nowhere",
        "strict/2",
        "slice 5",
        "no verdict",
        "oversold",
        "asked for as mug",
    ):
        assert part in shown, part
    assert command_line.run(["explain", "CUP", "--json", "--last", "2"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["availability"]["on_hand"] == 52
    assert {one["policy_version"] for one in plain["publications"]} == {"strict/2"}
