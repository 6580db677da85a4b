"""Setting quantities at eBay: what may be sent, the call of 25 rows, and what became of each row.

A write is absolute and the last one wins. It sets both levels, the inventory item's and the offer's,
because the listing shows the lower one. It is always `bulk_update_price_quantity`: an inventory item is
never replaced (PUT) for its stock, which would wipe whatever the request does not repeat.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from adapters.channels.ebay.ebay_budget import refusal, vendor_day
from adapters.channels.ebay.ebay_client import EbayClient
from adapters.channels.ebay.ebay_inventory import INVENTORY, NOT_THERE, ROWS_AT_ONCE, Inventory, error_ids
from adapters.channels.ebay.ebay_memory import EbayMemory, Offer
from adapters.channels.ebay.ebay_reading import chunks
from adapters.channels.ebay.ebay_trading import WHAT_TO_DO, OutOfStockControl
from adapters.channels.protocol import Change, ChangeResult, ChangeStatus
from adapters.http import ChannelFault, Resolution

PATH = f"{INVENTORY}/bulk_update_price_quantity"
REVISED_TOO_OFTEN = 21919165
"""Comes as the error's id or, since the Inventory API wraps the listing's errors, named in its parameters."""

Targets = Mapping[str, tuple[Offer, ...]]
"""SKU → its offers whose quantity can be set."""


class StockWriter:
    def __init__(
        self,
        client: EbayClient,
        inventory: Inventory,
        control: OutOfStockControl,
        memory: EbayMemory,
        *,
        now: Callable[[], datetime],
        location: str | None,
    ) -> None:
        self._client = client
        self._inventory = inventory
        self._control = control
        self._memory = memory
        self._now = now
        self._location = location

    def write(self, changes: Sequence[Change]) -> list[ChangeResult]:
        """One result for each change, in their order. Raises ChannelFault when certainly nothing was applied."""
        wanted = {change.listing_ref: change for change in changes}
        if len(wanted) != len(changes):
            raise ValueError("a listing comes twice in one set of changes")
        results: dict[str, ChangeResult] = {}
        for some in chunks(changes, ROWS_AT_ONCE):
            try:
                self._write_some(some, results)
            except ChannelFault as fault:
                if not any(one.status in (ChangeStatus.DONE, ChangeStatus.UNKNOWN) for one in results.values()):
                    raise
                held = f"not sent: {fault.resolution}"
                rest = [change for change in changes if change.listing_ref not in results]
                results |= _all(rest, ChangeStatus.REJECTED, held)
                break
        return [results[change.listing_ref] for change in changes]

    def _write_some(self, changes: Sequence[Change], results: dict[str, ChangeResult]) -> None:
        found = self._inventory.known_offers([change.listing_ref for change in changes])
        targets = {sku: tuple(one for one in offers if one.live and not one.auction) for sku, offers in found.items()}
        refused = self._refused(changes, targets)
        results |= refused
        going = [change for change in changes if change.listing_ref not in refused]
        if going:
            self._send(going, targets, results)

    def _refused(self, changes: Sequence[Change], targets: Targets) -> dict[str, ChangeResult]:
        """What is not sent, and why: no listing, a zero that would end it, no revision left."""
        reasons: dict[str, str] = {}
        for change in changes:
            if not targets[change.listing_ref]:
                reasons[change.listing_ref] = "no live fixed-price offer of the Inventory API has this SKU"
        zeros = [one for one in changes if one.quantity == 0 and one.listing_ref not in reasons]
        if zeros and not self._control.is_on():
            reasons |= {one.listing_ref: WHAT_TO_DO for one in zeros}
        going = [change for change in changes if change.listing_ref not in reasons]
        reasons |= self._over_budget(going, targets)
        return {ref: ChangeResult(ref, ChangeStatus.REJECTED, reason) for ref, reason in reasons.items()}

    def _over_budget(self, changes: Sequence[Change], targets: Targets) -> dict[str, str]:
        """Lowerings are counted first: what is left is for the raises."""
        day = vendor_day(self._now())
        groups = {change.listing_ref: self._group(change.listing_ref, targets) for change in changes}
        members = sorted({sku for _, skus in groups.values() for sku in skus})
        counted = self._memory.revisions.counts(members, day) if members else {}
        taken: dict[str, int] = {}
        reasons: dict[str, str] = {}
        for change in sorted(changes, key=_raises):
            listing, skus = groups[change.listing_ref]
            spent = sum(counted.get(sku, 0) for sku in skus) + taken.get(listing, 0)
            reason = refusal(spent, raises=_raises(change))
            if (listing, day) in self._memory.exhausted:
                reason = "revision budget: eBay itself refuses more revisions of the listing today"
            if reason is None:
                taken[listing] = taken.get(listing, 0) + 1
            else:
                reasons[change.listing_ref] = reason
        return reasons

    def _group(self, sku: str, targets: Targets) -> tuple[str, list[str]]:
        """eBay's listing of the SKU, and the SKUs that share its revisions, as far as they have been seen."""
        listing = targets[sku][0].listing_id
        return (listing, self._memory.siblings(listing) or [sku]) if listing else (f"sku:{sku}", [sku])

    def _send(self, changes: Sequence[Change], targets: Targets, results: dict[str, ChangeResult]) -> None:
        try:
            answer = self._client.call("POST", PATH, writes=True, json=self._body(changes, targets))
        except ChannelFault as fault:
            if fault.resolution in (Resolution.UNKNOWN, Resolution.MALFORMED):
                self._note(changes)
                results |= _all(changes, ChangeStatus.UNKNOWN, str(fault))
            elif fault.resolution is Resolution.REJECT and len(changes) > 1:
                # Nothing was applied, for one bad row, or because eBay takes one SKU a call, as one text of it says.
                for change in changes:
                    self._send([change], targets, results)
            elif fault.resolution is Resolution.REJECT:
                self._memory.forget_offers(changes[0].listing_ref)
                results |= _all(changes, ChangeStatus.REJECTED, str(fault))
            else:
                raise
            return
        rows = answer.body.get("responses") if isinstance(answer.body, Mapping) else None
        rows = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
        judged = [self._judge(change, targets[change.listing_ref], rows) for change in changes]
        self._note([change for change, one in zip(changes, judged, strict=True) if one.status in _MAY_BE_APPLIED])
        results |= {one.listing_ref: one for one in judged}

    def _body(self, changes: Sequence[Change], targets: Targets) -> dict[str, Any]:
        return {"requests": [self._row(change, targets[change.listing_ref]) for change in changes]}

    def _row(self, change: Change, offers: Sequence[Offer]) -> dict[str, Any]:
        stock: dict[str, Any] = {"quantity": change.quantity}
        if self._location is not None:
            stock["availabilityDistributions"] = [{"merchantLocationKey": self._location, "quantity": change.quantity}]
        levels = [{"offerId": offer.offer_id, "availableQuantity": change.quantity} for offer in offers]
        return {"sku": change.listing_ref, "shipToLocationAvailability": stock, "offers": levels}

    def _judge(self, change: Change, offers: Sequence[Offer], rows: Sequence[Mapping[str, Any]]) -> ChangeResult:
        """A row is done when every offer of it is; when only a part of it is, nobody knows what shows."""
        ref = change.listing_ref
        ids = [offer.offer_id for offer in offers]
        mine = [row for row in rows if row.get("offerId") in ids or (row.get("sku") == ref and not row.get("offerId"))]
        answered = [row.get("offerId") for row in mine]
        missing = [one for one in ids if one not in answered]
        statuses = [row.get("statusCode") for row in mine]
        done = [isinstance(status, int) and 200 <= status < 300 for status in statuses]
        refused = [isinstance(status, int) and 400 <= status < 500 for status in statuses]
        if mine and all(refused):
            return self._rejected(ref, offers, mine)
        if not missing and all(done):
            return ChangeResult(ref, ChangeStatus.DONE)
        return ChangeResult(ref, ChangeStatus.UNKNOWN, _doubt(mine, missing, statuses))

    def _rejected(self, ref: str, offers: Sequence[Offer], rows: Sequence[Mapping[str, Any]]) -> ChangeResult:
        ids = [one for row in rows for one in error_ids(row)]
        if any(_revised_too_often(row) for row in rows):
            self._memory.exhausted.add((offers[0].listing_id or f"sku:{ref}", vendor_day(self._now())))
            reason = "revision budget: eBay refuses more revisions of the listing today"
            return ChangeResult(ref, ChangeStatus.REJECTED, reason)
        if NOT_THERE & set(ids):
            self._memory.forget_offers(ref)
        return ChangeResult(ref, ChangeStatus.REJECTED, f"eBay refused the row, error {ids[0] if ids else 'unnamed'}")

    def _note(self, changes: Sequence[Change]) -> None:
        self._memory.revisions.add([change.listing_ref for change in changes], vendor_day(self._now()))


