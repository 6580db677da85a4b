"""`onhand exposure`: how much could be oversold at worst, now and over time."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from inventory.ledger.explanation import resolve
from inventory.publishing.exposure_view import Total, by_listing, by_sku, samples, total
from onhand.commands.ledger_access import reach_ledger
from onhand.commands.shown import escape


def run_exposure(sku: str | None, *, most: int, hours: float, as_json: bool) -> int:
    """1 when more is exposed than is sellable of some SKU. Raises UnknownSku, LedgerUnreachable."""
    with (
        reach_ledger() as engine,
        engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
    ):
        found = resolve(connection, sku)[0] if sku else None
        whole = total(connection)
        skus = by_sku(connection, most=most, sku=found)
        listings = by_listing(connection, [one.sku for one in skus]) if found else []
        since = datetime.now(UTC) - timedelta(hours=hours)
        history = samples(connection, since=since) if hours else []
    if as_json:
        plain: dict[str, Any] = {
            "total": asdict(whole),
            "skus": [asdict(one) | {"beyond": one.beyond} for one in skus],
            "listings": [asdict(one) for one in listings],
            "samples": [asdict(one) for one in history],
        }
        print(json.dumps(plain, default=str))
        return int(whole.beyond > 0)
    console = Console()
    _say_total(console, whole)
    _print(console, "By SKU, the tightest first (pieces)", ("SKU", "sellable", "exposed", "beyond", "pool", "unread"),
           [(one.sku, one.sellable, one.exposed, one.beyond, one.pool, one.unread) for one in skus])  # fmt: skip
    _print(console, "By listing (listing units)", ("channel", "listing", "sold as", "pieces", "exposure", "confirmed"),
           [(one.channel, one.ref, one.listed_as, one.pieces, "asks first" if one.asks_first else one.exposure,
             one.confirmed) for one in listings])  # fmt: skip
    _print(console, "Over time", ("at", "exposed", "sellable", "beyond", "oversold"),
           [(f"{one.at:%Y-%m-%d %H:%M:%S}", one.exposed, one.sellable, one.beyond, one.oversold)
            for one in history])  # fmt: skip
    return int(whole.beyond > 0)


def _say_total(console: Console, whole: Total) -> None:
    console.print(
        f"{whole.exposed:,} pieces may be sold unseen, of {whole.sellable:,} sellable; at worst {whole.beyond:,} of "
        f"them do not exist. {whole.pool:,} pieces are left for those who ask first. "
        f"Oversold until now: {whole.oversold:,}.",
        highlight=False,
    )
    _print(console, "By channel", ("channel", "pieces exposed"), sorted(whole.by_channel.items()))


def _print(console: Console, title: str, columns: tuple[str, ...], rows: list[Any]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("–" if cell is None else escape(str(cell)) for cell in row))
    console.print(table)
