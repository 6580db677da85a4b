"""eBay, by its Sell APIs: Inventory v1 for stock, Fulfillment v1 for orders.

A listing ref is the seller's SKU: the Inventory API keys everything by it, an order line names it, and it
outlives a listing that is ended and made anew. The offers of a SKU are looked up. A line without a SKU is
named `item:<legacy item id>[/<variation id>]`; such a listing was not made by the Inventory API, cannot be
read or set here, and waits for `bulk_migrate_listing`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from adapters.channels.ebay.ebay_budget import REVISIONS_PER_DAY
from adapters.channels.ebay.ebay_client import EbayClient
from adapters.channels.ebay.ebay_inventory import ROWS_AT_ONCE, Inventory
from adapters.channels.ebay.ebay_memory import EbayMemory, memory_of
from adapters.channels.ebay.ebay_reading import LARGEST_PAGE, OrderReader, chunks
from adapters.channels.ebay.ebay_tokens import Credentials
from adapters.channels.ebay.ebay_trading import WHAT_TO_DO, OutOfStockControl
from adapters.channels.ebay.ebay_writes import StockWriter
from adapters.channels.protocol import (
    Capabilities,
    CataloguePage,
    Change,
    ChangeResult,
    ChangeStatus,
    OrderPage,
    PauseState,
    Reading,
    Remember,
    forget,
)
from adapters.http import ChannelFault, Resolution


class Ebay:
    """One seller's account. Implements `adapters.channels.protocol.Channel`; not for use by several threads at once."""

    capabilities = Capabilities(
        compare_and_set=False,
        idempotency_keys=False,
        write_batch=ROWS_AT_ONCE,
        read_batch=ROWS_AT_ONCE,
        revisions_per_day=REVISIONS_PER_DAY,
    )

    def __init__(
        self,
        code: str,
        *,
        base_url: str,
        client_id: SecretStr,
        client_secret: SecretStr,
        refresh_token: SecretStr,
        marketplace_id: str,
        merchant_location_key: str | None = None,
        timeout_s: float = 10.0,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        memory: EbayMemory | None = None,
        page_size: int = LARGEST_PAGE,
        at_once: int = 8,
    ) -> None:
        """`base_url` is `https://api.ebay.com`. `memory`: what is remembered beyond this adapter (default: by the
        process); it holds the log of revisions. Raises ValueError for plain HTTP beyond this machine."""
        address = urlsplit(base_url)
        if address.scheme != "https" and address.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError(f"{code}: the address must begin with https://")
        if not 2 <= page_size <= LARGEST_PAGE:
            raise ValueError(f"{code}: page_size is from 2 to {LARGEST_PAGE}")
        self.code = code
        memory = memory or memory_of(base_url, client_id, client_secret, refresh_token)
        self._client = EbayClient(
            code,
            base_url=base_url.rstrip("/"),
            credentials=Credentials(client_id, client_secret, refresh_token),
            marketplace_id=marketplace_id,
            memory=memory,
            timeout_s=timeout_s,
            transport=transport,
            clock=clock,
        )
        self._orders = OrderReader(self._client, page_size=page_size, now=now)
        self._inventory = Inventory(self._client, memory, clock=clock, at_once=at_once, location=merchant_location_key)
        self._control = OutOfStockControl(self._client, memory, marketplace_id=marketplace_id, clock=clock)
        self._writer = StockWriter(
            self._client, self._inventory, self._control, memory, now=now, location=merchant_location_key
        )

    def close(self) -> None:
        self._client.close()

    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        """See the protocol. All is read here and now, before the first page is handed on (`OrderReader.changed`).
        One call more for each cancelled order: only getOrder tells why. Orders of the last two years."""
        return iter(self._orders.changed(updated_since))

    def read_orders(self, order_ids: Sequence[str]) -> OrderPage:
        """See the protocol."""
        return self._orders.named(order_ids)

    def read_quantities(self, listing_refs: Sequence[str]) -> list[Reading]:
        """See the protocol. The lower one of the inventory item's quantity and the offer's; 0 for a SKU without a
        live listing."""
        return self._inventory.readings(listing_refs)

    def set_quantities(self, changes: Sequence[Change], key: str) -> list[ChangeResult]:
        """See the protocol. `key` has no meaning here; `expected` tells a raise from a lowering (without it, it is
        a raise), for the budget of revisions.

        REJECTED without being sent: a zero while the out-of-stock control is off, a raise when fewer than 50 of
        the day's revisions are left, anything when none is.
        """
        return self._writer.write(changes)

    def read_catalogue(self) -> Iterator[CataloguePage]:
        """See the protocol. Inventory items with their offers. Listings that were not made by the Inventory API
        (by hand, by the Trading API, by files) are invisible to it and so absent here."""
        return self._inventory.catalogue()

    def pause(self, listing_refs: Sequence[str], remember: Remember = forget) -> PauseState:
        """See the protocol. eBay has no switch for the whole account: every listing goes to zero, at both levels,
        and its out-of-stock control keeps it. Costs one revision of each listing that is on sale. The state
        remembers which of them showed something.

        Raises ChannelFault REJECT without the out-of-stock control, and when a listing could not be emptied.
        """
        refs = list(dict.fromkeys(listing_refs))
        if refs and not self._control.is_on():
            raise ChannelFault(self.code, Resolution.REJECT, WHAT_TO_DO)
        shown = {one.listing_ref: one.quantity for one in self.read_quantities(refs)}
        state: PauseState = {"selling": {ref: quantity > 0 for ref, quantity in shown.items()}}
        remember(state)
        selling = [Change(ref, 0, quantity) for ref, quantity in shown.items() if quantity > 0]
        for some in chunks(selling, ROWS_AT_ONCE):
            for result in self._writer.write(some):
                if result.status is not ChangeStatus.DONE:
                    unsure = result.status is ChangeStatus.UNKNOWN
                    what = f"{result.listing_ref} could not be set to zero: {result.reason}"
                    raise ChannelFault(self.code, Resolution.UNKNOWN if unsure else Resolution.REJECT, what)
        return state

    def resume(self, state: PauseState) -> None:
        """See the protocol. Nothing was switched but quantities, and these come from the ledger: nothing is sent."""
