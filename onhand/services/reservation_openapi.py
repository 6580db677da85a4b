"""The routes of the reservation API with what OpenAPI says of each. The endpoints read their requests themselves."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from onhand.services import reservation_messages as messages
from onhand.services.problems import MEDIA_TYPE, ProblemBody

Endpoint = Callable[[Request], Awaitable[Response]]

_REF = "#/components/schemas/{model}"
_KEY_SCHEMA = {"type": "string", "pattern": messages.KEY, "example": "checkout-8731"}
_KEY_IN_PATH = {"name": "key", "in": "path", "required": True, "schema": _KEY_SCHEMA}
_KEY_IN_HEADER = {
    "name": "Idempotency-Key", "in": "header", "required": False, "schema": _KEY_SCHEMA,
    "description": "Instead of `key` in the body; where both are given they must agree",
}  # fmt: skip
_DESCRIPTION = """Ask before you sell: hold units, sell what was held, commit with your order's id.

Every request but `/health` needs `Authorization: Bearer <token>`; the token says which channel asks, and reaches
that channel's holds alone. Errors are `application/problem+json` (RFC 9457); decide by `type`."""

_PROBLEMS = {
    400: ("ProblemBody", "The body is not JSON, or not complete"),
    401: ("ProblemBody", "No channel has this token"),
    404: ("ProblemBody", "No hold was asked for with this key"),
    408: ("ProblemBody", "The body did not come in time"),
    413: ("ProblemBody", "The body is too long"),
    422: ("ProblemBody", "The request makes no sense; `errors` names the fields"),
    503: ("ProblemBody", "The ledger does not answer: `unavailable` (nothing was done) or `in-doubt` (ask the same "
                         "again with the same key). Wait as `Retry-After` says"),
}  # fmt: skip


class Endpoints(Protocol):
    async def reserve(self, request: Request) -> Response: ...
    async def read(self, request: Request) -> Response: ...
    async def extend(self, request: Request) -> Response: ...
    async def commit(self, request: Request) -> Response: ...
    async def release(self, request: Request) -> Response: ...
    async def availability(self, request: Request) -> Response: ...
    async def health(self, request: Request) -> Response: ...


def describe(app: FastAPI, to: Endpoints, *, longest_ttl: int) -> None:
    """Add the routes, and make the app's OpenAPI document."""
    app.description = _DESCRIPTION
    one = "/v1/reservations/{key}"
    done = {200: ("Reservation", "Done, or it was so already: see `outcome` and `status`")}
    over = {409: ("HoldProblem", "`over`: the hold keeps nothing any more (`hold_status` says why)")}
    other = "`over`, or `other-order`: it was committed for another order"
    _add(app, "POST", "/v1/reservations", to.reserve, "Hold units",
         {201: ("Reservation", "Held"), 200: ("Reservation", "This key held it before: see `status`"),
          409: ("HoldProblem", "`refused`: not free (asked and free by line; nothing is held), or `key-conflict`")},
         body=messages.Ask, parameters=[_KEY_IN_HEADER])  # fmt: skip
    _add(app, "GET", one, to.read, "How a hold stands", {200: ("Reservation", "As it is now")}, keyed=True)
    _add(app, "POST", f"{one}/extend", to.extend, "Keep it longer", {**done, **over}, body=messages.Extension,
         needs_body=False, keyed=True)  # fmt: skip
    _add(app, "POST", f"{one}/commit", to.commit, "The sale is made: it does not expire any more",
         {**done, 409: ("HoldProblem", other)}, body=messages.Commitment, keyed=True)  # fmt: skip
    _add(app, "POST", f"{one}/release", to.release, "Nothing was sold: give the units back", done, keyed=True)
    _add(app, "GET", "/v1/availability", to.availability, "What is free now",
         {200: ("Availability", "What a hold could get at this moment")}, parameters=[_names("sku"),
         _names("listing_ref")])  # fmt: skip
    _add(
        app, "GET", "/health", to.health, "Whether holds can be asked for", {200: ("Health", "They can")}, secret=False
    )
    document: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not document:
            document.update(FastAPI.openapi(app))
            document["components"] = _components(longest_ttl)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it


def _names(name: str) -> dict[str, Any]:
    return {
        "name": name, "in": "query", "required": False, "description": "Any number of times; 1 to 100 names in all",
        "schema": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 200}},
    }  # fmt: skip


def _add(
    app: FastAPI,
    method: str,
    path: str,
    endpoint: Endpoint,
    summary: str,
    answers: dict[int, tuple[str, str]],
    *,
    body: type[BaseModel] | None = None,
    needs_body: bool = True,
    parameters: list[dict[str, Any]] | None = None,
    keyed: bool = False,
    secret: bool = True,
) -> None:
    problems = [503, *([401, 422] if secret else []), *([404] if keyed else []), *([400, 408, 413] if body else [])]
    told = {**answers, **{status: _PROBLEMS[status] for status in problems}}
    extra: dict[str, Any] = {
        "parameters": [*([_KEY_IN_PATH] if keyed else []), *(parameters or [])],
        "responses": {str(status): _response(status, *told[status]) for status in sorted(told)},
        "security": [{"token": []}] if secret else [],
    }
    if body:
        schema = {"$ref": _REF.format(model=body.__name__)}
        extra["requestBody"] = {"required": needs_body, "content": {"application/json": {"schema": schema}}}
    app.add_api_route(
        path, endpoint, methods=[method], summary=summary, operation_id=endpoint.__name__, response_model=None,
        response_class=Response, status_code=min(answers), openapi_extra=extra,
    )  # fmt: skip


def _response(status: int, model: str, description: str) -> dict[str, Any]:
    kind = "application/json" if status < 300 else MEDIA_TYPE
    found: dict[str, Any] = {
        "description": description, "content": {kind: {"schema": {"$ref": _REF.format(model=model)}}},
    }  # fmt: skip
    if status == 503:
        found["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    return found


def _components(longest_ttl: int) -> dict[str, Any]:
    coming: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in messages.INCOMING]
    going: list[tuple[type[BaseModel], Any]] = [(model, "serialization") for model in (*messages.OUTGOING, ProblemBody)]
    _, schemas = models_json_schema([*coming, *going], ref_template=_REF)
    found: dict[str, Any] = schemas["$defs"]
    for model in messages.INCOMING:
        for choice in found[model.__name__]["properties"].get("ttl_seconds", {}).get("anyOf", []):
            if choice.get("type") == "integer":
                choice["maximum"] = longest_ttl
    return {"schemas": found, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
