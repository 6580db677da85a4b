"""Our requests and the imitated eBay's answers against eBay's own OpenAPI and AsyncAPI documents.

The contract suite judges its traffic in the same way (`test_ebay_contract.py`); here is what it does not come
to: keys, limits, locations, variations, paging of everything, and the notifications.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml
from ebay_stage import EbayStage, staged
from spec_traffic import SPECS, Exchange, Spec, schema_problems
from test_ebay_contract import ebay_spec

from adapters.channels.protocol import Change
from adapters.http import ChannelFault
from adapters.sandbox.ebay.ebay_documents import order_id
from adapters.sandbox.ebay.ebay_signing import account_deletion, notification_for
from adapters.sandbox.faults import FaultKind, Operation


@pytest.fixture(scope="module")
def spec() -> Spec:
    return ebay_spec()


@pytest.fixture
def stage() -> Iterator[EbayStage]:
    made = staged(locations=("berlin", "hamburg"))
    yield made
    made.close()


def judged(spec: Spec, stage: EbayStage) -> list[str]:
    answers: list[httpx.Response] = stage.wire.answers  # type: ignore[attr-defined]
    return [str(problem) for answer in answers for problem in spec.check(Exchange.of(answer))]


def use_everything(stage: EbayStage) -> None:
    for number in range(260):
        stage.shop.add_product(f"N-{number}", f"Thing {number}", 50)
    for sku in ("N-1", "N-2"):
        stage.stock.groups[stage.shop.product(sku).number] = "110000000001"
    stage.stock.unpublished.add(stage.shop.product("N-3").number)
    orders = [stage.buy((f"N-{number}", 3), ("N-9", 1)) for number in range(4, 12)]
    stage.shop.cancel(orders[0].number, reason="inventory")
    for how, order in zip(("refund", "return", "remove"), orders[1:], strict=False):
        stage.shop.cancel(order.number, [(order.lines[0].number, 2)], how=how)  # type: ignore[arg-type]
    channel = stage.open(transport=stage.wire, merchant_location_key="berlin", at_once=4)  # type: ignore[attr-defined]
    assert len(stage.pull(channel=channel)) == 8
    assert sum(len(page.entries) for page in channel.read_catalogue()) == 260
    skus = [f"N-{number}" for number in range(60)]
    assert len(channel.read_quantities([*skus, "nothing"])) == 60
    results = channel.set_quantities([Change(sku, 0, 50) for sku in [*skus, "nothing"]], "key")
    assert {result.status.value for result in results} == {"done", "rejected"}
    channel.pause(skus[:10])
    channel.read_orders([order_id(order.number) for order in orders] + ["99-99999-99999"])
    askings: dict[Operation, Callable[[], Any]] = {
        Operation.ORDERS: lambda: channel.read_orders(["10-00001-00001"]),
        Operation.READ: lambda: channel.read_quantities(["N-20"]),
        Operation.WRITE: lambda: channel.set_quantities([Change("N-20", 4, 0)], "key"),
    }
    for operation, ask in askings.items():
        stage.fault(FaultKind.THROTTLE, operation)
        with pytest.raises(ChannelFault):
            ask()
    webhooks = stage.webhooks(stage.wire)  # type: ignore[attr-defined]
    for body in (notification_for(stage.shop, orders[0]), account_deletion(stage.shop)):
        assert webhooks.verify(stage.app.state.signer.sign(body), body)  # type: ignore[attr-defined]
    stage.app.state.signer._keys.clear()  # type: ignore[attr-defined]
    stage.clock.seconds += 4000
    assert not webhooks.verify(json_header("unknown"), b"{}")


def json_header(kid: str) -> dict[str, str]:
    import base64

    proof = json.dumps({"alg": "ecdsa", "kid": kid, "signature": "AA=="}).encode()
    return {"x-ebay-signature": base64.b64encode(proof).decode()}


def test_all_that_is_sent_and_answered_is_in_the_specification(stage: EbayStage, spec: Spec) -> None:
    use_everything(stage)
    assert judged(spec, stage) == []
    summary = spec.summary()
    print(f"\neBay: {summary['requests']} requests and {summary['answers']} answers validated, {summary['left_out']}")
    operations = set(summary["requests_by_operation"])
    for path in (
        "/bulk_get_inventory_item",
        "/bulk_update_price_quantity",
        "/offer",
        "/order",
        "/order/{orderId}",
        "/public_key/{public_key_id}",
        "/rate_limit/",
    ):
        assert any(path in operation for operation in operations), path


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/sell/fulfillment/v1/order", {"orders": [{"orderId": 7}]}),
        ("/sell/inventory/v1/inventory_item", {"inventoryItems": "none"}),
        ("/sell/inventory/v1/offer", {"offers": [{"availableQuantity": "7"}]}),
    ],
)
def test_the_judge_sees_what_is_wrong(stage: EbayStage, spec: Spec, path: str, wrong: Any) -> None:
    stage.add("A", 5)
    stage.pull()
    list(stage.channel.read_catalogue())
    answers: list[httpx.Response] = stage.wire.answers  # type: ignore[attr-defined]
    request = next(answer.request for answer in answers if answer.request.url.path == path)
    assert spec.check(Exchange.of(httpx.Response(200, json=wrong, request=request)))
    unnamed = httpx.Request("GET", request.url)
    assert spec.check(Exchange.of(httpx.Response(200, json={}, request=unnamed))), "without a token"


@pytest.mark.parametrize(
    ("name", "topic"), [("ebay-market-account-deletion-asyncapi.yml", "MARKETPLACE_ACCOUNT_DELETION")]
)
def test_notifications_have_the_vendors_envelope(stage: EbayStage, name: str, topic: str) -> None:
    path = SPECS / "ebay" / name
    if not path.is_file():
        pytest.skip(f"the vendor's document is not here: ../shared/specs/ebay/{name}")
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    schemas = document["components"]["schemas"]
    stage.add("A", 5)
    for body, own in ((account_deletion(stage.shop), True), (notification_for(stage.shop, stage.buy(("A", 1))), False)):
        message = json.loads(body)
        assert message.keys() == {"metadata", "notification"}
        assert message["metadata"].keys() == schemas["MetaData"]["properties"].keys()
        assert message["notification"].keys() == schemas["Notification"]["properties"].keys()
        whole = {"$ref": "#/components/schemas/Notification", "components": document["components"]}
        assert schema_problems(whole, message["notification"]) == []
        assert (message["metadata"]["topic"] == topic) is own
