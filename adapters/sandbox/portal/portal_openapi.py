"""The wholesale portal's own OpenAPI 3.1 document: what `GET /openapi.json` answers."""

from functools import lru_cache
from typing import Any

API = "/api/v1"
LARGEST_PAGE = 100
LARGEST_BATCH = 50

Schema = dict[str, Any]


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(name: str) -> Schema:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


TEXT: Schema = {"type": "string", "minLength": 1}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
MOMENT: Schema = {"type": "string", "format": "date-time"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
MAYBE_UNITS: Schema = {"type": ["integer", "null"]}
REASON: Schema = {"enum": ["customer_request", "not_paid", "fraud", "not_available", "damaged", "other"]}

SCHEMAS: dict[str, Schema] = {
    "Order": _object(
        id=TEXT,
        state={"enum": ["draft", "confirmed", "cancelled"]},
        placed_at=MOMENT,
        changed_at=MOMENT,
        test=FLAG,
        reservation_key=MAYBE_TEXT,
        cancellation={"oneOf": [{"type": "null"}, _object(reason=REASON, remark=MAYBE_TEXT)]},
        customer=_object(company=TEXT, contact=TEXT, email=TEXT),
        ship_to=_object(name=TEXT, street=TEXT, phone=TEXT),
        remark=MAYBE_TEXT,
        lines=_list("Line"),
        adjustments=_list("Adjustment"),
    ),
    "Line": _object(id=TEXT, article=TEXT, sku=TEXT, ordered={"type": "integer", "minimum": 1}, open=COUNT),
    "Adjustment": _object(
        id=TEXT,
        kind={"enum": ["cancelled", "credited", "returned"]},
        reason=REASON,
        restocked=FLAG,
        at=MOMENT,
        lines={"type": "array", "items": _object(line=TEXT, quantity={"type": "integer", "minimum": 1})},
    ),
    "Stock": _object(article=TEXT, available=MAYBE_UNITS, counted=FLAG, backorder=FLAG, version=COUNT),
    "Article": _object(
        article=TEXT, sku=TEXT, title=TEXT, available=MAYBE_UNITS, counted=FLAG, backorder=FLAG, listed=FLAG
    ),
    "Update": {
        **_object(article=TEXT, available=COUNT, if_available={"type": "integer"}, if_version={"type": "integer"}),
        "required": ["article", "available"],
    },
    "Result": _object(
        article=TEXT,
        result={"enum": ["updated", "conflict", "unknown_article", "not_counted", "invalid"]},
        available=MAYBE_UNITS,
        version=MAYBE_UNITS,
    ),
    "Storefront": _object(open=FLAG),
    "Error": _object(code=TEXT, detail=TEXT),
}

ERROR: Schema = {"$ref": "#/components/schemas/Error"}
CURSOR = {"name": "cursor", "in": "query", "schema": TEXT}
LIMIT = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": 50},
}
TOO_FAST = {
    **_answer("Too fast. Nothing was done.", ERROR),
    "headers": {"X-Portal-Retry-In-Ms": {"required": True, "schema": {"type": "integer", "minimum": 0}}},
}


def _operation(name: str, answer: Schema, *, refusals: tuple[int, ...] = (400,), **more: Any) -> Schema:
    refused = {str(status): _answer("Refused.", ERROR) for status in (*refusals, 401)}
    return {"operationId": name, "responses": {"200": _answer("Done.", answer), **refused, "429": TOO_FAST}, **more}


def _body(schema: Schema) -> Schema:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _page_of(name: str, schema: str) -> Schema:
    return _object(**{name: _list(schema)}, next_cursor=MAYBE_TEXT)


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The whole document."""
    path_id = {"name": "order", "in": "path", "required": True, "schema": TEXT}
    since = {"name": "changed_from", "in": "query", "schema": MOMENT}
    articles = {"name": "articles", "in": "query", "required": True, "schema": TEXT}
    updates = {**_list("Update"), "minItems": 1, "maxItems": LARGEST_BATCH}
    storefront: Schema = {"$ref": "#/components/schemas/Storefront"}
    paths = {
        "/oauth/token": {"post": _token()},
        "/orders": {
            "get": _operation("listOrders", _page_of("orders", "Order"), parameters=[since, CURSOR, LIMIT]),
        },
        "/orders/{order}": {
            "get": _operation(
                "readOrder", {"$ref": "#/components/schemas/Order"}, refusals=(404,), parameters=[path_id]
            ),
        },
        "/stock": {"get": _operation("readStock", _object(stock=_list("Stock")), parameters=[articles])},
        "/stock/batch": {
            "post": _operation(
                "writeStock",
                _object(results=_list("Result")),
                refusals=(400, 413),
                requestBody=_body(_object(updates=updates)),
            ),
        },
        "/articles": {
            "get": _operation("listArticles", _page_of("articles", "Article"), parameters=[CURSOR, LIMIT]),
        },
        "/storefront": {
            "get": _operation("readStorefront", storefront, refusals=()),
            "put": _operation("switchStorefront", storefront, requestBody=_body(storefront)),
        },
    }
    schemes = {
        "key": {"type": "apiKey", "in": "header", "name": "X-Portal-Key"},
        "token": {
            "type": "oauth2",
            "flows": {"clientCredentials": {"tokenUrl": f"{API}/oauth/token", "scopes": {}}},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wholesale portal",
            "version": "1",
            "description": "Orders are sorted by change, the oldest first; a cursor names the last row read.",
        },
        "servers": [{"url": API}],
        "security": [{"token": []}, {"key": []}],
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": schemes},
    }


def _token() -> Schema:
    form = {
        "type": "object",
        "properties": {
            "grant_type": {"const": "client_credentials"},
            "client_id": TEXT,
            "client_secret": TEXT,
            "scope": {"type": "string"},
        },
        "required": ["grant_type"],
        "additionalProperties": False,
    }
    token = _object(access_token=TEXT, token_type={"const": "Bearer"}, expires_in={"type": "integer", "minimum": 1})
    refusal = _answer("Refused.", _object(error={"enum": ["invalid_client", "unsupported_grant_type"]}))
    return {
        "operationId": "token",
        "security": [],
        "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form}}},
        "responses": {"200": _answer("A token.", token), "400": refusal, "401": refusal},
    }
