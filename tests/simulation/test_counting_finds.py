"""Planted errors are found sooner, and all of them, by the product's plan at the same work as plain ABC or chance.

The short form of `python -m benchmarks.counting`, whose table is in docs/counting.md.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.counting import HORIZON, WAYS, measure, picture, summary

BINS, LINES = 350, 6
"""One and a half times each bin once in 91 days."""
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("busy", [False, True])
def test_more_is_found_sooner_at_equal_work(busy: bool) -> None:
    found = measure([1, 2], bins=BINS, days=150, lines=LINES, busy=busy)
    shares = {name: np.mean([one.found for one in its], axis=0) for name, its in found.items()}
    assert min(one.errors for its in found.values() for one in its) > 30
    assert all(one.found[HORIZON] == 1 for one in found["onhand"]), "all, within 91 days, on every seed"
    for other in ("ABC", "ABC + missing units", "random"):
        assert shares["onhand"][60] > shares[other][60] and shares["onhand"][HORIZON] > shares[other][HORIZON]
    assert shares["onhand"][14] > shares["oldest first"][14], "evidence first"
    slow = {name: np.mean([one.by_class[2] for one in its]) for name, its in found.items()}
    assert slow["onhand"] == 1 and slow["ABC"] < 0.5, "slow movers are not forgotten"


def test_the_figures_told_are_those_measured() -> None:
    told = json.loads((ROOT / "benchmarks" / "counting.json").read_text())
    page = (ROOT / "docs" / "counting.md").read_text()
    for rows in told["worlds"].values():
        for name in WAYS:
            row = rows[name]
            cells = [f"{row['found'][day]:.0%}".replace("%", " %") for day in (7, 14, 30, 60, 91)]
            assert f"| {name} | {' | '.join(cells)} |" in page
    assert (ROOT / "docs" / "images" / "counting.svg").read_text() == picture(told["worlds"]["even"])


def test_a_summary_is_of_all_seeds() -> None:
    [its] = [measure([3, 4], bins=300, days=120, lines=5, busy=False)["random"]]
    row = summary(its)
    assert row["errors"] == sum(one.errors for one in its) and len(row["found"]) == HORIZON + 1
