"""`onhand audit`: exports as channels write them, what they say of one stock, and what becomes of nonsense."""

import gzip
import json
from pathlib import Path

import pytest

from adapters.export_csv import ExportError, read_export
from inventory.onboarding.readiness import Offered, compare_exports
from onhand.command_line import run
from tasks.onboarding.readiness_check import check
from tasks.onboarding.readiness_page import as_plain, audit_page, gap_bars, sections

SHOPIFY = """Handle,Title,Option1 Name,SKU,Location,Available (not editable),On hand (current)
lamp,"Lamp, ""large""
second line",Size,LAMP-1,Main,4,5
lamp,Lamp,Size,LAMP-1,Outlet,3,3
mug,Mug,Size,mug-2,Main,9,9
vase,Vase,Size,VASE,Main,not stocked,
box,Box,Size,,Main,5,5
,,,,,,
odd,Odd,Size,ODD,Main,many,1
only,Only,Size,ONLY_1,Main,1,1
"""
AMAZON = (
    'item-name\tseller-sku\tprice\tquantity\tfulfillment-channel\n'
    'Caf\xe9 13" lamp\tLAMP-1\t9.99\t0\tDEFAULT\n'
    "Mug\tMUG-2 \t3\t1,009\tDEFAULT\nMug\tMUG-2\t3\t9\tDEFAULT\n"
    "Of theirs\tFBA-1\t3\t\tAMAZON_EU\nBelow\tBELOW\t3\t-2\tDEFAULT\nOnly\tONLY1\t1\t1\tDEFAULT\n"
    "Post\tPOST\t1\t1\tDEFAULT\n"
)  # fmt: skip
ORDERS = "ts,order_id,line,sku,qty,is_cancellation\n" + "".join(
    f"2026-11-02 09:{minute:02d}:00,{minute},1,LAMP-1,1,False\n" for minute in range(12)
) + "2026-11-02 10:00:00,C1,1,LAMP-1,-1,True\n"  # fmt: skip
NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    shopify, amazon, orders = tmp_path / "inventory.csv", tmp_path / "active.txt", tmp_path / "orders.csv"
    shopify.write_text(SHOPIFY, encoding="utf-8-sig")
    amazon.write_bytes(AMAZON.replace("\n", "\r\n").encode("cp1252"))
    orders.write_text(ORDERS)
    return {"shopify": shopify, "amazon": amazon, "orders": orders}


def test_each_vendors_export_is_read_as_it_comes(files: dict[str, Path], tmp_path: Path) -> None:
    shopify, amazon = read_export(files["shopify"]), read_export(files["amazon"])
    assert (shopify.sku_heading, shopify.quantity_heading) == ("SKU", "Available (not editable)")
    assert [(row.sku, row.quantity, row.location) for row in shopify.rows][:2] == [
        ("LAMP-1", 4, "Main"), ("LAMP-1", 3, "Outlet")
    ]  # fmt: skip
    assert (shopify.not_stocked, shopify.without_sku) == (1, [7])
    assert [(one.number, one.reason) for one in shopify.bad] == [
        (9, "Available (not editable) is no whole number: 'many'")
    ]
    assert [row.quantity for row in amazon.rows] == [0, 1009, 9, -2, 1, 1] and amazon.fulfilled_by_channel == 1
    ebay = tmp_path / "ebay.csv.gz"
    ebay.write_bytes(
        gzip.compress(
            "#INFO,Version=1.0\nItem number;Title;Custom label (SKU);Available quantity\n1;x;A;2\n1;x\n".encode(
                "utf-16"
            )
        )
    )
    found = read_export(ebay)
    assert [(row.number, row.sku, row.quantity) for row in found.rows] == [(3, "A", 2)]
    assert [one.reason for one in found.bad] == ["has 2 cells, the heading 4"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"name,price\nx,1\n", "has no heading"),
        (b"PK\x03\x04\0\0\0", "is no text"),
        (b"\x1f\x8bdamaged", "damaged"),
    ],
)
def test_a_file_of_no_use_is_refused_in_one_line(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=why):
        read_export(path)


@pytest.mark.parametrize("quantity", ["1.5", "1e3", "٣", "99999999999999", "--1", "1.234", "0x1", '"1'])
def test_a_number_that_is_none_holds_back_its_row(tmp_path: Path, quantity: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"sku,qty\nGOOD,1\nBAD,{quantity}\n")
    found = read_export(path)
    assert [row.sku for row in found.rows] == ["GOOD"] and [one.number for one in found.bad] == [3]


