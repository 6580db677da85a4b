"""The bound over a day, told in a few rows."""

from datetime import UTC, datetime, timedelta
from io import StringIO

from rich.console import Console

from inventory.publishing.exposure_view import Sample
from onhand.trading_day.exposure_story import MOST_ROWS, story, summed_up

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)


def samples(beyond: dict[int, int]) -> list[Sample]:
    return [
        Sample(BEGIN + timedelta(seconds=2 * number), 900 - number, 1_000 - number, beyond.get(number, 0), 0)
        for number in range(40)
    ]


def told(taken: list[Sample]) -> str:
    console = Console(width=120, file=StringIO())
    with console.capture() as captured:
        console.print(story(taken))
    return captured.get()


def test_few_rows_and_none_of_the_worst_moments_is_left_out() -> None:
    table = story(samples({17: 7}))
    assert table.row_count <= MOST_ROWS
    assert "7" in told(samples({17: 7})).split()
    assert summed_up(samples({17: 7})) == "in 1 of 40 samples, at most 7 units"
    assert summed_up(samples({})) == "never in 40 samples"


def test_a_day_without_samples() -> None:
    assert story([]).row_count == 0
    assert summed_up([]) == "never in 0 samples"
