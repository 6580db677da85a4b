"""Text from outside on a terminal: shown as it is, and without what would steer the terminal."""

from rich import markup


def escape(words: str) -> str:
    """For Rich: no markup, no control characters, no turned direction of writing."""
    return markup.escape("".join(one if one.isprintable() or one == "\n" else " " for one in words))
