"""The order file reader: bad files, bad rows, cancellations, days and documents."""

import csv
import gzip
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.sandbox import order_csv
from adapters.sandbox.trace import Trace, TraceError, TraceLine, read_trace, to_documents
from inventory.skus import is_non_stock

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "online_retail"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded trace is not there: {DATA}")
SLICES = ("busiest_week.csv.gz", "two_ordinary_weeks.csv.gz")
HEADER = "ts,order_id,line,sku,qty,unit_price,customer,country,is_cancellation\n"
GOOD = "2011-11-11 08:19:00,A,1,85123a,6,2.5,77,Germany,False\n"


def trace_of(tmp_path: Path, content: str | bytes) -> Trace:
    path = tmp_path / "orders.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_trace(path)


def reasons(trace: Trace) -> list[tuple[int, str]]:
    return [(row.line_number, row.reason) for row in trace.bad_rows]


def test_one_line(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, HEADER + GOOD)
    (order,) = trace.orders
    assert order.order_id == "A"
    assert order.placed_at == datetime(2011, 11, 11, 8, 19, tzinfo=UTC)
    assert order.lines == (TraceLine(1, "85123A", 6),)
    assert not trace.bad_rows


def test_the_customer_does_not_leave_the_reader(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, HEADER + GOOD.replace(",77,", ",Ann@Shop.example,"))
    assert "shop.example" not in repr(trace).casefold()
    assert trace.orders[0].customer == order_csv.customer_key("ann@shop.example ")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2011-11-11 08:19:00,B,1,X1,6", "has 5 fields, the header has 9"),
        ("2011-11-11 08:19:00,,1,X1,6,1,0,UK,False", "order_id is missing"),
        ("2011-11-11 08:19:00,B,1, ,6,1,0,UK,False", "sku is missing"),
        ("11/11/2011,B,1,X1,6,1,0,UK,False", "ts is not a date and time (ISO 8601)"),
        ("0001-01-01T00:00:00+14:00,B,1,X1,6,1,0,UK,False", "ts is not a date and time (ISO 8601)"),
        ("2011-11-11 08:19:00,B,one,X1,6,1,0,UK,False", "line is not a whole number"),
        ("2011-11-11 08:19:00,B,1,X1,six,1,0,UK,False", "qty is not a whole number"),
        ("2011-11-11 08:19:00,B,1,X1,1.5,1,0,UK,False", "qty is not a whole number"),
        ("2011-11-11 08:19:00,B,1,X1,NaN,1,0,UK,False", "qty is not a whole number"),
        ("2011-11-11 08:19:00,B,1,X1,0,1,0,UK,False", "qty is zero"),
        ("2011-11-11 08:19:00,B,1,X1,-6,1,0,UK,False", "qty is negative on a sale"),
        ("2011-11-11 08:19:00,B,1,X1,-6,0,77,UK,False", "qty is negative on a sale"),
        ("2011-11-11 08:19:00,B,1,X1,100001,1,0,UK,False", "qty is absurd, above 100,000"),
        ("2011-11-11 08:19:00,B,1,X1,6,free,0,UK,False", "unit_price is not a number"),
        ("2011-11-11 08:19:00,B,1,X1,6,1,0,UK,maybe", "is_cancellation is neither true nor false"),
        ("2011-11-11 08:19:00,B,1,X\x001,6,1,0,UK,False", "sku contains an invisible character (U+0000)"),
        (f"2011-11-11 08:19:00,B,1,{'X' * 65},6,1,0,UK,False", "sku is longer than 64 characters"),
        ('2011-11-11 08:19:00,B,1,"X1,6,1,0,UK,False', "a quotation mark is not closed"),
        (f"2011-11-11 08:19:00,B,1,X1,6,1,0,{'U' * 10_001},False", "is longer than 10000 characters"),
        (HEADER.rstrip(), "is the header again"),
        ("2011-11-11 09:00:00,A,1,X9,1,1,0,UK,False", "the same order and line came before"),
    ],
)
def test_a_bad_row_is_named_and_the_rest_goes_on(tmp_path: Path, row: str, reason: str) -> None:
    trace = trace_of(tmp_path, HEADER + GOOD + row + "\n" + GOOD.replace(",A,1,", ",A,2,"))
    assert reasons(trace) == [(3, reason)]
    assert [line.line for line in trace.orders[0].lines] == [1, 2]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "ignore"))))
