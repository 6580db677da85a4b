"""What onhand asks of a sales channel, in the channel's own units, with no vendor's words in it.

An adapter implements the protocols it can and declares the rest in `Capabilities`. It translates; it
does not judge: a strange value is passed on as it came, because the gate decides what is fit
(`expectations/`). What it cannot even translate is a `Defect`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

OrderDocument = dict[str, Any]
"""One order as JSON-able plain values, without personal data. Keys, all present, values as the
channel sent them (so possibly None, or of the wrong type):

    order_id     str   the channel's id of the order
    placed_at    str   ISO 8601 with offset
    updated_at   str   ISO 8601 with offset
    cancelled    bool
    test         bool  the vendor marks it as a test order
    lines        list of {line_id, listing_ref, sku, quantity}; quantity = units ordered, before reversals
    reversals    list of {reversal_id, line_id, quantity, kind, reason, restocked, occurred_at}:
                 kind and reason are values of `inventory.words.ReversalKind` / `ReversalReason`;
                 restocked says whether the channel put the units back on its own counter (None = not told)

`listing_ref` is the channel's own key of the thing sold, the same that `read_quantities` and
`set_quantities` take. `reversal_id` is stable: the same reversal has the same id in every pull.
"""


@dataclass(frozen=True, slots=True)
class Capabilities:
    compare_and_set: bool
    idempotency_keys: bool
    write_batch: int
    """Rows a single write call takes at most."""
    read_batch: int
    """Refs a single quantity read takes at most."""


@dataclass(frozen=True, slots=True)
class Defect:
    """A part of an answer that cannot be translated. `excerpt` holds no personal data."""

    key: str
    reason: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One answer. `orders` are oldest first."""

    orders: list[OrderDocument]
    defects: list[Defect] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reading:
    """The quantity a channel shows for a listing, read between two instants of *our* clock."""

    listing_ref: str
    quantity: int
    tracked: bool
    """The channel counts stock for it and refuses to sell below zero."""


@dataclass(frozen=True, slots=True)
class Change:
    """One quantity to set. `expected` is the quantity that must be live for a compare-and-set."""

    listing_ref: str
    quantity: int
    expected: int | None


class ChangeStatus(StrEnum):
    DONE = "done"
    STALE = "stale"
    """Not applied: the live quantity is not the expected one."""
    REJECTED = "rejected"
    """Not applied: the channel says why."""
    UNKNOWN = "unknown"
    """The answer never came: it may be applied now, later, or never."""


@dataclass(frozen=True, slots=True)
class ChangeResult:
    listing_ref: str
    status: ChangeStatus
    reason: str = ""


class ReadsOrders(Protocol):
    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        """Every order changed at or after `updated_since` (the channel's clock), oldest first.

        Complete as of the call's start, or it raises: a page that cannot be read must never look
        like the end. An order may come twice (pages shift while orders change).
        """
        ...


class ReadsStock(Protocol):
    def read_quantities(self, listing_refs: Sequence[str]) -> list[Reading]:
        """The live quantities. A ref that the channel does not know is absent from the answer."""
        ...


class SetsStock(Protocol):
    def set_quantities(self, changes: Sequence[Change], key: str) -> list[ChangeResult]:
        """Send the changes, at most `capabilities.write_batch` a call, and say what became of each.

        Never retries a write by itself (the caller recomputes) and never raises for a fault of the
        wire after the request may have left: those rows are `UNKNOWN`. `key` is the idempotency key.
        Raises `adapters.http` errors when it is certain that nothing was applied.
        """
        ...


class Channel(ReadsOrders, ReadsStock, SetsStock, Protocol):
    code: str
    capabilities: Capabilities

    def close(self) -> None: ...
