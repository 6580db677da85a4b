"""Rows of a seller's table after the gate: why each is held back, and the note of it."""

from collections.abc import Mapping
from datetime import datetime

import pandas as pd
from sqlalchemy import Connection

from adapters.seller_csv import BadRow
from expectations.verdict import Verdict
from inventory.publishing.gate_log import HeldRow, hold_rows, release_rows
from tasks.selling.apply import record


def held_reasons(verdict: Verdict, bad: Mapping[int, BadRow], frame: pd.DataFrame) -> dict[int, str]:
    """{row label: why it is held back}. A row that could not be read has only that as its reason."""
    why = {finding.rule_id: finding.why for finding in verdict.findings}
    reasons = {}
    for label, rules in verdict.failed_rows.items():
        unread = bad.get(int(frame["row"].iloc[label]))
        if unread is not None and not frame["readable"].iloc[label]:
            reasons[label] = f"{unread.reason}: {unread.excerpt}"
        else:
            reasons[label] = "; ".join(f"{why.get(rule, 'not judged')} ({rule})" for rule in rules)
    return reasons


def note_rows(
    connection: Connection,
    suite: str,
    frame: pd.DataFrame,
    verdict: Verdict,
    reasons: Mapping[int, str],
    *,
    now: datetime,
) -> None:
    """The verdict, the rows that were held back and have a name, and those that came through after all."""
    record(connection, "", verdict, now)
    keys = [str(key) for key in frame["row_key"]]
    held = [
        HeldRow(keys[label], ",".join(verdict.failed_rows[label]), why[:500])
        for label, why in reasons.items()
        if not keys[label].startswith("row[")
    ]
    hold_rows(connection, suite, "", held, now=now)
    release_rows(connection, suite, [key for label, key in enumerate(keys) if label not in reasons], now=now)