_MAY_BE_APPLIED = (ChangeStatus.DONE, ChangeStatus.UNKNOWN)


def _raises(change: Change) -> bool:
    """Lowering is what is known to lower; a zero always does."""
    return change.quantity != 0 and (change.expected is None or change.quantity >= change.expected)


def _revised_too_often(row: Mapping[str, Any]) -> bool:
    if REVISED_TOO_OFTEN in error_ids(row):
        return True
    errors = row.get("errors")
    texts = []
    for error in errors if isinstance(errors, list) else []:
        parameters = error.get("parameters") if isinstance(error, Mapping) else None
        for parameter in parameters if isinstance(parameters, list) else []:
            texts.append(str(parameter.get("value")) if isinstance(parameter, Mapping) else "")
    return any(str(REVISED_TOO_OFTEN) in text for text in texts)


def _doubt(rows: Sequence[Any], missing: Sequence[str], statuses: Sequence[Any]) -> str:
    if not rows:
        return "the answer does not name the row"
    if missing:
        return "the answer does not name every offer of the row"
    told = ", ".join(str(status) if isinstance(status, int) else "none" for status in statuses)
    return f"the parts of the row were answered with {told}"


def _all(changes: Sequence[Change], status: ChangeStatus, reason: str) -> dict[str, ChangeResult]:
    return {change.listing_ref: ChangeResult(change.listing_ref, status, reason) for change in changes}
