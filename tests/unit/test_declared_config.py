"""The description of a channel: the example loads, every key is documented, every mistake is told with its place."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from adapters.channels.config import ChannelConfigBase
from adapters.channels.declared.declared_trial import explain
from adapters.channels.http_config import HttpConfig, place_of, problems_of
from inventory.words import WriteMode

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "declared_channel.md").read_text()


def example() -> dict[str, Any]:
    (table,) = tomllib.loads((DOCS / "portal.example.toml").read_text())["channel"]
    return json.loads(json.dumps(table))


def with_(place: str, value: Any) -> list[str]:
    """The problems of the example with one thing changed; None takes a key away."""
    table = example()
    *above, key = place.split("/")
    at = table
    for part in above:
        at = at[part]
    if value is None:
        del at[key]
    else:
        at[key] = value
    try:
        HttpConfig(**table)
    except ValidationError as error:
        return problems_of(error, "channel", 2)
    return []


def models_below(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if model in seen:
        return
    seen.add(model)
    yield model
    for field in model.model_fields.values():
        for found in _models_in(field.annotation):
            yield from models_below(found, seen)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


KEYS = sorted(
    {field.alias or name for model in models_below(HttpConfig, set()) for name, field in model.model_fields.items()}
    - set(ChannelConfigBase.model_fields)
)


def test_the_example_loads_and_says_what_it_would_ask() -> None:
    config = HttpConfig(**example())
    assert config.write_mode is WriteMode.COMPARE_AND_SET
    assert config.setup().vendor == "http"
    text = "\n".join(explain(config))
    assert "GET /orders?changed_from={updated_since}&cursor={cursor}" in text
    assert "PORTAL" not in text


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_documented(key: str) -> None:
    assert re.search(rf"`[^`\n]*\b{re.escape(key)}\b[^`\n]*`", PAGE)


def test_the_toml_in_the_page_is_valid() -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        described = tomllib.loads(block)["channel"]
        assert HttpConfig(**{**example(), **described}).stock.write.compare == "version"


def test_the_keys_of_every_channel_are_no_methods() -> None:
    methods = {name for name in dir(ChannelConfigBase) if callable(getattr(ChannelConfigBase, name, None))}
    assert set(HttpConfig.model_fields) & methods == set()


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("ordrs", {}, "channel.2: there is no key 'ordrs' here; did you mean 'orders'?"),
        ("orders", None, "channel.2.orders: is missing; write it"),
        ("orders/paging", {"kind": "cursor", "curser": "x"}, "channel.2.orders.paging: there is no key 'curser'"),
        ("orders/paging", {"kind": "cursor"}, "write either cursor (a path) or header (a name)"),
        ("orders/paging", {"kind": "pages"}, "channel.2.orders.paging: Input tag 'pages'"),
        ("orders/paging", {"kind": "page"}, "paging is by page, but no parameter has it"),
        ("orders/paging", {"kind": "none"}, "uses {cursor}, but paging.kind is 'none'"),
        ("orders/records", "orders[", "channel.2.orders.records: 'orders[' is no JMESPath expression"),
        ("orders/records", "lenght(orders)", "did you mean length()?"),
        ("orders/records", 7, "is no path; write a JMESPath expression"),
        ("orders/sort", "date", "channel.2.orders.sort: Input should be 'oldest_change_first'"),
        ("orders/params", {"cursor": "{cursor}"}, "write a parameter with \"{updated_since}\", or whole_list = true"),
        ("orders/params", {"a": "{updated_sinc}"}, "{updated_sinc} means nothing here; the placeholders"),
        ("orders/params", {"a": "{updated_since.tzinfo}"}, "has a brace that belongs to no placeholder"),
        ("orders/params", {"a": "{{cursor}}"}, "has a brace that belongs to no placeholder"),
        ("orders/path", "orders", "is no path; write it from the slash on"),
        ("orders/path", "//evil.example/orders", "is no path"),
        ("orders/path", "https://evil.example/orders", "is no path"),
        ("orders/path", "/orders?x=1", "is no path"),
        ("orders/path", "/orders/../admin", 'has a part "." or ".."'),
        ("orders/path", "/orders/%2e%2E/admin", 'has a part "." or ".."'),
        ("orders/path", "/a\r\nHost: evil", "is no path"),
        ("orders/path", "/\\evil.example", "is no path"),
        ("orders/headers", {"X-A": "1\r\nX-B: 2"}, "the value of X-A is no header value"),
        ("orders/headers", {"X A": "1"}, "is no name of a header"),
        ("orders/headers", {"Authorization": "Bearer x"}, "credentials belong into auth"),
        ("orders/headers", {"Host": "evil.example"}, "the header Host is not for the description"),
        ("orders/method", "DELETE", "reads a list with a method that changes things"),
        ("orders/date_format", "isoo", "is no date format; write iso, epoch_s, epoch_ms or a pattern"),
        ("orders/zone", "Berlin", "is no time zone; write one as UTC or Europe/Berlin"),
        ("orders/fields/lines", None, "channel.2.orders.fields.lines: is missing"),
        ("orders/fields/test", {"path": "a", "constant": True}, "write exactly one of path, join, constant"),
        ("orders/fields/test", {}, "write exactly one of path, join, constant"),
        ("orders/fields/status", None, "has statuses but no fields.status"),
        ("orders/fields/line/gone", "cancelled", "has left and gone, which say the same"),
        ("orders/fields/line/quantity_is", "left", 'quantity_is = "left" needs gone'),
        ("orders/reversals/fields/kind", {"path": "k", "words": {"a": "gone"}}, "'gone' is none of our words"),
        ("orders/statuses/closed", {"x": {"reason": {"constant": "mood"}}}, "write one of customer, payment, fraud"),
        ("orders/single", {"path": "/orders/{order_id}", "batch": 5}, "write {order_ids}, or batch = 1"),
        ("orders/single", {"path": "/orders"}, "must ask by {order_id} or by {order_ids}"),
        ("stock/read/version_header", "ETag", "version_header belongs to a read of one listing"),
        ("stock/read/fields/listing_ref", None, "channel.2.stock.read.fields.listing_ref: is missing"),
        ("stock/write/compare", "version", "compares by version but does not send it"),
        ("stock/write/compare", "none", "sends {expected} but compare is 'none'; write compare = 'expected'"),
        ("stock/write/row", {"a": "{listing_ref}", "e": "{expected}"}, "does not send the quantity"),
        ("stock/write/row", {"a": "{rows}"}, "{rows} means nothing here"),
        ("stock/write/row", None, "needs both or neither: {rows} in the body, and row"),
        ("stock/write/path", "/stock/{listing_ref}", "{listing_ref} belongs into row when several are sent at once"),
        ("stock/write/result/records", None, "the answer must tell of each"),
        ("stock/write/result/done", None, "has state but nothing that counts as done"),
        ("stock/write/result/statuses", {"412": "old"}, "stock.write.result.statuses.412: Input should be"),
        ("limits/statuses", {"200": "retry"}, "200 is no status of an error"),
        ("limits/statuses", {"500": "ignore"}, "channel.2.limits.statuses.500"),
        ("auth/kind", "oauth", "channel.2.auth: Input tag 'oauth'"),
        ("auth/client_secret_env", "my secret!", "channel.2.auth.client_secret_env"),
        ("auth/token_url", "http://login.example.com/token", "auth.token_url must begin with https://"),
        ("auth", {"kind": "header", "name": "Host", "value_env": "A"}, "the header Host is not for the description"),
        ("base_url", "http://portal.example.com", "base_url must begin with https://"),
        ("base_url", "https://me:secret@portal.example.com", "holds a user or a password"),
        ("base_url", "https://portal.example.com?key=1", "has a query or a fragment"),
        ("pause/is_paused", None, "channel.2.pause.is_paused: is missing"),
        ("pause/stop", {"path": "/x/{order_id}"}, "the placeholders of this place are: none"),
        ("webhook/signed", "{timestamp}", "must sign the body exactly once"),
        ("webhook/signed", "{body}", "a time counts only when it is signed"),
        ("webhook/secret_envs", [], "channel.2.webhook.secret_envs"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(place: str, value: Any, told: str) -> None:
    problems = with_(place, value)
    assert any(told in problem for problem in problems), problems
    assert all(problem.startswith("channel.2") for problem in problems)
    assert "me:secret" not in "".join(problems)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"until_ahead_s": 0, "sort": "steady", "paging": {"kind": "page"}}, 'write sort = "oldest_change_first"'),
        ({"until_ahead_s": -120}, "write settle_seconds = 120 or more"),
    ],
)
def test_a_window_that_loses_orders_is_refused(changes: dict[str, Any], told: str) -> None:
    table = example()
    page = "{page}" if "paging" in changes else "{cursor}"
    table["orders"] |= {"params": {"from": "{updated_since}", "to": "{until}", "at": page}, **changes}
    with pytest.raises(ValidationError, match=re.escape(told)):
        HttpConfig(**table)


def test_a_secret_that_no_header_can_hold_is_refused_without_being_said() -> None:
    table = {**example(), "auth": {"kind": "bearer", "token_env": "PORTAL_TOKEN"}}
    for value in ("line\r\nX-Evil: 1", "", "ü"):
        with pytest.raises(ValueError, match="the value of PORTAL_TOKEN cannot stand in a header") as caught:
            HttpConfig(**table).open(lambda name, value=value: SecretStr(value))
        assert "Evil" not in str(caught.value)


def test_the_tags_of_variants_are_left_out_of_a_place() -> None:
    assert place_of((2, "http", "orders", "paging", "cursor", "cursor")) == "2.orders.paging.cursor"
    assert place_of(("orders", "paging", "cursor")) == "orders.paging"
