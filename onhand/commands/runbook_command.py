"""`onhand runbook CHANNEL`: what to do when it is dark, from the policy in force."""

from datetime import UTC, datetime
from pathlib import Path

from onhand.commands.ledger_access import reach_ledger
from tasks.outages.write_runbook import runbook_of


class RunbookError(ValueError):
    """The page cannot be written where it should be, said in one line."""


def run_runbook(channel: str, *, to: Path | None = None) -> int:
    """Print the page, or write it into a file. Always 0. Raises UnknownChannel, LedgerUnreachable, RunbookError."""
    with reach_ledger() as engine:
        page = runbook_of(engine, channel, now=datetime.now(UTC))
    if to is None:
        print(page, end="")
        return 0
    try:
        to.write_text(page, encoding="utf-8")
    except OSError as error:
        raise RunbookError(f"{to} cannot be written: {error.strerror}") from None
    return 0
