"""Orders: everything changed since an instant, everything placed since one, and single ones. Orders API 2026-01-01."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Never
from urllib.parse import quote

from adapters.channels.amazon import amazon_budget as budget
from adapters.channels.amazon.amazon_client import AmazonClient
from adapters.channels.amazon.amazon_orders import UntranslatableError, order_key, translate
from adapters.channels.amazon.amazon_shared import Backlog
from adapters.channels.protocol import Defect, OrderDocument, OrderPage
from adapters.http import ChannelFault, Resolution

PATH = "/orders/2026-01-01/orders"
DATA = "CANCELLATION,FULFILLMENT"
"""No BUYER and no RECIPIENT: nothing about a person is asked for."""
TOKEN_LIVES_S = 23 * 3600.0
"""A `paginationToken` lives for a day."""
RECENT = timedelta(minutes=15)
SAME_TOKEN_TIMES = 3
CHANGED, PLACED = "lastUpdatedAfter", "createdAfter"
KEPT_FOR_CHANGES = 2
"""Calls that a search for what was placed leaves to the next searches for what has changed."""


@dataclass(slots=True)
class _Found:
    orders: dict[str, OrderDocument] = field(default_factory=dict)
    defects: dict[str, Defect] = field(default_factory=dict)
    read_until: datetime | None = None
    """All changes before this, by Amazon's clock, are in `orders`: the least `lastUpdatedBefore` of its pages."""