def test_what_two_channels_say_of_one_stock(files: dict[str, Path]) -> None:
    found = check({"shopify": files["shopify"], "amazon": files["amazon"]}, files["orders"], lag=3600)
    compared = found.compared
    assert [(one.sku, one.gap, one.twice) for one in compared.different] == [("MUG-2", 1000, 9), ("LAMP-1", 7, 0)]
    assert [one.sku for one in compared.sold_out_somewhere] == ["LAMP-1"]
    assert compared.spelled == [("MUG-2", {"shopify": "mug-2", "amazon": "MUG-2 "})]
    assert [(one.rows, one.quantities) for one in compared.duplicates] == [((3, 4), (1009, 9))]
    assert compared.negative == [("amazon", "BELOW", -2)] and compared.no_goods == [("amazon", "POST")]
    assert compared.alone == {"shopify": ["ONLY_1"], "amazon": ["BELOW", "ONLY1"]}
    assert compared.perhaps == [("shopify", "ONLY_1", "amazon", "ONLY1")]
    assert found.trade is not None and found.trade.replayed == 12
    mirror, strict = (found.trade.tallies[name] for name in ("mirror", "strict"))
    # Seven there, twelve wanted within the lag: mirror sells what the other channel has sold, strict nothing.
    assert mirror.oversold_lines > 0 == strict.oversold_lines
    assert found.trade.worst[0].sku == "LAMP-1" and found.is_bottleneck
    assert sections(found)[0].key == "sold-out" and "LAMP-1" in found.steps[0]
    plain = json.loads(json.dumps(as_plain(found)))
    assert plain["counts"]["different"] == 2 and plain["orders"]["policies"]["strict"]["oversold_lines"] == 0
    weeks = check({"shopify": files["shopify"], "amazon": files["amazon"]}, files["orders"], lag=1, cover_weeks=9).trade
    assert weeks is not None and weeks.tallies["mirror"].oversold_lines == 0


def test_agreement_is_no_trouble_and_nothing_to_draw(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("sku,qty\nX,3\n")
    found = check({"a": tmp_path / "a", "b": tmp_path / "b"})
    assert not found.signs and not found.is_bottleneck and gap_bars(found) == ""
    assert found.compared.promised_twice == 3 and [one.state.word for one in sections(found)] == ["fine", "fine"]


def test_what_a_file_says_stays_text_in_the_page(tmp_path: Path) -> None:
    for name, quantity in (("a", 3), ("b", 4)):
        (tmp_path / name).write_text(f"sku,qty\n{NASTY},{quantity}\nX,{NASTY}\n")
    page = audit_page(check({NASTY: tmp_path / "a", "b": tmp_path / "b"}))
    assert "<img" not in page and "&lt;img" in page.lower() and page.count("<svg") == 1


def test_the_command_says_writes_and_exits(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ["--export", f"shopify={files['shopify']}", "--export", f"amazon={files['amazon']}"]
    html, plain = tmp_path / "audit.html", tmp_path / "audit.json"
    assert run(["audit", *both, "--orders", str(files["orders"]), "--html", str(html), "--json", str(plain)]) == 1
    said = capsys.readouterr().out
    assert "What to do first" in said and "LAMP-1" in said and "\x1b" not in said
    assert html.read_text().startswith("<!doctype html>") and json.loads(plain.read_text())["bottleneck"] is True
    for nonsense in (
        both[:2],
        [*both, *both[:2]],
        ["--export", "nothing", *both],
        [*both, "--lag", "-1"],
        [*both, "--lag", "nan"],
        [*both, "--cover-weeks", "0"],
        [*both, "--html", str(tmp_path / "no" / "x.html")],
        ["--export", f"c={tmp_path / 'absent.csv'}", *both],
        [*both, "--orders", str(files["amazon"])],
    ):
        assert run(["audit", *nonsense]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_rows_at_two_locations_are_one_listing_and_at_one_are_two() -> None:
    found = compare_exports({"a": [Offered(2, "X", 1, "m"), Offered(3, "X", 2, "o")], "b": [Offered(2, "x", 3)]})
    assert not found.duplicates and not found.different and found.most_shown == {"X": 3}
