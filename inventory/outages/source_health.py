"""How a source is: live, degraded, dark, paused, recovering. Pure: what is known of it now, and how it was before.

Worse is believed at once, for the evidence is patient already (twice an interval, three faults in a row). Better is
believed after a calm time, and one that was dark comes back in stages: so it does not flap. Worse evidence never gives
a better state.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from inventory.outages.outage_words import HealthState

FAULTS = 3
"""So many calls of one kind failed in a row: that is no accident."""
REFUSED = "reauthenticate"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks against a source now."""

    staleness: float = 0.0
    """Time since it was last read to the end, over what its own interval allows: above 1 it is dark."""
    dark: bool = False
    """It was found to be dark, and has not been read since."""
    faults: dict[str, int] = field(default_factory=dict)
    """{call: how often it failed in a row lately}"""
    refused: bool = False
    """It does not take our credentials."""
    untold: bool = False
    """Its webhooks do not tell of what polling finds."""
    paused: bool = False
    """Somebody took it off sale."""

    @property
    def causes(self) -> list[str]:
        """In words, the gravest first."""
        found = []
        if self.dark or self.staleness > 1:
            found.append("not read for longer than its interval allows")
        if self.refused:
            found.append("it refuses our credentials")
        found += [f"{count} {call}s in a row failed" for call, count in sorted(self.faults.items()) if count >= FAULTS]
        if self.untold:
            found.append("its webhooks do not tell of all its orders")
        return found

    @property
    def gravity(self) -> HealthState:
        """What this alone would make of it: live, degraded or dark."""
        if self.dark or self.staleness > 1:
            return HealthState.DARK
        return HealthState.DEGRADED if self.causes else HealthState.LIVE

    @property
    def answers(self) -> bool:
        """Nothing says that it can be neither read nor written to; it may be dark because nobody asks."""
        return not self.refused and not self.faults.get("read") and not self.faults.get("write")

    def as_plain(self) -> dict[str, Any]:
        return {
            "staleness": round(self.staleness, 2),
            "faults": dict(self.faults),
            "refused": self.refused,
            "untold": self.untold,
            "paused": self.paused,
        }


@dataclass(frozen=True, slots=True)
class Health:
    state: HealthState
    since: datetime
    cause: str = ""
    good_since: datetime | None = None
    """Nothing was wrong from then on. None: something is."""
    stage: int = 0
    """While it recovers: the stage of its raise, from 0."""
    stage_at: datetime | None = None
    """When that stage began, or was last held up by something wrong."""

    @classmethod
    def new(cls, now: datetime) -> "Health":
        return cls(HealthState.LIVE, now, good_since=now)


def next_health(
    before: Health, found: Evidence, *, now: datetime, calm: timedelta, stages: int, stage_length: timedelta
) -> Health:
    """The state after this look. `stages`: of the raise; without any, one that was dark is live after the calm time."""
    gravity = found.gravity
    good_since = None if gravity is not HealthState.LIVE else before.good_since or now
    state, stage, stage_at = before.state, before.stage, before.stage_at
    calmed = good_since is not None and now - good_since >= calm
    if found.paused:
        state = HealthState.PAUSED
    elif gravity is HealthState.DARK:
        state = HealthState.DARK
    elif before.state in (HealthState.DARK, HealthState.PAUSED):
        state = HealthState.RECOVERING
    elif before.state is HealthState.RECOVERING:
        if gravity is HealthState.DEGRADED:
            stage_at = now
        elif stage < stages and stage_at is not None and now - stage_at >= stage_length:
            stage, stage_at = stage + 1, now
        if stage >= stages and calmed:
            state = HealthState.LIVE
    elif gravity is HealthState.DEGRADED:
        state = HealthState.DEGRADED
    elif before.state is HealthState.DEGRADED and calmed:
        state = HealthState.LIVE
    changed = state is not before.state
    if changed:
        stage, stage_at = 0, now if state is HealthState.RECOVERING else None
    return Health(
        state,
        now if changed else before.since,
        _cause(before, state, found.causes),
        good_since,
        stage,
        stage_at,
    )


def _cause(before: Health, state: HealthState, causes: Sequence[str]) -> str:
    if causes:
        return "; ".join(causes)
    if state is HealthState.LIVE:
        return ""
    if state is before.state:
        return before.cause
    return "read again" if state is HealthState.RECOVERING else "taken off sale"
