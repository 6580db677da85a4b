"""What every benchmark gives: figures beside the floor or the peer of the same run, with the noise of the runs."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from math import floor as whole
from math import log10
from statistics import median
from typing import Any

Say = Callable[[str], None]
"""Tells a person what is measured now."""


@dataclass(frozen=True, slots=True)
class Target:
    """What design section 14 asks for: of the value, or of its ratio to what stands beside it."""

    number: float
    of_ratio: bool = False
    most: bool = False
    """The number is a ceiling; else a floor."""

    def met(self, value: float, ratio: float | None) -> bool:
        found = ratio if self.of_ratio else value
        if found is None:
            raise ValueError("a target of a ratio needs something to compare with")
        return found <= self.number if self.most else found >= self.number

    def told(self, unit: str) -> str:
        sign = "≤" if self.most else "≥"
        return f"{sign} {self.number:,g} {'×' if self.of_ratio else unit}"


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of the runs, with all of them; `ratio` is it beside the median of the floor's runs."""

    name: str
    unit: str
    median: float
    min: float
    max: float
    runs: list[float]
    beside: str = ""
    """What `floor` is; empty when nothing stands beside it."""
    floor: float | None = None
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    series: str = ""
    """Figures of one series are points of one line in the pictures, at `x`."""
    x: float | None = None


@dataclass(slots=True)
class Result:
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What the run itself found out besides: sentences with their numbers."""

    def add(
        self,
        name: str,
        unit: str,
        runs: Sequence[float],
        *,
        beside: str = "",
        floor: Sequence[float] = (),
        targets: Sequence[Target] = (),
        series: str = "",
        x: float | None = None,
    ) -> Figure:
        value = median(runs)
        ratio = value / median(floor) if floor else None
        made = Figure(
            name=name,
            unit=unit,
            median=rounded(value),
            min=rounded(min(runs)),
            max=rounded(max(runs)),
            runs=[rounded(one) for one in runs],
            beside=beside,
            floor=rounded(median(floor)) if floor else None,
            ratio=None if ratio is None else rounded(ratio),
            target=" and ".join(one.told(unit) for one in targets),
            met=all(one.met(value, ratio) for one in targets) if targets else None,
            series=series,
            x=x,
        )
        self.figures.append(made)
        return made

    def to_dict(self) -> dict[str, Any]:
        return {"rows": [asdict(one) for one in self.figures], "notes": self.notes}

    @classmethod
    def of(cls, written: dict[str, Any]) -> "Result":
        return cls([Figure(**row) for row in written["rows"]], list(written["notes"]))


def rounded(number: float, digits: int = 4) -> float:
    """To so many significant digits: what is behind them is noise."""
    if not number:
        return 0.0
    return round(number, max(0, digits - 1 - whole(log10(abs(number)))))


def said(number: float | None) -> str:
    """For people: thousands with commas, small numbers with as many digits as they have."""
    if number is None:
        return ""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:g}"
