"""When channels are dark: a pattern from text, and the outages that it means for a history.

`channel=2,weekday=thu,from=10:00,to=16:00`: the second channel, every Thursday. Several of them at once are
joined by `;`, several weekdays by `+`; `date=2011-11-17` instead of a weekday is one day; `none` is no outage.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from inventory.orders.order_history import DAY
from inventory.replaying.replay_shelf import Darkness

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FIRST_EXPECTED = 8 * 3_600_000
"""How long the first outage of a channel is expected to last (milliseconds): no earlier one says better."""
REMEMBERED = 8
"""Earlier outages of a channel, the longest of which the next is expected to last."""
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")


class OutageError(ValueError):
    """The text is no outage pattern. The message is one line for people."""


@dataclass(frozen=True, slots=True)
class Rule:
    channel: int
    """From 0."""
    weekdays: frozenset[int]
    day: date | None
    start: int
    """Milliseconds after midnight."""
    end: int
    """After `start`; beyond 24 hours it is the next day."""


@dataclass(frozen=True, slots=True)
class Pattern:
    text: str = "none"
    rules: tuple[Rule, ...] = ()

    def darknesses(self, origin: datetime, days: int) -> tuple[Darkness, ...]:
        """By start; what overlaps or touches on one channel is one. Each knows how long earlier ones took."""
        spans: dict[int, list[tuple[int, int]]] = {}
        for rule in self.rules:
            for day in range(-1, days):
                if _falls_on(rule, origin, day):
                    start, end = max(0, day * DAY + rule.start), day * DAY + rule.end
                    if end > 0:
                        spans.setdefault(rule.channel, []).append((start, end))
        found = []
        for channel, given in spans.items():
            lengths: list[int] = []
            for start, end in _merged(given):
                planned = max(lengths[-REMEMBERED:], default=FIRST_EXPECTED)
                found.append(Darkness(channel, start, end, planned))
                lengths.append(end - start)
        return tuple(sorted(found, key=lambda one: (one.start, one.channel)))


def parse_pattern(text: str, channels: int) -> Pattern:
    """Raises OutageError, which says what would be right."""
    plain = "".join(text.split()).casefold()
    if plain in ("", "none"):
        return Pattern()
    return Pattern(plain, tuple(_rule(part, channels) for part in plain.split(";") if part))


def _rule(text: str, channels: int) -> Rule:
    given: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or name not in ("channel", "weekday", "date", "from", "to") or name in given:
            raise OutageError(
                f"{part!r} in the outage {text!r} is not understood: "
                "write it as channel=2,weekday=thu,from=10:00,to=16:00"
            )
        given[name] = value
    number = given.get("channel", "")
    if not number.isdecimal() or len(number) > 9 or not 1 <= int(number) <= channels:
        raise OutageError(f"the outage {text!r} needs a channel from 1 to {channels}")
    if ("weekday" in given) == ("date" in given):
        raise OutageError(f"the outage {text!r} needs either a weekday or a date")
    start, end = _clock(given.get("from", "00:00"), text), _clock(given.get("to", "24:00"), text)
    if end <= start:
        end += DAY
    if end - start > DAY:
        raise OutageError(f"the outage {text!r} lasts longer than a day: join several by `;`")
    return Rule(int(number) - 1, _weekdays(given.get("weekday"), text), _date(given.get("date"), text), start, end)


def _clock(value: str, text: str) -> int:
    found = _CLOCK.fullmatch(value)
    if not found or int(found[1]) * 60 + int(found[2]) > 24 * 60:
        raise OutageError(f"{value!r} in the outage {text!r} is no time of day such as 16:00")
    return (int(found[1]) * 60 + int(found[2])) * 60_000


def _weekdays(value: str | None, text: str) -> frozenset[int]:
    if value is None:
        return frozenset()
    if value == "all":
        return frozenset(range(7))
    names = [name[:3] for name in value.split("+")]
    if not all(name in WEEKDAYS for name in names):
        raise OutageError(f"{value!r} in the outage {text!r} is no weekday: {', '.join(WEEKDAYS)} or all")
    return frozenset(WEEKDAYS.index(name) for name in names)


def _date(value: str | None, text: str) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise OutageError(f"{value!r} in the outage {text!r} is no date such as 2011-11-17") from error


def _falls_on(rule: Rule, origin: datetime, day: int) -> bool:
    return day % 7 in rule.weekdays or (origin + timedelta(days=day)).date() == rule.day


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(set(spans)):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
