"""`onhand replay`: what a person gives, and what comes back."""

import gzip
import json
import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from adapters.history_csv import read_history
from adapters.sandbox.long_trace import long_trace
from adapters.sandbox.trace import TraceError
from flows import replay_policies as form
from inventory.orders.order_history import DAY
from inventory.policies.demand_model import learn
from inventory.policies.policy_text import parse_policies
from inventory.replaying.replay import Plan, run, top_ups
from onhand import command_line
from tasks.replaying.replay_orders import Request, replay_orders
from tasks.replaying.replay_picture import frontier

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data" / "online_retail"
HEADER = "ts,order_id,line,sku,qty,unit_price,customer,country,is_cancellation\n"


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """Twelve weeks, a hot SKU and some that hardly sell, and every kind of row that is no demand."""
    rng = np.random.default_rng(3)
    start = datetime(2011, 9, 5, 9)  # noqa: DTZ001
    rows = []
    for number in range(2500):
        at = start + timedelta(days=int(number / 30), minutes=int(rng.integers(0, 480)))
        sku = rng.choice(["HOT", "warm", "COLD1", "cold2"], p=[0.7, 0.25, 0.03, 0.02])
        rows.append(f"{at},{number},1,{sku},{rng.integers(1, 5)},1.5,{rng.integers(1, 90)},UK,False")
    rows += [
        f"{start},C1,1,HOT,-2,1.5,7,UK,True", f"{start},A1,1,POST,1,3,7,UK,False", f"{start},A2,1,HOT,-9,0,0,UK,False",
        f"{start},A3,1,HOT,x,1,7,UK,False", f"{start},A4,1,Warm ,1,1,7,UK,False", f"{start},A4,2,WARM,2,1,7,UK,False",
    ]  # fmt: skip
    path = tmp_path / "orders.csv.gz"
    path.write_bytes(gzip.compress((HEADER + "\n".join(rows) + "\n").encode()))
    return path


