"""`onhand simulate`: what it says, what it writes, how it ends."""

import json
from collections import Counter
from pathlib import Path

import pytest

from onhand import command_line
from onhand.commands.simulate_command import story
from onhand.simulation import many
from onhand.simulation.playing import Outcome
from onhand.simulation.totals import Failure, Lost, Total


def test_seeds_are_played_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "seeds.json"
    arguments = ["simulate", "--seeds", "2", "--start", "1", "--days", "0.5", "--jobs", "1", "--json", str(file)]
    assert command_line.run(arguments) == 0
    said = capsys.readouterr()
    assert "2 seeds" in said.out
    assert "0 units oversold" in said.out
    told = json.loads(file.read_text())
    assert (told["seeds"], told["days"], told["violations"], told["oversold"]) == (2, 1.0, [], 0)
    assert told["pushes"] > 0
    assert told["killed"] == sum(told["kills_by_step"].values())
    assert {"faults", "orders", "cpu_seconds_a_seed", "seeds_with_the_real_gate"} < set(told)


def test_a_broken_promise_is_told_and_ends_with_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = Failure(7, "Broken: 4 of 3 A are sold", ["seed 7: 3 A"], ["0d 00:00:01.0 OVERSOLD"], 12)
    total = Total(7)
    total.add(Outcome(7, 1.0, failure.violation, orders=2, faults=Counter(dark=1)), failure)

    def simulate(start: int, seeds: int, days: float, jobs: int, say: object) -> Total:
        say(total)  # type: ignore[operator]
        return total

    monkeypatch.setattr(many, "simulate", simulate)
    assert command_line.run(["simulate", "--seeds", "1", "--start", "7"]) == 1
    said = capsys.readouterr()
    assert "seed 7 broke a promise, made small in 12 tries: Broken: 4 of 3 A are sold" in said.out
    assert "again: onhand simulate --seeds 1 --start 7" in said.out
    assert "seed 7 broke a promise" in said.err
    assert story(failure, 2.0)[-1] == "  again: onhand simulate --seeds 1 --start 7 --days 2"
    assert total.as_plain()["violations"][0]["history"] == failure.history


def test_nonsense_is_refused_before_anything_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(["simulate", "--json", str(tmp_path / "nowhere" / "x.json")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    for wrong in (["--seeds", "0"], ["--days", "0"], ["--jobs", "65"], ["--start", "-1"]):
        assert command_line.run(["simulate", *wrong]) == 2


def test_a_process_that_ends_early_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "_work", _leave)
    with pytest.raises(Lost, match="2 seeds were not played"):
        many.simulate(1, 2, 0.5, 1)


def _leave(*_: object) -> None:
    """Ends at once."""
