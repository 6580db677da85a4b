"""One served address for a whole class of tests, and a hand on its wire: who calls, what is said, what is bent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from channel_stage import Stage, StageMaker
from spec_traffic import DISTORTING, Exchange
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.sandbox.server import serve

MOST_CALLS = 400
"""An adapter that calls more often than this in one test does not end."""


class Place:
    """The ASGI app that is served. Each test puts its own shop behind it."""

    def __init__(self, records: bool) -> None:
        self.url = ""
        self.records = records
        self.exchanges: list[Exchange] = []
        self._put(None)

    def _put(self, stage: Stage | None) -> None:
        self._stage = stage
        self.calls = 0
        self.before: Callable[[int], None] = lambda call: None
        """Called with the number of the call (from 1) in this test, before the shop sees it."""
        self.bend: Callable[[int, bytes], bytes] = lambda call, body: body
        """May alter the body of an answer. (What the shop itself said is what the specification judges.)"""

    @contextmanager
    def staged(self, make_stage: StageMaker) -> Iterator[Stage]:
        stage = make_stage(self.url)
        self._put(stage)
        try:
            yield stage
        finally:
            stage.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stage = self._stage
        assert stage is not None
        if scope["path"].startswith("/sandbox/"):
            await stage.app(scope, receive, send)
            return
        self.calls += 1
        call = self.calls
        assert call <= MOST_CALLS, "the adapter goes on for ever"
        self.before(call)
        await self._answer(stage, call, scope, receive, send)

    async def _answer(self, stage: Stage, call: int, scope: Scope, receive: Receive, send: Send) -> None:
        head, body = Head(), bytearray()
        request_body = await _whole(receive)
        heard = iter([{"type": "http.request", "body": request_body, "more_body": False}])
        struck_before = stage.shop.faults.counts.copy()

        async def hear() -> Message:
            return next(heard, None) or await receive()

        async def say(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.message = message
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))

        app: ASGIApp = stage.app
        await app(scope, hear, say)
        struck = stage.shop.faults.counts - struck_before
        bent = self.bend(call, bytes(body))
        if self.records:
            distorted = any(kind in struck for kind in DISTORTING)
            self.exchanges.append(
                Exchange(
                    method=scope["method"],
                    path=scope["raw_path"].decode("ascii"),
                    query=scope["query_string"].decode(),
                    request_headers=_texts(scope["headers"]),
                    request_body=request_body,
                    status=head.message["status"],
                    headers=_texts(head.message.get("headers", [])),
                    body=bytes(body),
                    distorted=distorted,
                )
            )
        headers = [pair for pair in head.message.get("headers", []) if pair[0].lower() != b"content-length"]
        headers.append((b"content-length", str(len(bent)).encode()))
        await send({**head.message, "headers": headers})
        await send({"type": "http.response.body", "body": bent})


class Head:
    message: Message


async def _whole(receive: Receive) -> bytes:
    """Read here, because a shop may refuse before it has listened."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        body.extend(message.get("body", b""))
        more = message.get("more_body", False)
    return bytes(body)


def _texts(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


@contextmanager
def served(*, records: bool = False) -> Iterator[Place]:
    place = Place(records)
    with serve(place) as place.url:
        yield place
