"""The suite `outgoing_push`: the last look at every number before it goes on sale.

Two exceptions run through it, both because withholding a push leaves the old number on sale:

- A row **lowers** when it sends less than is live, or zero. An exposure that is already unbacked can only be
  lowered, so the rules on backing and tracking let a row through that lowers.
- A **safe zero** is zero for a listing whose present exposure is not backed (`must_lower`). It is right whatever
  the truth is, so the numbers that would prove a quantity are not asked for. It must still be identifiable,
  unique, fresh, and on a channel that is live.

The ceiling and the cap make no exception for what lowers: `previous` is what we believe is live, and if somebody
else has lowered it meanwhile, our "lower" number above the ceiling would be a raise.
"""

from collections.abc import Callable
from functools import partial

import pandas as pd

from expectations.frames import PUSH_COLUMNS
from expectations.parameters import NOTHING_SHOWN, ChannelCounts, OutgoingPush
from expectations.rule import Action, Derived, Scope, Suite, limit, make_rule, schema_rule, seconds
from inventory.words import ChannelMode, Severity

NAME = "outgoing_push"
WIPE_GUARD = "PSH-103"
INFINITE = float("inf")
SKU_PATTERN = r"\A\S(?:.*\S)?\Z"
"""Anchored both ways: unanchored it is a search, and `$` accepts a newline at the end. No capturing group: pandas
warns of one, and where warnings are errors the metric breaks."""

Frame = pd.DataFrame
Told = OutgoingPush


_rule = partial(make_rule, NAME)


def lowers(frame: Frame) -> pd.Series:
    """Sends less than is live as we know it, or zero, which can raise nothing."""
    return (frame["quantity"] < frame["previous"]) | (frame["quantity"] == 0)


def safe_zero(frame: Frame) -> pd.Series:
    return (frame["quantity"] == 0) & frame["must_lower"]


def _flag_or_zero(name: str) -> Derived:
    return lambda frame, told: frame[name] | safe_zero(frame)


def _over(name: str, most: Callable[[Frame], pd.Series]) -> dict[str, Derived]:
    """By how much the quantity exceeds `most`; unknown counts as infinitely."""
    return {name: lambda frame, told: (frame["quantity"] - most(frame)).fillna(INFINITE).mask(safe_zero(frame), 0.0)}


def _parts_missing(frame: Frame, _: Told) -> pd.Series:
    return frame[["listing_id", "channel", "listing_ref"]].isna().sum(axis=1)


def _unbacked(frame: Frame, _: Told) -> pd.Series:
    """Units that may be sold beyond what is sellable; 0 where the row lowers and all three are known."""
    units = (frame["exposure_after"] + frame["exposure_others"] - frame["sellable"]).fillna(INFINITE)
    return units.mask((lowers(frame) & (units < INFINITE)) | safe_zero(frame), 0.0)


def _backed(frame: Frame, _: Told) -> pd.Series:
    sold = frame["exposure_after"] + frame["exposure_others"]
    known = sold.notna() & frame["sellable"].notna()
    return (sold <= frame["sellable"]) | (known & lowers(frame)) | safe_zero(frame)


def _uncounted(frame: Frame, _: Told) -> pd.Series:
    sent = frame["quantity"] * frame["units_per_listing"].where(frame["units_per_listing"] >= 1)
    return (sent - frame["exposure_after"]).fillna(INFINITE).mask(safe_zero(frame), 0.0)


def _counted(frame: Frame, _: Told) -> pd.Series:
    per_listing = frame["units_per_listing"]
    sound = (per_listing >= 1) & (frame["exposure_after"] >= frame["quantity"] * per_listing)
    return sound | safe_zero(frame)


def _sku_text(frame: Frame, _: Told) -> pd.Series:
    return frame["sku"].fillna("").mask(safe_zero(frame), "-")


def _sku_sound(frame: Frame, _: Told) -> pd.Series:
    sound = [isinstance(sku, str) and bool(sku) and sku == sku.strip() and "\n" not in sku for sku in frame["sku"]]
    return pd.Series(sound, index=frame.index, dtype=bool) | safe_zero(frame)


def _age(frame: Frame, told: Told) -> pd.Series:
    return seconds(pd.Timestamp(told.now) - frame["computed_at"])


