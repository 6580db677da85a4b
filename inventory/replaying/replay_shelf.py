"""One SKU through its history under one policy: what the channels show, what they sell, what we know when.

    an order is placed at t   the channel's own counter falls at once; it sells what it shows and no more
    t + lag / 2               it is known here, and new numbers are decided and sent
    t + lag                   they arrive

A channel that is dark is not heard and does not hear: its orders wait, numbers sent to it are lost, and it goes
on selling what it shows. That is noticed lag / 2 after it began. When it is back, all its orders are read before
the first number is written. Numbers are written in one of two ways: an absolute write sets the channel's counter
to the number, whatever was sold unseen; compare-and-set moves it by the difference (a write that finds another
number than expected is made again from the new one, and comes to the same).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Protocol

from inventory.policies.foreseen import Foreseen
from inventory.policies.policy import Offer, Policy

DARKNESS, TOP_UP, LOOK, ARRIVAL, NEWS = range(5)
"""What happens at one moment happens in this order, and an order comes last of all.

A decision of the moment at which an outage is noticed knows of it, and one of the moment at which it ends has read
the channel's backlog: else a top-up of that moment would write first.
"""


@dataclass(frozen=True, slots=True)
class Darkness:
    """One outage of one channel, in milliseconds."""

    channel: int
    start: int
    end: int
    planned: int
    """How long it is expected to last when it begins: what earlier ones of this channel took."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for every SKU."""

    lag: int
    """Milliseconds."""
    shares: Sequence[float]
    asks_first: Sequence[bool]
    darknesses: Sequence[Darkness]
    """By start; those of one channel do not overlap."""
    absolute: bool
    restock_known: bool = True
    """The policy is told that stock is topped up on Mondays, as the ledger knows from what is inbound."""

    foreseen: Sequence[Foreseen] = ()
    """By start: outages that could be expected from earlier ones."""
    prepared: Sequence[int] = ()
    """When channels are prepared for those, and when nobody waits any longer for one that did not come."""

    def in_outage(self, moment: int) -> bool:
        return any(one.start <= moment < one.end for one in self.darknesses)


@dataclass(slots=True)
class Tally:
    demand_lines: int = 0
    demand_units: int = 0
    sold_lines: int = 0
    """Lines of which something was really there."""
    delivered_units: int = 0
    oversold_lines: int = 0
    oversold_units: int = 0
    oversold_lines_in_outage: int = 0
    oversold_units_in_outage: int = 0
    run_outs: int = 0
    """How often the last unit went."""
    hidden_lines: int = 0
    """There was stock, and it was not, or not all, shown."""
    hidden_units: int = 0
    api_calls: int = 0
    counter_units: int = 0
    """What one counter without lag would have delivered."""

    def add(self, other: "Tally") -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Knowing(Protocol):
    """What is known of the demand of the SKU."""

    def __call__(self, moment: int, offers: Sequence[Offer], noticed: Sequence[Darkness | None]) -> float:
        """Write what is known at this moment into the offers. Returns the days of demand until new stock comes."""

    def looks(self) -> Iterable[int]:
        """Moments at which the numbers are to be decided anew, whatever happens."""

    def saw(self, lines: int) -> None:
        """So many order lines of the SKU have become known."""

    def next_change(self) -> int:
        """The moment until which what was written last holds."""


