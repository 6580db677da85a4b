"""What the contract suite does not send: feeds, notifications, the warehouse, refusals; and Amazon's own examples.

Everything is judged by the vendor's models and schemas in `../shared/specs/amazon`, and counted.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import jsonschema
import pytest
from amazon_stage import AMAZON, MODELS, AmazonStage, load_spec
from contract_place import Place, served
from pydantic import SecretStr
from spec_openapi import OpenApiSpec
from spec_traffic import Spec, schema_problems

from adapters.channels.amazon import amazon_budget as budget
from adapters.channels.amazon.amazon import Amazon
from adapters.channels.amazon.amazon_listings import feed_document, patch_body, read_report
from adapters.channels.amazon.amazon_notifications import read_notification
from adapters.channels.amazon.amazon_orders import translate
from adapters.channels.protocol import Change, ChangeStatus
from adapters.http import ChannelFault
from adapters.sandbox.amazon.amazon import ORDERS
from adapters.sandbox.amazon.amazon_state import MARKETPLACE, SELLER, FbaStock

SCHEMAS = AMAZON / "schemas"
EXAMPLES = AMAZON / "sandbox_static_examples.json"
NOTIFICATIONS = {
    "ORDER_CHANGE": "OrderChangeNotification",
    "LISTINGS_ITEM_MFN_QUANTITY_CHANGE": "ListingsItemMfnQuantityChange",
    "FEED_PROCESSING_FINISHED": "FeedProcessingFinishedNotification",
}
OURS = ("orders_2026-01-01", "listingsItems_2021-08-01", "feeds_2021-06-30")
PERSONAL = (
    "Smith",
    "Thompson",
    "Oliveira",
    "Silva",
    "Yilmaz",
    "Paulista",
    "Oak Avenue",
    "7946",
    "buyer-email",
    "Natal",
)

pytestmark = pytest.mark.skipif(not EXAMPLES.is_file(), reason="../shared/specs/amazon is not here")


@pytest.fixture(scope="module")
def counts() -> Iterator[Counter[str]]:
    made: Counter[str] = Counter()
    yield made
    print(f"\nAmazon: {sum(made.values())} further messages validated, {dict(made)}")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served(records=True) as place:
        yield place


@pytest.fixture
def stage(place: Place) -> Iterator[AmazonStage]:
    place.exchanges.clear()
    with place.staged(AmazonStage) as stage:
        assert isinstance(stage, AmazonStage)
        yield stage


@pytest.fixture(scope="module")
def spec() -> Spec:
    return load_spec()


def judge(place: Place, spec: Spec, counts: Counter[str]) -> None:
    assert [str(problem) for exchange in place.exchanges for problem in spec.check(exchange)] == []
    counts["requests and answers"] += 2 * len(place.exchanges)


def test_feeds_the_catalogue_and_the_warehouse(
    stage: AmazonStage, place: Place, spec: Spec, counts: Counter[str]
) -> None:
    for number in range(60):
        stage.add(f"S-{number}", number)
        stage.add(f"F-{number}", number)
        stage.vendor.state.fba[f"F-{number}"] = FbaStock(1, 2, 3, 4, 5)
    rows = [Change(f"S-{number}", 2_000_000_000 if number == 7 else number, None) for number in range(60)]
    stage.channel.set_quantities(rows, "key")
    assert sum(len(page.entries) for page in stage.channel.read_catalogue()) == 120
    assert len(stage.channel.read_fba_stock()) == 60
    assert stage.channel._writer._feeds.still_running("") is False
    assert stage.channel.read_orders(["902-0000000-9999999", "nonsense"]).orders == []
    judge(place, spec, counts)
    documents = [one for one in place.exchanges if one.path.startswith("/presigned/")]
    uploaded, downloaded = documents[0].request_body, documents[1].body
    schema = SCHEMAS / "feeds"
    assert schema_problems(schema / "listings-feed-schema-v2.json", json.loads(uploaded)) == []
    assert schema_problems(schema / "listings-feed-processing-report-schema-v2.json", json.loads(downloaded)) == []
    for message in json.loads(uploaded)["messages"]:
        assert schema_problems(schema / "listings-feed-message-schema-v2.json", message) == []
    counts["feeds, their messages and reports"] += 62


def test_every_refusal_of_the_sandbox_is_the_vendors(
    stage: AmazonStage, place: Place, spec: Spec, counts: Counter[str]
) -> None:
    token = stage.vendor.state.new_token()
    feeds, items = "/feeds/2021-06-30", f"/listings/2021-08-01/items/{SELLER}"
    bad: list[tuple[str, str, Any]] = [
        ("GET", f"{ORDERS}?marketplaceIds=M", None),
        ("GET", f"{ORDERS}?lastUpdatedAfter=2026-11-20T06:00:00Z&paginationToken=x", None),
        ("GET", f"{ORDERS}/902-0000000-0000001", None),
        ("GET", f"{items}/NONE?marketplaceIds={MARKETPLACE}", None),
        ("GET", f"{items}?marketplaceIds=elsewhere", None),
        ("PATCH", f"{items}/NONE?marketplaceIds={MARKETPLACE}", patch_body(5)),
        ("POST", f"{feeds}/feeds", {"feedType": "X", "marketplaceIds": ["M"], "inputFeedDocumentId": "x"}),
        ("GET", f"{feeds}/feeds/1", None),
        ("GET", f"{feeds}/documents/1", None),
    ]
    with httpx.Client(base_url=stage.url, headers={"x-amz-access-token": token}, timeout=60) as client:
        for method, path, body in bad:
            assert client.request(method, path, json=body).status_code in (400, 404), path
    assert httpx.get(f"{stage.url}{ORDERS}?lastUpdatedAfter=2026-11-20T06:00:00Z", timeout=60).status_code == 403
    judge(place, spec, counts)


def test_notifications(stage: AmazonStage, counts: Counter[str]) -> None:
    stage.add("A", 50)
    first, second = stage.buy(("A", 2)), stage.buy(("A", 1))
    stage.shop.cancel(first.number)
    stage.vendor.state.statuses[second.number] = "SHIPPED"
    stage.shop.touch(second.number)
    rows = [Change(stage.add(f"S-{number}", 5).sku, 6, 5) for number in range(60)]
    stage.channel.set_quantities(rows, "key")
    kinds = set()
    for message in stage.vendor.queue.messages:
        body = json.loads(message.body)
        kind = body.get("NotificationType") or body["notificationType"]
        assert schema_problems(SCHEMAS / "notifications" / f"{NOTIFICATIONS[kind]}.json", body) == []
        kinds.add(kind)
        counts["notifications"] += 1
    assert kinds == set(NOTIFICATIONS)


@pytest.mark.parametrize("name", sorted(path.stem for path in (SCHEMAS / "notifications").glob("*.json")))
def test_amazons_own_notifications_are_read(name: str, counts: Counter[str]) -> None:
    schema = json.loads((SCHEMAS / "notifications" / f"{name}.json").read_text())
    for example in schema.get("examples", []):
        notice = read_notification(example)
        assert notice.event_id
        assert notice.topic.isupper()
        if notice.topic == "ORDER_CHANGE":
            assert notice.order_ids == ("903-8868176-2219830",)
        if notice.topic == "LISTINGS_ITEM_MFN_QUANTITY_CHANGE":
            assert notice.listing_refs == ("NLS-SHOES-03",)
        counts["Amazon's notifications, read"] += 1


# Amazon's static sandbox


def pairs(model: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(EXAMPLES.read_text())[model] if EXAMPLES.is_file() else []
    return found


ALL_PAIRS = [(model, number) for model in OURS for number in range(len(pairs(model)))]


def answered(status: int, body: Any) -> Amazon:
    """The adapter against an Amazon that answers exactly this, and a login that works."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/o2/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600, "token_type": "bearer"})
        return httpx.Response(status, json=body)

    return Amazon(
        "static",
        base_url="https://amazon.example",
        token_url="https://login.example/auth/o2/token",
        seller_id=SELLER,
        marketplace_ids=(MARKETPLACE,),
        client_id="c",
        client_secret=SecretStr("s"),
        refresh_token=SecretStr("r"),
        transport=httpx.MockTransport(answer),
        sleep=lambda seconds: None,
        apply_wait_s=0,
        plans={name: budget.Plan(1e6, 1e6) for name in budget.PLANS},
    )


