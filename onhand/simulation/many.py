"""Many seeds in several processes, added up."""

import multiprocessing
import os
import queue
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from onhand.simulation.drawing import draw
from onhand.simulation.ground import own_ground
from onhand.simulation.playing import play
from onhand.simulation.shrinking import shrink
from onhand.simulation.totals import Failure, Lost, Total

MOST_SHRUNK = 3
"""A fault of ours fails many seeds: each process makes so many of them small."""
LAST_LINES = 60


def simulate(
    start: int, seeds: int, days: float, jobs: int, say: Callable[[Total], None] = lambda total: None
) -> Total:
    """Play the seeds from `start` on. `say` is told the total so far, about once a second. Raises Lost."""
    total, began = Total(start), time.monotonic()
    context = multiprocessing.get_context("spawn")
    jobs = max(1, min(jobs, seeds))
    with _same_order_of_sets():
        results: Any = context.Queue()
        workers = [
            context.Process(target=_work, args=(results, range(start + job, start + seeds, jobs), days), daemon=False)
            for job in range(jobs)
        ]
        for worker in workers:
            worker.start()
    try:
        while total.seeds < seeds:
            try:
                outcome, failure = results.get(timeout=1.0)
            except queue.Empty:
                if not any(worker.is_alive() for worker in workers) and results.empty():
                    raise Lost(f"{seeds - total.seeds} seeds were not played: the processes ended") from None
                continue
            total.add(outcome, failure)
            total.wall_s = time.monotonic() - began
            say(total)
    except BaseException:
        for worker in workers:
            worker.terminate()
        raise
    finally:
        for worker in workers:
            worker.join()
    return total


@contextmanager
def _same_order_of_sets() -> Iterator[None]:
    """A seed is to be played the same in each process: also where something goes through a set of texts."""
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = before


def _work(results: Any, seeds: range, days: float) -> None:
    shrunk = 0
    # Told to end, it leaves in order: its server ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with own_ground() as ground:
        for seed in seeds:
            scenario = draw(seed, days)
            server = ground.server_cpu()
            outcome = play(scenario, ground)
            outcome.cpu_s += ground.server_cpu() - server
            failure = None
            if outcome.violation:
                failure = Failure(seed, outcome.violation, scenario.tell(), outcome.history[-LAST_LINES:])
                if shrunk < MOST_SHRUNK:
                    shrunk += 1
                    small, _, failure.tries = shrink(
                        scenario, outcome.violation, lambda one: play(one, ground).violation
                    )
                    again = play(small, ground)
                    failure.scenario, failure.history = small.tell(), again.history[-LAST_LINES:]
            outcome.history = []
            results.put((outcome, failure))
