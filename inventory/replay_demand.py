"""What the policy knows of one SKU's demand while its history is replayed: only what was learnt before."""

from bisect import bisect_right
from collections.abc import Sequence

from inventory.demand_model import Knowledge
from inventory.order_history import DAY, WEEK
from inventory.policy import USUAL_DAYS, Offer
from inventory.replay_shelf import Darkness, Setting
from inventory.unseen import Unseen


class SkuDemand:
    """Writes into the offers of one SKU what each may sell unseen. Moments never go back."""

    def __init__(self, knowledge: Sequence[Knowledge], sku: int, setting: Setting) -> None:
        self.knowledge, self.sku, self.setting = knowledge, sku, setting
        self.from_days = [one.from_day for one in knowledge]
        self.known = -1
        self.until = self.look = 0
        self.usual: list[Unseen | None] = [None] * len(setting.shares)
        self.rates = [0.0] * len(setting.shares)
        self.busiest = [0.0] * len(setting.shares)
        self.fences: dict[tuple[int, int, int, int], Unseen] = {}

    def __call__(self, moment: int, offers: Sequence[Offer], noticed: Sequence[Darkness | None]) -> float:
        if moment >= self.until:
            self._look_up(moment)
        for channel, offer in enumerate(offers):
            dark = noticed[channel]
            offer.rate, offer.busiest_lines = self.rates[channel], self.busiest[channel]
            offer.unseen = self.usual[channel] if dark is None or self.known < 0 else self._fence(moment, dark)
        return self._until_restock(moment)

    def _until_restock(self, moment: int) -> float:
        if self.known < 0 or not self.setting.restock_known:
            return USUAL_DAYS
        monday = (moment // WEEK + 1) * WEEK
        return self.knowledge[self.known].days_between(moment, monday)

    def first_known(self) -> int | None:
        return self.from_days[0] * DAY if self.from_days else None

    def next_change(self) -> int:
        """The moment until which what was written about holds."""
        return self.look

    def _look_up(self, moment: int) -> None:
        self.known = bisect_right(self.from_days, moment // DAY) - 1
        later = self.known + 1
        self.until = self.from_days[later] * DAY if later < len(self.from_days) else 1 << 62
        if self.known < 0:
            self.look = self.until
            return
        known = self.knowledge[self.known]
        shape, sizes = float(known.shape[self.sku]), known.sizes[known.size_class[self.sku]]
        self.rates = [float(rate) for rate in known.rate[self.sku]]
        hour = moment * 24 // DAY
        self.look = min(self.until, known.next_pace(hour) * (DAY // 24))
        self.until = min(self.until, (hour + 1) * (DAY // 24))
        now, usual = known.busiest_between(moment, moment + self.setting.lag), known.busiest(self.setting.lag)
        for channel, rate in enumerate(self.rates):
            # Who asks first is known at once; only our lowering of the others takes its time.
            part = 0.5 if self.setting.asks_first[channel] else 1.0
            self.usual[channel] = Unseen(rate * now * part, shape, sizes)
            self.busiest[channel] = rate * usual * part

    def _fence(self, moment: int, dark: Darkness) -> Unseen:
        """From the last moment up to which its orders are known to the one when it is likely to be read again."""
        end = planned_end(dark, moment)
        key = (self.known, dark.channel, dark.start, end)
        if key not in self.fences:
            known = self.knowledge[self.known]
            days = known.days_between(dark.start - self.setting.lag // 2, end + self.setting.lag // 2)
            self.fences[key] = Unseen(
                self.rates[dark.channel] * days,
                float(known.shape[self.sku]),
                known.sizes[known.size_class[self.sku]],
            )
        return self.fences[key]


def planned_end(dark: Darkness, moment: int) -> int:
    """It lasts as long as earlier ones; one that lasts longer, as long again as it has."""
    lasted = moment - dark.start
    return dark.start + (dark.planned if lasted < dark.planned else 2 * lasted)
