"""What a count means: does it agree, is it counted again by another person, posted, or shown to a person first.

Pure. A count is judged by its *variance*: units counted less the units that the ledger, as it stands now, has on hand
at the moment of the count. So two counts made hours apart, with sales and receipts between them, can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from inventory.people.raci import same_name


@dataclass(frozen=True, slots=True)
class CountPolicy:
    recount_share: float = 0.05
    """A larger difference, as a share of what was expected, is counted by a second person."""
    band_share: float = 0.20
    """Posted without a person: at most this share of what was expected …"""
    band_value: Decimal = Decimal(100)
    """… and at most so much money. Both must hold."""
    band_units: int = 1
    """So few units are inside the share, whatever it is: of three, one is a third. The money counts all the same."""
    assumed_cost: Decimal = Decimal(20)
    """What a unit is taken to cost where nobody has said."""
    most_counts: int = 4
    """When so many counts do not agree, a person decides."""

    def __post_init__(self) -> None:
        if not (0 <= self.recount_share <= 1 and 0 <= self.band_share <= 1 and self.most_counts >= 2):
            raise ValueError("shares lie between 0 and 1, and at least two people can disagree")
        if self.band_value < 0 or self.band_units < 0 or self.assumed_cost < 0:
            raise ValueError("the limits of the band are not negative")


@dataclass(frozen=True, slots=True)
class Count:
    """One person's count of one bin."""

    counter: str
    quantity: int
    expected: int
    """Units on hand by the ledger at the moment the counter says."""
    certain: bool
    """Nothing came or went between the making of the sheet and its recording, so the moment does not matter. A clock
    that lies can shift a count across a movement only where there was one."""

    @property
    def variance(self) -> int:
        return self.quantity - self.expected

    @property
    def share(self) -> float:
        return abs(self.variance) / max(self.expected, 1)


class Outcome(StrEnum):
    MATCH = "match"
    POST = "post"
    RECOUNT = "recount"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Decision:
    outcome: Outcome
    count: Count
    """The count that decided, or the last one."""
    why: str


def decide(counts: Sequence[Count], unit_cost: Decimal | None, policy: CountPolicy) -> Decision:
    """What to do after these counts of one bin, oldest first and at least one, all of different people.

    One count is believed when it finds what the ledger says, or differs by little and nothing moved meanwhile. Else
    others count, until two agree: two people with each other, or one of the later ones with the ledger, which they
    have not seen.
    """
    last = counts[-1]
    if last.variance == 0:
        return Decision(Outcome.MATCH, last, "as the ledger has it")
    if any(one.variance == last.variance and same_name(one.counter) != same_name(last.counter) for one in counts[:-1]):
        return _settle(last, unit_cost, policy, "two counts agree")
    if len(counts) >= policy.most_counts:
        return Decision(Outcome.ASK, last, f"{len(counts)} counts do not agree")
    if len(counts) > 1:
        return Decision(Outcome.RECOUNT, last, f"{len(counts)} counts do not agree")
    if last.share > policy.recount_share:
        return Decision(Outcome.RECOUNT, last, f"it differs by more than {policy.recount_share:.0%}")
    if not last.certain:
        return Decision(Outcome.RECOUNT, last, "units came or went while it was counted")
    return _settle(last, unit_cost, policy, "it differs by little")


def _settle(count: Count, unit_cost: Decimal | None, policy: CountPolicy, why: str) -> Decision:
    units = abs(count.variance)
    value = worth(units, unit_cost, policy)
    if units > policy.band_units and count.share > policy.band_share:
        return Decision(Outcome.ASK, count, f"{why}, but it is more than {policy.band_share:.0%}")
    if value > policy.band_value:
        return Decision(Outcome.ASK, count, f"{why}, but it is worth {value:.2f}, more than {policy.band_value:.2f}")
    return Decision(Outcome.POST, count, why)


def worth(units: int, unit_cost: Decimal | None, policy: CountPolicy) -> Decimal:
    return units * (policy.assumed_cost if unit_cost is None else unit_cost)
