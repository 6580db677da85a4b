"""Normalisation and the SKU map, against hand-made cases and the recorded trace."""

import csv
import gzip
import re
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.skus import NON_STOCK, How, Resolved, SkuMap, SkuMapError, fault_of, is_non_stock, normalise

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "online_retail"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded trace is not there: {DATA}")
SLICES = ("busiest_week.csv.gz", "two_ordinary_weeks.csv.gz")


def raw_codes(name: str) -> list[str]:
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as file:
        return [row["sku"] for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("85123a", "85123A"),
        ("47503J ", "47503J"),
        ("\u00a0\tab 1\n", "AB 1"),
        ("bank  charges", "BANK  CHARGES"),
        ("ＡＢ－１２３", "AB-123"),  # noqa: RUF001
        ("\u3000ab", "AB"),
        ("e\u0301t\u00e9", "ÉTÉ"),
        ("a²", "A²"),
        ("straße", "STRAßE"),
        ("ılk", "ıLK"),  # noqa: RUF001
        ("000123", "000123"),
    ],
)
def test_normal_form(raw: str, expected: str) -> None:
    assert normalise(raw) == expected


@given(st.text())
def test_normal_form_is_idempotent(raw: str) -> None:
    assert normalise(normalise(raw)) == normalise(raw)


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1))
def test_normal_form_of_plain_codes_is_only_upper_case(raw: str) -> None:
    assert normalise(f" {raw} ") == raw.upper()


def test_variant_letters_are_kept() -> None:
    assert len({normalise(code) for code in ("84997A", "84997b", "84997", "84997BL")}) == 4


def test_non_stock_is_a_list_in_normal_form() -> None:
    assert all(normalise(code) == code for code in NON_STOCK)
    assert all(map(is_non_stock, ("POST", "post", " m", "gift_0001_30", "23444", "BANK CHARGES")))
    assert not any(map(is_non_stock, ("DCGS0058", "SP1002", "PADS", "POSTER", "15056P", "gift_0001_31")))


def test_resolve_says_how() -> None:
    skus = SkuMap(["85123A", "PADS"], [("HEART-OLD", "85123a"), ("85123a", "PADS")])
    assert skus.resolve("85123A") == Resolved("85123A", How.EXACT)
    assert skus.resolve("HEART-OLD") == Resolved("85123A", How.ALIAS)
    assert skus.resolve("85123a") == Resolved("PADS", How.ALIAS), "an alias wins over the normal form"
    assert skus.resolve(" pads") == Resolved("PADS", How.NORMALISED)
    assert skus.resolve("heart-old") == Resolved(None, How.UNKNOWN), "aliases are matched as written"
    assert skus.resolve("dot ") == Resolved(None, How.NON_STOCK)
    for strange in (None, 85123, "", " ", ["85123A"], "85123", "85123AB"):
        assert skus.resolve(strange) == Resolved(None, How.UNKNOWN)


def test_a_seller_brings_an_own_non_stock_list() -> None:
    skus = SkuMap(["M", "S"], non_stock=["shipping"])
    assert skus.resolve("m").sku == "M"
    assert skus.resolve("SHIPPING").how is How.NON_STOCK


