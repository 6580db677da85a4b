"""A shop that tells of its orders, and a ledger that listens: the stage of the tests of notices."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from fake_channel import Bench, FakeChannel, bench, line, order, page
from sqlalchemy import Engine

from adapters.channels.notices import Notice, rows
from adapters.channels.protocol import Capabilities, OrderPage
from adapters.database import in_transaction
from adapters.http import ChannelFault
from inventory.orders import notice_store
from tasks.selling.noticed import read_noticed


@dataclass
class Telling(FakeChannel):
    """Knows orders by their id, and counts what it is asked."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)
    away: ChannelFault | None = None
    singly: bool = True

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, reads_singly=self.singly)

    def read_orders(self, order_ids: Sequence[str]) -> OrderPage:
        self.asked.append(list(order_ids))
        if self.away is not None:
            raise self.away
        return page(*(self.orders[one] for one in order_ids if one in self.orders))


@dataclass
class Shop:
    stage: Bench
    channel: Telling

    def sells(self, *order_ids: str, seconds: float = 0) -> None:
        at = self.stage.clock.at + timedelta(seconds=seconds)
        self.channel.orders |= {one: order(one, at, line(f"{one}-1", "shop-A")) for one in order_ids}

    def tells(self, *notices: Notice) -> int:
        made = rows("shop", notices)
        now = self.stage.clock()
        return len(in_transaction(self.stage.engine, lambda c: notice_store.store(c, made, now=now)))

    def reads(self, **changes: Any) -> Any:
        return read_noticed(replace(self.stage.runtime, **changes), "shop")

    def held(self) -> int:
        return int(self.stage.one("SELECT coalesce(sum(held), 0) FROM reservation_line"))

    def statuses(self) -> list[tuple[str, str]]:
        return [tuple(row) for row in self.stage.rows("SELECT order_id, status FROM notice ORDER BY received_at, id")]


def open_shop(engine: Engine) -> Shop:
    """`shop`, which sells `A` and tells of it by itself."""
    stage = bench(engine, {"A": 5000}, shop=True)
    channel = Telling("shop", shown={"shop-A": 0})
    stage.channels["shop"] = channel
    return Shop(stage, channel)


def told(order_id: str, event: str = "") -> Notice:
    return Notice(event or f"event of {order_id}", "orders/create", (order_id,) if order_id else ())
