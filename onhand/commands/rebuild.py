"""`onhand rebuild`: are the balances the sum of the journal? Shows what differs; rewrites only when asked."""

import json
from dataclasses import asdict
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from adapters.database import in_transaction
from inventory.ledger.rebuilding import Check, Difference, Repair, compare, repair
from onhand.commands.ledger_access import reach_ledger

_MEANING = {
    Check.BALANCE: "balance is not the sum of its movements",
    Check.RESERVED: "reserved units are not those that are held",
    Check.EXPOSURE: "exposure below zero",
    Check.GUARD: "the journal is not guarded against change",
}


def run_rebuild(*, repairing: bool, as_json: bool) -> int:
    """Print what differs; 0 when nothing does (or everything was repaired), else 1."""
    with reach_ledger() as engine:
        if repairing:
            outcome = in_transaction(engine, lambda connection: repair(connection, now=datetime.now(UTC)))
        else:
            outcome = Repair([], in_transaction(engine, compare))
    if as_json:
        print(json.dumps(asdict(outcome)))
    else:
        _show(Console(), outcome, repairing)
    return int(bool(outcome.left))


def _show(console: Console, outcome: Repair, repairing: bool) -> None:
    if outcome.rewritten:
        console.print(_table("rewritten from the journal", outcome.rewritten))
    if outcome.left:
        console.print(_table("differences", outcome.left))
    wrong = sum(one.check is Check.BALANCE for one in outcome.left)
    if not outcome.left:
        console.print("The ledger agrees with itself: every balance is the sum of its movements.")
    elif wrong and not repairing:
        console.print(f"{wrong} balances differ from the journal: `onhand rebuild --repair` rewrites them.")


def _table(title: str, differences: list[Difference]) -> Table:
    table = Table(title=f"{title}: {len(differences)}", title_justify="left")
    for column in ("what", "SKU", "where", "state", "expected", "stored"):
        table.add_column(column, justify="right" if column in ("expected", "stored") else "left", overflow="fold")
    for one in differences[:200]:
        table.add_row(_MEANING[one.check], one.sku, one.location, one.state, str(one.expected), str(one.stored))
    return table
