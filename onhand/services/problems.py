"""Errors as RFC 9457 says them: `application/problem+json` with type, title, status, detail, and more."""

import logging
from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    field: str = Field(examples=["lines[0].quantity"])
    message: str = Field(examples=["Input should be greater than 0"])


class ProblemBody(BaseModel):
    """What every error looks like."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:onhand:invalid"])
    """Which problem it is; programs decide by it."""
    title: str
    status: int
    detail: str = ""
    errors: list[FieldError] = []
    """Of an invalid request: what is wrong where."""


class Problem(Exception):
    """`kind` names the problem for programs. `members` are added to the document."""

    def __init__(
        self, status: int, kind: str, title: str, detail: str = "", *, headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:  # fmt: skip
        super().__init__(title)
        self.status, self.kind, self.title, self.detail = status, kind, title, detail
        self.headers, self.members = headers, members

    def response(self) -> Response:
        document = {"type": f"urn:onhand:{self.kind}", "title": self.title, "status": self.status}
        if self.detail:
            document["detail"] = self.detail
        body = to_json({**document, **self.members})
        return Response(body, self.status, self.headers, media_type=MEDIA_TYPE)


def invalid(errors: list[tuple[str, str]]) -> Problem:
    """(field, message) of each mistake."""
    told = [{"field": field, "message": message} for field, message in errors]
    return Problem(422, "invalid", "The request makes no sense", "; ".join(f"{f}: {m}" for f, m in errors[:3]),
                   errors=told)  # fmt: skip


Checked = TypeVar("Checked")


def parse(adapter: TypeAdapter[Checked], body: bytes) -> Checked:
    """The body as the adapter has it. Raises Problem: 400 when it is no JSON, 422 naming the fields."""
    try:
        return adapter.validate_json(body or b"{}")
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        if found[0]["type"] == "json_invalid":
            raise Problem(400, "no-json", "The body is not JSON", found[0]["msg"]) from None
        raise invalid([(_field(one["loc"]), one["msg"].removeprefix("Value error, ")) for one in found[:20]]) from None


def _field(place: tuple[int | str, ...]) -> str:
    path = ""
    for part in place:
        path += f"[{part}]" if isinstance(part, int) else f".{part[:60]}"
    return path.removeprefix(".") or "body"


def tell_problems(app: FastAPI) -> None:
    """Every error of the app is a problem document; what nobody foresaw is logged and told without its text."""

    async def known(_: Request, problem: Exception) -> Response:
        assert isinstance(problem, Problem)
        return problem.response()

    async def of_routing(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return Problem(error.status_code, "http", str(error.detail), headers=error.headers).response()

    async def unforeseen(_: Request, error: Exception) -> Response:
        log.error("unforeseen", exc_info=error)
        return Problem(500, "unforeseen", "Something here is broken; it was logged").response()

    app.add_exception_handler(Problem, known)
    app.add_exception_handler(HTTPException, of_routing)
    app.add_exception_handler(Exception, unforeseen)
