"""What an alert says, whoever is told: what happened, since when, how much is at risk, what was done, what to do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from inventory.alerting.alert_kinds import RUNBOOKS, AlertKind, alert_kind
from inventory.alerting.alert_policy import Occasion
from inventory.words import Severity

MOST_ENTRIES = 10
"""Incidents that one message names; of more it gives the number."""
_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True)
class Fact:
    """One incident, as it is when the message is made."""

    id: int
    kind: str
    subject: str
    severity: Severity
    message: str
    opened_at: datetime
    last_at: datetime
    times: int
    is_open: bool
    at_risk: str = ""
    units: int = 0
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Links:
    """Where the reader's links lead. Without a base for the runbooks their path is named."""

    prefect: str = ""
    """Of the UI, without a slash at the end."""
    runbooks: str = ""
    """Address of the page with the runbooks."""


@dataclass(frozen=True, slots=True)
class Entry:
    subject: str
    story: str
    since: str
    at_risk: str


@dataclass(frozen=True, slots=True)
class AlertText:
    """Every part is plain text, some of it from outside: a target must escape all of it in its own way."""

    occasion: Occasion
    severity: Severity
    headline: str
    entries: tuple[Entry, ...]
    left_out: int
    done: str
    to_do: str
    owner: str
    runbook: str
    """An address, or the section's path."""
    prefect: str
    """An address, or empty."""
    key: str
    at: datetime
    repeated: bool = False
    """An earlier attempt's answer never came, so this may be told twice."""

    @property
    def is_resolved(self) -> bool:
        return self.occasion is Occasion.RESOLVED

    @property
    def owner_line(self) -> str:
        return f"{self.severity.capitalize()} · owner: {self.owner}"


def compose(
    occasion: Occasion, facts: Sequence[Fact], links: Links, *, key: str, now: datetime, repeated: bool = False
) -> AlertText:
    """The message about these incidents, of one kind; the worst and oldest first. `facts` is not empty."""
    kind = alert_kind(facts[0].kind)
    ordered = sorted(facts, key=lambda one: (_RANK[one.severity], -one.units, one.opened_at, one.id))
    entries = [_entry(one, occasion, now) for one in ordered[:MOST_ENTRIES]]
    return AlertText(
        occasion=occasion,
        severity=ordered[0].severity,
        headline=_headline(occasion, kind, ordered, now),
        entries=tuple(entries),
        left_out=len(ordered) - len(entries),
        done="" if occasion is Occasion.RESOLVED else kind.done,
        to_do="" if occasion is Occasion.RESOLVED else kind.to_do,
        owner=kind.owner.value,
        runbook=f"{links.runbooks or RUNBOOKS}#{kind.anchor}",
        prefect=_prefect(links, ordered[0]),
        key=key,
        at=now,
        repeated=repeated,
    )


def _headline(occasion: Occasion, kind: AlertKind, facts: Sequence[Fact], now: datetime) -> str:
    what = f"{kind.title}: {facts[0].subject if len(facts) == 1 else f'{len(facts)} at once'}"
    if occasion is Occasion.OPENED:
        return what
    if occasion is Occasion.RESOLVED:
        return f"Resolved: {what}"
    oldest = length(now - min(one.opened_at for one in facts))
    return f"Still open after {oldest}: {what}" if occasion is Occasion.ESCALATED else f"Open for {oldest}: {what}"


def _entry(one: Fact, occasion: Occasion, now: datetime) -> Entry:
    since = f"since {clock(one.opened_at, now)}"
    if occasion is Occasion.RESOLVED:
        since = f"{clock(one.opened_at, now)} to {clock(one.last_at, now)} ({length(one.last_at - one.opened_at)})"
    elif now - one.opened_at >= timedelta(minutes=1):
        since += f" ({length(now - one.opened_at)})"
    if one.times > 1:
        since += f", seen {one.times} times"
    return Entry(one.subject, one.message, since, "" if occasion is Occasion.RESOLVED else one.at_risk)


def _prefect(links: Links, one: Fact) -> str:
    if not links.prefect:
        return ""
    run = one.detail.get("flow_run_id")
    return f"{links.prefect}/runs/flow-run/{run}" if isinstance(run, str) else f"{links.prefect}/runs"


def clock(moment: datetime, now: datetime) -> str:
    """`08:12 UTC`, with the date if it is another day's."""
    return f"{moment:%H:%M} UTC" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M} UTC"


def length(span: timedelta) -> str:
    """`34 min`, `2 h 5 min`, `3 d 4 h`."""
    minutes = max(0, int(span.total_seconds())) // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def plain(text: AlertText) -> str:
    """The whole message as lines of text, for mail and logs."""
    lines = [text.headline, text.owner_line, ""]
    for entry in text.entries:
        lines += [f"{entry.subject}: {entry.story}", f"  {entry.since}"]
        lines += [f"  at risk: {entry.at_risk}"] if entry.at_risk else []
    if text.left_out:
        lines.append(f"and {text.left_out} more")
    lines.append("")
    if text.done:
        lines += [f"Done already: {text.done}", f"To do: {text.to_do}", ""]
    lines += [f"Runbook: {text.runbook}"] + ([f"Prefect: {text.prefect}"] if text.prefect else [])
    if text.repeated:
        lines.append("This may be told twice: the answer to an earlier attempt never came.")
    return "\n".join(lines) + "\n"
