"""Great Expectations and the plain masks say the same of any dirty frame: status, findings, rows, keys."""

import math
from collections import Counter
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from gate_samples import HOUR, NOW, document, line, orders, orders_told, push_told, reversal, row, snapshot, told
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from expectations.cells import Kind
from expectations.count_frame import CountRow, counts_frame
from expectations.frames import push_frame
from expectations.gate import check, masks, recheck
from expectations.parameters import Parameters
from expectations.rules import SUITES, rules_of
from expectations.seller_frames import BalanceRow, MappingRow, balances_frame, mapping_frame
from expectations.snapshot_frames import COUNTS, snapshot_frame
from expectations.verdict import Status

pytestmark = pytest.mark.slow

EXAMPLES = 70
"""Of up to a dozen rows each: what an example costs is Great Expectations, however many rows it has."""
quietly = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    # An example costs a tenth of a second, and shrinking one takes thousands.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

seen: Counter[str] = Counter()


def agree(suite: str, frame: pd.DataFrame, told: Parameters) -> None:
    judged, masked = check(suite, frame, told).to_dict(), recheck(suite, frame, told).to_dict()
    del judged["duration_ms"], masked["duration_ms"]
    assert judged == masked
    assert (judged["status"] == Status.ERROR) == frame.empty
    seen[suite] += 1
    seen.update(finding["rule_id"] for finding in judged["findings"])
    if frame.empty:
        return
    holds = masks(suite, frame, told)
    failing = {
        int(label): set(ids) for rows in (judged["failed_rows"], judged["warned_rows"]) for label, ids in rows.items()
    }
    for rule in rules_of(suite):
        if rule.scope == "row":
            named = {
                int(label)
                for rows in ("failed_rows", "warned_rows")
                for label in judged[rows]
                if rule.id in judged[rows][label]
            }
            assert named == set(holds.index[~holds[rule.id]]), rule.id
    assert set(failing) <= set(frame.index)


