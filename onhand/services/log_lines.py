"""One line of a log for one event: what comes from outside must not begin a line of its own, nor steer a terminal."""

import logging
from typing import Any

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class OneLine(logging.Formatter):
    """Characters that nobody can see are written as Python writes them. The lines of a traceback are indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return "\n".join(f"    {visible(line)}" for line in super().formatException(ei).splitlines())


def visible(words: str) -> str:
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in words)


def log_to_stderr(level: str) -> None:
    """For a process of our own; without effect where logging is set up."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine(_FORMAT))
    logging.basicConfig(level=level, handlers=[handler])
