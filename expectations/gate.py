"""The gate: a frame and its suite in, a verdict out. It raises for an unknown suite and for nothing else.

How Great Expectations is used, each for a reason that was measured:

- It is imported in here and on first use only: the import costs seconds and some 200 MB.
- Each validation has an ephemeral context of its own. Shared ones, on threads, gave wrong verdicts silently,
  because batches are cached by names; so the names are unique as well.
- `batch.validate` stores nothing (a checkpoint keeps every result for ever).
- The whole suite runs BOOLEAN_ONLY, and only the expectations that fail run again to name their rows.
- Row labels come for free with numbered rows; asking for key columns costs 0.3 ms for each failing row.
- No verdict is a failure: an exception in a metric, a result that is missing, an empty suite or frame, a wrong
  schema and an unusable parameter all end in `error`.
"""

import gc
import itertools
import logging
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from expectations.directions import released, safe_value_due
from expectations.masks import NoVerdict, masks, milliseconds, no_verdict, recheck, require_frame
from expectations.parameters import Parameters
from expectations.rule import Rule, Scope, Suite
from expectations.rules import suite_named
from expectations.verdict import Finding, Status, Verdict, judged

__all__ = [
    "Finding", "Status", "Verdict", "check", "load", "masks", "recheck", "released", "safe_value_due",
]  # fmt: skip

LEAN = {"result_format": "COMPLETE", "partial_unexpected_count": 0}

_loading = threading.Lock()
_turns = threading.Lock()
"""Validating is work of the interpreter alone: side by side, all would end when the last one does."""
_loaded: list[Any] = []
_numbers = itertools.count()


def load() -> Any:
    """Import Great Expectations, quietly and once. A long-lived process calls it at its start."""
    with _loading:
        if not _loaded:
            with warnings.catch_warnings():
                # It reaches for sre_constants and sre_parse, which the standard library deprecates.
                warnings.simplefilter("ignore", DeprecationWarning)
                import great_expectations

                # The import redirects every warning of the process into logging.
                logging.captureWarnings(False)
            logging.getLogger("great_expectations").setLevel(logging.WARNING)
            _loaded.append(great_expectations)
            # It stays for as long as the process: no collection need look through its hundreds of thousands of objects.
            gc.collect()
            gc.freeze()
        return _loaded[0]


def check(suite: str, frame: pd.DataFrame, parameters: Parameters) -> Verdict:
    """Judge the frame. Safe on any number of threads; the frame is not changed. Raises KeyError for an unknown suite.

    Judge the very frame whose rows are then used: labels name its rows (`expectations.frames` numbers them).
    """
    its = suite_named(suite)
    begun = time.perf_counter()
    try:
        require_frame(its, frame, parameters)
        with _turns:
            failures = _failures(its, frame, parameters)
        return judged(its, frame, failures, milliseconds(begun))
    except Exception as error:
        return no_verdict(its, frame, parameters, error, milliseconds(begun))


def _failures(suite: Suite, frame: pd.DataFrame, parameters: Parameters) -> dict[str, list[int] | None]:
    """Rule id → labels of the failing rows, None for a batch rule."""
    batch = _batch(suite.derived(frame, parameters))
    verdicts = _validate(batch, suite.rules, parameters, "BOOLEAN_ONLY")
    failing = [rule for rule in suite.rules if not verdicts[rule.id].success]
    failures: dict[str, list[int] | None] = {rule.id: None for rule in failing}
    by_row = [rule for rule in failing if rule.scope is not Scope.BATCH]
    if by_row:
        for rule_id, result in _validate(batch, by_row, parameters, LEAN).items():
            labels = result.result.get("unexpected_index_list")
            if result.success or not labels:
                raise NoVerdict(f"{rule_id} fails, but no row of it was named")
            failures[rule_id] = sorted(int(label) for label in labels)
    return {rule.id: failures[rule.id] for rule in suite.rules if rule.id in failures}


def _configuration() -> Any:
    """Nothing on disk (by default each context makes and removes a folder), no telemetry, no progress bars."""
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    return DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        # Set afterwards, the context would write all of its configuration as YAML once more.
        progress_bars=ProgressBarsConfig(globally=False),
    )


def _batch(frame: pd.DataFrame) -> Any:
    context = load().get_context(mode="ephemeral", project_config=_configuration())
    name = f"frame-{next(_numbers)}"
    asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
    return asset.add_batch_definition_whole_dataframe(name).get_batch(batch_parameters={"dataframe": frame})


def _validate(batch: Any, rules: Sequence[Rule], parameters: Parameters, result_format: Any) -> dict[str, Any]:
    """Rule id → result. Raises NoVerdict unless each rule has exactly one and none of them broke."""
    suite = load().ExpectationSuite(name="rules", expectations=[rule.expectation(parameters) for rule in rules])
    results: dict[str, Any] = {}
    for result in batch.validate(suite, result_format=result_format).results:
        rule_id = result.expectation_config.meta["rule_id"]
        fault = _fault(result.exception_info or {})
        if fault is not None:
            raise NoVerdict(f"{rule_id} could not be evaluated: {fault}")
        if rule_id in results:
            raise NoVerdict(f"{rule_id} was evaluated twice")
        results[rule_id] = result
    unjudged = [rule.id for rule in rules if rule.id not in results]
    if unjudged or len(results) != len(rules):
        raise NoVerdict(f"not evaluated: {', '.join(unjudged)}")
    return results


def _fault(information: Mapping[str, Any]) -> str | None:
    """The message of an exception in a metric. The information is one record, or one for each metric that broke."""
    if "raised_exception" in information:
        return str(information.get("exception_message")) if information["raised_exception"] else None
    messages = [str(each.get("exception_message")) for each in information.values() if isinstance(each, Mapping)]
    return "; ".join(messages) or (str(information) if information else None)
