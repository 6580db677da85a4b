"""How the bytes of a sample reach each parser of outside data: as an answer, a file, a header, a body, a field."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

import httpx
import parser_samples as samples
from parser_mutations import Kind
from pydantic import SecretStr, TypeAdapter

from adapters import count_csv, seller_csv
from adapters.channels.bigcommerce import bigcommerce_orders
from adapters.channels.declared.declared_stock import judge_answer
from adapters.channels.ebay import ebay_notifications
from adapters.channels.ebay.ebay_notifications import EbayWebhooks
from adapters.channels.http_config import HttpConfig
from adapters.channels.protocol import Change
from adapters.channels.registry import read_channels
from adapters.channels.shopify import shopify_orders
from adapters.channels.webhooks import ReceivesWebhooks
from adapters.http import Answer, ChannelFault, call, make_client
from adapters.slack import Slack
from adapters.suppliers.feed_source import instant_of, quantity_text, read_feed
from adapters.suppliers.supplier_config import Shape, read_suppliers
from expectations import cells, seller_frames
from inventory.counting import item_costs
from inventory.skus import fault_of, normalise
from onhand.services.intake import judge
from onhand.services.problems import Problem, parse

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRET = SecretStr("a-secret-of-the-tests")


@dataclass(frozen=True)
class Parser:
    name: str
    kind: Kind
    read: Callable[[bytes], Any]
    samples: Sequence[bytes]
    errors: tuple[type[Exception], ...] = ()
    """All that it may raise."""
    covers: tuple[str, ...] = ()
    """Modules."""
    may_quote: bool = False
    """What it gives holds values of its input on purpose, whatever they are."""
    accepts: bool = True
    """Its samples are read without an error."""


class NoJson(Exception):
    """The bytes are no JSON at all: that is refused before the parser, by `adapters.http`, which is one itself."""


def document(content: bytes) -> Any:
    """As `adapters.http` reads an answer."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise NoJson from None


def of_json(read: Callable[[Any], Any]) -> Callable[[bytes], Any]:
    return lambda content: read(document(content))


def shopify_order(whole: Any) -> Any:
    given = shopify_orders.mapping(whole, "the order")
    node = shopify_orders.mapping(given.get("node"), "the node")
    shopify_orders.refund_ids(node)
    shopify_orders.connection(node, "lineItems")
    refunds = [
        shopify_orders.Refund(str(one.get("id")), one.get("processedAt"), one["lines"])
        for one in rows_of(given.get("refunds"))
        if isinstance(one.get("lines"), list)
    ]
    lines = given.get("lines")
    return shopify_orders.translate(node, lines if isinstance(lines, list) else [], refunds, "gid://shopify/Location/1")


