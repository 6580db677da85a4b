"""Read a list to its end, page by page, and lose no row at a border while rows change.

What a changed row does to the pages depends on how the list is sorted, so the description says it:

- *oldest change first*: the row goes to the end, all behind it move one place forward, and the one at the
  border of two pages would be on neither. Numbered pages: after each page the one before is asked for again,
  and the new page counts only if the border still ends with the same row. Offsets: pages overlap by one row,
  and a page counts only if it holds a row that is known unchanged. A cursor names a row, so nothing can shift.
- *newest change first*: the row goes to the front and the others move back, so they come twice, never less.
  The row itself may be missed: the front is read again until it shows nothing new.
- *steady*: rows keep their places (sorted by id or by creation, filtered by "changed since" alone).

A page that contradicts what is known, or the one before again, is asked for up to three times more, and
is then a fault. Nothing strange is ever taken for the end.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from adapters.channels.declared.declared_models import ListRequest, OnePage, PagesByNumber, PagesByOffset
from adapters.http import ChannelFault, Resolution

PATIENCE = 3
MOST_STEPS_BACK = 20
MOST_FRONTS = 20

Sort = Literal["oldest_change_first", "newest_change_first", "steady"]
Position = int | str | None
"""Page number, offset, cursor or link; None = the first page by cursor or link."""


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Any]
    next: str | None = None
    """Cursor or link of the next page."""
    total: int | None = None
    more: bool | None = None


@dataclass
class Walk:
    """One reading of one list. `mark(row)` is the same for the same version of the same row, and only then."""

    channel: str
    request: ListRequest
    fetch: Callable[[Position], Page]
    mark: Callable[[Any], str]
    sort: Sort = "steady"
    _known: set[str] = field(default_factory=set)
    _tail: list[str] = field(default_factory=list)
    """Marks of the page that was read last, unless that was the first one."""
    _doubts: int = 0
    pages: int = 0
    """Read so far; one alone is a picture of one instant."""

    def rows(self) -> Iterator[Any]:
        """Every row; some twice, or in two versions (the newer comes later). Raises ChannelFault."""
        paging = self.request.paging
        if isinstance(paging, OnePage):
            yield from self._take(self._get(None))
        elif self.sort == "newest_change_first":
            yield from self._from_the_front()
        elif isinstance(paging, PagesByOffset):
            yield from self._by_offset(paging)
        elif isinstance(paging, PagesByNumber) and self.sort == "oldest_change_first":
            yield from self._with_borders(paging)
        else:
            for page in self._forward():
                yield from self._take(page)

    def _get(self, position: Position) -> Page:
        self.pages += 1
        return self.fetch(position)

    def _take(self, page: Page) -> list[Any]:
        self._known.update(map(self.mark, page.rows))
        return page.rows

    def _forward(self) -> Iterator[Page]:
        """Pages in their order, none twice; the list may grow behind us."""
        paging = self.request.paging
        numbered = isinstance(paging, PagesByNumber)
        position: Position = paging.first if isinstance(paging, PagesByNumber) else None
        used: set[Position] = set()
        before: list[str] = []
        full = 0
        while True:
            page = self._get(position)
            marks = [self.mark(row) for row in page.rows]
            following = None if page.next is None or numbered else page.next
            again = (numbered and marks == before) or (not used and marks == self._tail)
            if (marks and again) or (following and (following == position or following in used)):
                self._doubt("the page before came again")
                continue
            self._tail = marks if used else []
            yield page
            used.add(position)
            before, full = marks, full or len(marks)
            if isinstance(paging, PagesByNumber):
                assert isinstance(position, int)
                if self._ends(paging, page, (position - paging.first) * full):
                    return
                position += 1
            elif following is None:
                return
            else:
                position = following

    def _from_the_front(self) -> Iterator[Any]:
        for page in self._forward():
            yield from self._take(page)
        if self.pages == 1:
            return
        for _ in range(MOST_FRONTS):
            fresh = False
            for page in self._forward():
                new = [row for row in page.rows if self.mark(row) not in self._known]
                met = len(new) < len(page.rows)
                yield from self._take(Page(new))
                fresh = fresh or bool(new)
                if not page.rows and self._known and not fresh:
                    self._doubt("the list is empty all at once")
                    fresh = True
                if met or not page.rows:
                    break
            if not fresh:
                return
        self._unsettled()

    def _by_offset(self, paging: PagesByOffset) -> Iterator[Any]:
        offset, steps_back, back = 0, 0, False
        while True:
            page = self._get(offset)
            marks = [self.mark(row) for row in page.rows]
            met = any(mark in self._known for mark in marks)
            if offset and not met:
                # Rows before this place have left: what moved forward across the border is not read yet.
                steps_back = self._step_back(steps_back)
                offset, back = max(0, offset - self.request.page_size + 1), True
                continue
            if offset and len(marks) > 1 and not back and all(mark in self._known for mark in marks):
                self._doubt("the page before came again")
                continue
            back = False
            yield from self._take(page)
            if self._ends(paging, page, offset) or (offset and len(marks) <= 1):
                return
            if len(marks) < 2:
                # Nothing to overlap with: it is the only row, or the first page is to be read again.
                following = self._get(1)
                if not following.rows and self._ends(paging, following, 1):
                    return
                self._doubt("a page has too few rows to go on from")
                continue
            offset += len(marks) - 1

    def _with_borders(self, paging: PagesByNumber) -> Iterator[Any]:
        number, steps_back, back = paging.first, 0, False
        page = self._get(number)
        full = len(page.rows)
        yield from self._take(page)
        while not self._ends(paging, page, (number - paging.first) * full):
            following, again = self._get(number + 1), self._get(number)
            marks, border = [self.mark(row) for row in following.rows], [self.mark(row) for row in again.rows]
            if marks and (marks == border or (not back and all(mark in self._known for mark in marks))):
                self._doubt("a page before came again")
                continue
            if border and border == [self.mark(row) for row in page.rows]:
                yield from self._take(following)
                number, page, back = number + 1, following, False
                continue
            steps_back, back = self._step_back(steps_back), True
            while number > paging.first and not any(mark in self._known for mark in border):
                number -= 1
                again = self._get(number)
                border = [self.mark(row) for row in again.rows]
            yield from self._take(again)
            page = again

    def _ends(self, paging: PagesByNumber | PagesByOffset, page: Page, before: int) -> bool:
        """`before`: how many rows come before the page."""
        if page.total is not None:
            if page.rows or before >= page.total:
                return before + len(page.rows) >= page.total
            self._malformed("a page before the end is empty")
        if page.more is not None:
            if page.more and not page.rows:
                self._malformed("an empty page says that there are more")
            return not page.more
        return not page.rows or (paging.end == "short_page" and len(page.rows) < self.request.page_size)

    def _step_back(self, steps_back: int) -> int:
        if steps_back >= MOST_STEPS_BACK + self.pages // 4:
            self._unsettled()
        return steps_back + 1

    def _doubt(self, what: str) -> None:
        self._doubts += 1
        if self._doubts > PATIENCE:
            self._malformed(what)

    def _unsettled(self) -> NoReturn:
        what = f"{self.request.method} {self.request.path}: the list changes faster than it can be read"
        raise ChannelFault(self.channel, Resolution.RETRY, what)

    def _malformed(self, what: str) -> NoReturn:
        raise ChannelFault(self.channel, Resolution.MALFORMED, f"{self.request.method} {self.request.path}: {what}")
