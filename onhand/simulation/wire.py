"""The wire between an adapter and an imitated vendor: no socket, virtual time, and all that goes wrong on a wire."""

import json
from collections.abc import Callable, Generator
from typing import Any

import httpx
from starlette.types import ASGIApp, Message

from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.shop import Shop
from onhand.simulation.scenario import TroubleKind
from onhand.simulation.steps import Steps
from onhand.simulation.world import World

LATENCY = (0.02, 0.6)
"""Seconds that each half of a call takes."""
STALE_S = 10.0
"""A page that comes once more is so old at most. Less than any vendor's `settle`."""
_NATIVE = {
    TroubleKind.THROTTLED: FaultKind.THROTTLE,
    TroubleKind.ERROR_BEFORE: FaultKind.ERROR_BEFORE,
    TroubleKind.ERROR_AFTER: FaultKind.ERROR_AFTER,
    TroubleKind.MALFORMED: FaultKind.MALFORMED,
    TroubleKind.HTML: FaultKind.HTML,
    TroubleKind.REPEATED: FaultKind.REPEAT,
}
"""What the imitated vendor itself does, in its own way."""


class Wire(httpx.BaseTransport):
    """One for each channel. `writes(request)` says whether a request changes a quantity; `keeps_partial`: the vendor
    answers row by row, so that a part of a batch may be missing."""

    def __init__(
        self, world: World, steps: Steps, code: str, shop: Shop, app: ASGIApp,
        writes: Callable[[httpx.Request], bool], *, partial: bool,
    ) -> None:  # fmt: skip
        self._world, self._steps, self._code = world, steps, code
        self._shop, self._app, self._writes, self._partial = shop, app, writes, partial
        self._chance = world.chance(f"latency/{code}")
        self._seen: dict[tuple[str, bytes], tuple[float, httpx.Response]] = {}
        self._paths: dict[str, float] = {}
        self.calls = 0
        self.written = 0
        """Requests that were to change quantities."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        writes = self._writes(request)
        what = "a write" if writes else "a read"
        self._steps.before(what)
        self.calls += 1
        self.written += writes
        body = request.read()
        answer = self._exchange(request, body, writes)
        self._steps.after(what)
        return answer

    def _exchange(self, request: httpx.Request, body: bytes, writes: bool) -> httpx.Response:
        strikes = self._strikes
        self._take_time()
        if strikes(TroubleKind.DARK):
            raise httpx.ConnectError("did not connect", request=request)
        if strikes(TroubleKind.REQUEST_LOST):
            self._note(request, "was lost on its way")
            raise httpx.ReadTimeout("no answer", request=request)
        if strikes(TroubleKind.UNAUTHORISED):
            for name in ("authorization", "x-shopify-access-token", "x-auth-token", "x-amz-access-token"):
                if name in request.headers:
                    request.headers[name] = "Bearer nonsense"
        if writes and strikes(TroubleKind.REFUSED):
            self._note(request, "is refused")
            return httpx.Response(422, json={"code": "REFUSED", "message": "this may not be changed now"})
        if writes:
            late = self._world_trouble(TroubleKind.APPLIED_LATE)
            if late:
                self._note(request, f"is on its way for {late:.0f} s")
                self._world.later(self._world.seconds + late, lambda: self._arrives(request, body))
                raise httpx.ReadTimeout("no answer", request=request)
            if self._partial and strikes(TroubleKind.PARTIAL):
                body = _shortened(body)
        answer = self._answer(request, body, writes)
        if answer is None:
            before = {number: product.quantity for number, product in self._shop.products.items()}
            answer = self._ask(request, body)
            if writes and strikes(TroubleKind.SILENT_REJECT):
                self._note(request, "is said to be applied, and is not")
                for number, quantity in before.items():
                    self._shop.products[number].quantity = quantity
        self._take_time()
        if strikes(TroubleKind.ANSWER_LOST):
            self._note(request, "has no answer")
            raise httpx.ReadTimeout("no answer", request=request)
        return answer

    def _answer(self, request: httpx.Request, body: bytes, writes: bool) -> httpx.Response | None:
        """A cache's, if one stands in the way now."""
        key = (f"{request.method} {request.url}", body)
        stale = self._world_trouble(TroubleKind.STALE_READ) if not writes and key in self._seen else 0.0
        if stale:
            at, answer = self._seen[key]
            if self._world.seconds - at <= stale:
                self._note(request, "is answered by a cache")
                return _copy(answer)
        return None

    def _ask(self, request: httpx.Request, body: bytes) -> httpx.Response:
        # What a cache gives once more may be as old as an order may be unseen, and no older: so it is agreed.
        lately = self._world.seconds - self._paths.get(request.url.path, float("-inf")) <= STALE_S
        kinds = [
            native
            for kind, native in _NATIVE.items()
            if (lately or kind is not TroubleKind.REPEATED) and self._strikes(kind)
        ]
        self._paths[request.url.path] = self._world.seconds
        self._shop.faults.replace([Fault(kinds[0], times=1)] if kinds else [])
        try:
            answer = ask(self._app, request, body)
        finally:
            self._shop.faults.replace([])
        if kinds:
            self._note(request, f"meets {kinds[0].value}: {answer.status_code}")
        elif not self._writes(request) and answer.is_success:
            self._seen[f"{request.method} {request.url}", body] = (self._world.seconds, _copy(answer))
        return answer

    def _arrives(self, request: httpx.Request, body: bytes) -> None:
        answer = ask(self._app, request, body)
        self._note(request, f"arrives at last: {answer.status_code}")

    def _take_time(self) -> None:
        seconds = 0.0 if self._world.calm else self._chance.uniform(*LATENCY)
        self._world.pass_time(seconds + self._world_trouble(TroubleKind.SLOW))

    def _strikes(self, kind: TroubleKind) -> bool:
        return self._world.strikes(self._code, kind) is not None

    def _world_trouble(self, kind: TroubleKind) -> float:
        found = self._world.strikes(self._code, kind)
        return found.amount if found else 0.0

    def _note(self, request: httpx.Request, what: str) -> None:
        self._world.note(f"{self._code}: {request.method} {request.url.path} {what}")


def ask(app: ASGIApp, request: httpx.Request, body: bytes) -> httpx.Response:
    """One call of an app that waits for nothing, without an event loop."""
    url = request.url
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw], "scheme": url.scheme,
        "path": url.path, "raw_path": url.raw_path.split(b"?")[0], "query_string": url.query,
        "server": (url.host, url.port), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    begun: Message = {}
    content: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            begun.update(message)
        elif message["type"] == "http.response.body":
            content.append(message.get("body", b""))

    call: Generator[Any, Any, Any] = app(scope, receive, send).__await__()
    for _ in call:
        raise RuntimeError("an imitated vendor waits for something")
    return httpx.Response(begun["status"], headers=begun["headers"], content=b"".join(content))


def _copy(answer: httpx.Response) -> httpx.Response:
    return httpx.Response(answer.status_code, headers=answer.headers.raw, content=answer.content)


def _shortened(body: bytes) -> bytes:
    """The batch without its last row, if it has more than one."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    rows = document if isinstance(document, list) else _longest(document)
    if rows is None or len(rows) < 2:
        return body
    rows.pop()
    return json.dumps(document).encode()


def _longest(document: Any) -> list[Any] | None:
    lists = [value for value in document.values() if isinstance(value, list)] if isinstance(document, dict) else []
    return max(lists, key=len, default=None)
