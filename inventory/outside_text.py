"""Text from outside within Markdown of ours: it is shown, and does nothing."""

import re

LONGEST = 500

_ACTS = re.compile(r"([\\`*_\[\]<>|~])")
"""What begins something anywhere in a line of Markdown: emphasis, code, a link, HTML, a cell."""
_BEGINS = re.compile(r"^(\d{1,9}(?=[.)])|(?=[#+=-]))")
"""What begins something at the beginning of a line: a heading, a list, a rule."""


def one_line(raw: str, most: int = LONGEST) -> str:
    """What can be seen of it, on one line."""
    words = " ".join("".join(one if one.isprintable() else " " for one in raw).split())
    return words if len(words) <= most else words[: most - 1] + "…"


def in_markdown(raw: str, most: int = LONGEST) -> str:
    """On one line and as it is written: no link, no picture, no HTML, no cell of a table."""
    escaped = _BEGINS.sub(r"\1\\", _ACTS.sub(r"\\\1", one_line(raw, most)), count=1)
    # An address would become a link by itself.
    return escaped.replace("://", ":\u200b//").replace("www.", "www\u200b.")
