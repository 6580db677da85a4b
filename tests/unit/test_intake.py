"""The webhook intake without a database: what it refuses, what it stores, and that it answers only after the commit."""

import asyncio
import hashlib
import hmac
import json
import logging
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DataError, OperationalError

from adapters.channels.notices import UNREADABLE, Notice
from inventory.orders.notice_store import Key, NewNotice, new_notice
from inventory.words import IntakeOutcome
from onhand.services import intake
from onhand.services.gathering import Gatherer, NotStored
from onhand.services.intake import IntakeLimits
from onhand.services.serve import serving

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Receiver:
    """Signs with one of several secrets, as during a rotation."""

    def __init__(self, *secrets: str) -> None:
        self.secrets = secrets

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        given = headers.get("x-signature", "").encode()
        return any([hmac.compare_digest(given, signature(body, secret).encode()) for secret in self.secrets])

    def read(self, headers: Mapping[str, str], body: bytes) -> list[Notice]:
        document = json.loads(body)
        return [Notice(document["id"], "orders/create", tuple(document["orders"]), tuple(document.get("listings", ())))]


class Timed(Receiver):
    def signed_at(self, headers: Mapping[str, str], body: bytes) -> datetime | None:
        return datetime.fromisoformat(headers["x-time"])


class Ebayish(Receiver):
    def challenge(self, code: str) -> str:
        return f"proved {code}"


class Greeted(Receiver):
    def greets(self, headers: Mapping[str, str], body: bytes) -> bool:
        return body == b"webhook_id=7"


def signature(body: bytes, secret: str = "new") -> str:  # noqa: S107
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def message(event: str = "e1", orders: Sequence[str] = ("1",), **more: Any) -> bytes:
    return json.dumps({"id": event, "orders": list(orders), **more}).encode()


class Ledger:
    """Stands for the database."""

    def __init__(self) -> None:
        self.rows: dict[Key, NewNotice] = {}
        self.counts: Counter[tuple[str, IntakeOutcome]] = Counter()
        self.woken: list[str] = []
        self.fault: Exception | None = None

    def write(self, notices: Sequence[NewNotice]) -> set[Key]:
        if self.fault is not None:
            raise self.fault
        new = {one.key: one for one in notices if one.key not in self.rows}
        self.rows |= new
        return set(new)


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    made = Ledger()

    def count(connection: object, counts: Mapping[tuple[str, IntakeOutcome], int], *, now: datetime) -> None:
        if made.fault is not None:
            raise made.fault
        made.counts.update(counts)

    monkeypatch.setattr(intake, "in_transaction", lambda engine, work: work(None))
    monkeypatch.setattr(intake.notice_store, "store", lambda connection, notices, now: made.write(notices))
    monkeypatch.setattr(intake.notice_store, "count", count)
    monkeypatch.setattr(intake, "wake", lambda engine, *topics: made.woken.extend(topics))
    return made


@contextmanager
def served(**receivers: Receiver) -> Iterator[httpx.Client]:
    """With limits that a test can reach."""
    with serving(app_of(**receivers)) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield client


def app_of(body_seconds: float = 30, **receivers: Receiver) -> Any:
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:9/nothing?connect_timeout=1")
    limits = IntakeLimits(body_bytes=2000, body_seconds=body_seconds, held_bytes=5000)
    return intake.create_app(engine, receivers, limits=limits, now=lambda: NOON)


def post(client: httpx.Client, body: bytes, channel: str = "shop", **headers: str) -> Any:
    sent = {"x-signature": signature(body)} | {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"/webhooks/{channel}", content=body, headers=sent)


def test_a_signed_message_is_stored_and_its_channel_woken(ledger: Ledger) -> None:
    with served(shop=Receiver("new")) as client:
        answer = post(client, message(orders=["1", "2"], listings=["L"]))
    assert (answer.status_code, answer.json()) == (200, {"stored": 3})
    assert set(ledger.rows) == {("shop", "e1", "1", ""), ("shop", "e1", "2", ""), ("shop", "e1", "", "L")}
    assert ledger.woken == ["pull:shop"]
    assert ledger.counts == {("shop", "accepted"): 1}


def test_a_repeated_message_is_answered_and_stored_once(ledger: Ledger) -> None:
    with served(shop=Receiver("new")) as client:
        assert [post(client, message()).json()["stored"] for _ in range(3)] == [1, 0, 0]
    assert len(ledger.rows) == 1
    assert ledger.counts == {("shop", "accepted"): 1, ("shop", "repeated"): 2}
    assert ledger.woken == ["pull:shop"]


@pytest.mark.parametrize("wrong", ["", "nonsense", "ü", signature(message("other"))])
def test_a_wrong_signature_is_refused_counted_and_never_stored(ledger: Ledger, wrong: str) -> None:
    with served(shop=Receiver("new")) as client:
        answer = client.post("/webhooks/shop", content=message(), headers={"x-signature": wrong.encode()})
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:onhand:wrong-signature")
    assert ledger.rows == {}
    assert ledger.counts == {("shop", "forged"): 1}


