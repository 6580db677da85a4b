"""A channel in memory whose every answer a test decides, and a ledger that sells through it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, text

from adapters.channels.protocol import (
    Capabilities,
    CatalogueEntry,
    CataloguePage,
    Change,
    ChangeResult,
    ChangeStatus,
    Defect,
    OrderPage,
    Reading,
)
from adapters.http import ChannelFault
from inventory import setup
from inventory.ledger import stock
from inventory.words import ChannelMode, WriteMode
from tasks.runtime import Runtime


@dataclass
class Clock:
    at: datetime = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class FakeChannel:
    """Sets and shows numbers; `pages` are the next pull's, a fault among them is raised."""

    code: str
    compare_and_set: bool = True
    shown: dict[str, int] = field(default_factory=dict)
    pages: list[OrderPage | ChannelFault] = field(default_factory=list)
    asked_since: list[datetime] = field(default_factory=list)
    before_write: Callable[["FakeChannel", Sequence[Change]], list[ChangeResult] | None] | None = None
    after_write: Callable[["FakeChannel"], None] | None = None
    unreadable: ChannelFault | None = None
    written: list[tuple[str, int]] = field(default_factory=list)
    catalogue: list[CataloguePage | ChannelFault] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(self.compare_and_set, idempotency_keys=False, write_batch=100, read_batch=100)

    def close(self) -> None:
        pass

    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        self.asked_since.append(updated_since)
        for page in self.pages:
            if isinstance(page, ChannelFault):
                raise page
            yield page

    def read_catalogue(self) -> Iterator[CataloguePage]:
        for page in self.catalogue:
            if isinstance(page, ChannelFault):
                raise page
            yield page

    def read_quantities(self, listing_refs: Sequence[str]) -> list[Reading]:
        if self.unreadable is not None:
            raise self.unreadable
        return [Reading(ref, self.shown[ref], True) for ref in listing_refs if ref in self.shown]

    def set_quantities(self, changes: Sequence[Change], key: str) -> list[ChangeResult]:
        answer = self.before_write(self, changes) if self.before_write else None
        if answer is None:
            answer = [self._set(change) for change in changes]
        if self.after_write:
            self.after_write(self)
        return answer

    def _set(self, change: Change) -> ChangeResult:
        if self.compare_and_set and self.shown[change.listing_ref] != change.expected:
            return ChangeResult(change.listing_ref, ChangeStatus.STALE, "another number is live")
        self.shown[change.listing_ref] = change.quantity
        self.written.append((change.listing_ref, change.quantity))
        return ChangeResult(change.listing_ref, ChangeStatus.DONE)


@dataclass
class Bench:
    engine: Engine
    clock: Clock
    channels: dict[str, FakeChannel]
    runtime: Runtime

    def rows(self, sql: str, **values: object) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(sql), values).all())

    def one(self, sql: str, **values: object) -> Any:
        [row] = self.rows(sql, **values)
        return row[0] if len(row) == 1 else tuple(row)

    def incidents(self) -> set[tuple[str, str]]:
        return {(row.kind, row.subject) for row in self.rows("SELECT kind, subject FROM incident WHERE status='open'")}

    def move(self, sku: str, units: int, *, receipt: str) -> None:
        with self.engine.begin() as connection:
            stock.receive(connection, [(sku, "main", units)], receipt=receipt, now=self.clock())


def bench(engine: Engine, units: dict[str, int], **shops: bool) -> Bench:
    """One channel for each of `shops` ({code: compare and set}); its listing of `A` is `code-A`; all show nothing."""
    clock = Clock()
    channels = {code: FakeChannel(code, mode, {f"{code}-{sku}": 0 for sku in units}) for code, mode in shops.items()}
    with engine.begin() as connection:
        setup.add_items(connection, dict.fromkeys(units, ""))
        setup.add_locations(connection, ["main"])
        for code, mode in shops.items():
            write_mode = WriteMode.COMPARE_AND_SET if mode else WriteMode.ABSOLUTE
            setup.add_channel(
                connection,
                setup.ChannelSetup(
                    code, "fake", write_mode, ("main",), mode=ChannelMode.LIVE,
                    settle_seconds=10, in_doubt_seconds=60, overlap_seconds=30,
                ),
            )  # fmt: skip
            setup.add_listings(connection, code, [(f"{code}-{sku}", sku, 1) for sku in units])
        stock.receive(
            connection, [(sku, "main", count) for sku, count in units.items() if count], receipt="opening", now=clock()
        )
    runtime = Runtime(engine, channels.__getitem__, clock)
    return Bench(engine, clock, channels, runtime)


def order(order_id: str, at: datetime, *lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "order_id": order_id, "placed_at": at.isoformat(), "updated_at": at.isoformat(), "cancelled": False,
        "test": False, "lines": list(lines), "reversals": [],
    }  # fmt: skip
    return document | changes


def line(line_id: str, ref: str, quantity: object = 1, **changes: Any) -> dict[str, Any]:
    return {"line_id": line_id, "listing_ref": ref, "sku": "", "quantity": quantity} | changes


def page(*orders: Any, defects: Sequence[Defect] = ()) -> OrderPage:
    return OrderPage(list(orders), list(defects))


def entry(ref: str, sku: str, **changes: Any) -> CatalogueEntry:
    """A listing as it should be."""
    given: dict[str, Any] = {
        "title": "", "quantity": 0, "tracked": True, "oversell_allowed": False, "on_sale": True, "stocked_here": True,
    }  # fmt: skip
    return CatalogueEntry(ref, sku, **(given | changes))