@pytest.mark.parametrize(("model", "number"), ALL_PAIRS)
def test_amazons_examples_fit_its_own_models(model: str, number: int, spec: Spec, counts: Counter[str]) -> None:
    pair = pairs(model)[number]
    if pair["response"] is None:
        return
    document = json.loads((AMAZON / "models" / f"{model}.json").read_text())
    path = pair["path"]
    schema = document["paths"][path][pair["method"].lower()]["responses"][str(pair["status"])]["schema"]
    jsonschema.Draft4Validator({**schema, "definitions": document["definitions"]}).validate(pair["response"])
    counts["Amazon's examples, validated"] += 1


@pytest.mark.parametrize(("model", "number"), ALL_PAIRS)
def test_amazons_examples_are_read_by_the_adapter(model: str, number: int, counts: Counter[str]) -> None:
    pair = pairs(model)[number]
    channel = answered(pair["status"], pair["response"])
    try:
        used = reads(pair, channel)
    finally:
        channel.close()
    counts["Amazon's examples, read by the adapter"] += used


def reads(pair: Mapping[str, Any], channel: Amazon) -> bool:
    """Whether the adapter has a use for this operation."""
    operation, status, body = pair["operationId"], pair["status"], pair["response"]
    client = channel._client
    if operation == "searchOrders" and status == 200:
        orders = [translate(row, "row") for row in body["orders"]]
        check_orders(body["orders"], orders)
        return True
    if operation == "getOrder" and status == 200:
        order_id = body["order"]["orderId"]
        check_orders([body["order"]], channel.read_orders([order_id]).orders)
        return True
    if operation == "getOrder":
        (defect,) = channel.read_orders(["TEST_CASE_400"]).defects
        assert defect.reason == "Amazon refuses the id, InvalidInput"
        return True
    if operation == "getListingsItem" and status == 200:
        (reading,) = channel.read_quantities(["GM-ZDPI-9B4E"])
        assert (reading.quantity, reading.tracked) == (100, True)
        return True
    if operation == "searchListingsItems" and status == 200:
        (item,) = channel._listings._items(body["items"])[0]
        assert (item.sku, item.quantity, item.on_sale) == ("GM-ZDPI-9B4E", 100, True)
        return True
    if operation == "patchListingsItem" and status == 200:
        said = channel._writer._answered(body["sku"], body)
        assert (said is None) == (body["status"] == "ACCEPTED")
        if body["status"] == "INVALID":
            assert said is not None and (said.status, said.reason) == (
                ChangeStatus.REJECTED,
                "refused with 90000900",
            )
        return True
    if operation in ("getFeed", "getFeedDocument", "createFeed", "createFeedDocument"):
        if status < 300:
            assert {"getFeed": "feedId", "createFeed": "feedId"}.get(operation, "feedDocumentId") in body
            if operation == "getFeed":
                assert not channel._writer._feeds.still_running("FeedId1")
        return True
    if status == 400 and pair["method"] == "GET":
        with pytest.raises(ChannelFault) as caught:
            client.read(budget.GET_ORDER, "/any")
        assert caught.value.status == 400
        return True
    return False


