"""What a gate answers."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pandas as pd

from expectations.rule import Action, Rule, Scope, Suite
from inventory.words import Severity

SAMPLE = 5


class Status(StrEnum):
    PASS = "pass"  # noqa: S105
    PARTIAL = "partial"
    """Some rows are quarantined; the others go."""
    BLOCK = "block"
    """The batch as a whole, or one channel's part of it, is not to be believed; a person decides."""
    ERROR = "error"
    """There is no verdict, which is a failure of the gate and says nothing about the data."""


@dataclass(frozen=True, slots=True)
class Finding:
    rule_id: str
    severity: Severity
    action: Action
    failing: int
    """Rows that fail; for a batch rule 1."""
    sample_keys: tuple[str, ...]
    """The `row_key` of at most five of them."""
    why: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule_id": self.rule_id,
            "severity": self.severity.value,
            "action": self.action.value,
            "failing": self.failing,
            "sample_keys": list(self.sample_keys),
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    suite: str
    status: Status
    rows: int
    findings: tuple[Finding, ...]
    """In the order of the registry."""
    failed_rows: dict[int, list[str]]
    """Row label → the ids of the quarantining rules that it fails. When the status is `error`, it is what the
    plain masks say, and every row is in it that they could not judge."""
    duration_ms: float
    error: str = ""
    """Why there is no verdict."""
    warned_rows: dict[int, list[str]] = field(default_factory=dict)
    """Row label → the ids of the warning and informing rules that it fails. These rows are not held."""
    blocked_rows: dict[int, list[str]] = field(default_factory=dict)
    """Row label → the ids of the blocking rules under which it is, because its batch or its channel fails them."""

    def failed(self, rule_id: str) -> bool:
        return any(finding.rule_id == rule_id for finding in self.findings)

    def passing(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows that may be used: all but the quarantined; none when the verdict is block or error.

        For `outgoing_push` use `expectations.directions.released`, which knows that holding a decrease is no safety.
        """
        self.require_rows(frame)
        if self.status in (Status.BLOCK, Status.ERROR):
            return frame.iloc[0:0]
        return frame.loc[~frame.index.isin(list(self.failed_rows))]

    def require_rows(self, frame: pd.DataFrame) -> None:
        """Raises ValueError if this cannot be the frame that was judged: labels would name other rows."""
        if len(frame) != self.rows:
            raise ValueError(f"the verdict judged {self.rows} rows, this frame has {len(frame)}")

    def summary(self) -> str:
        """One line, for a log or an alert."""
        parts = [f"{self.suite}: {self.status.value}", f"{self.rows} rows"]
        if self.failed_rows and self.status is not Status.ERROR:
            parts.append(f"{len(self.failed_rows)} quarantined")
        parts.extend(f"{finding.rule_id} {finding.action.value} ×{finding.failing}" for finding in self.findings)
        if self.error:
            parts.append(" ".join(self.error.split()))
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "suite": self.suite,
            "status": self.status.value,
            "rows": self.rows,
            "findings": [finding.to_dict() for finding in self.findings],
            "failed_rows": {str(label): list(ids) for label, ids in self.failed_rows.items()},
            "warned_rows": {str(label): list(ids) for label, ids in self.warned_rows.items()},
            "duration_ms": round(self.duration_ms, 3),
            "error": self.error,
        }


def finding_of(rule: Rule, labels: list[int] | None, frame: pd.DataFrame) -> Finding:
    """`labels` are the failing rows, None for a batch rule."""
    keys = () if labels is None else tuple(str(key) for key in frame["row_key"].loc[labels[:SAMPLE]])
    failing = 1 if labels is None else len(labels)
    return Finding(rule.id, rule.severity, rule.action, failing, keys, rule.why)


def judged(suite: Suite, frame: pd.DataFrame, failures: dict[str, list[int] | None], duration_ms: float) -> Verdict:
    """The verdict for the failures found: rule id → labels of the failing rows (None for a batch rule)."""
    failed: dict[int, list[str]] = {}
    warned: dict[int, list[str]] = {}
    findings = []
    blocked_rows: dict[int, list[str]] = {}
    for rule in suite.rules:
        if rule.id not in failures:
            continue
        labels = failures[rule.id]
        findings.append(finding_of(rule, labels, frame))
        if rule.scope is not Scope.BATCH:
            into = {Action.QUARANTINE: failed, Action.BLOCK: blocked_rows}.get(rule.action, warned)
            for label in labels or ():
                into.setdefault(label, []).append(rule.id)
        elif rule.action is Action.BLOCK:
            for label in frame.index.tolist():
                blocked_rows.setdefault(label, []).append(rule.id)
    status = Status.BLOCK if blocked_rows else Status.PARTIAL if failed else Status.PASS
    return Verdict(suite.name, status, len(frame), tuple(findings), failed, duration_ms, "", warned, blocked_rows)
