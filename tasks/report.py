"""Artifacts that people can read: one table a key, with its history in the Prefect UI."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from inventory.outside_text import one_line

MOST_ROWS = 500
"""Of a table artifact; a browser shows no more with pleasure."""
LONGEST_CELL = 2000


def table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """`key`: lower case, digits and dashes. The description says how many rows were left out."""
    left_out = len(rows) - MOST_ROWS
    if left_out > 0:
        description += f"\n\n{left_out} more rows are not shown."
    shown = [{name: cell(value) for name, value in row.items()} for row in rows[:MOST_ROWS]]
    create_table_artifact(key=key, table=shown, description=description)


def cell(value: Any) -> Any:
    """A text without what nobody can see, and of a length that a browser shows."""
    return one_line(value, LONGEST_CELL) if isinstance(value, str) else value


def page(key: str, markdown: str, description: str) -> None:
    """A text for people; `key` as of a table."""
    create_markdown_artifact(key=key, markdown=markdown, description=description)
