"""The queries of the imitated eBay: filters, offsets and pages, with eBay's errors for what makes no sense."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from starlette.requests import Request

from adapters.sandbox.ebay.ebay_documents import stamp
from adapters.sandbox.ebay.ebay_stock import Document, Refusal
from adapters.sandbox.shop import Shop

LARGEST_ORDER_PAGE = 200
LARGEST_BULK = 25
REACH = timedelta(days=730)

T = TypeVar("T")


def cut_orders(request: Request, shop: Shop, *, newest_first: bool) -> Document:
    """One page of getOrders, with the orders themselves in `orders`. With both filters, creationdate wins silently."""
    query = request.query_params
    limit = _number(query.get("limit", "50"), 31100, "limit")
    offset = _number(query.get("offset", "0"), 31000, "offset")
    if not 1 <= limit <= LARGEST_ORDER_PAGE:
        raise Refusal(400, 31100, f"Invalid limit: {limit}")
    found = shop.changed_since(None)
    ranges = dict(re.findall(r"(creationdate|lastmodifieddate):\[([^\]]*)\]", query.get("filter", "")))
    for name, field in (("creationdate", "placed_at"), ("lastmodifieddate", "updated_at")):
        if name in ranges:
            first, last = _range(ranges[name], shop.now())
            found = [one for one in found if first <= stamp(getattr(one, field)) <= last]
            break
    else:
        if query.get("filter"):
            raise Refusal(400, 30700, "Invalid filter name")
    found.sort(key=lambda one: (one.updated_at, one.number), reverse=newest_first)
    rows = found[offset : offset + limit]
    page: Document = {
        "href": str(request.url),
        "total": len(found),
        "limit": limit,
        "offset": offset,
        "orders": rows,
    }
    if offset + limit < len(found):
        page["next"] = str(request.url.include_query_params(offset=offset + limit))
    if offset:
        page["prev"] = str(request.url.include_query_params(offset=max(0, offset - limit)))
    return page


def page_of(request: Request, rows: Sequence[T], *, largest: int, default: int) -> tuple[Document, list[T]]:
    """A page of the Inventory API, whose `offset` is the number of the page, from 0."""
    query = request.query_params
    limit, page = (
        _number(query.get(name, start), 25706, name) for name, start in (("limit", str(default)), ("offset", "0"))
    )
    if not 1 <= limit <= largest:
        raise Refusal(400, 25706, "You have provided invalid pagination values.")
    chosen = list(rows[page * limit : (page + 1) * limit])
    body: Document = {"href": str(request.url), "limit": limit, "size": len(chosen), "total": len(rows)}
    if (page + 1) * limit < len(rows):
        body["next"] = str(request.url.include_query_params(limit=limit, offset=page + 1))
    if page:
        body["prev"] = str(request.url.include_query_params(limit=limit, offset=page - 1))
    return body, chosen


def requests_of(body: Any) -> list[Document]:
    rows = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Refusal(400, 25709, "Invalid value for requests.", fieldName="requests")
    if len(rows) > LARGEST_BULK:
        raise Refusal(400, 25727, f"The number of InventoryItems in the request cannot exceed {LARGEST_BULK}.")
    skus = [str(row.get("sku")) for row in rows]
    if len(set(skus)) != len(skus):
        raise Refusal(400, 25734, "SKU should be unique in the request.")
    return rows


def _range(text: str, now: datetime) -> tuple[str, str]:
    first, separator, last = text.partition("..")
    try:
        begin = datetime.fromisoformat(first)
        end = datetime.fromisoformat(last) if last else now
    except ValueError:
        raise Refusal(400, 30810, "Invalid date format") from None
    if not separator:
        raise Refusal(400, 30820, "Start date is missing")
    if stamp(begin) > stamp(now) or stamp(end) > stamp(now):
        raise Refusal(400, 30850, "Start and end dates can't be in the future")
    if end - begin > REACH:
        raise Refusal(400, 30830, "Time range between start date and end date must be within '2' years.")
    return stamp(begin), stamp(end)


def _number(text: str, error_id: int, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise Refusal(400, error_id, f"Invalid {name}: {text}")
    return int(text)
