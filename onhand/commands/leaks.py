"""Where a secret or a buyer's name stands that should stand nowhere: in the ledger, in Prefect's database, in files.

What is looked for goes in by a name, and only names and places come out.
"""

import base64
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, text

SHORTEST = 6
"""Characters; anything shorter stands everywhere by chance."""

_TABLES = text(
    """
    SELECT table_schema, table_name FROM information_schema.tables
    WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2
    """
)


def spellings(value: str) -> set[str]:
    """The ways in which a text is commonly written down."""
    return {value, quote(value, safe=""), json.dumps(value)[1:-1], base64.b64encode(value.encode()).decode()}


class Wanted:
    """`values`: {name: value}. Raises ValueError for a value too short to be looked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        if short := sorted(name for name, value in values.items() if len(value) < SHORTEST):
            raise ValueError(f"shorter than {SHORTEST} characters: {', '.join(short)}")
        self.pairs = [(name, one) for name, value in values.items() for one in sorted(spellings(value))]

    def within(self, words: str) -> list[str]:
        """Names of what stands there."""
        return sorted({name for name, one in self.pairs if one in words})


def in_ledger(engine: Engine, wanted: Wanted) -> Iterator[str]:
    """`table: name` for each that stands in a row of it, in whatever column."""
    names, values = [name for name, _ in wanted.pairs], [one for _, one in wanted.pairs]
    with engine.connect() as connection:
        for schema, table in connection.execute(_TABLES).all():
            quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, table))
            found = connection.execute(
                text(
                    f"""
                    SELECT DISTINCT wanted.name FROM {quoted} AS given,
                           unnest(CAST(:names AS text[]), CAST(:values AS text[])) AS wanted (name, value)
                    WHERE position(wanted.value IN given::text) > 0
                    """  # noqa: S608 - the names of our own tables, quoted
                ),
                {"names": names, "values": values},
            )
            yield from (f"{table}: {name}" for name in sorted(found.scalars()))


def in_sqlite(file: Path, wanted: Wanted) -> Iterator[str]:
    """As `in_ledger`, of Prefect's own database."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        for line in connection.iterdump():
            table = line.split('"')[1] if line.startswith('INSERT INTO "') else file.name
            yield from (f"{table}: {name}" for name in wanted.within(line))
    finally:
        connection.close()


def in_files(files: Iterable[Path], wanted: Wanted) -> Iterator[str]:
    for file in files:
        if file.is_file():
            found = wanted.within(file.read_text(encoding="utf-8", errors="replace"))
            yield from (f"{file.name}: {name}" for name in found)
