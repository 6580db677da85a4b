"""The gate as a whole: what it loads, what it answers, and that it fails closed."""

import gc
import json
import logging
import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from gate_samples import NOW, document, line, orders, orders_told, push_told, row, sound_orders, sound_push

from expectations import gate, rules
from expectations.frames import push_frame
from expectations.gate import check, recheck
from expectations.parameters import NO_WATERMARK, ChannelCounts, MissingBaseline, OrdersPulled, OutgoingPush
from expectations.rule import Action
from expectations.verdict import Status, Verdict

ROOT = Path(__file__).resolve().parents[2]
JUDGES = pytest.mark.parametrize("judge", [check, recheck])
Judge = Callable[..., Verdict]


def test_importing_the_gate_does_not_import_the_library() -> None:
    program = "import sys, expectations.gate; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_loading_leaves_the_warnings_and_the_log_of_the_process_alone() -> None:
    program = (
        "import logging, warnings\n"
        "from expectations import gate\n"
        "before = warnings.showwarning, list(warnings.filters)\n"
        "gate.load()\n"
        "assert (warnings.showwarning, list(warnings.filters)) == before\n"
        "assert logging.getLogger('great_expectations').level == logging.WARNING\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_collection_looks_through_the_library() -> None:
    gate.load()
    assert gc.get_freeze_count() > 100_000


def test_a_check_says_nothing_on_the_side(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.WARNING):
        check("outgoing_push", sound_push(), push_told())
        check("outgoing_push", push_frame([row(quantity=None)]), push_told())
    out, err = capfd.readouterr()
    assert (out, err, caplog.text, warned) == ("", "", "", [])


def test_the_frame_is_not_changed() -> None:
    for suite, frame, told in (
        ("orders_pulled", sound_orders(), orders_told()),
        ("outgoing_push", sound_push(), push_told()),
    ):
        before = frame.copy(deep=True)
        check(suite, frame, told)
        pd.testing.assert_frame_equal(frame, before)


def bad_orders() -> pd.DataFrame:
    return orders(
        [
            document(1),
            document(2, lines=[line(1, quantity=0, listing_ref="unknown"), line(2, quantity=50_000)]),
            *(document(number, lines=[line(quantity=-1)]) for number in range(3, 10)),
            *(document(number) for number in range(10, 20)),
        ]
    )


@JUDGES
def test_the_verdict_names_rules_rows_and_keys(judge: Judge) -> None:
    frame = bad_orders()
    verdict = judge("orders_pulled", frame, orders_told())
    assert verdict.status is Status.PARTIAL
    assert verdict.failed_rows == {1: ["ORD-004", "ORD-005"]} | {label: ["ORD-005"] for label in range(3, 10)}
    assert verdict.warned_rows == {2: ["ORD-014"]}
    unmapped, whole, outlier = verdict.findings
    assert (unmapped.rule_id, unmapped.failing, unmapped.sample_keys) == ("ORD-004", 1, ("shop/O2/line/L1",))
    assert (whole.rule_id, whole.failing, len(whole.sample_keys)) == ("ORD-005", 8, 5)
    assert (outlier.action, outlier.sample_keys) == (Action.WARN, ("shop/O2/line/L2",))
    assert verdict.passing(frame).index.tolist() == [0, 2, *range(10, 20)]
    summary = verdict.summary()
    assert summary.startswith("orders_pulled: partial, 20 rows, 8 quarantined, ORD-004 quarantine ×1, ORD-005 quaran")
    assert "\n" not in summary
    assert json.loads(json.dumps(verdict.to_dict()))["failed_rows"]["1"] == ["ORD-004", "ORD-005"]


def test_a_blocked_batch_passes_nothing_on() -> None:
    frame = orders([document(number, lines=[line(quantity=-1)]) for number in range(20)])
    verdict = check("orders_pulled", frame, orders_told())
    assert verdict.status is Status.BLOCK and verdict.passing(frame).empty
    assert len(verdict.failed_rows) == 20


def test_passing_refuses_another_frame() -> None:
    verdict = check("orders_pulled", sound_orders(), orders_told())
    with pytest.raises(ValueError, match="judged 6 rows, this frame has 5"):
        verdict.passing(sound_orders().iloc[1:])


def broken_frames() -> dict[str, pd.DataFrame]:
    frame = sound_push()
    twice = pd.concat([frame, frame[["sku"]]], axis=1)
    return {
        "no rows": frame.iloc[0:0],
        "no columns": pd.DataFrame(index=range(3)),
        "a column missing": frame.drop(columns="ceiling"),
        "a column too many": frame.assign(surprise=1),
        "a column twice": twice,
        "text for numbers": frame.assign(quantity=frame["quantity"].astype(str)),
        "whole numbers of another type": frame.assign(quantity=frame["quantity"].astype("int64")),
        "a flag as an object": frame.assign(tracked=frame["tracked"].astype(object)),
        "naive times": frame.assign(computed_at=frame["computed_at"].dt.tz_localize(None)),
        "labels that are no positions": frame.iloc[1:],
        "labels twice": frame.set_axis([0, 0, 1, 2, 3, 4]),
        "another suite's frame": sound_orders(),
    }


@JUDGES
@pytest.mark.parametrize("name", broken_frames())
def test_a_frame_that_cannot_be_judged_is_an_error(name: str, judge: Judge) -> None:
    frame = broken_frames()[name]
    verdict = judge("outgoing_push", frame, push_told())
    assert verdict.status is Status.ERROR and verdict.error
    assert verdict.passing(frame).empty
    assert set(verdict.failed_rows) == set(frame.index)
    json.dumps(verdict.to_dict())


UNUSABLE: list[Any] = [
    None,
    {},
    orders_told(),
    push_told(now=None),
    push_told(now="2026-11-20T12:00:00Z"),
    push_told(now=NOW.replace(tzinfo=None)),
    push_told(listings=None),
    push_told(listings=math.nan),
    push_told(listings=-1),
    push_told(listings="1000"),
    push_told(listings=True),
    push_told(max_age=None),
    push_told(max_age=60),
    push_told(skew=timedelta(seconds=-1)),
    push_told(vendor_maximum=math.inf),
    push_told(zero_share=None),
    push_told(zero_share=1.5),
]


@JUDGES
@pytest.mark.parametrize("told", UNUSABLE, ids=lambda told: repr(told)[:60])
def test_an_unusable_baseline_is_an_error_and_never_a_pass(told: Any, judge: Judge) -> None:
    verdict = judge("outgoing_push", sound_push(), told)
    assert verdict.status is Status.ERROR and "MissingBaseline" in verdict.error


def test_every_parameter_is_required_to_be_there() -> None:
    for told in (orders_told(), push_told()):
        told.require()
        for name in ("now", *told.__slots__):
            with pytest.raises(MissingBaseline, match=name):
                replace(told, **{name: None}).require()


def test_the_first_pull_has_a_watermark_said_aloud() -> None:
    assert check("orders_pulled", sound_orders(), OrdersPulled(NOW, NO_WATERMARK)).status is Status.PASS
    assert isinstance(NO_WATERMARK, datetime)


@JUDGES
def test_an_unknown_suite_is_the_callers_fault(judge: Judge) -> None:
    with pytest.raises(KeyError, match="no suite 'nonsense'"):
        judge("nonsense", sound_push(), push_told())


@JUDGES
def test_an_empty_suite_is_an_error(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rules.SUITES, "outgoing_push", replace(rules.SUITES["outgoing_push"], rules=()))
    assert judge("outgoing_push", sound_push(), push_told()).status is Status.ERROR


def with_rule(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    suite = rules.SUITES["outgoing_push"]
    monkeypatch.setitem(
        rules.SUITES,
        "outgoing_push",
        replace(suite, rules=(replace(suite.rules[0], **changes), *suite.rules[1:])),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"arguments": lambda told: {"column": "nowhere", "max_value": 0}},
        {"arguments": lambda told: {"column": "sku", "max_value": 0}},
        {"arguments": lambda told: {"column": "_parts_missing", "max_value": None}},
        {"kind": "ExpectNothingWeKnow"},
        {"derive": {"_parts_missing": lambda frame, told: 1 / 0}},
        {"id": "PSH-002"},
    ],
    ids=["no such column", "another type", "no limit", "no such expectation", "raises", "two of one id"],
)
def test_a_rule_that_breaks_is_an_error_and_never_bad_data(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_rule(monkeypatch, **changes)
    verdict = check("outgoing_push", sound_push(), push_told())
    assert verdict.status is Status.ERROR and verdict.error


def test_a_result_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real = gate._batch

    def forgetful(frame: pd.DataFrame) -> Any:
        batch = real(frame)

        def validate(suite: Any, result_format: Any) -> Any:
            return SimpleNamespace(results=batch.validate(suite, result_format=result_format).results[1:])

        return SimpleNamespace(validate=validate)

    monkeypatch.setattr(gate, "_batch", forgetful)
    verdict = check("outgoing_push", sound_push(), push_told())
    assert verdict.status is Status.ERROR and "not evaluated" in verdict.error


def test_rows_that_cannot_be_named_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "LEAN", "BOOLEAN_ONLY")
    verdict = check("outgoing_push", push_frame([row(ceiling=1)]), push_told())
    assert verdict.status is Status.ERROR and "no row of it was named" in verdict.error


