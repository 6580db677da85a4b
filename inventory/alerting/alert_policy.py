"""When who is told of an incident: pure decisions over values.

Told when it has been open for its severity's grace; told again when its age takes it a level up, to more people; then
reminded of, seldom; told once when it has ended. A repeat of an open incident says nothing by itself.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from inventory.alerting.alert_kinds import Owner, alert_kind
from inventory.words import IncidentKind, Severity


class Occasion(StrEnum):
    OPENED = "opened"
    ESCALATED = "escalated"
    REMINDER = "reminder"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Ladder:
    grace: timedelta
    """What closes by itself within this time is never told."""
    steps: tuple[timedelta, ...]
    """Ages at which it becomes the business of more people."""
    remind: timedelta | None
    """Told again so long after the last message, while nothing else happens."""

    def level(self, age: timedelta) -> int:
        return sum(age >= step for step in self.steps)


LADDERS: dict[Severity, Ladder] = {
    Severity.CRITICAL: Ladder(
        timedelta(0), (timedelta(minutes=30), timedelta(hours=2), timedelta(hours=8)), timedelta(hours=4)
    ),
    Severity.WARNING: Ladder(timedelta(minutes=2), (timedelta(hours=8), timedelta(hours=24)), timedelta(hours=24)),
    Severity.INFO: Ladder(timedelta(minutes=15), (), None),
}
_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}

SINGLY = 3
"""So many new incidents of one kind get a message each; more of them get one together."""
BURST = 5
BURST_TIME = timedelta(minutes=10)
"""After so many messages of one kind to one target within this time, the next ones wait and come together."""
FLAPS = 3
FLAP_TIME = timedelta(hours=1)
SETTLED = timedelta(minutes=15)
"""What has come and gone so often within an hour is told again only when it has stayed open for so long."""


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who is told. `owners` empty: whoever owns it. `from_level`: only what has risen so far."""

    name: str
    owners: frozenset[Owner] = frozenset()
    least: Severity = Severity.INFO
    from_level: int = 0

    def wants(self, incident: "Known", level: int) -> bool:
        if incident.kind == IncidentKind.NOT_TOLD and incident.subject == self.name:
            return False  # it cannot be told that it cannot be told
        return (
            level >= self.from_level
            and _RANK[incident.severity] >= _RANK[self.least]
            and (not self.owners or alert_kind(incident.kind).owner in self.owners)
        )


@dataclass(frozen=True, slots=True)
class Known:
    """An incident, as it stands."""

    id: int
    kind: str
    subject: str
    severity: Severity
    is_open: bool
    opened_at: datetime
    flaps: int = 0
    """How often something of its kind and subject was told within the last hour."""

    def level(self, now: datetime) -> int:
        return LADDERS[self.severity].level(now - self.opened_at)


@dataclass(frozen=True, slots=True)
class Told:
    """What a target was told of one incident."""

    level: int
    planned_at: datetime
    delivered_at: datetime | None
    is_closed: bool = False
    """Nothing more is said of it: its end was told, or the target refused what was."""

    @property
    def is_waiting(self) -> bool:
        """Its last message has not arrived yet."""
        return self.delivered_at is None or self.delivered_at < self.planned_at


def decide(incident: Known, told: Told | None, target: Target, now: datetime) -> Occasion | None:
    """What this target is to be told of this incident now, if anything."""
    if told is not None and told.is_closed:
        return None
    if not incident.is_open:
        arrived = told is not None and told.delivered_at is not None and not told.is_waiting
        return Occasion.RESOLVED if arrived and incident.severity is not Severity.INFO else None
    ladder, level = LADDERS[incident.severity], incident.level(now)
    if not target.wants(incident, level):
        return None
    if told is None:
        grace = max(ladder.grace, SETTLED if incident.flaps >= FLAPS else timedelta(0))
        if now - incident.opened_at < grace:
            return None
        return Occasion.ESCALATED if level and target.from_level else Occasion.OPENED
    if told.is_waiting:
        return None
    if level > told.level:
        return Occasion.ESCALATED
    if ladder.remind is not None and now - told.planned_at >= ladder.remind:
        return Occasion.REMINDER
    return None


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is to be written: which incidents it tells of, and their levels."""

    target: str
    occasion: Occasion
    kind: str
    levels: Mapping[int, int]
    dedupe_key: str


def draft(
    target: Target, decided: Iterable[tuple[Known, Occasion, Told | None]], recent: Mapping[str, int], now: datetime
) -> list[Draft]:
    """Messages for one target, grouped by kind. `recent`: by kind, how many were written within BURST_TIME."""
    groups: dict[tuple[str, Occasion], list[tuple[Known, Told | None]]] = defaultdict(list)
    for incident, occasion, told in decided:
        groups[incident.kind, occasion].append((incident, told))
    drafts = []
    for (kind, occasion), members in sorted(groups.items()):
        members.sort(key=lambda member: (member[0].opened_at, member[0].id))
        if occasion is Occasion.OPENED and recent.get(kind, 0) >= BURST:
            continue
        singly = occasion is Occasion.OPENED and len(members) <= SINGLY
        for part in [[one] for one in members] if singly else [members]:
            levels = {incident.id: incident.level(now) for incident, _ in part}
            drafts.append(Draft(target.name, occasion, kind, levels, _key(target.name, occasion, part, levels)))
    return drafts


def _key(target: str, occasion: Occasion, part: list[tuple[Known, Told | None]], levels: Mapping[int, int]) -> str:
    """Equal for the same decision, made twice from the same state."""
    facts = [
        f"{incident.id}:{levels[incident.id]}:{told.planned_at.isoformat() if told else ''}" for incident, told in part
    ]
    return hashlib.sha256("|".join([target, occasion, *sorted(facts)]).encode()).hexdigest()[:24]
