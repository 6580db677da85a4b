"""Items, bundles and aliases from a seller's tables: what of them can be taken, and writing it.

The checks are pure and name each row that cannot be taken; the others go on. A bundle is taken whole or not at all:
half a recipe would sell what is not there.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, text

from inventory.counting.item_costs import cost_of
from inventory.naming import Naming
from inventory.setup import add_bundle
from inventory.skus import fault_of, is_non_stock, normalise

MOST_UNITS = 1_000_000
MOST_PIECES = 10_000
DEEPEST = 9
"""Bundles within bundles; `inventory.catalogue.bundles` explodes no deeper."""

Row = tuple[int, Mapping[str, str]]
"""(number, cells)"""


@dataclass(frozen=True, slots=True)
class Refused:
    row: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class ItemRow:
    sku: str
    title: str
    safety_stock: int | None
    accuracy_margin: int | None
    """None: as it is, for a new item 0."""
    item_class: str = ""
    """Empty: as it is, for a new item none."""
    unit_cost: Decimal | None = None
    """None: as it is, for a new item unknown."""


def check_items(rows: Iterable[Row], names: Naming) -> tuple[list[ItemRow], list[Refused]]:
    """Columns sku, title and if wanted safety_stock, accuracy_margin, item_class, unit_cost. A SKU is stored in its
    normal form, or as the ledger spells it already."""
    given = list(rows)
    times = Counter(normalise(cells["sku"]) for _, cells in given)
    good, refused = [], []
    for number, cells in given:
        code = cells["sku"]
        margins = [_units(cells.get(name, "")) for name in ("safety_stock", "accuracy_margin")]
        written = cells.get("unit_cost", "")
        cost = cost_of(written) if written else None
        known = names.resolve(code).sku
        reason = (
            (f"the SKU {fault}" if (fault := fault_of(code)) else "")
            or (f"{code} is on the list of codes that move no stock" if is_non_stock(code) else "")
            or ("the same SKU comes twice in the file" if times[normalise(code)] > 1 else "")
            or ("it is an alias of another SKU already" if known and normalise(known) != normalise(code) else "")
            or ("safety_stock and accuracy_margin are whole numbers, 0 or more" if None in margins else "")
            or ("the unit_cost is written as 12.50: no currency, no thousands" if written and cost is None else "")
            or ("the title is longer than 255 characters" if len(cells["title"]) > 255 else "")
            or ("the item_class is longer than 80 characters" if len(cells.get("item_class", "")) > 80 else "")
        )
        if reason:
            refused.append(Refused(number, code, reason))
        else:
            stock, margin = (units if units != -1 else None for units in margins)
            item_class = cells.get("item_class", "").strip()
            good.append(ItemRow(known or normalise(code), cells["title"], stock, margin, item_class, cost))
    return good, refused


def _units(written: str) -> int | None:
    """-1: not said. None: no such number."""
    if not written:
        return -1
    fits = written.isascii() and written.isdigit() and len(written) <= 7
    return int(written) if fits and int(written) <= MOST_UNITS else None


_ITEMS = text(
    """
    INSERT INTO item (sku, title, safety_stock, accuracy_margin, item_class)
    SELECT sku, title, coalesce(safety, 0), coalesce(margin, 0), class
    FROM unnest(CAST(:skus AS text[]), CAST(:titles AS text[]), CAST(:safety AS int[]), CAST(:margins AS int[]),
                CAST(:classes AS text[])) AS given (sku, title, safety, margin, class)
    ORDER BY sku
    ON CONFLICT (sku) DO NOTHING
    """
)
_UPDATE = text(
    """
    UPDATE item SET title = CASE WHEN given.title = '' THEN item.title ELSE given.title END,
           safety_stock = coalesce(given.safety, item.safety_stock),
           accuracy_margin = coalesce(given.margin, item.accuracy_margin),
           item_class = CASE WHEN given.class = '' THEN item.item_class ELSE given.class END
    FROM unnest(CAST(:skus AS text[]), CAST(:titles AS text[]), CAST(:safety AS int[]), CAST(:margins AS int[]),
                CAST(:classes AS text[])) AS given (sku, title, safety, margin, class)
    WHERE item.sku = given.sku
    """
)


def write_items(connection: Connection, rows: Sequence[ItemRow]) -> set[str]:
    """Add them; those that exist get the title and the margins that are given. Returns all the SKUs."""
    if rows:
        values = {
            "skus": [row.sku for row in rows],
            "titles": [row.title for row in rows],
            "safety": [row.safety_stock for row in rows],
            "margins": [row.accuracy_margin for row in rows],
            "classes": [row.item_class for row in rows],
        }
        connection.execute(_ITEMS, values)
        connection.execute(_UPDATE, values)
    return {row.sku for row in rows}


def check_aliases(rows: Iterable[Row], names: Naming) -> tuple[dict[str, str], list[Refused]]:
    """Columns alias, sku. An alias is matched exactly as written."""
    given = list(rows)
    times = Counter(cells["alias"] for _, cells in given)
    good: dict[str, str] = {}
    refused = []
    for number, cells in given:
        alias, target = cells["alias"], names.resolve(cells["sku"]).sku
        reason = (
            (f"the alias {fault}" if (fault := fault_of(alias)) else "")
            or ("the alias comes twice in the file" if times[alias] > 1 else "")
            or ("the alias is a SKU itself" if alias in names else "")
            or (f"{cells['sku'][:64]} is no SKU of ours" if target is None else "")
        )
        if reason or target is None:
            refused.append(Refused(number, alias, reason))
        else:
            good[alias] = target
    return good, refused


def check_bundles(
    rows: Iterable[Row], names: Naming, existing: Mapping[str, Mapping[str, int]], stocked: frozenset[str]
) -> tuple[dict[str, dict[str, int]], list[Refused]]:
    """Columns bundle_sku, component_sku, quantity; a bundle's rows are its whole recipe.

    `existing`: the recipes of the ledger; `stocked`: SKUs with stock of their own.
    """
    recipes: dict[str, dict[str, int]] = defaultdict(dict)
    of: dict[str, list[int]] = defaultdict(list)
    faults: dict[str, str] = {}
    refused = []
    for number, cells in rows:
        bundle, part = names.resolve(cells["bundle_sku"]).sku, names.resolve(cells["component_sku"]).sku
        name = bundle or cells["bundle_sku"]
        pieces = _units(cells["quantity"])
        reason = (
            ("the bundle is no SKU of ours: add it as an item" if bundle is None else "")
            or (f"{cells['component_sku'][:64]} is no SKU of ours" if part is None else "")
            or ("the quantity is a whole number from 1 to 10,000" if not 1 <= (pieces or 0) <= MOST_PIECES else "")
            or ("the component comes twice" if part in recipes.get(name, {}) else "")
            or (f"{name} has stock of its own, so it is no bundle" if name in stocked else "")
        )
        of[name].append(number)
        if reason or part is None or pieces is None:
            refused.append(Refused(number, name, reason))
            faults[name] = f"another row of {name} is refused"
        else:
            recipes[name][part] = pieces
    for name in _deep({**existing, **recipes}) & set(recipes):
        faults.setdefault(name, f"{name} contains itself, or is nested more than {DEEPEST} deep")
    said = {one.row for one in refused}
    refused += [Refused(row, name, why) for name, why in faults.items() for row in of[name] if row not in said]
    return {name: recipe for name, recipe in recipes.items() if name not in faults}, refused


def _deep(recipes: Mapping[str, Mapping[str, int]]) -> set[str]:
    """The bundles from which one can go down further than allowed (round in a circle, too)."""
    below = set(recipes)
    for _ in range(DEEPEST):
        below = {name for name in below if below & set(recipes[name])}
    return below


def known_recipes(connection: Connection) -> tuple[dict[str, dict[str, int]], frozenset[str]]:
    """The recipes of the ledger, and the SKUs that have ever had stock of their own."""
    recipes: dict[str, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(text("SELECT bundle_sku, component_sku, quantity FROM bundle_component")):
        recipes[row.bundle_sku][row.component_sku] = row.quantity
    stocked = connection.execute(text("SELECT DISTINCT sku FROM balance"))
    return recipes, frozenset(row.sku for row in stocked)


def write_bundles(connection: Connection, recipes: Mapping[str, Mapping[str, int]]) -> None:
    """Each recipe replaces the one there was."""
    connection.execute(
        text("DELETE FROM bundle_component WHERE bundle_sku = ANY(:bundles)"), {"bundles": sorted(recipes)}
    )
    for bundle in sorted(recipes):
        add_bundle(connection, bundle, recipes[bundle])
