"""The reservation API: a channel that can ask before it sells asks here.

Thin: read the request, ask the desk, tell what came of it. Bodies are read and checked here and not by the
framework: JSON is parsed once, within limits, and every mistake is a problem document that names its field.
"""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from fastapi import FastAPI
from pydantic import TypeAdapter
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from inventory.holds.batching import InDoubt, NotDecided
from inventory.holds.hold_terms import ChangeResult, Commit, Extend, HoldChange, Release
from inventory.holds.reservations import HoldRequest, HoldState, HoldStatus, holder_of
from inventory.words import ReservationStatus
from onhand.services import reservation_messages as messages
from onhand.services.bodies import BodyReader
from onhand.services.problems import Problem, invalid, parse, tell_problems
from onhand.services.reservation_desk import Desk
from onhand.services.reservation_openapi import describe
from onhand.services.tokens import Tokens

MOST_NAMES = 100
"""Names of one question for what is free."""

_Body = TypeVar("_Body")
_SOLD = (ReservationStatus.SOLD, ReservationStatus.SHIPPED)


@dataclass(frozen=True, slots=True)
class Terms:
    """`ttl`: of a hold that asks for none."""

    ttl: timedelta = timedelta(minutes=15)
    longest_ttl: timedelta = timedelta(hours=1)
    body_bytes: int = 64 * 1024
    body_seconds: float = 5.0