def test_the_judges_command(orders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, page = tmp_path / "out.json", tmp_path / "page.html"
    arguments = (
        f"replay --orders {orders} --policies mirror,strict,calibrated:0.001 --lag 60 "
        "--outage channel=2,weekday=thu,from=10:00,to=16:00 --channels 4 --split customer --cover-weeks 2 "
        f"--json {out} --html {page}"
    )
    assert command_line.run(arguments.split()) == 0
    found = json.loads(out.read_text())
    assert [row["policy"] for row in found["policies"]] == ["mirror", "strict", "calibrated:0.001"]
    mirror, strict, calibrated = found["policies"]
    assert strict["oversold_lines"] == strict["oversold_units"] == 0
    assert mirror["oversold_lines"] == mirror["oversold_lines_outside"] + mirror["oversold_lines_in_outage"]
    assert mirror["oversold_lines"] >= calibrated["oversold_lines"]
    for row in found["policies"]:
        assert 0 <= row["fill"] <= 1
        assert 0 <= row["hidden_lines_share"] <= 1
        assert row["api_calls"] > 0
    assert found["orders"]["rows_bad"] == 1
    assert found["orders"]["bad"][0]["reason"] == "qty is not a whole number"
    assert (found["orders"]["rows_cancelled"], found["orders"]["rows_adjusting"], found["orders"]["rows_merged"]) == (
        1, 1, 1,
    )  # fmt: skip
    assert found["orders"]["rows_not_stock"] == {"POST": 1}
    assert found["orders"]["skus"] == 4
    said = capsys.readouterr().out
    assert "calibrated:0.001" in said and "qty is not a whole number" in said
    html = page.read_text()
    assert "<svg" in html and "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert str(tmp_path) not in html + out.read_text()


def test_the_same_seed_gives_the_same_figures_and_processes_do_not_matter(orders: Path) -> None:
    first, second = (replay_orders(Request(orders, processes=number)).rows for number in (1, 2))
    assert first == second
    assert first != replay_orders(Request(orders, seed=1)).rows


def test_several_processes_give_the_same_sums() -> None:
    history = long_trace(1, 8, skus=900, orders_a_day=90)
    assert len(history.at) > 60_000
    plans = [Plan(parse_policies("mirror"), processes=number) for number in (1, 2)]
    first, second = ([one.tally for one in run(history, plan)] for plan in plans)
    assert first == second


def test_several_lags_and_outages_make_a_grid(orders: Path) -> None:
    request = Request(
        orders, "mirror,strict", lags=(1, 60), outages=("none", "channel=1,weekday=mon"), oversell_cost=9, margin=2
    )
    replay = replay_orders(request)
    assert [(row["outage"], row["lag"], row["policy"]) for row in replay.rows] == [
        (outage, lag, policy)
        for outage in ("none", "channel=1,weekday=mon")
        for lag in (1, 60)
        for policy in ("mirror", "strict")
    ]
    for row in replay.rows:
        assert row["cost"] == 9 * row["oversold_units"] + 2 * (row["counter_units"] - row["delivered_units"])
    assert frontier(replay.rows).count("<circle") == 8


@pytest.mark.parametrize("units", ["line", "quantity"])
@pytest.mark.parametrize("pool", ["", "1,3", "1,2,3,4"])
def test_strict_is_zero_in_both_views_and_with_a_pool(orders: Path, units: str, pool: str) -> None:
    request = Request(
        orders, "strict,calibrated,mirror", units=units, pool=pool, outages=("channel=2,weekday=thu",), cover_weeks=0.5
    )
    strict, calibrated, mirror = replay_orders(request).rows
    assert strict["oversold_lines"] == 0 < strict["delivered_units"]
    assert calibrated["oversold_lines"] <= mirror["oversold_lines"]
    if pool == "1,2,3,4":
        assert mirror["oversold_lines"] == 0


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--policies", "mirorr"], "mirorr"), (["--outage", "thursday"], "thursday"), (["--lag", "-1"], "lag"),
        (["--channels", "0"], "channels"), (["--shares", "1,2"], "shares"), (["--pool", "5"], "pool"),
        (["--split", "country"], "split"), (["--units", "box"], "units"), (["--writes", "sometimes"], "writes"),
        (["--cover-weeks", "0"], "cover"), (["--json", "/no/such/folder/out.json"], "folder"),
        (["--lag", "nan"], "lag"),
    ],
)  # fmt: skip
def test_nonsense_is_one_line(orders: Path, options: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(["replay", "--orders", str(orders), *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith("onhand: ") and word in said and len(said.splitlines()) == 1


def test_a_file_without_demand_is_named(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text(HEADER + "2011-01-03 10:00:00,1,1,POST,1,2,3,UK,False\n")
    with pytest.raises(TraceError, match="no usable order line"):
        read_history(path, shares=[1.0])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2011-09-05 10:00,1,1,HOT,-2,1.5,7,UK,False", "qty is negative on a sale"),
        ("2011-09-05 10:00,1,1,HOT,99999999999,1.5,7,UK,False", "qty is absurd, above 100,000"),
        ("2011-09-05 10:00,1,1,HOT,0,1.5,7,UK,False", "qty is zero"),
        ("yesterday,1,1,HOT,2,1.5,7,UK,False", "ts is not a date and time (ISO 8601)"),
        ("2011-09-05 10:00,1,1,HOT,2,1.5", "has 6 fields, the header has 9"),
        ("2011-09-05 10:00,1,1,,2,1.5,7,UK,False", "sku is missing"),
        ("2011-09-05 10:00,1,1,H\xd6T,2,1.5,7,UK,False", "sku is not UTF-8"),
        ('2011-09-05 10:00,1,1,"HOT,2,1.5,7,UK,False', "a quotation mark is not closed"),
        ("2011-09-05 10:00,1,1,HOT,2,cheap,7,UK,False", "unit_price is not a number"),
        ("2011-09-05 10:00,1,1,HOT,2,1.5,7,UK,maybe", "is_cancellation is neither true nor false"),
    ],
)
def test_a_bad_row_is_named_and_the_rest_goes_on(tmp_path: Path, row: str, reason: str) -> None:
    path = tmp_path / "orders.csv"
    good = "2011-09-05 10:00:00,{},1,HOT,2,1.5,7,UK,False\n"
    path.write_bytes((HEADER + good.format(7) + row + "\n" + good.format(8)).encode("latin-1"))
    history, read = read_history(path, shares=[1.0])
    assert [(one.line_number, one.reason) for one in read.bad] == [(3, reason)]
    assert len(history.at) == 2


def test_files_that_are_no_orders(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    for content, said in (
        (b"", "is empty"), (b"date,sku\n1,2\n", "has no column ts"), (b"\x1f\x8b\x08\x00broken", "damaged"),
        (b"\x00\xff\xfe\x80" * 9, "no column"), (HEADER.encode(), "no usable order line"),
    ):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(TraceError, match=said):
            read_history(path, shares=[1.0])
    rows = "".join(f"2011-09-05 10:00:00,{n},1,HOT,2,1.5,7,UK,False\n" for n in range(4_000))
    path.write_text(HEADER + rows, encoding="utf-16")
    assert len(read_history(path, shares=[1.0])[0].at) == 4_000, "as spreadsheets save it"
    path.write_bytes(gzip.compress((HEADER + rows).encode())[:-2_000])
    history, read = read_history(path, shares=[1.0])
    assert 0 < len(history.at) < 4_000
    assert "ends early" in read.bad[-1].reason


def test_the_flow_leaves_table_picture_and_figures(orders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: dict[str, Any] = {}
    monkeypatch.setattr(form, "get_run_logger", lambda: logging.getLogger("replay"))
    monkeypatch.setattr(form, "replay", form.replay.fn)
    monkeypatch.setattr(form, "table", lambda key, rows, about: left.update({key: rows}))
    monkeypatch.setattr(form, "create_image_artifact", lambda url, key, description: left.update({key: url}))
    monkeypatch.setattr(form, "create_markdown_artifact", lambda text, key, description: left.update({key: text}))
    form.replay_policies.fn(str(orders), "mirror,strict", [1.0, 60.0], ["none"], margin=2.0)
    assert [row["policy"] for row in left["replay-policies"]] == ["mirror", "strict"] * 2
    assert all("cost" in row for row in left["replay-policies"])
    assert left["replay-frontier"].startswith("data:image/svg+xml;base64,")
    assert len(json.loads(left["replay-figures"].strip("`").removeprefix("json"))["policies"]) == 4


def test_every_option_is_documented() -> None:
    text = (ROOT / "docs" / "replay.md").read_text()
    command = typer.main.get_command(command_line.app).commands["replay"]  # type: ignore[attr-defined]
    options = [option for parameter in command.params for option in parameter.opts if option != "--help"]
    assert [option for option in options if f"`{option}`" not in text and f"`{option} " not in text] == []
    assert [
        name for name in ("oversold_lines", "hidden_lines_share", "api_calls", "run_outs") if name not in text
    ] == []


def test_nothing_is_learnt_from_the_future() -> None:
    """A history that is cut off gives the same knowledge, up to the cut."""
    history = long_trace(5, 6, skus=80, orders_a_day=8)
    cut = 24 * DAY
    kept = history.at < cut
    short = type(history)(
        history.origin, history.skus, history.channels, history.at[kept], history.sku[kept], history.channel[kept],
        history.units[kept],
    )  # fmt: skip
    for long, brief in zip(learn(history), learn(short), strict=False):
        assert long.from_day == brief.from_day
        assert np.array_equal(long.rate, brief.rate) and np.array_equal(long.shape, brief.shape)
        assert long.hours == brief.hours and long.weekday == brief.weekday
        assert all(np.array_equal(a.share, b.share) for a, b in zip(long.sizes, brief.sizes, strict=True))


def test_a_monday_is_topped_up_from_the_eight_weeks_before() -> None:
    history = long_trace(5, 12, skus=80, orders_a_day=8).single_units()
    mine = history.sku == 3
    at = history.at[mine]
    for moment, level in top_ups(at, history.units[mine], history, 2.0)[1:]:
        seen = at[(at < moment) & (at >= moment - 56 * DAY)]
        days = min(56, (moment - history.first_day * DAY) // DAY)
        if days >= 7:
            assert level == int(np.ceil(round(2.0 * len(seen) * 7 / days, 9)))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded orders are not beside this repository")
@pytest.mark.parametrize(("name", "lines"), [("busiest_week", 20_983), ("two_ordinary_weeks", 16_453)])
def test_the_recorded_weeks(name: str, lines: int) -> None:
    request = Request(
        SHARED / f"{name}.csv.gz", outages=("channel=2,weekday=thu,from=10:00,to=16:00",), cover_weeks=0.5, processes=1
    )
    replay = replay_orders(request)
    assert (replay.lines, replay.read.bad) == (lines, [])
    mirror, strict, calibrated = replay.rows
    assert strict["oversold_lines"] == 0
    assert calibrated["oversold_lines"] <= mirror["oversold_lines"]
    assert strict["fill"] < calibrated["fill"] <= mirror["fill"] <= 1
