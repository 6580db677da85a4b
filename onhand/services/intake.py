"""The webhook intake: verify, store, answer; nothing else. What a webhook names is read by the pull shift.

A webhook is a notice. Its signature is verified over the raw body before anything of it is looked at; only ids
are taken from it; they are committed before the channel gets its answer. So a forged one is not stored, a
repeated one is stored once, and one that comes late or before another does no harm. Nothing of a request is
ever logged.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from adapters.channels.notices import AnswersChallenges, KnowsGreetings, KnowsWhenSigned, rows, unreadable
from adapters.channels.webhooks import ReceivesWebhooks
from adapters.database import in_transaction
from adapters.settings import Settings
from adapters.wakeups import pull_topic, wake
from inventory.orders import notice_store
from inventory.orders.notice_store import Key, NewNotice
from inventory.words import IntakeOutcome
from onhand.services.bodies import BodyReader, TooLarge, TooSlow
from onhand.services.gathering import Gatherer, NotStored
from onhand.services.problems import MEDIA_TYPE, Problem, ProblemBody, invalid, tell_problems

log = logging.getLogger(__name__)

_JUDGES = 4
"""Threads a channel."""
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading a genuine message of an unknown shape can end in."""


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """What the intake takes at most. The time-outs are below every vendor's own (Shopify's is 5 s, eBay's 3 s)."""

    body_bytes: int = 1024 * 1024
    body_seconds: float = 5.0
    replay: timedelta = timedelta(minutes=5)
    """How far the time that a vendor signed may be from ours."""
    store_seconds: float = 2.5
    held_bytes: int = 256 * 1024 * 1024
    """Of bodies that are being received at the same time, each counted at its largest."""
    waiting: int = 2000
    """Webhooks that wait for their commit; more are told to come again."""
    batch: int = 500
    """Webhooks in one transaction."""
    count_seconds: float = 1.0
    """Counts are written so often."""


def limits_from(settings: Settings) -> IntakeLimits:
    return IntakeLimits(
        body_bytes=settings.webhook_max_bytes, replay=timedelta(seconds=settings.webhook_replay_seconds)
    )


class StoredAnswer(BaseModel):
    stored: int = Field(description="Notices that were new; 0 for a message that came before or tells nothing")


class ChallengeAnswer(BaseModel):
    challengeResponse: str


