"""A seller's CSV: what spreadsheets make of a table, and what a broken transfer leaves of it."""

import os
from pathlib import Path

import pytest

from adapters.seller_csv import CsvError, read_csv

COLUMNS = ("sku", "location", "quantity")
HEAD = "sku,location,quantity\n"


def read(text: str) -> tuple[list[tuple[int, tuple[str, ...]]], list[tuple[int, str]]]:
    table = read_csv(text, required=COLUMNS, folder=Path())
    return [(row.number, tuple(row.cells[name] for name in COLUMNS)) for row in table.rows], [
        (bad.number, bad.reason) for bad in table.bad
    ]


def from_file(tmp_path: Path, content: bytes) -> tuple[int, list[str]]:
    (tmp_path / "stock.csv").write_bytes(content)
    table = read_csv("stock.csv", required=COLUMNS, folder=tmp_path)
    return len(table.rows), [f"{bad.number}: {bad.reason}" for bad in table.bad]


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "A,main,3\n",
        HEAD + "A,main,3",
        "\ufeff" + HEAD + "A,main,3\n",
        "SKU; Location ;QUANTITY\r\nA;main;3\r\n;;\r\n",
        "sku\tlocation\tquantity\rA\tmain\t3\r",
        'sku,location,quantity\n"A" , main,"3"\n\n'.replace('"A" ', '"A"'),
        "quantity,sku,location\n3,A,main\n",
    ],
)
def test_the_same_table_in_many_forms(text: str) -> None:
    assert read(text) == ([(2, ("A", "main", "3"))], [])


def test_a_bad_row_is_named_and_the_others_go_on() -> None:
    rows, bad = read(HEAD + 'A,main,1,000\nB,main,2\nC,main\n"D,main,4\nE\u200b,main,5\nF,main,6\n')
    assert [row[1][0] for row in rows] == ["B", "F"]
    assert [number for number, _ in bad] == [2, 4, 5, 6]
    reasons = dict(bad)
    assert "thousands separator" in reasons[2]
    assert "cut off" in reasons[4] and "quote" in reasons[5] and "invisible" in reasons[6]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        ("A,main,3\n", "no column sku"),
        ("sku,location,qty\nA,main,3\n", "unknown column 'qty'"),
        ("sku,location,quantity,sku\n", "twice"),
        ('"sku,location\n', "not closed"),
        ("missing.csv", "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_refused_as_a_whole(text: str, said: str) -> None:
    with pytest.raises(CsvError, match=said):
        read(text)


def test_bytes_of_another_encoding(tmp_path: Path) -> None:
    count, bad = from_file(tmp_path, HEAD.encode() + "Ä,main,1\n".encode("latin-1") + b"B,main,2\n")
    assert count == 1 and bad == ["2: is not UTF-8: save the file as 'CSV UTF-8'"]
    for encoding in ("utf-16", "utf-16-le"):
        with pytest.raises(CsvError, match="UTF-16"):
            from_file(tmp_path, (HEAD + "A,main,1\n").encode(encoding))


def test_a_file_that_was_cut_off(tmp_path: Path) -> None:
    whole = (HEAD + "A,main,10\nB,main,100\n").encode()
    assert from_file(tmp_path, whole) == (2, [])
    for cut in range(1, len("B,main,100\n") + 1):
        count, bad = from_file(tmp_path, whole[:-cut])
        assert count == 1
        assert len(bad) == (0 if cut == len("B,main,100\n") else 1)


def test_any_bytes_give_a_table_or_a_clear_refusal(tmp_path: Path) -> None:
    for seed in range(300):
        content = bytes((seed * 7919 + number * number * 31) % 256 for number in range(seed))
        for start in (b"", HEAD.encode()):
            try:
                from_file(tmp_path, start + content)
            except CsvError as error:
                assert str(error)


def test_a_path_leads_to_a_table_or_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("sku,quantity\nhidden,1\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "secret")
    (tmp_path / "round.csv").symlink_to(tmp_path / "round.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    nonsense = ("no\0name.csv", "\ud800.csv", "~nobody-here/a.csv", "x" * 5000 + ".csv", "gone.csv", "round.csv")
    for path in (*nonsense, "link.csv", "pipe.csv", "folder.csv"):
        with pytest.raises(CsvError, match=r"cannot be read|is no \.csv file"):
            read_csv(path, required=["sku", "quantity"], folder=tmp_path)
