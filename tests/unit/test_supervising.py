"""The supervisor goes on trying: a full disk is freed at some time, and nobody else would start what it has ended."""

from itertools import pairwise
from pathlib import Path

import pytest

from adapters.settings import Settings
from onhand import stack as stack_module
from onhand.stack import Stack


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(stack_module.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("it does not start")])
def test_what_does_not_come_back_is_tried_again_for_ever(tmp_path: Path, clock: list[float], error: Exception) -> None:
    stack = Stack(Settings(data_dir=tmp_path), shops=(), worker=False, deploy=False)
    tries: list[float] = []

    def restart() -> None:
        tries.append(clock[0])
        raise error

    for _ in range(2 * 3600):
        stack._again("PostgreSQL", restart)
        clock[0] += 0.5
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses[:5] == [1, 2, 4, 8, 15]
    assert set(pauses[5:]) == {15}
    assert stack.failure is None


def test_one_that_cannot_start_keeps_no_other_waiting(tmp_path: Path, clock: list[float]) -> None:
    stack = Stack(Settings(data_dir=tmp_path), shops=(), worker=False, deploy=False)
    started: list[str] = []

    def fails() -> None:
        raise OSError(28, "No space left on device")

    for _ in range(4):
        stack._again("PostgreSQL", fails)
        stack._again("worker", lambda: started.append("worker"))
    assert started == ["worker"], "at once, and then not again in the same instant"
