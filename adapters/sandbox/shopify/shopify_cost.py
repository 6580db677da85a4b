"""What a Shopify query costs, and the leaky bucket that pays for it.

Source: shopify.dev, "GraphQL Admin API rate limits": scalars 0, an object 1, a connection 2 and its
objects, a mutation 10; the requested cost must be in the bucket, the actual cost is taken from it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    is_composite_type,
    is_list_type,
    value_from_ast_untyped,
    visit,
)
from graphql.type import get_nullable_type

MUTATION_COST = 10
CONNECTION_COST = 2


@dataclass(slots=True)
class Bucket:
    """Points of one app at one shop."""

    maximum: float = 2000.0
    restore_rate: float = 100.0
    clock: Callable[[], float] = time.monotonic
    _points: float = -1.0
    _at: float = 0.0

    def available(self) -> float:
        now = self.clock()
        if self._points < 0:
            self._points = self.maximum
        else:
            self._points = min(self.maximum, self._points + self.restore_rate * (now - self._at))
        self._at = now
        return self._points

    def take(self, requested: float) -> bool:
        if self.available() < requested:
            return False
        self._points -= requested
        return True

    def give_back(self, points: float) -> None:
        self._points = min(self.maximum, self.available() + points)

    def leave_only(self, points: float) -> None:
        """Somebody else has used the rest."""
        self._points = min(self.available(), max(0.0, points))


class _FieldTypes(Visitor):
    """Finds the type of each field, by the node's identity."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.types: dict[int, Any] = {}

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self.types[id(node)] = self.info.get_type()


class CostModel:
    """The requested cost of one parsed document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        info = TypeInfo(schema)
        found = _FieldTypes(info)
        visit(document, TypeInfoVisitor(info, found))
        self._types = found.types
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]

    def requested(self, variables: Mapping[str, Any]) -> float:
        operation = self._operations[0]
        base = MUTATION_COST if operation.operation is OperationType.MUTATION else 0
        return base + self._selection(operation.selection_set, variables)

    def _selection(self, selections: SelectionSetNode | None, variables: Mapping[str, Any]) -> float:
        total = 0.0
        for node in selections.selections if selections else ():
            if isinstance(node, FieldNode):
                total += self._field(node, variables)
            elif isinstance(node, FragmentSpreadNode):
                total += self._selection(self._fragments[node.name.value].selection_set, variables)
            elif isinstance(node, InlineFragmentNode):
                total += self._selection(node.selection_set, variables)
        return total

    def _field(self, node: FieldNode, variables: Mapping[str, Any]) -> float:
        kind = self._types.get(id(node))
        if kind is None or not is_composite_type(get_named_type(kind)) or node.name.value in ("pageInfo", "userErrors"):
            return 0.0
        arguments = {a.name.value: value_from_ast_untyped(a.value, dict(variables)) for a in node.arguments or ()}
        inner = self._selection(node.selection_set, variables)
        if get_named_type(kind).name.endswith("Connection"):
            return CONNECTION_COST + _size(arguments) * inner
        if node.name.value == "nodes" and "ids" not in arguments:
            return 1.0 + inner
        return _size(arguments) * (1.0 + inner) if is_list_type(get_nullable_type(kind)) else 1.0 + inner


def _size(arguments: Mapping[str, Any]) -> int:
    for name in ("ids", "names"):
        if isinstance(arguments.get(name), list):
            return len(arguments[name])
    first = arguments.get("first")
    return first if isinstance(first, int) else 1


def actual_cost(data: Any) -> float:
    """The cost of what was really answered."""
    if isinstance(data, list):
        return sum(actual_cost(item) for item in data)
    if not isinstance(data, dict):
        return 0.0
    own = CONNECTION_COST if "nodes" in data and "pageInfo" in data else 1
    return own + sum(actual_cost(value) for name, value in data.items() if name not in ("pageInfo", "userErrors"))