def test_any_nonsense_is_named(tmp_path: Path, nonsense: bytes) -> None:
    """As a file of its own, packed, cut off, and behind good rows."""
    good = (HEADER + GOOD).encode()
    packed = gzip.compress(good + nonsense)
    for content in (nonsense, packed[: len(packed) * 2 // 3], packed + nonsense):
        try:
            trace_of(tmp_path, content)
        except TraceError as error:
            assert "\n" not in str(error).replace(str(tmp_path), "")
    lines = [line for line in nonsense.replace(b"\r\n", b"\n").split(b"\n") if line.decode("utf-8", "ignore").strip()]
    trace = trace_of(tmp_path, good + nonsense)
    assert trace.orders[0].lines == (TraceLine(1, "85123A", 6),)
    assert len(trace.bad_rows) <= len(lines) + nonsense.count(b"\n") + 1


def test_equal_rows_with_other_line_numbers_are_real(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, HEADER + GOOD + GOOD.replace(",A,1,", ",A,2,"))
    assert [line.quantity for line in trace.orders[0].lines] == [6, 6]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path, encoding: str) -> None:
    trace = trace_of(tmp_path, (HEADER + GOOD).replace("\n", "\r\n").encode(encoding))
    assert len(trace.orders) == 1
    assert not trace.bad_rows


def test_another_encoding_spoils_only_the_rows_that_need_it(tmp_path: Path) -> None:
    rows = HEADER + GOOD.replace("Germany", "España") + GOOD.replace(",A,1,85123a", ",A,2,Café")
    trace = trace_of(tmp_path, rows.encode("latin-1"))
    assert len(trace.orders[0].lines) == 1
    assert reasons(trace) == [(3, "sku is not UTF-8")]


def test_optional_columns_may_be_absent_and_the_order_is_free(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "Qty,sku,LINE,order_id,ts,is_cancellation,note\n6.0,X1,1,A,2011-11-11T08:19:00Z,no,hi\n")
    assert trace.orders[0].lines == (TraceLine(1, "X1", 6),)
    assert trace.orders[0].customer is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (HEADER, "has no usable order line"),
        (HEADER + "x,y\n", "has no usable order line; line 2: has 2 fields, the header has 9"),
        ("ts,order_id,line\n", "has no column sku, qty, is_cancellation"),
        (HEADER.replace("country", "sku") + GOOD, "has the column sku more than once"),
        ('ts,"order_id\n', "has a header that cannot be read"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "has no column ts"),
        (b"\x1f\x8b\x08nonsense", "is damaged"),
    ],
)
def test_a_file_without_use_is_one_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(TraceError) as caught:
        trace_of(tmp_path, content)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"cannot read .*: No such file"):
        read_trace(tmp_path / "none.csv")
    with pytest.raises(TraceError, match="cannot read"):
        read_trace(tmp_path)


def test_a_file_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_csv, "MAX_FILE_BYTES", 1 << 20)
    with pytest.raises(TraceError, match="holds more than 1 MiB"):
        trace_of(tmp_path, gzip.compress(b"0" * (4 << 20)))
    with pytest.raises(TraceError, match="holds more than 1 MiB"):
        trace_of(tmp_path, b"0" * (2 << 20))


