"""How one value is taken out of a declared channel's answer: a JMESPath expression and a plain conversion.

Expressions are compiled, and their functions checked, when the configuration is read. Nothing is ever
executed: JMESPath reads JSON values and can reach nothing else (https://jmespath.org/specification.html).
"""

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

LONGEST_EXPRESSION = 500
LONGEST_TEXT = 500
"""A longer text than this is no id, SKU, state or date."""

_WHOLE = re.compile(r"([+-]?[0-9]{1,18})(?:\.0*)?")

Plain = str | int | float | bool | None


class UntranslatableError(Exception):
    """A part of an answer is not what the description says. The message holds no value of it."""


class Table(BaseModel):
    """A table of the description. An unknown key is told with the one that may be meant."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            refuse_unknown_keys(given, known_keys(cls))
        return given


def known_keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def refuse_unknown_keys(given: Mapping[str, Any], known: list[str]) -> None:
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"write one of {', '.join(known)}"
            raise ValueError(f"there is no key {str(key)[:60]!r} here; {hint}")


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled JMESPath expression."""

    text: str
    compiled: Any

    def of(self, value: Any) -> Any:
        """What the expression finds; None when there is nothing. Raises UntranslatableError."""
        try:
            return self.compiled.search(value)
        except (JMESPathError, ArithmeticError, TypeError, ValueError, AttributeError, RecursionError):
            reason = f"the path {self.text} does not fit the answer"
        # Raised here: the error of the expression quotes the value.
        raise UntranslatableError(reason)


def compile_path(given: Any) -> Path:
    if isinstance(given, Path):
        return given
    if not isinstance(given, str) or not given.strip():
        raise ValueError('is no path; write a JMESPath expression in quotes, as "customer.lines[0].id"')
    if len(given) > LONGEST_EXPRESSION:
        raise ValueError(f"is longer than {LONGEST_EXPRESSION} characters")
    try:
        compiled = jmespath.compile(given)
    except JMESPathError as error:
        what = str(error).splitlines()[0].removesuffix(":").removeprefix("Invalid jmespath expression: ")
        raise ValueError(f"{given!r} is no JMESPath expression ({what[:120]}); see https://jmespath.org") from None
    for name in _functions(compiled.parsed):
        if name not in Functions.FUNCTION_TABLE:
            close = difflib.get_close_matches(name, Functions.FUNCTION_TABLE, n=1)
            hint = f"; did you mean {close[0]}()?" if close else ""
            raise ValueError(f"{given!r} calls {name}(), which JMESPath does not have{hint}")
    return Path(given, compiled)


def _functions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "function_expression":
            yield str(node.get("value"))
        for child in node.get("children", []):
            yield from _functions(child)


Expression = Annotated[Path, BeforeValidator(compile_path)]

DateFormat = Annotated[str, Field(max_length=60)]
"""`iso`, `epoch_s`, `epoch_ms`, or a pattern of `strftime` as `%d.%m.%Y %H:%M:%S`."""


def check_date_format(name: str) -> str:
    if name not in ("iso", "epoch_s", "epoch_ms") and "%" not in name:
        raise ValueError(f"{name!r} is no date format; write iso, epoch_s, epoch_ms or a pattern as %Y-%m-%d %H:%M:%S")
    return name


def check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{name!r} is no time zone; write one as UTC or Europe/Berlin") from None
    return name


