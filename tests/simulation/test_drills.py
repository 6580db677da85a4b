"""Every drill is told to its end, and keeps the promises."""

import pytest
from simulation_ground import swept_ground  # noqa: F401 - a fixture

from onhand import command_line
from onhand.commands.drill_command import show
from onhand.simulation.drill_book import DRILLS
from onhand.simulation.drills import Told, rehearse
from onhand.simulation.ground import Ground

SEEN = {
    "weekend_promotion": "lowered",
    "marketplace_times_out": "ebay is dark",
    "warehouse_offline": "% less of main",
    "erp_rejects": "rejected (woocommerce",
    "three_units_three_channels": "nothing had to be done",
    "thousand_orders_in_a_minute": "lowered",
}
"""What onhand is told to have done, somewhere in the story."""


def test_every_drill_has_its_fact() -> None:
    assert set(SEEN) == set(DRILLS)


@pytest.mark.parametrize("name", SEEN)
def test_a_drill_is_told_and_kept(name: str, swept_ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    drill = DRILLS[name]()
    told = rehearse(drill, swept_ground)
    assert told.violation == ""
    assert [row.happened for row in told.rows] == [beat.what for beat in drill.beats]
    assert SEEN[name] in " ".join(row.did for row in told.rows)
    assert told.rows[-1].sold <= drill.scenario.stock[drill.hero] + 40
    show(console(), told)
    said = capsys.readouterr().out
    assert "0 units oversold" in said
    assert "The promises were kept" in said


def console() -> object:
    from rich.console import Console

    return Console(width=200)


def test_a_broken_promise_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    show(console(), Told("A drill", violation="Broken: 4 of 3 are sold"))
    assert "The promises were broken" in capsys.readouterr().out


def test_a_drill_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(["drill", "--scenario", "flood"]) == 2
    assert "weekend_promotion" in capsys.readouterr().err
    assert command_line.run(["drill", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(DRILLS)
