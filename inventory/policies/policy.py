"""What each listing of one SKU may show: the policies, as pure functions over values.

The publisher and the replay hand in the same view (`Offer`) and get the same answers. A policy answers two
questions. `entitled`: how many units each listing should show. `counted`: how many units have to be kept
for all others while one listing is raised. A number is lowered at once, and raised only as far as
`entitled` and `sellable - counted` allow, so that it does not rise on the hope that others will be lower.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from inventory.policies import calibration
from inventory.publishing.splitting import clearly_less, divide
from inventory.publishing.unseen import Unseen

USUAL_DAYS = calibration.USUAL_DAYS


@dataclass(slots=True)
class Offer:
    """One listing of the SKU. Units are pieces."""

    share: float
    """Of its channel; any scale."""
    exposure: int
    """The most that it may have sold unseen or may still sell. 0 of a channel that asks first."""
    asks_first: bool = False
    reachable: bool = True
    """It can be read and written to. What an unreachable one shows cannot be taken back."""
    puts_back: bool = False
    """Its writes are absolute: one puts on sale again what the channel has sold unseen."""
    rate: float = 0.0
    """Order lines a day."""
    busiest_lines: float = 0.0
    """Order lines within its measured lag at the busiest hour."""
    unseen: Unseen | None = None
    """What it may sell within its measured lag; of a dark one, until it is likely to be read again. None: not known."""
    leaving: Unseen | None = None
    """An outage of it is foreseen to begin any moment: what it may sell in that. None: none is."""


class Policy(Protocol):
    """`text` names it, as `parse_policy` reads it."""

    @property
    def text(self) -> str: ...

    def entitled(self, sellable: int, offers: Sequence[Offer], restock: float = USUAL_DAYS) -> list[int]:
        """For each listing the number to show; of an unreachable one it is only what it would be."""

    def counted(self, which: int, sellable: int, offers: Sequence[Offer], restock: float = USUAL_DAYS) -> int:
        """Units to be kept for all others when listing `which` is raised."""

    def lowers(self, sellable: int, offers: Sequence[Offer], entitled: Sequence[int]) -> bool:
        """Whether listings above what they are entitled to are lowered now."""

    def restless(self, sellable: int, offers: Sequence[Offer]) -> bool:
        """Whether the numbers depend on the hour of the day, and are to be looked at again in the next."""


@dataclass(frozen=True, slots=True)
class Strict:
    """Slices. The sum of all exposures never exceeds what is sellable."""

    text: str = "strict"

    def entitled(self, sellable: int, offers: Sequence[Offer], restock: float = USUAL_DAYS) -> list[int]:
        parts = divide(sellable, [one.share for one in offers], [one.exposure for one in offers])
        left = max(0, sellable - sum(one.exposure for one in offers))
        return [left if one.asks_first else part for one, part in zip(offers, parts, strict=True)]

    def counted(self, which: int, sellable: int, offers: Sequence[Offer], restock: float = USUAL_DAYS) -> int:
        return sum(one.exposure for place, one in enumerate(offers) if place != which)

    def lowers(self, sellable: int, offers: Sequence[Offer], entitled: Sequence[int]) -> bool:
        """When somebody has clearly less than its slice and nothing is free, or what is shown is not backed."""
        free = sellable - sum(one.exposure for one in offers)
        if free < 0:
            return True
        parts = divide(sellable, [one.share for one in offers], [one.exposure for one in offers])
        return any(
            clearly_less(part, free if one.asks_first else one.exposure)
            and part - (0 if one.asks_first else one.exposure) > free
            for one, part in zip(offers, parts, strict=True)
            if one.reachable
        )

    def restless(self, sellable: int, offers: Sequence[Offer]) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A blind listing counts with the (1 - epsilon) quantile of its own unseen demand, never more than its exposure."""

    text: str
    epsilon: float

    def entitled(self, sellable: int, offers: Sequence[Offer], restock: float = USUAL_DAYS) -> list[int]:
        if _unknown(offers):
            return Strict().entitled(sellable, offers)
        return calibration.entitled(self.epsilon, sellable, offers, restock)

    def counted(self, which: int, sellable: int, offers: Sequence[Offer], restock: float = USUAL_DAYS) -> int:
        if _unknown(offers):
            return Strict().counted(which, sellable, offers)
        return calibration.counted(self.epsilon, which, offers, restock)

    def lowers(self, sellable: int, offers: Sequence[Offer], entitled: Sequence[int]) -> bool:
        if _unknown(offers):
            return Strict().lowers(sellable, offers, entitled)
        return True

    def restless(self, sellable: int, offers: Sequence[Offer]) -> bool:
        return not _unknown(offers) and calibration.restless(self.epsilon, sellable, offers)


def _unknown(offers: Sequence[Offer]) -> bool:
    # Asked several times a decision: three times as fast as any() over a generator.
    for one in offers:
        if one.unseen is None:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Habit:
    """What the field does: every listing shows the same, and nobody counts with the others.

    Shown is (sellable - `buffer`) x `percent` / 100, rounded down.
    """

    text: str
    buffer: int = 0
    percent: float = 100.0

    def entitled(self, sellable: int, offers: Sequence[Offer], restock: float = USUAL_DAYS) -> list[int]:
        # Rounded first: 29 % of 100 is 29, not 28.999999999999996.
        shown = int(round(max(0, sellable - self.buffer) * self.percent / 100, 6))
        return [shown] * len(offers)

    def counted(self, which: int, sellable: int, offers: Sequence[Offer], restock: float = USUAL_DAYS) -> int:
        return 0

    def lowers(self, sellable: int, offers: Sequence[Offer], entitled: Sequence[int]) -> bool:
        return True

    def restless(self, sellable: int, offers: Sequence[Offer]) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Bounded:
    """Another policy within limits. `cap`: never show more. `floor`: show nothing rather than less than this."""

    text: str
    inner: Policy
    cap: int | None = None
    floor: int = 0

    def entitled(self, sellable: int, offers: Sequence[Offer], restock: float = USUAL_DAYS) -> list[int]:
        within = self.inner.entitled(sellable, offers, restock)
        if self.cap is not None:
            within = [min(one, self.cap) for one in within]
        return [one if one >= self.floor else 0 for one in within]

    def counted(self, which: int, sellable: int, offers: Sequence[Offer], restock: float = USUAL_DAYS) -> int:
        return self.inner.counted(which, sellable, offers, restock)

    def lowers(self, sellable: int, offers: Sequence[Offer], entitled: Sequence[int]) -> bool:
        # A limit holds at once, whatever the policy within would leave alone.
        over = any(one.exposure > most for one, most in zip(offers, entitled, strict=True) if most < self.floor)
        over = over or (self.cap is not None and any(one.exposure > self.cap for one in offers))
        return over or self.inner.lowers(sellable, offers, entitled)

    def restless(self, sellable: int, offers: Sequence[Offer]) -> bool:
        return self.inner.restless(sellable, offers)