def test_nothing_of_a_message_is_looked_at_before_its_signature(ledger: Ledger) -> None:
    with served(shop=Receiver("new")) as client:
        assert client.post("/webhooks/shop", content=b"\x00not json").status_code == 401


def test_both_secrets_are_valid_while_they_are_rotated(ledger: Ledger) -> None:
    with served(shop=Receiver("new", "old")) as client:
        for number, secret in enumerate(["new", "old", "older"]):
            body = message(f"e{number}")
            answer = client.post("/webhooks/shop", content=body, headers={"x-signature": signature(body, secret)})
            assert answer.status_code == (401 if secret == "older" else 200)


def test_an_unknown_channel_is_not_found(ledger: Ledger) -> None:
    with served(shop=Receiver("new")) as client:
        answer = post(client, message(), channel="nowhere")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:onhand:unknown-channel")
    assert ledger.counts == {}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_declared_or_not(ledger: Ledger, chunked: bool) -> None:
    body = message(padding="x" * 3000)
    with served(shop=Receiver("new")) as client:
        content = iter([body[:1500], body[1500:]]) if chunked else body
        answer = client.post("/webhooks/shop", content=content, headers={"x-signature": signature(body)})
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:onhand:too-large")
        assert answer.headers["connection"] == "close"
        assert post(client, message(padding="x" * 1900)).status_code == 200
    assert ledger.counts == {("shop", "too_large"): 1, ("shop", "accepted"): 1}


def test_a_chunked_body_that_fits_is_taken(ledger: Ledger) -> None:
    body = message()
    with served(shop=Receiver("new")) as client:
        answer = client.post(
            "/webhooks/shop", content=iter([body[:5], body[5:]]), headers={"x-signature": signature(body)}
        )
    assert answer.status_code == 200


@pytest.mark.parametrize("seconds", [-301, 301])
def test_what_was_signed_at_another_time_is_refused(ledger: Ledger, seconds: int) -> None:
    with served(shop=Timed("new")) as client:
        answer = post(client, message(), x_time=(NOON + timedelta(seconds=seconds)).isoformat())
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:onhand:expired")
        fresh = post(client, message(), x_time=(NOON + timedelta(seconds=seconds * 0.9)).isoformat())
        assert fresh.status_code == 200
        forged = client.post("/webhooks/shop", content=message(), headers={"x-time": "no time"})
        assert forged.status_code == 401, "the signature comes first"
    assert ledger.counts == {("shop", "expired"): 1, ("shop", "accepted"): 1, ("shop", "forged"): 1}


@pytest.mark.parametrize("body", [b"{", b"[1]", b"{}", b"null", b'{"id": 3}', b"[" * 1500, b"\xff"])
def test_a_genuine_message_that_cannot_be_read_is_kept_so_that_the_channel_is_polled(
    ledger: Ledger, body: bytes
) -> None:
    with served(shop=Receiver("new")) as client:
        assert post(client, body).json() == {"stored": 1}
        assert post(client, body).json() == {"stored": 0}
    [row] = ledger.rows.values()
    assert (row.topic, row.order_id) == (UNREADABLE, "")
    assert ledger.counts == {("shop", "unreadable"): 1, ("shop", "repeated"): 1}


