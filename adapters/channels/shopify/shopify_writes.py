"""Setting quantities at Shopify: one compare-and-set call, its errors by row, and the splits.

At Shopify a call is applied whole or not at all, and one stale row fails it. The rows that the errors
name are taken out, and the others are sent again under a key derived from the first: the first
key is spent, and these rows have certainly not been applied. Nothing is ever resent after a doubt.
"""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.channels.protocol import Change, ChangeResult, ChangeStatus
from adapters.channels.shopify.shopify_client import ShopifyClient
from adapters.channels.shopify.shopify_queries import SET_QUANTITIES
from adapters.http import ChannelFault, Resolution

MOST_ROWS = 250
MOST_CALLS = 5
"""Calls that one `set_quantities` makes at most, splits and all."""

STALE_CODES = frozenset({"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"})
MESSAGE_LENGTH = 200


@dataclass(frozen=True, slots=True)
class UserError:
    row: int | None
    """Index into the rows of the call; None when the error is about the whole call."""
    code: str
    message: str


def set_quantities(client: ShopifyClient, location_id: str, changes: Sequence[Change], key: str) -> list[ChangeResult]:
    """One result for each change, in their order. Raises ChannelFault when certainly nothing was applied,
    ValueError for a call that could never be right."""
    refs = [change.listing_ref for change in changes]
    if len(refs) > MOST_ROWS or len(set(refs)) != len(refs) or not key.strip():
        raise ValueError(f"a call takes {MOST_ROWS} different listings and a key")
    results: dict[str, ChangeResult] = {}
    rows = list(changes)
    for number in range(MOST_CALLS):
        if not rows:
            break
        call_key = key if number == 0 else _derived(key, number, rows)
        settled = _send(client, location_id, rows, call_key)
        results.update({result.listing_ref: result for result in settled})
        rows = [change for change in rows if change.listing_ref not in results]
    held = "held back: too many rows of its call were refused"
    results.update({row.listing_ref: ChangeResult(row.listing_ref, ChangeStatus.STALE, held) for row in rows})
    return [results[ref] for ref in refs]


def _send(client: ShopifyClient, location_id: str, rows: Sequence[Change], key: str) -> list[ChangeResult]:
    """The rows that this call settled; the others have not been applied and may be sent again."""
    try:
        data = client.run(SET_QUANTITIES, {"input": _input(location_id, rows, key), "key": key})
    except ChannelFault as fault:
        if fault.resolution is not Resolution.UNKNOWN:
            raise
        return _all(rows, ChangeStatus.UNKNOWN, str(fault))
    payload = data.get("inventorySetQuantities")
    errors = user_errors(payload)
    if errors is None or (errors and isinstance(payload, dict) and payload.get("inventoryAdjustmentGroup")):
        return _all(rows, ChangeStatus.UNKNOWN, "the answer contradicts itself")
    return _judge(rows, errors) if errors else _all(rows, ChangeStatus.DONE, "")


def _judge(rows: Sequence[Change], errors: Sequence[UserError]) -> list[ChangeResult]:
    codes = {error.code for error in errors}
    if "IDEMPOTENCY_CONCURRENT_REQUEST" in codes:
        # The first call with this key is still at work: what becomes of it is not known here.
        return _all(rows, ChangeStatus.UNKNOWN, "IDEMPOTENCY_CONCURRENT_REQUEST")
    if codes == {"IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"}:
        return []
    whole = next((error for error in errors if error.row is None or not 0 <= error.row < len(rows)), None)
    if whole is not None:
        status = ChangeStatus.STALE if whole.code in STALE_CODES else ChangeStatus.REJECTED
        return _all(rows, status, _reason(whole))
    by_row = {error.row: error for error in reversed(errors)}
    return [
        ChangeResult(
            rows[index].listing_ref,
            ChangeStatus.STALE if error.code in STALE_CODES else ChangeStatus.REJECTED,
            _reason(error),
        )
        for index, error in by_row.items()
        if index is not None
    ]


def user_errors(payload: Any) -> list[UserError] | None:
    """The user errors of the payload; None when it has not the shape of the schema."""
    raw = payload.get("userErrors") if isinstance(payload, dict) else None
    if not isinstance(raw, list) or not all(isinstance(error, dict) for error in raw):
        return None
    return [
        UserError(_row(error.get("field")), str(error.get("code") or "NO_CODE"), str(error.get("message") or ""))
        for error in raw
    ]


def _row(field: Any) -> int | None:
    """The index in a path such as `["input", "quantities", "3", "changeFromQuantity"]`."""
    path = [str(part) for part in field] if isinstance(field, list) else []
    if "quantities" not in path:
        return None
    rest = path[path.index("quantities") + 1 :]
    return int(rest[0]) if rest and re.fullmatch(r"\d{1,4}", rest[0]) else None


def _input(location_id: str, rows: Sequence[Change], key: str) -> dict[str, Any]:
    return {
        "name": "available",
        "reason": "correction",
        "referenceDocumentUri": f"gid://onhand/Push/{key}",
        "quantities": [
            {
                "inventoryItemId": row.listing_ref,
                "locationId": location_id,
                "quantity": row.quantity,
                # Must be present; null means "whatever it is now".
                "changeFromQuantity": row.expected,
            }
            for row in rows
        ],
    }


def _derived(key: str, number: int, rows: Sequence[Change]) -> str:
    """A new key for what is left: the same key, splits and rows give the same key again."""
    left = ",".join(row.listing_ref for row in rows)
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"onhand:{key}:{number}:{left}"))


def _reason(error: UserError) -> str:
    return f"{error.code}: {error.message}"[:MESSAGE_LENGTH]


def _all(rows: Sequence[Change], status: ChangeStatus, reason: str) -> list[ChangeResult]:
    return [ChangeResult(row.listing_ref, status, reason) for row in rows]