def create_app(desk: Desk, tokens: Tokens, terms: Terms = Terms()) -> FastAPI:
    """The desk is closed when the app shuts down."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close(10)

    app = FastAPI(title="onhand reservations", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    tell_problems(app)
    describe(app, _Endpoints(desk, tokens, terms), longest_ttl=int(terms.longest_ttl.total_seconds()))
    return app


class _Endpoints:
    def __init__(self, desk: Desk, tokens: Tokens, terms: Terms) -> None:
        self._desk, self._tokens, self._terms = desk, tokens, terms
        self._bodies = BodyReader(terms.body_bytes, terms.body_seconds, 1000 * terms.body_bytes)

    async def reserve(self, request: Request) -> Response:
        channel = self._channel(request)
        ask = await self._body(request, messages.ASK)
        key = _key_of(request, ask.key)
        wanted = HoldRequest(
            key,
            channel,
            tuple((line.sku, line.quantity) for line in ask.lines if line.sku),
            self._ttl(ask.ttl_seconds),
            tuple((line.listing_ref, line.quantity) for line in ask.lines if line.listing_ref),
            ask.partial,
        )
        result = await _in_time(self._desk.ask(wanted), key)
        if result.status is HoldStatus.CONFLICT:
            return _conflict(key).response()
        if result.reservation is ReservationStatus.REFUSED:
            return _refused(key, result.hold, ask.partial).response()
        if result.status is HoldStatus.HELD:
            # Only a first answer is "created": a repeated one may tell of a hold that is over.
            return _told(201, "held", key, channel, result.hold, {"location": f"/v1/reservations/{key}"})
        return _told(200, "repeated", key, channel, result.hold)

    async def read(self, request: Request) -> Response:
        channel, key = self._channel(request), _key_in_path(request)
        hold = await _in_time(self._desk.state(holder_of(channel, key)), key)
        if hold is None:
            return _unknown(key).response()
        return _told(200, "read", key, channel, hold)

    async def extend(self, request: Request) -> Response:
        channel, key = self._channel(request), _key_in_path(request)
        body = await self._body(request, messages.EXTENSION)
        return await self._change(
            Extend(holder_of(channel, key), self._ttl(body.ttl_seconds)), "extended", key, channel
        )

    async def commit(self, request: Request) -> Response:
        channel, key = self._channel(request), _key_in_path(request)
        body = await self._body(request, messages.COMMITMENT)
        return await self._change(Commit(holder_of(channel, key), body.order_id), "committed", key, channel)

    async def release(self, request: Request) -> Response:
        channel, key = self._channel(request), _key_in_path(request)
        return await self._change(Release(holder_of(channel, key)), "released", key, channel)

    async def availability(self, request: Request) -> Response:
        channel = self._channel(request)
        skus = list(dict.fromkeys(request.query_params.getlist("sku")))
        refs = list(dict.fromkeys(request.query_params.getlist("listing_ref")))
        if not 1 <= len(skus) + len(refs) <= MOST_NAMES:
            raise invalid([("sku", f"give 1 to {MOST_NAMES} names, as ?sku=…&listing_ref=…")])
        for place, names in (("sku", skus), ("listing_ref", refs)):
            if any(not messages.is_name(name) for name in names):
                raise invalid([(place, "is empty, too long, or has characters that nobody can see")])
        found = await _in_time(self._desk.free(channel, skus, refs))
        return _json({"channel": channel, "free": messages.free_of(found)})

    async def health(self, request: Request) -> Response:
        await _in_time(self._desk.check_database())
        return _json({"status": "ok"})

    def _channel(self, request: Request) -> str:
        channel = self._tokens.channel_of(request.headers.get("authorization", ""))
        if channel is None:
            # The body stays unread.
            raise Problem(401, "unauthorised", "No channel has this token", "Send Authorization: Bearer <token>.",
                          headers={"www-authenticate": "Bearer", "connection": "close"})  # fmt: skip
        return channel

    async def _body(self, request: Request, adapter: TypeAdapter[_Body]) -> _Body:
        with self._bodies.reading(request):
            return parse(adapter, await self._bodies.read(request))

    def _ttl(self, seconds: int | None) -> timedelta:
        if seconds is None:
            return self._terms.ttl
        asked = timedelta(seconds=seconds)
        if asked > self._terms.longest_ttl:
            longest = int(self._terms.longest_ttl.total_seconds())
            raise invalid([("ttl_seconds", f"Input should be less than or equal to {longest}")])
        return asked

    async def _change(self, change: HoldChange, outcome: str, key: str, channel: str) -> Response:
        changed = await _in_time(self._desk.change(change), key)
        hold = changed.hold
        if hold is None:
            return _unknown(key).response()
        match changed.result:
            case ChangeResult.DONE:
                return _told(200, outcome, key, channel, hold)
            case ChangeResult.OTHER_ORDER:
                return _other_order(key, hold).response()
            case ChangeResult.OVER if not isinstance(change, Release) and hold.status not in _SOLD:
                return _over(key, hold).response()
            case _:
                return _told(200, f"already_{messages.status_of(hold)}", key, channel, hold)


def _key_of(request: Request, in_body: str | None) -> str:
    header = request.headers.get("idempotency-key")
    if header is not None:
        # The header's draft standard has it in quotes; many clients leave them out.
        header = header[1:-1] if len(header) > 1 and header[0] == header[-1] == '"' else header
        if not messages.is_key(header):
            raise invalid([("Idempotency-Key", f"String should match pattern '{messages.KEY}'")])
        if in_body not in (None, header):
            raise invalid([("key", "is not the one of the Idempotency-Key header")])
    key = in_body or header
    if key is None:
        raise invalid([("key", "Field required, or the header Idempotency-Key")])
    return key


def _key_in_path(request: Request) -> str:
    key: str = request.path_params["key"]
    if not messages.is_key(key):
        raise invalid([("key", f"String should match pattern '{messages.KEY}'")])
    return key


_Result = TypeVar("_Result")


async def _in_time(answer: Awaitable[_Result], key: str | None = None) -> _Result:
    """Raises Problem 503 when the ledger did not answer: nothing was done, or nobody knows."""
    try:
        return await answer
    except NotDecided:
        raise Problem(503, "unavailable", "The ledger does not answer", "Nothing was done. Ask again.",
                      headers={"retry-after": "1"}) from None  # fmt: skip
    except InDoubt:
        raise Problem(503, "in-doubt", "The answer is not known", "It may have been done or not. Ask the same again "
                      "with the same key: that tells, and does nothing twice.", headers={"retry-after": "1"},
                      key=key) from None  # fmt: skip


def _refused(key: str, hold: HoldState, partial: bool) -> Problem:
    what = "Nothing of it is free" if partial else "Not all of it is free"
    return Problem(409, "refused", what, "Nothing is held. Ask for what is free, with a new key.",
                   key=key, hold_status="refused", lines=messages.lines_of(hold))  # fmt: skip


def _conflict(key: str) -> Problem:
    return Problem(409, "key-conflict", "The key was used for something else",
                   "Nothing was done. Take a new key for every checkout.", key=key)  # fmt: skip


def _other_order(key: str, hold: HoldState) -> Problem:
    return Problem(409, "other-order", "The hold belongs to another order", "Nothing was done.",
                   key=key, hold_status=messages.status_of(hold), lines=messages.lines_of(hold))  # fmt: skip


def _over(key: str, hold: HoldState) -> Problem:
    status = messages.status_of(hold)
    return Problem(409, "over", f"The hold is {status}", "It keeps nothing any more. Ask again, with a new key.",
                   key=key, hold_status=status, lines=messages.lines_of(hold))  # fmt: skip


def _unknown(key: str) -> Problem:
    return Problem(404, "unknown-key", "There is no such hold", "No hold was asked for with this key.", key=key)


def _told(
    status: int, outcome: str, key: str, channel: str, hold: HoldState, headers: dict[str, str] | None = None
) -> Response:
    return _json(messages.told(outcome, key, channel, hold), status, headers)


def _json(document: dict[str, object], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(to_json(document), status, headers, media_type="application/json")
