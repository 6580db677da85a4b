"""A supplier's feed as JSON. Where its records and their values are is said by JMESPath expressions."""

import json
from typing import Any

from adapters.channels.declared.declared_values import Path, UntranslatableError
from adapters.suppliers.feed_content import FeedContent, FeedError, UnreadRow, decoded, plain
from adapters.suppliers.supplier_config import JsonShape


def read_json_feed(content: bytes, shape: JsonShape) -> FeedContent:
    """Raises FeedError."""
    text = decoded(content, "utf-8")
    try:
        # Numbers as they are written: 12 and 12.0 and 1e9 are told apart by whoever reads quantities.
        document = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) - 1
        why = "it ends too early: it was cut off" if cut else f"line {error.lineno} is no JSON"
        raise FeedError(why) from None
    except (ValueError, RecursionError):
        raise FeedError("it is no JSON that can be read: nested too deep, or a number too long") from None
    records = _of(shape.records, document)
    if not isinstance(records, list):
        raise FeedError(f"{shape.records.text} is no list: another file, or another path?")
    found = FeedContent()
    if shape.as_of is not None:
        found.as_of = plain(_of(shape.as_of, document)) or ""
    paths = {path.text: path for path in (shape.code, shape.quantity, shape.promised_at) if path is not None}
    names = (shape.code.text, shape.quantity.text, shape.promised_at.text if shape.promised_at else "")
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict | list):
            found.unread.append(UnreadRow(number, "is no record"))
            continue
        try:
            values = {name: path.of(record) for name, path in paths.items()}
        except UntranslatableError as error:
            found.unread.append(UnreadRow(number, str(error)))
            continue
        found.add(number, values.get, names)
    return found


def _of(path: Path, document: Any) -> Any:
    try:
        return path.of(document)
    except UntranslatableError as error:
        raise FeedError(str(error)) from None
