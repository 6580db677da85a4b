"""`onhand rebuild`: the ledger is compared with itself, and mended only when asked."""

import json

import pytest
from ledger_stage import assert_sound, business, clear_outbox, dirty, order, rows, sell
from sqlalchemy import Engine, text

from inventory.ledger.rebuilding import Check, compare
from onhand import command_line


@pytest.fixture
def ledger(engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Engine:
    business(engine, stock_at={"A": {"main": 10}, "B": {"main": 5}})
    sell(engine, "web", order("1", ("A", 4)))
    monkeypatch.setenv("ONHAND_DATABASE_URL", database_url)
    return engine


def spoil(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_a_sound_ledger(ledger: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(["rebuild"]) == 0
    assert "agrees with itself" in capsys.readouterr().out


def test_differences_are_shown_and_left_alone_until_repair_is_asked_for(
    ledger: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(ledger, "UPDATE balance SET quantity = 9 WHERE sku = 'A' AND state = 'available'")
    spoil(ledger, "DELETE FROM balance WHERE sku = 'B' AND state = 'available'")
    spoil(ledger, "INSERT INTO balance VALUES ('B', 'main', 'damaged', 2)")
    clear_outbox(ledger)
    assert command_line.run(["rebuild", "--json"]) == 1
    found = [
        (one["sku"], one["state"], one["expected"], one["stored"])
        for one in json.loads(capsys.readouterr().out)["left"]
    ]
    assert found == [("A", "available", 6, 9), ("B", "available", 5, 0), ("B", "damaged", 0, 2)]
    assert command_line.run(["rebuild"]) == 1
    assert "--repair" in capsys.readouterr().out
    assert command_line.run(["rebuild", "--repair"]) == 0
    assert "rewritten" in capsys.readouterr().out
    assert_sound(ledger)
    assert dirty(ledger) == {"A", "B"}, "their listings are computed again"
    assert rows(ledger, "SELECT quantity FROM balance WHERE sku = 'A' AND state = 'available'") == [(6,)]


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("UPDATE reservation_line SET held = 3", Check.RESERVED),
        ("UPDATE reservation SET status = 'released'", Check.RESERVED),
        ("ALTER TABLE movement DISABLE TRIGGER movement_no_change", Check.GUARD),
        ("DROP TRIGGER movement_no_truncate ON movement", Check.GUARD),
    ],
)
def test_what_a_rebuild_cannot_mend_stays_a_difference(ledger: Engine, statement: str, check: Check) -> None:
    spoil(ledger, statement)
    with ledger.connect() as connection:
        assert [one.check for one in compare(connection)] == [check]
    assert command_line.run(["rebuild", "--repair"]) == 1


def test_a_journal_that_adds_up_to_less_than_nothing_is_no_balance(
    ledger: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = "sku, location, to_location, from_state, to_state, quantity, reason, source, actor, reference, event_key, occurred_at, recorded_at"  # noqa: E501
    spoil(
        ledger,
        f"INSERT INTO movement ({columns}) "
        "VALUES ('B', 'main', 'main', 'available', 'shipped', 99, 'shipment', '', '', '', 'forged', now(), now())",
    )
    assert command_line.run(["rebuild", "--repair"]) == 1
    said = capsys.readouterr()
    assert len(said.err.strip().splitlines()) == 1
    assert "nothing was changed" in said.err
    assert rows(ledger, "SELECT quantity FROM balance WHERE sku = 'B' AND state = 'available'") == [(5,)]


@pytest.mark.parametrize("command", [["rebuild"], ["explain", "A"]], ids=" ".join)
@pytest.mark.parametrize(
    "url", ["postgresql://me:s3cr3t@127.0.0.1:9/stock", "postgresql://postgres@127.0.0.1:9/other"], ids=["a", "b"]
)
def test_no_ledger_is_said_in_one_line(
    command: list[str], url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ONHAND_DATABASE_URL", url)
    assert command_line.run(command) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert "s3cr3t" not in said.err


@pytest.mark.parametrize("command", [["rebuild", "x"], ["explain"], ["explain", "A", "--last", "0"]], ids=" ".join)
def test_nonsense_is_answered_in_one_line(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(command) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
