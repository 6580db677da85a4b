"""`onhand simulate`: play seeds, say how it goes, tell each broken promise as a short story."""

import json
import sys
import time
from pathlib import Path

from onhand.simulation.totals import Failure, Total

SAY_EVERY = 5.0
"""Seconds between two lines where there is no terminal; in one the line is written over and over."""


class SimulationError(Exception):
    """What was asked for makes no sense; the message says why."""


def run_simulate(seeds: int, start: int, days: float, jobs: int, to_json: Path | None) -> int:
    """1 when a promise was broken. Raises SimulationError, and `many.Lost` when a process of it ended early."""
    # Imported here: the command line knows the error of this module, and need not import the world for it.
    from onhand.simulation.many import simulate

    if to_json is not None and not to_json.resolve().parent.is_dir():
        raise SimulationError(f"there is no folder {to_json.resolve().parent} to write {to_json.name} into")
    said = _Progress(seeds)
    total = simulate(start, seeds, days, jobs, said.say)
    said.end(total)
    if to_json is not None:
        to_json.write_text(json.dumps(total.as_plain(), indent=2) + "\n", encoding="utf-8")
    for failure in sorted(total.failures, key=lambda one: one.seed):
        print("\n".join(story(failure, days)))
    figures, killed = total.figures, total.kills.total()
    print(
        f"{total.seeds:,} seeds, {total.days:,.0f} days, {figures['orders']:,} orders, {figures['pushes']:,} numbers "
        f"sent, {total.faults.total():,} faults, {killed:,} processes killed at {len(total.kills)} places: "
        f"{len(total.failures)} broke a promise, {figures['oversold']} units oversold"
    )
    return 1 if total.failures else 0


def story(failure: Failure, days: float) -> list[str]:
    """What is left of a failing seed, what happened then, and how to see it again."""
    again = f"onhand simulate --seeds 1 --start {failure.seed}" + (f" --days {days:g}" if days != 1 else "")
    shrunk = f", made small in {failure.tries} tries" if failure.tries else ""
    return [
        f"seed {failure.seed} broke a promise{shrunk}: {failure.violation}",
        "  what is in it:", *(f"    {line}" for line in failure.scenario),
        "  what happened:", *(f"    {line}" for line in failure.history),
        f"  again: {again}",
    ]  # fmt: skip


class _Progress:
    """One line on the error output, so that the result can be piped."""

    def __init__(self, seeds: int) -> None:
        self._seeds, self._last, self._terminal = seeds, 0.0, sys.stderr.isatty()
        self._told = 0

    def say(self, total: Total) -> None:
        for failure in total.failures[self._told :]:
            start = "\r\033[K" if self._terminal else ""
            print(f"{start}seed {failure.seed} broke a promise: {failure.violation}", file=sys.stderr, flush=True)
        self._told = len(total.failures)
        now = time.monotonic()
        if now - self._last < (0.2 if self._terminal else SAY_EVERY):
            return
        self._last = now
        left = total.wall_s / total.seeds * (self._seeds - total.seeds)
        line = (
            f"{total.seeds:,} of {self._seeds:,} seeds, {total.figures['orders']:,} orders, "
            f"{total.faults.total():,} faults, {len(total.failures)} broken, "
            f"{total.cpu_s / total.seeds:.2f} CPU-s a seed, about {left / 60:.0f} min left"
        )
        print(
            f"\r\033[K{line}" if self._terminal else line,
            end="" if self._terminal else "\n",
            file=sys.stderr,
            flush=True,
        )

    def end(self, total: Total) -> None:
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
