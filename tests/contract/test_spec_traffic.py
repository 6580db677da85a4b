"""The judges of traffic see what does not fit: checked with small specifications of their own."""

import json
from pathlib import Path
from typing import Any

import pytest
from spec_graphql import GraphQlSpec
from spec_swagger import openapi_of
from spec_traffic import SPECS, Exchange, Spec, schema_problems

SWAGGER: dict[str, Any] = {
    "swagger": "2.0",
    "info": {"title": "Shelves", "version": "1"},
    "basePath": "/v1",
    "consumes": ["application/json"],
    "produces": ["application/json"],
    "parameters": {"Page": {"name": "page", "in": "query", "type": "integer", "minimum": 1}},
    "definitions": {
        "Shelf": {
            "type": "object",
            "required": ["sku"],
            "properties": {
                "sku": {"type": "string", "maxLength": 5},
                "units": {"type": "integer", "x-nullable": True},
                "example": {"type": "string"},
            },
        }
    },
    "paths": {
        "/shelves/{sku}": {
            "parameters": [{"name": "sku", "in": "path", "required": True, "type": "string"}],
            "get": {
                "operationId": "get",
                "parameters": [
                    {"$ref": "#/parameters/Page"},
                    {"name": "with", "in": "query", "type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
                ],
                "responses": {"200": {"description": "", "schema": {"$ref": "#/definitions/Shelf"}}},
            },
            "put": {
                "operationId": "put",
                "parameters": [
                    {"name": "b", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Shelf"}}
                ],
                "responses": {"204": {"description": ""}},
            },
        },
        "/shelves/first": {"get": {"operationId": "first", "responses": {"200": {"description": ""}}}},
    },
}
SDL = """
enum Kind { PLAIN ODD }
type Shelf { id: ID! kind: Kind! units: Int names: [String!]! }
input Put { id: ID! units: Int! }
type Query { shelf(id: ID!): Shelf }
type Mutation { put(input: Put!): Shelf! }
"""
READ = "query Read($id: ID!) { shelf(id: $id) { id, number: units kind names } }"
WRITE = "mutation Write($input: Put!) { put(input: $input) { id } }"


@pytest.fixture(params=["swagger", "openapi"])
def rest(request: pytest.FixtureRequest, tmp_path: Path) -> Spec:
    """The same rules in either dialect."""
    path = tmp_path / "shelves.json"
    path.write_text(json.dumps(SWAGGER if request.param == "swagger" else openapi_of(SWAGGER)))
    return Spec.load(path, outside={"/token"}, undocumented={429}, query_of_all={"_trace"})


def exchange(method: str = "GET", target: str = "/v1/shelves/A", sent: Any = None, **answer: Any) -> Exchange:
    path, _, query = target.partition("?")
    body = answer.pop("body", {"sku": "A"})
    return Exchange(
        method=method,
        path=path,
        query=query,
        request_headers={"content-type": "application/json"},
        request_body=b"" if sent is None else json.dumps(sent).encode(),
        status=answer.pop("status", 200),
        headers={"content-type": answer.pop("kind", "application/json")},
        body=b"" if body is None else json.dumps(body).encode(),
        distorted=answer.pop("distorted", False),
    )


@pytest.mark.parametrize(
    "right",
    [
        exchange(),
        exchange(target="/v1/shelves/A?page=2&with=a,b&_trace=1"),
        exchange(body={"sku": "A", "units": None, "example": "is a name here"}),
        exchange(target="/v1/shelves/first", body=None),
        exchange("PUT", sent={"sku": "A", "units": 3}, status=204, body=None),
        exchange(status=429, body={"any": "thing"}),
        exchange(body="cut", distorted=True),
        exchange("POST", target="/token/o2"),
    ],
)
def test_what_fits_has_no_problems(rest: Spec, right: Exchange) -> None:
    assert rest.check(right) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (exchange(target="/v2/shelves/A"), "no such operation"),
        (exchange("DELETE"), "no such operation"),
        (exchange(target="/v1/shelves/A/B"), "no such operation"),
        (exchange(target="/v1/shelves/A?colour=red"), "colour is not documented"),
        (exchange(target="/v1/shelves/A?page=0"), "request"),
        (exchange(target="/v1/shelves/A?with=a,c"), "request"),
        (exchange(sent={"sku": "A"}), "no body is documented"),
        (exchange("PUT", sent={"units": 3}, status=204, body=None), "sku"),
        (exchange("PUT", sent={"sku": "too long"}, status=204, body=None), "too long"),
        (exchange("PUT", status=204, body=None), "request"),
        (exchange("PUT", sent={"units": 3}, status=500, distorted=True), "sku"),
        (exchange(body={"units": 3}), "answer 200"),
        (exchange(body={"sku": "A", "units": "3"}), "answer 200"),
        (exchange(body=["A"]), "answer 200"),
        (exchange(body={"sku": "A", "colour": "red"}), "colour"),
        (exchange(status=404), "answer 404"),
        (exchange(kind="text/html"), "answer 200"),
    ],
)
def test_what_does_not_fit_is_told(rest: Spec, wrong: Exchange, told: str) -> None:
    problems = rest.check(wrong)
    assert told in " ".join(map(str, problems))
    assert rest.check(wrong) == problems


