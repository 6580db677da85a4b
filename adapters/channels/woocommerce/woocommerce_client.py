"""WooCommerce's REST over HTTP: one request, one answer, judged; and the names of its listings."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Never, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from adapters.channels.woocommerce.woocommerce_orders import order_number
from adapters.channels.woocommerce.woocommerce_walk import Part, UnsettledError, walk
from adapters.http import Answer, ChannelFault, Resolution, call, make_client

LARGEST_PAGE = 100

Ref = tuple[int, int | None]
"""Product, and variation of a variable one."""
T = TypeVar("T")


class WooCommerceClient:
    """One shop's REST API. Raises ChannelFault for whatever is no usable answer."""

    def __init__(
        self,
        code: str,
        *,
        base_url: str,
        consumer_key: SecretStr,
        consumer_secret: SecretStr,
        timeout_s: float,
        transport: httpx.BaseTransport | None,
    ) -> None:
        address = urlsplit(base_url)
        if address.scheme != "https" and address.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError(f"{code}: the shop's address must begin with https://")
        self.code = code
        self._http = make_client(
            base_url=f"{base_url.rstrip('/')}/wp-json/wc/v3",
            auth=httpx.BasicAuth(consumer_key.get_secret_value(), consumer_secret.get_secret_value()),
            timeout_s=timeout_s,
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any]) -> Answer:
        return call(self._http, self.code, "GET", path, writes=False, params=params)

    def update(self, path: str, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]] | None:
        """The rows of a batch as they are now, or with an `error`; None when the answer names none."""
        answer = call(self._http, self.code, "POST", path, writes=True, json={"update": list(rows)})
        updated = answer.body.get("update") if isinstance(answer.body, dict) else None
        return [row for row in updated if isinstance(row, Mapping)] if isinstance(updated, list) else None

    def rows(self, answer: Answer, path: str) -> list[Any]:
        if not isinstance(answer.body, list):
            self.malformed(f"GET {path}: the answer is no list")
        return answer.body

    def total(self, answer: Answer, path: str) -> int:
        text = answer.headers.get("x-wp-total", "")
        if not re.fullmatch(r"[0-9]{1,12}", text):
            self.malformed(f"GET {path}: the answer has no X-WP-Total")
        return int(text)

    def read(self, path: str, numbers: Sequence[int], fields: str, **more: Any) -> dict[int, Mapping[str, Any]]:
        """The rows with these numbers, at most LARGEST_PAGE; those that there are not are absent."""
        include = ",".join(map(str, numbers))
        try:
            answer = self.get(path, {"include": include, "per_page": LARGEST_PAGE, "_fields": fields, **more})
        except ChannelFault as fault:
            if fault.status == 404 and path.endswith("/variations"):
                return {}
            raise
        rows = self.rows(answer, path)
        if len(rows) != self.total(answer, path):
            self.malformed(f"GET {path}: {len(rows)} rows came of {self.total(answer, path)}")
        found = {number: row for row in rows if (number := order_number(row)) is not None}
        if len(found) != len(rows) or not found.keys() <= set(numbers):
            self.malformed(f"GET {path}: rows that were not asked for")
        return found

    def read_listings(self, refs: Sequence[Ref], fields: str) -> dict[Ref, Mapping[str, Any]]:
        """Products and variations, as few calls as can be."""
        simple, variations = by_parent(refs)
        found: dict[Ref, Mapping[str, Any]] = {}
        for numbers in chunks(simple, LARGEST_PAGE):
            found |= {(number, None): row for number, row in self.read("/products", numbers, fields).items()}
        for parent, below in variations.items():
            for numbers in chunks(below, LARGEST_PAGE):
                rows = self.read(f"/products/{parent}/variations", numbers, fields)
                found |= {(parent, number): row for number, row in rows.items()}
        return found

    def walk(
        self,
        path: str,
        params: Mapping[str, Any],
        page_size: int,
        id_of: Callable[[Any], int | None] = order_number,
    ) -> list[Any]:
        """All rows of a list, by ascending id."""
        fixed = {**params, "per_page": page_size, "orderby": "id", "order": "asc"}

        def fetch(offset: int) -> Part:
            answer = self.get(path, {**fixed, "offset": offset})
            return Part(self.rows(answer, path), self.total(answer, path))

        try:
            return walk(fetch, id_of, page_size)
        except UnsettledError as error:
            self.malformed(f"GET {path}: {error}")

    def malformed(self, what: str) -> Never:
        raise ChannelFault(self.code, Resolution.MALFORMED, what)


def parse_ref(text: str) -> Ref | None:
    match = re.fullmatch(r"([1-9]\d{0,17})(?:/([1-9]\d{0,17}))?", text, re.ASCII)
    return (int(match[1]), int(match[2]) if match[2] else None) if match else None


def ref_text(ref: Ref) -> str:
    return str(ref[0]) if ref[1] is None else f"{ref[0]}/{ref[1]}"


def by_parent(refs: Sequence[Ref]) -> tuple[list[int], dict[int, list[int]]]:
    """Numbers of the products, and of the variations of each variable one."""
    variations: dict[int, list[int]] = {}
    for product, variation in refs:
        if variation is not None:
            variations.setdefault(product, []).append(variation)
    return [product for product, variation in refs if variation is None], variations


def batches(refs: Sequence[Ref]) -> Iterator[tuple[str, list[Ref]]]:
    """The calls that write to these listings: the path and whom it is about."""
    simple, variations = by_parent(refs)
    for numbers in chunks(simple, LARGEST_PAGE):
        yield "/products/batch", [(number, None) for number in numbers]
    for parent, below in variations.items():
        for numbers in chunks(below, LARGEST_PAGE):
            yield f"/products/{parent}/variations/batch", [(parent, number) for number in numbers]


def chunks(rows: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])
