"""What a vendor brings to the contract suite: the imitated shop, the adapter in front of it, and what it can."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.types import ASGIApp

from adapters.channels.protocol import Channel, OrderDocument
from adapters.sandbox.faults import Fault, FaultKind, Operation
from adapters.sandbox.shop import Order, Product, ReversalHow, Shop

START = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


@dataclass
class Clock:
    """All time of a stage, moved by hand. Hand it to the sandbox and to the adapter; sleeping moves it.

    `shop_error` is what the shop's clock is ahead of ours (negative: behind), in seconds.
    """

    seconds: float = 0.0
    shop_error: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Ours."""
        return START + timedelta(seconds=self.seconds)

    def shop_now(self) -> datetime:
        """`Shop(now=clock.shop_now, …)`."""
        return self.now() + timedelta(seconds=self.shop_error)

    def monotonic(self) -> float:
        """`Shop(monotonic=…)`, and the adapter's own clock for its budgets."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@dataclass(frozen=True, slots=True)
class Traits:
    """What the vendor can, beyond `channel.capabilities`. The suite adapts to these, never to a name."""

    orders_per_page: int
    """Orders that a page of `stage.channel` holds at most. Set it small: from 2 to 10."""
    reversals: frozenset[ReversalHow] = frozenset({"cancel", "refund", "return"})
    """How units can be reversed so that the channel tells of it. All but "cancel" (the whole order) are of
    units of single lines."""
    cancel_reasons: frozenset[str] = frozenset()
    """Words of `ReversalReason` that the channel tells apart when a whole order is cancelled."""
    tells_restocked: bool = False
    """For a whole cancellation it says whether the units went back to its counter. False: `restocked` is None."""
    tells_test_orders: bool = False
    renews_credentials: bool = False
    """A short-lived token that has run out is renewed by the adapter itself."""
    settles_in_s: float = 0.0
    """With `applies_later`: an accepted write is live after so many seconds of the stage's clock at the latest."""
    unknown_ref: str = "999999999"
    """A well-formed ref of a listing that does not exist."""
    unknown_order: str = "999999999"
    """A well-formed id of an order that does not exist."""
    untracked: bool = True
    """There can be listings that the channel counts no stock for (`Product.tracked` False)."""
    oversell: bool = True
    """A listing can be set to sell below zero (`Product.oversell_allowed`)."""
    pauses_by_quantity: bool = False
    """It has no switch: its pause sets quantities to zero, and `resume` leaves that to what the ledger publishes."""


class Stage(ABC):
    """One shop and its adapter, for one test. Made by `StageMaker(url)`; `close`d by the suite.

    A subclass sets these in its `__init__(self, url: str)`; `url` is where `app` will be reached:
    """

    shop: Shop
    """`Shop(now=clock.shop_now, monotonic=clock.monotonic)`."""
    clock: Clock
    app: ASGIApp
    """The sandbox over `shop`; the suite serves it at the URL."""
    channel: Channel
    """The adapter with right credentials, pages of `traits.orders_per_page` and a generous time-out (30 s)."""
    traits: Traits
    secrets: Sequence[str]
    """Every credential in use, right and wrong: none may ever be said."""

    @abstractmethod
    def another(self, *, timeout_s: float = 30.0, right_credentials: bool = True) -> Channel:
        """One adapter more for the same shop, on the stage's clock. The stage closes it."""

    def expire_credentials(self) -> None:
        """From now on the shop refuses what `channel` has been using: a short-lived token has run out
        (`renews_credentials`), or the credentials were revoked."""
        raise NotImplementedError

    def is_selling(self, product: Product) -> bool:
        """Whether a buyer can find and buy it now: all switches and the quantity together."""
        unlimited = product.oversell_allowed or not product.tracked
        return not self.shop.closed and product.listed and (unlimited or product.quantity > 0)

    def switch_off(self, product: Product) -> bool:
        """The seller himself takes it off sale. False: the vendor has no switch for one listing."""
        product.listed = False
        return True

    def add(self, sku: str, quantity: int, **flags: Any) -> Product:
        """A product with one listing. Override when the vendor has several kinds of them."""
        return self.shop.add_product(sku, f"Thing {sku}", quantity, **flags)

    def settle(self) -> None:
        """Let accepted writes become live."""
        self.clock.seconds += self.traits.settles_in_s

    def close(self) -> None:
        """Close every adapter that was opened."""
        self.channel.close()

    # What the tests say. Nothing below needs to be overridden.

    def ref(self, product: Product) -> str:
        return self.shop.naming.listing(product.number)

    def order_id(self, order: Order) -> str:
        return self.shop.naming.order(order.number)

    def buy(self, *lines: tuple[str, int], test: bool = False) -> Order:
        """A second later than whatever was before."""
        self.clock.seconds += 1
        order = self.shop.checkout(lines, test=test).order
        assert order is not None
        return order

    def pull(self, since: datetime | None = None, channel: Channel | None = None) -> list[OrderDocument]:
        """All documents from then on (default: from before all), and no defect."""
        started = self.clock.shop_now() - timedelta(days=1) if since is None else since
        pages = list((channel or self.channel).pull_orders(started))
        assert not [defect for page in pages for defect in page.defects]
        return [order for page in pages for order in page.orders]

    def fault(self, kind: FaultKind, operation: Operation = Operation.ANY, times: int | None = 1, **how: Any) -> None:
        self.shop.faults.replace([Fault(kind, operation, times=times, **how)])

    def no_faults(self) -> None:
        self.shop.faults.replace([])


StageMaker = Callable[[str], Stage]
"""Usually the subclass of `Stage` itself. Takes the URL at which its `app` will be served."""
