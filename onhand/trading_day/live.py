"""The live view of a trading day: what the shoppers do, what the ledger knows, what the publisher does."""

from collections.abc import Mapping
from datetime import UTC, datetime

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection, text

from adapters.sandbox.shoppers import Shoppers


def view(connection: Connection, shoppers: Shoppers, channels: Mapping[str, str], share: float, note: str) -> Group:
    """`share` of the day that is over; `note`: what happens just now."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "placed", "in the ledger", "units sold", "refused", "numbers sent", "in doubt"):
        table.add_column(heading, justify="left" if not heading else "right")
    counts = _counts(connection)
    for code in channels:
        progress = shoppers.progress(code)
        table.add_row(
            code,
            f"{progress.orders_placed:,}",
            f"{counts.get((code, 'orders'), 0):,}",
            f"{progress.units_sold:,}",
            f"{progress.units_refused:,}",
            f"{counts.get((code, 'sent'), 0):,}",
            f"{counts.get((code, 'doubt'), 0):,}",
        )
    dirty, exposure, available, oversold = _totals(connection)
    line = Text(
        f"at worst still on sale: {exposure:,} of {available:,}   oversold: {oversold:,}   to publish: {dirty:,} SKUs"
    )
    return Group(ProgressBar(total=1.0, completed=share, width=60), table, line, Text(note, style="dim"))


def _counts(connection: Connection) -> dict[tuple[str, str], int]:
    rows = connection.execute(
        text(
            """
            SELECT channel, 'orders' AS what, count(*) AS n FROM reservation WHERE kind = 'order' GROUP BY channel
            UNION ALL SELECT channel, 'sent', count(*) FROM publication GROUP BY channel
            UNION ALL SELECT channel, 'doubt', count(*) FROM listing
                      WHERE unconfirmed_until > :now GROUP BY channel
            """
        ),
        {"now": datetime.now(UTC)},
    )
    return {(row.channel, row.what): row.n for row in rows}


def _totals(connection: Connection) -> tuple[int, int, int, int]:
    row = connection.execute(
        text(
            """
            SELECT (SELECT count(*) FROM outbox) AS dirty,
                   (SELECT coalesce(sum(exposure * units_per_listing), 0) FROM listing) AS exposure,
                   (SELECT coalesce(sum(quantity), 0) FROM balance WHERE state = 'available') AS available,
                   (SELECT coalesce(sum(oversold), 0) FROM reservation_line) AS oversold
            """
        )
    ).one()
    return int(row.dirty), int(row.exposure), int(row.available), int(row.oversold)
