"""Long-lived runs: a flow run that goes on for a while, warm, instead of many that each start Python anew.

A scheduled run works from its scheduled time to `minutes` after it, so that one ends where the next begins,
and a run that comes too late (after a downtime they come in a row) sees that its time is over.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

Result = TypeVar("Result")

SLICE_SECONDS = 30.0
"""A task run inside a shift lasts about so long: few rows in Prefect's database, and progress to look at."""


def run_name(what: str) -> Callable[[], str]:
    """For `flow_run_name`: `what` filled with the run's parameters, then its window of time in UTC.

    "pull-{channel}" gives "pull-shopify-09:15-09:30", "pull-shopify-09:17-once", or without `minutes`
    "reconcile-shopify-website-09:20". The date is the run's own column.
    """

    def name() -> str:
        parameters = flow_run.get_parameters()
        filled = what.format_map({key: _readable(value) for key, value in parameters.items()})
        begin = flow_run.get_scheduled_start_time()
        window = f"{begin.astimezone(UTC):%H:%M}"
        if "minutes" in parameters:
            minutes = float(parameters["minutes"])
            end = begin.astimezone(UTC) + timedelta(minutes=minutes)
            window += f"-{end:%H:%M}" if minutes else "-once"
        return f"{filled}-{window}"

    return name


def _readable(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value) or "all"


def remaining_seconds(minutes: float, now: datetime) -> float:
    """What is left of this run's time. 0 for a single pass (`minutes` = 0), negative when it came too late."""
    if minutes == 0:
        return 0.0
    begin = flow_run.get_scheduled_start_time() if flow_run.get_id() else None
    return ((begin or now) + timedelta(minutes=minutes) - now).total_seconds()


def slices(minutes: float, every: float) -> Iterator[float]:
    """The lengths in seconds of the task runs that fill this run's time, each with one pass every `every` seconds
    or more. A single pass is one of length 0."""
    seconds = remaining_seconds(minutes, datetime.now(UTC))
    if minutes == 0:
        yield 0.0
        return
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        yield min(max(SLICE_SECONDS, every), left)


def work(minutes: float, every: float, task: Callable[[float], State[Result]]) -> Iterator[Result]:
    """Run the task, called with seconds and returning its state, for each slice; what the slices gave.

    A slice that fails, all retries included, does not end a shift: the task run says so in the UI, and the next
    slice begins when this one's time is over. The run fails if it is a single pass, or if its last slice failed.
    """
    failed: State[Result] | None = None
    for seconds in slices(minutes, every):
        end = time.monotonic() + seconds
        state = task(seconds)
        if state.is_completed():
            failed = None
            yield state.result()
        elif minutes and state.is_failed():
            failed = state
            get_run_logger().error("a slice failed (%s); the shift goes on", state.message)
            time.sleep(max(0.0, end - time.monotonic()))
        else:
            state.result()
    if failed is not None:
        failed.result()


def beats(seconds: float, every: float, wait: Callable[[float], object] | None = None) -> Iterator[int]:
    """Once at once, then every `every` seconds until `seconds` have passed, all of them; never two at a time.

    `wait` is how a pause is spent: it is called with its length and may end it early; if it then returns
    something true, the next beat is now, and the one after it `every` seconds later.
    """
    end = time.monotonic() + seconds
    number = 0
    while True:
        begun = time.monotonic()
        yield number
        number += 1
        now = time.monotonic()
        pause = max(0.0, min(begun + every, end) - now)
        if wait is None:
            time.sleep(pause)
        elif wait(pause) and time.monotonic() < end:
            continue
        if begun + every >= end or now >= end:
            return
