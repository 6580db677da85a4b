"""Quantities, written: what may be written at all, by which path, and what became of it.

Amazon's writes are absolute, the last one wins, and an accepted one is applied later. Nothing but a read
after the answer says that it was. No order is promised between a patch and a feed, so one SKU is never
on both paths at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.channels.amazon import amazon_budget as budget
from adapters.channels.amazon.amazon_catalogue import Listings
from adapters.channels.amazon.amazon_client import AmazonClient
from adapters.channels.amazon.amazon_feeds import Feeds
from adapters.channels.amazon.amazon_listings import OURS, issue_codes, patch_body
from adapters.channels.protocol import Change, ChangeResult, ChangeStatus
from adapters.http import ChannelFault, Resolution

FIRST_LOOK_S = 0.1
LONGEST_LOOK_S = 2.0
SEQUENTIAL_S = 60.0
"""Rows for which no feed is to be had are patched one by one, as many as fit into this time."""

HELD_BY_FEED = "held by feed"


@dataclass(frozen=True, slots=True)
class WriteRules:
    feed_from: int
    """So many rows and more go by feed; fewer are patched one by one."""
    apply_wait_s: float
    """How long a write may take until it is seen; then its row is UNKNOWN."""
    offer_known_s: float
    """How long a fulfilment channel that was read counts as known."""
    doubt_lowerings: bool
    """A lowering that is read back could also be sales while the write is still on its way. True: then UNKNOWN."""


class Writer:
    def __init__(
        self, client: AmazonClient, listings: Listings, feeds: Feeds, *, marketplace_id: str, rules: WriteRules
    ) -> None:
        self._client = client
        self._listings = listings
        self._feeds = feeds
        self._marketplace_id = marketplace_id
        self._rules = rules

    def write(self, changes: Sequence[Change]) -> list[ChangeResult]:
        """See `SetsStock`."""
        wanted = {change.listing_ref: change for change in changes}
        if len(wanted) != len(changes):
            raise ValueError("a listing comes twice in one set of changes")
        results = self.refusals(changes, self._rules.offer_known_s)
        going = [change for change in changes if change.listing_ref not in results]
        accepted = self.send(going, results, self._rules.feed_from)
        self._confirm({ref: wanted[ref] for ref in accepted}, results)
        return [results[change.listing_ref] for change in changes]

    def send(self, changes: Sequence[Change], results: dict[str, ChangeResult], feed_from: int) -> set[str]:
        """The refs of the rows that Amazon accepted; adds the others to `results`. The rows have passed `refusals`.

        Raises ChannelFault when nothing was applied.
        """
        by_feed, singly = self._routes(changes, feed_from)
        accepted = self._feed(by_feed, results) if by_feed else set[str]()
        return accepted | self._patch_all(singly, results, bool(by_feed))

    def refusals(self, changes: Sequence[Change], known_s: float) -> dict[str, ChangeResult]:
        """The rows that are never sent. A DEFAULT quantity on an SKU that Amazon fulfils would flip the offer to
        the seller's own dispatch and strand the stock in Amazon's warehouse. Raises ChannelFault."""
        refs = [change.listing_ref for change in changes]
        shared, now = self._client.shared, self._client.clock()
        channels = shared.offers(refs, now - known_s)
        unknown = [ref for ref in refs if ref not in channels]
        if unknown:
            channels |= {sku: item.channel for sku, item in self._listings.read(unknown).items()}
        refused: dict[str, str] = {}
        for change in changes:
            ref = change.listing_ref
            if ref not in channels:
                refused[ref] = "Amazon does not know this SKU"
            elif channels[ref] is None:
                refused[ref] = "Amazon shows no fulfilment channel for it, so it may be Amazon's own stock"
            elif channels[ref] != OURS:
                refused[ref] = f"fulfilled by {channels[ref]}: a quantity would flip the offer and strand that stock"
            elif change.quantity < 0:
                refused[ref] = "Amazon takes no quantity below zero"
        refused |= self._held_by_feeds([ref for ref in refs if ref not in refused])
        return {ref: ChangeResult(ref, ChangeStatus.REJECTED, why) for ref, why in refused.items()}

    def _held_by_feeds(self, refs: Sequence[str]) -> dict[str, str]:
        fed = self._client.shared.fed(self._client.clock())
        held = {ref: fed[ref] for ref in refs if ref in fed}
        running = {feed for feed in set(held.values()) if self._feeds.still_running(feed)}
        return {
            ref: f"{HELD_BY_FEED} {feed or 'without an answer'}, which may write to it yet"
            for ref, feed in held.items()
            if feed in running
        }

    def _routes(self, changes: Sequence[Change], feed_from: int) -> tuple[list[Change], list[Change]]:
        """(by feed, one by one). What was patched and not yet seen stays on that path."""
        if len(changes) < feed_from or not self._client.shared.budget.left(budget.CREATE_FEED):
            return [], list(changes)
        patched = self._client.shared.patched(self._client.clock())
        by_feed = [change for change in changes if change.listing_ref not in patched]
        return by_feed, [change for change in changes if change.listing_ref in patched]

    def _feed(self, changes: Sequence[Change], results: dict[str, ChangeResult]) -> set[str]:
        decided, accepted = self._feeds.send(changes)
        results |= {result.listing_ref: result for result in decided}
        return accepted

    def _patch_all(self, changes: Sequence[Change], results: dict[str, ChangeResult], sent: bool) -> set[str]:
        """`sent`: something has left already. Raises ChannelFault when nothing at all has."""
        accepted: set[str] = set()
        until, stopped = self._client.clock() + SEQUENTIAL_S, ""
        for change in changes:
            ref = change.listing_ref
            if not stopped and self._client.clock() > until:
                stopped = "not sent: more rows than can be sent one by one, and no feed to be had"
            if stopped:
                results[ref] = ChangeResult(ref, ChangeStatus.REJECTED, stopped)
                continue
            try:
                result = self._patch(change)
            except ChannelFault as fault:
                if not sent:
                    raise
                stopped = f"not sent: {fault.resolution}"
                results[ref] = ChangeResult(ref, ChangeStatus.REJECTED, stopped)
                continue
            sent = True
            if result is None:
                accepted.add(ref)
            else:
                results[ref] = result
        return accepted

    def _patch(self, change: Change) -> ChangeResult | None:
        """None: accepted. Raises ChannelFault when it was not applied and the next one would fare no better."""
        ref = change.listing_ref
        client, body = self._client, patch_body(change.quantity)
        try:
            params = {"marketplaceIds": self._marketplace_id}
            answer = client.write(budget.PATCH_LISTING, "PATCH", self._listings.item_path(ref), body, params)
        except ChannelFault as fault:
            if fault.resolution is Resolution.UNKNOWN:
                client.shared.note_patched(ref, client.clock())
                return ChangeResult(ref, ChangeStatus.UNKNOWN, str(fault))
            if fault.resolution is Resolution.REJECT:
                return ChangeResult(ref, ChangeStatus.REJECTED, str(fault))
            raise
        return self._answered(ref, answer)

    def _answered(self, ref: str, answer: Any) -> ChangeResult | None:
        status = answer.get("status") if isinstance(answer, dict) and answer.get("sku") == ref else None
        if status == "INVALID":
            return ChangeResult(ref, ChangeStatus.REJECTED, issue_codes(answer.get("issues")))
        self._client.shared.note_patched(ref, self._client.clock())
        if status == "ACCEPTED":
            return None
        return ChangeResult(ref, ChangeStatus.UNKNOWN, "the answer does not say that it was accepted")

    def _confirm(self, accepted: Mapping[str, Change], results: dict[str, ChangeResult]) -> None:
        """Look until each accepted number is seen, or the time is over."""
        waiting = dict(accepted)
        for ref, change in accepted.items():
            lowers = change.expected is None or change.quantity <= change.expected
            if self._rules.doubt_lowerings and lowers:
                why = "accepted; that it is read back would not prove a lowering"
                results[ref] = ChangeResult(ref, ChangeStatus.UNKNOWN, why)
                del waiting[ref]
        began, pause = self._client.clock(), FIRST_LOOK_S
        until = began + self._rules.apply_wait_s
        while waiting and self._client.clock() + pause <= until:
            self._client.sleep(pause)
            looking = self._client.clock()
            try:
                shown = self._listings.read(list(waiting), most_wait_s=max(0.0, until - looking))
                # Looking at many takes its own time. What was looked at first may have been applied only since.
                until += self._client.clock() - looking
            except ChannelFault as fault:
                if not fault.retriable:
                    break
                shown = {}
            seen = [ref for ref, change in waiting.items() if ref in shown and shown[ref].quantity == change.quantity]
            self._client.shared.arrived(seen)
            for ref in seen:
                del waiting[ref]
                results[ref] = ChangeResult(ref, ChangeStatus.DONE)
            # A write is seen at most half as late again as it was applied.
            pause = min(max(FIRST_LOOK_S, (self._client.clock() - began) / 2), LONGEST_LOOK_S)
        for ref in waiting:
            results[ref] = ChangeResult(ref, ChangeStatus.UNKNOWN, "accepted, not yet seen at the listing")
