"""The frames that the suites judge: `orders_frame` from a channel's documents, `push_frame` from our own rows.

Building a frame never raises and never judges: what cannot be read becomes the missing value of its kind,
in a row that carries its key, and a rule fails that row. Nothing is dropped but an identical repeat.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from expectations.cells import Kind, column, flag, instant, own_whole, raw, text, whole
from inventory.words import ReversalKind, ReversalReason

LINE, REVERSAL = "line", "reversal"

ORDER_COLUMNS: dict[str, Kind] = {
    "row_key": Kind.TEXT,
    "kind": Kind.TEXT,
    "document": Kind.NUMBER,
    "channel": Kind.TEXT,
    "order_id": Kind.TEXT,
    "line_id": Kind.TEXT,
    "reversal_id": Kind.TEXT,
    "listing_ref": Kind.TEXT,
    "sku": Kind.TEXT,
    "quantity": Kind.NUMBER,
    "quantity_raw": Kind.TEXT,
    "placed_at": Kind.INSTANT,
    "updated_at": Kind.INSTANT,
    "occurred_at": Kind.INSTANT,
    "mapped": Kind.FLAG,
    "duplicate": Kind.FLAG,
    "line_known": Kind.FLAG,
    "words_known": Kind.FLAG,
    "document_ok": Kind.FLAG,
}

PUSH_COLUMNS: dict[str, Kind] = {
    "row_key": Kind.TEXT,
    "listing_id": Kind.NUMBER,
    "channel": Kind.TEXT,
    "listing_ref": Kind.TEXT,
    "sku": Kind.TEXT,
    "quantity": Kind.NUMBER,
    "previous": Kind.NUMBER,
    "units_per_listing": Kind.NUMBER,
    "ceiling": Kind.NUMBER,
    "sellable": Kind.NUMBER,
    "exposure_others": Kind.NUMBER,
    "exposure_after": Kind.NUMBER,
    "cap": Kind.NUMBER,
    "tracked": Kind.FLAG,
    "mapped": Kind.FLAG,
    "mode": Kind.TEXT,
    "computed_at": Kind.INSTANT,
    "must_lower": Kind.FLAG,
}

_REVERSAL_KINDS = frozenset(str(kind) for kind in ReversalKind)
_REVERSAL_REASONS = frozenset(str(reason) for reason in ReversalReason)

Row = dict[str, Any]


def orders_frame(
    channel: str,
    documents: Sequence[Any],
    *,
    known_refs: Mapping[str, str],
    non_stock: Collection[str],
    now: datetime,
) -> pd.DataFrame:
    """One row for each line and each reversal of the documents (`adapters.channels.protocol.OrderDocument`).

    `known_refs` maps listing_ref → SKU; `non_stock` are the SKUs that are explicitly no stock (shipping, gift
    cards). `document` is the position in `documents`; a document that comes again word for word has no rows the
    second time, and one without lines and reversals has none at all. A document or entry that cannot be read has
    one row all the same. A reversal takes `listing_ref`, `sku` and `mapped` from its line if that is in the
    document; if not, it counts as mapped (`line_known` tells). `occurred_at` of a line is its `placed_at`.

    `duplicate` marks every row of a line (or reversal) of one order that comes with different contents, or more
    than once in one document. `now` is unused today: reading asks no clock, and the rules are told the time.
    """
    del now
    rows: list[Row] = []
    for position, document in _without_repeats(documents):
        rows.extend(_document_rows(channel, position, document, known_refs, non_stock))
    _mark_duplicates(rows)
    return _frame(rows, ORDER_COLUMNS)


def push_frame(rows: Iterable[Any]) -> pd.DataFrame:
    """One row for each quantity that we intend to send; each of `rows` is a mapping with the keys of `PUSH_COLUMNS`.

    quantity           what we intend to send, in listings; `previous`: what is live as we know it, None = unknown
    units_per_listing  units of the SKU that one listing sells
    ceiling            the largest quantity that keeps the exposure of the SKU within what is sellable
    sellable, exposure_others, exposure_after   units: what there is, what the other listings of the SKU may sell,
                       what this listing may sell once the write has left
    cap                the policy's own maximum, None = none; one that cannot be read is -inf, so that all exceed it
    must_lower         the present exposure of the listing is not backed by sellable units

    `row_key` is made here. Numbers may come as int, integral Decimal or float; anything else is unknown (NaN).
    """
    return _frame([_push_row(number, row) for number, row in enumerate(rows)], PUSH_COLUMNS)


def _frame(rows: list[Row], kinds: Mapping[str, Kind]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: column([row[name] for row in rows], kind) for name, kind in kinds.items()},
        index=pd.RangeIndex(len(rows)),
    )


def _without_repeats(documents: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    seen: dict[str | None, list[tuple[Any, str]]] = defaultdict(list)
    for position, document in enumerate(documents):
        order_id = text(document.get("order_id")) if isinstance(document, dict) else None
        if order_id is None:
            yield position, document
            continue
        earlier = seen[order_id]
        canonical = _canonical(document) if earlier else ""
        if any((words or _canonical(other)) == canonical for other, words in earlier):
            continue
        earlier.append((document, canonical))
        yield position, document


def _canonical(value: Any) -> str:
    """The same text for the same JSON; for what is no JSON, a text that equals only its own."""
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return f"<{id(value)}>"


def _document_rows(
    channel: str, position: int, document: Any, known_refs: Mapping[str, str], non_stock: Collection[str]
) -> Iterator[Row]:
    source = document if isinstance(document, dict) else {}
    order_id = text(source.get("order_id"))
    lines, reversals = source.get("lines"), source.get("reversals")
    header_ok = (
        order_id is not None
        and isinstance(lines, list)
        and isinstance(reversals, list)
        and all(isinstance(source.get(name), bool) for name in ("cancelled", "test"))
    )
    key = f"{channel}/{order_id or f'document[{position}]'}"
    header: Row = dict.fromkeys(ORDER_COLUMNS) | {
        "row_key": key,
        "kind": LINE,
        "document": position,
        "channel": channel,
        "order_id": order_id,
        "quantity": math.nan,
        "quantity_raw": raw(None),
        "placed_at": instant(source.get("placed_at")),
        "updated_at": instant(source.get("updated_at")),
        "mapped": False,
        "duplicate": False,
        "line_known": True,
        "words_known": True,
        "document_ok": header_ok,
        "content": None,
    }
    header["occurred_at"] = header["placed_at"]
    by_line: dict[str, Row] = {}
    count = 0
    for number, entry in enumerate(lines if isinstance(lines, list) else ()):
        row = _line_row(header, number, entry, known_refs, non_stock)
        if row["line_id"] is not None:
            by_line.setdefault(row["line_id"], row)
        count += 1
        yield row
    for number, entry in enumerate(reversals if isinstance(reversals, list) else ()):
        count += 1
        yield _reversal_row(header, number, entry, by_line)
    if count == 0 and not header_ok:
        yield header


def _line_row(header: Row, number: int, entry: Any, known_refs: Mapping[str, str], non_stock: Collection[str]) -> Row:
    source = entry if isinstance(entry, dict) else {}
    line_id, ref, own_sku = (text(source.get(name)) for name in ("line_id", "listing_ref", "sku"))
    known = ref is not None and ref in known_refs
    return header | {
        "row_key": f"{header['row_key']}/line{f'/{line_id}' if line_id else f'[{number}]'}",
        "line_id": line_id,
        "listing_ref": ref,
        "sku": known_refs[ref] if known and ref is not None else own_sku,
        "quantity": whole(source.get("quantity")),
        "quantity_raw": raw(source.get("quantity")),
        "mapped": known or (own_sku is not None and own_sku in non_stock),
        "content": entry,
    }


def _reversal_row(header: Row, number: int, entry: Any, by_line: Mapping[str, Row]) -> Row:
    source = entry if isinstance(entry, dict) else {}
    reversal_id, line_id = text(source.get("reversal_id")), text(source.get("line_id"))
    line = by_line.get(line_id) if line_id is not None else None
    restocked = source.get("restocked")
    return header | {
        "row_key": f"{header['row_key']}/reversal{f'/{reversal_id}' if reversal_id else f'[{number}]'}",
        "kind": REVERSAL,
        "line_id": line_id,
        "reversal_id": reversal_id,
        "listing_ref": line["listing_ref"] if line else None,
        "sku": line["sku"] if line else None,
        "quantity": whole(source.get("quantity")),
        "quantity_raw": raw(source.get("quantity")),
        "occurred_at": instant(source.get("occurred_at")),
        "mapped": line["mapped"] if line else True,
        "line_known": line is not None,
        "words_known": (
            text(source.get("kind")) in _REVERSAL_KINDS
            and text(source.get("reason")) in _REVERSAL_REASONS
            and (restocked is None or isinstance(restocked, bool))
        ),
        "content": entry,
    }


def _mark_duplicates(rows: list[Row]) -> None:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        own_id = row["line_id"] if row["kind"] == LINE else row["reversal_id"]
        if row["order_id"] is not None and own_id is not None:
            groups[row["order_id"], row["kind"], own_id].append(row)
    for group in groups.values():
        if len(group) < 2:
            continue
        contents = {_canonical(row["content"]) for row in group}
        in_one_document = max(Counter(row["document"] for row in group).values()) > 1
        if len(contents) > 1 or in_one_document:
            for row in group:
                row["duplicate"] = True


def _push_row(number: int, given: Any) -> Row:
    source = given if isinstance(given, Mapping) else {}
    row: Row = {}
    for name, kind in PUSH_COLUMNS.items():
        value = source.get(name)
        if kind is Kind.NUMBER:
            row[name] = own_whole(value)
        elif kind is Kind.TEXT:
            row[name] = text(value)
        elif kind is Kind.INSTANT:
            row[name] = instant(value)
        else:
            row[name] = flag(value)
    if math.isnan(row["cap"]) and not _is_none(source.get("cap")):
        row["cap"] = -math.inf
    named = row["channel"] is not None and row["listing_ref"] is not None
    row["row_key"] = f"{row['channel']}/{row['listing_ref']}" if named else f"row[{number}]"
    return row


def _is_none(value: Any) -> bool:
    """None, or the NaN that a frame or a database driver makes of it."""
    return value is None or (isinstance(value, float) and math.isnan(value))