def rows_of(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def bigcommerce_order(given: Any) -> Any:
    row = part(given, "order")
    bigcommerce_orders.changed_at(row)
    within = bigcommerce_orders.lines_within(row) if isinstance(row, Mapping) else None
    items = within if within is not None else part(given, "items")
    return bigcommerce_orders.translate_order(row, items, listed(part(given, "refunds")), "row 0")


@cache
def portal() -> HttpConfig:
    with as_file(samples.PORTAL, ".toml") as path:
        return cast("HttpConfig", read_channels(path)["portal"])


def judged_write(body: Any) -> Any:
    answer = Answer(200, {}, body)
    return judge_answer(portal().stock.write, [Change("X1", 4, 3), Change("X2", 1, None)], answer)


class as_file:
    """The bytes as a file, for what reads files."""

    _folder = tempfile.TemporaryDirectory(prefix="onhand-parsers-")

    def __init__(self, content: bytes, ending: str) -> None:
        self._path = Path(self._folder.name) / f"given{ending}"
        self._path.write_bytes(content)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink()


def by_file(read: Callable[[Path], Any], ending: str) -> Callable[[bytes], Any]:
    def made(content: bytes) -> Any:
        with as_file(content, ending) as path:
            return read(path)

    return made


def webhook(receiver: ReceivesWebhooks) -> Callable[[bytes], Any]:
    """Its signature is looked at, and then believed: what is behind it is to be reached."""

    class Believed:
        verify = staticmethod(lambda headers, body: receiver.verify(headers, body) or True)
        read = receiver.read

    def made(content: bytes) -> Any:
        message = document(content)
        given = part(message, "headers")
        headers = {str(k).lower(): str(v) for k, v in given.items()} if isinstance(given, Mapping) else {}
        try:
            body = json.dumps(part(message, "body")).encode("utf-8", "surrogatepass")
        except RecursionError:
            raise NoJson from None
        if isinstance(part(message, "body"), str):
            body = message["body"].encode("utf-8", "surrogatepass")
        if isinstance(receiver, EbayWebhooks):
            # Behind this a key would be fetched from the vendor.
            ebay_notifications._proof(headers.get("x-ebay-signature", ""))
            return judge("shop", ReadOnly(receiver), headers, body, NOW, timedelta(minutes=5))
        if hasattr(receiver, "signed_at"):
            receiver.signed_at(headers, body)
        return judge("shop", cast("ReceivesWebhooks", Believed()), headers, body, NOW, timedelta(days=10**5))

    return made


class ReadOnly:
    def __init__(self, receiver: ReceivesWebhooks) -> None:
        self.read = receiver.read

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        return True


def ebay_webhooks() -> EbayWebhooks:
    return EbayWebhooks(
        "ebay", base_url="https://api.ebay.test", client_id=SECRET, client_secret=SECRET,
        endpoint="https://onhand.test/webhooks/ebay", verification_token=SECRET,
    )  # fmt: skip


def of_table(required: Sequence[str], optional: Sequence[str] = ()) -> Callable[[bytes], Any]:
    """As every flow reads a seller's table, from a file and pasted; and then its numbers and codes."""

    def made(content: bytes) -> Any:
        with as_file(content, ".csv") as path:
            table = seller_csv.read_csv(path.name, required=required, optional=optional, folder=path.parent)
        for row in table.rows:
            for cell in row.cells.values():
                seller_frames.quantity_of(cell)
                item_costs.cost_of(cell)
                cells.text(cell)
                cells.instant(cell)
                cells.raw(cell)
                normalise(cell)
                fault_of(cell)
        assert all(one.number > 0 and one.reason for one in table.bad)
        return len(table.rows), table.bad

    return made


def pasted(text: str) -> Any:
    return seller_csv.read_csv(text, required=("sku", "quantity"), folder=Path("/nonexistent")).bad


def count_sheet(content: bytes) -> Any:
    with as_file(content, ".csv") as path:
        table = seller_csv.read_csv(
            path.name, required=count_csv.REQUIRED, optional=count_csv.OPTIONAL, folder=path.parent
        )
    written = [count_csv.harmless(cell) for row in table.rows for cell in row.cells.values()]
    assert not [cell for cell in written if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    return [count_csv.plain(cell) for cell in written]


SHAPES: TypeAdapter[Shape] = TypeAdapter(Shape)
CSV_FEED = SHAPES.validate_python(
    {"format": "csv", "delimiter": ";", "encoding": "windows-1252", "code": "Artikelnummer", "quantity": "Bestand",
     "promised_at": "Nächste Lieferung"}
)  # fmt: skip
JSON_FEED = SHAPES.validate_python(
    {"format": "json", "records": "data.articles", "code": "id", "quantity": "stock.free",
     "promised_at": "stock.next_delivery", "as_of": "data.generated_at"}
)  # fmt: skip
XML_FEED = SHAPES.validate_python(
    {"format": "xml", "records": "stock/article", "code": "@no", "quantity": "free", "promised_at": "next",
     "as_of": "stock/@at"}
)  # fmt: skip


def of_feed(shape: Shape) -> Callable[[bytes], Any]:
    def made(content: bytes) -> Any:
        with as_file(samples.SUPPLIERS, ".toml") as path:
            suppliers = [read_suppliers(path)["acme"]] if not SUPPLIERS else SUPPLIERS
        SUPPLIERS[:] = suppliers
        found = read_feed(content, shape)
        for row in found.rows:
            instant_of(row.promised, suppliers[0])
            quantity_text(row.quantity, suppliers[0])
        assert all(one.number > 0 and one.reason for one in found.unread)
        return found

    return made


SUPPLIERS: list[Any] = []


GIVEN: list[tuple[int, bytes]] = []
"""Status and content of the next answers."""
TRANSPORT = httpx.MockTransport(lambda request: httpx.Response(GIVEN[0][0], content=GIVEN.pop(0)[1]))
CLIENT = make_client(base_url="https://shop.test", transport=TRANSPORT)
SLACK = Slack(SecretStr("https://hooks.slack.test/x"), transport=TRANSPORT)


def over_http(content: bytes) -> Any:
    """As an answer, and as the body of a refusal, of which only a plain code may be told."""
    GIVEN[:] = [(422, content), (200, content)]
    with suppress(ChannelFault):
        call(CLIENT, "shop", "GET", "/orders", writes=False)
        raise AssertionError("a refusal is a fault")
    return type(call(CLIENT, "shop", "GET", "/orders", writes=False).body).__name__


def from_slack(content: bytes) -> None:
    GIVEN[:] = [(400, content)]
    SLACK._post({})


def of_text(read: Callable[[str], Any]) -> Callable[[bytes], Any]:
    def made(content: bytes) -> Any:
        try:
            # Halves of characters, as JSON can have them.
            given = content.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            given = content.decode("utf-8", "replace")
        return read(given)

    return made


def of_header(read: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """As a server hands on the bytes of a header."""
    return lambda content: read(content.decode("latin-1"))


def of_body(adapter: TypeAdapter[Any]) -> Callable[[bytes], Any]:
    def made(content: bytes) -> Any:
        try:
            return parse(adapter, content)
        except Problem as problem:
            assert problem.response().status_code in (400, 422)
            raise

    return made


def gate_cells(value: Any) -> Any:
    """What a frame of the gate takes from an order: nothing of it may raise."""
    return [
        (cells.text(one), cells.whole(one), cells.own_whole(one), cells.instant(one), cells.flag(one), cells.raw(one))
        for one in ([value, *value.values()] if isinstance(value, dict) else [value])
    ]


def csv_of(columns: Sequence[str]) -> bytes:
    return (",".join(columns) + "\n" + ",".join("2" for _ in columns) + "\n" + ",".join(columns) + "\n").encode()