def _fresh(frame: Frame, told: Told) -> pd.Series:
    computed = frame["computed_at"]
    return (computed >= told.now - told.max_age) & (computed <= told.now + told.skew)


def _usual_most(frame: Frame, told: Told) -> pd.Series:
    return frame["previous"].fillna(0).clip(lower=told.outlier_floor) * told.outlier_factor


def _beyond_usual(frame: Frame, told: Told) -> pd.Series:
    return (frame["quantity"] - _usual_most(frame, told)).fillna(INFINITE)


def _beyond(frame: Frame, counted: pd.Series, most: Callable[[ChannelCounts], float], told: Told) -> pd.Series:
    """For each row, by how many the counted rows of its channel exceed what is allowed there."""
    allowed = {channel: most(told.counts.get(channel, NOTHING_SHOWN)) for channel in set(frame["channel"].dropna())}
    found = counted.astype("float64").groupby(frame["channel"]).transform("sum")
    return (found - frame["channel"].map(allowed)).astype("float64").fillna(0.0)


def _zeros_beyond(frame: Frame, told: Told) -> pd.Series:
    """Listings that sell something now and are to go to zero. A wipe in many small batches is one wipe."""

    def left(counts: ChannelCounts) -> float:
        sold = counts.selling + counts.zeroed
        return max(0.0, told.zero_share * sold - counts.zeroed) if sold >= told.zero_rows else INFINITE

    return _beyond(frame, (frame["previous"] > 0) & (frame["quantity"] == 0), left, told)


def _changes_beyond(frame: Frame, told: Told) -> pd.Series:
    def usual(counts: ChannelCounts) -> float:
        return told.changed_share * counts.listings if counts.listings >= told.changed_rows else INFINITE

    return _beyond(frame, ~(frame["quantity"] == frame["previous"]), usual, told)


