"""What every format of a supplier's feed becomes: rows as they are written, and what could not be read.

Nothing is judged here. A fault of one row holds back that row, a fault of the whole makes a `FeedError`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MAX_ROWS = 500_000
LONGEST_CELL = 500


class FeedError(ValueError):
    """The feed as a whole cannot be used; the message says why and what to do, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class FeedRow:
    """`number` counts from 1 as a person would: lines of a CSV (the header is 1), records of the other formats."""

    number: int
    code: str
    """As the supplier calls it."""
    quantity: str
    """As written; empty where nothing is."""
    promised: str = ""


@dataclass(frozen=True, slots=True)
class UnreadRow:
    number: int
    reason: str


@dataclass(slots=True)
class FeedContent:
    rows: list[FeedRow] = field(default_factory=list)
    unread: list[UnreadRow] = field(default_factory=list)
    as_of: str = ""
    """As the feed writes it, where it says it at all."""

    def add(self, number: int, cells: Callable[[str], Any], names: tuple[str, str, str]) -> None:
        """One record; `names` are those of its code, its quantity and its date (empty: there is none)."""
        if len(self.rows) + len(self.unread) >= MAX_ROWS:
            raise FeedError(f"it has more than {MAX_ROWS:,} rows: ask the supplier for those of your articles alone")
        found = [plain(cells(name)) if name else "" for name in names]
        code, quantity, promised = found
        if code is None or quantity is None or promised is None:
            which = names[found.index(None)]
            self.unread.append(
                UnreadRow(number, f"{which} is no plain value, or longer than {LONGEST_CELL} characters")
            )
        elif not code:
            self.unread.append(UnreadRow(number, f"{names[0]} is empty"))
        else:
            self.rows.append(FeedRow(number, code, quantity, promised))


def plain(value: Any) -> str | None:
    """Text and numbers as text, without the white space around; nothing as empty; anything else as None."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    written = str(value).strip()
    return written if len(written) <= LONGEST_CELL and "\x00" not in written else None


def decoded(content: bytes, encoding: str) -> str:
    """The text, strictly; a byte order mark decides between UTF-8 and UTF-16. Raises FeedError."""
    if not content.strip():
        raise FeedError("it is empty")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif content.startswith(b"\xef\xbb\xbf"):
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise FeedError(
            f"byte {error.start:,} is no {encoding}: write the encoding that the supplier uses, as windows-1252"
        ) from None
    if "\x00" in text:
        raise FeedError(f"it holds zero bytes: it is no {encoding}, or damaged")
    return text
