"""BigCommerce by its REST APIs: orders v2, refunds, inventory and catalogue v3.

A listing is `<product id>/<variant id>`; its quantity is what the store can sell of it at one of its locations.
Writes are absolute, the last one wins, and an accepted one is applied a moment later: DONE is what a read after it
shows, within `apply_wait_s`; anything else is UNKNOWN.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import httpx
from pydantic import SecretStr

from adapters.channels.bigcommerce.bigcommerce_client import LARGEST_PAGE, BigCommerceClient, chunks, identity, joined
from adapters.channels.bigcommerce.bigcommerce_orders import (
    UntranslatableError,
    is_a_sale,
    lines_within,
    order_number,
    translate_order,
)
from adapters.channels.bigcommerce.bigcommerce_stock import Stock
from adapters.channels.bigcommerce.bigcommerce_walk import PATH, OrderWalk
from adapters.channels.bigcommerce.bigcommerce_writes import LARGEST_BATCH, StockWriter
from adapters.channels.protocol import (
    Capabilities,
    CataloguePage,
    Change,
    ChangeResult,
    Defect,
    OrderPage,
    PauseState,
    Reading,
    Remember,
    forget,
)
from adapters.http import ChannelFault

REFUNDS = "/v3/orders/payment_actions/refunds"
WITH_LINES = {"include": "consignments.line_items", "consignment_structure": "object"}


class BigCommerce:
    """One store. Implements `adapters.channels.protocol.Channel`; not for use by several threads at once."""

    capabilities = Capabilities(
        compare_and_set=False,
        idempotency_keys=False,
        write_batch=LARGEST_BATCH,
        read_batch=LARGEST_PAGE,
        applies_later=True,
    )

    def __init__(
        self,
        code: str,
        *,
        base_url: str,
        store_hash: str,
        access_token: SecretStr,
        location_id: int = 1,
        timeout_s: float = 10.0,
        most_wait_s: float = 35.0,
        apply_wait_s: float = 5.0,
        doubt_lowerings: bool = False,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        page_size: int = LARGEST_PAGE,
    ) -> None:
        """`base_url` is `https://api.bigcommerce.com`. `most_wait_s`: how long one call may wait for the store's
        next allowance of calls. Raises ValueError for plain HTTP beyond this machine."""
        if not 2 <= page_size <= LARGEST_PAGE:
            raise ValueError(f"{code}: page_size is from 2 to {LARGEST_PAGE}")
        self.code = code
        self._page_size = page_size
        self._client = BigCommerceClient(
            code,
            base_url=base_url,
            store_hash=store_hash,
            access_token=access_token,
            timeout_s=timeout_s,
            most_wait_s=most_wait_s,
            transport=transport,
            clock=clock,
            sleep=sleep,
        )
        self._stock = Stock(self._client, location_id)
        self._writer = StockWriter(
            self._client, self._stock, apply_wait_s=apply_wait_s, doubt_lowerings=doubt_lowerings
        )

    def close(self) -> None:
        self._client.close()

    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        """See the protocol and `bigcommerce_walk`. Archived orders are in no list; archiving changes no stock."""
        if updated_since.tzinfo is None:
            raise ValueError("updated_since needs an offset")
        walk = OrderWalk(self._client, WITH_LINES, self._page_size)
        return (page for rows in walk.pages(updated_since) if (page := self._page(rows)).orders or page.defects)

    def read_orders(self, order_ids: Sequence[str]) -> OrderPage:
        """See the protocol. One call for each, and one for the refunds of all."""
        rows = []
        for order_id in dict.fromkeys(order_ids):
            if not (order_id.isascii() and order_id.isdecimal() and identity(int(order_id))):
                continue
            path = f"{PATH}/{int(order_id)}"
            try:
                row = self._client.get(path, WITH_LINES).body
            except ChannelFault as fault:
                if fault.status != 404:
                    raise
                continue
            if order_number(row) != int(order_id):
                self._client.malformed(f"GET {path}: another order came")
            rows.append(row)
        return self._page(rows)

    def read_quantities(self, listing_refs: Sequence[str]) -> list[Reading]:
        """See the protocol. A listing that the store does not count reads 0, not tracked."""
        return [item.reading() for item in self._stock.read(listing_refs).values()]

    def set_quantities(self, changes: Sequence[Change], key: str) -> list[ChangeResult]:
        """See the protocol. `key` has no meaning here, and `expected` only tells a lowering from a raise. One bad row
        has a whole call refused: then the halves are sent, until it is alone."""
        return self._writer.write(changes)

    def read_catalogue(self) -> Iterator[CataloguePage]:
        """See the protocol. `stocked_here` is False too where one number counts for several variants."""
        return self._stock.catalogue(self._page_size)

    def pause(self, listing_refs: Sequence[str], remember: Remember = forget) -> PauseState:
        """See the protocol: zeros, 2,000 a call; `availability` for what is not counted, ten a call."""
        return self._writer.pause(listing_refs, remember)

    def resume(self, state: PauseState) -> None:
        self._writer.resume(state)

    def _page(self, rows: Sequence[Any]) -> OrderPage:
        page = OrderPage([])
        refunds = self._refunds([number for row in rows if (number := order_number(row))])
        for place, row in enumerate(rows):
            number = order_number(row)
            try:
                items = self._lines(number, row) if number and is_a_sale(row) else []
                order = translate_order(row, items, refunds.get(number or 0, []), f"row {place}")
            except UntranslatableError as error:
                page.defects.append(Defect(error.key, str(error)))
                continue
            if order is not None:
                page.orders.append(order)
        return page

    def _lines(self, number: int, row: Any) -> list[Any]:
        """As they came with the order; asked for where they did not, or not all."""
        within = lines_within(row)
        if within is not None:
            return within
        path, found, page = f"{PATH}/{number}/products", list[Any](), 1
        while True:
            rows = self._client.list_v2(path, {"page": page, "limit": LARGEST_PAGE})
            found += rows
            if len(rows) < LARGEST_PAGE:
                return found
            page += 1

    def _refunds(self, numbers: Sequence[int]) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = {}
        for some in chunks(numbers, LARGEST_PAGE):
            for refund in self._client.walk(REFUNDS, {"order_id:in": joined(some)}, LARGEST_PAGE):
                number = identity(refund.get("order_id")) if isinstance(refund, dict) else None
                if number not in some:
                    self._client.malformed(f"GET {REFUNDS}: a refund of no order that was asked for")
                found.setdefault(number, []).append(refund)
        return found
