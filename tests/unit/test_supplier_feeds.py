"""Suppliers' feeds: what their three formats become, what is refused, and that a damaged one never lies."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.suppliers.feed_content import LONGEST_CELL, FeedContent, FeedError, FeedRow
from adapters.suppliers.feed_source import instant_of, quantity_text, read_feed
from adapters.suppliers.supplier_config import (
    CsvShape,
    JsonShape,
    Supplier,
    SupplierFileError,
    XmlShape,
    read_suppliers,
)

CSV = CsvShape(format="csv", code="art", quantity="stock", promised_at="next")
JSON = JsonShape.model_validate(
    {
        "format": "json",
        "records": "items",
        "code": "art",
        "quantity": "stock.free",
        "promised_at": "next",
        "as_of": "at",
    }
)
XML = XmlShape(
    format="xml", records="feed/items/item", code="@art", quantity="stock/@free", promised_at="next", as_of="feed/@at"
)
SHAPES = (CSV, JSON, XML)
Rows = list[tuple[str, str, str]]
quickly = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def written(shape: CsvShape | JsonShape | XmlShape, rows: Rows) -> bytes:
    if isinstance(shape, CsvShape):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [("name", "art", "stock", "next"), *(("x", *row) for row in rows)]
        )
        return text.getvalue().encode()
    if isinstance(shape, JsonShape):
        items = [{"art": code, "stock": {"free": units}, "next": next_} for code, units, next_ in rows]
        return json.dumps({"at": "2026-11-20", "items": items}).encode()
    items_xml = "".join(
        f"<item art={quoteattr(code)}><stock free={quoteattr(units)}/><next>{escape(next_)}</next></item>"
        for code, units, next_ in rows
    )
    return f'<feed at="2026-11-20"><items>{items_xml}</items></feed>'.encode()


def cells(content: FeedContent) -> Rows:
    return [(row.code, row.quantity, row.promised) for row in content.rows]


letters = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
rows_ = st.lists(st.tuples(letters, st.integers(0, 10**6).map(str), st.sampled_from(["", "2026-12-01"])), min_size=1,
                 max_size=5)  # fmt: skip


@quickly
@given(rows_)
def test_the_three_formats_say_the_same(rows: Rows) -> None:
    for shape in SHAPES:
        content = read_feed(written(shape, rows), shape)
        assert cells(content) == rows and content.unread == []


@quickly
@given(rows_, st.data())
def test_a_feed_that_was_cut_off_says_nothing_wrong(rows: Rows, data: st.DataObject) -> None:
    for shape in SHAPES:
        whole = written(shape, rows)
        cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
        try:
            found = cells(read_feed(cut, shape))
        except FeedError:
            continue
        assert shape is CSV and found == rows[: len(found)] and len(found) < len(rows) + (cut + b"\n" == whole)


@quickly
@given(st.binary(max_size=60), rows_, st.data())
def test_damaged_bytes_raise_nothing_but_a_feed_error(junk: bytes, rows: Rows, data: st.DataObject) -> None:
    for shape in SHAPES:
        whole = written(shape, rows)
        at = data.draw(st.integers(0, len(whole)))
        for content in (junk, whole[:at] + junk + whole[at:]):
            try:
                assert isinstance(read_feed(content, shape), FeedContent)
            except FeedError as error:
                assert str(error) and len(str(error)) < 300


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    + ']><feed><items><item art="&a11;"><stock free="1"/></item></items></feed>'
)
OUTSIDE = '<!DOCTYPE feed [<!ENTITY x SYSTEM "file:///etc/hostname">]><feed><items><item art="&x;"/></items></feed>'
BAD_XML = {
    LAUGHS: "document type",
    OUTSIDE: "document type",
    '<!DOCTYPE feed SYSTEM "http://127.0.0.1:9/feed.dtd"><feed/>': "document type",
    "<feed><items>" + "<a>" * 100: "nested more than 32",
    "<feed><items><item art='&x;'/></items></feed>": "line 1 is no XML",
    "<feed/>": "no element feed/items/item",
    "<feed></fed>": "line 1 is no XML",
    '<?xml version="1.0" encoding="klingon"?><feed/>': "encoding",
    '<?xml version="1.0" encoding="big5"?><feed/>': "encoding",
    "<html><body>maintenance": "cut off",
    " ": "empty",
}


@pytest.mark.parametrize("content", BAD_XML, ids=lambda content: content[:30])
def test_xml_is_read_safely(content: str) -> None:
    with pytest.raises(FeedError, match=BAD_XML[content]):
        read_feed(content.encode(), XML)


def test_xml_may_have_namespaces_any_simple_encoding_and_values_that_come_twice() -> None:
    text = '<?xml version="1.0" encoding="{}"?><f:feed xmlns:f="urn:f" at="2026-11-20"><items><item art="Ä">'
    text += '<stock free="1"/></item><item art="B"><stock free="1"/><stock free="2"/></item></items></f:feed>'
    for encoding in ("windows-1252", "utf-8", "utf-16"):
        content = read_feed(text.format(encoding).encode(encoding), XML)
        assert (cells(content), content.as_of) == ([("Ä", "1", "")], "2026-11-20")
        assert [(one.number, one.reason[:34]) for one in content.unread] == [(2, "stock/@free is no plain value, or ")]


BAD_JSON = {
    "": "empty", '{"items": [{"art": "A"': "cut off", "[1, 2": "cut off", "{'items': []}": "line 1 is no JSON",
    "[]": "items is no list", '{"items": {}}': "items is no list", "[" * 100_000: "nested too deep",
    '{"items": [' + "9" * 5000 + "]}": "",
}  # fmt: skip


@pytest.mark.parametrize("content", BAD_JSON, ids=lambda content: content[:30])
def test_json_that_is_none_or_another(content: str) -> None:
    if BAD_JSON[content]:
        with pytest.raises(FeedError, match=BAD_JSON[content]):
            read_feed(content.encode(), JSON)
    else:
        assert [one.reason for one in read_feed(content.encode(), JSON).unread] == ["is no record"]


def test_values_of_json_are_taken_as_they_are_written() -> None:
    items = '{"art": 12, "stock": {"free": 5.0}}, {"art": "B", "stock": {"free": 1e9}}'
    items += ', {"art": "C", "stock": {"free": true}}'
    items += ', {"art": "", "stock": {"free": 1}}, {"art": "D"}, 7, {"art": ["E"], "stock": {"free": 1}}'
    items += f', {{"art": "{"x" * (LONGEST_CELL + 1)}", "stock": {{"free": NaN}}}}'
    content = read_feed(f'{{"items": [{items}]}}'.encode(), JSON)
    assert cells(content) == [("12", "5.0", ""), ("B", "1e9", ""), ("D", "", "")]
    assert [one.number for one in content.unread] == [3, 4, 6, 7, 8]


def test_csv_as_suppliers_write_it() -> None:
    shape = CSV.model_copy(update={"delimiter": ";", "encoding": "windows-1252", "last_line_ends": False})
    text = 'art;"the\nname";stock;next\r\n Ä ; x ; 5 ;\r\n\r\n;x;1;\r\nB;x;1\r\nC;"y;\nz";7;2026-12-01'
    content = read_feed(text.encode("windows-1252"), shape)
    assert content.rows == [FeedRow(3, "Ä", "5", ""), FeedRow(7, "C", "7", "2026-12-01")]
    assert [(one.number, one.reason[:20]) for one in content.unread] == [
        (5, "art is empty"),
        (6, "has 3 of 4 cells: cu"),
    ]
    cut = read_feed(b"art,stock,next\nA,1,\nB,100,2026", CSV)
    assert (cells(cut), [one.number for one in cut.unread]) == ([("A", "1", "")], [3])
    for content_, why in (
        ("art,stock\n", "no column next"), ("art,stock,next,art\n", "column art twice"), ("\n \n", "empty"),
        ('art,stock,next\nA,"1,\n', "cut off"), ('art,stock,next\n"A"x,1,\n', "no CSV"), ("a\x00b", "zero bytes"),
    ):  # fmt: skip
        with pytest.raises(FeedError, match=why):
            read_feed(content_.encode(), CSV)


SUPPLIER: dict[str, Any] = {
    "code": "acme", "source": "stock.csv", "feed": {"format": "csv", "code": "art", "quantity": "stock"},
}  # fmt: skip


def test_quantities_and_dates_in_the_suppliers_own_way() -> None:
    own = Supplier.model_validate(
        SUPPLIER | {"words": {"In Stock": 10, ">100": 100}, "decimals": "comma", "time_zone": "Europe/Berlin",
                    "date_format": "%d.%m.%Y"}
    )  # fmt: skip
    texts = ("IN STOCK", ">100", "12,0", "12,5", "1,000", "12", "12.0", ",0")
    assert [quantity_text(one, own) for one in texts] == ["10", "100", "12", "12,5", "1", "12", "12.0", ""]
    assert instant_of("01.12.2026", own) == datetime(2026, 12, 1, 22, 59, 59, tzinfo=UTC)
    assert instant_of("01.12.2026", own, end_of_day=False) == datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
    plain = Supplier.model_validate(SUPPLIER)
    assert quantity_text("12,0", plain) == "12,0"
    assert instant_of("2026-12-01T10:00:00+02:00", plain) == datetime(2026, 12, 1, 8, tzinfo=UTC)
    for nonsense in ("soon", "", "2026-02-30", "0001-01-01", "9999-12-31", "2026-12-01T99:00"):
        assert instant_of(nonsense, own) is None or nonsense[:4] in ("0001", "9999")


MISTAKES = [
    ('code = "acme"', "supplier.0.source: is missing"),
    ('source = "http://acme.example/x"', "must begin with https://"),
    ('source = "https://user:pw@acme.example/x"', "write them into auth"),
    ('source = "ftp://acme.example/x"', "must begin with https://"),
    ('source = "a.csv"\nauth = { kind = "bearer", token_env = "T" }', "a file needs none"),
    ('source = "a.csv"\nmax_age_hours = 0', "max_age_hours"),
    ('source = "a.csv"\nwords = { x = -1 }', "whole number from 0"),
    ('source = "a.csv"\ntime_zone = "Mars/Base"', "is no time zone"),
    ('source = "a.csv"\nmax_ages = 1', "did you mean 'max_age_hours'"),
    ('source = "a.csv"\nfeed = { format = "yaml" }', "format"),
    ('source = "a.csv"\nfeed = { format = "csv", code = "a", quantity = "q", encoding = "klingon" }', "no encoding of"),
    ('source = "a.csv"\nfeed = { format = "csv", code = "a", quantity = "q", encoding = "base64" }', "no encoding of"),
    ('source = "a.csv"\nfeed = { format = "json", code = "a[", quantity = "q" }', "feed.json.code"),
    ('source = "a.csv"\nfeed = { format = "xml", records = "a//b", code = "c", quantity = "q" }', "records"),
    ('source = "a.csv"\nchange_share = 2', "changed_share"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "said"), MISTAKES, ids=[said[:20] for _, said in MISTAKES])
def test_a_mistake_in_the_file_is_told_in_one_line(tmp_path: Path, lines: str, said: str) -> None:
    path = tmp_path / "suppliers.toml"
    feed = "" if "feed =" in lines else 'feed = { format = "csv", code = "a", quantity = "q" }\n'
    code = "" if "code = " in lines.partition("\n")[0] else 'code = "acme"\n'
    path.write_text(f"[[supplier]]\n{code}{lines}\n{feed}")
    with pytest.raises(SupplierFileError) as raised:
        read_suppliers(path)
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_the_file_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "suppliers.toml"
    assert read_suppliers(path) == {}
    one = '[[supplier]]\ncode = "acme"\nsource = "a.csv"\nfeed = { format = "csv", code = "a", quantity = "q" }\n'
    for content, said in (
        ("x = [", "not valid TOML"),
        (one * 2, "two suppliers"),
        ("[supplier]\n", "supplier"),
        ("[shop]\n", "'shop'"),
    ):
        path.write_text(content)
        with pytest.raises(SupplierFileError, match=said):
            read_suppliers(path)
    example = Path(__file__).resolve().parents[2] / "docs" / "suppliers.example.toml"
    assert set(read_suppliers(example)) == {"acme", "globex", "initech"}
