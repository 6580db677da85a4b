"""Clients: threads that ask again and again for a while, spread over as many processes as asked for.

The processes are started once and wait for work, so that no measurement pays for a start. All clients of a
measurement begin at the same moment; a rate is what was finished, divided by the time until the last of them
had finished.
"""

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module

import numpy as np

from benchmarks.ledger import SKUS

PROCESSES = 2
LEAD = 0.25
"""Seconds for connecting before the clients begin."""
LONGEST_ORDER = 3

Step = Callable[[tuple[tuple[str, int], ...], str], int]
"""Ask for one order's lines under a key; returns the units sold."""


@dataclass(frozen=True, slots=True)
class Load:
    """Who asks for what. `demand`: hot (one SKU), spread (all alike), zipf (as customers do)."""

    clients: int
    demand: str
    seconds: float
    warm_up: float = 0.4
    """Seconds before, in which a new connection learns its tables and the plans are made; not measured."""
    lines: int = LONGEST_ORDER
    """An order has 1 to this many lines, all equally likely; on one SKU it has one."""


@dataclass(frozen=True, slots=True)
class Done:
    """What the clients did: in all, which is what the rows must show, and in the measured time."""

    orders: int
    units: int
    measured: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.measured / self.seconds


def run_threads(step: Step, load: Load, *, begin: float, share: int = 0) -> Done:
    """`load.clients` threads call `step` from the wall-clock instant `begin` on; `share` tells processes apart."""
    counts: list[tuple[int, int, int, float]] = []
    errors: list[BaseException] = []
    measured_from = begin + load.warm_up
    end = measured_from + load.seconds

    def client(number: int) -> None:
        orders = orders_of(load, seed=share * 1000 + number)
        before = done = units = 0
        moment = begin
        try:
            time.sleep(max(0.0, begin - time.time()))
            while moment < end:
                units += step(next(orders), f"{share}-{number}-{done}")
                done += 1
                moment = time.time()
                if moment < measured_from:
                    before = done
        except BaseException as error:
            errors.append(error)
        counts.append((done, units, done - before, moment))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(load.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    orders, units, measured, moments = zip(*counts, strict=True)
    return Done(sum(orders), sum(units), sum(measured), max(moments) - measured_from)


_ZIPF = 1 / np.arange(1, len(SKUS) + 1)


def orders_of(load: Load, seed: int) -> Iterator[tuple[tuple[str, int], ...]]:
    """An endless stream of orders; the same seed gives the same orders. Drawn in blocks, which costs little."""
    chance = np.random.default_rng(seed)
    weights = {
        "hot": np.eye(1, len(SKUS))[0],
        "spread": np.full(len(SKUS), 1 / len(SKUS)),
        "zipf": _ZIPF / _ZIPF.sum(),
    }[load.demand]
    longest = 1 if load.demand == "hot" else load.lines
    while True:
        lengths = chance.integers(1, longest, size=512, endpoint=True)
        picks = chance.choice(len(SKUS), size=(512, longest), p=weights)
        for length, row in zip(lengths.tolist(), picks.tolist(), strict=True):
            yield tuple((SKUS[pick], 1) for pick in row[:length])


Worker = Callable[[str, Load, float, int], Done]
"""(database URL, load, begin, share): runs in a worker process, returns what its clients did."""


class Crew:
    """Worker processes that stay."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def run(self, worker: Worker, url: str, load: Load, processes: int = PROCESSES) -> Done:
        """The clients of the load dealt out to the processes."""
        used = min(processes, load.clients)
        begin = time.time() + LEAD
        shares = [replace(load, clients=load.clients // used + (share < load.clients % used)) for share in range(used)]
        jobs = [self._pool.submit(partial(worker, url, part, begin, share)) for share, part in enumerate(shares)]
        parts = [job.result() for job in jobs]
        return Done(
            orders=sum(part.orders for part in parts),
            units=sum(part.units for part in parts),
            measured=sum(part.measured for part in parts),
            seconds=max(part.seconds for part in parts),
        )


@contextmanager
def crew() -> Iterator[Crew]:
    with ProcessPoolExecutor(
        PROCESSES,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=import_module,
        initargs=("benchmarks.holds",),
    ) as pool:
        # As many jobs as processes, each long enough that no process does two: now all are there.
        list(pool.map(time.sleep, [0.5] * PROCESSES))
        yield Crew(pool)
