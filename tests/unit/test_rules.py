"""Each rule of the registry: a frame that passes, and one that fails only this rule on exactly these rows."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from gate_samples import HOUR, NOW, orders_told, push_told, sound, sound_orders, sound_push, told

from expectations.gate import check, recheck
from expectations.parameters import MissingBaseline
from expectations.rules import RULES, SUITES, Action, Scope, rules_of
from expectations.verdict import Status, Verdict

Cells = dict[str, Any]


@dataclass
class Case:
    """Cells to change, by row; with them the rule fails, without them it passes."""

    cells: dict[int, Cells]
    rows: int = 6
    told: dict[str, Any] = field(default_factory=dict)
    also: frozenset[str] = frozenset()
    """Rules that cannot but fail with it."""
    failing: list[int] | None = None
    """The rows that fail, if not all of those changed."""


def at(**span: float) -> pd.Timestamp:
    return pd.Timestamp(NOW + timedelta(**span))


HUGE = {"ceiling": 1e12, "sellable": 1e12, "exposure_after": 1e11}
TO_ZERO = {"quantity": 0.0, "exposure_after": 0.0}

CASES: dict[str, Case] = {
    "ORD-001": Case({1: {"document_ok": False}, 4: {"document_ok": False}}),
    "ORD-002": Case({2: {"order_id": None}}),
    "ORD-003": Case({0: {"line_id": None}, 3: {"reversal_id": None}}),
    "ORD-004": Case({0: {"mapped": False}, 5: {"mapped": False}}),
    "ORD-005": Case({0: {"quantity": 0.0}, 2: {"quantity": -3.0}}),
    "ORD-006": Case(
        {0: {"quantity": 100_000.0}, 2: {"quantity": 100_001.0}, 3: {"quantity": 1e9}},
        told={"outlier_quantity": 10**9},
        failing=[2, 3],
    ),
    "ORD-007": Case({0: {"duplicate": True}, 3: {"duplicate": True}}),
    "ORD-008": Case({2: {"placed_at": at(minutes=6), "updated_at": at(minutes=2)}}),
    "ORD-009": Case({0: {"updated_at": at(minutes=6)}, 3: {"updated_at": at(hours=-3)}, 4: {"updated_at": pd.NaT}}),
    "ORD-010": Case({1: {"quantity": 0.0}, 3: {"quantity": -1.0}}),
    "ORD-011": Case({1: {"line_known": False}}),
    "ORD-012": Case({3: {"words_known": False}}),
    "ORD-013": Case({1: {"occurred_at": pd.NaT}, 5: {"occurred_at": at(minutes=6)}}),
    "ORD-014": Case({0: {"quantity": 10_000.0}, 4: {"quantity": 80_995.0}}, failing=[4]),
    "ORD-101": Case({0: {"surprise": 1}}),
    "ORD-102": Case({label: {"mapped": False} for label in range(11)}, rows=20, also=frozenset({"ORD-004"})),
    "ORD-103": Case({}, told={"watermark": NOW}),
    "PSH-001": Case({0: {"listing_id": math.nan}, 1: {"channel": None}, 2: {"listing_ref": None}}),
    "PSH-002": Case({3: {"quantity": -1.0}}),
    "PSH-003": Case({0: {"quantity": 1e9 + 1, "previous": 1e9} | HUGE, 1: {"quantity": 1e9, "previous": 1e9} | HUGE},
                    failing=[0]),
    "PSH-004": Case({0: {"ceiling": 4.0}, 1: {"ceiling": math.nan}, 2: {"ceiling": 5.0},
                     3: TO_ZERO | {"ceiling": -1.0}}, failing=[0, 1, 3]),
    "PSH-005": Case({0: {"exposure_others": 6.0}, 1: {"exposure_others": 5.0}, 2: {"sellable": math.nan},
                     3: {"exposure_others": 9.0, "previous": 6.0}, 4: {"previous": 6.0, "sellable": math.nan}},
                    failing=[0, 2, 4]),
    "PSH-006": Case({0: {"cap": 4.0}, 1: {"cap": -math.inf}, 2: {"cap": 5.0}}, failing=[0, 1]),
    "PSH-007": Case({1: {"listing_ref": "ref-4"}}, failing=[1, 4]),
    "PSH-008": Case({0: {"exposure_after": 4.0}, 1: {"units_per_listing": 2.0}, 2: {"units_per_listing": 0.0},
                     3: {"units_per_listing": math.nan}}),
    "PSH-009": Case({0: {"tracked": False}, 1: {"tracked": False, "previous": 6.0}}, failing=[0]),
    "PSH-010": Case({0: {"mapped": False}, 1: TO_ZERO | {"mapped": False},
                     2: TO_ZERO | {"mapped": False, "must_lower": True}}, failing=[0, 1]),
    "PSH-011": Case({0: {"mode": "dry_run"}, 1: {"mode": "shadow"}, 2: {"mode": None}}),
    "PSH-012": Case({0: {"computed_at": at(seconds=-61)}, 1: {"computed_at": at(seconds=6)}, 2: {"computed_at": pd.NaT},
                     3: {"computed_at": at(seconds=-60)}}, failing=[0, 1, 2]),
    "PSH-013": Case({0: {"sku": " A"}, 1: {"sku": "A\n"}, 2: {"sku": "A\nB"}, 3: {"sku": None}, 4: {"sku": "A B"}},
                    failing=[0, 1, 2, 3]),
    "PSH-014": Case({0: {"quantity": 1001.0} | HUGE, 1: {"quantity": 2000.0, "previous": 200.0} | HUGE,
                     2: {"quantity": 1001.0, "previous": math.nan} | HUGE}, failing=[0, 2]),
    "PSH-101": Case({0: {"surprise": 1}}),
    "PSH-102": Case({}, told={"max_rows": 5}),
    "PSH-103": Case({label: TO_ZERO for label in range(11)}, rows=20),
    "PSH-104": Case({}, rows=20, told={"listings": 39}),
    "MAP-001": Case({1: {"readable": False}}),
    "MAP-002": Case({0: {"channel": None}, 2: {"listing_ref": None}}),
    "MAP-003": Case({1: {"listed": False}}),
    "MAP-004": Case({0: {"sku_known": False}, 3: {"sku": None}}),
    "MAP-005": Case({0: {"units": 0.0}, 1: {"units": -1.0}, 2: {"units": math.nan}, 3: {"units": 10_001.0},
                     4: {"units": 10_000.0}}, failing=[0, 1, 2, 3]),
    "MAP-006": Case({1: {"once": False}, 2: {"once": False}}),
    "MAP-007": Case({5: {"ours": False}}),
    "MAP-008": Case({0: {"unchanged": False}}),
    "MAP-101": Case({0: {"surprise": 1}}),
    "MAP-102": Case({}, told={"max_rows": 5}),
    "MAP-103": Case({label: {"sku_known": False} for label in range(6)}, rows=10, also=frozenset({"MAP-004"})),
    "SNP-001": Case({1: {"channel": None}, 3: {"channel": None}}),
    "SNP-002": Case({0: {"answered": 0.0, "unusable": 0.0}, 2: {"answered": 49.0}, 3: {"answered": 50.0}}),
    "SNP-003": Case({2: {"zeroed": 26.0}, 3: {"zeroed": 25.0}, 4: {"selling": 19.0, "zeroed": 19.0}}),
    "SNP-004": Case({1: {"differing": 46.0}, 2: {"differing": 45.0}}),
    "SNP-005": Case({0: {"read_at": at(minutes=-61)}, 1: {"read_at": at(seconds=6)}, 2: {"read_at": at(minutes=-60)}}),
    "SNP-006": Case({5: {"unusable": 10.0}}),
    "SNP-007": Case({0: {"pulled_at": pd.NaT}, 1: {"pulled_at": at(minutes=-31)}, 2: {"pulled_at": at(minutes=-30)}},
                    failing=[0, 1]),
    "SNP-101": Case({0: {"surprise": 1}}),
    "SNP-102": Case({}, told={"max_rows": 5}),
    "CNT-001": Case({1: {"readable": False}}),
    "CNT-002": Case({0: {"line_known": False}, 1: {"created_at": pd.NaT}, 2: {"on_hand": math.nan}, 3: {"sku": None}}),
    "CNT-003": Case({2: {"same_bin": False}}),
    "CNT-004": Case({label: {"form": form, "quantity": math.nan}
                     for label, form in enumerate(["empty", "thousands", "fraction", "words", None])}),
    "CNT-005": Case({0: {"quantity": -1.0}, 2: {"quantity": 0.0}}, failing=[0]),
    "CNT-006": Case({0: {"quantity": 1_000_001.0}, 2: {"quantity": 1_000_000.0}},
                    told={"outlier_floor": 10**9}, failing=[0]),
    "CNT-007": Case({1: {"once": False}, 2: {"once": False}}),
    "CNT-008": Case({4: {"open": False}}),
    "CNT-009": Case({4: {"another_person": False}}),
    "CNT-010": Case({0: {"counted_at": at(minutes=6)}, 1: {"counted_at": pd.NaT}, 2: {"counted_at": at(minutes=5)}},
                    failing=[0, 1]),
    "CNT-011": Case({0: {"counted_at": at(minutes=-126)}, 2: {"counted_at": at(minutes=-125)}}, failing=[0]),
    "CNT-012": Case({0: {"quantity": 101.0}, 1: {"quantity": 100.0}, 2: {"quantity": 201.0, "on_hand": 20.0},
                     3: {"quantity": 200.0, "on_hand": 20.0}}, failing=[0, 2]),
    "CNT-101": Case({0: {"surprise": 1}}),
    "CNT-102": Case({}, told={"max_rows": 5}),
    "CNT-103": Case({label: {"line_known": False} for label in range(3)}, rows=10, also=frozenset({"CNT-002"})),
    "CNT-104": Case({label: {"quantity": 0.0} for label in range(6)}, rows=10),
    "STK-001": Case({1: {"readable": False}}),
    "STK-002": Case({0: {"sku_known": False}, 3: {"sku": None}}),
    "STK-003": Case({1: {"stocked": False}}),
    "STK-004": Case({0: {"location_known": False}, 3: {"location": None}}),
    "STK-005": Case({label: {"form": form, "quantity": math.nan}
                     for label, form in enumerate(["empty", "thousands", "fraction", "words", None])}),
    "STK-006": Case({0: {"quantity": -1.0}, 2: {"quantity": 0.0}}, failing=[0]),
    "STK-007": Case({0: {"quantity": 1_000_001.0}, 2: {"quantity": 1_000_000.0}},
                    told={"outlier_quantity": 10**9, "compared_units": 10**9}, failing=[0]),
    "STK-008": Case({1: {"once": False}, 2: {"once": False}}),
    "STK-009": Case({1: {"first": False}}),
    "STK-010": Case({1: {"coverable": False}}),
    "STK-011": Case({0: {"quantity": 10_001.0}, 2: {"quantity": 10_000.0}}, told={"compared_units": 10**9},
                    failing=[0]),
    "STK-101": Case({0: {"surprise": 1}}),
    "STK-102": Case({}, told={"max_rows": 5}),
    "STK-103": Case({label: {"sku_known": False} for label in range(3)}, rows=10, also=frozenset({"STK-002"})),
    "STK-104": Case({}, told={"change_share": 0.24}),
    "STK-105": Case({label: {"quantity": 0.0} for label in range(6)}, rows=10, told={"change_share": 1.0}),
    "SHP-001": Case({1: {"readable": False}}),
    "SHP-002": Case({0: {"channel_known": False}, 3: {"channel": None}}),
    "SHP-003": Case({0: {"order_known": False}, 3: {"order_id": None}}),
    "SHP-004": Case({0: {"sku_known": False}, 3: {"sku": None}}),
    "SHP-005": Case({0: {"form": "words", "units": math.nan}, 1: {"form": None}}),
    "SHP-006": Case({0: {"units": 0.0}, 1: {"units": 100_001.0}, 2: {"units": 100_000.0}, 3: {"units": math.nan}},
                    failing=[0, 1, 3]),
    "SHP-007": Case({4: {"step_known": False}}),
    "SHP-008": Case({4: {"location_known": False}}),
    "SHP-009": Case({4: {"shipment": None}}),
    "SHP-010": Case({0: {"ahead": 601.0}, 1: {"ahead": math.nan}, 2: {"ahead": 600.0}}, failing=[0, 1]),
    "SHP-011": Case({1: {"once": False}, 2: {"once": False}}),
    "SHP-012": Case({5: {"unchanged": False}}),
    "SHP-101": Case({0: {"surprise": 1}}),
    "SHP-102": Case({}, told={"max_rows": 5}),
    "SHP-103": Case({label: {"order_known": False} for label in range(6)}, rows=10, also=frozenset({"SHP-003"})),
    "RCP-001": Case({1: {"readable": False}}),
    "RCP-002": Case({0: {"sku_known": False}, 3: {"sku": None}}),
    "RCP-003": Case({1: {"stocked": False}}),
    "RCP-004": Case({0: {"location_known": False}, 3: {"location": None}}),
    "RCP-005": Case({0: {"form": "words", "units": math.nan, "least": math.nan}, 1: {"form": None}}),
    "RCP-006": Case({0: {"least": -1.0}, 2: {"least": math.nan}}),
    "RCP-007": Case({0: {"units": 0.0}, 1: {"units": 100_001.0, "left": 1e9}, 2: {"units": 100_000.0, "left": 1e9}},
                    failing=[0, 1]),
    "RCP-008": Case({1: {"once": False}, 2: {"once": False}}),
    "RCP-009": Case({1: {"ordered": False, "left": 0.0}, 2: {"purchase": None}}),
    "RCP-010": Case({0: {"units": 7.0}, 1: {"left": math.nan}, 2: {"left": math.inf, "units": 99.0}}, failing=[0, 1]),
    "RCP-011": Case({5: {"unchanged": False}}),
    "RCP-101": Case({0: {"surprise": 1}}),
    "RCP-102": Case({}, told={"max_rows": 5}),
    "RCP-103": Case({label: {"sku_known": False} for label in range(6)}, rows=10, also=frozenset({"RCP-002"})),
    "SUP-001": Case({1: {"readable": False}, 2: {"sku": None}}),
    "SUP-002": Case({0: {"form": "thousands", "quantity": math.nan}, 3: {"form": None}}),
    "SUP-003": Case({0: {"quantity": -1.0}, 2: {"quantity": 0.0}}, failing=[0]),
    "SUP-004": Case({0: {"quantity": 10_000_001.0, "prior": 1e6}, 2: {"quantity": 10_000_000.0, "prior": 1e6}},
                    failing=[0]),
    "SUP-005": Case({1: {"once": False}}),
    "SUP-006": Case({1: {"date_ok": False}}),
    "SUP-007": Case({0: {"quantity": 100_001.0}, 1: {"quantity": 100_000.0}, 2: {"quantity": 200_000.0, "prior": 2e3},
                     3: {"quantity": 100_001.0, "prior": math.nan}}, failing=[0, 3]),
    "SUP-101": Case({0: {"surprise": 1}}),
    "SUP-102": Case({}, told={"previous_rows": 41}),
    "SUP-103": Case({}, told={"previous_known": 41}),
    "SUP-104": Case({label: {"quantity": 0.0} for label in range(4)}, rows=20, told={"stocked": 20, "gone": 7}),
    "SUP-105": Case({label: {"quantity": 6.0} for label in range(19)}, rows=20),
    "SUP-106": Case({}, told={"as_of": NOW - 27 * HOUR}),
    "SUP-107": Case({}, told={"previous_as_of": NOW - HOUR / 2}),
    "SUP-108": Case({label: {"once": False} for label in range(3)}, rows=10, also=frozenset({"SUP-005"})),
}  # fmt: skip

ROW_IDS = [rule.id for rule in RULES if rule.scope is Scope.ROW]


def broken(suite: str, case: Case) -> pd.DataFrame:
    frame = sound(suite, case.rows)
    for label, cells in case.cells.items():
        for name, value in cells.items():
            if name not in frame:
                frame[name] = value
            frame.loc[label, name] = value
    return frame


def test_every_rule_has_a_case_and_nothing_else_has() -> None:
    assert set(CASES) == {rule.id for rule in RULES}
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_rules_of_a_suite_are_those_of_the_registry() -> None:
    assert {rule.suite for rule in RULES} == set(SUITES)
    assert [rule for name in SUITES for rule in rules_of(name)] == list(RULES)
    with pytest.raises(KeyError, match="no suite 'nonsense'"):
        rules_of("nonsense")


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("judge", [check, recheck])
def test_a_sound_frame_passes_every_rule(suite: str, judge: Callable[..., Verdict]) -> None:
    for rows in (6, 40):
        verdict = judge(suite, sound(suite, rows), told(suite))
        assert (verdict.status, verdict.findings, verdict.failed_rows) == (Status.PASS, (), {}), verdict.summary()


@pytest.mark.parametrize("judge", [check, recheck])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_broken_frame_fails_only_the_rule_on_exactly_the_rows(rule: Any, judge: Callable[..., Verdict]) -> None:
    case = CASES[rule.id]
    verdict = judge(rule.suite, broken(rule.suite, case), told(rule.suite, **case.told))
    found = {finding.rule_id: finding for finding in verdict.findings}
    assert set(found) == {rule.id} | case.also, verdict.summary()
    finding = found[rule.id]
    assert (finding.severity, finding.action, finding.why) == (rule.severity, rule.action, rule.why)
    named = verdict.failed_rows | verdict.warned_rows
    if rule.scope is Scope.ROW:
        expected = sorted(case.cells) if case.failing is None else case.failing
        assert sorted(label for label, ids in named.items() if rule.id in ids) == expected
        assert finding.failing == len(expected)
        assert verdict.status is (Status.PARTIAL if rule.action is Action.QUARANTINE else Status.PASS)
    elif rule.id == SUITES[rule.suite].schema_rule:
        assert verdict.status is Status.ERROR
    else:
        assert verdict.status is (Status.BLOCK if rule.action is Action.BLOCK else Status.PASS)


def test_shares_are_not_judged_on_a_handful_of_rows() -> None:
    few = Case({label: {"mapped": False} for label in range(18)}, rows=18)
    assert not check("orders_pulled", broken("orders_pulled", few), orders_told()).failed("ORD-102")
    few = Case({label: TO_ZERO for label in range(19)}, rows=19)
    assert not check("outgoing_push", broken("outgoing_push", few), push_told(selling=19)).failed("PSH-103")
    assert not check("outgoing_push", sound_push(19), push_told(listings=19)).failed("PSH-104")


def test_the_wipe_guard_counts_only_what_sells_something_now() -> None:
    """Thirty of thirty live listings going to zero are a wipe, however many idle ones the batch holds besides."""
    idle = {"previous": 0.0}
    case = Case({label: TO_ZERO if label < 30 else idle for label in range(100)}, rows=100)
    assert check("outgoing_push", broken("outgoing_push", case), push_told()).failed("PSH-103")


def test_exactly_the_limit_passes() -> None:
    half = Case({label: {"mapped": False} for label in range(10)}, rows=20)
    assert not check("orders_pulled", broken("orders_pulled", half), orders_told()).failed("ORD-102")
    edge = {"placed_at": at(minutes=5), "updated_at": at(minutes=5)}
    assert check("orders_pulled", broken("orders_pulled", Case({0: edge})), orders_told()).status is Status.PASS
    half = Case({label: TO_ZERO for label in range(10)}, rows=20)
    assert check("outgoing_push", broken("outgoing_push", half), push_told()).status is Status.PASS
    assert check("outgoing_push", sound_push(20), push_told(listings=40)).status is Status.PASS


def test_the_largest_line_of_the_real_trace_passes() -> None:
    frame = broken("orders_pulled", Case({0: {"quantity": 80_995.0}}))
    verdict = check("orders_pulled", frame, orders_told())
    assert verdict.status is Status.PASS and verdict.failed("ORD-014")


NULLABLE = {
    "orders_pulled": {"row_key", "kind", "document", "channel", "line_id", "listing_ref", "sku", "quantity_raw"},
    "outgoing_push": {"row_key", "previous", "cap"},
    "listing_map": {"row_key", "row", "units_raw"},
    "stock_balances": {"row_key", "row", "quantity_raw", "prior"},
    "count_sheet": {"row_key", "row", "quantity_raw"},
    "channel_snapshot": {"row_key", "pulled_at"},
    "receipts": {"row_key", "row", "quantity_raw"},
    "shipments": {"row_key", "row", "quantity_raw"},
    "supplier_feed": {"row_key", "row", "quantity_raw", "prior"},
}
"""`kind` is one of two words by construction; the id that a row needs is tested by its own rule."""


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        (suite, name)
        for suite in SUITES
        for name, kind in SUITES[suite].columns.items()
        if kind != "flag" and name not in NULLABLE[suite]
    ],
)
def test_no_unknown_value_passes(suite: str, name: str) -> None:
    frame = sound(suite)
    frame.loc[1, name] = None
    verdict = recheck(suite, frame, told(suite))
    assert list(verdict.failed_rows) == [1], verdict.summary()


def test_a_safe_zero_needs_no_proof_but_must_be_identifiable() -> None:
    """Whatever the truth, zero is right for a listing that is not backed; no number about it is known here."""
    unknown = {name: math.nan for name in ("previous", "units_per_listing", "ceiling", "sellable", "exposure_after")}
    cells = {"quantity": 0.0, "must_lower": True, "mapped": False, "tracked": False, "sku": None} | unknown
    frame = broken(
        "outgoing_push", Case({0: cells, 1: cells | {"listing_id": math.nan}, 2: cells | {"mode": "shadow"}})
    )
    assert check("outgoing_push", frame, push_told()).failed_rows == {1: ["PSH-001"], 2: ["PSH-011"]}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_an_expectation_names_its_rule_and_refuses_missing_arguments(rule: Any) -> None:
    expectation = rule.expectation(told(rule.suite))
    assert expectation.meta == {"rule_id": rule.id}
    assert expectation.severity == rule.severity.value
    assert type(expectation).__name__ == rule.kind


def test_an_argument_of_none_raises_instead_of_judging_nothing() -> None:
    rule = next(rule for rule in RULES if rule.id == "ORD-006")
    for value in (None, math.nan):
        with pytest.raises(MissingBaseline, match="ORD-006: max_value"):
            rule.expectation(orders_told(quantity_limit=value))


def test_hours_and_seconds_are_what_the_limits_say() -> None:
    late = orders_told(now=NOW - 2 * HOUR)
    assert recheck("orders_pulled", sound_orders(), late).failed("ORD-009")


def test_a_wipe_in_many_small_batches_is_one_wipe() -> None:
    """A batch of five zeros is nothing on a channel of a thousand, unless half of them went to zero before it."""
    case = Case({label: TO_ZERO for label in range(5)}, rows=5)
    frame = broken("outgoing_push", case)
    assert not check("outgoing_push", frame, push_told(selling=1000)).failed("PSH-103")
    assert not check("outgoing_push", frame, push_told(selling=600, zeroed=400)).failed("PSH-103")
    assert check("outgoing_push", frame, push_told(selling=502, zeroed=498)).failed("PSH-103")
    assert not check("outgoing_push", sound_push(5), push_told(selling=400, zeroed=600)).failed("PSH-103")
