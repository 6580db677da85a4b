"""The suite of shipments: gate and masks agree on dirty rows, and what its frame reads."""

import math
import random
from collections import Counter
from typing import Any

from gate_samples import sent, sound, told

from expectations.cells import Kind
from expectations.gate import check, recheck
from expectations.rules import SUITES, rules_of
from expectations.shipment_frame import SHIPMENT_COLUMNS, shipments_frame
from expectations.verdict import Status

CELLS: dict[str, tuple[Any, ...]] = {
    "quantity": ("2", None, "", "0", "-1", "1.5", "1,000", "x", "100001", "9" * 30),
    "sku": ("SKU-1", "SKU-2", "", "x" * 300), "order_id": ("O1", "", "O2"), "channel": ("shop", ""),
    "shipment": ("S1", "", "S2"), "location": ("main", "", "store"), "step": ("ship", "allocate", "?"),
    "ahead": (-60.0, 0.0, math.nan, math.inf, 599.0, 601.0), "channel_known": (True, False),
    "order_known": (True, False), "sku_known": (True, False), "step_known": (True, False),
    "location_known": (True, False), "unchanged": (True, False),
}  # fmt: skip


def test_the_gate_and_the_masks_say_the_same() -> None:
    chance = random.Random(5)
    seen: Counter[str] = Counter()
    for often in (0.03, 0.2, 0.5, 0.1, 0.3):
        rows = (
            {name: chance.choice(values) for name, values in CELLS.items() if chance.random() < often}
            for _ in range(20)
        )
        frame = shipments_frame(sent(number, **cells) for number, cells in enumerate(rows))
        for name, kind in SHIPMENT_COLUMNS.items():
            if kind is not Kind.FLAG and name != "row_key" and chance.random() < often:
                frame.loc[chance.randrange(20), name] = None
        its = told("shipments", max_rows=chance.choice((100, 3)), unknown_share=chance.choice((0.0, 0.02)))
        judged, masked = check("shipments", frame, its).to_dict(), recheck("shipments", frame, its).to_dict()
        del judged["duration_ms"], masked["duration_ms"]
        assert judged == masked
        assert judged["status"] != Status.ERROR
        seen.update(finding["rule_id"] for finding in judged["findings"])
    assert {rule.id for rule in rules_of("shipments")} - set(seen) == {SUITES["shipments"].schema_rule}


def test_a_row_that_comes_twice_is_doubtful_whatever_it_says() -> None:
    frame = shipments_frame(
        [sent(1), sent(2), sent(1, quantity="9"), sent(1, location="store"), sent(1, quantity=None)]
    )
    assert list(frame["once"]) == [False, True, False, True, True]
    assert list(frame["readable"]) == [True, True, True, True, False]
    assert frame["row_key"].iloc[4] == "row[3]"
    assert recheck("shipments", sound("shipments"), told("shipments")).status is Status.PASS
