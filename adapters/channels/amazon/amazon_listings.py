"""Amazon's listings item (Listings Items API 2021-08-01) and its write, translated. Pure: no wire, no clock."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.channels.protocol import CatalogueEntry, Change, Reading

OURS = "DEFAULT"
"""Fulfilment channel code of what the seller sends himself (MFN). All others are somebody else's warehouse."""
PRODUCT_TYPE = "PRODUCT"
"""The generic type: a patch of the quantity need not know the product's own."""
FEED_TYPE = "JSON_LISTINGS_FEED"
FEED_CONTENT = "application/json; charset=UTF-8"


class UnreadableError(Exception):
    """An answer without the shape of the vendor's model. Names no value, only a shape."""


@dataclass(frozen=True, slots=True)
class Item:
    sku: str
    channel: str | None
    """Fulfilment channel code: `DEFAULT` only where there is no other; None where it says none at all."""
    quantity: int | None
    """What it shows for `DEFAULT`."""
    title: str
    on_sale: bool | None
    created: str
    """Of its first summary; empty when it has none."""

    def reading(self) -> Reading:
        """A listing that another warehouse fulfils has nothing of ours on sale, and we do not count it."""
        ours = self.channel == OURS
        return Reading(self.sku, (self.quantity or 0) if ours else 0, tracked=ours)

    def entry(self) -> CatalogueEntry:
        ours = self.channel == OURS
        return CatalogueEntry(
            listing_ref=self.sku,
            sku=self.sku,
            title=self.title,
            quantity=self.quantity if ours else None,
            tracked=ours if self.channel else None,
            oversell_allowed=False if ours else None,
            on_sale=self.on_sale,
            stocked_here=ours if self.channel else None,
            fulfilled_by_channel=self.channel not in (None, OURS),
        )


def read_item(row: Any) -> Item:
    """Raises UnreadableError."""
    sku = row.get("sku") if isinstance(row, Mapping) else None
    if not isinstance(sku, str) or not sku:
        raise UnreadableError("a listing without a sku")
    channel, quantity = _fulfilment(row.get("fulfillmentAvailability"))
    summaries = [one for one in _rows(row.get("summaries"), "summaries")]
    titles = [one["itemName"] for one in summaries if isinstance(one.get("itemName"), str)]
    created = [one["createdDate"] for one in summaries if isinstance(one.get("createdDate"), str)]
    statuses = [one.get("status") for one in summaries]
    buyable = any(isinstance(status, list) and "BUYABLE" in status for status in statuses)
    return Item(
        sku=sku,
        channel=channel,
        quantity=quantity,
        title=titles[0] if titles else "",
        on_sale=buyable if summaries else None,
        created=min(created, default=""),
    )


def _fulfilment(value: Any) -> tuple[str | None, int | None]:
    found: str | None = None
    quantity: int | None = None
    for row in _rows(value, "fulfillmentAvailability"):
        code, shown = row.get("fulfillmentChannelCode"), row.get("quantity", 0)
        if not isinstance(code, str) or isinstance(shown, bool) or not isinstance(shown, int):
            raise UnreadableError("a fulfilment channel without a code, or with a quantity that is no whole number")
        if code == OURS:
            quantity = shown
        # One foreign code is enough: a DEFAULT quantity beside it would flip the offer to merchant-fulfilled.
        found = code if found in (None, OURS) else found
    return found, quantity


def _rows(value: Any, name: str) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        raise UnreadableError(f"{name} is not a list of objects")
    return value


def patch_of(quantity: int) -> dict[str, Any]:
    """`merge` and not `replace`, which would wipe the handling time and the restock date beside the quantity."""
    value = [{"fulfillment_channel_code": OURS, "quantity": quantity}]
    return {"op": "merge", "path": "/attributes/fulfillment_availability", "value": value}


def patch_body(quantity: int) -> dict[str, Any]:
    return {"productType": PRODUCT_TYPE, "patches": [patch_of(quantity)]}


def feed_document(seller_id: str, changes: Sequence[Change]) -> bytes:
    """A message for each change; its `messageId` is its place, from 1."""
    messages = [
        {
            "messageId": number,
            "sku": change.listing_ref,
            "operationType": "PATCH",
            "productType": PRODUCT_TYPE,
            "patches": [patch_of(change.quantity)],
        }
        for number, change in enumerate(changes, start=1)
    ]
    header = {"sellerId": seller_id, "version": "2.0", "issueLocale": "en_US"}
    return json.dumps({"header": header, "messages": messages}, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class FeedReport:
    refused: Mapping[int, str]
    """Number of a message → the codes of its errors."""
    whole: str
    """Codes of errors that name no message; empty when there are none."""
    accepted: int | None


def read_report(content: bytes) -> FeedReport:
    """The processing report of a feed. Raises UnreadableError."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, Mapping) or not isinstance(body.get("header"), Mapping):
        raise UnreadableError("the processing report is no report")
    refused: dict[int, list[Mapping[str, Any]]] = {}
    whole: list[Mapping[str, Any]] = []
    for issue in _rows(body.get("issues"), "issues"):
        if issue.get("severity") == "ERROR":
            number = issue.get("messageId")
            known = isinstance(number, int) and not isinstance(number, bool)
            (refused.setdefault(int(str(number)), []) if known else whole).append(issue)
    summary = body.get("summary")
    accepted = summary.get("messagesAccepted") if isinstance(summary, Mapping) else None
    return FeedReport(
        {number: issue_codes(issues) for number, issues in refused.items()},
        issue_codes(whole) if whole else "",
        accepted if isinstance(accepted, int) else None,
    )


def issue_codes(issues: Any) -> str:
    """The codes of errors, for a reason; the messages beside them may quote what was sent."""
    rows = issues if isinstance(issues, list) else []
    errors = [row for row in rows if isinstance(row, Mapping) and row.get("severity", "ERROR") == "ERROR"]
    codes = dict.fromkeys(str(row.get("code") or "without a code")[:40] for row in errors)
    return f"refused with {', '.join(codes)}" if codes else "refused without an issue"
