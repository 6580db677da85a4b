"""How an imitated Amazon refuses, and writes its opaque tokens."""

import base64
import json
from typing import Any

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, Response


class Refused(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(message)
        error = {"code": code, "message": message, "details": details}
        self.answer: Response = JSONResponse({"errors": [error]}, status_code=status)


def quota_exceeded() -> Response:
    return Refused(429, "QuotaExceeded", "You exceeded your quota for the requested resource.").answer


def csv(query: QueryParams, name: str) -> list[str]:
    return [part for part in query.get(name, "").split(",") if part]


def integer(query: QueryParams, name: str, default: int, most: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise Refused(400, "InvalidInput", f"{name} is from 1 to {most}")
    return int(text)


def sealed(values: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def opened(token: str) -> dict[str, Any]:
    try:
        values = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise Refused(400, "InvalidInput", "Invalid token")
    return values
