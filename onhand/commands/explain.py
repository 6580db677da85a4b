"""`onhand explain SKU`: why is this number what it is? Every number, who holds it, and the movements behind it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from inventory.ledger.explanation import Explanation, explain
from inventory.publishing.availability import Availability
from inventory.words import OUTSIDE_ACCOUNTS
from onhand.commands.ledger_access import reach_ledger
from onhand.commands.shown import escape

MOST_HOLDERS = 20
"""Shown in a terminal."""


def run_explain(sku: str, *, last: int, as_json: bool) -> int:
    """Print the explanation; always 0. Raises `UnknownSku`."""
    with (
        reach_ledger() as engine,
        # One snapshot: numbers that are read one after the other belong together all the same.
        engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
    ):
        found = explain(connection, sku, datetime.now(UTC), last=last)
    if as_json:
        print(json.dumps(as_plain(found), default=_plain))
    else:
        show(Console(), found)
    return 0


def as_plain(found: Explanation) -> dict[str, Any]:
    """The explanation as plain values, with the sums that the tables show."""
    stock = found.availability
    sums = {"on_hand": stock.on_hand, "available": stock.available, "sellable": stock.sellable}
    return {**asdict(found), "availability": {**asdict(stock), **sums}}


def show(console: Console, found: Explanation) -> None:
    alias = f" (asked for as {found.asked})" if found.asked != found.sku else ""
    console.print(f"[bold]{escape(found.sku)}[/] {escape(found.title)}{escape(alias)}", highlight=False)
    if found.components:
        parts = ", ".join(f"{pieces} × {sku}" for sku, pieces in found.components.items())
        console.print(f"A bundle of {escape(parts)}: its stock is theirs, explain those.")
    if found.bundles:
        console.print(f"Shares stock with {escape(', '.join(found.bundles))}.")
    for table in _tables(found):
        if table.row_count:
            console.print(table)
    for suspect in found.suspects:
        console.print(f"[bold yellow]Suspect:[/] {suspect.pattern}, {_text(suspect.at)}: {escape(suspect.evidence)}")
    for concern in (*found.incidents, *found.discrepancies):
        style = "bold red" if concern.severity == "critical" else "yellow"
        times = f", {concern.times} times" if concern.times > 1 else ""
        console.print(
            f"[{style}]{concern.kind}[/] since {_text(concern.first_at)}{times}: "
            f"{escape(concern.subject)}: {escape(concern.message)}"
        )
    for entry in found.pending:
        by = f", claimed by {entry.lease_owner} until {_text(entry.lease_until)}" if entry.lease_owner else ""
        console.print(f"To be published again: {escape(entry.sku)}, due {_text(entry.due_at)}{escape(by)}.")


def _tables(found: Explanation) -> Iterable[Table]:
    yield _table("From on hand to sellable", ("", "pieces"), _sums(found.availability, found.oversold))
    yield _table(
        "Where it lies",
        ("location", "on hand", "by state", "sold by"),
        (
            (place.location, place.on_hand, _pairs(place.states.items()), ", ".join(place.channels))
            for place in found.locations
        ),
    )
    yield _table(
        "What the channels show (listing units)",
        ("channel", "listing", "pieces", "published", "confirmed", "observed", "exposure", "settling", "slice", "room",
         "state"),
        (
            (one.channel, one.ref, one.pieces, one.published, one.confirmed, one.observed, one.exposure, one.settling,
             one.slice, one.room, _listing_state(one))
            for one in found.listings
        ),
    )  # fmt: skip
    yield _table(
        "Which policy says so (pieces)",
        ("channel", "listing", "policy in force", "kept for others", "may sell unseen for", "order lines in it"),
        (
            (one.channel, one.ref, one.policy, one.kept, None if one.lag is None else f"{one.lag:.0f} s",
             None if one.unseen_lines is None else f"{one.unseen_lines:.3g}")
            for one in found.listings
        ),
    )  # fmt: skip
    most = sorted(found.holders, key=lambda one: one.held + one.oversold, reverse=True)[:MOST_HOLDERS]
    more = f", the {MOST_HOLDERS} largest of {len(found.holders):,} (all of them: --json)"
    yield _table(
        "Who holds it" + (more if len(found.holders) > MOST_HOLDERS else ""),
        ("holder", "location", "held", "oversold", "since", "until"),
        (
            (one.holder, one.location or "nowhere", one.held, one.oversold, one.placed_at,
             "is over" if one.due else one.expires_at or "no end")
            for one in most
        ),
    )  # fmt: skip
    yield _table(
        "The last movements behind each state",
        ("state", "location", "when", "change", "then there", "why", "by", "for"),
        (
            (one.state, one.location, one.occurred_at, f"{one.change:+d}", one.after, one.reason,
             one.actor or one.source, one.reference)
            for one in found.entries
            if one.state not in OUTSIDE_ACCOUNTS
        ),
    )  # fmt: skip
    yield _table(
        "The last numbers sent",
        ("sent", "channel", "listing", "quantity", "became", "because of", "policy", "gate", "confirmed"),
        (
            (one.sent_at, one.channel, one.ref, one.quantity, f"{one.status} {one.reason}".strip(),
             _pairs((name, value) for name, value in one.inputs.items() if not isinstance(value, dict)),
             one.policy_version, one.gate or "no verdict", one.confirmed_at)
            for one in found.publications
        ),
    )  # fmt: skip


def _sums(stock: Availability, oversold: int) -> list[tuple[str, int]]:
    rows = [
        ("on hand", stock.on_hand),
        ("− reserved", stock.reserved),
        ("− allocated", stock.allocated),
        ("− damaged", stock.damaged),
        ("− quarantined", stock.quarantined),
        ("= available", stock.available),
        ("− accuracy margin", stock.accuracy_margin),
        ("− safety stock", stock.safety_stock),
        *([("− kept for promotions", stock.promotions)] if stock.promotions else []),
        *((f"− not confirmed for long at {place}", units) for place, units in sorted(stock.aged_at.items())),
        ("= sellable", stock.sellable),
    ]
    return [*rows, ("sold, but do not exist", oversold)] if oversold else rows


def _listing_state(one: Any) -> str:
    if one.in_doubt_until:
        return f"in doubt until {_text(one.in_doubt_until)}"
    if one.off_sale:
        return f"off sale by {one.off_sale}"
    if one.dark:
        return "its channel is dark: nothing is written"
    if not one.tracked:
        return "stock not tracked there"
    return f"held back since {_text(one.held_since)}" if one.held_since else one.mode


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(_text(value)) for value in row))
    return table


def _pairs(values: Iterable[tuple[str, object]]) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value in values)


def _text(value: object) -> str:
    if value is None:
        return "–"
    return value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else str(value)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
