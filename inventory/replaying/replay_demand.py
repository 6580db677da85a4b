"""What the policy knows of one SKU's demand while its history is replayed: only what was learnt before."""

from bisect import bisect_right
from collections.abc import Sequence

from inventory.orders.order_history import DAY, WEEK
from inventory.policies.demand_model import HOUR, Knowledge, revised
from inventory.policies.foreseen import Foreseen
from inventory.policies.policy import USUAL_DAYS, Offer
from inventory.publishing.unseen import SINGLE, Unseen
from inventory.replaying.replay_shelf import Darkness, Setting

NEVER = 1 << 62


class SkuDemand:
    """Writes into the offers of one SKU what each may sell unseen. Moments never go back."""

    def __init__(self, knowledge: Sequence[Knowledge], sku: int, setting: Setting) -> None:
        self.knowledge, self.sku, self.setting = knowledge, sku, setting
        self.from_days = [one.from_day for one in knowledge]
        self.known = -1
        self.learnt: list[float] = []
        """The rates as they were learnt; `rates` are what the lines seen since make of them."""
        self.learnt_shape, self.sizes = 1.0, SINGLE
        self.seen = 0
        """Lines since then."""
        self.until = self.look = self.turns = 0
        self.begun = self.busiest_days = 0.0
        """In days of demand: when this was learnt, and the most that a lag can have."""
        self.usual: list[Unseen | None] = [None] * len(setting.shares)
        self.rates = [0.0] * len(setting.shares)
        self.shape = 1.0
        self.busiest = [0.0] * len(setting.shares)
        self.fences: dict[tuple[int, int, int], float] = {}
        self.next_foreseen = 0

    def __call__(self, moment: int, offers: Sequence[Offer], noticed: Sequence[Darkness | None]) -> float:
        if not self.knowledge:
            return USUAL_DAYS
        if moment >= self.until:
            self._look_up(moment, noticed)
        for channel, offer in enumerate(offers):
            dark = noticed[channel]
            offer.rate, offer.busiest_lines = self.rates[channel], self.busiest[channel]
            offer.unseen = self.usual[channel] if dark is None or self.known < 0 else self._fence(moment, dark)
        if self.setting.foreseen and self.known >= 0:
            self._prepare(moment, offers, noticed)
        return self._until_restock(moment)

    def saw(self, lines: int) -> None:
        if self.known >= 0:
            self.seen += lines
            self.until = 0

    def looks(self) -> Sequence[int]:
        if not self.from_days:
            return ()
        return [self.from_days[0] * DAY, *self.setting.prepared]

    def next_change(self) -> int:
        """The moment until which what was written about holds."""
        return self.look

    def _until_restock(self, moment: int) -> float:
        if self.known < 0 or not self.setting.restock_known:
            return USUAL_DAYS
        known = self.knowledge[self.known]
        return (moment // WEEK + 1) * known.passed[-1] - known.days_until(moment)

    def _look_up(self, moment: int, noticed: Sequence[Darkness | None]) -> None:
        if moment >= self.turns:
            self._turn(moment)
        if self.known < 0:
            self.look = self.until = self.turns
            return
        known, setting = self.knowledge[self.known], self.setting
        hour = moment // HOUR
        self.until = min(self.turns, (hour + 1) * HOUR)
        self.look = min(self.turns, known.next_pace(hour) * HOUR)
        passed = known.days_until(moment)
        expected = sum(self.learnt) * (passed - self.begun)
        for dark in noticed:
            if dark is not None:
                # What it has sold since is not known yet, neither that it was much nor that it was little.
                since = max(known.days_until(dark.start), self.begun)
                expected -= self.learnt[dark.channel] * (passed - since)
        factor, self.shape = revised(self.learnt_shape, expected, self.seen)
        self.rates = [rate * factor for rate in self.learnt]
        now = known.busiest_between(moment, moment + setting.lag)
        self.fences.clear()
        for channel, rate in enumerate(self.rates):
            # Who asks first is known at once; only our lowering of the others takes its time.
            part = 0.5 if setting.asks_first[channel] else 1.0
            self.usual[channel] = Unseen(rate * now * part, self.shape, self.sizes)
            self.busiest[channel] = rate * self.busiest_days * part

    def _turn(self, moment: int) -> None:
        """Another week's knowledge."""
        self.known = bisect_right(self.from_days, moment // DAY) - 1
        later = self.known + 1
        self.turns = self.from_days[later] * DAY if later < len(self.from_days) else NEVER
        self.seen = 0
        if self.known >= 0:
            known = self.knowledge[self.known]
            self.learnt, self.learnt_shape = known.rate[self.sku].tolist(), float(known.shape[self.sku])
            self.sizes = known.sizes[known.size_class[self.sku]]
            self.begun = known.days_until(known.from_day * DAY)
            self.busiest_days = known.busiest(self.setting.lag)

    def _fence(self, moment: int, dark: Darkness) -> Unseen:
        """From the last moment up to which its orders are known to the one when it is likely to be read again."""
        half = self.setting.lag // 2
        return self._within(dark.channel, dark.start - half, planned_end(dark, moment) + half)

    def _within(self, channel: int, start: int, end: int) -> Unseen:
        if (channel, start, end) not in self.fences:
            self.fences[channel, start, end] = self.knowledge[self.known].days_between(start, end)
        return Unseen(self.rates[channel] * self.fences[channel, start, end], self.shape, self.sizes)

    def _prepare(self, moment: int, offers: Sequence[Offer], noticed: Sequence[Darkness | None]) -> None:
        foreseen = self.setting.foreseen
        for offer in offers:
            offer.leaving = None
        while self.next_foreseen < len(foreseen) and foreseen[self.next_foreseen].until <= moment:
            self.next_foreseen += 1
        for place in range(self.next_foreseen, len(foreseen)):
            one: Foreseen = foreseen[place]
            if one.start > moment:
                break
            if moment < one.until and noticed[one.channel] is None and not self.setting.asks_first[one.channel]:
                offers[one.channel].leaving = self._within(one.channel, one.begin, one.end)


def planned_end(dark: Darkness, moment: int) -> int:
    """It lasts as long as earlier ones; one that lasts longer, as long again as it has."""
    lasted = moment - dark.start
    return dark.start + (dark.planned if lasted < dark.planned else 2 * lasted)
