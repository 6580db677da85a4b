"""A channel that is described and not programmed: any portal or marketplace with a plain HTTP/JSON API.

The description is `adapters.channels.http_config.HttpConfig`; every key is explained in
`docs/declared_channel.md`. How a list is read without a loss is in `declared_paging`.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from adapters.channels.declared.declared_fields import Catalogue, Orders, Stock
from adapters.channels.declared.declared_lists import Lists, digest
from adapters.channels.declared.declared_mapping import order_id_of, translate_order
from adapters.channels.declared.declared_models import Abilities, PagesByNumber, PagesByOffset, Pause, Switch
from adapters.channels.declared.declared_stock import StockDesk
from adapters.channels.declared.declared_values import UntranslatableError, Value, whole, write_moment
from adapters.channels.declared.declared_wire import Wire
from adapters.channels.protocol import (
    Capabilities,
    CatalogueEntry,
    CataloguePage,
    Change,
    ChangeResult,
    Defect,
    OrderDocument,
    OrderPage,
    PauseState,
    Reading,
    Remember,
    forget,
)
from adapters.http import ChannelFault, Resolution

PINNED_WITHIN_S = 600
"""`{until}` less far ahead than this: an order that changes while pages are read may leave the window."""
MOST_PASSES = 6
WHOLE_LIST = 10_000
"""Refs that one call takes where every read is of the whole list anyway."""
_SECOND = timedelta(seconds=1)


class DeclaredChannel:
    """Implements `adapters.channels.protocol.Channel`; not for use by several threads at once."""

    def __init__(
        self,
        code: str,
        *,
        wire: Wire,
        orders: Orders,
        stock: Stock,
        catalogue: Catalogue | None,
        pause: Pause,
        abilities: Abilities,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.code = code
        self.capabilities = Capabilities(
            compare_and_set=stock.write.compare != "none",
            idempotency_keys="key" in stock.write.uses(),
            write_batch=stock.write.batch,
            read_batch=stock.read.batch if stock.read.by_ref else WHOLE_LIST,
            applies_later=abilities.applies_later,
            revisions_per_day=abilities.revisions_per_day,
            reads_singly=orders.single is not None if abilities.reads_singly is None else abilities.reads_singly,
        )
        self._wire, self._lists, self._desk = wire, Lists(wire), StockDesk(wire, stock)
        self._orders, self._stock, self._catalogue, self._pause = orders, stock, catalogue, pause
        self._now = now

    def close(self) -> None:
        self._wire.close()

    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        """See the protocol. The list is read to its end before the first page is handed on.

        `{until}` is by our clock, by default a day ahead, so that nothing leaves the window while it is read.
        Where it must be nearer, what left the window is fetched by another pass that begins where it ended,
        until a pass is one single page.
        """
        if updated_since.tzinfo is None:
            raise ValueError("updated_since needs an offset")
        found: dict[str, OrderDocument] = {}
        defects: dict[str, Defect] = {}
        since = updated_since
        for _ in range(MOST_PASSES):
            until = self._now() + timedelta(seconds=self._orders.until_ahead_s)
            pages = self._read_window(since, until, found, defects)
            if "until" not in self._orders.uses() or self._orders.until_ahead_s >= PINNED_WITHIN_S or pages <= 1:
                break
            since = max(since, until - _SECOND)
        else:
            raise ChannelFault(self.code, Resolution.RETRY, "the orders change faster than they can be read")
        oldest_first = sorted(found.values(), key=_changed_at)
        size = self._orders.page_size
        parts = [oldest_first[start : start + size] for start in range(0, len(oldest_first), size)]
        parts = parts or ([[]] if defects else [])
        return iter([OrderPage(part, [] if number else list(defects.values())) for number, part in enumerate(parts)])

    def read_orders(self, order_ids: Sequence[str]) -> OrderPage:
        """See the protocol. Without an endpoint for it: among the orders that changed lately."""
        wanted = list(dict.fromkeys(order_ids))
        single = self._orders.single
        orders: dict[str, OrderDocument] = {}
        defects: dict[str, Defect] = {}
        if not wanted:
            return OrderPage([])
        if single is None:
            for page in self.pull_orders(self._now() - timedelta(seconds=self._orders.recent_s)):
                orders |= {order["order_id"]: order for order in page.orders if order["order_id"] in wanted}
                defects |= {one.key: one for one in page.defects if one.key in wanted}
            return OrderPage(list(orders.values()), list(defects.values()))
        for start in range(0, len(wanted), single.batch):
            ids = wanted[start : start + single.batch]
            try:
                answer = self._wire.ask(single, {"order_id": ids[0], "order_ids": ids}, writes=False)
            except ChannelFault as fault:
                if fault.status in single.absent_statuses:
                    continue
                raise
            rows = self._lists.records(single, single.records, answer.body)
            mine = [row for row in rows if order_id_of(self._orders, row) in (None, *ids)]
            self._translate(mine, orders, defects)
        return OrderPage(list(orders.values()), list(defects.values()))

    def read_quantities(self, listing_refs: Sequence[str]) -> list[Reading]:
        """See the protocol."""
        return self._desk.read(listing_refs)

    def set_quantities(self, changes: Sequence[Change], key: str) -> list[ChangeResult]:
        """See the protocol. A change without an expected quantity is sent without one: whether the channel
        then takes it is its affair."""
        return self._desk.write(changes, key)

    def read_catalogue(self) -> Iterator[CataloguePage]:
        """See the protocol. Without a description: the list of stock, where there is a whole one."""
        if self._catalogue is None:
            if self._stock.read.by_ref:
                raise ChannelFault(self.code, Resolution.REJECT, "its description has no catalogue")
            shown = self._desk.everything()
            entries = [
                CatalogueEntry(ref, "", "", one.quantity, one.tracked, not one.tracked, None, None)
                for ref, one in shown.items()
            ]
            yield CataloguePage(entries)
            return
        seen: set[str] = set()
        entries, defects = [], []
        for place, row in enumerate(self._lists.rows(self._catalogue, {})):
            try:
                entry = _entry(self._catalogue, row)
            except UntranslatableError as error:
                defects.append(Defect(f"row {place}", str(error)))
                continue
            if entry.listing_ref not in seen:
                seen.add(entry.listing_ref)
                entries.append(entry)
            if len(entries) >= self._catalogue.page_size:
                yield CataloguePage(entries, defects)
                entries, defects = [], []
        if entries or defects:
            yield CataloguePage(entries, defects)

    def pause(self, listing_refs: Sequence[str], remember: Remember = forget) -> PauseState:
        """See the protocol: by the channel's switch, or by setting every listing to zero."""
        if isinstance(self._pause, Switch):
            was_paused = self._is_paused(self._pause)
            state: PauseState = {"kind": "switch", "was_paused": was_paused, "by_switch": True}
            remember(state)
            if not was_paused:
                self._turn(self._pause, paused=True)
            return state
        remember({"kind": "zeros"})
        self._to_zero(listing_refs)
        return {"kind": "zeros"}

    def resume(self, state: PauseState) -> None:
        """See the protocol."""
        if isinstance(self._pause, Switch) and state.get("kind") == "switch" and state.get("was_paused") is False:
            self._turn(self._pause, paused=False)

    def _read_window(
        self, since: datetime, until: datetime, found: dict[str, OrderDocument], defects: dict[str, Defect]
    ) -> int:
        """Adds what the window holds; returns how many pages it took."""
        orders = self._orders
        margin = timedelta(seconds=orders.since_margin_s)
        values = {
            "updated_since": write_moment(since - margin, orders.date_format, orders.zone),
            "until": write_moment(until, orders.date_format, orders.zone),
        }
        walk = self._lists.walk(orders, values, sort=orders.sort, mark=self._mark)
        self._translate(walk.rows(), found, defects)
        return walk.pages

    def _mark(self, row: Any) -> str:
        """By what we take from an order: a counter of views that it may hold does not make it another one."""
        try:
            return digest(translate_order(self._orders, row) or [order_id_of(self._orders, row)])
        except UntranslatableError:
            return digest(row)

    def _translate(self, rows: Any, found: dict[str, OrderDocument], defects: dict[str, Defect]) -> None:
        """The later of two versions stays, whether it could be translated or not."""
        for row in rows:
            key = order_id_of(self._orders, row)
            try:
                order = translate_order(self._orders, row)
            except UntranslatableError as error:
                name = key or f"row {digest(row)[:12]}"
                found.pop(name, None)
                defects[name] = Defect(name, str(error))
                continue
            if key is not None:
                defects.pop(key, None)
                found.pop(key, None)
            if order is not None:
                found[order["order_id"]] = order

    def _is_paused(self, switch: Switch) -> bool:
        answer = self._wire.ask(switch.read, {}, writes=False)
        try:
            found = switch.is_paused.of(answer.body)
        except UntranslatableError:
            found = None
        if not isinstance(found, bool):
            self._malformed(f"{switch.is_paused.text} is neither true nor false")
        return found

    def _turn(self, switch: Switch, *, paused: bool) -> None:
        try:
            self._wire.ask(switch.stop if paused else switch.start, {}, writes=True)
        except ChannelFault as caught:
            if caught.resolution not in (Resolution.UNKNOWN, Resolution.MALFORMED):
                raise
            fault = caught
        else:
            return
        # The answer never came: look.
        if self._is_paused(switch) is not paused:
            raise fault

    def _to_zero(self, listing_refs: Sequence[str]) -> None:
        """Three times at most: what was sold or put back in between makes a compare-and-set stale."""
        left: list[str] = list(listing_refs)
        for attempt in range(4):
            readings = []
            for start in range(0, len(left), self.capabilities.read_batch):
                readings += self._desk.read(left[start : start + self.capabilities.read_batch])
            showing = [one for one in readings if one.quantity > 0]
            left = [one.listing_ref for one in showing]
            if not left:
                return
            if attempt == 3:
                break
            size = self.capabilities.write_batch
            for start in range(0, len(showing), size):
                part = showing[start : start + size]
                changes = [Change(one.listing_ref, 0, one.quantity) for one in part]
                self._desk.write(changes, f"pause-{self._now().timestamp():.6f}-{attempt}-{start}")
        what = f"{len(left)} listings do not go to zero"
        raise ChannelFault(self.code, Resolution.REJECT, what)

    def _malformed(self, what: str) -> NoReturn:
        raise ChannelFault(self.code, Resolution.MALFORMED, what)


