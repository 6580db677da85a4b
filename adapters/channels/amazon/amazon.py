"""Amazon by its Selling Partner API: Orders 2026-01-01, Listings Items 2021-08-01, Feeds 2021-06-30.

A listing ref is the seller SKU. The quantity is that of fulfilment channel `DEFAULT`, what the seller sends
himself. What Amazon's own warehouses send (FBA) is neither written nor counted as sold here; its stock is
`read_fba_stock`.

Amazon shows a change to `searchOrders` about two minutes late: a channel's `settle_seconds` must be more.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from adapters.allowances import Allowances
from adapters.channels.amazon.amazon_budget import Plan
from adapters.channels.amazon.amazon_catalogue import MOST_IDENTIFIERS, Listings
from adapters.channels.amazon.amazon_client import AmazonClient
from adapters.channels.amazon.amazon_fba import FbaStock, read_fba_stock
from adapters.channels.amazon.amazon_feeds import MOST_MESSAGES, Feeds
from adapters.channels.amazon.amazon_pull import OrderReader
from adapters.channels.amazon.amazon_shared import Shared, shared_for
from adapters.channels.amazon.amazon_tokens import Credentials
from adapters.channels.amazon.amazon_write import HELD_BY_FEED, Writer, WriteRules
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

TOKEN_URL = "https://api.amazon.com/auth/o2/token"  # noqa: S105 - an address
LARGEST_PAGE = 100
WRITE_BATCH = 1000
PAUSE_FEED_FROM = 6
"""As many patches may leave at once as Amazon's burst allows; with more a feed is the faster switch."""
PAUSE_KNOWN_S = 24 * 3600.0
"""A pause is urgent: a fulfilment channel that was read today counts as known."""


