"""docs/performance.md says what was measured, and nothing else; every benchmark of the registry can be run."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import LATEST, main
from benchmarks.figures import Result, Target
from benchmarks.pages_of_figures import BEGIN, DOCUMENT, END, document
from benchmarks.pictures import picture_page
from benchmarks.registry import BENCHMARKS
from benchmarks.report import Entry, read, write


def test_the_tables_of_the_page_are_those_of_the_figures() -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    assert document(read(LATEST), page) == page, "run `python -m benchmarks --document`"


def test_the_kept_figures_follow_from_their_runs() -> None:
    for name, written in json.loads(LATEST.read_text(encoding="utf-8"))["benchmarks"].items():
        assert name in BENCHMARKS
        for row in written["rows"]:
            assert row["min"] <= row["median"] <= row["max"], row["name"]
            assert {row["min"], row["max"]} <= set(row["runs"]), row["name"]
            if row["ratio"] is not None:
                assert row["ratio"] == pytest.approx(row["median"] / row["floor"], rel=0.01), row["name"]
            assert (row["met"] is None) == (not row["target"]), row["name"]


def test_each_benchmark_can_be_imported_and_run() -> None:
    for one in BENCHMARKS.values():
        assert callable(import_module(f"benchmarks.{one.module}").measure)


def test_a_figure_knows_whether_its_target_is_met() -> None:
    result = Result()
    runs = [3.0, 1.0, 2.0]
    fast = result.add("fast", "1/s", runs, beside="floor", floor=[4.0], targets=[Target(2), Target(0.6, of_ratio=True)])
    assert (fast.median, fast.min, fast.max, fast.ratio, fast.met) == (2.0, 1.0, 3.0, 0.5, False)
    assert fast.target == "≥ 2 1/s and ≥ 0.6 ×"
    assert result.add("slow", "s", runs, targets=[Target(2, most=True)]).met
    assert not result.add("slower", "s", runs, targets=[Target(1.9, most=True)]).met
    assert result.add("bare", "s", runs).met is None
    with pytest.raises(ValueError, match="compare"):
        result.add("alone", "s", runs, targets=[Target(1, of_ratio=True)])


def test_a_page_and_its_pictures_of_some_figures(tmp_path: Path) -> None:
    result = Result(notes=["said | so"])
    for rows in (10, 1000):
        result.add(
            f"{rows} rows & more", "ms", [rows / 7, rows / 5], beside="plain", floor=[rows / 9],
            targets=[Target(100, most=True)], series="gate", x=rows,
        )  # fmt: skip
    entries = {"gate": Entry(result, {"seconds": 1, "cores": 2, "load_before": 0, "load_after": 1, "flush_ms": 0.1,
                                      "python": "3.11.7"})}  # fmt: skip
    page = document(entries, f"# Head\n\n{BEGIN}\nold\n{END}\n\nfoot\n")
    assert page.startswith("# Head\n") and page.endswith(f"{END}\n\nfoot\n") and "old" not in page
    assert "said \\| so" in page and "**not reached**" in page and "| reached |" in page
    with pytest.raises(ValueError, match="needs the lines"):
        document(entries, "no marks")
    drawn = picture_page(entries)
    assert "1000 rows &amp; more" in drawn and drawn.count("<svg") == 2
    path = tmp_path / "kept.json"
    write(path, entries)
    assert read(path) == entries


def test_an_unknown_name_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "no benchmark nonsense; there are reservations" in capsys.readouterr().err
