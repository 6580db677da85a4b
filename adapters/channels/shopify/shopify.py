"""Shopify, by its Admin GraphQL API 2026-10.

A listing ref is the inventory item's gid; the quantity is `available` at one location, the one that
the online shop sells from. Shopify takes a sale from it by itself, so every write is a compare-and-set.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

import httpx
from pydantic import SecretStr

from adapters.channels.protocol import (
    Capabilities,
    CataloguePage,
    Change,
    ChangeResult,
    Defect,
    OrderDocument,
    OrderPage,
    PauseState,
    Reading,
    Remember,
    forget,
)
from adapters.channels.shopify import shopify_queries as queries
from adapters.channels.shopify.shopify_catalogue import read_catalogue
from adapters.channels.shopify.shopify_client import ShopifyClient
from adapters.channels.shopify.shopify_orders import (
    Connection,
    Refund,
    Untranslatable,
    connection,
    mapping,
    refund_ids,
    translate,
)
from adapters.channels.shopify.shopify_pauses import Pauses
from adapters.channels.shopify.shopify_writes import set_quantities
from adapters.http import ChannelFault, Resolution

API_VERSION = "2026-10"
ORDER_ID = re.compile(r"gid://shopify/Order/[0-9]+")
SAME_CURSOR_TIMES = 3
"""How often a page that repeats its predecessor's cursor is asked again before the pull gives up."""


