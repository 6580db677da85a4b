"""Artifacts that people can read: one table a key, with its history in the Prefect UI."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

MOST_ROWS = 500
"""Of a table artifact; a browser shows no more with pleasure."""


def table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """`key`: lower case, digits and dashes. The description says how many rows were left out."""
    left_out = len(rows) - MOST_ROWS
    if left_out > 0:
        description += f"\n\n{left_out} more rows are not shown."
    create_table_artifact(key=key, table=[dict(row) for row in rows[:MOST_ROWS]], description=description)


def page(key: str, markdown: str, description: str) -> None:
    """A text for people; `key` as of a table."""
    create_markdown_artifact(key=key, markdown=markdown, description=description)