class OrderReader:
    """`read_until` is how far the last complete pull read, by Amazon's own clock; about two minutes ago."""

    def __init__(
        self, client: AmazonClient, *, marketplace_ids: Sequence[str], page_size: int, now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._marketplaces = ",".join(marketplace_ids)
        self._page_size = page_size
        self._now = now
        self.read_until: datetime | None = None

    def since(self, updated_since: datetime) -> list[OrderPage]:
        """All pages, oldest first: read to the end before the first is handed on, for Amazon promises no order.

        The allowance for this call is small (one in three minutes, twenty at once). A pull that runs out of
        it raises RATE_LIMITED and is remembered; the next one from the same instant goes on where it stopped
        and then reads what changed meanwhile.
        """
        if updated_since.tzinfo is None:
            raise ValueError("updated_since needs an offset")
        before = self._backlog(updated_since)
        found, start, token = _Found(), updated_since, ""
        if before is not None:
            found = _Found(before.orders, before.defects, before.read_until)
            start, token = before.search_from, before.token
        try:
            self._gather(start, found, token, keep_for=updated_since)
        except ChannelFault as fault:
            # A token may have been given up by Amazon: begin anew.
            if not token or fault.status != 400:
                raise
            found, token = _Found(), ""
            self._gather(updated_since, found, "", keep_for=updated_since)
        if token and found.read_until is not None:
            # The search that was gone on with ends where it was begun: what changed since then is in another one.
            start, found.read_until = found.read_until, None
            self._gather(start, found, "", keep_for=updated_since)
        self.read_until = found.read_until
        return self._pages(found)

    def placed(self, placed_since: datetime) -> list[OrderPage] | None:
        """`searchOrders` hides an order for two minutes after each change, so one that is placed and then changed
        before every look is missing from all searches for changes. By the instant of placing it is hidden only once.

        With the default allowance and a pull in five minutes there is room for this at three pulls of five.
        """
        found = _Found()
        try:
            self._gather(placed_since, found, "", by=PLACED)
        except ChannelFault as fault:
            if fault.resolution is not Resolution.RATE_LIMITED:
                raise
            return None
        return self._pages(found)

    def single(self, order_ids: Sequence[str]) -> OrderPage:
        """These orders. Few come one by one; for more than the allowance has now, the last quarter of an hour
        is searched first, because orders that are asked for have mostly just changed."""
        left = list(dict.fromkeys(order_ids))
        found = _Found()
        if len(left) > max(1, self._client.shared.budget.left(budget.GET_ORDER)):
            recent = _Found()
            try:
                self._gather(self._now() - RECENT, recent, "")
            except ChannelFault as fault:
                if fault.resolution is not Resolution.RATE_LIMITED:
                    raise
            _merge(found, (order for key, order in recent.orders.items() if key in set(left)), {})
            left = [order_id for order_id in left if order_id not in found.orders]
        for order_id in left:
            self._one(order_id, found)
        return OrderPage(list(found.orders.values()), list(found.defects.values()))

    def _one(self, order_id: str, found: _Found) -> None:
        try:
            path = f"{PATH}/{quote(order_id, safe='')}"
            body = self._client.read(budget.GET_ORDER, path, {"includedData": DATA})
        except ChannelFault as fault:
            if fault.status == 404:
                return
            if fault.status != 400:
                raise
            found.defects[order_id] = Defect(order_id, f"Amazon refuses the id, {fault.code or 400}")
            return
        row = body.get("order") if isinstance(body, dict) else None
        if order_key(row, "") != order_id:
            self._malformed("getOrder answered without the order")
        _take(found, row, order_id)

    def _gather(
        self, start: datetime, found: _Found, token: str, *, by: str = CHANGED, keep_for: datetime | None = None
    ) -> None:
        """Read to the end into `found`. When the allowance runs out, what was read is remembered for the next pull
        from `keep_for`."""
        stuck = page = 0
        while True:
            try:
                body = self._page(by, start, token)
            except ChannelFault as fault:
                if keep_for is not None and found.orders and fault.resolution is Resolution.RATE_LIMITED:
                    now = self._client.clock()
                    self._client.shared.backlog = Backlog(
                        keep_for, start, token, now, found.orders, found.defects, found.read_until
                    )
                raise
            page += 1
            for place, row in enumerate(body["orders"]):
                _take(found, row, f"row {place} of page {page}")
            found.read_until = self._until(body, found.read_until)
            following = self._next(body)
            if not following:
                return
            stuck = stuck + 1 if following == token else 0
            if stuck > SAME_TOKEN_TIMES:
                self._malformed("searchOrders answers the same page again and again")
            token = following

    def _page(self, by: str, since: datetime, token: str) -> dict[str, Any]:
        if by == PLACED and self._client.shared.budget.left(budget.SEARCH_ORDERS) <= KEPT_FOR_CHANGES:
            raise ChannelFault(self._client.code, Resolution.RATE_LIMITED, "what is left is for what has changed")
        params: dict[str, Any] = {
            by: since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "marketplaceIds": self._marketplaces,
            "fulfilledBy": "MERCHANT",
            "includedData": DATA,
            "maxResultsPerPage": self._page_size,
        }
        if token:
            params["paginationToken"] = token
        body = self._client.read(budget.SEARCH_ORDERS, PATH, params)
        if not isinstance(body, dict) or not isinstance(body.get("orders"), list):
            self._malformed("searchOrders answered without a list of orders")
        return body

    def _next(self, body: dict[str, Any]) -> str:
        pagination = body.get("pagination")
        if pagination is None:
            return ""
        token = pagination.get("nextToken") if isinstance(pagination, dict) else None
        if token is not None and (not isinstance(token, str) or not token):
            self._malformed("searchOrders does not say how it goes on")
        if token is None and pagination != {}:
            self._malformed("searchOrders does not say how it goes on")
        return token or ""

    def _until(self, body: dict[str, Any], before: datetime | None) -> datetime | None:
        try:
            told = datetime.fromisoformat(body["lastUpdatedBefore"])
        except (KeyError, TypeError, ValueError):
            return before
        if told.tzinfo is None:
            return before
        return told if before is None else min(told, before)

    def _backlog(self, since: datetime) -> Backlog | None:
        shared = self._client.shared
        before, shared.backlog = shared.backlog, None
        if before is None or before.since != since or self._client.clock() - before.begun_at > TOKEN_LIVES_S:
            return None
        return before

    def _pages(self, found: _Found) -> list[OrderPage]:
        orders = sorted(found.orders.values(), key=lambda order: str(order["updated_at"] or ""))
        defects = list(found.defects.values())
        size = self._page_size
        parts = [orders[start : start + size] for start in range(0, len(orders), size)] or ([[]] if defects else [])
        return [OrderPage(part, defects if number == 0 else []) for number, part in enumerate(parts)]

    def _malformed(self, what: str) -> Never:
        raise ChannelFault(self._client.code, Resolution.MALFORMED, what, status=200)


def _take(found: _Found, row: Any, place: str) -> None:
    try:
        order = translate(row, place)
    except UntranslatableError as problem:
        found.defects[problem.key] = Defect(problem.key, str(problem))
        return
    if order is not None:
        _merge(found, [order], {})


def _merge(found: _Found, orders: Iterable[OrderDocument], defects: dict[str, Defect]) -> None:
    """Of two versions of an order the later one stays."""
    for order in orders:
        known = found.orders.get(order["order_id"])
        if known is None or str(known["updated_at"] or "") <= str(order["updated_at"] or ""):
            found.orders[order["order_id"]] = order
    found.defects |= defects
