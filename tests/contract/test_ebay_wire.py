"""Tokens, limits and pages of eBay on the wire: what is asked how often, and what is lost (nothing)."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from ebay_stage import CLIENT_SECRET, REFRESH_TOKEN, EbayStage, staged
from pydantic import SecretStr

from adapters.channels.ebay.ebay import Ebay
from adapters.channels.ebay.ebay_memory import EbayMemory, memory_of
from adapters.channels.ebay.ebay_orders import UntranslatableError, translate_order
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.ebay.ebay_documents import order_document, order_id
from adapters.sandbox.faults import FaultKind, Operation

TOKEN = "/identity/v1/oauth2/token"
ORDERS = "/sell/fulfillment/v1/order"


@pytest.fixture
def stage() -> Iterator[EbayStage]:
    made = staged()
    yield made
    made.close()


def asked(stage: EbayStage, path: str) -> list[httpx.Request]:
    return [request for request in stage.wire.requests if request.url.path == path]  # type: ignore[attr-defined]


# Tokens


def test_a_token_outlives_its_adapter_and_is_replaced_before_it_ends(stage: EbayStage) -> None:
    for _ in range(3):
        channel = stage.open(transport=stage.wire)  # type: ignore[attr-defined]
        list(channel.read_catalogue())
    assert len(asked(stage, TOKEN)) == 1
    stage.clock.seconds += 7200 - 301
    list(stage.channel.read_catalogue())
    assert len(asked(stage, TOKEN)) == 1
    stage.clock.seconds += 2
    list(stage.channel.read_catalogue())
    assert len(asked(stage, TOKEN)) == 2
    (first, *_) = asked(stage, TOKEN)
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert b"grant_type=refresh_token" in first.content and b"scope" not in first.content


def test_an_old_token_is_renewed_once(stage: EbayStage) -> None:
    list(stage.channel.read_catalogue())
    stage.expire_credentials()
    list(stage.channel.read_catalogue())
    assert len(asked(stage, TOKEN)) == 2

    def never(request: httpx.Request) -> httpx.Response | None:
        return None if request.url.path == TOKEN else httpx.Response(401, json={"errors": [{"errorId": 1001}]})

    refused = staged(never)
    with pytest.raises(ChannelFault) as caught:
        refused.channel.read_orders(["10-00001-00001"])
    assert (caught.value.resolution, caught.value.code) == (Resolution.REAUTHENTICATE, "1001")
    assert len(asked(refused, TOKEN)) == 2
    refused.close()


@pytest.mark.parametrize(("status", "error"), [(400, "invalid_grant"), (401, "invalid_client"), (400, "invalid_scope")])
def test_a_consent_that_has_ended_needs_a_person_and_tells_no_secret(status: int, error: str) -> None:
    answer = httpx.Response(status, json={"error": error, "error_description": f"{REFRESH_TOKEN} {CLIENT_SECRET}"})
    stage = staged(lambda request: answer)
    with pytest.raises(ChannelFault) as caught:
        stage.channel.read_quantities(["A"])
    assert caught.value.resolution is Resolution.REAUTHENTICATE
    assert error in str(caught.value) and "consent" in str(caught.value)
    assert not [secret for secret in stage.secrets if secret in str(caught.value)]
    stage.close()


def test_each_account_has_its_own_memory() -> None:
    one, other = SecretStr("one"), SecretStr("other")
    assert memory_of("https://api.ebay.com", one) is memory_of("https://api.ebay.com", one)
    assert memory_of("https://api.ebay.com", one) is not memory_of("https://api.ebay.com", other)
    assert "'one'" not in repr(memory_of("https://api.ebay.com", one))


def test_nothing_goes_in_the_clear_beyond_this_machine() -> None:
    secret = SecretStr("s")
    settings = {"client_id": secret, "client_secret": secret, "refresh_token": secret, "marketplace_id": "EBAY_US"}
    with pytest.raises(ValueError, match="https"):
        Ebay("ebay", base_url="http://api.ebay.com", memory=EbayMemory(), **settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="page_size"):
        Ebay("ebay", base_url="https://api.ebay.com", page_size=1, memory=EbayMemory(), **settings)  # type: ignore[arg-type]


# Limits


def test_the_reset_of_a_limit_is_asked_for_once(stage: EbayStage) -> None:
    stage.add("A", 1)
    stage.channel.read_quantities(["A"])
    stage.fault(FaultKind.THROTTLE, Operation.READ)
    with pytest.raises(ChannelFault) as caught:
        stage.channel.read_quantities(["A"])
    assert (caught.value.resolution, caught.value.code, caught.value.status) == (Resolution.RATE_LIMITED, "2001", 429)
    assert caught.value.retry_after == 30.0
    (limit,) = asked(stage, "/developer/analytics/v1_beta/rate_limit/")
    assert dict(limit.url.params) == {"api_context": "sell", "api_name": "inventory"}


@pytest.mark.parametrize("answer", [204, {}, {"rateLimits": [{"resources": [{"rates": [{"remaining": 0}]}]}]}])
def test_a_limit_without_a_reset_is_still_a_limit(answer: object) -> None:
    def see(request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith("/rate_limit/"):
            return httpx.Response(204) if answer == 204 else httpx.Response(200, json=answer)
        return None if request.url.path == TOKEN else httpx.Response(429, json={"errors": [{"errorId": 2001}]})

    stage = staged(see)
    with pytest.raises(ChannelFault) as caught:
        stage.channel.pull_orders(stage.clock.now())
    assert (caught.value.resolution, caught.value.retry_after) == (Resolution.RATE_LIMITED, None)
    stage.close()


# Pages


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("changes", [5, 25, 60])
@pytest.mark.parametrize("page_size", [2, 5, 20])
def test_orders_sold_before_the_pull_are_all_in_it_whatever_moves(
    newest_first: bool, page_size: int, changes: int
) -> None:
    """Stronger than the contract: also an order that changes while it is read was sold, and must be told."""
    turns = iter(range(1, changes + 1))

    def meanwhile(request: httpx.Request) -> None:
        turn = next(turns, None)
        if request.url.path == ORDERS and turn is not None:
            stage.clock.seconds += 0.7
            stage.shop.touch(orders[turn * 7 % len(orders)].number)

    stage = staged(meanwhile, newest_first=newest_first)  # type: ignore[arg-type]
    stage.add("A", 1000)
    orders = [stage.buy(("A", 1)) for _ in range(23)]
    channel = stage.open(transport=stage.wire, page_size=page_size)  # type: ignore[attr-defined]
    try:
        found = stage.pull(channel=channel)
    except ChannelFault as fault:
        assert fault.resolution is Resolution.MALFORMED and "faster" in str(fault)
        assert page_size < 20 and changes > 5, "nobody has pages that small"
        stage.close()
        return
    assert {document["order_id"] for document in found} == {order_id(order.number) for order in orders}
    assert len(found) == len(orders)
    stage.close()


def test_a_pull_that_begins_in_the_vendors_future_is_empty(stage: EbayStage) -> None:
    stage.add("A", 5)
    stage.buy(("A", 1))
    assert stage.pull(stage.clock.now() + timedelta(hours=1)) == []


def test_the_whole_order_is_asked_for_only_when_it_was_cancelled(stage: EbayStage) -> None:
    stage.add("A", 50)
    orders = [stage.buy(("A", 1)) for _ in range(3)]
    stage.shop.cancel(orders[1].number, reason="inventory")
    found = stage.pull()
    assert [row["reason"] for document in found for row in document["reversals"]] == ["inventory"]
    single = [request for request in stage.wire.requests if request.url.path.startswith(f"{ORDERS}/")]  # type: ignore[attr-defined]
    assert [request.url.path for request in single] == [f"{ORDERS}/{order_id(orders[1].number)}"]
    assert asked(stage, ORDERS)[0].url.params["filter"].startswith("lastmodifieddate:[")


def test_more_orders_are_read_singly_than_fit_one_call(stage: EbayStage) -> None:
    stage.add("A", 500)
    names = [order_id(stage.buy(("A", 1)).number) for _ in range(120)]
    page = stage.channel.read_orders([*names, "not an id!", "99-99999-99999"])
    assert sorted(document["order_id"] for document in page.orders) == sorted(names)
    assert page.defects == []


# Translation


def test_a_line_without_a_sku_is_named_by_ebays_item(stage: EbayStage) -> None:
    stage.add("A", 5)
    row = order_document(stage.buy(("A", 2)), stage.stock, whole=True)
    (line,) = row["lineItems"]
    del line["sku"]
    assert translate_order(row, "row 0")["lines"][0]["listing_ref"] == f"item:{line['legacyItemId']}"
    line["legacyVariationId"] = "77"
    assert translate_order(row, "row 0")["lines"][0]["listing_ref"] == f"item:{line['legacyItemId']}/77"
    assert stage.channel.read_quantities(["item:1/77"]) == []


@pytest.mark.parametrize(("how", "kind"), [("refund", "refund"), ("return", "return")])
def test_a_refund_reverses_a_line_when_it_pays_all_of_it(stage: EbayStage, how: str, kind: str) -> None:
    for sku in "AB":
        stage.add(sku, 50)
    order = stage.buy(("A", 3), ("B", 1))
    line = order.lines[0].number
    stage.clock.seconds += 60
    stage.shop.cancel(order.number, [(line, 2)], how=how)  # type: ignore[arg-type]
    (document,) = stage.pull()
    assert document["reversals"] == [], "money alone"
    stage.shop.cancel(order.number, [(line, 1)], how=how)  # type: ignore[arg-type]
    (document,) = stage.pull()
    (row,) = document["reversals"]
    assert (row["reversal_id"], row["quantity"], row["kind"], row["restocked"]) == (f"closed:{line}", 3, kind, None)
    stage.shop.cancel(order.number)
    (document,) = stage.pull()
    assert [one["reversal_id"] for one in document["reversals"]] == [f"closed:{one.number}" for one in order.lines]
    assert document["cancelled"] is True


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("OUT_OF_STOCK_OR_CANNOT_FULFILL", "inventory"),
        ("out of stock", "inventory"),
        ("Buyer hasn't paid, ORDER_UNPAID", "payment"),
        ("BUYER_ASKED_CANCEL", "customer"),
        ("Order placed by mistake", "customer"),
        ("Order won't arrive in time", "customer"),
        ("Found a cheaper price", "customer"),
        ("something else", "other"),
        (None, "other"),
    ],
)
def test_each_reason(stage: EbayStage, text: object, reason: str) -> None:
    stage.add("A", 5)
    order = stage.buy(("A", 2))
    stage.shop.cancel(order.number)
    row = order_document(order, stage.stock, whole=True)
    row["cancelStatus"]["cancelRequests"][0]["cancelReason"] = text
    assert translate_order(row, "row 0")["reversals"][0]["reason"] == reason


@pytest.mark.parametrize("row", [None, [], {}, {"orderId": 7}, {"orderId": "1"}, {"orderId": "1", "lineItems": [{}]}])
def test_what_is_no_order_is_said_so(row: object) -> None:
    with pytest.raises(UntranslatableError):
        translate_order(row, "row 0")
