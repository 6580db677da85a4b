"""Who buys where and when: a recorded day laid out over shops and over a few minutes of real time."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.sandbox.trace import Trace, TraceCancellation, TraceOrder


@dataclass(frozen=True, slots=True)
class Storefront:
    code: str
    base_url: str
    weight: float = 1.0
    """Its share of the orders, relative to the others."""


@dataclass(frozen=True, slots=True)
class Event:
    due: float
    """Seconds from the start."""
    order: TraceOrder | None = None
    cancellations: tuple[TraceCancellation, ...] = ()
    """All of one order at one instant."""


def storefront_of(key: str, storefronts: Sequence[Storefront]) -> Storefront:
    """The shop that a customer buys at: the same on every machine and every day."""
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    place = int.from_bytes(digest) / 2**64 * sum(shop.weight for shop in storefronts)
    for shop in storefronts:
        place -= shop.weight
        if place < 0:
            return shop
    return storefronts[-1]


def timetable(day: Trace, storefronts: Sequence[Storefront], seconds: float) -> tuple[dict[str, list[Event]], int]:
    """Shop code → its events in order, and the number of cancellations whose sale is not of this day.

    The first instant of the day falls on 0, the last on `seconds`. A buyer without a name goes by the
    order's number; a cancellation goes where its order went.
    """
    instants = [order.placed_at for order in day.orders] + [c.at for c in day.cancellations]
    first = min(instants, default=None)
    span = (max(instants) - first).total_seconds() if first else 0.0

    def due(at: datetime) -> float:
        return (at - first).total_seconds() / span * seconds if first and span else 0.0

    plans: dict[str, list[Event]] = {shop.code: [] for shop in storefronts}
    places: dict[str, str] = {}
    for order in day.orders:
        code = storefront_of(order.customer or order.order_id, storefronts).code
        places[order.order_id] = code
        plans[code].append(Event(due(order.placed_at), order))
    together: defaultdict[tuple[str, datetime], list[TraceCancellation]] = defaultdict(list)
    homeless = 0
    for cancellation in day.cancellations:
        if cancellation.matched and cancellation.matched[0] in places:
            together[cancellation.matched[0], cancellation.at].append(cancellation)
        else:
            homeless += 1
    for (order_id, at), cancellations in together.items():
        plans[places[order_id]].append(Event(due(at), cancellations=tuple(cancellations)))
    for events in plans.values():
        # Stable: an order comes before its cancellation at the same instant.
        events.sort(key=lambda event: event.due)
    return plans, homeless
