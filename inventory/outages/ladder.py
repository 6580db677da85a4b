"""Which step of the ladder a channel in trouble needs: the smallest that keeps the risk within its limit. Pure.

What is at stake of a SKU is what the channels in trouble may sell unseen beyond what the others leave for them. The
others hear of each other within their lag, so together they sell no more than the one of them that shows the most; what
they may sell twice within that lag is their policy's business. The risk is what is at stake, times what an oversold
unit costs there, times how much of it will have been sold by now. Under `strict` nothing is ever at stake.

The steps, the smallest first: nothing, hide the riskiest SKUs, throttle everything, pause. A step is taken on the
channel itself while that answers. Else on all others, which leave it what it may sell, or a part of that: a share of
what is sellable would not do there, for it is filled up again after each sale until nothing is left.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import ceil

from inventory.outages.fallback_settings import Fallback
from inventory.outages.outage_words import LadderStep


@dataclass(frozen=True, slots=True)
class Stake:
    """One SKU, in pieces. The mappings are by channel."""

    sku: str
    sellable: int
    exposed: Mapping[str, int]
    """What each may have sold unseen or may still sell."""
    shown: Mapping[str, int]
    """The part of that which is still on show: it can be taken back."""
    blind: frozenset[str] = frozenset()
    """Channels whose sales nobody hears of now."""

    def at_stake(self, channel: str) -> int:
        unheard = {*self.blind, channel}
        unseen = sum(units for code, units in self.exposed.items() if code in unheard)
        others = max((units for code, units in self.exposed.items() if code not in unheard), default=0)
        return min(self.exposed.get(channel, 0), max(0, unseen + others - max(0, self.sellable)))

    def limited(self, channel: str, percent: int, trouble: str) -> "Stake":
        """After the channel shows no more than `allowed_here` or, if another one is in trouble, `allowed_beside` it.
        What it sold unseen stays exposed."""
        shown = self.shown.get(channel, 0)
        if channel == trouble:
            left = min(shown, allowed_here(self.sellable, percent))
        else:
            left = min(shown, allowed_beside(self.sellable, percent, self.exposed.get(trouble, 0)))
        exposed = max(0, self.exposed.get(channel, 0) - (shown - left))
        return replace(self, exposed={**self.exposed, channel: exposed}, shown={**self.shown, channel: left})


def allowed_here(sellable: int, percent: int) -> int:
    """Pieces that the channel in trouble may show."""
    return ceil(max(0, sellable) * percent / 100)


def allowed_beside(sellable: int, percent: int, exposed: int) -> int:
    """Pieces that another channel may show: it leaves all but so much of what the one in trouble may sell."""
    return max(0, sellable - ceil(exposed * (100 - percent) / 100))


Market = Mapping[str, Stake]
"""{SKU: stake}, of the SKUs of which something may be at stake."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A channel in trouble, as the ladder sees it."""

    channel: str
    stale: timedelta
    """Since it was last read to the end."""
    answers: bool
    """It can be read and written to, as far as anybody knows."""
    may_pause: bool = False
    """Its switch may be turned now, by the times of the settings."""
    hidden: int = 0
    """SKUs that are hidden for it already."""
    percent: int = 100
    """It is throttled to this already."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`sku` empty: everything that the channel lists. `trouble`: the channel that it is for, perhaps itself."""

    channel: str
    sku: str
    percent: int
    trouble: str


@dataclass(frozen=True, slots=True)
class Decision:
    channel: str
    step: LadderStep
    limits: tuple[Limit, ...]
    before: float
    """Risk as it is."""
    after: float
    """Risk when the step has had its effect."""
    market: Market = field(repr=False)
    """What is at stake after it."""

    @property
    def units(self) -> int:
        """At stake after it."""
        return sum(stake.at_stake(self.channel) for stake in self.market.values())


def sold_by_now(trouble: Trouble, settings: Fallback) -> float:
    """The part of what it shows that the channel is taken to have sold unseen."""
    return min(1.0, max(0.0, trouble.stale / timedelta(minutes=settings.full_after_minutes)))


def risk_of(trouble: Trouble, market: Market, settings: Fallback) -> float:
    units = sum(stake.at_stake(trouble.channel) for stake in market.values())
    return units * settings.penalty_of(trouble.channel) * sold_by_now(trouble, settings)


def climb(
    troubles: Iterable[Trouble], market: Market, others: Sequence[str], settings: Fallback
) -> Iterator[tuple[Trouble, Decision]]:
    """The most at risk first; each sees what the ones before it have already taken from the risk.

    `others`: channels that are well and can be written to.
    """
    ordered = sorted(troubles, key=lambda one: (-risk_of(one, market, settings), one.channel))
    for trouble in ordered:
        decision = choose(trouble, market, others, settings)
        yield trouble, decision
        market = decision.market


def choose(trouble: Trouble, market: Market, others: Sequence[str], settings: Fallback) -> Decision:
    """The first step that brings the risk within the limit; where none does, the one that leaves the least."""
    before = risk_of(trouble, market, settings)
    best = Decision(trouble.channel, LadderStep.NOTHING, (), before, before, market)
    if before <= settings.limit:
        return best
    for step, limits in _steps(trouble, market, others, settings):
        after_it = limited(market, limits)
        after = risk_of(trouble, after_it, settings)
        if after < best.after:
            best = Decision(trouble.channel, step, limits, before, after, after_it)
        if best.after <= settings.limit:
            break
    return best


def limited(market: Market, limits: Iterable[Limit]) -> Market:
    found = dict(market)
    for limit in limits:
        for sku in [limit.sku] if limit.sku else list(found):
            if sku in found:
                found[sku] = found[sku].limited(limit.channel, limit.percent, limit.trouble)
    return found


def _steps(
    trouble: Trouble, market: Market, others: Sequence[str], settings: Fallback
) -> Iterator[tuple[LadderStep, tuple[Limit, ...]]]:
    where = [trouble.channel] if trouble.answers else [one for one in others if one != trouble.channel]
    hiding = _hiding(trouble, market, where, settings)
    if hiding:
        yield LadderStep.HIDE, hiding
    for percent in settings.throttles:
        if percent < trouble.percent and where:
            yield LadderStep.THROTTLE, tuple(Limit(channel, "", percent, trouble.channel) for channel in where)
    if trouble.answers and trouble.may_pause:
        yield LadderStep.PAUSE, (Limit(trouble.channel, "", 0, trouble.channel),)


def _hiding(trouble: Trouble, market: Market, where: Sequence[str], settings: Fallback) -> tuple[Limit, ...]:
    """The fewest SKUs that do, those first that bring the most; at most as many as may be hidden."""
    gains: list[tuple[int, str, tuple[Limit, ...]]] = []
    for sku, stake in market.items():
        limits = tuple(Limit(there, sku, 0, trouble.channel) for there in where if there in stake.exposed)
        gain = stake.at_stake(trouble.channel) - limited({sku: stake}, limits)[sku].at_stake(trouble.channel)
        if gain > 0:
            gains.append((gain, sku, limits))
    gains.sort(key=lambda one: (-one[0], one[1]))
    weight = settings.penalty_of(trouble.channel) * sold_by_now(trouble, settings)
    risk = risk_of(trouble, market, settings)
    chosen: list[Limit] = []
    for gain, _, limits in gains[: max(0, settings.hide_at_most - trouble.hidden)]:
        if risk <= settings.limit:
            break
        chosen += limits
        risk -= gain * weight
    return tuple(chosen)
