"""What one look of the fallback found and did, for people."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from inventory.outages.fallback_store import DOWN, Taken
from inventory.outages.health_store import Seen
from inventory.outages.ladder import Decision
from inventory.outages.outage_words import HealthState, LadderStep, SourceKind
from inventory.outages.source_health import Health


@dataclass(slots=True)
class Source:
    """A row of the report."""

    kind: SourceKind
    subject: str
    health: Health
    seen: Seen
    was: HealthState
    step: LadderStep = LadderStep.NOTHING
    """Taken now."""
    risk: float = 0.0
    units: int = 0
    """At stake, in pieces."""
    doing: str = ""
    """What is open, in words."""
    percent: int = 0

    def as_row(self, now: datetime) -> dict[str, Any]:
        age = None if self.seen.last_at is None else now - self.seen.last_at
        return {
            "what": self.kind.value,
            "which": self.subject,
            "state": self.health.state.value,
            "since": f"{self.health.since:%Y-%m-%d %H:%M} UTC",
            "because": self.health.cause,
            "last known": "never" if age is None else f"{age / timedelta(minutes=1):,.1f} min ago",
            "at stake": self.units or "",
            "risk": f"{self.risk:.1f}" if self.risk else "",
            "step now": self.step.value if self.step is not LadderStep.NOTHING else "",
            "in force": self.doing,
        }


@dataclass(slots=True)
class Looked:
    now: datetime
    dry_run: bool = False
    sources: list[Source] = field(default_factory=list)
    to_pause: list[tuple[str, str]] = field(default_factory=list)
    """(channel, why)"""
    to_lift: list[str] = field(default_factory=list)
    went_dark: list[str] = field(default_factory=list)
    """Channels of which that is news."""
    turned: list[str] = field(default_factory=list)
    """What became of the switches, in words."""

    @property
    def changed(self) -> bool:
        return any(one.health.state is not one.was or one.step is not LadderStep.NOTHING for one in self.sources)

    def rows(self) -> list[dict[str, Any]]:
        return [one.as_row(self.now) for one in self.sources]


def steps_down(steps: list[Taken]) -> bool:
    return any(one.step in DOWN for one in steps)


def in_words(steps: list[Taken]) -> str:
    said = []
    hidden = sorted({one.on_channel for one in steps if one.step is LadderStep.HIDE})
    if hidden:
        said.append(
            f"{len({one.sku for one in steps if one.step is LadderStep.HIDE})} SKUs hidden on {', '.join(hidden)}"
        )
    for one in steps:
        if one.step is LadderStep.THROTTLE and one.on_channel == one.channel:
            said.append(f"shows at most {one.percent} %")
        elif one.step is LadderStep.THROTTLE:
            said.append(f"{one.on_channel} leaves it all but {one.percent} % of what it may sell")
        elif one.step is LadderStep.RAISE:
            said.append(f"raised to at most {one.percent} %")
        elif one.step is LadderStep.PAUSE:
            said.append("paused")
    return "; ".join(said)


def where(decision: Decision) -> str:
    channels = sorted({one.channel for one in decision.limits})
    skus = sorted({one.sku for one in decision.limits if one.sku})
    named = ", ".join(skus[:5]) + (f" and {len(skus) - 5} more" if len(skus) > 5 else "")
    return f"{named} on {', '.join(channels)}".strip() if skus else ", ".join(channels)
