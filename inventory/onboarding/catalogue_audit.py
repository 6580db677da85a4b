"""A channel's catalogue against the ledger's listings: what would make its numbers meaningless, and what to do.

Pure comparison; `inventory.onboarding.catalogue_findings` stores what it finds. None in an entry means that the channel
does not tell, and what is not told is not found.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from inventory.naming import Naming
from inventory.skus import How, normalise
from inventory.words import FindingKind, FindingSeverity


class Entry(Protocol):
    """One thing that a channel lists; the fields of `adapters.channels.protocol.CatalogueEntry`."""

    @property
    def listing_ref(self) -> str: ...
    @property
    def sku(self) -> str: ...
    @property
    def tracked(self) -> bool | None: ...
    @property
    def oversell_allowed(self) -> bool | None: ...
    @property
    def on_sale(self) -> bool | None: ...
    @property
    def stocked_here(self) -> bool | None: ...
    @property
    def fulfilled_by_channel(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Finding:
    kind: FindingKind
    severity: FindingSeverity
    listing_ref: str
    sku: str
    """As the channel writes it; for a listing that is gone, ours."""
    message: str
    advice: str
    suggestion: str = ""
    """Our SKU, where the channel's own means it and nothing else of the channel does."""


def audit(entries: Sequence[Entry], listings: Mapping[str, str], names: Naming) -> list[Finding]:
    """Everything found, blockers first. `listings`: {ref: SKU} as the ledger has them for this channel."""
    entries = [*{entry.listing_ref: entry for entry in entries}.values()]
    alike = _alike(entries)
    findings = [
        finding
        for entry in entries
        for finding in (
            _mapped(entry, listings[entry.listing_ref])
            if entry.listing_ref in listings
            else _unmapped(entry, names, alike)
        )
    ]
    findings += _duplicates(alike)
    findings += _gone(entries, listings)
    order = list(FindingSeverity)
    return sorted(findings, key=lambda one: (order.index(one.severity), one.kind, one.listing_ref))


def _alike(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """{normal form: the entries that we would have to serve under it}"""
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        code = normalise(entry.sku)
        if code and not entry.fulfilled_by_channel:
            found[code].append(entry)
    return found


def _mapped(entry: Entry, sku: str) -> Iterable[Finding]:
    def found(kind: FindingKind, severity: FindingSeverity, message: str, advice: str) -> Finding:
        return Finding(kind, severity, entry.listing_ref, entry.sku, message, advice)

    if entry.fulfilled_by_channel:
        yield found(
            FindingKind.FULFILLED_BY_CHANNEL, FindingSeverity.BLOCKER,
            f"the channel's own warehouse sends it, and it is mapped to {sku}: its stock is not ours",
            "drop the listing with import_listings (Drop), or switch it to merchant fulfilment at the channel",
        )  # fmt: skip
        return
    if entry.tracked is False:
        yield found(
            FindingKind.UNTRACKED, FindingSeverity.BLOCKER,
            "the channel does not count its stock, so it sells without end",
            "switch on stock tracking (manage stock) for it at the channel",
        )  # fmt: skip
    if entry.oversell_allowed:
        yield found(
            FindingKind.OVERSELL_ALLOWED, FindingSeverity.BLOCKER,
            "the channel goes on selling it at zero",
            "switch off 'continue selling when out of stock' (backorders) for it at the channel",
        )  # fmt: skip
    if entry.stocked_here is False:
        yield found(
            FindingKind.NOT_STOCKED, FindingSeverity.BLOCKER,
            "it is not stocked at the location that this channel's numbers are written to",
            "stock it at that location at the channel, or name the right location in channels.toml",
        )  # fmt: skip
    if entry.on_sale is False:
        yield found(
            FindingKind.NOT_ON_SALE, FindingSeverity.INFO,
            "buyers cannot find it", "nothing, if that is meant: its slice of scarce stock is kept for it all the same",
        )  # fmt: skip


def _unmapped(entry: Entry, names: Naming, alike: Mapping[str, Sequence[Entry]]) -> Iterable[Finding]:
    def found(kind: FindingKind, severity: FindingSeverity, message: str, advice: str, suggestion: str = "") -> Finding:
        return Finding(kind, severity, entry.listing_ref, entry.sku, message, advice, suggestion)

    idle = FindingSeverity.INFO if entry.on_sale is False else FindingSeverity.WARNING
    if entry.fulfilled_by_channel:
        yield found(
            FindingKind.FULFILLED_BY_CHANNEL, FindingSeverity.INFO,
            "the channel's own warehouse sends it: its stock is not ours", "nothing: leave it without a listing",
        )  # fmt: skip
        return
    if not entry.sku.strip():
        yield found(
            FindingKind.EMPTY_SKU, idle,
            "it has no SKU, so nobody can tell what it is",
            "give it a SKU at the channel, or map it by a row in import_listings",
        )  # fmt: skip
        return
    named = names.resolve(entry.sku)
    if named.how is How.NON_STOCK:
        yield found(
            FindingKind.NO_STOCK_KEPT, FindingSeverity.INFO,
            "its code is on the list of those that move no stock", "nothing, unless it is goods: then give it another",
        )  # fmt: skip
    elif named.sku is None:
        yield found(
            FindingKind.UNMAPPED, idle,
            "no SKU of ours is called that: its sales would be held back",
            "add the item or an alias with import_items, or map it by a row in import_listings",
        )  # fmt: skip
    elif len(alike[normalise(entry.sku)]) > 1:
        yield found(
            FindingKind.UNMAPPED, idle,
            f"it means {named.sku}, but other listings of the channel have the same SKU",
            "map each by a row in import_listings, with its units_per_listing",
        )  # fmt: skip
    else:
        yield found(
            FindingKind.UNMAPPED, idle,
            f"it means {named.sku} ({named.how}), but no listing says so", "run import_listings", named.sku,
        )  # fmt: skip


def _duplicates(alike: Mapping[str, Sequence[Entry]]) -> Iterable[Finding]:
    for twins in alike.values():
        for entry in twins if len(twins) > 1 else ():
            yield Finding(
                FindingKind.DUPLICATE_SKU,
                FindingSeverity.WARNING,
                entry.listing_ref,
                entry.sku,
                f"{len(twins)} listings of the channel have this SKU",
                "give each its own SKU at the channel, unless both sell the same goods: they share their stock then",
            )


def _gone(entries: Iterable[Entry], listings: Mapping[str, str]) -> Iterable[Finding]:
    there = {entry.listing_ref for entry in entries}
    for ref in sorted(set(listings) - there):
        yield Finding(
            FindingKind.GONE,
            FindingSeverity.WARNING,
            ref,
            listings[ref],
            "the channel no longer lists it, but units are kept for it",
            "drop the listing with import_listings (Drop), or restore it at the channel",
        )
