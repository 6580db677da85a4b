"""The suite `channel_snapshot`: is what a channel showed to be believed, before anything is healed by it?

A channel that answers zero for everything, or for nothing at all, or whose every number is another than yesterday, is
more often ill (or mapped wrongly) than right. Healing by such an answer would write the fault into every other channel.
"""

from functools import partial

import pandas as pd

from expectations.parameters import ChannelSnapshot
from expectations.rule import Action, Scope, Suite, limit, make_rule, schema_rule
from expectations.snapshot_frames import COUNTS, SNAPSHOT_COLUMNS
from inventory.words import Severity

NAME = "channel_snapshot"
INFINITE = float("inf")

Frame = pd.DataFrame
Told = ChannelSnapshot

_rule = partial(make_rule, NAME)
_blocks = partial(_rule, action=Action.BLOCK, scope=Scope.CHANNEL)


def _unknown(frame: Frame, _: Told) -> pd.Series:
    return frame[["channel", "read_at", *COUNTS]].isna().sum(axis=1)


def _beyond(part: str, whole: str, share: float, least: int, frame: Frame) -> pd.Series:
    """By how many the part exceeds its share of the whole; 0 where the whole is smaller than `least`."""
    excess = (frame[part] - share * frame[whole]).fillna(INFINITE)
    return excess.mask(frame[whole] < least, 0.0).clip(lower=0.0)


def _unanswered(frame: Frame, told: Told) -> pd.Series:
    missing = frame.assign(_missing=frame["asked"] - frame["answered"])
    return _beyond("_missing", "asked", told.unanswered_share, told.least_rows, missing).mask(
        (frame["asked"] > 0) & (frame["answered"] == 0), INFINITE
    )


def _zeroed(frame: Frame, told: Told) -> pd.Series:
    return _beyond("zeroed", "selling", told.zero_share, told.least_rows, frame)


def _changed(frame: Frame, told: Told) -> pd.Series:
    return _beyond("differing", "compared", told.changed_share, told.least_rows, frame)


def _unusable(frame: Frame, told: Told) -> pd.Series:
    return _beyond("unusable", "answered", told.unusable_share, told.least_rows, frame)


def _age(frame: Frame, told: Told) -> pd.Series:
    """Seconds since the numbers were read; far in the future counts as unknown."""
    age: pd.Series = (pd.Timestamp(told.now) - frame["read_at"]).dt.total_seconds()
    return age.mask(age < -limit(told.skew), INFINITE).fillna(INFINITE)


def _orders_age(frame: Frame, told: Told) -> pd.Series:
    age: pd.Series = (pd.Timestamp(told.now) - frame["pulled_at"]).dt.total_seconds()
    return age.fillna(INFINITE)


RULES = (
    _rule(
        "SNP-001", "the channel and every count are known",
        lambda frame, told: _unknown(frame, told) == 0,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_unknown", "max_value": 0},
        columns=("channel", "read_at", *COUNTS), derive={"_unknown": _unknown},
    ),
    _blocks(
        "SNP-002", "the channel answered for most of the listings it was asked for",
        lambda frame, told: _unanswered(frame, told) <= 0,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_unanswered", "max_value": 0},
        columns=("asked", "answered"), derive={"_unanswered": _unanswered},
    ),
    _blocks(
        "SNP-003", "listings that should sell something do not show nothing in a mass",
        lambda frame, told: _zeroed(frame, told) <= 0,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_zeroed", "max_value": 0},
        columns=("selling", "zeroed"), derive={"_zeroed": _zeroed},
    ),
    _blocks(
        "SNP-004", "no more listings differ than a channel that is well would have",
        lambda frame, told: _changed(frame, told) <= 0,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_changed", "max_value": 0},
        columns=("compared", "differing"), derive={"_changed": _changed},
    ),
    _blocks(
        "SNP-005", "the numbers were read just now",
        lambda frame, told: _age(frame, told) <= limit(told.max_age),
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_age", "max_value": limit(told.max_age)},
        columns=("read_at",), derive={"_age": _age},
    ),
    _blocks(
        "SNP-006", "hardly any number is one that no shelf can hold",
        lambda frame, told: _unusable(frame, told) <= 0,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_unusable", "max_value": 0},
        columns=("answered", "unusable"), derive={"_unusable": _unusable},
    ),
    _rule(
        "SNP-007", "the channel's orders were read lately: else what differs may be sales, and nothing is healed",
        lambda frame, told: _orders_age(frame, told) <= limit(told.orders_age),
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_orders_age", "max_value": limit(told.orders_age)},
        columns=("pulled_at",), derive={"_orders_age": _orders_age}, action=Action.WARN, severity=Severity.WARNING,
    ),
    schema_rule(NAME, "SNP-101", SNAPSHOT_COLUMNS, lambda: DERIVED),
    _rule(
        "SNP-102", "there is a channel to judge, and no more than anybody has",
        lambda frame, told: 1 <= len(frame) <= told.max_rows,
        "ExpectTableRowCountToBeBetween", lambda told: {"min_value": 1, "max_value": told.max_rows},
        columns=("row_key",), action=Action.BLOCK, scope=Scope.BATCH,
    ),
)  # fmt: skip

DERIVED: tuple[str, ...] = tuple({name: None for rule in RULES for name in rule.derive})

SUITE = Suite(NAME, SNAPSHOT_COLUMNS, ChannelSnapshot, RULES, schema_rule="SNP-101")