class Shopify:
    """One Shopify shop as a `Channel`. `close` it when done; not for several threads at once."""

    capabilities = Capabilities(compare_and_set=True, idempotency_keys=True, write_batch=250, read_batch=100)

    def __init__(
        self,
        code: str,
        *,
        base_url: str,
        access_token: SecretStr,
        location_id: str,
        timeout_s: float = 10.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        orders_per_page: int = 25,
        lines_per_page: int = 10,
        lines_per_call: int = 250,
    ) -> None:
        """`base_url` is `https://{shop}.myshopify.com`, `location_id` a `gid://shopify/Location/…`.

        Raises ValueError when a page would cost more points than the vendor allows (`pull_cost`). A shop
        of long orders reads faster with fewer orders and more lines a page.
        """
        if queries.pull_cost(orders_per_page, lines_per_page) > queries.MOST_POINTS:
            raise ValueError(f"{orders_per_page} orders of {lines_per_page} lines are too much for one page")
        self.code = code
        self._location_id = location_id
        self._orders_per_page = orders_per_page
        self._lines_per_page = lines_per_page
        self._lines_per_call = lines_per_call
        self._client = ShopifyClient(
            code,
            base_url=base_url,
            access_token=access_token,
            api_version=API_VERSION,
            timeout_s=timeout_s,
            transport=transport,
            sleep=sleep,
            clock=clock,
        )
        self._pauses = Pauses(self._client, code, location_id)

    def close(self) -> None:
        self._client.close()

    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        """See the protocol. The vendor's search index lags a little: the caller overlaps by minutes."""
        variables = {
            "query": f"updated_at:>='{_whole_second(updated_since)}'",
            "first": self._orders_per_page,
            "lines": self._lines_per_page,
            "after": None,
        }
        stuck = 0
        while True:
            page = self._connection(self._client.run(queries.PULL_ORDERS, variables), "orders")
            yield self._page(page)
            if page.next_cursor is None:
                return
            stuck = stuck + 1 if page.next_cursor == variables["after"] else 0
            if stuck > SAME_CURSOR_TIMES:
                self._malformed("PullOrders answers the same page again and again")
            variables["after"] = page.next_cursor

    def read_orders(self, order_ids: Sequence[str]) -> OrderPage:
        """See the protocol. Read by id, not by the search index: what has just been placed is there."""
        asked = [order_id for order_id in dict.fromkeys(order_ids) if ORDER_ID.fullmatch(order_id)]
        whole = OrderPage([])
        for ids in _batches(asked, self._orders_per_page):
            data = self._client.run(queries.READ_ORDERS, {"ids": ids, "lines": self._lines_per_page})
            found = [node for node in self._nodes(data, len(ids)) if node is not None]
            part = self._page(Connection(found, None))
            whole.orders.extend(part.orders)
            whole.defects.extend(part.defects)
        return whole

    def read_quantities(self, listing_refs: Sequence[str]) -> list[Reading]:
        """See the protocol. An item that is not stocked at the location is absent, as an unknown one is.

        `tracked` is false too when a variant of the item may be sold below zero ("continue selling").
        """
        readings: list[Reading] = []
        for refs in _batches(listing_refs, self.capabilities.read_batch):
            data = self._client.run(queries.READ_QUANTITIES, {"ids": refs, "location": self._location_id})
            found = (self._reading(node) for node in self._nodes(data, len(refs)))
            readings.extend(reading for reading in found if reading is not None)
        return readings

    def read_locations(self, listing_refs: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
        """Listing ref → location gid → quantity by name (`available`, `on_hand`, `committed`).

        One call an item: for looking into a difference, not for sweeping. Unknown refs are absent.
        """
        found: dict[str, dict[str, dict[str, int]]] = {}
        for ref in listing_refs:
            variables: dict[str, Any] = {"id": ref, "first": 100, "after": None}
            while True:
                item = self._client.run(queries.READ_LOCATIONS, variables).get("inventoryItem")
                if item is None:
                    break
                page = self._connection(item, "inventoryLevels")
                levels = found.setdefault(ref, {})
                for node in page.nodes:
                    levels[self._text(node, "location", "id")] = self._quantities(node)
                if page.next_cursor is None:
                    break
                variables["after"] = page.next_cursor
        return found

    def set_quantities(self, changes: Sequence[Change], key: str) -> list[ChangeResult]:
        """See the protocol. One stale row fails a whole call at Shopify: such rows are split out."""
        return set_quantities(self._client, self._location_id, changes, key)

    def read_catalogue(self) -> Iterator[CataloguePage]:
        """See the protocol."""
        return read_catalogue(self._client, self.code, self._location_id)

    def pause(self, listing_refs: Sequence[str], remember: Remember = forget) -> PauseState:
        """See the protocol and `shopify_pauses`."""
        return self._pauses.pause(listing_refs, remember)

    def resume(self, state: PauseState) -> None:
        self._pauses.resume(state)

    def _page(self, page: Connection) -> OrderPage:
        orders: list[OrderDocument] = []
        defects: list[Defect] = []
        for index, node in enumerate(page.nodes):
            try:
                orders.append(self._order(node))
            except Untranslatable as problem:
                order_id = node.get("id") if isinstance(node, dict) else None
                defects.append(Defect(str(order_id or f"order {index} of a page"), str(problem)))
        return OrderPage(orders, defects)

    def _order(self, node: Any) -> OrderDocument:
        order = mapping(node, "an order")
        first = connection(order, "lineItems")
        lines, last = list(first.nodes), order
        if first.next_cursor is not None:
            more, last = self._rest(queries.ORDER_LINES, order.get("id"), "order", "lineItems", first.next_cursor)
            lines.extend(more)
        # As listed with the last of the lines, never before: see `translate`.
        ids = refund_ids(last)
        if len(ids) >= queries.REFUNDS_IN_PAGE:
            ids = refund_ids(self._client.run(queries.ORDER_REFUNDS, {"id": order.get("id")}).get("order"))
        if len(ids) >= queries.REFUNDS_MOST:
            raise Untranslatable(f"{len(ids)} refunds or more, which cannot be paged")
        return translate(order, _once(lines), self._refunds(ids), self._location_id)

    def _refunds(self, ids: Sequence[str]) -> list[Refund]:
        refunds: list[Refund] = []
        for some in _batches(ids, 5):
            data = self._client.run(queries.REFUNDS, {"ids": some, "first": 50})
            for refund_id, node in zip(some, self._nodes(data, len(some)), strict=True):
                first = connection(node, "refundLineItems")
                lines = list(first.nodes)
                if first.next_cursor is not None:
                    cursor = first.next_cursor
                    more, _ = self._rest(queries.REFUND_LINES, refund_id, "refund", "refundLineItems", cursor)
                    lines.extend(more)
                refunds.append(Refund(refund_id, mapping(node, "a refund").get("processedAt"), _once(lines)))
        return refunds

    def _rest(
        self, operation: queries.Operation, owner_id: Any, owner: str, name: str, cursor: str
    ) -> tuple[list[Any], Any]:
        """The nodes of a nested connection after its first page, and the owner as the last page had it."""
        nodes: list[Any] = []
        after = cursor
        while True:
            variables = {"id": owner_id, "first": self._lines_per_call, "after": after}
            found = self._client.run(operation, variables).get(owner)
            page = connection(found, name)
            nodes.extend(page.nodes)
            if page.next_cursor is None:
                return nodes, found
            if page.next_cursor == after:
                raise Untranslatable(f"{name} does not go on")
            after = page.next_cursor

    def _reading(self, node: Any) -> Reading | None:
        if node is None:
            return None
        if not isinstance(node, dict) or not isinstance(node.get("id"), str):
            self._malformed("an inventory item without an id")
        level = node.get("inventoryLevel")
        if level is None:
            return None
        quantity = self._quantities(level).get("available")
        if quantity is None:
            self._malformed("a level without `available`")
        return Reading(node["id"], quantity, node.get("tracked") is True and self._denies(node))

    def _denies(self, item: Mapping[str, Any]) -> bool:
        """No variant of the item sells below zero, as far as one page of variants tells."""
        variants = item.get("variants")
        if variants is None:
            return True
        if not isinstance(variants, dict) or not isinstance(variants.get("nodes"), list):
            self._malformed("variants of another shape")
        info = variants.get("pageInfo")
        whole = isinstance(info, dict) and info.get("hasNextPage") is False
        policies = {node.get("inventoryPolicy") if isinstance(node, dict) else None for node in variants["nodes"]}
        return whole and policies <= {"DENY"}

    def _quantities(self, level: Any) -> dict[str, int]:
        rows = level.get("quantities") if isinstance(level, dict) else None
        if not isinstance(rows, list):
            self._malformed("a level without quantities")
        found: dict[str, int] = {}
        for row in rows:
            name, quantity = (row.get("name"), row.get("quantity")) if isinstance(row, dict) else (None, None)
            if not isinstance(name, str) or not isinstance(quantity, int) or isinstance(quantity, bool):
                self._malformed("a quantity that is no whole number")
            found[name] = quantity
        return found

    def _text(self, node: Any, *path: str) -> str:
        for name in path:
            node = node.get(name) if isinstance(node, dict) else None
        if not isinstance(node, str):
            self._malformed(f"no {'.'.join(path)}")
        return node

    def _nodes(self, data: Mapping[str, Any], count: int) -> list[Any]:
        nodes = data.get("nodes")
        if not isinstance(nodes, list) or len(nodes) != count:
            self._malformed("not one node for each id")
        return nodes

    def _connection(self, parent: Any, name: str) -> Connection:
        try:
            return connection(parent, name)
        except Untranslatable as problem:
            reason = str(problem)
        self._malformed(reason)

    def _malformed(self, what: str) -> NoReturn:
        raise ChannelFault(self.code, Resolution.MALFORMED, what, status=200)


def _whole_second(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("updated_since needs a time zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _batches(items: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _once(nodes: Sequence[Any]) -> list[Any]:
    """Without the nodes that came again word for word, as they do when a page is answered twice. Two that say
    different things under one id both stay: the gate must see that."""
    kept: list[Any] = []
    seen: dict[Any, list[Any]] = {}
    for node in nodes:
        node_id = node.get("id") if isinstance(node, dict) else None
        if node_id is None or node not in seen.setdefault(str(node_id), []):
            kept.append(node)
            seen.setdefault(str(node_id), []).append(node)
    return kept
