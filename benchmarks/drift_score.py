"""What was made of planted drift: found or not, classed right or not, healed or opened."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Engine, text

from benchmarks.drift_week import Planted
from inventory.words import DiscrepancyClass

IN_TIME = timedelta(hours=30)
"""What is found later than this was not found."""


@dataclass
class Score:
    planted: int = 0
    found: int = 0
    right: int = 0
    given: int = 0
    """Discrepancies that ended in this class."""
    deserved: int = 0
    fates: Counter[str] = field(default_factory=Counter)

    @property
    def recall(self) -> float:
        return self.right / self.planted if self.planted else 1.0

    @property
    def precision(self) -> float:
        return self.deserved / self.given if self.given else 1.0


@dataclass
class Scores:
    by_class: dict[DiscrepancyClass, Score]
    missed: list[Planted]
    wrong: list[tuple[Planted, str]]
    """Found, and given another class."""
    unplanted: list[str]
    """Discrepancies that nobody planted."""


def score(engine: Engine, planted: Sequence[Planted]) -> Scores:
    """Hold the discrepancies against what was planted: right subject, in time, right class."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT id, comparison, subject, kind, status, resolution, opened_at, last_seen_at FROM discrepancy")
        ).all()
    scores = Scores({kind: Score() for kind in DiscrepancyClass}, [], [], [])
    used: set[int] = set()
    for one in planted:
        mine = scores.by_class[one.kind]
        mine.planted += 1
        found = [
            row
            for row in rows
            if row.id not in used and row.comparison == one.comparison and row.subject in one.subjects
            and row.last_seen_at >= one.at and row.opened_at <= one.at + IN_TIME
        ]  # fmt: skip
        if not found:
            scores.missed.append(one)
            continue
        row = min(found, key=lambda row: (row.kind != one.kind, row.opened_at))
        used.add(row.id)
        mine.found += 1
        scores.by_class[DiscrepancyClass(row.kind)].fates[row.resolution or row.status] += 1
        if row.kind == one.kind:
            mine.right += 1
        else:
            scores.wrong.append((one, row.kind))
    wrong = Counter(kind for _, kind in scores.wrong)
    for row in rows:
        given = scores.by_class[DiscrepancyClass(row.kind)]
        given.given += 1
        given.deserved += row.id in used
        if row.id not in used:
            scores.unplanted.append(f"{row.comparison} {row.subject}: {row.kind}, {row.resolution or row.status}")
    for kind, many in wrong.items():
        scores.by_class[DiscrepancyClass(kind)].deserved -= many
    return scores
