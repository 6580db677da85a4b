"""Several passes of the publish protocol side by side: a slow channel holds up only what is with it just now."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from adapters.wakeups import PUBLISH, Wakeups
from tasks.publish import PublishReport, publish
from tasks.runtime import Runtime
from tasks.shift import beats
from tasks.watch import EVERY, watch


def publish_together(
    runtime: Runtime, seconds: float, every_seconds: float, *, limit: int, at_once: int
) -> list[PublishReport]:
    """Publish what is dirty for `seconds`: every `every_seconds`, and whenever somebody says that stock changed.

    Each of `at_once` publishers claims SKUs of its own, at most `limit` a pass. All but the last take only those
    whose stock changed, so that a sale never waits for all publishers to have done with a long redistribution.
    Returns the passes that had something to do, in the order in which they began; raises what any publisher raised.
    """

    def publisher(number: int) -> list[PublishReport]:
        # A claim must tell them apart: one that hung must not finish what another has taken over since.
        own = replace(runtime, owner=f"{runtime.owner}-{number}")
        return _publish_alone(own, seconds, every_seconds, limit, eager_only=number < at_once - 1)

    with ThreadPoolExecutor(max_workers=at_once + 1, thread_name_prefix="publisher") as pool:
        looking = pool.submit(_look_out, runtime, seconds)
        done = [report for reports in pool.map(publisher, range(at_once)) for report in reports]
        looking.result()
    return sorted(done, key=lambda report: report.began_at)


def _look_out(runtime: Runtime, seconds: float) -> None:
    """For what changes numbers although no stock moved."""
    for _ in beats(seconds, EVERY):
        watch(runtime)


def _publish_alone(
    runtime: Runtime, seconds: float, every_seconds: float, limit: int, *, eager_only: bool
) -> list[PublishReport]:
    reports = []
    with Wakeups(runtime.engine, [PUBLISH]) as wakeups:
        for _ in beats(seconds, every_seconds, wakeups.wait):
            while (report := publish(runtime, limit=limit, eager_only=eager_only)).claimed:
                reports.append(report)
                if report.finished < report.claimed and not report.sold_again:
                    break  # what is left comes due later
    return reports
