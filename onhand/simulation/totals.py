"""What many seeds came to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onhand.simulation.playing import Outcome

REAL_GATE_EVERY = 20
"""One seed in so many has the real gate; the others have its plain masks, which a property test holds equal to it."""
_ADDED = ("orders", "units", "cancelled", "pushes", "confirmed", "pulls", "calls", "webhooks", "steps", "oversold")


class Lost(Exception):
    """A process of the simulation ended before its seeds were played."""


@dataclass
class Failure:
    """`scenario`: what was left of it after it was made small; `history`: what then happened, the end last."""

    seed: int
    violation: str
    scenario: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    tries: int = 0


@dataclass
class Total:
    start: int
    seeds: int = 0
    days: float = 0.0
    figures: Counter[str] = field(default_factory=Counter)
    oversold_by_strangers: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0

    def add(self, one: Outcome, failure: Failure | None) -> None:
        self.seeds += 1
        self.days += one.days
        self.figures.update({name: getattr(one, name) for name in _ADDED})
        self.oversold_by_strangers += one.by_strangers
        self.faults.update(one.faults)
        self.kills.update(one.kills)
        self.cpu_s += one.cpu_s
        if failure is not None:
            self.failures.append(failure)

    def as_plain(self) -> dict[str, Any]:
        last = self.start + self.seeds - 1
        gated = last // REAL_GATE_EVERY - (self.start - 1) // REAL_GATE_EVERY
        return {
            "start": self.start, "seeds": self.seeds, "days": round(self.days, 3),
            **{name: self.figures[name] for name in _ADDED}, "oversold_by_foreign_writes": self.oversold_by_strangers,
            "seeds_with_the_real_gate": gated, "faults": dict(self.faults.most_common()),
            "killed": self.kills.total(), "kills_by_step": dict(sorted(self.kills.items())),
            "violations": [vars(one) for one in sorted(self.failures, key=lambda one: one.seed)],
            "cpu_seconds": round(self.cpu_s, 2), "cpu_seconds_a_seed": round(self.cpu_s / max(1, self.seeds), 4),
            "wall_seconds": round(self.wall_s, 1),
        }  # fmt: skip
