"""GraphQL: operations and their variables validated against the vendor's SDL, answers against its types."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import graphql
from graphql.execution.values import get_variable_values
from spec_traffic import Exchange, Problem, Spec

SCALARS: dict[str, Callable[[Any], bool]] = {
    "Int": lambda value: type(value) is int and -(2**31) <= value < 2**31,
    "Float": lambda value: type(value) in (int, float),
    "ID": lambda value: isinstance(value, str),
    "String": lambda value: isinstance(value, str),
    "Boolean": lambda value: isinstance(value, bool),
}


class GraphQlSpec(Spec):
    def __init__(
        self,
        sdl: str,
        scalars: Mapping[str, Callable[[Any], bool]],
        outside: Collection[str] = (),
        undocumented: Collection[int] = (),
    ) -> None:
        super().__init__(outside, undocumented)
        # A vendor's own schema may break a rule that graphql-core enforces; our documents are what is judged.
        self.schema = graphql.build_schema(sdl, assume_valid=True)
        self._scalars = {**SCALARS, **scalars}
        self._parsed = lru_cache(maxsize=None)(self._parse)

    def name(self, exchange: Exchange) -> str:
        return str(_json(exchange.request_body).get("operationName") or exchange.path)

    def why_not_judged(self, exchange: Exchange) -> str | None:
        refused = f"{exchange.status}, of which GraphQL says nothing" if exchange.status != 200 else None
        return super().why_not_judged(exchange) or refused

    def judge(self, exchange: Exchange) -> list[Problem]:
        name = self.name(exchange)
        asked = _json(exchange.request_body)
        document, errors = self._parsed(str(asked.get("query")))
        wrong = [*errors, *(self.variable_errors(document, asked.get("variables") or {}) if document else [])]
        problems = [Problem(f"request {name}", text[:300]) for text in wrong]
        if document is None or wrong or exchange.distorted:
            return problems
        return problems + [
            Problem(f"answer {exchange.status} to {name}", text) for text in self.answer_errors(document, exchange)
        ]

    def operation_errors(self, text: str) -> list[str]:
        return self._parsed(text)[1]

    def variable_errors(self, document: graphql.DocumentNode, variables: Any) -> list[str]:
        if not isinstance(variables, dict):
            return ["the variables are no object"]
        (operation,) = _operations(document)
        given = get_variable_values(self.schema, list(operation.variable_definitions or ()), variables)
        names = {definition.variable.name.value for definition in operation.variable_definitions or ()}
        strange = [f"the variable {name} is not declared" for name in variables.keys() - names]
        return strange + ([str(error) for error in given] if isinstance(given, list) else [])

    def answer_errors(self, document: graphql.DocumentNode, exchange: Exchange) -> Iterator[str]:
        body = _json(exchange.body)
        if not exchange.headers.get("content-type", "").startswith(
            ("application/json", "application/graphql-response")
        ):
            yield f"a body of type {exchange.headers.get('content-type')}"
        if not {"data", "errors"} & body.keys() <= body.keys() <= {"data", "errors", "extensions"}:
            yield f"the keys {sorted(body)}"
        errors = body.get("errors", [])
        if not isinstance(errors, list) or not all(isinstance(error, dict) for error in errors):
            yield "errors that are no list of objects"
        elif not all(isinstance(error.get("message"), str) for error in errors):
            yield "an error without a message"
        if body.get("data") is not None:
            yield from self.misfits(document, body["data"])
        elif not body.get("errors"):
            yield "neither data nor errors"

    def misfits(self, document: graphql.DocumentNode | str, data: Any) -> list[str]:
        """Where the data does not fit the selection under the schema's types."""
        whole = graphql.parse(document) if isinstance(document, str) else document
        (operation,) = _operations(whole)
        fragments = {d.name.value: d for d in whole.definitions if isinstance(d, graphql.FragmentDefinitionNode)}
        root = self.schema.get_root_type(operation.operation)
        name = operation.name.value if operation.name else "data"
        return list(_Fit(self.schema, fragments, self._scalars).an_object(operation.selection_set, root, data, name))

    def _parse(self, text: str) -> tuple[graphql.DocumentNode | None, list[str]]:
        try:
            document = graphql.parse(text)
        except graphql.GraphQLError as error:
            return None, [str(error)]
        return document, [error.message for error in graphql.validate(self.schema, document)]


@dataclass(frozen=True)
class _Fit:
    schema: graphql.GraphQLSchema
    fragments: Mapping[str, graphql.FragmentDefinitionNode]
    scalars: Mapping[str, Callable[[Any], bool]]

    def fields(self, selection: Any, kind: Any) -> Iterator[tuple[Any, Any]]:
        for node in selection.selections:
            if isinstance(node, graphql.FieldNode):
                yield node, kind
            else:
                inner = node if isinstance(node, graphql.InlineFragmentNode) else self.fragments[node.name.value]
                on = self.schema.type_map[inner.type_condition.name.value] if inner.type_condition else kind
                yield from self.fields(inner.selection_set, on)

    def an_object(self, selection: Any, kind: Any, value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{path}: no object"
            return
        expected = {(node.alias or node.name).value: (node, owner) for node, owner in self.fields(selection, kind)}
        yield from (f"{path}.{key}: not asked" for key in value.keys() - expected.keys())
        for key, (node, owner) in expected.items():
            if key not in value:
                # What is asked of one kind in a list of several is absent from the others.
                if graphql.is_abstract_type(kind):
                    continue
                yield f"{path}.{key}: missing"
            elif node.name.value != "__typename":
                yield from self.a_value(
                    owner.fields[node.name.value].type, node.selection_set, value[key], f"{path}.{key}"
                )

    def a_value(self, kind: Any, selection: Any, value: Any, path: str) -> Iterator[str]:
        if isinstance(kind, graphql.GraphQLNonNull):
            if value is None:
                yield f"{path}: null"
            else:
                yield from self.a_value(kind.of_type, selection, value, path)
        elif value is None:
            return
        elif isinstance(kind, graphql.GraphQLList):
            if not isinstance(value, list):
                yield f"{path}: no list"
                return
            for index, item in enumerate(value):
                yield from self.a_value(kind.of_type, selection, item, f"{path}[{index}]")
        elif isinstance(kind, graphql.GraphQLEnumType):
            if value not in kind.values:
                yield f"{path}: {value!r} is no {kind}"
        elif isinstance(kind, graphql.GraphQLScalarType):
            if kind.name not in self.scalars or not self.scalars[kind.name](value):
                yield f"{path}: {value!r} is no {kind}"
        else:
            yield from self.an_object(selection, kind, value, path)


def _operations(document: graphql.DocumentNode) -> list[graphql.OperationDefinitionNode]:
    return [d for d in document.definitions if isinstance(d, graphql.OperationDefinitionNode)]


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