class Amazon:
    """One seller. Implements `adapters.channels.protocol.Channel`; not for use by several threads at once.

    An accepted quantity is DONE only when a read after it shows it, within `apply_wait_s`; else it is UNKNOWN
    and the worst case counts until it is read back.
    """

    capabilities = Capabilities(
        compare_and_set=False,
        idempotency_keys=False,
        write_batch=WRITE_BATCH,
        read_batch=MOST_IDENTIFIERS,
        applies_later=True,
    )

    def __init__(
        self,
        code: str,
        *,
        base_url: str,
        seller_id: str,
        marketplace_ids: Sequence[str],
        client_id: str,
        client_secret: SecretStr,
        refresh_token: SecretStr,
        token_url: str = TOKEN_URL,
        plans: Mapping[str, Plan] | None = None,
        timeout_s: float = 10.0,
        most_wait_s: float = 5.0,
        apply_wait_s: float = 5.0,
        feed_wait_s: float = 20.0,
        feed_from: int = 50,
        offer_known_s: float = 60.0,
        doubt_lowerings: bool = False,
        page_size: int = LARGEST_PAGE,
        transport: httpx.BaseTransport | None = None,
        shared: Shared | None = None,
        together: Allowances | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
    ) -> None:
        """`most_wait_s`: how long one call may wait for its allowance. `plans`: rates that differ from the
        vendor's defaults. `together`: where all processes count their calls. `marketplace_ids`: the first is the one
        that quantities are written to. Raises ValueError for plain HTTP beyond this machine."""
        for url in (base_url, token_url):
            address = urlsplit(url)
            if address.scheme != "https" and address.hostname not in ("127.0.0.1", "::1", "localhost"):
                raise ValueError(f"{code}: Amazon's addresses must begin with https://")
        if not marketplace_ids or not 1 <= page_size <= LARGEST_PAGE or feed_from < 1:
            raise ValueError(f"{code}: one marketplace or more, page_size from 1 to {LARGEST_PAGE}, feed_from from 1")
        self.code = code
        self._marketplace_id = first = marketplace_ids[0]
        credentials = Credentials(client_id, client_secret, refresh_token)
        self._client = AmazonClient(
            code,
            base_url=base_url.rstrip("/"),
            token_url=token_url,
            credentials=credentials,
            shared=shared
            or shared_for(code, base_url, credentials, plans=plans or {}, together=together, clock=clock, sleep=sleep),
            timeout_s=timeout_s,
            most_wait_s=most_wait_s,
            transport=transport,
            clock=clock,
            sleep=sleep,
            chance=chance,
        )
        self._listings = Listings(self._client, seller_id=seller_id, marketplace_ids=marketplace_ids)
        self._orders = OrderReader(self._client, marketplace_ids=marketplace_ids, page_size=page_size, now=now)
        feeds = Feeds(self._client, seller_id=seller_id, marketplace_id=first, wait_s=feed_wait_s)
        rules = WriteRules(feed_from, apply_wait_s, offer_known_s, doubt_lowerings)
        self._writer = Writer(self._client, self._listings, feeds, marketplace_id=first, rules=rules)

    def close(self) -> None:
        self._client.close()

    @property
    def read_until(self) -> datetime | None:
        """How far the last complete pull has read, by Amazon's clock and Amazon's word (`lastUpdatedBefore`)."""
        return self._orders.read_until

    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        """See the protocol. Complete but for the last two minutes, which Amazon does not show yet."""
        return iter(self._orders.since(updated_since))

    def placed_orders(self, placed_since: datetime) -> list[OrderPage] | None:
        """See `SearchesPlaced` in the protocol."""
        return self._orders.placed(placed_since)

    def read_orders(self, order_ids: Sequence[str]) -> OrderPage:
        """See the protocol. Thirty at once, one in two seconds; with more, a search of the last quarter of an hour
        comes first. An order that Amazon itself fulfils is absent."""
        return self._orders.single(order_ids)

    def read_quantities(self, listing_refs: Sequence[str]) -> list[Reading]:
        """See the protocol. A listing that Amazon fulfils reads 0, not tracked."""
        return [item.reading() for item in self._listings.read(listing_refs).values()]

    def set_quantities(self, changes: Sequence[Change], key: str) -> list[ChangeResult]:
        """See the protocol. `key` has no meaning here; `expected` only tells a lowering from a raise."""
        return self._writer.write(changes)

    def read_catalogue(self) -> Iterator[CataloguePage]:
        return self._listings.catalogue()

    def read_fba_stock(self) -> list[FbaStock]:
        """What Amazon's own warehouses hold for the seller in the first marketplace. Raises ChannelFault."""
        return read_fba_stock(self._client, self._marketplace_id)

    def pause(self, listing_refs: Sequence[str], remember: Remember = forget) -> PauseState:
        """See the protocol: zeros by feed, the only lever at Amazon that can be taken back. FBA listings stay as
        they are. Returns when Amazon has accepted the zeros; they are live some minutes later."""
        changes = [Change(ref, 0, None) for ref in dict.fromkeys(listing_refs)]
        refused = self._writer.refusals(changes, PAUSE_KNOWN_S)
        busy = [one for one in refused.values() if one.reason.startswith(HELD_BY_FEED)]
        if busy:
            what = f"pause: {len(busy)} listings wait for a feed that has not come to its end"
            raise ChannelFault(self.code, Resolution.RETRY, what)
        going = [change for change in changes if change.listing_ref not in refused]
        remember({"zeroed": [change.listing_ref for change in going]})
        zeroed: list[str] = []
        for start in range(0, len(going), MOST_MESSAGES):
            results: dict[str, ChangeResult] = {}
            accepted = self._writer.send(going[start : start + MOST_MESSAGES], results, PAUSE_FEED_FROM)
            missed = [one for one in results.values() if one.status is ChangeStatus.REJECTED]
            if missed:
                what = f"pause: {len(missed)} listings were not set to zero, {missed[0].reason}"
                raise ChannelFault(self.code, Resolution.REJECT, what)
            zeroed += [*accepted, *results]
        return {"zeroed": sorted(zeroed)}

    def resume(self, state: PauseState) -> None:
        """See the protocol. There is no switch to put back: the ledger publishes the quantities anew."""
