"""From any value to one cell of a frame. Nothing here raises, whatever it is handed.

A value that is not what it should be becomes the missing value of its kind (None, NaN, NaT, False),
and a rule fails it: reading is done here, judging is not.
"""

import math
import reprlib
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

LARGEST = 10**15
"""Above it a float no longer tells neighbouring sums apart, so it is no quantity of anything."""

LONGEST_TEXT = 255
LONGEST_RAW = 80


class Kind(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    INSTANT = "instant"


def text(value: Any) -> str | None:
    """A string a database can hold: not blank, at most 255 characters, no NUL, no lone surrogate."""
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_TEXT or "\x00" in value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return str(value)


def whole(value: Any) -> float:
    """A JSON integer, else NaN. `True`, `"3"`, `2.5`, `3.0` and `1e30` are no integers."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST:
        return math.nan
    return float(value)


def own_whole(value: Any) -> float:
    """Like `whole` for our own numbers, which a database or a frame may hand over as Decimal, float or NumPy."""
    if isinstance(value, bool | np.bool_):
        return math.nan
    if isinstance(value, Integral):
        return whole(int(value))
    if isinstance(value, Decimal | float | np.floating) and math.isfinite(value) and value == int(value):
        return whole(int(value))
    return math.nan


def instant(value: Any) -> datetime | None:
    """An aware datetime or ISO 8601 text with an offset, in UTC; a time without an offset is no instant."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(moment, datetime) or moment.utcoffset() is None:
            return None
        if isinstance(moment, pd.Timestamp):
            moment = moment.floor("us").to_pydatetime()
        return moment.astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        return None


def flag(value: Any) -> bool:
    return isinstance(value, bool | np.bool_) and bool(value)


def raw(value: Any) -> str:
    """What was there, for a person to read: pure ASCII, at most 80 characters."""
    try:
        shown = ascii(value) if isinstance(value, str | int | float | None) else ascii(reprlib.repr(value))
    except (ValueError, RecursionError):
        shown = f"<{type(value).__name__}>"
    return shown[:LONGEST_RAW]


def column(values: Sequence[Any], kind: Kind) -> pd.Series:
    """A column of the kind's one dtype, so that an empty or all-missing column looks like any other."""
    if kind is Kind.TEXT:
        return pd.Series(values, dtype=object)
    if kind is Kind.NUMBER:
        return pd.Series(values, dtype="float64")
    if kind is Kind.FLAG:
        return pd.Series(values, dtype=bool)
    return pd.Series(list(values), dtype="datetime64[us, UTC]")


def has_kind(series: pd.Series, kind: Kind) -> bool:
    """Whether a column is of the kind `column` makes."""
    if kind is Kind.TEXT:
        return bool(pd.api.types.is_object_dtype(series.dtype) or isinstance(series.dtype, pd.StringDtype))
    if kind is Kind.NUMBER:
        return series.dtype == np.dtype("float64")
    if kind is Kind.FLAG:
        return series.dtype == np.dtype(bool)
    return isinstance(series.dtype, pd.DatetimeTZDtype) and str(series.dtype.tz) == "UTC"
