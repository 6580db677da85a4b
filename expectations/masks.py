"""The rules as plain masks, without Great Expectations: for after a recompute, and for when the gate itself fails.

A property test holds these equal to what the gate says.
"""

import time
from typing import Any

import numpy as np
import pandas as pd

from expectations.parameters import MissingBaseline, Parameters
from expectations.rule import Action, Rule, Scope, Suite, has_schema
from expectations.rules import suite_named
from expectations.verdict import Finding, Status, Verdict, finding_of, judged


class NoVerdict(Exception):
    """The gate cannot judge. Becomes a verdict `error`; it never leaves `check` or `recheck`."""

    def __init__(self, reason: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(reason)
        self.findings = findings


def mask(rule: Rule, frame: pd.DataFrame, parameters: Parameters) -> pd.Series:
    """True for each row that holds; a batch rule says the same of every row."""
    ok: Any = rule.ok(frame, parameters)
    if rule.scope is Scope.BATCH:
        return pd.Series(bool(ok), index=frame.index, dtype=bool)
    holds = pd.Series(ok, index=frame.index)
    if holds.dtype != np.dtype(bool):
        raise TypeError(f"{rule.id} answers {holds.dtype}, not bool")
    return holds


def masks(suite: str, frame: pd.DataFrame, parameters: Parameters) -> pd.DataFrame:
    """One bool column a rule: True where the row (or the batch) holds.

    Raises `MissingBaseline` for unusable parameters, KeyError for a missing column or an unknown suite.
    """
    its = suite_named(suite)
    require_parameters(its, parameters)
    return pd.DataFrame({rule.id: mask(rule, frame, parameters) for rule in its.rules}, index=frame.index)


def recheck(suite: str, frame: pd.DataFrame, parameters: Parameters) -> Verdict:
    """The verdict that `expectations.gate.check` gives, by the masks alone: no import, a few milliseconds.

    For rows recomputed after the gate has judged them; the gate goes first, this follows.
    """
    its = suite_named(suite)
    begun = time.perf_counter()
    try:
        require_frame(its, frame, parameters)
        failures: dict[str, list[int] | None] = {}
        for rule in its.rules:
            holds = mask(rule, frame, parameters)
            if not holds.all():
                failures[rule.id] = None if rule.scope is Scope.BATCH else labels(~holds)
        return judged(its, frame, failures, milliseconds(begun))
    except Exception as error:
        return no_verdict(its, frame, parameters, error, milliseconds(begun))


def require_parameters(suite: Suite, parameters: Parameters) -> None:
    if not isinstance(parameters, suite.parameters):
        raise MissingBaseline(f"{suite.name} needs {suite.parameters.__name__}, not {type(parameters).__name__}")
    parameters.require()


def require_frame(suite: Suite, frame: pd.DataFrame, parameters: Parameters) -> None:
    """Raises unless there is something to judge, something to judge it by, and it is what the rules expect."""
    if not suite.rules:
        raise NoVerdict("the suite has no rules")
    require_parameters(suite, parameters)
    if not has_schema(frame, suite.columns):
        rule = next(rule for rule in suite.rules if rule.id == suite.schema_rule)
        raise NoVerdict(f"wrong schema: {schema_difference(frame, suite)}", (finding_of(rule, None, frame),))
    if frame.empty:
        raise NoVerdict("the frame has no rows, so nothing was judged")


def schema_difference(frame: pd.DataFrame, suite: Suite) -> str:
    given, wanted = {str(name) for name in frame.columns}, set(suite.columns)
    missing, extra = sorted(wanted - given), sorted(given - wanted)
    if missing or extra:
        return f"missing {missing}, unexpected {extra}"
    return "a column is of another kind or comes twice, or the rows are not numbered 0, 1, 2 …"


def no_verdict(
    suite: Suite, frame: pd.DataFrame, parameters: Parameters, error: Exception, duration_ms: float
) -> Verdict:
    """A verdict `error`. Its `failed_rows` say what the masks of the quarantining rules say, each by itself.

    A mask that cannot be computed fails every row, and so does a wrong schema, under which a mask may well be
    computed from the wrong things: what nobody could judge is not sound.
    """
    failed: dict[int, list[str]] = {}
    if not has_schema(frame, suite.columns):
        failed = {label: [suite.schema_rule] for label in frame.index.tolist()}
    else:
        for rule in suite.of(Scope.ROW):
            if rule.action is Action.QUARANTINE:
                for label in _unsound(rule, frame, parameters):
                    failed.setdefault(label, []).append(rule.id)
    findings = error.findings if isinstance(error, NoVerdict) else ()
    reason = str(error) if isinstance(error, NoVerdict) else f"{type(error).__name__}: {error}"
    return Verdict(suite.name, Status.ERROR, len(frame), findings, failed, duration_ms, reason[:500])


def _unsound(rule: Rule, frame: pd.DataFrame, parameters: Parameters) -> list[Any]:
    try:
        return labels(~mask(rule, frame, parameters))
    except Exception:
        return frame.index.tolist()


def labels(failing: pd.Series) -> list[Any]:
    return failing.index[failing.to_numpy()].tolist()


def milliseconds(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000
