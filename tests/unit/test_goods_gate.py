"""The suites of goods: what their frames read, their limits to the unit; gate and masks agree on dirty rows."""

import math
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from gate_samples import HOUR, NOW, received, sound, supplied, told

from expectations.cells import Kind
from expectations.gate import check, recheck
from expectations.goods_frames import FEED_COLUMNS, NEVER, RECEIPT_COLUMNS, feed_frame, receipts_frame
from expectations.rules import SUITES, rules_of
from expectations.verdict import Status, Verdict

FRAMES = 12
QUANTITIES = ("5", "5", "5", None, "", "0", "-1", "1.5", "1,000", "x", "100001", "10000001", "9" * 17, "9" * 30)
RECEIPT_CELLS: dict[str, tuple[Any, ...]] = {
    "sound": QUANTITIES, "damaged": ("", "1", "-2", "x", "9" * 17), "quarantined": ("", "0", "3", "2.5"),
    "sku": ("SKU-1", "SKU-2", "", "x" * 300), "purchase": ("P1", "", "P2"), "location": ("main", "", "store"),
    "left": (6.0, 0.0, math.inf, math.nan, 1e6), "sku_known": (True, True, False), "stocked": (True, False),
    "location_known": (True, False), "ordered": (True, True, False), "unchanged": (True, False),
}  # fmt: skip
FEED_CELLS: dict[str, tuple[Any, ...]] = {
    "quantity": QUANTITIES, "sku": ("SKU-1", "SKU-2", "SKU-3", "", "x" * 300),
    "prior": (5.0, 0.0, math.nan, 6.0, 1e9), "date_ok": (True, True, False),
}  # fmt: skip
RECEIPT_TOLD: dict[str, tuple[Any, ...]] = {
    "max_rows": (100, 3),
    "unknown_share": (0.0, 0.0, 0.5),
    "unknown_rows": (1, 1, 100),
}
FEED_TOLD: dict[str, tuple[Any, ...]] = {
    "as_of": (NOW - HOUR, NOW - 30 * HOUR, NOW + HOUR, NEVER), "previous_as_of": (NEVER, NOW),
    "previous_rows": (0, 41, 30), "previous_known": (0, 41), "stocked": (0, 9, 20), "gone": (0, 15),
    "changed_share": (0.0, 0.9), "zero_share": (0.0, 0.5), "failing_share": (0.0, 0.2, 1.0), "compared_rows": (0, 10),
}  # fmt: skip


def dirty(chance: random.Random, cells: dict[str, tuple[Any, ...]], often: float) -> dict[str, Any]:
    return {name: chance.choice(values) for name, values in cells.items() if chance.random() < often}


def frame_of(chance: random.Random, suite: str) -> pd.DataFrame:
    often, size = chance.choice((0.02, 0.1, 0.5)), chance.choice((4, 20, 30))
    if suite == "receipts":
        frame = receipts_frame(received(number, **dirty(chance, RECEIPT_CELLS, often)) for number in range(size))
    else:
        frame = feed_frame(supplied(number, **dirty(chance, FEED_CELLS, often)) for number in range(size))
    columns = RECEIPT_COLUMNS if suite == "receipts" else FEED_COLUMNS
    for name, kind in columns.items():
        if kind is not Kind.FLAG and name != "row_key" and chance.random() < often:
            frame.loc[chance.randrange(size), name] = None
    return frame


@pytest.mark.parametrize("suite", ["receipts", "supplier_feed"])
def test_the_gate_and_the_masks_say_the_same(suite: str) -> None:
    chance = random.Random(11)
    seen: Counter[str] = Counter()
    for _ in range(FRAMES):
        frame = frame_of(chance, suite)
        its = told(suite, **dirty(chance, RECEIPT_TOLD if suite == "receipts" else FEED_TOLD, 0.6))
        judged, masked = check(suite, frame, its).to_dict(), recheck(suite, frame, its).to_dict()
        del judged["duration_ms"], masked["duration_ms"]
        assert judged == masked
        assert judged["status"] != Status.ERROR
        seen.update(finding["rule_id"] for finding in judged["findings"])
    assert {rule.id for rule in rules_of(suite)} - set(seen) == {SUITES[suite].schema_rule}


def feed(stock: dict[str, str], prior: dict[str, float], **changes: Any) -> Verdict:
    frame = feed_frame(
        supplied(number, sku=sku, quantity=units, prior=prior.get(sku, math.nan))
        for number, (sku, units) in enumerate(stock.items())
    )
    return recheck("supplier_feed", frame, told("supplier_feed", **changes))


SKUS = [f"SKU-{number}" for number in range(20)]
BEFORE = dict.fromkeys(SKUS, 5.0)


def test_the_limits_of_the_guards_are_exact() -> None:
    same = dict.fromkeys(SKUS, "5")
    for gone, zeros, blocked in ((10, 0, False), (11, 0, True), (5, 5, False), (5, 6, True)):
        left = {sku: "0" if at < zeros else "5" for at, sku in enumerate(SKUS[gone:])}
        assert feed(left, BEFORE, stocked=20, gone=gone).failed("SUP-104") is blocked
    for changed, blocked in ((18, False), (19, True)):
        stock = {sku: "6" if at < changed else "5" for at, sku in enumerate(SKUS)}
        assert feed(stock, BEFORE).failed("SUP-105") is blocked
    for rows, blocked in ((40, False), (41, True)):
        assert feed(same, BEFORE, previous_rows=rows).failed("SUP-102") is blocked
    for age, blocked in (
        (26 * HOUR, False),
        (26 * HOUR + timedelta(seconds=1), True),
        (-HOUR / 6, False),
        (-HOUR / 5, True),
    ):
        assert feed(same, BEFORE, as_of=NOW - age).failed("SUP-106") is blocked
    assert feed(same, {}).status is Status.PASS, "the first feed of a supplier"
    small = dict.fromkeys(SKUS[:9], "0")
    assert feed(small, BEFORE, stocked=9, previous_rows=9).status is Status.PASS, "too few for a share"


def test_the_same_number_twice_is_harmless_and_two_are_not() -> None:
    rows = [supplied(1, sku="A"), supplied(2, sku="A"), supplied(3, sku="B"), supplied(4, sku="B", quantity="6")]
    verdict = recheck("supplier_feed", feed_frame(rows), told("supplier_feed"))
    assert verdict.failed_rows == {2: ["SUP-005"], 3: ["SUP-005"]}


def test_a_frame_of_nothing_is_no_verdict() -> None:
    for suite in ("receipts", "supplier_feed"):
        assert recheck(suite, sound(suite, 0), told(suite)).status is Status.ERROR


def test_what_is_not_said_of_the_damaged_is_none() -> None:
    frame = receipts_frame([received(sound="3", damaged="", quarantined="2"), received(2, sound="", damaged="1")])
    assert frame["units"].iloc[0] == 5 and frame["form"].tolist() == ["whole", "empty"]
