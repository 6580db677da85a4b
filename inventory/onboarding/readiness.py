"""What two or more channels say of one stock: where they differ, which codes do not meet, what is promised twice."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inventory.skus import is_non_stock, normalise


@dataclass(frozen=True, slots=True)
class Offered:
    """One row of a channel's export."""

    row: int
    sku: str
    """As it is written there."""
    quantity: int
    location: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    sku: str
    """In normal form."""
    shown: Mapping[str, int]
    """By channel, of those that list it."""

    @property
    def gap(self) -> int:
        return max(self.shown.values()) - min(self.shown.values())

    @property
    def twice(self) -> int:
        """Units promised more than once, if the largest number is the true one. Below zero is nothing."""
        offered = [max(0, one) for one in self.shown.values()]
        return sum(offered) - max(offered)


@dataclass(frozen=True, slots=True)
class Duplicate:
    channel: str
    sku: str
    rows: tuple[int, ...]
    quantities: tuple[int, ...]


@dataclass(slots=True)
class Comparison:
    skus: int = 0
    most_shown: dict[str, int] = field(default_factory=dict)
    """By SKU, the largest number that any channel shows."""
    shared: int = 0
    """Listed by two channels or more."""
    different: list[Difference] = field(default_factory=list)
    """The largest gap first."""
    sold_out_somewhere: list[Difference] = field(default_factory=list)
    """Of these, nothing on one channel and something on another."""
    promised_twice: int = 0
    """Units, over all shared SKUs."""
    spelled: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """(normal form, {channel: as written}) of SKUs that match only after normalisation."""
    duplicates: list[Duplicate] = field(default_factory=list)
    alone: dict[str, list[str]] = field(default_factory=dict)
    """By channel, SKUs that no other channel lists."""
    perhaps: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(channel, SKU, other channel, its SKU) of those that differ in marks alone and may be one thing."""
    negative: list[tuple[str, str, int]] = field(default_factory=list)
    """(channel, SKU, quantity)"""
    no_goods: list[tuple[str, str]] = field(default_factory=list)
    """(channel, code) of postage, fees and the like with a quantity."""


def compare_exports(exports: Mapping[str, Sequence[Offered]]) -> Comparison:
    """By normal form of the SKU. Rows of one SKU at different locations are one listing."""
    found = Comparison()
    shown: defaultdict[str, dict[str, int]] = defaultdict(dict)
    written: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for channel, rows in exports.items():
        by_sku: defaultdict[str, list[Offered]] = defaultdict(list)
        for row in rows:
            by_sku[normalise(row.sku)].append(row)
        for sku, own in by_sku.items():
            if is_non_stock(sku):
                found.no_goods.append((channel, sku))
                continue
            shown[sku][channel] = _listed(found, channel, sku, own)
            written[sku][channel] = own[0].sku
    _judge(found, shown, written)
    _alone(found, exports, shown)
    return found


def _listed(found: Comparison, channel: str, sku: str, own: Sequence[Offered]) -> int:
    """What the channel shows of it; of a duplicate the largest, for that is what can be bought."""
    places = Counter(row.location for row in own)
    if max(places.values()) > 1:
        found.duplicates.append(
            Duplicate(channel, sku, tuple(row.row for row in own), tuple(row.quantity for row in own))
        )
        quantity = max(row.quantity for row in own)
    else:
        quantity = sum(row.quantity for row in own)
    if quantity < 0:
        found.negative.append((channel, sku, quantity))
    return quantity


def _judge(found: Comparison, shown: Mapping[str, dict[str, int]], written: Mapping[str, dict[str, str]]) -> None:
    found.skus = len(shown)
    found.most_shown = {sku: max(by_channel.values()) for sku, by_channel in shown.items()}
    for sku, by_channel in shown.items():
        if len(by_channel) < 2:
            continue
        found.shared += 1
        one = Difference(sku, by_channel)
        found.promised_twice += one.twice
        if one.gap:
            found.different.append(one)
            if min(by_channel.values()) <= 0 < max(by_channel.values()):
                found.sold_out_somewhere.append(one)
        if len(set(written[sku].values())) > 1:
            found.spelled.append((sku, written[sku]))
    for differences in (found.different, found.sold_out_somewhere):
        differences.sort(key=lambda one: (-one.gap, one.sku))
    found.spelled.sort()
    found.duplicates.sort(key=lambda one: (one.channel, one.rows))


def _alone(found: Comparison, exports: Mapping[str, object], shown: Mapping[str, dict[str, int]]) -> None:
    found.alone = {channel: [] for channel in exports}
    for sku, by_channel in sorted(shown.items()):
        if len(by_channel) == 1:
            found.alone[next(iter(by_channel))].append(sku)
    by_marks: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for channel, skus in found.alone.items():
        for sku in skus:
            if bare := re.sub(r"[\W_]+", "", sku):
                by_marks[bare].append((channel, sku))
    for same in by_marks.values():
        (channel, sku), *others = same
        found.perhaps += [(channel, sku, other, name) for other, name in others if other != channel]
    found.perhaps.sort()
