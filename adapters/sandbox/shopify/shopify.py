"""An imitated Shopify shop on the wire format of the Admin GraphQL API.

What the vendor does and the schema does not tell, it does too: `@idempotent` and a present
`changeFromQuantity` are required (from 2026-04), a key is remembered for 24 h, one bad row fails the
whole call, and a throttled call is an HTTP 200.
"""

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    build_schema,
    execute_sync,
    get_directive_values,
    parse,
    validate,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.sandbox.control import control_routes, under_faults
from adapters.sandbox.deliveries import Deliveries
from adapters.sandbox.faults import Operation
from adapters.sandbox.shop import Naming, Shop, number_of
from adapters.sandbox.shopify.shopify_cost import Bucket, CostModel, actual_cost
from adapters.sandbox.shopify.shopify_locations import Locations
from adapters.sandbox.shopify.shopify_schema import Documents, gid, page
from adapters.sandbox.shopify.shopify_sdl import SDL
from adapters.sandbox.shopify.shopify_webhooks import MANNER, WebhookMessages
from adapters.sandbox.shopify.shopify_writes import Writes

API_VERSION = "2026-10"
LOCATION_ID = "gid://shopify/Location/1"
MAX_QUERY_COST = 1000

Info: TypeAlias = GraphQLResolveInfo[Any]


