"""Items, bundles and aliases from a seller's tables, in this order, so that later ones may name earlier ones."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from adapters.database import in_transaction
from adapters.seller_csv import CsvTable, read_csv
from inventory.counting.item_costs import set_costs
from inventory.naming import naming
from inventory.onboarding import item_import
from inventory.onboarding.item_import import Refused
from inventory.publishing.outbox import mark_dirty
from inventory.setup import add_aliases
from tasks.runtime import Runtime

ITEM_COLUMNS = ("sku", "title")
ITEM_OPTIONAL = ("safety_stock", "accuracy_margin", "item_class", "unit_cost")
BUNDLE_COLUMNS = ("bundle_sku", "component_sku", "quantity")
ALIAS_COLUMNS = ("alias", "sku")


@dataclass(slots=True)
class ItemsReport:
    items: int = 0
    bundles: int = 0
    aliases: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)


def load_items(
    runtime: Runtime, *, items: str = "", bundles: str = "", aliases: str = "", folder: Path, dry_run: bool = False
) -> ItemsReport:
    """Each is a table, the path of one, or empty. A row that cannot be taken is named, the others go on.

    All or nothing is written of each table's sound rows, in one transaction. Raises CsvError.
    """
    tables = {
        "items": read_csv(items, required=ITEM_COLUMNS, optional=ITEM_OPTIONAL, folder=folder)
        if items.strip()
        else None,
        "bundles": read_csv(bundles, required=BUNDLE_COLUMNS, folder=folder) if bundles.strip() else None,
        "aliases": read_csv(aliases, required=ALIAS_COLUMNS, folder=folder) if aliases.strip() else None,
    }

    def work(connection: Connection) -> ItemsReport:
        report = ItemsReport()
        for name, table in tables.items():
            report.refused += [_unread(name, one.number, one.reason, one.excerpt) for one in table.bad] if table else []
        undo = connection.begin_nested()
        _load(connection, runtime, tables, report)
        undo.rollback() if dry_run else undo.commit()
        return report

    return in_transaction(runtime.engine, work)


def _load(connection: Connection, runtime: Runtime, tables: dict[str, CsvTable | None], report: ItemsReport) -> None:
    touched: set[str] = set()
    if table := tables["items"]:
        items, refused = item_import.check_items(_rows(table), naming(connection))
        touched |= item_import.write_items(connection, items)
        costs = {one.sku: one.unit_cost for one in items if one.unit_cost is not None}
        set_costs(connection, costs, now=runtime.now())
        report.items = len(items)
        report.refused += _said("items", refused)
    if table := tables["bundles"]:
        existing, stocked = item_import.known_recipes(connection)
        recipes, refused = item_import.check_bundles(_rows(table), naming(connection), existing, stocked)
        item_import.write_bundles(connection, recipes)
        touched |= set(recipes) | {part for recipe in recipes.values() for part in recipe}
        report.bundles = len(recipes)
        report.refused += _said("bundles", refused)
    if table := tables["aliases"]:
        aliases, refused = item_import.check_aliases(_rows(table), naming(connection))
        add_aliases(connection, aliases)
        report.aliases = len(aliases)
        report.refused += _said("aliases", refused)
    # Margins and recipes decide what may be shown.
    mark_dirty(connection, touched, now=runtime.now())


def _rows(table: CsvTable) -> list[item_import.Row]:
    return [(row.number, row.cells) for row in table.rows]


def _said(table: str, refused: list[Refused]) -> list[dict[str, Any]]:
    return [{"table": table, "row": one.row, "code": one.code[:64], "why": one.reason} for one in refused]


def _unread(table: str, number: int, reason: str, excerpt: str) -> dict[str, Any]:
    return {"table": table, "row": number, "code": excerpt, "why": reason}