class Shelf:
    """The state of one SKU, and its life. Quantities by channel."""

    def __init__(self, policy: Policy, setting: Setting, knowing: Knowing) -> None:
        self.policy, self.setting, self.knowing = policy, setting, knowing
        self.tally = Tally()
        self.stock = 0
        """What is really there; below zero: owed to customers."""
        self.counter = 0
        self.sellable = 0
        """What is thought to be there."""
        channels = range(len(self.setting.shares))
        self.shown = [0 for _ in channels]
        self.sent = [0 for _ in channels]
        """What each shows when all that was sent has arrived, less the orders that are known."""
        self.lost = [0 for _ in channels]
        """Units by which numbers that were lost on the way to a dark channel would have raised it."""
        self.dark: list[Darkness | None] = [None for _ in channels]
        self.noticed: list[Darkness | None] = [None for _ in channels]
        self.backlog: list[list[int]] = [[] for _ in channels]
        """Units of the orders that nobody has read yet."""
        self.offers = [
            Offer(share, 0, asks, puts_back=self.setting.absolute and not asks)
            for share, asks in zip(self.setting.shares, self.setting.asks_first, strict=True)
        ]
        self.waiting = False
        """A channel would be raised further if others were lower."""
        self.changed = False
        self.planned_look = 0
        self.agenda: list[tuple[int, int, int, Any]] = []
        self.entries = 0

    def live(self, sales: Sequence[tuple[int, int, int]], top_ups: Sequence[tuple[int, int]]) -> Tally:
        """`sales`: (moment, channel, units) in order of time; `top_ups`: (moment, level)."""
        for moment, level in top_ups:
            self._plan(moment, TOP_UP, level)
        for one in self.setting.darknesses:
            for moment in (one.start, one.start + self.setting.lag // 2, one.end):
                self._plan(moment, DARKNESS, one)
        for moment in self.knowing.looks():
            self._plan(moment, LOOK, None)
        agenda = self.agenda
        half = self.setting.lag // 2
        asks = self.setting.asks_first
        for sale in sales:
            moment, channel, units = sale
            while agenda and agenda[0][0] <= moment:
                self._happens()
            taken = self._sell(moment, channel, units)
            if not taken:
                continue
            if asks[channel]:
                self.sellable -= taken
                self.knowing.saw(1)
                self._decide(moment)
            else:
                self._plan(moment + half, NEWS, (channel, taken))
                # Without lag it is known before the next order of the same moment.
                while not half and agenda and agenda[0][0] <= moment:
                    self._happens()
        return self.tally

    def _plan(self, moment: int, kind: int, what: Any) -> None:
        self.entries += 1
        heappush(self.agenda, (moment, kind, self.entries, what))

    def _more(self, moment: int, kind: int) -> bool:
        return bool(self.agenda) and self.agenda[0][:2] == (moment, kind)

    def _happens(self) -> None:
        moment, kind, _, what = heappop(self.agenda)
        if kind == NEWS:
            channel, units = what
            if self.dark[channel] is not None:
                self.backlog[channel].append(units)
                return
            self.knowing.saw(1)
            self._read(channel, units)
            self._decide(moment)
        elif kind == ARRIVAL:
            self._arrive(moment, what)
        elif kind == DARKNESS:
            self._darkness(moment, what)
            # All channels that come back or go dark at one moment have done so before anything is decided.
            if self.changed and not self._more(moment, DARKNESS):
                self.changed = False
                self._decide(moment)
        elif kind == LOOK:
            self._decide(moment)
        else:
            self._top_up(moment, what)

    def _top_up(self, moment: int, level: int) -> None:
        self.counter = max(self.counter, level)
        added = level - self.stock
        if added > 0:
            self.stock += added
            self.sellable += added
        self._decide(moment)

    def _darkness(self, moment: int, one: Darkness) -> None:
        channel = one.channel
        if moment >= one.end:
            if self.dark[channel] is one:
                self.dark[channel] = self.noticed[channel] = None
                self.offers[channel].reachable = True
                self._give_up(channel, self.lost[channel])
                self.knowing.saw(len(self.backlog[channel]))
                self._read(channel, sum(self.backlog[channel]))
                self.lost[channel], self.backlog[channel] = 0, []
                self.changed = True
            return
        self.dark[channel] = one
        if moment >= one.start + self.setting.lag // 2:
            self.noticed[channel] = one
            self.offers[channel].reachable = False
            # It lasts longer than expected: what it may sell meanwhile grows.
            lasted = moment - one.start
            again = one.start + max(one.planned, 2 * lasted if lasted >= one.planned else 0)
            if moment < again < one.end:
                self._plan(again, DARKNESS, one)
            self.changed = True

    def _read(self, channel: int, units: int) -> None:
        """Orders of this channel are known from now on."""
        self.sellable -= units
        self.sent[channel] -= units
        if not self.setting.asks_first[channel]:
            self.offers[channel].exposure = max(0, self.offers[channel].exposure - units)

    def _give_up(self, channel: int, units: int) -> None:
        self.offers[channel].exposure -= units
        self.sent[channel] -= units

    def _sell(self, moment: int, channel: int, units: int) -> int:
        tally, stock = self.tally, self.stock
        tally.demand_lines += 1
        tally.demand_units += units
        served = min(units, self.counter)
        self.counter -= served
        tally.counter_units += served
        shown = self._pool(moment, channel) if self.setting.asks_first[channel] else self.shown[channel]
        taken = min(units, shown)
        real = min(units, stock) if stock > 0 else 0
        if taken < real:
            tally.hidden_lines += 1
            tally.hidden_units += real - taken
        if not taken:
            return 0
        if not self.setting.asks_first[channel]:
            self.shown[channel] -= taken
        self.stock -= taken
        delivered = min(taken, real)
        if delivered:
            tally.sold_lines += 1
            tally.delivered_units += delivered
            tally.run_outs += delivered == stock
        if taken > delivered:
            tally.oversold_lines += 1
            tally.oversold_units += taken - delivered
            if self.setting.in_outage(moment):
                tally.oversold_lines_in_outage += 1
                tally.oversold_units_in_outage += taken - delivered
        return taken

    def _pool(self, moment: int, channel: int) -> int:
        """What a channel that asks is granted. While it is dark it cannot ask, and sells nothing."""
        if self.dark[channel] is not None:
            return 0
        restock = self.knowing(moment, self.offers, self.noticed)
        limit = self.policy.entitled(self.sellable, self.offers, restock)[channel]
        return max(0, min(limit, self.sellable - self.policy.counted(channel, self.sellable, self.offers, restock)))

    def _decide(self, moment: int) -> None:
        """Numbers from what is known now; they arrive half a lag later."""
        offers, policy, sellable = self.offers, self.policy, max(0, self.sellable)
        if not sellable and not any(self.sent):
            self.waiting = False
            return
        restock = self.knowing(moment, offers, self.noticed)
        numbers = policy.entitled(sellable, offers, restock)
        self.waiting = False
        writes: list[tuple[int, int]] = []
        # Judged before anything is raised: what one channel gets must not hang on its place in the list.
        lowers: bool | None = None
        for channel, number in enumerate(numbers):
            if number < self.sent[channel] and offers[channel].reachable and not offers[channel].asks_first:
                lowers = policy.lowers(sellable, offers, numbers)
                break
        for channel, number in enumerate(numbers):
            offer, sent = offers[channel], self.sent[channel]
            if number == sent or not offer.reachable or offer.asks_first:
                continue
            if number < sent:
                if not lowers:
                    continue
            elif not self.setting.absolute or policy.counted(channel, sellable, offers, restock):
                free = sellable - policy.counted(channel, sellable, offers, restock) - offer.exposure
                self.waiting = self.waiting or number > sent + free
                number = min(number, sent + max(0, free))
                if number <= sent:
                    continue
            writes.append((channel, number if self.setting.absolute else number - sent))
            self.sent[channel] = number
            # A higher number counts from the moment it is sent, a lower one when it has arrived.
            offer.exposure = (
                max(offer.exposure, number) if self.setting.absolute else offer.exposure + max(0, number - sent)
            )
        if policy.restless(sellable, offers):
            again = self.knowing.next_change()
            if again > self.planned_look:
                self.planned_look = again
                self._plan(again, LOOK, None)
        if writes:
            self.tally.api_calls += len(writes)
            self._plan(moment + self.setting.lag - self.setting.lag // 2, ARRIVAL, writes)

    def _arrive(self, moment: int, writes: Sequence[tuple[int, int]]) -> None:
        for channel, units in writes:
            if self.dark[channel] is not None:
                if not self.setting.absolute:
                    self._lost_on_the_way(channel, units)
                continue
            if self.setting.absolute:
                self.shown[channel] = units
                self.offers[channel].exposure = max(0, self.sent[channel])
            elif units >= 0:
                self.shown[channel] += units
            else:
                removed = min(-units, self.shown[channel])
                self.shown[channel] -= removed
                self.sent[channel] += -units - removed
                self.offers[channel].exposure -= removed
        # All that arrives at one moment has arrived before anything is raised.
        if self.waiting and not self._more(moment, ARRIVAL):
            self._decide(moment)

    def _lost_on_the_way(self, channel: int, units: int) -> None:
        if units > 0:
            # Nobody knows that it is lost until the channel is read again.
            self.lost[channel] += units
        else:
            self.sent[channel] -= units