def create_app(
    shop: Shop,
    *,
    access_token: str,
    api_version: str = API_VERSION,
    location_ids: Sequence[str] = (LOCATION_ID,),
    service_locations: Collection[str] = (),
    maximum_available: float = 2000.0,
    restore_rate: float = 100.0,
    clock: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The shop's API and the control endpoints. The first location is the one that the shop sells from;
    `service_locations` are those of fulfilment services.

    `maximum_available` and `restore_rate` are the bucket of the plan, in points and points a second.
    """
    shop.naming = Naming(
        listing=lambda number: gid("InventoryItem", number),
        order=lambda number: gid("Order", number),
        line=lambda number: gid("LineItem", number),
    )
    locations = Locations(shop, location_ids, service_locations)
    api = _Api(shop, access_token, locations, Bucket(maximum_available, restore_rate, clock))
    graphql = Route(f"/admin/api/{api_version}/graphql.json", api.post, methods=["POST"])
    deliveries = Deliveries(shop, WebhookMessages(api_version).build, MANNER)
    app = Starlette(routes=[graphql, *control_routes(shop, deliveries)])
    app.state.deliveries = deliveries
    return app


def create_app_from_token(shop: Shop, token: str) -> Starlette:
    """A shop on the Plus plan: an order line costs three points, and the recorded days have thousands."""
    return create_app(shop, access_token=token, maximum_available=20_000.0, restore_rate=1_000.0)


@lru_cache(maxsize=1)
def schema() -> GraphQLSchema:
    return build_schema(SDL)


@lru_cache(maxsize=64)
def _prepared(text: str) -> tuple[DocumentNode, list[GraphQLError], CostModel | None]:
    document = parse(text)
    errors = validate(schema(), document)
    return document, errors, None if errors else CostModel(schema(), document)


class _Root:
    """The root fields. `graphql-core` calls each with the resolve info and the arguments."""

    def __init__(self, shop: Shop, locations: Locations) -> None:
        self._shop = shop
        self._locations = locations
        self._documents = Documents(shop, locations)
        self._writes = Writes(shop, locations.ids)

    def orders(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        query: str | None = None,
        sortKey: str | None = None,
    ) -> Any:
        found = self._shop.changed_since(_updated_since(query))
        if sortKey == "UPDATED_AT":
            # The search sorts by the full time, finer than the seconds that it shows.
            rows = [((order.updated_at.timestamp(), order.number), order) for order in found]
        else:
            rows = [((0.0, order.number), order) for order in sorted(found, key=lambda order: order.number)]
        shown = page(rows, first, after)
        return {**shown, "nodes": [self._documents.order(order) for order in shown["nodes"]]}

    def order(self, info: Info, id: str) -> Any:
        order = self._shop.orders.get(number_of(id))
        shown = order is not None and order.visible_from <= self._shop.monotonic()
        return self._documents.order(order) if order and shown else None

    def refund(self, info: Info, id: str) -> Any:
        return self._documents.refund(number_of(id))

    def inventoryItem(self, info: Info, id: str) -> Any:
        product = self._shop.products.get(number_of(id))
        return self._documents.item(product) if product else None

    def location(self, info: Info, id: str | None = None) -> Any:
        return self._locations.document(id or self._locations.ids[0])

    def productVariants(self, info: Info, first: int | None = None, after: str | None = None) -> Any:
        return page(self._documents.variants(), first, after)

    def nodes(self, info: Info, ids: Sequence[str]) -> Any:
        by_kind: dict[str, Callable[[Info, str], Any]] = {
            "InventoryItem": self.inventoryItem,
            "Refund": self.refund,
            "Order": self.order,
        }
        kinds = [node_id.split("/")[-2] if node_id.count("/") == 4 else "" for node_id in ids]
        return [
            by_kind[kind](info, node_id) if kind in by_kind else None for kind, node_id in zip(kinds, ids, strict=True)
        ]

    def inventorySetQuantities(self, info: Info, input: Mapping[str, Any]) -> Any:
        return self._writes.set_quantities(_idempotency_key(info), input)

    def locationEdit(self, info: Info, id: str, input: Mapping[str, Any]) -> Any:
        return self._locations.edit(id, input)

    def productVariantsBulkUpdate(
        self, info: Info, productId: str, variants: Sequence[Mapping[str, Any]], allowPartialUpdates: bool = False
    ) -> Any:
        return self._writes.set_policies(number_of(productId), variants, self._documents)


class _Api:
    def __init__(self, shop: Shop, access_token: str, locations: Locations, bucket: Bucket) -> None:
        self._shop = shop
        self._token = access_token
        self._bucket = bucket
        self._root = _Root(shop, locations)
        self._cursor_before: dict[str, str | None] = {}

    async def post(self, request: Request) -> Response:
        if request.headers.get("x-shopify-access-token") != self._token:
            message = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return JSONResponse({"errors": message}, status_code=401)
        try:
            body = await request.json()
            text, variables = str(body["query"]), body.get("variables") or {}
            document, errors, cost = _prepared(text)
        except (ValueError, KeyError, TypeError, GraphQLError):
            return JSONResponse({"errors": "Bad Request"}, status_code=400)
        if errors or cost is None:
            return JSONResponse({"errors": [{**error.formatted} for error in errors]})
        requested = cost.requested(variables)

        return await under_faults(
            self._shop,
            _operation(document),
            lambda: self._answer(document, variables, requested),
            throttled=lambda: self._throttle(requested),
            repeated=lambda: self._answer(document, self._one_page_back(variables), requested),
        )

    def _answer(self, document: DocumentNode, variables: Mapping[str, Any], requested: float) -> Response:
        if requested > MAX_QUERY_COST:
            message = (
                f"Query cost is {requested:.0f}, which exceeds the single query max cost limit ({MAX_QUERY_COST})."
            )
            return JSONResponse({"errors": [{"message": message, "extensions": {"code": "MAX_COST_EXCEEDED"}}]})
        if not self._bucket.take(requested):
            return self._throttled(requested)
        with self._shop.lock:
            result = execute_sync(schema(), document, self._root, variable_values=dict(variables))
        actual = min(requested, actual_cost(result.data)) if result.data else 1.0
        self._bucket.give_back(requested - actual)
        self._remember(variables, result.data)
        body: dict[str, Any] = {"data": result.data, "extensions": self._cost(requested, actual)}
        if result.errors:
            body["errors"] = [{**error.formatted} for error in result.errors]
        return JSONResponse(body)

    def _throttle(self, requested: float) -> Response:
        """As if others had drained the bucket: there will be enough in a second."""
        self._bucket.leave_only(requested - self._bucket.restore_rate)
        return self._throttled(requested)

    def _throttled(self, requested: float) -> Response:
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
        return JSONResponse({"errors": [error], "extensions": self._cost(requested, None)})

    def _cost(self, requested: float, actual: float | None) -> dict[str, Any]:
        status = {
            "maximumAvailable": self._bucket.maximum,
            "currentlyAvailable": round(self._bucket.available(), 3),
            "restoreRate": self._bucket.restore_rate,
        }
        return {"cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}}

    def _remember(self, variables: Mapping[str, Any], data: Any) -> None:
        orders = data.get("orders") if isinstance(data, dict) else None
        cursor = orders.get("pageInfo", {}).get("endCursor") if orders else None
        if cursor and cursor != variables.get("after"):
            self._cursor_before.setdefault(cursor, variables.get("after"))

    def _one_page_back(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        after = variables.get("after")
        return {**variables, "after": self._cursor_before.get(after)} if after else variables


def _operation(document: DocumentNode) -> Operation:
    definition = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    if definition.operation is OperationType.MUTATION:
        return Operation.WRITE
    fields = [node for node in definition.selection_set.selections if isinstance(node, FieldNode)]
    asked = {field.name.value for field in fields} | {
        inner.type_condition.name.value
        for field in fields
        for inner in (field.selection_set.selections if field.selection_set else ())
        if isinstance(inner, InlineFragmentNode) and inner.type_condition
    }
    return Operation.ORDERS if asked & {"orders", "order", "refund", "Order"} else Operation.READ


def _updated_since(query: str | None) -> datetime | None:
    """The search filter. Like the vendor, the sandbox ignores what it does not understand."""
    found = re.search(r"updated_at:>='?([0-9T:.+Z-]+)'?", query or "")
    if not found:
        return None
    moment = datetime.fromisoformat(found.group(1).replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _idempotency_key(info: Info) -> str:
    directive = schema().get_directive("idempotent")
    if directive is not None:
        given = get_directive_values(directive, info.field_nodes[0], info.variable_values)
        if given and str(given["key"]).strip():
            return str(given["key"])
    raise GraphQLError(
        "The @idempotent directive is required for this mutation but was not provided.",
        extensions={"code": "BAD_REQUEST"},
    )
