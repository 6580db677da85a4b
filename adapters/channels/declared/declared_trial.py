"""Try a description out without the network: on an answer that was saved, or by reading what it would ask."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from adapters.channels.declared.declared_fields import Orders
from adapters.channels.declared.declared_mapping import order_id_of, status_of, translate_order
from adapters.channels.declared.declared_models import Request, Switch
from adapters.channels.declared.declared_values import UntranslatableError, whole
from adapters.channels.http_config import HttpConfig
from adapters.channels.protocol import OrderDocument
from inventory.words import ReversalKind, ReversalReason


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a sample. Neither part holds more than the description takes from it."""

    orders: list[OrderDocument] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What is wrong with the description or the sample, one line each, with the order it is about."""


def try_mapping(config: HttpConfig, sample: Any) -> Trial:
    """Read a saved answer (as JSON values): a page of orders, or one order alone."""
    orders = config.orders
    try:
        rows = orders.records.of(sample)
    except UntranslatableError:
        rows = None
    if not isinstance(rows, list):
        if order_id_of(orders, sample) is None:
            return Trial(problems=[f"orders.records: there is no list at {orders.records.text}, and no order either"])
        rows = [sample]
    if not rows:
        return Trial(
            problems=[f"orders.records: the list at {orders.records.text} is empty; save an answer with orders"]
        )
    trial = Trial()
    for place, row in enumerate(rows):
        name = f"order {order_id_of(orders, row) or f'in row {place}'}"
        try:
            document = translate_order(orders, row)
        except UntranslatableError as error:
            trial.problems.append(f"{name}: {error}")
            continue
        trial.problems.extend(f"{name}: {problem}" for problem in _status_problems(orders, row))
        if document is None:
            continue
        trial.orders.append(document)
        trial.problems.extend(f"{name}: {problem}" for problem in _problems(document))
    return trial


def explain(config: HttpConfig) -> list[str]:
    """What the channel would be asked, line by line, and what follows from the description."""
    stock = config.stock
    lines = [
        f"{config.code} at {config.base_url}, authentication by {config.auth.kind}",
        f"orders: {_request(config.orders)}, pages by {config.orders.paging.kind}, sorted {config.orders.sort}",
        f"stock is read: {_request(stock.read)}, {stock.read.batch} at once"
        if stock.read.by_ref
        else f"stock is read: {_request(stock.read)}, the whole list each time",
        f"stock is written: {_request(stock.write)}, {stock.write.batch} at once, compared by {stock.write.compare}",
    ]
    single = config.orders.single
    lines.append(
        f"single orders: {_request(single)}"
        if single
        else f"single orders: none; they are looked for among those of the last {config.orders.recent_s:g} s"
    )
    lines.append(f"catalogue: {_request(config.catalogue)}" if config.catalogue else "catalogue: not described")
    if isinstance(config.pause, Switch):
        lines.append(f"a pause: {_request(config.pause.stop)}; back: {_request(config.pause.start)}")
    else:
        lines.append("a pause: every listing is set to zero")
    lines.append("webhooks: signed, see webhook" if config.webhook else "webhooks: none; it is polled")
    return lines


def _request(request: Request) -> str:
    query = "&".join(f"{name}={value}" for name, value in request.params.items())
    body = "" if request.body is None else f" with {json.dumps(request.body)}"
    return f"{request.method} {request.path}{f'?{query}' if query else ''}{body}"


def _status_problems(orders: Orders, row: Any) -> list[str]:
    statuses = orders.statuses
    status = status_of(orders, row)
    if not statuses.known or status in (*statuses.known, *statuses.ignored, *statuses.closed):
        return []
    return [f"the status {str(status)[:60]!r} is none of orders.statuses; it counts as a sale"]


def _problems(document: OrderDocument) -> list[str]:
    """What the gate would hold back; it judges far more than this."""
    found = [f"{name} is no date with an offset" for name in ("placed_at", "updated_at") if not _dated(document[name])]
    if not isinstance(document["test"], bool):
        found.append("test is neither true nor false")
    if not document["lines"]:
        found.append("it has no lines")
    for number, line in enumerate(document["lines"]):
        if not isinstance(line["line_id"], str) or not isinstance(line["listing_ref"], str):
            found.append(f"line {number} has no line_id or no listing_ref")
        units = line["quantity"]
        if not isinstance(units, int) or isinstance(units, bool) or units < 0:
            found.append(f"line {number}: quantity is no number of units")
    known = {line["line_id"] for line in document["lines"]}
    seen: set[Any] = set()
    for one in document["reversals"]:
        found += [f"reversal {one['reversal_id']}: {problem}" for problem in _reversal_problems(one, known, seen)]
        seen.add(one["reversal_id"])
    return found


def _reversal_problems(one: Mapping[str, Any], lines: set[Any], seen: set[Any]) -> list[str]:
    found = []
    if one["line_id"] not in lines:
        found.append("is of no line of the order")
    if one["reversal_id"] is None or one["reversal_id"] in seen:
        found.append("has no id of its own; join the id of the line to it")
    if (whole(one["quantity"]) or 0) < 1:
        found.append("quantity is no number of units")
    if one["kind"] not in list(ReversalKind) or one["reason"] not in list(ReversalReason):
        found.append("kind or reason is none of our words")
    if not (one["restocked"] is None or isinstance(one["restocked"], bool)):
        found.append("restocked is neither true nor false")
    if not _dated(one["occurred_at"]):
        found.append("occurred_at is no date with an offset")
    return found


def _dated(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).astimezone(UTC) is not None and "T" in value
    except (ValueError, OverflowError):
        return False
