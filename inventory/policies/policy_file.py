"""Policy-as-code: one TOML text that says which policy holds for which channel, class of items and window of time.

    [default]
    policy = "strict"

    [[rule]]
    name = "wholesale hardly sells out"
    channels = ["portal"]
    classes = ["bulk"]
    policy = "calibrated:0.001"
    cap = 200

Rules are read from top to bottom; a later one overrides what it states and leaves the rest. `docs/policies.md` has
every key, `docs/policy.example.toml` an example.
"""

import hashlib
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from inventory.outages.fallback_settings import Fallback
from inventory.policies.policy import Calibrated, Policy, Strict
from inventory.policies.policy_text import PolicyError, parse_policy

LONGEST_TEXT = 200_000
MOST_UNITS = 10_000_000


class PolicyFileError(ValueError):
    """The text is no policy file. One line a mistake, each naming the table and the key."""


def _is_policy(text: str) -> str:
    if "+" in text:
        raise ValueError(f"{text!r}: write `cap` and `floor` as keys of their own")
    try:
        return parse_policy(text).text
    except PolicyError as error:
        raise ValueError(str(error)) from None


def _is_word(text: str) -> str:
    if not text or text != text.strip() or len(text) > 80:
        raise ValueError("a name has 1 to 80 characters and no blank at either end")
    return text


PolicyName = Annotated[str, AfterValidator(_is_policy)]
Word = Annotated[str, AfterValidator(_is_word)]
Units = Annotated[int, Field(ge=0, le=MOST_UNITS, strict=True)]


class _Limits(BaseModel):
    """What a table may state. None: it states nothing about it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: PolicyName | None = None
    cap: Units | None = None
    """Listing units: never show more."""
    floor: Units | None = None
    """Listing units: show nothing rather than less than this."""
    safety: Units | None = None
    """Pieces of the SKU that are shown nowhere, besides the item's own safety stock."""

    @model_validator(mode="after")
    def _cap_above_floor(self) -> Self:
        if self.cap is not None and self.floor is not None and self.cap < self.floor:
            raise ValueError(f"cap {self.cap} is below floor {self.floor}: it would never show anything")
        return self


class Default(_Limits):
    policy: PolicyName = "strict"


class Rule(_Limits):
    name: Word
    channels: tuple[Word, ...] = ()
    """Codes; empty: all."""
    classes: tuple[Word, ...] = ()
    """Of items; empty: all."""
    start: AwareDatetime | None = Field(default=None, alias="from")
    until: AwareDatetime | None = None
    """A promotion: the rule holds from `from` (included) to `until` (not included)."""
    share: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = None
    """Weight when scarce stock is split, instead of the channel's own."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.start and self.until and self.until <= self.start:
            raise ValueError("`until` is not after `from`")
        if self.safety is not None and self.channels:
            raise ValueError(
                "`safety` is kept from every channel and cannot be scoped by `channels`: use cap, fixed or percentage"
            )
        if self.policy is None and self.cap is None and self.floor is None and self.safety is None:
            if self.share is None:
                raise ValueError("states nothing: give policy, cap, floor, safety or share")
        return self

    def holds(self, channel: str, item_class: str, at: datetime) -> bool:
        return (
            (not self.channels or channel in self.channels)
            and (not self.classes or item_class in self.classes)
            and (self.start is None or self.start <= at)
            and (self.until is None or at < self.until)
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for one listing at one moment."""

    policy: Policy = field(default_factory=Strict)
    cap: int | None = None
    floor: int = 0
    safety: int = 0
    share: float | None = None
    rules: tuple[str, ...] = ()
    """Names of the rules that had a say."""

    @property
    def label(self) -> str:
        limits = [f"{name} {units}" for name, units in (("cap", self.cap), ("floor", self.floor)) if units]
        return ", ".join([self.policy.text, *limits, *([f"by {' + '.join(self.rules)}"] if self.rules else [])])


class PolicyFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    default: Default = Default()
    rule: tuple[Rule, ...] = ()
    fallback: Fallback = Fallback()
    """What is done in an outage (`inventory.outages.ladder`)."""
    review_by: date | None = None
    """A person wants to look at it again until then."""

    @model_validator(mode="after")
    def _each_name_once(self) -> Self:
        names = [rule.name for rule in self.rule]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two rules are called {twice[0]!r}")
        return self

    def terms(self, channel: str, item_class: str, at: datetime) -> Terms:
        """What the rules that hold then come to."""
        stated: dict[str, Any] = self.default.model_dump(exclude_none=True)
        rules = [rule for rule in self.rule if rule.holds(channel, item_class, at)]
        for rule in rules:
            stated |= rule.model_dump(include={"policy", "cap", "floor", "safety", "share"}, exclude_none=True)
        return Terms(
            parse_policy(stated["policy"]),
            stated.get("cap"),
            stated.get("floor", 0),
            stated.get("safety", 0),
            stated.get("share"),
            tuple(rule.name for rule in rules),
        )

    def boundaries(self) -> Iterator[tuple[datetime, Rule]]:
        """When a promotion begins or ends."""
        for rule in self.rule:
            for at in (rule.start, rule.until):
                if at is not None:
                    yield at.astimezone(UTC), rule

    def policies(self) -> list[Policy]:
        return [parse_policy(one) for one in {self.default.policy, *(rule.policy for rule in self.rule)} if one]

    @cached_property
    def learns(self) -> bool:
        """Whether any of its policies needs to know demand."""
        return any(isinstance(one, Calibrated) for one in self.policies())

    @cached_property
    def is_plain(self) -> bool:
        """Strict for everything, without any limit: the same as no file."""
        return not self.rule and self.default == Default()

    def unknown(self, channels: Collection[str], classes: Collection[str]) -> list[str]:
        """Names in scopes that exist nowhere; a scope that matches nothing is a misspelling more often than not."""
        found = [f"fallback.penalties: no channel {one!r}" for one in self.fallback.penalties if one not in channels]
        for rule in self.rule:
            found += [f"rule {rule.name!r}: no channel {one!r}" for one in rule.channels if one not in channels]
            found += [f"rule {rule.name!r}: no item is of class {one!r}" for one in rule.classes if one not in classes]
        return found


STRICT_FOR_ALL = PolicyFile()


def parse_policy_file(text: str) -> PolicyFile:
    """Raises PolicyFileError."""
    if len(text) > LONGEST_TEXT:
        raise PolicyFileError(f"the policy file has {len(text):,} characters; {LONGEST_TEXT:,} are allowed")
    if "\x00" in text:
        raise PolicyFileError("the policy file holds a zero byte")
    try:
        content = tomllib.loads(text)
    except ValueError as error:
        raise PolicyFileError(f"the policy file is not valid TOML: {error}") from None
    except RecursionError:
        raise PolicyFileError("the policy file is nested too deep") from None
    try:
        return PolicyFile.model_validate(content)
    except ValidationError as error:
        raise PolicyFileError("\n".join(_problems(error, content))) from None


def _problems(error: ValidationError, content: dict[str, Any]) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False):
        place, kind = list(problem["loc"]), problem["type"]
        rules = content.get("rule")
        if len(place) > 1 and place[0] == "rule" and isinstance(place[1], int) and isinstance(rules, list):
            given = rules[place[1]]
            name = given.get("name") if isinstance(given, dict) else None
            place[:2] = [f"rule {place[1] + 1}" + (f" ({name})" if isinstance(name, str) else "")]
        said = {"extra_forbidden": "is no key of this table", "missing": "is missing"}.get(kind, problem["msg"])
        if kind == "timezone_aware":
            said = "needs an offset, as in 2026-11-27T08:00:00+01:00"
        lines.append(": ".join([*(str(part) for part in place), said.removeprefix("Value error, ")]))
    return lines


def content_hash(text: str) -> str:
    """SHA-256 in hex; line ends do not count."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()
