"""What leaves after which verdict: raises wait, decreases go, and a wipe does not pass for a decrease."""

import math
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from gate_samples import NOW, orders_told, push_told, row, sound_orders

from expectations.directions import SAFE_VALUE, held, released, safe_value_due
from expectations.frames import push_frame
from expectations.gate import check
from expectations.parameters import OutgoingPush
from expectations.verdict import Status, Verdict

UNBACKED: dict[str, Any] = {"must_lower": True, "exposure_after": 9, "exposure_others": 9}


def judged(rows: list[dict[str, Any]], **told: Any) -> tuple[pd.DataFrame, Verdict]:
    frame = push_frame(rows)
    return frame, check("outgoing_push", frame, push_told(**told))


def gone(frame: pd.DataFrame, verdict: Verdict) -> list[int]:
    going = released(frame, verdict).index.tolist()
    assert sorted(going + held(frame, verdict).index.tolist()) == list(range(len(frame)))
    return going


def with_fillers(rows: list[dict[str, Any]], fillers: int = 20) -> list[dict[str, Any]]:
    """Raises behind the rows, to have enough of them for a share."""
    return [*rows, *(row(1000 + number) for number in range(fillers))]


MIXED = [
    row(0),
    row(1, quantity=2),
    row(2, previous=None),
    row(3, quantity=3),
    row(4, quantity=0, exposure_after=0),
    row(5, quantity=0) | UNBACKED,
    row(6, quantity=2, mapped=False),
    row(7, quantity=2) | UNBACKED,
    row(8, quantity=None),
    row(9, quantity=0, previous=None) | UNBACKED,
    row(10, quantity=0, previous=None, exposure_after=0),
]


def test_pass_releases_everything() -> None:
    frame, verdict = judged([row(0), row(1, quantity=0, exposure_after=0), row(2, previous=None)])
    assert verdict.status is Status.PASS and gone(frame, verdict) == [0, 1, 2]


def test_partial_releases_all_but_the_quarantined() -> None:
    frame, verdict = judged(MIXED)
    assert verdict.status is Status.PARTIAL and gone(frame, verdict) == [0, 1, 2, 3, 4, 5, 7, 9, 10]


def test_a_blocked_batch_holds_raises_and_lets_decreases_go() -> None:
    frame, verdict = judged(MIXED, max_rows=3)
    assert verdict.status is Status.BLOCK and verdict.failed("PSH-102")
    # 0 raises, 2 and 10 may raise, 3 changes nothing, 6 and 8 are quarantined.
    assert gone(frame, verdict) == [1, 4, 5, 7, 9]
    assert verdict.passing(frame).empty


def test_under_the_wipe_guard_only_an_unbacked_listing_goes_to_zero() -> None:
    zeros = [row(100 + number, quantity=0, exposure_after=0) for number in range(30)]
    frame, verdict = judged([*MIXED, *zeros])
    assert verdict.status is Status.BLOCK and verdict.failed("PSH-103")
    assert gone(frame, verdict) == [1, 5, 7, 9]


def test_a_channel_that_is_wiped_does_not_hold_up_the_others() -> None:
    wiped = [row(number, quantity=0) for number in range(30)]
    well = [row(100 + number, channel="other", quantity=(5, 1, 0)[number]) for number in range(3)]
    frame, verdict = judged([*wiped, *well])
    assert verdict.status is Status.BLOCK and set(verdict.blocked_rows) == set(range(30))
    assert gone(frame, verdict) == [30, 31, 32]


def test_a_true_sell_out_goes_through_although_the_guard_blocks() -> None:
    """Stock is gone, the ledger knows it, and the shop must hear it at once."""
    frame, verdict = judged([row(number, quantity=0) | UNBACKED for number in range(30)])
    assert verdict.status is Status.BLOCK and gone(frame, verdict) == list(range(30))


@pytest.mark.parametrize("told", [{"listings": None}, {"max_rows": math.nan}], ids=str)
def test_without_a_verdict_only_unbacked_listings_are_lowered(told: dict[str, Any]) -> None:
    frame, verdict = judged(MIXED, **told)
    assert verdict.status is Status.ERROR and gone(frame, verdict) == [5, 7, 9]


def test_without_the_time_nothing_is_fresh_and_nothing_leaves() -> None:
    frame = push_frame(MIXED)
    verdict = check("outgoing_push", frame, OutgoingPush(now=None))  # type: ignore[arg-type]
    assert verdict.status is Status.ERROR and gone(frame, verdict) == []


@pytest.mark.parametrize("name", ["must_lower", "previous", "quantity", "listing_ref"])
def test_without_a_column_nothing_leaves(name: str) -> None:
    frame = push_frame(MIXED).drop(columns=name)
    verdict = check("outgoing_push", frame, push_told())
    assert verdict.status is Status.ERROR and gone(frame, verdict) == []


def test_a_flag_that_is_no_flag_lets_nothing_leave() -> None:
    frame = push_frame(MIXED)
    frame["must_lower"] = pd.Series(["no"] * len(frame), dtype=object)
    verdict = check("outgoing_push", frame, push_told())
    assert verdict.status is Status.ERROR and gone(frame, verdict) == []


def test_when_the_library_fails_the_masks_still_find_the_unsound(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("no library")

    monkeypatch.setattr("expectations.gate.load", breaks)
    frame, verdict = judged(MIXED)
    assert verdict.status is Status.ERROR and "no library" in verdict.error
    assert gone(frame, verdict) == [5, 7, 9]
    assert {6, 8} <= set(verdict.failed_rows)


def test_a_row_above_its_ceiling_is_held_even_when_it_seems_to_lower() -> None:
    """What is live may be lower than we believe, and then the write would raise."""
    frame, verdict = judged([row(0, quantity=2, ceiling=1, previous=9), row(1)])
    assert gone(frame, verdict) == [1]


def test_a_decrease_of_an_exposure_that_stays_unbacked_goes() -> None:
    """It was confirmed nowhere yet, so all of it may still be sold; only lowering it helps."""
    frame, verdict = judged([row(0, quantity=1, previous=9) | UNBACKED, row(1, quantity=9, previous=1) | UNBACKED])
    assert gone(frame, verdict) == [0]
    assert verdict.failed_rows == {1: ["PSH-004", "PSH-005"]}


def test_two_numbers_for_one_listing_are_both_held() -> None:
    frame, verdict = judged(with_fillers([row(0, quantity=1), row(1, quantity=2, listing_ref="ref-0")]), max_rows=3)
    assert gone(frame, verdict) == []


def test_another_suite_or_another_frame_is_refused() -> None:
    orders = sound_orders()
    with pytest.raises(ValueError, match="not about a push"):
        released(orders, check("orders_pulled", orders, orders_told()))
    frame, verdict = judged(MIXED)
    with pytest.raises(ValueError, match="judged 11 rows, this frame has 10"):
        released(frame.iloc[1:], verdict)


@pytest.mark.parametrize(("waited", "due"), [(299, False), (300, True), (301, True)])
def test_a_row_held_too_long_falls_to_the_safe_value(waited: int, due: bool) -> None:
    held_since = NOW - timedelta(seconds=waited)
    assert safe_value_due(held_since, NOW, timedelta(minutes=5)) is due
    assert SAFE_VALUE == 0


def test_a_safe_value_needs_instants() -> None:
    naive = datetime(2026, 11, 20)  # noqa: DTZ001
    with pytest.raises(ValueError, match="offset"):
        safe_value_due(naive, NOW, timedelta(minutes=5))
    with pytest.raises(ValueError, match="offset"):
        safe_value_due(NOW, naive, timedelta(minutes=5))
