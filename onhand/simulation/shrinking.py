"""A failing scenario made small: fewer faults, fewer orders, fewer channels, while it still fails in the same way."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from onhand.simulation.scenario import Buys, Happening, Scenario, Works

MOST_TRIES = 80

Fails = Callable[[Scenario], str]
"""Plays it; why it fails, empty when it does not."""


def kind_of(violation: str) -> str:
    """The same for failures that differ in their numbers and names only."""
    return re.sub(r"\d+|'[^']*'", "#", violation)[:60]


def shrink(scenario: Scenario, violation: str, fails: Fails, *, tries: int = MOST_TRIES) -> tuple[Scenario, str, int]:
    """The smallest that was found within so many tries, how it fails, and how many tries it took."""
    wanted = kind_of(violation)
    used = 0

    def still(candidate: Scenario) -> str:
        nonlocal used
        used += 1
        found = fails(candidate)
        return found if kind_of(found) == wanted else ""

    smaller = True
    while smaller and used < tries:
        smaller = False
        for candidates in (_with_less, _with_healthy_processes, _with_fewer_channels, _with_smaller_orders):
            scenario, violation, helped = _reduce(scenario, violation, candidates, still, lambda: used >= tries)
            smaller = smaller or helped
    return scenario, violation, used


def _reduce(
    scenario: Scenario,
    violation: str,
    candidates: Callable[[Scenario], Iterator[Scenario]],
    still: Fails,
    spent: Callable[[], bool],
) -> tuple[Scenario, str, bool]:
    """The first candidate that still fails takes the scenario's place, as long as there is one."""
    helped = False
    while True:
        for candidate in candidates(scenario):
            if spent():
                return scenario, violation, helped
            if found := still(candidate):
                scenario, violation, helped = candidate, found, True
                break
        else:
            return scenario, violation, helped


def _with_less(scenario: Scenario) -> Iterator[Scenario]:
    """Without halves, quarters, … single happenings."""
    every = scenario.happenings
    part = len(every) // 2
    while part:
        for start in range(0, len(every), part):
            yield replace(scenario, happenings=every[:start] + every[start + part :])
        part //= 2


def _with_healthy_processes(scenario: Scenario) -> Iterator[Scenario]:
    for number, one in enumerate(scenario.happenings):
        if isinstance(one, Works) and (one.killed or one.cut):
            yield _put(scenario, number, replace(one, killed=0, cut=0))


def _with_fewer_channels(scenario: Scenario) -> Iterator[Scenario]:
    for plan in scenario.channels if len(scenario.channels) > 1 else ():
        left = tuple(one for one in scenario.channels if one is not plan)
        kept = tuple(one for one in scenario.happenings if getattr(one, "channel", "") != plan.code)
        yield replace(scenario, channels=left, happenings=kept)


def _with_smaller_orders(scenario: Scenario) -> Iterator[Scenario]:
    for number, one in enumerate(scenario.happenings):
        if isinstance(one, Buys) and sum(units for _, units in one.lines) > 1:
            yield _put(scenario, number, replace(one, lines=((one.lines[0][0], 1),)))


def _put(scenario: Scenario, number: int, happening: Happening) -> Scenario:
    every: Sequence[Happening] = scenario.happenings
    return replace(scenario, happenings=(*every[:number], happening, *every[number + 1 :]))
