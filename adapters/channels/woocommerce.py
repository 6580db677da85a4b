"""WooCommerce REST wc/v3. A listing is `<product id>`, or `<product id>/<variation id>`.

Writes are absolute and the last one wins: there is no compare-and-set and no idempotency key, and
`inventory_delta` is not atomic in the vendor's own code, so it is never used.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Never, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from adapters.channels.protocol import (
    Capabilities,
    Change,
    ChangeResult,
    ChangeStatus,
    Defect,
    OrderDocument,
    OrderPage,
    Reading,
)
from adapters.channels.woocommerce_orders import (
    UntranslatableError,
    has_refunds,
    order_number,
    translate_order,
    whole,
)
from adapters.channels.woocommerce_walk import Part, UnsettledError, walk
from adapters.http import Answer, ChannelFault, Resolution, call, make_client

LARGEST_PAGE = 100
ORDER_FIELDS = "id,status,date_created_gmt,date_modified_gmt,line_items,refunds"
"""Nothing about a person. (A line's `meta_data` can hold one; it is dropped in translation.)"""
REFUND_FIELDS = "id,date_created_gmt,reason,line_items"
STOCK_FIELDS = "id,manage_stock,stock_quantity,stock_status,backorders,sku"
SECOND = timedelta(seconds=1)

Ref = tuple[int, int | None]
T = TypeVar("T")


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
        address = urlsplit(base_url)
        if address.scheme != "https" and address.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError(f"{code}: the shop's address must begin with https://")
        if not 2 <= page_size <= LARGEST_PAGE:
            raise ValueError(f"{code}: page_size is from 2 to {LARGEST_PAGE}")
        self.code = code
        self._page_size = page_size
        self._client = make_client(
            base_url=f"{base_url.rstrip('/')}/wp-json/wc/v3",
            auth=httpx.BasicAuth(consumer_key.get_secret_value(), consumer_secret.get_secret_value()),
            timeout_s=timeout_s,
            transport=transport,
        )

    def close(self) -> None:
        self._client.close()

    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        """See the protocol. The list cannot be sorted by change, so all of it is read, here and now,
        before the first page is handed on.

        The window is pinned at the start, by the shop's own clock: a first light request gives its
        `Date`, and a wrong clock on either side loses nothing. Both ends are exclusive at the shop and
        whole seconds, so the window opens one second early and closes one second late. An order that
        changes meanwhile leaves the window; the next pull sees it, because its date is then later than
        any date handed on here; the others are kept by `walk`. `status=any` leaves out the trash,
        which is asked for separately. An order that is deleted for good is seen by nobody.
        """
        if updated_since.tzinfo is None:
            raise ValueError("updated_since needs an offset")
        opened = {"modified_after": _stamp(updated_since - SECOND), "dates_are_gmt": "true"}
        first = self._get("/orders", {**opened, "status": "any", "per_page": 1, "_fields": "id"})
        window = {**opened, "modified_before": _stamp(self._shop_time(first) + SECOND)}
        rows = self._walk_orders({**window, "status": "any"}) if self._total(first, "/orders") else []
        rows += self._walk_orders({**window, "status": "trash"})
        return iter(self._pages(rows))

    def read_quantities(self, listing_refs: Sequence[str]) -> list[Reading]:
        """See the protocol. A variation that shares its parent's stock shows the parent's number; a
        listing that the shop does not count reads 0, not tracked."""
        simple, variations = _by_parent([ref for text in dict.fromkeys(listing_refs) if (ref := _parse_ref(text))])
        rows: dict[Ref, Mapping[str, Any]] = {}
        for numbers in _chunks(simple, LARGEST_PAGE):
            rows |= {(number, None): row for number, row in self._read("/products", numbers).items()}
        for parent, below in variations.items():
            for numbers in _chunks(below, LARGEST_PAGE):
                found = self._read(f"/products/{parent}/variations", numbers)
                rows |= {(parent, number): row for number, row in found.items()}
        return [self._reading(_ref_text(ref), row) for ref, row in rows.items()]

    def set_quantities(self, changes: Sequence[Change], key: str) -> list[ChangeResult]:
        """See the protocol. `key` and `expected` have no meaning here. Sequential, one call for every
        hundred products and one for each variable product; an unclear answer makes only its own rows
        UNKNOWN. A row whose answer shows another number than was sent is REJECTED (stock is not
        managed there, or is the parent's). Raises only when nothing at all was sent with effect.
        """
        wanted = {change.listing_ref: change for change in changes}
        if len(wanted) != len(changes):
            raise ValueError("a listing comes twice in one set of changes")
        parsed = {ref: text for text in wanted if (ref := _parse_ref(text))}
        simple, variations = _by_parent(list(parsed))
        calls: list[tuple[str, int | None, list[int]]] = []
        calls += [("/products/batch", None, part) for part in _chunks(simple, LARGEST_PAGE)]
        for parent, below in variations.items():
            path = f"/products/{parent}/variations/batch"
            calls += [(path, parent, part) for part in _chunks(below, LARGEST_PAGE)]
        results: dict[str, ChangeResult] = {}
        stopped = ""
        for path, above, numbers in calls:
            rows = {number: wanted[parsed[_ref(above, number)]] for number in numbers}
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

    def _walk_orders(self, params: Mapping[str, Any]) -> list[Any]:
        fixed = {**params, "per_page": self._page_size, "orderby": "id", "order": "asc", "_fields": ORDER_FIELDS}

        def fetch(offset: int) -> Part:
            answer = self._get("/orders", {**fixed, "offset": offset})
            return Part(self._rows(answer, "/orders"), self._total(answer, "/orders"))

        try:
            return walk(fetch, order_number, self._page_size)
        except UnsettledError as error:
            self._malformed(f"GET /orders: {error}")

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
        parts = list(_chunks(oldest_first, self._page_size)) or ([[]] if defects else [])
        return [OrderPage(part, defects if number == 0 else []) for number, part in enumerate(parts)]

    def _refunds(self, row: Any) -> list[Any]:
        number = order_number(row)
        if number is None or not has_refunds(row):
            return []
        path, found, page = f"/orders/{number}/refunds", list[Any](), 1
        while True:
            params = {"per_page": LARGEST_PAGE, "page": page, "_fields": REFUND_FIELDS}
            answer = self._get(path, params)
            rows, total = self._rows(answer, path), self._total(answer, path)
            found += rows
            if len(found) >= total:
                return found
            if not rows:
                self._malformed(f"GET {path}: {len(found)} rows came of {total}")
            page += 1

    def _read(self, path: str, numbers: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        include = ",".join(map(str, numbers))
        try:
            answer = self._get(path, {"include": include, "per_page": LARGEST_PAGE, "_fields": STOCK_FIELDS})
        except ChannelFault as fault:
            if fault.status == 404 and path != "/products":
                return {}
            raise
        rows = self._rows(answer, path)
        if len(rows) != self._total(answer, path):
            self._malformed(f"GET {path}: {len(rows)} rows came of {self._total(answer, path)}")
        found = {number: row for row in rows if (number := order_number(row)) is not None}
        if len(found) != len(rows) or not found.keys() <= set(numbers):
            self._malformed(f"GET {path}: rows that were not asked for")
        return found

    def _reading(self, ref: str, row: Mapping[str, Any]) -> Reading:
        managed = row.get("manage_stock") in (True, "parent")
        shown = row.get("stock_quantity")
        quantity = 0 if shown is None or not managed else _units(shown)
        if quantity is None:
            self._malformed(f"the stock_quantity of {ref} is of type {type(shown).__name__}")
        return Reading(ref, quantity, tracked=managed and row.get("backorders") == "no")

    def _write(self, path: str, rows: Mapping[int, Change]) -> list[ChangeResult]:
        """Raises ChannelFault when nothing of it was applied and the next call would fare no better."""
        body = {"update": [{"id": number, "stock_quantity": change.quantity} for number, change in rows.items()]}
        try:
            answer = call(self._client, self.code, "POST", path, writes=True, json=body)
        except ChannelFault as fault:
            if fault.resolution in (Resolution.UNKNOWN, Resolution.MALFORMED):
                return _all(rows, ChangeStatus.UNKNOWN, str(fault))
            if fault.resolution is Resolution.REJECT:
                return _all(rows, ChangeStatus.REJECTED, str(fault))
            raise
        updated = answer.body.get("update") if isinstance(answer.body, dict) else None
        if not isinstance(updated, list):
            return _all(rows, ChangeStatus.UNKNOWN, f"POST {path}: the answer names no rows")
        answered = {number: row for row in updated if (number := order_number(row)) is not None}
        return [_outcome(change, answered.get(number)) for number, change in rows.items()]

    def _get(self, path: str, params: Mapping[str, Any]) -> Answer:
        return call(self._client, self.code, "GET", path, writes=False, params=params)

    def _rows(self, answer: Answer, path: str) -> list[Any]:
        if not isinstance(answer.body, list):
            self._malformed(f"GET {path}: the answer is no list")
        return answer.body

    def _total(self, answer: Answer, path: str) -> int:
        text = answer.headers.get("x-wp-total", "")
        if not re.fullmatch(r"[0-9]{1,12}", text):
            self._malformed(f"GET {path}: the answer has no X-WP-Total")
        return int(text)

    def _shop_time(self, answer: Answer) -> datetime:
        try:
            moment = parsedate_to_datetime(answer.headers.get("date", ""))
        except ValueError:
            self._malformed("the answer has no Date")
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _malformed(self, what: str) -> Never:
        raise ChannelFault(self.code, Resolution.MALFORMED, what)


def _outcome(change: Change, row: Mapping[str, Any] | None) -> ChangeResult:
    if row is None:
        return ChangeResult(change.listing_ref, ChangeStatus.UNKNOWN, "the answer does not name the row")
    error = row.get("error")
    if error:
        code = error.get("code") if isinstance(error, Mapping) else None
        return ChangeResult(change.listing_ref, ChangeStatus.REJECTED, str(code or "refused without a code"))
    if _units(row.get("stock_quantity")) == change.quantity:
        return ChangeResult(change.listing_ref, ChangeStatus.DONE)
    managed = row.get("manage_stock")
    whose = "the parent's" if managed == "parent" else "managed here" if managed is True else "not managed"
    return ChangeResult(change.listing_ref, ChangeStatus.REJECTED, f"the shop shows another number; stock is {whose}")


def _all(rows: Mapping[Any, Change], status: ChangeStatus, reason: str) -> list[ChangeResult]:
    return [ChangeResult(change.listing_ref, status, reason) for change in rows.values()]


def _units(value: Any) -> int | None:
    """Some plug-ins make the quantity a text."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,12}", value) else whole(value)


def _parse_ref(text: str) -> Ref | None:
    match = re.fullmatch(r"([1-9]\d{0,17})(?:/([1-9]\d{0,17}))?", text, re.ASCII)
    return (int(match[1]), int(match[2]) if match[2] else None) if match else None


def _ref(parent: int | None, number: int) -> Ref:
    return (number, None) if parent is None else (parent, number)


def _ref_text(ref: Ref) -> str:
    return str(ref[0]) if ref[1] is None else f"{ref[0]}/{ref[1]}"


def _by_parent(refs: Sequence[Ref]) -> tuple[list[int], dict[int, list[int]]]:
    variations: dict[int, list[int]] = {}
    for product, variation in refs:
        if variation is not None:
            variations.setdefault(product, []).append(variation)
    return [product for product, variation in refs if variation is None], variations


def _chunks(rows: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
