"""WooCommerce REST wc/v3. A listing is `<product id>`, or `<product id>/<variation id>`.

Writes are absolute and the last one wins: there is no compare-and-set and no idempotency key, and
`inventory_delta` is not atomic in the vendor's own code, so it is never used.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from adapters.channels.protocol import (
    Capabilities,
    CataloguePage,
    Change,
    ChangeResult,
    ChangeStatus,
    Defect,
    OrderDocument,
    OrderPage,
    PauseState,
    Reading,
    Remember,
    forget,
)
from adapters.channels.woocommerce.woocommerce_catalogue import read_catalogue
from adapters.channels.woocommerce.woocommerce_client import (
    LARGEST_PAGE,
    WooCommerceClient,
    batches,
    chunks,
    parse_ref,
    ref_text,
)
from adapters.channels.woocommerce.woocommerce_orders import (
    UntranslatableError,
    has_refunds,
    order_number,
    translate_order,
    units,
)
from adapters.channels.woocommerce.woocommerce_pauses import pause, resume
from adapters.http import ChannelFault, Resolution

ORDER_FIELDS = "id,status,date_created_gmt,date_modified_gmt,date_completed_gmt,line_items,refunds,meta_data"
"""Nothing about a person. (`meta_data`, of the order and of its lines, can hold one; translation drops it but for
one key.)"""
REFUND_FIELDS = "id,date_created_gmt,reason,line_items"
STOCK_FIELDS = "id,manage_stock,stock_quantity,stock_status,backorders,sku"
SECOND = timedelta(seconds=1)
ORDER_ID = re.compile(r"[1-9][0-9]{0,17}")


class WooCommerce:
    """One shop. Implements `adapters.channels.protocol.Channel`; not for use by several threads at once."""

    capabilities = Capabilities(
        compare_and_set=False, idempotency_keys=False, write_batch=LARGEST_PAGE, read_batch=LARGEST_PAGE
    )

    def __init__(
        self,
        code: str,
        *,
        base_url: str,
        consumer_key: SecretStr,
        consumer_secret: SecretStr,
        timeout_s: float = 10.0,
        transport: httpx.BaseTransport | None = None,
        page_size: int = LARGEST_PAGE,
    ) -> None:
        """`base_url` is the site's address. Raises ValueError for plain HTTP beyond this machine, where
        the shop takes no HTTP Basic and the secret would be readable on the way."""
        if not 2 <= page_size <= LARGEST_PAGE:
            raise ValueError(f"{code}: page_size is from 2 to {LARGEST_PAGE}")
        self.code = code
        self._page_size = page_size
        self._client = WooCommerceClient(
            code,
            base_url=base_url,
            consumer_key=consumer_key,
            consumer_secret=consumer_secret,
            timeout_s=timeout_s,
            transport=transport,
        )

    def close(self) -> None:
        self._client.close()

    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        """See the protocol. The list cannot be sorted by change, so all of it is read, here and now,
        before the first page is handed on.

        The window has no end: an order that changes while it is read stays in it, and so is seen by this
        pull, as whoever takes a complete pull for proof must be able to believe. New ones come at the end,
        because the ids ascend. Its begin is exclusive at the shop and a whole second, so it opens one second
        early. `status=any` leaves out the trash, which is asked for separately; an order that is moved there
        meanwhile is kept by `walk`. An order that is deleted for good is seen by nobody.
        """
        if updated_since.tzinfo is None:
            raise ValueError("updated_since needs an offset")
        window = {"modified_after": _stamp(updated_since - SECOND), "dates_are_gmt": "true"}
        rows = self._walk_orders({**window, "status": "any"})
        rows += self._walk_orders({**window, "status": "trash"})
        return iter(self._pages(rows))

    def read_orders(self, order_ids: Sequence[str]) -> OrderPage:
        """See the protocol. `status=any` leaves out the trash: what is not found is looked for there, and then
        once more, for it can have been taken out again meanwhile."""
        asked = [int(text) for text in dict.fromkeys(order_ids) if ORDER_ID.fullmatch(text)]
        rows: dict[int, Any] = {}
        for status in ("any", "trash", "any"):
            missing = [number for number in asked if number not in rows]
            for numbers in chunks(missing, LARGEST_PAGE):
                rows |= self._client.read("/orders", numbers, ORDER_FIELDS, status=status)
        pages = self._pages(list(rows.values()))
        return OrderPage(
            [order for page in pages for order in page.orders], [defect for page in pages for defect in page.defects]
        )

    def read_quantities(self, listing_refs: Sequence[str]) -> list[Reading]:
        """See the protocol. A variation that shares its parent's stock shows the parent's number; a
        listing that the shop does not count reads 0, not tracked."""
        refs = [ref for text in dict.fromkeys(listing_refs) if (ref := parse_ref(text))]
        rows = self._client.read_listings(refs, STOCK_FIELDS)
        return [self._reading(ref_text(ref), row) for ref, row in rows.items()]

    def set_quantities(self, changes: Sequence[Change], key: str) -> list[ChangeResult]:
        """See the protocol. `key` and `expected` have no meaning here. Sequential, one call for every
        hundred products and one for each variable product; an unclear answer makes only its own rows
        UNKNOWN. A row whose answer shows another number than was sent is REJECTED (stock is not
        managed there, or is the parent's). Raises only when nothing at all was sent with effect.
        """
        wanted = {change.listing_ref: change for change in changes}
        if len(wanted) != len(changes):
            raise ValueError("a listing comes twice in one set of changes")
        parsed = {ref: text for text in wanted if (ref := parse_ref(text))}
        results: dict[str, ChangeResult] = {}
        stopped = ""
        for path, refs in batches(list(parsed)):
            rows = {variation or product: wanted[parsed[product, variation]] for product, variation in refs}
            if stopped:
                done = _all(rows, ChangeStatus.REJECTED, stopped)
            else:
                try:
                    done = self._write(path, rows)
                except ChannelFault as fault:
                    if not results:
                        raise
                    stopped = f"not sent: {fault.resolution}"
                    done = _all(rows, ChangeStatus.REJECTED, stopped)
            results |= {result.listing_ref: result for result in done}
        nameless = _all(wanted, ChangeStatus.REJECTED, "not the name of a listing of this channel")
        return [results.get(result.listing_ref, result) for result in nameless]

    def read_catalogue(self) -> Iterator[CataloguePage]:
        """See the protocol."""
        return read_catalogue(self._client, self._page_size)

    def pause(self, listing_refs: Sequence[str], remember: Remember = forget) -> PauseState:
        """See the protocol and `woocommerce_pauses`."""
        return pause(self._client, listing_refs, remember)

    def resume(self, state: PauseState) -> None:
        resume(self._client, state)

    def _walk_orders(self, params: Mapping[str, Any]) -> list[Any]:
        return self._client.walk("/orders", {**params, "_fields": ORDER_FIELDS}, self._page_size)

    def _pages(self, rows: Sequence[Any]) -> list[OrderPage]:
        orders: dict[str, OrderDocument] = {}
        defects: list[Defect] = []
        for place, row in enumerate(rows):
            try:
                order = translate_order(row, self._refunds(row), f"row {place}")
            except UntranslatableError as error:
                defects.append(Defect(error.key, str(error)))
                continue
            if order is not None:
                orders[order["order_id"]] = order
        oldest_first = sorted(orders.values(), key=lambda order: str(order["updated_at"] or ""))
        parts = list(chunks(oldest_first, self._page_size)) or ([[]] if defects else [])
        return [OrderPage(part, defects if number == 0 else []) for number, part in enumerate(parts)]

    def _refunds(self, row: Any) -> list[Any]:
        number = order_number(row)
        if number is None or not has_refunds(row):
            return []
        path, found, page = f"/orders/{number}/refunds", list[Any](), 1
        while True:
            params = {"per_page": LARGEST_PAGE, "page": page, "_fields": REFUND_FIELDS}
            answer = self._client.get(path, params)
            rows, total = self._client.rows(answer, path), self._client.total(answer, path)
            found += rows
            if len(found) >= total:
                return found
            if not rows:
                self._client.malformed(f"GET {path}: {len(found)} rows came of {total}")
            page += 1

    def _reading(self, ref: str, row: Mapping[str, Any]) -> Reading:
        managed = row.get("manage_stock") in (True, "parent")
        shown = row.get("stock_quantity")
        quantity = 0 if shown is None or not managed else units(shown)
        if quantity is None:
            self._client.malformed(f"the stock_quantity of {ref} is of type {type(shown).__name__}")
        return Reading(ref, quantity, tracked=managed and row.get("backorders") == "no")

    def _write(self, path: str, rows: Mapping[int, Change]) -> list[ChangeResult]:
        """Raises ChannelFault when nothing of it was applied and the next call would fare no better."""
        body = [{"id": number, "stock_quantity": change.quantity} for number, change in rows.items()]
        try:
            updated = self._client.update(path, body)
        except ChannelFault as fault:
            if fault.resolution in (Resolution.UNKNOWN, Resolution.MALFORMED):
                return _all(rows, ChangeStatus.UNKNOWN, str(fault))
            if fault.resolution is Resolution.REJECT:
                return _all(rows, ChangeStatus.REJECTED, str(fault))
            raise
        if updated is None:
            return _all(rows, ChangeStatus.UNKNOWN, f"POST {path}: the answer names no rows")
        answered = {number: row for row in updated if (number := order_number(row)) is not None}
        return [_outcome(change, answered.get(number)) for number, change in rows.items()]


def _outcome(change: Change, row: Mapping[str, Any] | None) -> ChangeResult:
    if row is None:
        return ChangeResult(change.listing_ref, ChangeStatus.UNKNOWN, "the answer does not name the row")
    error = row.get("error")
    if error:
        code = error.get("code") if isinstance(error, Mapping) else None
        return ChangeResult(change.listing_ref, ChangeStatus.REJECTED, str(code or "refused without a code"))
    if units(row.get("stock_quantity")) == change.quantity:
        return ChangeResult(change.listing_ref, ChangeStatus.DONE)
    managed = row.get("manage_stock")
    whose = "the parent's" if managed == "parent" else "managed here" if managed is True else "not managed"
    return ChangeResult(change.listing_ref, ChangeStatus.REJECTED, f"the shop shows another number; stock is {whose}")


def _all(rows: Mapping[Any, Change], status: ChangeStatus, reason: str) -> list[ChangeResult]:
    return [ChangeResult(change.listing_ref, status, reason) for change in rows.values()]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
