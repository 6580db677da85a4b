"""One part of the health report, for the page, the artifacts and the terminal alike."""

from dataclasses import dataclass

from tasks.health.health_words import State

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Section:
    key: str
    """Lower case and dashes."""
    title: str
    state: State
    figure: str
    """The one number, in few characters."""
    says: str
    """A sentence."""
    rows: list[Row]
    """Worst first."""
    trend: str = ""
    """Name of the daily samples that belong to it."""
