"""Requests as templates: `{name}` in a path, a parameter, a header or a body, and nothing more than that.

A template is data. A placeholder is looked up by its whole name in a fixed list; there are no
attributes, indexes, conversions or expressions in it. What is filled in is quoted for its place.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%{}-]*)+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,1000}")
OURS = frozenset(
    "host connection content-length content-type transfer-encoding te trailer upgrade expect cookie"
    " authorization".split()
)
"""Headers that the client sets itself. Credentials belong into `auth`."""


class UnsafeValueError(Exception):
    """A value cannot stand where the template wants it. Names the place, never the value."""


def names_in(template: Any) -> set[str]:
    """Every placeholder of a template, however deep."""
    if isinstance(template, str):
        return set(PLACEHOLDER.findall(template))
    if isinstance(template, Mapping):
        return {name for key, value in template.items() for name in names_in(value)}
    if isinstance(template, list | tuple):
        return {name for value in template for name in names_in(value)}
    return set()


def check(template: Any, allowed: Iterable[str]) -> None:
    """Raises ValueError for an unknown placeholder, or a brace that is none."""
    if isinstance(template, str):
        known = sorted(allowed)
        for name in PLACEHOLDER.findall(template):
            if name not in known:
                here = ", ".join(f"{{{one}}}" for one in known) or "none"
                raise ValueError(f"{{{name}}} means nothing here; the placeholders of this place are: {here}")
        if re.search(r"[{}]", PLACEHOLDER.sub("", template)):
            raise ValueError(
                "has a brace that belongs to no placeholder; write {name}, in lower case, and no other brace"
            )
    elif isinstance(template, Mapping):
        for key, value in template.items():
            check(str(key), ())
            check(value, allowed)
    elif isinstance(template, list | tuple):
        for value in template:
            check(value, allowed)


def check_path(path: str) -> str:
    """A path below the base URL, on its host."""
    if not path.startswith("/") or path.startswith("//") or not _PATH.fullmatch(path):
        raise ValueError('is no path; write it from the slash on, as "/orders", without host, "?" and "#"')
    if any(part in (".", "..") for part in path.replace("%2e", ".").replace("%2E", ".").split("/")):
        raise ValueError('has a part "." or ".."; write the whole path')
    return path


def check_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        check_header_name(name)
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} is no header value; write printable ASCII in one line")
    return headers


def check_header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name[:60]!r} is no name of a header; write it as X-Portal-Key")
    if name.lower() in OURS:
        raise ValueError(f"the header {name} is not for the description; credentials belong into auth")
    return name


def fill_path(template: str, values: Mapping[str, Any]) -> str:
    def quoted(match: re.Match[str]) -> str:
        text = _text(values[match[1]])
        if not text or text in (".", "..") or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
            raise UnsafeValueError(f"what stands for {{{match[1]}}} cannot stand in a path")
        return quote(text, safe="")

    return PLACEHOLDER.sub(quoted, template)


def fill_headers(template: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    filled = {}
    for name, one in template.items():
        if any(values[used] is None for used in names_in(one)):
            continue
        value = PLACEHOLDER.sub(lambda match: _text(values[match[1]]), one)
        if not _HEADER_VALUE.fullmatch(value):
            raise UnsafeValueError(f"what stands in the header {name} is no header value")
        filled[name] = value
    return filled


def fill_params(template: Mapping[str, Any], values: Mapping[str, Any], *, lists: str) -> dict[str, Any]:
    """A parameter whose placeholder has no value is left out (the cursor of a first page)."""
    filled = {name: fill(one, values) for name, one in template.items()}
    return {name: _param(name, value, lists) for name, value in filled.items() if value is not None}


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """A text that is one placeholder alone becomes its value, of whatever type; None leaves its key out."""
    if isinstance(template, str):
        whole = PLACEHOLDER.fullmatch(template)
        if whole:
            return values[whole[1]]
        if any(values[name] is None for name in names_in(template)):
            return None
        return PLACEHOLDER.sub(lambda match: _text(values[match[1]]), template)
    if isinstance(template, Mapping):
        filled = {str(key): fill(value, values) for key, value in template.items()}
        return {key: value for key, value in filled.items() if value is not None}
    if isinstance(template, list | tuple):
        return [fill(value, values) for value in template]
    return template


def _param(name: str, value: Any, lists: str) -> Any:
    if not isinstance(value, list | tuple):
        return value
    texts = [_text(one) for one in value]
    if lists == "repeat":
        return texts
    if any("," in text for text in texts):
        raise UnsafeValueError(f"one of the values of {name} has a comma, which separates them")
    return ",".join(texts)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
