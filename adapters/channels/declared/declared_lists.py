"""From an answer to a page of rows, by the description; and whole lists by `declared_paging`."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from adapters.channels.declared.declared_models import (
    ListRequest,
    PagesByCursor,
    PagesByLink,
    PagesByNumber,
    PagesByOffset,
)
from adapters.channels.declared.declared_paging import Page, Position, Sort, Walk
from adapters.channels.declared.declared_values import Path, UntranslatableError
from adapters.channels.declared.declared_wire import Wire
from adapters.http import Answer, ChannelFault, Resolution

LONGEST_CURSOR = 4000
_NEXT = re.compile(r'<([^<>]*)>((?:\s*;\s*[a-zA-Z*]+\s*=\s*(?:"[^"]*"|[^\s",;]+))*)')


def digest(row: Any) -> str:
    """The same for rows that say the same."""
    return hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()


class Lists:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def walk(
        self,
        request: ListRequest,
        values: Mapping[str, Any],
        *,
        sort: Sort = "steady",
        mark: Callable[[Any], str] = digest,
    ) -> Walk:
        return Walk(self._wire.channel, request, lambda position: self.page(request, values, position), mark, sort)

    def rows(self, request: ListRequest, values: Mapping[str, Any]) -> Iterator[Any]:
        return self.walk(request, values).rows()

    def page(self, request: ListRequest, values: Mapping[str, Any], position: Position = None) -> Page:
        paging = request.paging
        if isinstance(paging, PagesByLink) and position is not None:
            answer = self._wire.follow(request, str(position))
        else:
            places = {"page": None, "offset": None, "cursor": None, "page_size": request.page_size}
            if paging.kind in places:
                places[paging.kind] = position  # type: ignore[assignment]
            answer = self._wire.ask(request, {**values, **places}, writes=False)
        return self._read(request, answer)

    def records(self, request: Any, path: Path, body: Any) -> list[Any]:
        """The rows of an answer; whatever is no list is a broken answer."""
        rows = self._found(request, path, body)
        if not isinstance(rows, list):
            self._malformed(request, f"there is no list at {path.text}")
        return rows

    def _read(self, request: ListRequest, answer: Answer) -> Page:
        paging, body = request.paging, answer.body
        rows = self.records(request, request.records, body)
        match paging:
            case PagesByNumber() | PagesByOffset():
                total = self._found(request, paging.total, body) if paging.total else None
                if paging.total and (not isinstance(total, int) or isinstance(total, bool) or total < 0):
                    self._malformed(request, f"{paging.total.text} is no number of rows")
                return Page(rows, total=total, more=self._more(request, paging.more, body))
            case PagesByCursor():
                cursor = self._cursor(request, paging, answer)
                more = self._more(request, paging.more, body)
                if more and cursor is None:
                    self._malformed(request, "there are more rows, but no cursor to them")
                return Page(rows, next=None if more is False else cursor)
            case PagesByLink():
                link = self._found(request, paging.next, body) if paging.next else _link(answer.headers)
                if link is not None and (not isinstance(link, str) or len(link) > LONGEST_CURSOR):
                    self._malformed(request, "the link to the next page is no text")
                return Page(rows, next=link or None)
        return Page(rows)

    def _cursor(self, request: ListRequest, paging: PagesByCursor, answer: Answer) -> str | None:
        if paging.header is not None:
            found: Any = answer.headers.get(paging.header.lower())
        else:
            found = self._found(request, paging.cursor, answer.body) if paging.cursor else None
        if isinstance(found, int) and not isinstance(found, bool):
            found = str(found)
        if found is not None and (not isinstance(found, str) or len(found) > LONGEST_CURSOR):
            self._malformed(request, "the cursor is no text")
        return found or None

    def _more(self, request: ListRequest, path: Path | None, body: Any) -> bool | None:
        found = None if path is None else self._found(request, path, body)
        if path is not None and not isinstance(found, bool):
            self._malformed(request, f"{path.text} is neither true nor false")
        return found

    def _found(self, request: Any, path: Path, body: Any) -> Any:
        try:
            return path.of(body)
        except UntranslatableError as error:
            reason = str(error)
        self._malformed(request, reason)

    def _malformed(self, request: Any, what: str) -> NoReturn:
        label = f"{request.method} {request.path}"
        raise ChannelFault(self._wire.channel, Resolution.MALFORMED, f"{label}: {what}")


def _link(headers: Mapping[str, str]) -> str | None:
    """The target with rel="next" (RFC 8288)."""
    for target, parameters in _NEXT.findall(headers.get("link", "")):
        relation = re.search(r';\s*rel\s*=\s*"?([^";]*)"?', parameters, re.IGNORECASE)
        if relation and "next" in relation[1].lower().split():
            return str(target)
    return None