def test_threads_do_not_mix_their_verdicts() -> None:
    """Eight threads, each with its own planted rows; with shared objects most of these went wrong, silently."""

    def plant(seed: int) -> tuple[str, pd.DataFrame, Any, dict[int, list[str]]]:
        planted = {seed: ["PSH-004"], seed + 3: ["PSH-010"], 20 + seed % 5: ["PSH-011"]}
        if seed % 3 == 0:
            planted = {seed: ["ORD-004"], seed + 2: ["ORD-005"]}
            cells = {seed: {"listing_ref": "unknown"}, seed + 2: {"quantity": 0}}
            frame = orders([document(n, lines=[line(**cells.get(n, {}))]) for n in range(20 + seed)])
            return "orders_pulled", frame, orders_told(), planted
        broken: dict[int, dict[str, Any]] = {
            seed: {"ceiling": 1},
            seed + 3: {"mapped": False},
            20 + seed % 5: {"mode": "shadow"},
        }
        frame = push_frame([row(n, **broken.get(n, {})) for n in range(30 + seed)])
        return "outgoing_push", frame, push_told(), planted

    def run(seed: int) -> None:
        suite, frame, told, planted = plant(seed)
        verdict = check(suite, frame, told)
        assert (verdict.status, verdict.failed_rows, verdict.rows) == (Status.PARTIAL, planted, len(frame))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, [number % 16 for number in range(48)]))


def test_a_push_told_nothing_extra_uses_the_documented_limits() -> None:
    told = OutgoingPush(NOW, {"shop": ChannelCounts(10, 10, 0)})
    assert (told.max_age, told.vendor_maximum, told.zero_share) == (timedelta(seconds=60), 10**9, 0.5)
    pulled = OrdersPulled(NOW, NOW)
    assert (pulled.quantity_limit, pulled.skew, pulled.failing_share) == (100_000, timedelta(minutes=5), 0.5)
