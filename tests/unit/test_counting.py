"""What a count means, and sheets that a spreadsheet may open."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.count_csv import OPTIONAL, REQUIRED, harmless, plain, same_code, sheet_csv, write_sheet
from adapters.seller_csv import read_csv
from inventory.counting.counting import Count, CountPolicy, Outcome, decide
from inventory.counting.counting_sheets import SheetLine

POLICY = CountPolicy()


def count(quantity: int, expected: int = 100, counter: str = "Wanda", certain: bool = True) -> Count:
    return Count(counter, quantity, expected, certain)


@pytest.mark.parametrize(
    ("counts", "cost", "outcome"),
    [
        ([count(100)], 1, Outcome.MATCH),
        ([count(100, certain=False)], 1, Outcome.MATCH),
        ([count(95)], 1, Outcome.POST),
        ([count(95, certain=False)], 1, Outcome.RECOUNT),
        ([count(94)], 1, Outcome.RECOUNT),
        ([count(106)], 1, Outcome.RECOUNT),
        ([count(95)], 21, Outcome.ASK),
        ([count(95)], None, Outcome.POST),
        ([count(94), count(94, counter="Otto")], 1, Outcome.POST),
        ([count(94), count(90, 96, counter="Otto")], 1, Outcome.POST),
        ([count(94), count(93, counter="Otto")], 1, Outcome.RECOUNT),
        ([count(94), count(100, counter="Otto")], 1, Outcome.MATCH),
        ([count(94), count(94, counter=" wanda")], 1, Outcome.RECOUNT),
        ([count(79), count(79, counter="Otto")], 1, Outcome.ASK),
        ([count(80), count(80, counter="Otto")], 1, Outcome.POST),
        ([count(2, 3), count(2, 3, counter="Otto")], 1, Outcome.POST),
        ([count(2, 3), count(2, 3, counter="Otto")], 101, Outcome.ASK),
        ([count(1, 0)], 1, Outcome.RECOUNT),
        ([count(n, counter=f"{n}") for n in (90, 91, 92, 93)], 1, Outcome.ASK),
        ([count(n, counter=f"{n}") for n in (90, 91, 92)] + [count(91, counter="x")], 1, Outcome.POST),
    ],
)
def test_what_counts_decide(counts: list[Count], cost: int | None, outcome: Outcome) -> None:
    made = decide(counts, None if cost is None else Decimal(cost), POLICY)
    assert made.outcome is outcome and made.why


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.booleans()), min_size=1, max_size=4),
    st.none() | st.decimals(0, 100, places=2),
)
def test_nothing_is_posted_on_one_word_that_is_large_dear_or_uncertain(
    given_counts: list[tuple[int, int, bool]], cost: Decimal | None
) -> None:
    counts = [Count(f"P{number}", *one) for number, one in enumerate(given_counts)]
    made = decide(counts, cost, POLICY)
    if made.outcome is not Outcome.POST:
        return
    variance = made.count.variance
    assert abs(variance) * (POLICY.assumed_cost if cost is None else cost) <= POLICY.band_value
    assert abs(variance) <= max(POLICY.band_share * max(made.count.expected, 1), POLICY.band_units)
    alone = sum(one.variance == variance for one in counts) == 1
    assert not alone or (made.count.share <= POLICY.recount_share and made.count.certain)


@pytest.mark.parametrize(
    "wrong", [{"recount_share": 1.5}, {"band_share": -0.1}, {"band_value": Decimal(-1)}, {"most_counts": 1}]
)
def test_a_policy_without_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"shares|limits"):
        CountPolicy(**wrong)


HOSTILE = ['=HYPERLINK("http://x","y")', "+1", "-2+3", "@SUM(1)", "\t=1", "＝1+1", "=1\r\n=2", '"', "a,b", "a\u202eb"]  # noqa: RUF001


@pytest.mark.parametrize("cell", [*HOSTILE, "", "plain", "O'Neill", "'quoted'"])
def test_no_cell_of_a_sheet_runs_as_a_formula(cell: str) -> None:
    text = sheet_csv([SheetLine(1, 2, "main", "SKU", cell, (cell,))])
    rows = read_csv(text, required=REQUIRED, optional=OPTIONAL, folder=Path())
    assert rows.bad == [] and len(rows.rows) == 1
    for name in ("title", "not_by"):
        assert not rows.rows[0].cells[name].startswith(("=", "+", "-", "@", "＝"))  # noqa: RUF001


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=20))
def test_what_is_made_harmless_is_recognised(code: str) -> None:
    shown = harmless(code)
    assert same_code(shown, plain(shown))
    if code and code == " ".join(code.split()) and harmless(code).lstrip("'") == code.lstrip("'"):
        assert same_code(shown, code)


@pytest.mark.parametrize(
    ("written", "code", "same"),
    [("85123a", "85123A", True), ("7", "007", True), ("'=1", "=1", True), ("8", "007", False), ("", "A", False),
     ("1E+05", "1E5", False)],
)  # fmt: skip
def test_a_code_that_went_through_a_spreadsheet(written: str, code: str, same: bool) -> None:
    assert same_code(written, code) is same


def test_a_sheet_with_counts_in_it_is_never_written_over(tmp_path: Path) -> None:
    line = SheetLine(7, 1, "../../etc", "A", "", ())
    path = write_sheet(tmp_path, 7, [line])
    assert path is not None and path.parent == tmp_path / "counts" and path.name == "sheet-7--etc.csv"
    path.write_text("counted")
    assert write_sheet(tmp_path, 7, [line]) is None and path.read_text() == "counted"