def numbered(orders: Orders) -> bool:
    """Pages are counted, so that rows which leave the window would move the borders."""
    return isinstance(orders.paging, PagesByNumber | PagesByOffset)


def _changed_at(order: OrderDocument) -> tuple[bool, str]:
    changed = order["updated_at"]
    try:
        moment = datetime.fromisoformat(changed).astimezone(UTC).isoformat(timespec="microseconds")
    except (TypeError, ValueError, OverflowError):
        # No date, or none of ours: the gate will say so. Last, for the watermark does not come from it.
        return True, json.dumps(changed, default=str)
    return False, moment


def _entry(catalogue: Catalogue, row: Any) -> CatalogueEntry:
    fields = catalogue.fields
    if not isinstance(row, dict):
        raise UntranslatableError("a row is no object")
    ref = fields.listing_ref.of(row)
    if not isinstance(ref, str) or not ref:
        raise UntranslatableError(f"a row has no ref at {fields.listing_ref.place}")

    def told(value: Value | None) -> bool | None:
        found = None if value is None else value.of(row)
        return found if isinstance(found, bool) else None

    sku, title = fields.sku.of(row), fields.title.of(row)
    return CatalogueEntry(
        listing_ref=ref,
        sku="" if sku is None else str(sku),
        title="" if title is None else re.sub(r"\s+", " ", str(title)),
        quantity=None if fields.quantity is None else whole(fields.quantity.of(row)),
        tracked=told(fields.tracked),
        oversell_allowed=told(fields.oversell_allowed),
        on_sale=told(fields.on_sale),
        stocked_here=told(fields.stocked_here),
        fulfilled_by_channel=told(fields.fulfilled_by_channel) is True,
    )
