"""Traffic judged by the vendor's own specification: every request that an adapter sends, every answer of its sandbox.

    spec = Spec.load(SPECS / "ebay/sell_inventory_v1_oas3.json", SPECS / "ebay/sell_fulfillment_v1_oas3.json")
    problems = spec.check(exchange)

OpenAPI 3.0 and 3.1, Swagger 2.0 and GraphQL (an SDL) are told apart by what the files hold. The
specifications are no part of this repository: they lie in `../shared/specs`, or the test is skipped.
"""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

SPECS = Path(__file__).resolve().parents[3] / "shared" / "specs"
DISTORTING = frozenset({"error_before", "error_after", "timeout_before", "timeout_after", "malformed", "html"})
"""Faults whose answers are not the vendor's. (To throttle, to repeat, to be slow or late is.)"""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its whole answer, as the server saw them. Header names are lower case."""

    method: str
    path: str
    """As it was sent: percent signs and all."""
    query: str
    request_headers: Mapping[str, str]
    request_body: bytes
    status: int
    headers: Mapping[str, str]
    body: bytes
    distorted: bool = False
    """The answer breaks the vendor's contract on purpose: only the request is judged."""

    @classmethod
    def of(cls, answer: httpx.Response) -> "Exchange":
        """An answer that was read to its end, with the request that it belongs to."""
        request = answer.request
        return cls(
            method=request.method,
            path=request.url.raw_path.partition(b"?")[0].decode("ascii"),
            query=request.url.query.decode("ascii"),
            request_headers=dict(request.headers),
            request_body=request.read(),
            status=answer.status_code,
            headers=dict(answer.headers),
            body=answer.content,
        )


@dataclass(frozen=True, slots=True)
class Problem:
    where: str
    """`request` or `answer 200`, then method and path."""
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class Spec(ABC):
    """A vendor's specification. `requests` and `answers` count what was validated, by operation."""

    def __init__(self, outside: Collection[str] = (), undocumented: Collection[int] = ()) -> None:
        """`outside`: beginnings of paths that the specification does not speak of (a token endpoint).
        `undocumented`: statuses that the vendor answers with and its specification leaves out."""
        self.outside = tuple(outside)
        self.undocumented = frozenset(undocumented)
        self.requests: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self._verdicts: dict[Exchange, list[Problem]] = {}

    @staticmethod
    def load(
        *paths: Path,
        base_path: str | None = None,
        outside: Collection[str] = (),
        undocumented: Collection[int] = (),
        amend: Callable[[dict[str, Any]], None] = lambda document: None,
        query_of_all: Collection[str] = (),
        closed: bool = True,
        scalars: Mapping[str, Callable[[Any], bool]] | None = None,
    ) -> "Spec":
        """Skips the test that asks when a file is absent.

        `base_path` replaces the path of the document's servers. `amend` mends each document where the
        vendor's own text is known to be wrong. `query_of_all` are query parameters that every operation
        takes. `closed`: an object has the fields that are documented and no other, unless its schema says so.
        `scalars` judge the values of GraphQL's scalars, over the standard ones.
        """
        from spec_graphql import GraphQlSpec
        from spec_openapi import OpenApiSpec

        for path in paths:
            if not path.is_file():
                pytest.skip(f"the vendor's specification is not here: {_told(path)}")
        if paths[0].suffix == ".graphql":
            return GraphQlSpec(paths[0].read_text(), scalars or {}, outside, undocumented)
        documents = [_document(path) for path in paths]
        for document in documents:
            amend(document)
        return OpenApiSpec(documents, base_path, query_of_all, outside, undocumented, closed)

    def check(self, exchange: Exchange) -> list[Problem]:
        """What is wrong with it; counts it. An exchange equal to an earlier one has its verdict."""
        if exchange.path.startswith(self.outside or ("\0",)):
            self.left_out["not in the specification"] += 1
            return []
        name = self.name(exchange)
        self.requests[name] += 1
        reason = self.why_not_judged(exchange)
        if reason:
            self.left_out[f"answers {reason}"] += 1
        else:
            self.answers[f"{name} {exchange.status}"] += 1
        alike = Exchange(
            **{part: getattr(exchange, part) for part in ("method", "path", "query", "request_body", "status", "body")},
            request_headers=_Headers(exchange.request_headers),
            headers=_Headers(exchange.headers),
            distorted=reason is not None,
        )
        if alike not in self._verdicts:
            self._verdicts[alike] = self.judge(alike)
        return self._verdicts[alike]

    def why_not_judged(self, exchange: Exchange) -> str | None:
        """Why nothing can be said about the answer; None when it is judged."""
        if exchange.distorted:
            return "broken on purpose"
        return f"{exchange.status}, which the vendor leaves out" if exchange.status in self.undocumented else None

    def summary(self) -> dict[str, Any]:
        return {
            "requests": sum(self.requests.values()),
            "answers": sum(self.answers.values()),
            "left_out": dict(self.left_out),
            "requests_by_operation": dict(sorted(self.requests.items())),
            "answers_by_operation": dict(sorted(self.answers.items())),
        }

    @abstractmethod
    def name(self, exchange: Exchange) -> str:
        """Of the operation."""

    @abstractmethod
    def judge(self, exchange: Exchange) -> list[Problem]:
        """The answer is left alone when it is `distorted`."""


class _Headers(dict[str, str]):
    """What decides about validity: the content type, and that there are credentials."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash((self.get("content-type"), "authorization" in self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Headers) and hash(self) == hash(other) and self.keys() == other.keys()


def _told(path: Path) -> str:
    return f"../shared/specs/{path.relative_to(SPECS)}" if path.is_relative_to(SPECS) else path.name


def _document(path: Path) -> dict[str, Any]:
    text = path.read_text()
    document: dict[str, Any] = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    return document


def schema_problems(schema: Path | dict[str, Any], value: Any, where: str = "value") -> list[Problem]:
    """What a JSON schema says against a value (a notification, a row of a feed, an example).

    The schema is a file, whose absence skips the test, or a document."""
    if isinstance(schema, Path):
        if not schema.is_file():
            pytest.skip(f"the vendor's schema is not here: {_told(schema)}")
        schema = _document(schema)
    validator = jsonschema.validators.validator_for(schema)(schema)
    return [Problem(where, f"{error.json_path}: {error.message[:200]}") for error in validator.iter_errors(value)]
