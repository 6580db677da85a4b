"""Figures as people read them, and how bad they are."""

from datetime import datetime
from enum import IntEnum


class State(IntEnum):
    """The worse, the larger. `UNKNOWN`: there is nothing to judge by yet."""

    FINE = 0
    UNKNOWN = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        return ("fine", "not known", "warning", "critical")[self]


def judged(value: float | None, warning: float, critical: float) -> State:
    """Of a figure that is the worse the larger it is; the limits themselves are over the line."""
    if value is None:
        return State.UNKNOWN
    return State.CRITICAL if value >= critical else State.WARNING if value >= warning else State.FINE


def percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def seconds(value: float | None) -> str:
    """A length of time with one unit: `0.8 s`, `12 min`, `3.5 h`, `2.1 days`."""
    if value is None:
        return "–"
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if value >= 1.5 * size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.1f} s"


def moment(at: datetime | None) -> str:
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M}"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def many(count: int, noun: str) -> str:
    """`1 SKU`, `1,200 SKUs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
