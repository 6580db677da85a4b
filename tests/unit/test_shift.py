"""Long-lived runs: how often they work, and that they end in time."""

from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace

import pytest

from tasks import shift

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Clock:
    """Seconds that pass only by sleeping and working."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr(shift, "time", SimpleNamespace(monotonic=lambda: self.seconds, sleep=self.work))

    def work(self, seconds: float) -> None:
        assert seconds >= 0
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def passes(clock: Clock, minutes: float, every: float, work: float = 0.25) -> list[float]:
    """When each pass of a run begins."""
    begun = []
    for seconds in shift.slices(minutes, every):
        for _ in shift.beats(seconds, every):
            begun.append(clock.seconds)
            clock.work(work)
    return begun


def test_zero_minutes_are_one_pass(clock: Clock) -> None:
    assert passes(clock, 0, 60) == [0.0]
    assert clock.seconds == 0.25


@pytest.mark.parametrize(("minutes", "every"), [(15, 60), (15, 45), (15, 5), (2, 0.5), (1, 7), (1, 300), (60, 3600)])
def test_a_run_works_every_so_often_and_to_its_end(clock: Clock, minutes: float, every: float) -> None:
    begun = passes(clock, minutes, every)
    assert clock.seconds == pytest.approx(minutes * 60, abs=0.5)
    gaps = [after - before for before, after in pairwise(begun)]
    # Where a task run ends early, before its next pass would be due, the next task run begins with one.
    whole = max(shift.SLICE_SECONDS, every)
    assert len(begun) <= minutes * 60 / every + minutes * 60 / whole + 1
    assert max(gaps, default=0) <= every + 0.25
    if whole % every == 0:
        assert gaps == pytest.approx([every] * len(gaps))


def test_a_pass_that_takes_longer_is_not_made_up_for(clock: Clock) -> None:
    begun = passes(clock, 1, 5, work=12)
    assert begun == [0, 12, 24, 36, 48]


@pytest.mark.parametrize(
    ("called_at", "begun"),
    [
        ([], [0, 10, 20]),
        ([3], [0, 3, 13, 23]),
        ([3, 4, 27], [0, 3, 4, 14, 24, 27]),
        ([9.99, 29.99], [0, 9.99, 19.99, 29.99]),
    ],
)
def test_a_wake_up_ends_a_pause(clock: Clock, called_at: list[float], begun: list[float]) -> None:
    def wait(seconds: float) -> bool:
        called = [one for one in called_at if clock.seconds < one <= clock.seconds + seconds]
        clock.work(called[0] - clock.seconds if called else seconds)
        return bool(called)

    assert [clock.seconds for _ in shift.beats(30, 10, wait)] == pytest.approx(begun)
    assert clock.seconds == pytest.approx(30)


def test_a_pause_that_is_spent_otherwise_keeps_the_beat(clock: Clock) -> None:
    spent: list[float] = []

    def attend(seconds: float) -> None:
        spent.append(seconds)
        clock.work(seconds)

    assert [clock.seconds for _ in shift.beats(30, 10, attend)] == [0, 10, 20]
    assert spent == [10, 10, 10]
    assert [clock.seconds for _ in shift.beats(0, 10, attend)] == [30], "a single pass also looks once"
    assert spent == [10, 10, 10, 0]


def test_a_run_that_comes_too_late_does_nothing(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shift, "remaining_seconds", lambda minutes, now: -300.0)
    assert passes(clock, 15, 60) == []


def test_time_counts_from_the_scheduled_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shift.flow_run, "get_id", lambda: "a run")
    monkeypatch.setattr(shift.flow_run, "get_scheduled_start_time", lambda: NOON)
    assert shift.remaining_seconds(15, NOON.replace(minute=10)) == 300
    assert shift.remaining_seconds(15, NOON.replace(minute=20)) == -300
    assert shift.remaining_seconds(0, NOON.replace(minute=20)) == 0


@pytest.mark.parametrize(
    ("what", "parameters", "name"),
    [
        ("pull-{channel}", {"channel": "shopify", "minutes": 15}, "pull-shopify-12:00-12:15"),
        ("pull-{channel}", {"channel": "shopify", "minutes": 0}, "pull-shopify-12:00-once"),
        ("reconcile-{channels}", {"channels": ["shopify", "website"]}, "reconcile-shopify-website-12:00"),
    ],
)
def test_names_of_runs(what: str, parameters: dict[str, object], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shift.flow_run, "get_parameters", lambda: parameters)
    monkeypatch.setattr(shift.flow_run, "get_scheduled_start_time", lambda: NOON)
    assert shift.run_name(what)() == name


class Slice:
    """What `task` gives back for a slice, in the shape that `work` uses of a Prefect state."""

    message = "the channel is away"

    def __init__(self, fails: bool) -> None:
        self.fails = fails

    def is_completed(self) -> bool:
        return not self.fails

    def is_failed(self) -> bool:
        return self.fails

    def result(self) -> str:
        if self.fails:
            raise ConnectionError(self.message)
        return "done"


def worked(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, minutes: float, fails: list[bool]
) -> tuple[list[str], list[float]]:
    monkeypatch.setattr(shift, "get_run_logger", lambda: SimpleNamespace(error=lambda *said: None))
    begun: list[float] = []

    def task(seconds: float) -> Slice:
        begun.append(clock.seconds)
        failing = fails.pop(0)
        clock.work(1.0 if failing else seconds)
        return Slice(failing)

    return list(shift.work(minutes, 1.0, task)), begun  # type: ignore[arg-type]


def test_a_failed_slice_does_not_end_the_shift(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first demo of its kind one page answered twice ended a channel's pulls for a quarter of an hour."""
    results, begun = worked(clock, monkeypatch, 2, [False, True, False, False])
    assert results == ["done"] * 3
    assert begun == [0, 30, 60, 90], "the next slice waits for its time: a wrong token is not asked in a loop"


def test_a_shift_whose_last_slice_failed_has_failed(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConnectionError, match="away"):
        worked(clock, monkeypatch, 1, [False, True])


def test_a_single_pass_that_fails_fails_at_once(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConnectionError, match="away"):
        worked(clock, monkeypatch, 0, [True])
    assert clock.seconds == 1.0