def check_orders(rows: list[Any], orders: list[Any]) -> None:
    ours = [row for row in rows if row["fulfillment"]["fulfilledBy"] == "MERCHANT"]
    found = [order for order in orders if order is not None]
    assert [order["order_id"] for order in found] == [row["orderId"] for row in ours]
    for row, order in zip(ours, found, strict=True):
        items = row["orderItems"]
        assert [line["listing_ref"] for line in order["lines"]] == [item["product"]["sellerSku"] for item in items]
        assert [line["quantity"] for line in order["lines"]] == [item["quantityOrdered"] for item in items]
        assert order["reversals"] == []
        assert not [word for word in PERSONAL if word in json.dumps(order, ensure_ascii=False)]


def test_amazons_example_of_a_report_is_read(counts: Counter[str]) -> None:
    text = (SCHEMAS / "feeds" / "listings-feed-processing-report-schema-v2.example.json").read_bytes()
    report = read_report(text)
    assert report.refused == {4: "refused with 90220", 5: "refused with 99022"}
    assert (report.whole, report.accepted) == ("", 2)
    counts["Amazon's examples, read by the adapter"] += 1


def test_our_messages_are_as_in_amazons_example_of_a_feed(counts: Counter[str]) -> None:
    example = json.loads((SCHEMAS / "feeds" / "listings-feed-schema-v2.example.json").read_text())
    (theirs,) = [message for message in example["messages"] if message["sku"] == "My-SKU-E"]
    (ours,) = json.loads(feed_document("S", [Change("My-SKU-E", 10, None)]))["messages"]
    assert ours == {**theirs, "messageId": 1, "productType": "PRODUCT"}
    counts["Amazon's examples, read by the adapter"] += 1


def test_the_plans_are_those_of_the_models() -> None:
    """The table in each operation's description. Feeds of listings have a plan of their own."""
    for model in MODELS:
        document = json.loads((AMAZON / "models" / f"{model}.json").read_text())
        for path in document["paths"].values():
            for operation in path.values():
                name = operation.get("operationId") if isinstance(operation, dict) else None
                plan = budget.PLANS.get(str(name))
                if plan is None or name == budget.CREATE_FEED or "| Rate" not in operation["description"]:
                    continue
                row = operation["description"].split("| ---- | ---- |")[1].strip().splitlines()[0]
                rate, burst = (float(cell) for cell in row.strip("| ").split("|"))
                assert (plan.rate, plan.burst) == (rate, burst), name


def test_the_validator_sees_what_does_not_fit(spec: Spec, stage: AmazonStage, place: Place) -> None:
    assert isinstance(spec, OpenApiSpec)
    stage.add("A", 5)
    place.bend = lambda call, body: body.replace(b'"sku"', b'"uks"')
    with pytest.raises(ChannelFault):
        stage.channel.read_quantities(["A"])
    (exchange,) = [one for one in place.exchanges if one.path.startswith("/listings/")]
    bent = dataclasses.replace(exchange, distorted=False, body=exchange.body.replace(b'"sku"', b'"uks"'))
    assert spec.check(bent)
