"""What a SKU is called: one normal form, the codes that are no goods, and a seller's aliases.

The normal form removes only what no seller means: surrounding white space, letter case, and the
full-width typing of an East Asian keyboard. It never drops a letter from the end: in `84997A` and
`84997B` the letter is the colour.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

MAX_LENGTH = 64

NON_STOCK: Mapping[str, str] = {
    "POST": "postage",
    "DOT": "web shop postage",
    "C2": "carriage",
    "C3": "carriage",
    "23444": "next day carriage",
    "23574": "packing charge",
    "D": "discount",
    "M": "manual entry",
    "S": "samples",
    "B": "bad debt",
    "BANK CHARGES": "bank charges",
    "ADJUST": "accounting adjustment",
    "ADJUST2": "accounting adjustment",
    "23595": "accounting adjustment",
    "AMAZONFEE": "marketplace fee",
    "CRUK": "donation",
    "GIFT": "gift voucher",
    "GIFT_0001_10": "gift voucher",
    "GIFT_0001_20": "gift voucher",
    "GIFT_0001_30": "gift voucher",
    "GIFT_0001_40": "gift voucher",
    "GIFT_0001_50": "gift voucher",
    "GIFT_0001_60": "gift voucher",
    "GIFT_0001_70": "gift voucher",
    "GIFT_0001_80": "gift voucher",
    "GIFT_0001_90": "gift voucher",
    "TEST001": "test product",
    "TEST002": "test product",
}
"""Codes on order lines that move no stock, in normal form, with what they are: the default list, from
the recorded trace. A list because no pattern tells them apart: `23444` looks like goods and is
carriage, `PADS`, `SP1002` and `DCGS0058` look like charges and are goods."""

# Only the typed width is folded, not all of NFKC: that would also make "A²" into "A2" and "№1" into
# "NO1", which a seller can tell apart and may use as two SKUs.
_NARROW = {0xFF01 + i: 0x21 + i for i in range(0x5E)} | {0x3000: 0x20}

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def normalise(raw: str) -> str:
    """The normal form: full-width forms narrowed, composed (NFC), upper case, ends trimmed.

    Idempotent. Inner white space stays as it is, "BANK CHARGES" and "BANKCHARGES" are two codes.
    """
    composed = unicodedata.normalize("NFC", raw.translate(_NARROW))
    upper = composed.upper() if composed.isascii() else "".join(map(_upper, composed))
    return unicodedata.normalize("NFC", upper).strip()


def _upper(character: str) -> str:
    """Upper case only where it is reversible: `ß` must not become `SS`, nor a dotless i an `I`."""
    upper = character.upper()
    return upper if upper.lower() == character else character


def is_non_stock(sku: str) -> bool:
    """Whether the default list has it. `sku` may be in any spelling."""
    return normalise(sku) in NON_STOCK


def fault_of(code: str) -> str | None:
    """Why `code` cannot be a SKU or an alias, or None."""
    if not code.strip():
        return "is empty"
    if len(code) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    hidden = next((c for c in code if unicodedata.category(c) in _INVISIBLE), None)
    if hidden is not None:
        return f"contains an invisible character (U+{ord(hidden):04X})"
    return None


class How(StrEnum):
    """What led from the code that came to the SKU."""

    EXACT = "exact"
    ALIAS = "alias"
    NORMALISED = "normalised"
    NON_STOCK = "non_stock"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Resolved:
    sku: str | None
    """In normal form; None when `how` is `non_stock` or `unknown`."""
    how: How


@dataclass(frozen=True, slots=True)
class Problem:
    row: int
    """Counted from 1, in the list that `where` names."""
    where: str
    """`skus` or `aliases`."""
    reason: str

    def __str__(self) -> str:
        return f"{self.where} row {self.row}: {self.reason}"


class SkuMapError(ValueError):
    """The map contradicts itself. `problems` has every contradiction, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        shown = "; ".join(map(str, problems[:5]))
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        super().__init__(f"the SKU map is not usable: {shown}{more}")


