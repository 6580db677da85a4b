"""Several channels side by side in one warm process: each is read as `pull_channel` reads it."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from prefect import flow

from flows.forms import Channels, EverySeconds, Minutes
from flows.pull_channel import pull_shift
from tasks.shift import run_name


@flow(name="pull_channels", flow_run_name=run_name("pull-{channels}"), log_prints=False)
def pull_channels(channels: Channels, minutes: Minutes = 0, every_seconds: EverySeconds = 60) -> None:
    """Read what these channels sold, all at the same time; one that is in trouble holds up none of the others.

    One process for all of them costs one start of Python and one Great Expectations, not one for each.
    """
    with ThreadPoolExecutor(max_workers=len(channels), thread_name_prefix="pull") as pool:
        # Each thread works inside this flow run: Prefect finds it in the context.
        shifts = [
            pool.submit(copy_context().run, pull_shift, channel, minutes, every_seconds)
            for channel in dict.fromkeys(channels)
        ]
    failures = [error for shift in shifts if (error := shift.exception()) is not None]
    if failures:
        raise failures[0]
