"""How WooCommerce's REST API reads a query: paging, filters, fields, and what it refuses."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from adapters.sandbox.shop import Order
from adapters.sandbox.woocommerce.woocommerce_documents import Document, error_body, stamp

LARGEST_PAGE = 100
STATUSES = frozenset("pending processing on-hold completed cancelled refunded failed trash checkout-draft".split())
ORDER_KEYS = frozenset({"date", "id", "include", "title", "slug"})


class Refused(Exception):
    """The vendor's error answer."""

    def __init__(self, status: int, code: str, message: str, **data: Any) -> None:
        super().__init__(code)
        self.answer = JSONResponse(error_body(code, message, status, **data), status_code=status)


def invalid(name: str, why: str) -> Refused:
    return Refused(400, "rest_invalid_param", f"Invalid parameter(s): {name}", params={name: why})


def _whole(query: Mapping[str, str], name: str, default: int, least: int, most: int | None = None) -> int:
    text = query.get(name, str(default))
    value = int(text) if text.isascii() and text.isdecimal() else least - 1
    if value < least or (most is not None and value > most):
        raise invalid(name, f"{name} must be between {least} (inclusive) and {most} (inclusive)")
    return value


def cut(request: Request, rows: list[Any]) -> tuple[list[Any], dict[str, str]]:
    """One page, and the headers that say how many there are."""
    query = request.query_params
    size = _whole(query, "per_page", 10, 1, LARGEST_PAGE)
    page = _whole(query, "page", 1, 1)
    offset = _whole(query, "offset", (page - 1) * size, 0)
    pages = math.ceil(len(rows) / size)
    links = []
    for rel, number in (("prev", page - 1), ("next", page + 1)):
        if 1 <= number <= pages:
            links.append(f'<{request.url.include_query_params(page=number)}>; rel="{rel}"')
    headers = {"X-WP-Total": str(len(rows)), "X-WP-TotalPages": str(pages)}
    if links:
        headers["Link"] = ", ".join(links)
    return rows[offset : offset + size], headers


def select(rows: list[Document], query: Mapping[str, str]) -> list[Document]:
    names = [name.strip() for name in query.get("_fields", "").split(",") if name.strip()]
    return [{name: row[name] for name in names if name in row} for row in rows] if names else rows


def included(query: Mapping[str, str]) -> set[int] | None:
    text = query.get("include", "")
    if not text:
        return None
    if not all(part.isascii() and part.isdecimal() for part in text.split(",")):
        raise invalid("include", "include[0] is not of type integer.")
    return {int(part) for part in text.split(",")}


def wanted_status(status: str, statuses: set[str]) -> bool:
    return status in statuses or ("any" in statuses and status != "trash")


def since(query: Mapping[str, str], local: timedelta) -> datetime | None:
    """The instant of `modified_after`, to look at no more orders than needed; `within` judges."""
    text = query.get("modified_after")
    return None if text is None else _date_of("modified_after", text) - local


def within(query: Mapping[str, str], prefix: str, moment: datetime) -> bool:
    """Both ends exclusive, compared as the database does it: in whole seconds."""
    value = stamp(moment)
    after, before = query.get(f"{prefix}after"), query.get(f"{prefix}before")
    for name, text in ((f"{prefix}after", after), (f"{prefix}before", before)):
        if text is not None:
            _date_of(name, text)
    return (after is None or value > after) and (before is None or value < before)


def _date_of(name: str, text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise invalid(name, "Invalid date.") from None


def sort_key(orderby: str) -> Callable[[tuple[Order, str]], Any]:
    if orderby == "id":
        return lambda found: found[0].number
    return lambda found: (stamp(found[0].placed_at), found[0].number)