class HealthAnswer(BaseModel):
    status: str
    waiting: int = Field(description="Webhooks that wait for their commit")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a body is worth: rows to store, or why it is refused."""

    outcome: IntakeOutcome
    notices: Sequence[NewNotice] = ()


def judge(
    channel: str,
    receiver: ReceivesWebhooks,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    replay: timedelta,
) -> Judgement:
    """Signature first, then its age, and only then the content."""
    if isinstance(receiver, KnowsGreetings) and receiver.greets(headers, body):
        return Judgement(IntakeOutcome.ACCEPTED)
    if not receiver.verify(headers, body):
        return Judgement(IntakeOutcome.FORGED)
    if isinstance(receiver, KnowsWhenSigned):
        signed = receiver.signed_at(headers, body)
        if signed is not None and abs(now - signed) > replay:
            return Judgement(IntakeOutcome.EXPIRED)
    try:
        return Judgement(IntakeOutcome.ACCEPTED, rows(channel, receiver.read(headers, body)))
    except _UNREADABLE:
        return Judgement(IntakeOutcome.UNREADABLE, [unreadable(channel, body)])


class Intake:
    """What the routes share: the receivers, the limits, the writer and the counts."""

    def __init__(
        self,
        engine: Engine,
        receivers: Mapping[str, ReceivesWebhooks],
        limits: IntakeLimits,
        now: Callable[[], datetime],
    ) -> None:
        self.engine, self.receivers, self.limits, self.now = engine, receivers, limits, now
        self.bodies = BodyReader(limits.body_bytes, limits.body_seconds, limits.held_bytes)
        self.counts: Counter[tuple[str, IntakeOutcome]] = Counter()
        self.gatherer = Gatherer(self._write, after=self._wake, largest=limits.batch, most_waiting=limits.waiting)
        # Threads of each channel's own: one vendor whose keys cannot be fetched must not keep the others waiting.
        self.judges = {code: ThreadPoolExecutor(_JUDGES, f"judge-{code}") for code in receivers}
        self.looks = ThreadPoolExecutor(2, "counts-and-health")
        self._health: asyncio.Future[bool] | None = None

    def receiver(self, channel: str) -> ReceivesWebhooks:
        if channel not in self.receivers:
            raise Problem(404, "unknown-channel", "No webhooks are received at this address")
        return self.receivers[channel]

    async def take(self, channel: str, request: Request) -> StoredAnswer:
        """One webhook, from its body to its commit. Raises Problem."""
        receiver = self.receiver(channel)
        try:
            with self.bodies.reading(request):
                body = await self.bodies.read(request)
                judging = partial(judge, channel, receiver, dict(request.headers), body, self.now(), self.limits.replay)
                # In a thread, because a receiver may have to fetch its vendor's public key.
                judged = await asyncio.get_running_loop().run_in_executor(self.judges[channel], judging)
        except TooLarge:
            self.counts[channel, IntakeOutcome.TOO_LARGE] += 1
            raise
        except TooSlow:
            self.counts[channel, IntakeOutcome.TOO_SLOW] += 1
            raise
        return await self._store(channel, judged)

    async def _store(self, channel: str, judged: Judgement) -> StoredAnswer:
        outcome = judged.outcome
        if outcome is IntakeOutcome.FORGED:
            self.counts[channel, outcome] += 1
            raise Problem(401, "wrong-signature", "The signature does not fit the body")
        if outcome is IntakeOutcome.EXPIRED:
            self.counts[channel, outcome] += 1
            raise Problem(401, "expired", "The message was signed at another time")
        if not judged.notices:
            self.counts[channel, outcome] += 1
            return StoredAnswer(stored=0)
        try:
            new = await self.gatherer.store(judged.notices, self.limits.store_seconds)
        except NotStored:
            self.counts[channel, IntakeOutcome.NOT_STORED] += 1
            raise Problem(503, "not-stored", "Not stored; come again", headers={"retry-after": "5"}) from None
        self.counts[channel, outcome if new else IntakeOutcome.REPEATED] += 1
        return StoredAnswer(stored=new)

    def _write(self, notices: Sequence[NewNotice]) -> set[Key]:
        return in_transaction(self.engine, lambda connection: notice_store.store(connection, notices, now=self.now()))

    def _wake(self, new: set[Key]) -> None:
        wake(self.engine, *{pull_topic(channel) for channel, *_ in new})

    async def keep_counts(self) -> None:
        """Write the counts down again and again. Forged webhooks cost no transaction each."""
        while True:
            await asyncio.sleep(self.limits.count_seconds)
            await self.write_counts()

    async def write_counts(self) -> None:
        if not self.counts:
            return
        counts, self.counts = self.counts, Counter()

        def write() -> None:
            in_transaction(self.engine, lambda connection: notice_store.count(connection, counts, now=self.now()))

        try:
            await asyncio.get_running_loop().run_in_executor(self.looks, write)
        except Exception as error:
            self.counts.update(counts)
            log.warning("the counts of the intake wait: %s", type(error).__name__)

    async def reaches_the_ledger(self) -> bool:
        """Whoever asks while somebody looks gets the same answer."""
        if self._health is None or self._health.done():
            self._health = asyncio.get_running_loop().run_in_executor(self.looks, self._look)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.store_seconds):
                return await asyncio.shield(self._health)
        return False

    def _look(self) -> bool:
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    def close(self) -> None:
        for threads in (*self.judges.values(), self.looks):
            threads.shutdown(wait=False, cancel_futures=True)


Channel = Annotated[str, Path(description="Code of the channel, as in channels.toml", max_length=100)]
_BODY = {
    "requestBody": {
        "required": True,
        "description": "As the vendor sends it. The signature is over these very bytes.",
        "content": {"application/json": {"schema": {}}},
    }
}


def _problems(descriptions: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """These answers in the OpenAPI document."""
    schema = ProblemBody.model_json_schema()
    return {
        status: {"description": words, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status, words in descriptions.items()
    }


async def _invalid(_: Request, error: Exception) -> Response:
    """Of an address; places and rules, never the values that were sent."""
    assert isinstance(error, RequestValidationError)
    return invalid([(".".join(str(part) for part in one["loc"]), one["msg"]) for one in error.errors()]).response()


def create_app(
    engine: Engine,
    receivers: Mapping[str, ReceivesWebhooks],
    *,
    limits: IntakeLimits | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> FastAPI:
    """`receivers`: {code of a channel: how its webhooks are judged}."""
    intake = Intake(engine, receivers, limits or IntakeLimits(), now)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        writer = asyncio.create_task(intake.gatherer.run(), name="writer")
        counting = asyncio.create_task(intake.keep_counts(), name="counts")
        try:
            yield
        finally:
            counting.cancel()
            intake.gatherer.close()
            await asyncio.gather(writer, counting, return_exceptions=True)
            await intake.write_counts()
            intake.close()

    app = FastAPI(
        title="onhand webhook intake",
        version="1",
        description="Where sales channels tell that something of theirs changed.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    tell_problems(app)
    app.add_exception_handler(RequestValidationError, _invalid)

    @app.post(
        "/webhooks/{channel}",
        summary="A channel tells that something changed",
        openapi_extra=_BODY,
        responses=_problems(
            {
                400: "The body is not complete",
                401: "The signature does not fit, or is too old",
                404: "No such channel, or it sends no webhooks",
                408: "The body did not come in time",
                413: "The body is too large",
                422: "The address makes no sense",
                503: "Not stored: send it again",
            }
        ),
    )
    async def receive(channel: Channel, request: Request) -> StoredAnswer:
        """200 means that the notice is committed."""
        return await intake.take(channel, request)

    @app.get(
        "/webhooks/{channel}",
        summary="A vendor asks whether the address is ours",
        responses=_problems({404: "No such channel, or it asks no such thing", 422: "No challenge code"}),
    )
    async def challenge(
        channel: Channel, challenge_code: Annotated[str, Query(min_length=1, max_length=1000)]
    ) -> ChallengeAnswer:
        receiver = intake.receiver(channel)
        if not isinstance(receiver, AnswersChallenges):
            raise Problem(404, "no-challenge", "This channel asks no such thing")
        return ChallengeAnswer(challengeResponse=receiver.challenge(challenge_code))

    @app.get("/health", summary="Can it store?", responses=_problems({503: "The ledger is out of reach"}))
    async def health() -> HealthAnswer:
        if not await intake.reaches_the_ledger():
            raise Problem(503, "no-ledger", "The ledger is out of reach")
        return HealthAnswer(status="ok", waiting=intake.gatherer.waiting)

    return app
