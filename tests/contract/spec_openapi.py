"""OpenAPI 3.0 and 3.1, and Swagger 2.0 rewritten as 3.0: paths, parameters, bodies, answers; openapi-core judges."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from spec_swagger import METHODS, openapi_of
from spec_traffic import Exchange, Problem, Spec
from werkzeug.datastructures import Headers, ImmutableMultiDict

HOST = "http://sandbox"
LONGEST = 300


@dataclass
class _Request:
    exchange: Exchange
    parameters: RequestParameters = field(init=False)

    def __post_init__(self) -> None:
        exchange = self.exchange
        self.host_url, self.path, self.method = HOST, exchange.path, exchange.method.lower()
        self.body = exchange.request_body or None
        self.content_type = exchange.request_headers.get("content-type", "application/json").lower()
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(exchange.query, keep_blank_values=True)),
            header=Headers(dict(exchange.request_headers)),
            cookie=ImmutableMultiDict(),
        )


@dataclass
class _Answer:
    exchange: Exchange

    def __post_init__(self) -> None:
        exchange = self.exchange
        self.status_code, self.data = exchange.status, exchange.body or None
        self.content_type = exchange.headers.get("content-type", "").lower()
        self.headers = Headers(dict(exchange.headers))


@dataclass(frozen=True)
class _Operation:
    name: str
    path: re.Pattern[str]
    method: str
    query: frozenset[str]
    judge: OpenAPI
    has_body: bool


class OpenApiSpec(Spec):
    def __init__(
        self,
        documents: Iterable[dict[str, Any]],
        base_path: str | None = None,
        query_of_all: Collection[str] = (),
        outside: Collection[str] = (),
        undocumented: Collection[int] = (),
        closed: bool = True,
    ) -> None:
        """As `Spec.load`, of documents that are at hand."""
        super().__init__(outside, undocumented)
        self._operations: list[_Operation] = []
        self._query_of_all = frozenset(query_of_all)
        for document in documents:
            whole = openapi_of(document) if document.get("swagger") == "2.0" else _bearing(document)
            base = (_base_path(whole) if base_path is None else base_path).rstrip("/")
            whole["servers"] = [{"url": HOST + base}]
            # The documents of vendors are not all valid to the last word; our traffic is what is judged.
            config = Config(
                spec_validator_cls=None,
                additional_properties_default_policy="forbid" if closed else "allow",
                extra_media_type_deserializers={"application/problem+json": json.loads},
            )
            judge = OpenAPI.from_dict(whole, config=config)
            self._operations += _operations(whole, base, judge)

    def name(self, exchange: Exchange) -> str:
        found = self._find(exchange)
        return found.name if found else f"{exchange.method} {exchange.path}"

    def judge(self, exchange: Exchange) -> list[Problem]:
        asked = f"request {exchange.method} {exchange.path}"
        operation = self._find(exchange)
        if operation is None:
            return [Problem(asked, "the specification has no such operation")]
        given = {name for name, _ in parse_qsl(exchange.query, keep_blank_values=True)}
        strange = given - operation.query - self._query_of_all
        problems = [Problem(asked, f"the query parameter {name} is not documented") for name in sorted(strange)]
        if exchange.request_body and not operation.has_body:
            problems.append(Problem(asked, "no body is documented"))
        request = _Request(exchange)
        problems += [
            Problem(asked, text) for error in operation.judge.iter_request_errors(request) for text in _texts(error)
        ]
        if not exchange.distorted:
            answered = f"answer {exchange.status} to {exchange.method} {exchange.path}"
            errors = operation.judge.iter_response_errors(_Request(exchange), _Answer(exchange))
            problems += [Problem(answered, text) for error in errors for text in _texts(error)]
        return problems

    def _find(self, exchange: Exchange) -> _Operation | None:
        found = [
            operation
            for operation in self._operations
            if operation.method == exchange.method.lower() and operation.path.fullmatch(exchange.path)
        ]
        # A path without a variable goes before one with it.
        return min(found, key=lambda operation: operation.name.count("{"), default=None)


def _bearing(document: dict[str, Any]) -> dict[str, Any]:
    """The document with OAuth as what it is on the wire, a bearer's token: openapi-core knows no more of it."""
    components = dict(document.get("components", {}))
    components["securitySchemes"] = {
        name: {"type": "http", "scheme": "bearer"} if scheme.get("type") in ("oauth2", "openIdConnect") else scheme
        for name, scheme in components.get("securitySchemes", {}).items()
    }
    return {**document, "components": components}


def _base_path(document: Mapping[str, Any]) -> str:
    servers: list[dict[str, Any]] = [*document.get("servers", []), {"url": "/"}]
    server = servers[0]
    variables = {name: variable["default"] for name, variable in server.get("variables", {}).items()}
    url: str = server["url"].format(**variables)
    return urlsplit(url).path


def _operations(document: Mapping[str, Any], base: str, judge: OpenAPI) -> Iterator[_Operation]:
    for path, item in document["paths"].items():
        pattern = "".join(
            "[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]+\})", path)
        )
        for method in METHODS:
            if method in item:
                parameters = [
                    _resolved(document, one)
                    for one in [*item.get("parameters", []), *item[method].get("parameters", [])]
                ]
                yield _Operation(
                    f"{method.upper()} {base}{path}",
                    re.compile(re.escape(base) + pattern),
                    method,
                    frozenset(one["name"] for one in parameters if one["in"] == "query"),
                    judge,
                    "requestBody" in item[method],
                )


def _resolved(document: Mapping[str, Any], value: Any) -> Any:
    while "$ref" in value:
        target: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        value = target
    return value


def _texts(error: Exception) -> Iterator[str]:
    """An error of openapi-core, down to the places in the document that it found fault with."""
    inner: BaseException | None = error
    while inner is not None:
        places = list(getattr(inner, "schema_errors", ()))
        if places:
            yield from (f"{type(error).__name__} at {place.json_path}: {place.message[:LONGEST]}" for place in places)
            return
        inner = inner.__cause__
    yield f"{type(error).__name__}: {error}"[:LONGEST]
