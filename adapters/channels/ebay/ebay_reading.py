"""Reading orders by the Fulfillment API: all that changed, or some by their ids."""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from adapters.channels.ebay.ebay_client import EbayClient, shop_time
from adapters.channels.ebay.ebay_orders import UntranslatableError, needs_whole, order_key, translate_order
from adapters.channels.ebay.ebay_walk import Part, UnsettledError, walk
from adapters.channels.protocol import Defect, OrderDocument, OrderPage
from adapters.http import Answer, ChannelFault, Resolution

ORDERS = "/sell/fulfillment/v1/order"
LARGEST_PAGE = 200
IDS_AT_ONCE = 50
REACH = timedelta(days=729)
"""eBay tells no orders that are older than two years."""
BEGINS_IN_THE_FUTURE = "30850"
SECOND = timedelta(seconds=1)
MOST_ROUNDS = 10

T = TypeVar("T")


class OrderReader:
    """Not for several threads at once."""

    def __init__(self, client: EbayClient, *, page_size: int, now: Callable[[], datetime]) -> None:
        self._client = client
        self._page_size = page_size
        self._now = now

    def changed(self, since: datetime) -> list[OrderPage]:
        """Pages of the orders changed at or after `since`, oldest change first, each order once, in its newest state.

        The window is open to the present, so that nothing leaves it while it is read: an order that changes
        only moves inside it. If reading took more than one answer, what changed since its beginning is read
        once more, by eBay's own clock, until that is one answer or tells nothing new: there every order is
        that moved to where had been read already. Raises ChannelFault.
        """
        if since.tzinfo is None:
            raise ValueError("updated_since needs an offset")
        try:
            rows, calls, began = self._walk(max(since, self._now() - REACH))
        except ChannelFault as fault:
            if fault.code == BEGINS_IN_THE_FUTURE:
                # By eBay's clock nothing can have changed since then.
                return []
            raise
        known = {_version(row) for row in rows}
        for _ in range(MOST_ROUNDS):
            if calls < 2:
                break
            more, calls, began = self._walk(began - SECOND)
            fresh = [row for row in more if _version(row) not in known]
            if not fresh:
                break
            rows += fresh
            known |= {_version(row) for row in fresh}
        else:
            self._client.malformed(f"GET {ORDERS}: orders change faster than they are read")
        page = self._translated(rows)
        parts = list(chunks(page.orders, self._page_size)) or ([[]] if page.defects else [])
        return [OrderPage(part, page.defects if number == 0 else []) for number, part in enumerate(parts)]

    def named(self, order_ids: Sequence[str]) -> OrderPage:
        """These orders, those that eBay knows. Raises ChannelFault."""
        rows: list[Any] = []
        for ids in chunks(list(dict.fromkeys(order_ids)), IDS_AT_ONCE):
            try:
                answer = self._client.call("GET", ORDERS, params={"orderIds": ",".join(ids)})
                rows += [row for row in self._rows(answer) if order_key(row) in (None, *ids)]
            except ChannelFault as fault:
                if fault.resolution is not Resolution.REJECT:
                    raise
                # One id that eBay cannot read fails the whole call.
                rows += [row for one in ids if (row := self._one(one)) is not None]
        return self._translated(rows)

    def _walk(self, since: datetime) -> tuple[list[Any], int, datetime]:
        """Rows, calls, and eBay's time at the first answer."""
        params = {"filter": f"lastmodifieddate:[{_stamp(since)}..]", "limit": self._page_size}
        began: list[datetime] = []

        def fetch(offset: int) -> Part:
            answer = self._client.call("GET", ORDERS, params={**params, "offset": offset})
            if not began:
                began.append(shop_time(answer) or self._client.malformed(f"GET {ORDERS}: the answer has no Date"))
            return Part(self._rows(answer), self._number(answer, "offset"), self._number(answer, "total"))

        try:
            walked = walk(fetch, _version, self._page_size)
        except UnsettledError as error:
            self._client.malformed(f"GET {ORDERS}: {error}")
        return walked.rows, walked.calls, began[0]

    def _translated(self, rows: Sequence[Any]) -> OrderPage:
        newest: dict[str, OrderDocument] = {}
        defects: dict[str, Defect] = {}
        for place, row in enumerate(rows):
            try:
                whole = self._whole(row) if needs_whole(row) else row
                document = translate_order(whole, f"row {place}")
            except UntranslatableError as error:
                defects[error.key] = Defect(error.key, str(error))
                continue
            key = document["order_id"]
            if key not in newest or str(document["updated_at"]) >= str(newest[key]["updated_at"]):
                newest[key] = document
        orders = sorted(newest.values(), key=lambda document: str(document["updated_at"] or ""))
        return OrderPage(orders, [defect for key, defect in defects.items() if key not in newest])

    def _whole(self, row: Any) -> Any:
        key = order_key(row)
        whole = None if key is None else self._one(key)
        if whole is not None and order_key(whole) != key:
            raise UntranslatableError(str(key), "getOrder gave another order")
        return row if whole is None else whole

    def _one(self, order_id: str) -> Any:
        """The order as getOrder has it; None when there is none."""
        try:
            return self._client.call("GET", f"{ORDERS}/{quote(order_id, safe='')}").body
        except ChannelFault as fault:
            if fault.status in (400, 404):
                return None
            raise

    def _rows(self, answer: Answer) -> list[Any]:
        rows = answer.body.get("orders") if isinstance(answer.body, Mapping) else None
        if not isinstance(rows, list):
            self._client.malformed(f"GET {ORDERS}: the answer has no orders")
        return rows

    def _number(self, answer: Answer, name: str) -> int:
        number = answer.body.get(name)
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            self._client.malformed(f"GET {ORDERS}: the answer has no {name}")
        return number


def chunks(rows: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


def _version(row: Any) -> Hashable | None:
    key = order_key(row)
    changed = row.get("lastModifiedDate") if key is not None else None
    return (key, changed) if isinstance(changed, str) and re.match(r"\d{4}-", changed) else None


def _stamp(moment: datetime) -> str:
    """To the millisecond before."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
