"""Several passes of the publish protocol side by side: a slow channel holds up only what is with it just now."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Event

from adapters.database import in_transaction
from adapters.wakeups import PUBLISH, Wakeups
from inventory.publishing.left_claims import drop_skus
from inventory.publishing.outbox import Part
from tasks.publishing.publish import PublishReport, publish
from tasks.publishing.shards import current_part
from tasks.publishing.watch import EVERY, watch
from tasks.runtime import Runtime
from tasks.shift import beats


def publish_together(
    runtime: Runtime, seconds: float, every_seconds: float, *, limit: int, at_once: int
) -> list[PublishReport]:
    """Publish what is dirty for `seconds`: every `every_seconds`, and whenever somebody says that stock changed.

    Each of `at_once` publishers claims SKUs of its own, at most `limit` a pass. All but the last take only those
    whose stock changed, so that a sale never waits for all publishers to have done with a long redistribution. Of
    several processes each takes its own part (`tasks.publishing.shards`). Returns the passes that had something to do,
    in the order in which they began; raises what any publisher raised.
    """

    part, broken = current_part(), Event()

    def publisher(number: int) -> list[PublishReport]:
        # A claim must tell them apart: one that hung must not finish what another has taken over since.
        own = replace(runtime, owner=f"{part.owner if part else runtime.owner}-{number}")
        with _telling(broken):
            return _publish_alone(own, seconds, every_seconds, limit, part, broken, eager_only=number < at_once - 1)

    with ThreadPoolExecutor(max_workers=at_once + 1, thread_name_prefix="publisher") as pool:
        looking = pool.submit(_look_out, runtime, seconds, broken)
        done = [report for reports in pool.map(publisher, range(at_once)) for report in reports]
        looking.result()
    return sorted(done, key=lambda report: report.began_at)


@contextmanager
def _telling(broken: Event) -> Iterator[None]:
    """One that fails ends all: they are tried again together, at once, and not when the last of them has done."""
    try:
        yield
    except BaseException:
        broken.set()
        raise


def _look_out(runtime: Runtime, seconds: float, broken: Event) -> None:
    """For what changes numbers although no stock moved."""
    with _telling(broken):
        for _ in beats(seconds, EVERY, broken.wait):
            if broken.is_set():
                return
            watch(runtime)


def _publish_alone(
    runtime: Runtime,
    seconds: float,
    every_seconds: float,
    limit: int,
    part: Part | None,
    broken: Event,
    *,
    eager_only: bool,
) -> list[PublishReport]:
    reports: list[PublishReport] = []
    # Of an attempt that a lost connection has ended in the middle of a pass: it would lie until the lease ends.
    in_transaction(runtime.engine, lambda connection: drop_skus(connection, runtime.owner))
    with Wakeups(runtime.engine, [PUBLISH]) as wakeups:
        for _ in beats(seconds, every_seconds, wakeups.wait):
            if broken.is_set():
                return reports
            while (report := publish(runtime, limit=limit, eager_only=eager_only, part=part)).claimed:
                reports.append(report)
                if report.finished < report.claimed and not report.sold_again:
                    break  # what is left comes due later
    return reports