@pytest.mark.parametrize(
    ("skus", "aliases", "expected"),
    [
        (["A1", "a1 "], [], "skus row 2: 'a1 ' is the same SKU as row 1"),
        (["A1", ""], [], "skus row 2: '' is empty"),
        (["POST"], [], "skus row 1: 'POST' is on the non-stock list"),
        (["A1", "B\x001"], [], "skus row 2: 'B\\x001' contains an invisible character (U+0000)"),
        (["A1"], [("x\u200b", "A1")], "aliases row 1: alias 'x\\u200b' contains an invisible character (U+200B)"),
        (["A1"], [("  ", "A1")], "aliases row 1: alias '  ' is empty"),
        (["A1"], [("x", "")], "aliases row 1: SKU '' is empty"),
        (["A1"], [("x" * 65, "A1")], "is longer than 64 characters"),
        (["A1", "B1"], [("x", "A1"), ("x", "B1")], "aliases row 2: alias 'x' is already mapped in row 1"),
        (["A1", "B1"], [("A1", "B1")], "aliases row 1: alias 'A1' is itself a SKU"),
        (["A1"], [("x", "A2")], "aliases row 1: 'A2' is not a SKU"),
        (["A1"], [("x", "post")], "aliases row 1: 'post' is on the non-stock list"),
        (["A1"], [("x", "y"), ("y", "A1")], "aliases row 1: 'y' is an alias too: name the SKU itself"),
        (["A1"], [("x", "y"), ("y", "x")], "aliases row 2: alias 'y' leads in a circle: y → x → y"),
        (["A1"], [("x", "x")], "alias 'x' leads in a circle: x → x"),
    ],
)
def test_contradictions_are_named_by_row(skus: list[str], aliases: list[tuple[str, str]], expected: str) -> None:
    with pytest.raises(SkuMapError) as caught:
        SkuMap(skus, aliases)
    assert expected in str(caught.value)


def test_every_problem_is_reported_and_the_message_stays_short() -> None:
    with pytest.raises(SkuMapError) as caught:
        SkuMap(["A1"], [(f"x{i}", "gone") for i in range(9)])
    assert [p.row for p in caught.value.problems] == list(range(1, 10))
    assert str(caught.value).endswith("and 4 more")


@needs_data
def test_the_recorded_aliases_collapse() -> None:
    with (DATA / "sku_aliases.csv").open(encoding="utf-8", newline="") as file:
        groups = [(row["normalised"], row["seen_as"].split("|")) for row in csv.DictReader(file)]
    assert len(groups) == 174
    for normal, spellings in groups:
        assert len(spellings) > 1
        assert {normalise(spelling) for spelling in spellings} == {normal}
    goods = [normal for normal, _ in groups if normal not in NON_STOCK]
    assert len(goods) == 173, "one group is M and m, a manual entry"
    skus = SkuMap(goods)
    for normal, spellings in groups:
        for spelling in spellings:
            assert skus.resolve(spelling).sku == (None if normal == "M" else normal)


@needs_data
@pytest.mark.parametrize(("name", "families"), [("busiest_week.csv.gz", 94), ("two_ordinary_weeks.csv.gz", 213)])
def test_letter_variants_are_not_merged(name: str, families: int) -> None:
    """Counted a second way: by a pattern over the codes as they stand in the file."""
    by_family: defaultdict[str, set[str]] = defaultdict(set)
    for code in set(raw_codes(name)):
        if match := re.fullmatch(r"(\d{5})([A-Za-z]*)", code):
            by_family[match[1]].add(match[2].upper())
    variants = {family: letters for family, letters in by_family.items() if len(letters) > 1}
    assert len(variants) == families
    for family, letters in variants.items():
        assert {normalise(family + letter) for letter in letters} == {family + letter for letter in letters}


@needs_data
def test_odd_codes_of_the_trace_are_told_apart() -> None:
    codes = {code for name in SLICES for code in raw_codes(name)}
    with gzip.open(DATA / "zero_price_lines.csv.gz", "rt", encoding="utf-8", newline="") as file:
        zero_price = {row["sku"] for row in csv.DictReader(file)}
    assert not [code for code in codes | zero_price if fault_of(code)]
    odd = {code for code in codes | zero_price if not re.fullmatch(r"\d{5}[A-Za-z]*", code)}
    goods = {code for code in odd if not is_non_stock(code)}
    assert {"DCGS0058", "SP1002", "PADS", "DCGSSGIRL"} <= goods
    assert all(code.startswith("DCGS") for code in goods - {"SP1002", "PADS"})
    assert {"POST", "M", "DOT", "C2", "D", "S", "CRUK", "BANK CHARGES", "gift_0001_10"} <= odd - goods