def test_a_truncated_gzip_gives_what_came_before(tmp_path: Path) -> None:
    rows = HEADER + "".join(GOOD.replace(",A,1,", f",A,{n},") for n in range(1, 4001))
    packed = gzip.compress(rows.encode())
    trace = trace_of(tmp_path, packed[: len(packed) // 2])
    (order,) = trace.orders
    assert 500 < len(order.lines) < 4000
    assert [line.line for line in order.lines] == list(range(1, len(order.lines) + 1))
    assert reasons(trace) == [(len(order.lines) + 2, "the gzip file ends early or is damaged from here on")]


def test_gzip_members_are_joined(tmp_path: Path) -> None:
    content = gzip.compress(HEADER.encode()) + gzip.compress(GOOD.encode())
    assert len(trace_of(tmp_path, content).orders) == 1


def test_lines_without_price(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path,
        HEADER
        + "2011-11-11 08:19:00,A,1,X1,6,0,77,UK,False\n"
        + "2011-11-11 08:20:00,B,1,X2,5,0.00,0,UK,False\n"
        + "2011-11-11 08:21:00,C,1,X3,-4,0,,UK,False\n",
    )
    assert [order.order_id for order in trace.orders] == ["A"], "a gift leaves the shelf"
    assert [(a.sku, a.quantity) for a in trace.adjustments] == [("X2", 5), ("X3", -4)]


CANCELS = """\
2011-11-11 08:00:00,A,1,X1,6,1,77,UK,False
2011-11-11 09:00:00,B,1,X1,4,1,77,UK,False
2011-11-11 09:00:00,B,2,X1,1,1,78,UK,False
2011-11-11 12:00:00,D,1,X1,9,1,77,UK,False
2011-11-11 10:00:00,C1,1,X1,-7,1,77,UK,True
2011-11-11 11:00:00,C2,1,x1,-5,1,77,UK,True
2011-11-11 11:00:00,C3,1,X1,-1,1,0,UK,True
"""


def test_cancellations_go_to_the_latest_earlier_sales_with_units_left(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, HEADER + CANCELS)
    assert [(c.cancellation_id, c.quantity, c.matched) for c in trace.cancellations] == [
        ("C1:1:1", 4, ("B", 1)),
        ("C1:1:2", 3, ("A", 1)),
        ("C2:1:1", 3, ("A", 1)),
        ("C2:1:2", 2, None),
        ("C3:1:1", 1, None),
    ]


def test_a_cancellation_with_the_number_of_its_order(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, HEADER + CANCELS + "2011-11-11 13:00:00,B,2,X1,2,1,0,UK,yes\n")
    assert [(c.quantity, c.matched) for c in trace.cancellations[-2:]] == [(1, ("B", 2)), (1, None)]


def test_days(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, HEADER + GOOD + GOOD.replace("11-11 08", "11-13 23").replace(",A,", ",B,"))
    assert trace.trading_days() == [date(2011, 11, 11), date(2011, 11, 13)]
    assert [o.order_id for o in trace.day(2).orders] == ["B"]
    assert trace.day(date(2011, 11, 11)).orders == trace.day(1).orders
    for wrong in (0, 3, -1, date(2011, 11, 12)):
        with pytest.raises(TraceError, match="trading days"):
            trace.day(wrong)


def test_the_zone_gives_the_day(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + GOOD.replace("2011-11-11 08:19:00", "2011-11-11T23:30:00Z"))
    assert read_trace(path, ZoneInfo("Asia/Kolkata")).trading_days() == [date(2011, 11, 12)]


def test_documents(tmp_path: Path) -> None:
    documents = to_documents(trace_of(tmp_path, HEADER + CANCELS), "shop")
    assert [d["order_id"] for d in documents] == ["A", "B", "D"]
    a = documents[0]
    assert a["cancelled"] is True
    assert a["placed_at"] == "2011-11-11T08:00:00+00:00"
    assert a["updated_at"] == "2011-11-11T11:00:00+00:00"
    assert a["lines"] == [{"line_id": "A:1", "listing_ref": "shop:X1", "sku": "X1", "quantity": 6}]
    assert [(r["reversal_id"], r["line_id"], r["quantity"], r["kind"]) for r in a["reversals"]] == [
        ("C1:1:2", "A:1", 3, "cancellation"),
        ("C2:1:1", "A:1", 3, "cancellation"),
    ]
    assert documents[1]["cancelled"] is False
    assert documents[2]["reversals"] == []


@needs_data
@pytest.mark.parametrize("name", SLICES)
def test_the_recorded_slices(name: str) -> None:
    """Against counts made here by the plainest means."""
    trace = read_trace(DATA / name)
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    sales = [r for r in rows if r["is_cancellation"] == "False" and (float(r["unit_price"]) or r["customer"] != "0")]
    cancels = [r for r in rows if r["is_cancellation"] == "True"]
    assert not trace.bad_rows
    assert len(sales) + len(cancels) + len(trace.adjustments) == len(rows)
    assert len(trace.orders) == len({r["order_id"] for r in sales})
    assert sum(len(order.lines) for order in trace.orders) == len(sales)
    expected: Counter[str] = Counter()
    for r in sales:
        expected[r["sku"].strip().upper()] += int(r["qty"])
    got: Counter[str] = Counter()
    for order in trace.orders:
        for line in order.lines:
            got[line.sku] += line.quantity
    assert got == expected
    assert any(map(is_non_stock, got)), "postage stays on its order"
    assert trace.trading_days() == sorted({date.fromisoformat(r["ts"][:10]) for r in sales})
    assert sum(c.quantity for c in trace.cancellations) == -sum(int(r["qty"]) for r in cancels)
    by_day = [trace.day(day) for day in trace.trading_days()]
    assert sum(len(day.orders) for day in by_day) == len(trace.orders)
    documents = to_documents(trace, "shop")
    matched = sum(c.quantity for c in trace.cancellations if c.matched)
    assert sum(r["quantity"] for d in documents for r in d["reversals"]) == matched
    assert all(sum(r["quantity"] for r in d["reversals"]) <= sum(x["quantity"] for x in d["lines"]) for d in documents)


@needs_data
@pytest.mark.parametrize(("name", "units"), [("busiest_week.csv.gz", 1792), ("two_ordinary_weeks.csv.gz", 877)])
def test_matched_units_by_another_way(name: str, units: int) -> None:
    """A cancellation can use what its customer had bought of the SKU by then and not cancelled before."""
    held: defaultdict[tuple[str, str], int] = defaultdict(int)
    events = []
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as file:
        for r in csv.DictReader(file):
            if r["customer"] != "0":
                is_cancel = r["is_cancellation"] == "True"
                events.append((r["ts"], is_cancel, r["customer"], r["sku"].upper(), abs(int(r["qty"]))))
    matched = 0
    for _, is_cancel, customer, sku, quantity in sorted(events, key=lambda e: e[:2]):
        taken = min(quantity, held[customer, sku]) if is_cancel else 0
        held[customer, sku] += -taken if is_cancel else quantity
        matched += taken
    assert matched == units
    assert sum(c.quantity for c in read_trace(DATA / name).cancellations if c.matched) == units


@needs_data
def test_a_matched_cancellation_comes_after_its_sale() -> None:
    trace = read_trace(DATA / "busiest_week.csv.gz")
    placed = {order.order_id: order.placed_at for order in trace.orders}
    lags = [c.at - placed[c.matched[0]] for c in trace.cancellations if c.matched]
    assert lags
    assert min(lags) >= timedelta(0)