def test_while_the_ledger_is_away_the_vendor_is_told_to_come_again(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.fault = OperationalError("INSERT secret", {}, Exception("secret"))
    with caplog.at_level(logging.DEBUG), served(shop=Receiver("new")) as client:
        answer = post(client, message())
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:onhand:not-stored")
        assert answer.headers["retry-after"] == "5"
        assert client.get("/health").status_code == 503
        ledger.fault = None
        assert post(client, message()).json() == {"stored": 1}
    assert ledger.counts == {("shop", "not_stored"): 1, ("shop", "accepted"): 1}, "counts wait for the ledger too"
    assert "secret" not in caplog.text


def test_a_challenge_is_answered_where_the_vendor_asks_one(ledger: Ledger) -> None:
    with served(shop=Receiver("new"), ebay=Ebayish("new")) as client:
        answer = client.get("/webhooks/ebay", params={"challenge_code": "a71"})
        assert answer.json() == {"challengeResponse": "proved a71"}
        assert client.get("/webhooks/shop", params={"challenge_code": "a71"}).status_code == 404
        assert client.get("/webhooks/nowhere", params={"challenge_code": "a71"}).status_code == 404
        missing = client.get("/webhooks/ebay")
        assert (missing.status_code, missing.json()["type"]) == (422, "urn:onhand:invalid")


def test_a_greeting_is_answered_and_forgotten(ledger: Ledger) -> None:
    with served(shop=Greeted("new")) as client:
        assert client.post("/webhooks/shop", content=b"webhook_id=7").json() == {"stored": 0}
        assert client.post("/webhooks/shop", content=b"webhook_id=7&more").status_code == 401
    assert ledger.rows == {}


def test_nothing_of_a_request_is_logged(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    body = message(customer="Ada Lovelace")
    with caplog.at_level(logging.DEBUG), served(shop=Receiver("new")) as client:
        post(client, body, authorization="Bearer sesame")
        client.post("/webhooks/shop", content=body, headers={"x-signature": "forged-by-me"})
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    for word in ("Lovelace", "sesame", "forged-by-me", signature(body)):
        assert word not in "\n".join(ours)


def test_an_id_too_long_to_be_one_is_kept_short() -> None:
    row = new_notice("shop", "e" * 5000, "t\x00" * 5000, "1" * 5000)
    assert len(row.event_id) == 64 and row.order_id == "" and len(row.topic) == 200 and "\x00" not in row.topic
    assert row.event_id != new_notice("shop", "e" * 5001, "t").event_id
    assert new_notice("shop", "\ud800", "t").event_id == "?"


# A client that is slower or ruder than an HTTP library


async def talk(app: Any, events: Sequence[tuple[float, dict[str, Any]]]) -> int:
    """The status that the app answers to a body that comes in these pieces, each after so many seconds."""
    waiting, sent = list(events), []

    async def receive() -> dict[str, Any]:
        pause, event = waiting.pop(0) if waiting else (3600.0, {})
        await asyncio.sleep(pause)
        return {"type": "http.request", **event}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    scope = {
        "type": "http", "method": "POST", "path": "/webhooks/shop", "raw_path": b"/webhooks/shop", "query_string": b"",
        "headers": [], "http_version": "1.1", "scheme": "http", "client": ("127.0.0.1", 1), "server": ("x", 1),
    }  # fmt: skip
    await app(scope, receive, send)
    return int(sent[0]["status"])


def test_a_body_that_drips_is_given_up(ledger: Ledger) -> None:
    app = app_of(body_seconds=0.2, shop=Receiver("new"))
    drips = [(0.08, {"body": b"x", "more_body": True})] * 50
    assert asyncio.run(talk(app, drips)) == 408
    with serving(app):
        pass  # the counts are written at the stop
    assert ledger.counts == {("shop", "too_slow"): 1}


def test_a_client_that_goes_away_within_its_body_leaves_nothing(ledger: Ledger) -> None:
    cut = [(0, {"body": b"x", "more_body": True}), (0, {"type": "http.disconnect"})]
    assert asyncio.run(talk(app_of(shop=Receiver("new")), cut)) == 400
    assert ledger.rows == {}


def test_too_many_bodies_at_once_are_told_to_come_again(ledger: Ledger) -> None:
    async def three(app: Any) -> list[int]:
        slow = [(0.1, {"body": b"x", "more_body": True}), (0, {"type": "http.disconnect"})]
        return await asyncio.gather(*(talk(app, slow) for _ in range(3)))

    app = app_of(shop=Receiver("new"))
    for _ in range(2):
        assert sorted(asyncio.run(three(app))) == [400, 400, 503], "and then the room is free again"


# The gatherer


def gathered(write: Any, events: Sequence[str], *, timeout_s: float = 60, most: int = 100) -> list[int | str]:
    """What each of these, stored at once, gets for an answer."""

    async def one(gatherer: Gatherer, event: str) -> int | str:
        try:
            return await gatherer.store([new_notice("shop", event, "t")], timeout_s)
        except NotStored:
            return "not stored"

    async def work() -> list[int | str]:
        gatherer = Gatherer(write, after=lambda new: None, largest=10, most_waiting=most)
        running = asyncio.create_task(gatherer.run())
        answers = await asyncio.gather(*(one(gatherer, event) for event in events))
        gatherer.close()
        await running
        return answers

    return asyncio.run(work())


def test_what_comes_together_is_one_transaction_and_the_first_of_two_alike_is_the_new_one() -> None:
    ledger, sizes = Ledger(), []

    def write(notices: Sequence[NewNotice]) -> set[Key]:
        sizes.append(len(notices))
        return ledger.write(notices)

    assert gathered(write, ["a", "b", "a", *map(str, range(20))]) == [1, 1, 0, *[1] * 20]
    assert sizes == [10, 10, 3]


def test_one_that_cannot_be_stored_does_not_fail_the_others() -> None:
    ledger = Ledger()

    def write(notices: Sequence[NewNotice]) -> set[Key]:
        if any(one.event_id == "poison" for one in notices):
            raise DataError("", {}, Exception())
        return ledger.write(notices)

    assert gathered(write, ["a", "poison", "b", "c"]) == [1, "not stored", 1, 1]
    assert {key[1] for key in ledger.rows} == {"a", "b", "c"}


def test_more_than_fit_in_the_queue_are_told_to_come_again() -> None:
    assert gathered(Ledger().write, ["a", "b", "c"], most=2) == [1, 1, "not stored"]


def test_nobody_waits_for_a_commit_for_ever() -> None:
    release = threading.Event()

    def write(notices: Sequence[NewNotice]) -> set[Key]:
        assert release.wait(60)
        return set()

    threading.Timer(1.0, release.set).start()
    assert gathered(write, ["a"], timeout_s=0.02) == ["not stored"]
