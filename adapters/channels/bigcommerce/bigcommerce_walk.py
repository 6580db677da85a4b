"""Read BigCommerce's orders by their date of change, and lose none at a border of pages.

The list has pages by number only: an order that changes while it is read moves to the end and pulls all later ones
one place forward. So it is always the first page that is asked for, from the newest date seen on; and where one
instant fills a page, it is read by ascending id. Dates have whole seconds, and the vendor does not say whether the
limits are inclusive: each window is a second wider than it needs to be, and what comes again unchanged is dropped.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.channels.bigcommerce.bigcommerce_client import BigCommerceClient, chunks
from adapters.channels.bigcommerce.bigcommerce_orders import changed_at, order_number

PATH = "/v2/orders"
SECOND = timedelta(seconds=1)
PATIENCE = 3
"""How often in all an answer that does not fit the question is asked for again."""


class OrderWalk:
    """One walk from `since` to the end of the list."""

    def __init__(self, client: BigCommerceClient, params: dict[str, Any], size: int) -> None:
        self._client = client
        self._params = {**params, "limit": size}
        self._size = size
        self._doubts = 0

    def pages(self, since: datetime) -> Iterator[list[Any]]:
        """Rows, oldest change first, at most `size` a page. Raises ChannelFault."""
        floor = since.astimezone(UTC).replace(microsecond=0) - SECOND
        border: dict[int, Any] = {}
        while True:
            rows = self._ask({"min_date_modified": _stamp(floor), "sort": "date_modified:asc"}, _in_order(floor))
            if rows and not any(map(changed_at, rows)):
                self._client.malformed(f"GET {PATH}: a page without a date")
            full = len(rows) >= self._size
            newest = max((moment for row in rows if (moment := changed_at(row))), default=floor)
            if full and newest - SECOND <= floor:
                # A page full of one instant says nothing about the next one.
                newest = floor + 3 * SECOND
                rows = self._instant(floor, newest)
            yield from chunks(_fresh(rows, border), self._size)
            if not full:
                return
            floor = newest - SECOND
            border = {number: row for row in rows if (number := order_number(row)) and _since(row, floor)}

    def _instant(self, first: datetime, last: datetime) -> list[Any]:
        """All orders that changed between the two and have not changed since, in the order of their dates."""
        window = {"min_date_modified": _stamp(first), "max_date_modified": _stamp(last), "sort": "id:asc"}
        found: list[Any] = []
        begin = 1
        while True:
            rows = self._ask({**window, "min_id": begin}, _from_id(begin))
            found += rows
            ids = [number for row in rows if (number := order_number(row))]
            if len(rows) < self._size:
                return sorted(found, key=lambda row: changed_at(row) or last)
            if not ids:
                self._client.malformed(f"GET {PATH}: a full page without an id")
            begin = max(ids) + 1

    def _ask(self, params: dict[str, Any], fits: Callable[[list[Any]], bool]) -> list[Any]:
        """A page of another question (a cache's) must look neither like progress nor like the end."""
        while True:
            rows = self._client.list_v2(PATH, {**self._params, **params})
            if fits(rows):
                return rows
            self._doubts += 1
            if self._doubts > PATIENCE:
                self._client.malformed(f"GET {PATH}: rows that were not asked for")


def _in_order(floor: datetime) -> Callable[[list[Any]], bool]:
    def fits(rows: list[Any]) -> bool:
        moments = [moment for row in rows if (moment := changed_at(row))]
        return moments == sorted(moments) and all(moment >= floor for moment in moments)

    return fits


def _from_id(begin: int) -> Callable[[list[Any]], bool]:
    def fits(rows: list[Any]) -> bool:
        ids = [number for row in rows if (number := order_number(row))]
        return ids == sorted(set(ids)) and all(number >= begin for number in ids)

    return fits


def _fresh(rows: list[Any], border: dict[int, Any]) -> list[Any]:
    return [row for row in rows if (number := order_number(row)) is None or border.get(number) != row]


def _since(row: Any, floor: datetime) -> bool:
    moment = changed_at(row)
    return moment is None or moment >= floor


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")
