"""Quantities and pauses, written. Source: the vendor's `inventory.v3.yml` and "Inventory adjustments".

Only absolute adjustments: relative ones see a stale number while an absolute one is on its way, so the two are never
mixed. A call is taken or refused as a whole. What was taken is applied later; its `transaction_id` can be asked for
nowhere, so nothing but a read says that it was. Two absolute ones at the same time have no order: calls go one
after the other.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.channels.bigcommerce.bigcommerce_client import BigCommerceClient, chunks
from adapters.channels.bigcommerce.bigcommerce_stock import BY_PRODUCT, NONE, OFF, PRODUCTS, Item, Stock
from adapters.channels.protocol import Change, ChangeResult, ChangeStatus, PauseState, Remember, forget
from adapters.http import ChannelFault, Resolution

ABSOLUTE = "/v3/inventory/adjustments/absolute"
LARGEST_BATCH = 2000
LARGEST_STOCK = 2_147_483_647
PRODUCTS_AT_ONCE = 10
MOST_HALVINGS = 40
"""Calls that may be spent on finding the bad rows of a refused batch."""
FIRST_LOOK_S = 0.1
LONGEST_LOOK_S = 2.0

Rows = dict[str, tuple[Item, int]]
"""Ref → what it is and the quantity that it shall show."""


class StockWriter:
    def __init__(self, client: BigCommerceClient, stock: Stock, *, apply_wait_s: float, doubt_lowerings: bool) -> None:
        """`doubt_lowerings`: a lowering that is read back could also be sales while the write is still on its way.
        True: then it is UNKNOWN."""
        self._client = client
        self._stock = stock
        self._apply_wait_s = apply_wait_s
        self._doubt_lowerings = doubt_lowerings

    def write(self, changes: Sequence[Change]) -> list[ChangeResult]:
        """See `SetsStock`."""
        wanted = {change.listing_ref: change.quantity for change in changes}
        if len(wanted) != len(changes):
            raise ValueError("a listing comes twice in one set of changes")
        items = self._stock.read(list(wanted))
        refused = {ref: why for ref, quantity in wanted.items() if (why := _refusal(items.get(ref), quantity))}
        results = {ref: ChangeResult(ref, ChangeStatus.REJECTED, why) for ref, why in refused.items()}
        accepted = self._send_all({ref: (items[ref], wanted[ref]) for ref in wanted if ref not in refused}, results)
        for change in changes if self._doubt_lowerings else ():
            ref, lowers = change.listing_ref, change.expected is None or change.quantity <= change.expected
            if lowers and ref in accepted:
                del accepted[ref]
                why = "taken; that it is read back would not prove a lowering"
                results[ref] = ChangeResult(ref, ChangeStatus.UNKNOWN, why)
        self._confirm(accepted, results)
        return [results[ref] for ref in wanted]

    def pause(self, listing_refs: Sequence[str], remember: Remember = forget) -> PauseState:
        """Everything that is counted to zero; what is not, which zeros would not stop, by its `availability`.

        Gives back when the store has taken the zeros; they are live a moment later. When a switch fails, those that
        were turned already are put back before the fault is raised; the zeros stay. Raises ChannelFault.
        """
        items = list(self._stock.read(listing_refs).values())
        counted = {item.key: item for item in items if item.tracking != NONE}
        before = {item.ref[0]: item.availability for item in items if item.tracking == NONE}
        state: PauseState = {"availability": {str(number): was for number, was in before.items()}}
        remember(state)
        for some in chunks(list(counted.values()), LARGEST_BATCH):
            self._send({str(item.key): (item, 0) for item in some})
        tried: dict[int, str] = {}
        try:
            for numbers in chunks([number for number, was in before.items() if was != OFF], PRODUCTS_AT_ONCE):
                tried |= {number: before[number] for number in numbers}
                self._switch(dict.fromkeys(numbers, OFF))
        except ChannelFault:
            self._put_back(tried)
            raise
        return state

    def resume(self, state: PauseState) -> None:
        """See `Pauses`. What is no state of ours is a ValueError."""
        before = state.get("availability")
        if not isinstance(before, dict) or not all(str(number).isdecimal() for number in before):
            raise ValueError("not the state of a pause of a BigCommerce store")
        self._put_back({int(number): was for number, was in before.items() if was != OFF})

    def _put_back(self, before: Mapping[int, str]) -> None:
        for numbers in chunks(list(before), PRODUCTS_AT_ONCE):
            self._switch({number: before[number] for number in numbers})

    def _switch(self, wanted: Mapping[int, str]) -> None:
        body = [{"id": number, "availability": value} for number, value in wanted.items()]
        rows = self._client.data(self._client.put(PRODUCTS, body).body, f"PUT {PRODUCTS}")
        shown = {row.get("id"): row.get("availability") for row in rows if isinstance(row, Mapping)}
        missed = [number for number, value in wanted.items() if shown.get(number) != value]
        if missed:
            what = f"PUT {PRODUCTS}: {len(missed)} products show another availability"
            raise ChannelFault(self._client.code, Resolution.UNKNOWN, what)

    def _send_all(self, rows: Rows, results: dict[str, ChangeResult]) -> Rows:
        """The rows that were taken; adds the others to `results`. Raises ChannelFault when nothing was sent at all."""
        accepted: Rows = {}
        waiting = [dict(some) for some in chunks(list(rows.items()), LARGEST_BATCH)]
        halvings, sent = 0, False
        while waiting:
            some = waiting.pop(0)
            try:
                self._send(some)
                sent = True
                accepted |= some
            except ChannelFault as fault:
                if fault.resolution in (Resolution.UNKNOWN, Resolution.MALFORMED):
                    sent = True
                    results |= _all(some, ChangeStatus.UNKNOWN, str(fault))
                elif fault.resolution is not Resolution.REJECT:
                    if not sent:
                        raise
                    for rest in [some, *waiting]:
                        results |= _all(rest, ChangeStatus.REJECTED, f"not sent: {fault.resolution}")
                    return accepted
                elif len(some) == 1 or halvings >= MOST_HALVINGS:
                    results |= _all(some, ChangeStatus.REJECTED, str(fault))
                else:
                    # One bad row has the whole call refused, and nothing of it was applied.
                    halvings += 1
                    middle = len(some) // 2
                    waiting[:0] = [dict(half) for half in (list(some.items())[:middle], list(some.items())[middle:])]
        return accepted

    def _send(self, rows: Rows) -> None:
        """Raises ChannelFault; UNKNOWN when the answer does not say that it was taken."""
        body = {"reason": "onhand", "items": [self._adjustment(item, shown) for item, shown in rows.values()]}
        answer = self._client.put(ABSOLUTE, body).body
        transaction = answer.get("transaction_id") if isinstance(answer, Mapping) else None
        if not isinstance(transaction, str) or not transaction:
            raise ChannelFault(self._client.code, Resolution.UNKNOWN, f"PUT {ABSOLUTE}: no transaction_id came")

    def _adjustment(self, item: Item, shown: int) -> dict[str, Any]:
        """The safety stock is kept on the shelf: it is never shown, so it is written on top."""
        kind, number = item.key
        named = {"product_id" if kind == BY_PRODUCT else "variant_id": number}
        safety = item.level.safety if item.level else 0
        return {"location_id": self._stock.location_id, **named, "quantity": shown + safety}

    def _confirm(self, accepted: Rows, results: dict[str, ChangeResult]) -> None:
        """Look until each number that was taken is seen, or the time is over."""
        client, waiting = self._client, dict(accepted)
        began, pause = client.clock(), FIRST_LOOK_S
        until = began + self._apply_wait_s
        while waiting and client.clock() + pause <= until:
            client.sleep(pause)
            try:
                levels = self._stock.levels([item.key for item, _ in waiting.values()])
            except ChannelFault as fault:
                if not fault.retriable:
                    break
                levels = {}
            for ref, (item, shown) in list(waiting.items()):
                level = levels.get(item.key)
                if level is not None and level.available == shown:
                    results[ref] = ChangeResult(ref, ChangeStatus.DONE)
                    del waiting[ref]
            # A write is seen at most half as late again as it was applied.
            pause = min(max(FIRST_LOOK_S, (client.clock() - began) / 2), LONGEST_LOOK_S)
        results |= _all(waiting, ChangeStatus.UNKNOWN, "taken, not yet seen at the listing")


def _refusal(item: Item | None, quantity: int) -> str | None:
    """Why a row is not sent."""
    if item is None:
        return "no listing of this store"
    if item.tracking == NONE:
        return "the store does not count this product: set its inventory tracking"
    if item.shared:
        return "the product has one number for all its variants: let it be tracked by variant"
    safety = item.level.safety if item.level else 0
    return None if 0 <= quantity <= LARGEST_STOCK - safety else "no quantity that the store takes"


def _all(rows: Rows, status: ChangeStatus, reason: str) -> dict[str, ChangeResult]:
    return {ref: ChangeResult(ref, status, reason) for ref in rows}
