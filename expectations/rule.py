"""What a rule and a suite are. The registry of all of them is `expectations.rules`."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pandas as pd

from expectations.cells import Kind, has_kind
from expectations.library import expectation_class
from expectations.parameters import MissingBaseline, Parameters
from inventory.words import Severity


class Scope(StrEnum):
    ROW = "row"
    CHANNEL = "channel"
    """All rows of one channel, among those of others in the batch."""
    BATCH = "batch"


class Action(StrEnum):
    BLOCK = "block"
    """The whole batch, or all of the channel, waits for a person (the gate knows direction: see
    `expectations.directions`)."""
    QUARANTINE = "quarantine"
    """The row is held back and named; the rest goes."""
    WARN = "warn"
    INFO = "info"


Mask = Callable[[pd.DataFrame, Any], "pd.Series | bool"]
Derived = Callable[[pd.DataFrame, Any], pd.Series]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that must hold, said twice: to pandas (`ok`) and to Great Expectations (`expectation`).

    The two are written apart and a property test holds them equal. Both say *ok* and fail what is not:
    a comparison with NaN is false, so an unknown value fails (written the other way round it would pass).
    """

    id: str
    suite: str
    scope: Scope
    severity: Severity
    action: Action
    columns: tuple[str, ...]
    """The columns of the frame that it judges."""
    why: str
    ok: Mask
    """(frame, parameters) → one bool a row that holds (scope row; scope channel, the same for all rows of a
    channel), or one bool (scope batch)."""
    kind: str
    """The class in `great_expectations.expectations`."""
    arguments: Callable[[Any], Mapping[str, Any]]
    """Parameters → the keyword arguments of that class, all explicit."""
    derive: Mapping[str, Derived]
    """Columns made for the expectation, for what spans columns or must count an unknown value as failing."""

    def expectation(self, parameters: Parameters) -> Any:
        """The expectation, with `meta={"rule_id": …}`; its results are paired by that, never by position.

        Imports Great Expectations. Raises `MissingBaseline` for an argument that is None or NaN, with
        which the library would judge nothing and call it success.
        """
        arguments = dict(self.arguments(parameters))
        for name, value in arguments.items():
            if value is None or (isinstance(value, float) and math.isnan(value)):
                raise MissingBaseline(f"{self.id}: {name} is {value!r}")
        return expectation_class(self.kind)(**arguments, severity=self.severity.value, meta={"rule_id": self.id})


def make_rule(
    suite: str,
    number: str,
    why: str,
    ok: Mask,
    kind: str,
    arguments: Callable[[Any], Mapping[str, Any]],
    *,
    columns: tuple[str, ...],
    derive: Mapping[str, Derived] | None = None,
    action: Action = Action.QUARANTINE,
    severity: Severity = Severity.CRITICAL,
    scope: Scope = Scope.ROW,
) -> Rule:
    """A rule in the order in which people read one; most are critical and quarantine a row."""
    return Rule(number, suite, scope, severity, action, columns, why, ok, kind, arguments, derive or {})


@dataclass(frozen=True, slots=True)
class Suite:
    name: str
    columns: Mapping[str, Kind]
    parameters: type[Parameters]
    rules: tuple[Rule, ...]
    schema_rule: str
    """The id of the rule whose failure means that the other rules judged something else."""

    def of(self, scope: Scope) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.scope is scope)

    def derived(self, frame: pd.DataFrame, parameters: Parameters) -> pd.DataFrame:
        """A new frame: the columns given and those that the expectations need besides."""
        extra = {name: make(frame, parameters) for rule in self.rules for name, make in rule.derive.items()}
        return frame.assign(**extra)


def has_schema(frame: pd.DataFrame, columns: Mapping[str, Kind]) -> bool:
    """Exactly these columns, each of its kind, and rows numbered 0, 1, 2 … (labels name the rows)."""
    return (
        set(frame.columns) == set(columns)
        and len(frame.columns) == len(columns)
        and isinstance(frame.index, pd.RangeIndex)
        and frame.index.equals(pd.RangeIndex(len(frame)))
        and all(has_kind(frame[name], kind) for name, kind in columns.items())
    )


def schema_rule(suite: str, number: str, columns: Mapping[str, Kind], derived: Callable[[], Iterable[str]]) -> Rule:
    """The rule of every suite whose failure means that the others judged something else. `derived`: the names of the
    columns that its rules make, asked for when all rules are there."""
    return make_rule(
        suite,
        number,
        "the frame has exactly the columns and kinds that the rules judge",
        lambda frame, told: has_schema(frame, columns),
        "ExpectTableColumnsToMatchSet",
        lambda told: {"column_set": [*columns, *derived()], "exact_match": True},
        columns=tuple(columns),
        action=Action.BLOCK,
        scope=Scope.BATCH,
    )


def seconds(span: pd.Series, unknown: float = math.inf) -> pd.Series:
    """Spans as seconds. An unknown one becomes `unknown`, because the library skips what is missing."""
    found: pd.Series = span.dt.total_seconds().fillna(unknown)
    return found


def limit(span: timedelta) -> float:
    return span.total_seconds()
