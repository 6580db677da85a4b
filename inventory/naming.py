"""What a seller's or a channel's code means in this ledger: a SKU as it is stored here, or nothing.

`inventory.skus` has the rules. Here they are applied to what the ledger holds, which may have been written before
the rules: two SKUs of one normal form are found only as they are spelt.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, text

from inventory.skus import NON_STOCK, How, SkuMap, fault_of, normalise


@dataclass(frozen=True, slots=True)
class Named:
    sku: str | None
    """As the ledger spells it."""
    how: How


class Naming:
    """From a code to a SKU of the ledger; `skus` as they are stored, `aliases` as (alias, SKU)."""

    def __init__(self, skus: Iterable[str], aliases: Iterable[tuple[str, str]] = ()) -> None:
        self._exact = frozenset(skus)
        spelt: dict[str, list[str]] = defaultdict(list)
        for sku in self._exact:
            if not fault_of(sku):
                spelt[normalise(sku)].append(sku)
        self._spelt = {code: found[0] for code, found in spelt.items() if len(found) == 1}
        usable = {alias: sku for alias, sku in aliases if _usable(alias, sku, self._spelt)}
        self._map = SkuMap(self._spelt, usable.items(), [code for code in NON_STOCK if code not in spelt])

    def resolve(self, code: str) -> Named:
        if code in self._exact:
            return Named(code, How.EXACT)
        found = self._map.resolve(code)
        return Named(self._spelt[found.sku] if found.sku is not None else None, found.how)

    def __contains__(self, sku: str) -> bool:
        return sku in self._exact


def _usable(alias: str, sku: str, known: Collection[str]) -> bool:
    return not fault_of(alias) and not fault_of(sku) and alias not in known and normalise(sku) in known


def naming(connection: Connection) -> Naming:
    """Of every item and alias of the ledger."""
    skus = [row.sku for row in connection.execute(text("SELECT sku FROM item"))]
    aliases = [(row.alias, row.sku) for row in connection.execute(text("SELECT alias, sku FROM sku_alias"))]
    return Naming(skus, aliases)