class Value(Table):
    """One value: found by a path, put together from several, or always the same."""

    path: Expression | None = None
    """Where it stands in the row."""
    join: tuple[Expression, ...] = ()
    """Several places; their texts are joined by `separator`. Nothing, if one of them is absent."""
    separator: str = Field(default="", max_length=10)
    constant: str | int | bool | None = None
    """Always this value, whatever the row says."""
    as_: Literal["same", "text", "integer", "boolean", "datetime"] = Field(default="same", alias="as")
    """What to make of it. What cannot be converted is passed on as it came: the gate judges it."""
    date_format: DateFormat = "iso"
    zone: str = "UTC"
    """Of a date without an offset."""
    words: dict[str, str | int | bool] = Field(default_factory=dict)
    """Their word → ours. Numbers and true/false are looked up as the text that JSON has for them."""
    otherwise: str | int | bool | None = None
    """For what is absent or, where there are `words`, not among them. Without it, it stays as it is."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        return {"path": given} if isinstance(given, str) else given

    _date = field_validator("date_format")(check_date_format)
    _zone = field_validator("zone")(check_zone)

    @model_validator(mode="after")
    def _one_source(self) -> "Value":
        if [self.path is not None, bool(self.join), self.constant is not None].count(True) != 1:
            raise ValueError("has no source or several; write exactly one of path, join, constant")
        return self

    def of(self, row: Any) -> Plain:
        """The value in this row. Raises UntranslatableError for a list or an object: it could hold anything."""
        found = self._found(row)
        if isinstance(found, list | dict) or (isinstance(found, str) and len(found) > LONGEST_TEXT):
            raise UntranslatableError(f"a {_kind(found)} stands at {self.place} where a plain value belongs")
        if self.words:
            found = self.words.get(_word(found), found if self.otherwise is None else self.otherwise)
        elif found is None:
            found = self.otherwise
        return self._converted(found)

    @property
    def place(self) -> str:
        return self.path.text if self.path else " + ".join(path.text for path in self.join) or "a constant"

    def _found(self, row: Any) -> Any:
        if self.path is not None:
            return self.path.of(row)
        if not self.join:
            return self.constant
        parts = [path.of(row) for path in self.join]
        if any(isinstance(part, list | dict) for part in parts):
            return next(part for part in parts if isinstance(part, list | dict))
        return None if None in parts else self.separator.join(_word(part) for part in parts)

    def _converted(self, value: Plain) -> Plain:
        match self.as_:
            case "text":
                return value if value is None or isinstance(value, bool) else _word(value)
            case "integer":
                number = whole(value)
                return value if number is None else number
            case "boolean":
                return {"true": True, "1": True, "false": False, "0": False}.get(_word(value).lower(), value)
            case "datetime":
                moment = parse_moment(value, self.date_format, self.zone)
                return value if moment is None else moment.isoformat()
        return value


def _kind(value: Any) -> str:
    return {"list": "list", "dict": "object", "str": "long text"}.get(type(value).__name__, "value")


def _word(value: Any) -> str:
    """As JSON writes it, without quotes."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def whole(value: Any) -> int | None:
    """The whole number of units that a value means: 3, 3.0, "3", "3.00"; None when it means none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        found = _WHOLE.fullmatch(value.strip())
        return int(found[1]) if found else None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value.is_integer() else None
    return value if isinstance(value, int) else None


def parse_moment(value: Any, date_format: str, zone: str = "UTC") -> datetime | None:
    """The instant, always with an offset; None when the value is no date of this format."""
    try:
        if date_format in ("epoch_s", "epoch_ms"):
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                return None
            return datetime.fromtimestamp(float(value) / (1000 if date_format == "epoch_ms" else 1), UTC)
        if not isinstance(value, str):
            return None
        parsed = datetime.fromisoformat(value) if date_format == "iso" else _patterned(value, date_format)
        return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=ZoneInfo(zone))
    except (ValueError, OverflowError, OSError):
        return None


def _patterned(text: str, pattern: str) -> datetime:
    return datetime.strptime(text, pattern)  # noqa: DTZ007 - the caller adds the zone where the text has none


def write_moment(moment: datetime, date_format: str, zone: str = "UTC") -> str | int:
    """As the channel wants it in a request. Parts of a second are cut off where the format has none."""
    match date_format:
        case "iso":
            return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case "epoch_s":
            return math.floor(moment.timestamp())
        case "epoch_ms":
            return math.floor(moment.timestamp() * 1000)
    return moment.astimezone(ZoneInfo(zone)).strftime(date_format)
