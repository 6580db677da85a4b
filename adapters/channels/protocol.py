"""What onhand asks of a sales channel, in the channel's own units, with no vendor's words in it.

An adapter implements the protocols it can and declares the rest in `Capabilities`. It translates; it
does not judge: a strange value is passed on as it came, because the gate decides what is fit
(`expectations/`). What it cannot even translate is a `Defect`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

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
    hold         optional: key of the hold that the channel asked for before it sold (`asks_first`), else absent
    fulfilled    optional: list of {line_id, quantity}: units that have left so far, those included that were reversed
                 after they had left. Only where the channel tells; absent means unknown, not none

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
    applies_later: bool = False
    """An accepted write becomes live some time after its answer: only a read says when."""
    revisions_per_day: int | None = None
    """How often one listing may be written to on one day (the vendor's day), if that is limited."""
    reads_singly: bool = True
    """`read_orders` costs little. False: the vendor's allowance for it is small, so many are pulled instead."""


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


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One thing that the channel has on sale or could have, for mapping and for the audit of its settings.

    None means that the channel does not tell.
    """

    listing_ref: str
    sku: str
    """As the seller wrote it at the channel; not unique there, possibly empty."""
    title: str
    quantity: int | None
    tracked: bool | None
    """The channel counts stock for it."""
    oversell_allowed: bool | None
    """It goes on selling at zero."""
    on_sale: bool | None
    """Buyers can find it."""
    stocked_here: bool | None
    """It has stock at the location that this channel's numbers are written to."""
    fulfilled_by_channel: bool = False
    """The channel's own warehouse sends it (FBA): its stock is not ours, and it is never written to."""


@dataclass(frozen=True, slots=True)
class CataloguePage:
    entries: list[CatalogueEntry]
    defects: list[Defect] = field(default_factory=list)


PauseState = dict[str, Any]
"""What a pause changed, and what it was before: plain JSON values, made and understood by one adapter alone. One key
is common to all: `by_switch`, true where nothing is sold whatever the quantities show (absent: false)."""

Remember = Callable[[PauseState], None]
"""Keeps a state durably, before the switch that it is about is turned."""


def forget(state: PauseState) -> None:
    """For a caller that has nothing to fear from its own death."""


class ReadsOrders(Protocol):
    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        """Every order changed at or after `updated_since` (the channel's clock), oldest first.

        Complete as of the call's start, or it raises: a page that cannot be read must never look
        like the end. An order may come twice (pages shift while orders change).
        """
        ...


@runtime_checkable
class SearchesPlaced(Protocol):
    """A channel whose pull may lack a new order for longer than `settle_seconds`: each change hides it once more."""

    def placed_orders(self, placed_since: datetime) -> list[OrderPage] | None:
        """Every order placed at or after `placed_since` (the channel's clock) and `settle_seconds` before this call,
        however often it was changed. None: the allowance does not suffice now. Raises ChannelFault."""
        ...


class ReadsSingleOrders(Protocol):
    def read_orders(self, order_ids: Sequence[str]) -> OrderPage:
        """These orders as they are now, as documents equal to those of `pull_orders`; in any order.

        An order that the channel does not know (yet) is absent. Raises ChannelFault.
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


class ReadsCatalogue(Protocol):
    def read_catalogue(self) -> Iterator[CataloguePage]:
        """Everything that the channel lists, page by page. Raises ChannelFault."""
        ...


class Pauses(Protocol):
    def pause(self, listing_refs: Sequence[str], remember: Remember = forget) -> PauseState:
        """Stop selling by the fastest switch that can be taken back (`channels.md` 6).

        `listing_refs` are all listings of the channel, for vendors that have no switch for the whole. Returns
        what `resume` needs, and hands it to `remember` before it turns a switch: whoever dies in between finds there
        what to put back. `remember` may be called more than once; resuming from each, the last one first, puts back
        all. Pausing what is paused already remembers it as paused. Raises ChannelFault.
        """
        ...

    def resume(self, state: PauseState) -> None:
        """Put every switch back to what it was before the pause. Quantities are never restored: after a pause
        they come from the ledger. Raises ChannelFault; may be repeated."""
        ...


class Channel(ReadsOrders, ReadsSingleOrders, ReadsStock, SetsStock, ReadsCatalogue, Pauses, Protocol):
    code: str
    capabilities: Capabilities

    def close(self) -> None: ...
