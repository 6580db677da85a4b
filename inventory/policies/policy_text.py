"""A policy from one word of text, as it stands in a command or a form: `calibrated:0.001`, `fixed:5,cap:50`."""

from collections.abc import Callable, Sequence

from inventory.policies.policy import Bounded, Calibrated, Habit, Policy, Strict

DEFAULT_EPSILON = 0.001
KNOWN = "strict, calibrated:EPS, mirror, fixed:UNITS, percentage:PERCENT, each with +cap:UNITS or +floor:UNITS"


class PolicyError(ValueError):
    """The text names no policy. The message is one line for people."""


def parse_policies(text: str) -> list[Policy]:
    """Separated by commas. The same one twice is an error: its figures would stand twice."""
    found = [parse_policy(one) for one in text.split(",")]
    names = [one.text for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PolicyError(f"the policy {twice[0]} is named twice")
    return found


def parse_policy(text: str) -> Policy:
    """Raises PolicyError, which says what would be right."""
    name, *limits = [part.strip() for part in text.strip().casefold().split("+")]
    policy = _plain(name)
    return _bounded(policy, limits) if limits else policy


def _plain(text: str) -> Policy:
    name, colon, given = text.partition(":")
    if name in _WITH_NUMBER:
        return _WITH_NUMBER[name](text, given.strip())
    if name in ("strict", "mirror"):
        if colon:
            raise PolicyError(f"{name} takes no number, so {text!r} is not a policy")
        return Strict() if name == "strict" else Habit("mirror")
    raise PolicyError(f"{text!r} is not a policy: there are {KNOWN}" if text else f"a policy is missing: {KNOWN}")


def _calibrated(text: str, given: str) -> Policy:
    epsilon = _number(given, text, "a chance, as in calibrated:0.001") if given else DEFAULT_EPSILON
    if not 1e-9 <= epsilon <= 0.5:
        raise PolicyError(f"the chance in {text!r} must lie between 0.000000001 and 0.5")
    return Calibrated(text if given else f"calibrated:{DEFAULT_EPSILON}", epsilon)


def _fixed(text: str, given: str) -> Policy:
    return Habit(text, buffer=_units(given, text, "fixed:5"))


def _percentage(text: str, given: str) -> Policy:
    percent = _number(given.removesuffix("%"), text, "a number of percent that is shown, as in percentage:90")
    if not 0 < percent <= 100:
        raise PolicyError(f"the percentage in {text!r} must be above 0 and at most 100")
    return Habit(text, percent=percent)


_WITH_NUMBER: dict[str, Callable[[str, str], Policy]] = {
    "calibrated": _calibrated,
    "fixed": _fixed,
    "percentage": _percentage,
}


def _bounded(policy: Policy, limits: Sequence[str]) -> Policy:
    given: dict[str, int] = {}
    for limit in limits:
        name, _, units = limit.partition(":")
        if name not in ("cap", "floor"):
            raise PolicyError(f"{limit!r} is no limit: there are cap:UNITS and floor:UNITS")
        if name in given:
            raise PolicyError(f"{policy.text} has two limits of the kind {name}")
        given[name] = _units(units.strip(), limit, f"{name}:50")
    cap, floor = given.get("cap"), given.get("floor", 0)
    if cap is not None and cap < max(floor, 1):
        raise PolicyError(f"cap:{cap} of {policy.text} is below {max(floor, 1)}: it would never show anything")
    return Bounded("+".join([policy.text, *limits]), policy, cap, floor)


def _number(given: str, text: str, wanted: str) -> float:
    try:
        return float(given)
    except ValueError as error:
        raise PolicyError(f"{text!r} needs {wanted}") from error


def _units(given: str, text: str, example: str) -> int:
    if not given.isdecimal() or len(given) > 9:
        raise PolicyError(f"{text!r} needs a whole number of units, as in {example}")
    return int(given)
