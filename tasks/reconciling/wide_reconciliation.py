"""A reconciliation in pieces: which there are, and one report of what became of them. How they are run is not known
here (`tasks.fan_out`)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from adapters.database import unit_of_work
from inventory.reconciling.listing_scopes import ALL, Range, ranges_of
from tasks.reconciling.compare import believed
from tasks.reconciling.reconcile_report import Table
from tasks.runtime import Runtime

KEYS = {
    "reconciliation": "Ledger against channel quantities, each channel or part of one",
    "discrepancies": "Listings whose live number is not the one the ledger knows of, the largest differences first",
    "orders-compared": "Ledger against the channels' orders",
    "orders-differing": "Missed: the channel has it. Phantom: only the ledger has it. Changed: they differ",
}
"""The tables of the pieces that are put together, and what they are."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One channel, or a range of its listings."""

    channel: str
    within: Range = ALL

    @property
    def parameters(self) -> dict[str, Any]:
        """For a run of `reconcile`, over those of the whole."""
        return {
            "channels": [self.channel],
            "first_listing": self.within.first,
            "last_listing": 0 if self.within.last == ALL.last else self.within.last,
            "runs": 1,
        }

    def __str__(self) -> str:
        return self.channel if self.within == ALL else f"{self.channel}, {self.part}"

    @property
    def part(self) -> str:
        begins, ends = self.parameters["first_listing"], self.parameters["last_listing"]
        return f"listings {begins}–{ends or 'the last'}"


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a piece. `fault`: why it did not come to its end; what it has told before counts all the same."""

    piece: Piece
    fault: str = ""
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


def pieces(runtime: Runtime, channels: Sequence[str], runs: int, *, by_listings: bool) -> list[Piece]:
    """About so many pieces, none empty: a channel each, and with `by_listings` the large ones in ranges of listings."""
    chosen = list(dict.fromkeys(channels))
    if not by_listings:
        return [Piece(code) for code in chosen]
    with unit_of_work(runtime.engine) as connection:
        rows = connection.execute(
            text("SELECT channel, count(*) AS n FROM listing WHERE channel = ANY(:codes) GROUP BY channel"),
            {"codes": chosen},
        )
        sizes = {row.channel: row.n for row in rows}
        each = max(1.0, sum(sizes.values()) / runs)
        return [
            Piece(code, within)
            for code in chosen
            for within in ranges_of(connection, code, max(1, round(sizes.get(code, 0) / each)))
        ]


def joined(ended: Sequence[Ended]) -> tuple[list[Table], list[str]]:
    """One report: the tables of all pieces, and one line for each that did not come to its end."""
    tables: list[Table] = []
    for key, words in KEYS.items():
        rows = [{**row, **_part(one)} for one in ended for row in one.tables.get(key, ())]
        if key == "discrepancies":
            rows.sort(key=lambda row: -abs(int(row["shown"]) - int(row["expected"])))
        if any(key in one.tables for one in ended):
            tables.append((key, rows, words))
    shown = [
        {"piece": str(one.piece), "how it ended": one.fault or "to its end", "told": ", ".join(one.tables)}
        for one in ended
    ]
    tables.append(("reconciliation-parts", shown, "The runs that this reconciliation was divided into"))
    return tables, [f"{one.piece}: {one.fault}" for one in ended if one.fault]


def _part(one: Ended) -> dict[str, Any]:
    return {} if one.piece.within == ALL else {"part": one.piece.part}


def end_blocks(runtime: Runtime, ended: Sequence[Ended]) -> None:
    """Where all parts of a divided channel came to their end and were believed, that it was not is over."""
    parts = Counter(one.piece.channel for one in ended)
    good = Counter(
        one.piece.channel
        for one in ended
        if not one.fault and not any(row.get("not believed") for row in one.tables.get("reconciliation", ()))
    )
    for code, count in parts.items():
        if good[code] == count:
            believed(runtime, code)
