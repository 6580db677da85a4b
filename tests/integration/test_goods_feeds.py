"""A supplier's feed from its file or address to the ledger: what is kept, what is blocked, what ages."""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from goods_stage import GoodsStage
from ledger_stage import START, balances, dirty, incidents, rows
from pydantic import SecretStr
from sqlalchemy import Engine

from adapters.http import ChannelFault
from adapters.suppliers.supplier_config import Supplier
from inventory import setup
from inventory.goods.expected_stock import promises, supplier_stock
from tasks.goods.supplier_feeds import FeedReport, pull_feed

SKUS = [f"S{number:02d}" for number in range(30)]


class Office(GoodsStage):
    """A supplier that drops `stock.csv`, with 30 articles of ours and as many others."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        super().__init__(engine)
        self.folder = folder
        with engine.begin() as connection:
            setup.add_items(connection, dict.fromkeys(SKUS, ""))
            setup.add_aliases(connection, {"ACME-100": "A"})

    def supplier(self, **changes: Any) -> Supplier:
        feed = {"format": "csv", "code": "Art", "quantity": "Stock", "promised_at": "Next", "delimiter": ";"}
        given: dict[str, Any] = {"code": "acme", "source": "stock.csv", "feed": feed | changes.pop("feed", {})}
        return Supplier.model_validate(given | changes)

    def drop(self, stock: dict[str, object], *, name: str = "stock.csv", others: int = 30, end: str = "\n") -> None:
        lines = ["Name;Art;Stock;Next", *(f"thing;{sku};{units};" for sku, units in stock.items())]
        lines += [f"other;X{number};7;" for number in range(others)]
        path = self.folder / name
        path.write_text("\n".join(lines) + end)
        self.touch(path)

    def touch(self, path: Path, at: datetime | None = None) -> None:
        stamp = (at or self.clock.at).timestamp()
        os.utime(path, (stamp, stamp))

    def pull(self, supplier: Supplier | None = None, **how: Any) -> FeedReport:
        return pull_feed(
            self.runtime,
            supplier or self.supplier(),
            folder=self.folder,
            secret=lambda name: SecretStr("s3cret-" + name),
            **how,
        )

    def said(self) -> dict[str, int]:
        return dict(
            rows(self.engine, "SELECT sku, quantity FROM supplier_stock WHERE supplier = 'acme' AND quantity > 0")
        )


@pytest.fixture
def office(engine: Engine, tmp_path: Path) -> Office:
    return Office(engine, tmp_path)


def test_what_a_feed_says_is_kept_and_never_sellable(office: Office) -> None:
    engine = office.engine
    stock: dict[str, object] = {sku: 5 for sku in SKUS} | {"a": "3;2026-11-20"}
    office.drop(stock)
    (office.folder / "stock.csv").write_text(
        (office.folder / "stock.csv").read_text().replace("2026-11-20;", "2026-11-20")
    )
    office.touch(office.folder / "stock.csv")
    first = office.pull()
    assert (first.status, first.rows, first.known, first.changed, first.held) == ("applied", 61, 31, 31, [])
    assert office.said() == dict.fromkeys(SKUS, 5) | {"A": 3}
    assert balances(engine, "A") == {"main available": 20} and dirty(engine) == set()
    assert office.pull().status == "unchanged"

    with engine.connect() as connection:
        (found,) = supplier_stock(connection, ["A"])
        assert (found.units, found.as_of, found.counts(START, timedelta(hours=1))) == (3, START, 3)
        assert found.counts(START + timedelta(hours=2), timedelta(hours=1)) == 0
        month = {"now": START, "by": START + timedelta(days=30)}
        assert promises(connection, ["A"], **month) == []
        (one,) = promises(connection, ["A"], **month, suppliers=["acme"])
        assert (one.units, one.source, one.by.date().isoformat()) == (3, "supplier:acme", "2026-11-20")

    office.clock.forward(3600)
    del stock["S00"], stock["a"]
    office.drop(stock | {"S01": 9, "S02": "many", "S03": -1, "S04": "", "ACME-100": 4})
    second = office.pull(office.supplier(sells_ahead=True))
    assert (second.status, second.changed) == ("applied", 3)
    assert {one["SKU"]: one["why"][-8:] for one in second.held} == {
        "S02": "SUP-002)", "S03": "SUP-003)", "S04": "SUP-002)",
    }  # fmt: skip
    assert office.said()["S02"] == 5, "the old number of a held row stays, with its age"
    assert "S00" not in office.said() and office.said()["A"] == 4
    assert dirty(engine) == {"S00", "S01", "A"}
    assert incidents(engine) == {("quarantined_rows", "supplier_feed/acme"): 1}


def test_a_feed_that_lost_something_changes_nothing(office: Office) -> None:
    engine = office.engine
    whole: dict[str, object] = dict.fromkeys(SKUS, 5)
    office.drop(whole)
    office.pull()
    wrong: list[tuple[dict[str, object], int, str]] = [
        ({sku: 5 for sku in SKUS[:5]}, 0, "SUP-102"),
        ({sku: 5 for sku in SKUS[:10]}, 50, "SUP-103"),
        (dict.fromkeys(SKUS, 0), 30, "SUP-104"),
        (dict.fromkeys(SKUS, 6), 30, "SUP-105"),
        (dict.fromkeys(SKUS, "5,0"), 30, "SUP-108"),
        ({}, 60, "nothing was judged"),
        ({}, 0, "nothing was judged"),
    ]
    for number, (stock, others, rule) in enumerate(wrong, start=1):
        office.clock.forward(60)
        office.drop(stock, others=others)
        report = office.pull()
        assert report.status == "blocked" and rule in report.why, rule
        assert office.said() == dict.fromkeys(SKUS, 5)
        assert incidents(engine)["batch_blocked", "supplier_feed/acme"] == number
    for age, rule in (
        (timedelta(hours=27), "SUP-106"),
        (-timedelta(hours=1), "SUP-106"),
        (timedelta(minutes=30), "SUP-107"),
    ):
        office.drop({**whole, "S00": 6})
        office.touch(office.folder / "stock.csv", office.clock.at - age)
        assert rule in office.pull().why
    office.drop(dict.fromkeys(SKUS, 0))
    assert office.pull(approved_by="Wanda").status == "applied"
    assert office.said() == {} and incidents(engine) == {}
    assert rows(engine, "SELECT approved_by FROM supplier_feed WHERE status = 'applied' ORDER BY id") == [
        ("",),
        ("Wanda",),
    ]
    office.drop({"S00": 1}, others=0)
    assert office.pull(office.supplier(whole=False)).status == "applied"
    assert office.said() == {"S00": 1}


def test_a_feed_that_is_not_there_or_not_readable_is_named(office: Office) -> None:
    engine, path = office.engine, office.folder / "stock.csv"
    assert "cannot be read" in office.pull().why
    for content, reason in (
        (b"", "it is empty"),
        ("Art;Stock;Next\nS00;5;\n".encode("utf-16-be"), "zero bytes"),
        (b"Art;Stock;Next\nS\xe4;5;\n", "is no utf-8"),
        (b"Art,Stock,Next\nS00,5,\n", "no column Art"),
        (b'Art;Stock;Next\nS00;"5;\n', "cut off"),
        (b"x" * 2000, "larger than max_bytes"),
    ):
        path.write_bytes(content)
        report = office.pull(office.supplier(max_bytes=1000))
        assert report.status == "failed" and reason in report.why, content[:20]
    assert incidents(engine) == {("supplier_feed", "acme"): 7}
    office.drop(dict.fromkeys(SKUS, 5))
    assert office.pull().status == "applied" and incidents(engine) == {}
    office.clock.forward(27 * 3600)
    assert "nothing new since" in office.pull().why
    assert incidents(engine) == {("supplier_feed", "acme"): 1}


def test_a_feed_by_https_with_a_credential(office: Office) -> None:
    asked: list[httpx.Request] = []
    feed = "Art;Stock;Next\nS00;5;\n"
    answers = [httpx.Response(200, text=feed), httpx.Response(200, text=feed),
               httpx.Response(302, headers={"location": "https://elsewhere.example"}), httpx.Response(401),
               httpx.Response(200, text="x" * 5000)]  # fmt: skip

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answers[len(asked) - 1]

    supplier = office.supplier(
        source="https://acme.example/stock?list=7", auth={"kind": "bearer", "token_env": "ACME"}, max_bytes=1000
    )
    how = {"transport": httpx.MockTransport(answer)}
    assert office.pull(supplier, **how).status == "applied"
    office.clock.forward(3600)
    assert office.pull(supplier, **how).status == "unchanged"
    assert asked[0].headers["authorization"] == "Bearer s3cret-ACME" and asked[0].url.query == b"list=7"
    for _ in range(3):
        with pytest.raises(ChannelFault) as raised:
            office.pull(supplier, **how)
        assert "s3cret" not in str(raised.value) and "list=7" not in str(raised.value)
    assert incidents(office.engine) == {("supplier_feed", "acme"): 3}


def test_a_feed_whose_date_nobody_can_read_is_never_applied(office: Office) -> None:
    """An approval cannot say when its numbers were true."""
    supplier = office.supplier(feed={"as_of": "When"})
    (office.folder / "stock.csv").write_text("Art;Stock;Next;When\nS01;5;;soon\nS02;6;;soon\n")
    for _ in range(2):
        report = office.pull(supplier, approved_by="Wanda")
        assert (report.status, office.said()) == ("blocked", {})
        assert report.why