ROW_RULES = (
    _rule(
        "PSH-001", "the row says which listing of which channel it is for",
        lambda frame, told: frame["listing_id"].notna() & frame["channel"].notna() & frame["listing_ref"].notna(),
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_parts_missing", "max_value": 0},
        columns=("listing_id", "channel", "listing_ref"), derive={"_parts_missing": _parts_missing},
    ),
    _rule(
        "PSH-002", "the quantity is a whole number, zero or more",
        lambda frame, told: frame["quantity"] >= 0,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_quantity_least", "min_value": 0},
        columns=("quantity",), derive={"_quantity_least": lambda frame, told: frame["quantity"].fillna(-1)},
    ),
    _rule(
        "PSH-003", "the channel can take so large a number",
        lambda frame, told: frame["quantity"] <= told.vendor_maximum,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_quantity_most", "max_value": told.vendor_maximum},
        columns=("quantity",), derive={"_quantity_most": lambda frame, told: frame["quantity"].fillna(INFINITE)},
    ),
    _rule(
        "PSH-004", "the quantity keeps all exposure of the SKU within what is sellable, as the publisher computed it",
        lambda frame, told: (frame["quantity"] <= frame["ceiling"]) | safe_zero(frame),
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_over_ceiling", "max_value": 0},
        columns=("quantity", "ceiling"), derive=_over("_over_ceiling", lambda frame: frame["ceiling"]),
    ),
    _rule(
        "PSH-005", "what this and the other listings may sell is backed by sellable units, or the row lowers it",
        _backed,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_unbacked", "max_value": 0},
        columns=("exposure_after", "exposure_others", "sellable", "quantity", "previous"),
        derive={"_unbacked": _unbacked},
    ),
    _rule(
        "PSH-006", "the quantity is within the policy's cap",
        lambda frame, told: (frame["quantity"] <= frame["cap"].fillna(INFINITE)) | safe_zero(frame),
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_over_cap", "max_value": 0},
        columns=("quantity", "cap"), derive=_over("_over_cap", lambda frame: frame["cap"].fillna(INFINITE)),
    ),
    _rule(
        "PSH-007", "the batch holds one number for a listing: of two, nobody knows which arrives last",
        lambda frame, told: ~frame.duplicated(["channel", "listing_ref"], keep=False),
        "ExpectCompoundColumnsToBeUnique",
        lambda told: {"column_list": ["channel", "listing_ref"], "ignore_row_if": "never"},
        columns=("channel", "listing_ref"),
    ),
    _rule(
        "PSH-008", "the exposure counts at least the units that are sent: a number on sale is never thought away",
        _counted,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_uncounted", "max_value": 0},
        columns=("exposure_after", "quantity", "units_per_listing"), derive={"_uncounted": _uncounted},
    ),
    _rule(
        "PSH-009", "the channel counts stock for the listing, or the row lowers it: untracked, it sells without end",
        lambda frame, told: frame["tracked"] | lowers(frame),
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "_tracked", "value_set": [True]},
        columns=("tracked", "quantity", "previous"),
        derive={"_tracked": lambda frame, told: lowers(frame).where(~frame["tracked"], True)},
    ),
    _rule(
        "PSH-010", "the listing is mapped to a SKU of ours",
        lambda frame, told: frame["mapped"] | safe_zero(frame),
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "_mapped", "value_set": [True]},
        columns=("mapped",), derive={"_mapped": _flag_or_zero("mapped")},
    ),
    _rule(
        "PSH-011", "the channel is live: nothing is sent in shadow or dry run",
        lambda frame, told: frame["mode"] == ChannelMode.LIVE.value,
        "ExpectColumnValuesToBeInSet", lambda told: {"column": "_mode", "value_set": [ChannelMode.LIVE.value]},
        columns=("mode",), derive={"_mode": lambda frame, told: frame["mode"].fillna("")},
    ),
    _rule(
        "PSH-012", "the number was computed a moment ago: an old one is recomputed, never replayed",
        _fresh,
        "ExpectColumnValuesToBeBetween",
        lambda told: {"column": "_age", "min_value": -limit(told.skew), "max_value": limit(told.max_age)},
        columns=("computed_at",), derive={"_age": _age},
    ),
    _rule(
        "PSH-013", "the SKU is one clean word or phrase: no blank or newline at either end",
        _sku_sound,
        "ExpectColumnValuesToMatchRegex", lambda told: {"column": "_sku_text", "regex": SKU_PATTERN},
        columns=("sku",), derive={"_sku_text": _sku_text},
    ),
    _rule(
        "PSH-014", "a raise to many times what was live is worth a look",
        lambda frame, told: frame["quantity"] <= _usual_most(frame, told),
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_beyond_usual", "max_value": 0},
        columns=("quantity", "previous"), derive={"_beyond_usual": _beyond_usual},
        action=Action.WARN, severity=Severity.WARNING,
    ),
)  # fmt: skip

BATCH_RULES = (
    schema_rule(NAME, "PSH-101", PUSH_COLUMNS, lambda: DERIVED),
    _rule(
        "PSH-102", "the batch is neither empty nor larger than any batch of ours",
        lambda frame, told: 1 <= len(frame) <= told.max_rows,
        "ExpectTableRowCountToBeBetween", lambda told: {"min_value": 1, "max_value": told.max_rows},
        columns=(), action=Action.BLOCK, scope=Scope.BATCH,
    ),
    _rule(
        WIPE_GUARD, "listings that sell something do not go to zero in a mass: that is a fault more often than true",
        lambda frame, told: _zeros_beyond(frame, told) <= 0,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_zeros_beyond", "max_value": 0},
        columns=("channel", "quantity", "previous"), derive={"_zeros_beyond": _zeros_beyond},
        action=Action.BLOCK, scope=Scope.CHANNEL,
    ),
    _rule(
        "PSH-104", "no more of the channel's listings change at once than usual",
        lambda frame, told: _changes_beyond(frame, told) <= 0,
        "ExpectColumnValuesToBeBetween", lambda told: {"column": "_changes_beyond", "max_value": 0},
        columns=("channel", "quantity", "previous"), derive={"_changes_beyond": _changes_beyond},
        action=Action.WARN, severity=Severity.WARNING, scope=Scope.CHANNEL,
    ),
)  # fmt: skip

DERIVED: tuple[str, ...] = tuple({name: None for rule in (*ROW_RULES, *BATCH_RULES) for name in rule.derive})

SUITE = Suite(NAME, PUSH_COLUMNS, OutgoingPush, (*ROW_RULES, *BATCH_RULES), schema_rule="PSH-101")