def mostly(sound: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.integers(0, 5).flatmap(lambda roll: st.just(sound) if roll else st.sampled_from(others))


def dirty(sound: dict[str, Any], others: dict[str, tuple[Any, ...]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: mostly(value, *others.get(name, (None,))) for name, value in sound.items()})


TIMES = (None, "yesterday", "2026-11-20T10:00:00", (NOW + HOUR).isoformat(), (NOW + timedelta(minutes=5)).isoformat(),
         (NOW - 50 * HOUR).isoformat(), "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", 5)  # fmt: skip
NUMBERS = (None, "3", True, 0, -1, 1, 2.5, 10_000, 10_001, 100_000, 100_001, 10**9, 10**30, 1e30, math.nan, [1])
TEXTS = (None, "", "ref-2", "unknown", "L2", "R2", 7, "a\x00", "\ud800", ["x"])

lines = dirty(line(), dict.fromkeys(["line_id", "listing_ref", "sku"], TEXTS) | {"quantity": NUMBERS})
reversals = dirty(
    reversal(),
    dict.fromkeys(["reversal_id", "line_id", "kind", "reason"], TEXTS)
    | {"quantity": NUMBERS, "restocked": (True, "no", 0), "occurred_at": TIMES},
)
documents = st.builds(
    lambda head, own, back: head | {"lines": own, "reversals": back},
    dirty(
        {name: value for name, value in document().items() if name not in ("lines", "reversals")},
        {"order_id": ("O2", "O3", "O4", None, 7), "placed_at": TIMES, "updated_at": TIMES, "cancelled": (None, "no")},
    ),
    st.lists(lines, max_size=3) | st.sampled_from([None, "abc"]),
    st.lists(reversals, max_size=2),
)
orders_parameters = st.builds(
    orders_told,
    failing_rows=st.sampled_from([2, 20]),
    watermark=st.sampled_from([NOW - 2 * HOUR, NOW, NOW + HOUR]),
    failing_share=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)

UNITS = (None, math.nan, -1, 0, 1, 2, 4, 5, 6, 8, 9, 10, 99, 1001, 10**9, 10**9 + 1, 10**16, "5", True, 5.5)
pushes = dirty(
    row(),
    dict.fromkeys(["quantity", "previous", "ceiling", "sellable", "exposure_others", "exposure_after", "cap"], UNITS)
    | {
        "units_per_listing": (0, 2, None, -1),
        "listing_id": (2, None, "1"),
        "channel": ("other", None),
        "listing_ref": ("ref-2", "ref-3", "ref-4", "ref-5", None),
        "sku": (" A", "A ", "A\n", "A\nB", "A B", "\u2003A", "", None, 7, "x" * 256),
        "tracked": (False, None, "yes"),
        "mapped": (False, None),
        "mode": ("shadow", "dry_run", "LIVE", None),
        "computed_at": (NOW, NOW - timedelta(seconds=60), NOW - timedelta(seconds=61), NOW + timedelta(seconds=5),
                        NOW + timedelta(seconds=6), None, "soon"),
        "must_lower": (True,),
    },
)  # fmt: skip
big = {"ceiling": 10**12, "sellable": 10**12, "exposure_after": 10**12}
rising = st.sampled_from([row(9, quantity=quantity) | big for quantity in (1000, 1001, 10**9, 10**9 + 1)])
zeros = st.sampled_from([row(number, quantity=0, exposure_after=0) for number in range(20, 30)])
push_parameters = st.builds(
    push_told,
    zero_rows=st.sampled_from([1, 3, 20]),
    zero_share=st.sampled_from([0.0, 0.3, 0.5]),
    listings=st.sampled_from([0, 20, 1000]),
    selling=st.sampled_from([0, 19, 20, 1000]),
    zeroed=st.sampled_from([0, 5, 600]),
    changed_share=st.sampled_from([0.1, 0.5]),
    max_rows=st.sampled_from([2, 100]),
)


@st.composite
def holes(draw: st.DrawFn, frame: pd.DataFrame, suite: str) -> pd.DataFrame:
    """The frame with some cells emptied behind the back of its builder."""
    names = [name for name, kind in SUITES[suite].columns.items() if kind is not Kind.FLAG and name != "row_key"]
    for _ in range(draw(st.integers(0, 3)) if len(frame) else 0):
        frame.loc[draw(st.integers(0, len(frame) - 1)), draw(st.sampled_from(names))] = None
    return frame


def every_rule_failed_somewhere(suite: str) -> None:
    """Or the examples prove little. A wrong schema never comes out of a builder."""
    assert seen[suite] >= EXAMPLES - 10
    rules = {rule.id for rule in rules_of(suite)} - {SUITES[suite].schema_rule}
    assert {rule_id for rule_id in rules if seen[rule_id] < 2} == set()


def test_orders_pulled() -> None:
    @quietly
    @given(st.data(), st.lists(documents, max_size=10), orders_parameters)
    def property_holds(data: st.DataObject, given_documents: list[Any], told: Parameters) -> None:
        agree("orders_pulled", data.draw(holes(orders(given_documents), "orders_pulled")), told)

    property_holds()
    every_rule_failed_somewhere("orders_pulled")


def test_outgoing_push() -> None:
    @quietly
    @given(st.data(), st.lists(pushes | rising | zeros, max_size=13), push_parameters)
    def property_holds(data: st.DataObject, rows: list[Any], told: Parameters) -> None:
        agree("outgoing_push", data.draw(holes(push_frame(rows), "outgoing_push")), told)

    property_holds()
    every_rule_failed_somewhere("outgoing_push")


FLAGS = ("listed", "ours", "unchanged", "sku_known", "stocked", "location_known", "first")
WRITTEN = (None, "", "0", "-1", "1", "2.5", "1,000", "10000", "10001", "1000000", "1000001", "x", "9" * 17)
COUNTED = ("0", "0", "0", "-3", "-3", "1000001", "10001", *WRITTEN)
mappings = dirty(
    {"row": 2, "channel": "shop", "listing_ref": "r1", "sku": "A", "units": "1", "listed": True, "ours": True,
     "unchanged": True},
    {"row": (3,), "channel": ("",), "listing_ref": ("r2", "r3", ""), "units": WRITTEN}
    | dict.fromkeys(FLAGS, (False,)),
)  # fmt: skip
balances = dirty(
    {"row": 2, "sku": "A", "location": "main", "quantity": "5", "sku_known": True, "stocked": True,
     "location_known": True, "first": True, "prior": math.nan, "available": 9},
    {"row": (3,), "sku": ("B", "C", "D", ""), "location": ("attic", ""), "quantity": COUNTED,
     "prior": (0.0, 5.0, 20.0, 100.0), "available": (0, 4)} | dict.fromkeys(FLAGS, (False,)),
)  # fmt: skip
shares = st.fixed_dictionaries(
    {"unknown_rows": st.sampled_from([1, 10]), "unknown_share": st.sampled_from([0.0, 0.5]),
     "max_rows": st.sampled_from([3, 100])}
)  # fmt: skip
map_parameters = shares.map(lambda given: told("listing_map", **given))
balance_parameters = st.builds(
    lambda given, changes: told("stock_balances", **given, **changes),
    shares,
    st.fixed_dictionaries({"change_share": st.sampled_from([0.0, 0.5]), "zero_share": st.sampled_from([0.0, 0.5])}),
)


def test_listing_map() -> None:
    @quietly
    @given(st.data(), st.lists(mappings, max_size=10), map_parameters)
    def property_holds(data: st.DataObject, rows: list[Any], its: Parameters) -> None:
        frame = mapping_frame(MappingRow(**row) for row in rows)
        agree("listing_map", data.draw(holes(frame, "listing_map")), its)

    property_holds()
    every_rule_failed_somewhere("listing_map")


def test_stock_balances() -> None:
    @quietly
    @given(st.data(), st.lists(balances, max_size=12), balance_parameters)
    def property_holds(data: st.DataObject, rows: list[Any], its: Parameters) -> None:
        frame = balances_frame(BalanceRow(**row) for row in rows)
        agree("stock_balances", data.draw(holes(frame, "stock_balances")), its)

    property_holds()
    every_rule_failed_somewhere("stock_balances")


HOW_MANY = (None, -1, 0, 1, 9, 10, 11, 19, 20, 25, 26, 45, 46, 50, 10**16, "5", True)
snapshots = dirty(
    {"channel": "shop", "asked": 100, "answered": 99, "unusable": 1, "compared": 90, "differing": 9, "selling": 50,
     "zeroed": 5, "read_at": NOW - HOUR / 12, "pulled_at": NOW - HOUR / 10},
    {"channel": (None, "", "other"), "read_at": (None, NOW - 2 * HOUR, NOW + HOUR),
     "pulled_at": (None, NOW - HOUR, NOW + HOUR)} | dict.fromkeys(COUNTS, HOW_MANY),
).map(lambda given: snapshot(**given))  # fmt: skip
snapshot_parameters = st.builds(
    lambda **changes: told("channel_snapshot", **changes),
    least_rows=st.sampled_from([0, 20]),
    unanswered_share=st.sampled_from([0.0, 0.5]),
    changed_share=st.sampled_from([0.0, 0.5]),
    max_rows=st.sampled_from([3, 1000]),
)


def test_channel_snapshot() -> None:
    @quietly
    @given(st.data(), st.lists(snapshots, max_size=10), snapshot_parameters)
    def property_holds(data: st.DataObject, rows: list[Any], its: Parameters) -> None:
        agree("channel_snapshot", data.draw(holes(snapshot_frame(rows), "channel_snapshot")), its)

    property_holds()
    every_rule_failed_somewhere("channel_snapshot")


count_rows = dirty(
    {"row": 2, "key": "1/1", "sku": "A", "location": "main", "quantity": "5", "counted_at": NOW - HOUR,
     "created_at": NOW - 2 * HOUR, "on_hand": 5.0, "line_known": True, "same_bin": True, "open": True,
     "another_person": True},
    {"row": (3,), "key": ("1/2", "1/3", "2/1"), "sku": ("B", ""), "location": ("attic", ""),
     "quantity": (*COUNTED, "-3", "-3", "101"),
     "counted_at": (*(one for one in TIMES if isinstance(one, str)), NOW - 3 * HOUR, NOW + timedelta(minutes=5)),
     "created_at": (None, NOW), "on_hand": (0.0, 20.0, math.nan, math.inf)}
    | dict.fromkeys(("line_known", "same_bin", "open", "another_person"), (False,)),
)  # fmt: skip
count_parameters = st.builds(
    lambda given, zero: told("count_sheet", **given, zero_share=zero), shares, st.sampled_from([0.0, 0.5])
)


def test_count_sheet() -> None:
    # Its rules of the whole sheet fail seldom.
    @settings(quietly, max_examples=110)
    @given(st.data(), st.lists(count_rows, max_size=6), count_parameters)
    def property_holds(data: st.DataObject, rows: list[Any], its: Parameters) -> None:
        frame = counts_frame(CountRow(**row) for row in rows)
        agree("count_sheet", data.draw(holes(frame, "count_sheet")), its)

    property_holds()
    every_rule_failed_somewhere("count_sheet")