def test_what_was_validated_is_counted(rest: Spec) -> None:
    for one in (exchange(), exchange(), exchange(distorted=True), exchange(status=429), exchange(target="/token")):
        rest.check(one)
    counts = rest.summary()
    assert (counts["requests"], counts["answers"]) == (4, 2)
    assert sum(counts["left_out"].values()) == 3
    assert counts["answers_by_operation"] == {"GET /v1/shelves/{sku} 200": 2}


def asked(query: str, variables: Any, **answer: Any) -> Exchange:
    sent = {"query": query, "variables": variables, "operationName": query.partition("(")[0].split()[1]}
    return exchange("POST", "/graphql.json", sent=sent, **answer)


SHELF = {"id": "1", "number": 3, "kind": "ODD", "names": ["a"]}


def test_graphql_that_fits() -> None:
    spec = GraphQlSpec(SDL, {})
    for right in (
        asked(READ, {"id": "1"}, body={"data": {"shelf": SHELF}}),
        asked(READ, {"id": "1"}, body={"data": {"shelf": None}, "extensions": {}}),
        asked(READ, {"id": "1"}, body={"data": None, "errors": [{"message": "no"}]}),
        asked(WRITE, {"input": {"id": "1", "units": 2}}, body={"data": {"put": {"id": "1"}}}),
        asked(READ, {"id": "1"}, body="refused", status=401),
    ):
        assert spec.check(right) == []
    assert (spec.requests.total(), spec.answers.total()) == (5, 4)


@pytest.mark.parametrize(
    "wrong",
    [
        asked("query Read($id: ID!) { shelf(id: $id) { colour } }", {"id": "1"}),
        asked("query Read($id: ID!) {", {"id": "1"}),
        asked(READ, {}),
        asked(READ, {"id": "1", "more": 2}),
        asked(WRITE, {"input": {"id": "1", "units": "2"}}, distorted=True),
        *(
            asked(READ, {"id": "1"}, body=body)
            for body in ({}, [], {"data": {}}, {"data": {"shelf": {}}}, {"errors": []})
        ),
        *(
            asked(READ, {"id": "1"}, body={"data": {"shelf": {**SHELF, **changed}}})
            for changed in ({"kind": "EVEN"}, {"names": None}, {"names": [None]}, {"number": 2**31}, {"units": 3})
        ),
        asked(READ, {"id": "1"}, body={"data": None, "errors": [{"text": "no"}]}),
        asked(READ, {"id": "1"}, body={"data": {"shelf": SHELF}}, kind="text/html"),
    ],
)
def test_graphql_that_does_not_fit(wrong: Exchange) -> None:
    assert GraphQlSpec(SDL, {}).check(wrong)


def test_a_schema_judges_a_value(tmp_path: Path) -> None:
    path = tmp_path / "notice.json"
    path.write_text(json.dumps({"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}))
    assert schema_problems(path, {"at": "noon"}) == []
    (problem,) = schema_problems(path, {"at": 12}, "the notice")
    assert str(problem) == "the notice: $.at: 12 is not of type 'string'"


def test_an_absent_specification_is_a_reason_to_skip() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"\.\./shared/specs/vendor/v1/absent\.json"):
        Spec.load(SPECS / "vendor" / "v1" / "absent.json")