class SkuMap:
    """From the codes that come in to the SKUs of the ledger.

    `skus` are the seller's own codes; `aliases` are (code as it comes, SKU) pairs, matched exactly as
    written, because a marketplace may mean two things by `ab` and `AB`; an alias wins over the normal
    form. Rows are numbered from 1. Raises `SkuMapError`.
    """

    def __init__(
        self,
        skus: Iterable[str],
        aliases: Iterable[tuple[str, str]] = (),
        non_stock: Iterable[str] = NON_STOCK,
    ) -> None:
        self._non_stock = frozenset(map(normalise, non_stock))
        rows = list(aliases)
        problems: list[Problem] = []
        self._skus = _checked_skus(skus, self._non_stock, problems)
        self._aliases = _checked_aliases(rows, self._skus, self._non_stock, problems)
        if problems:
            raise SkuMapError(problems)

    def resolve(self, raw: object) -> Resolved:
        """What `raw` is. Anything that is no text is unknown: channels send null and numbers too."""
        if not isinstance(raw, str):
            return Resolved(None, How.UNKNOWN)
        if raw in self._skus:
            return Resolved(raw, How.EXACT)
        if raw in self._aliases:
            return Resolved(self._aliases[raw], How.ALIAS)
        code = normalise(raw)
        if code in self._skus:
            return Resolved(code, How.NORMALISED)
        if code in self._non_stock:
            return Resolved(None, How.NON_STOCK)
        return Resolved(None, How.UNKNOWN)

    @property
    def skus(self) -> frozenset[str]:
        """Every SKU, in normal form."""
        return frozenset(self._skus)


def _checked_skus(skus: Iterable[str], non_stock: frozenset[str], problems: list[Problem]) -> dict[str, int]:
    """Normal form → row."""
    found: dict[str, int] = {}
    for row, raw in enumerate(skus, start=1):
        code = normalise(raw)
        fault = fault_of(raw)
        if fault:
            problems.append(Problem(row, "skus", f"{raw[:MAX_LENGTH]!r} {fault}"))
        elif code in non_stock:
            problems.append(Problem(row, "skus", f"{raw!r} is on the non-stock list"))
        elif code in found:
            problems.append(Problem(row, "skus", f"{raw!r} is the same SKU as row {found[code]}"))
        else:
            found[code] = row
    return found


def _checked_aliases(
    rows: list[tuple[str, str]], skus: Mapping[str, int], non_stock: frozenset[str], problems: list[Problem]
) -> dict[str, str]:
    """Alias as written → SKU in normal form."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for row, (alias, _) in enumerate(rows, start=1):
        places[alias].append(row)
    targets = dict(rows)
    found: dict[str, str] = {}
    for row, (alias, target) in enumerate(rows, start=1):
        first = places[alias][0]
        reason = (
            _spelling_fault(alias, target)
            or (f"alias {alias!r} is already mapped in row {first}" if row > first else None)
            or (f"alias {alias!r} is itself a SKU" if alias in skus else None)
            or _target_fault(alias, target, skus, non_stock, targets)
        )
        if reason:
            problems.append(Problem(row, "aliases", reason))
        else:
            found[alias] = normalise(target)
    return found


def _spelling_fault(alias: str, target: str) -> str | None:
    for name, code in (("alias", alias), ("SKU", target)):
        fault = fault_of(code)
        if fault:
            return f"{name} {code[:MAX_LENGTH]!r} {fault}"
    return None


def _target_fault(
    alias: str, target: str, skus: Mapping[str, int], non_stock: frozenset[str], targets: Mapping[str, str]
) -> str | None:
    """An alias names a SKU, in one step: a chain would make its answer hang on another row."""
    code = normalise(target)
    if code in skus:
        return None
    if code in non_stock:
        return f"{target!r} is on the non-stock list"
    if target not in targets:
        return f"{target!r} is not a SKU"
    seen = [alias]
    step = target
    while step in targets and step not in seen:
        seen.append(step)
        step = targets[step]
    if step in seen:
        return f"alias {alias!r} leads in a circle: {' → '.join([*seen, step])}"
    return f"{target!r} is an alias too: name the SKU itself"
