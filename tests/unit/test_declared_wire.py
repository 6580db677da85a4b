"""The wire of a declared channel: who we are, how fast we ask, where a request can go, and what is never said."""

import base64
import traceback
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from declared_stage import NOW, SECRET, Clock, Respond, described, opened, order
from pydantic import SecretStr

from adapters.channels.declared.declared_wire import Shared, shared_for
from adapters.channels.protocol import Change
from adapters.http import ChannelFault, Resolution

EMPTY = {"orders": []}
OAUTH = {"kind": "oauth2", "token_url": "/oauth/token", "client_id_env": "ID", "client_secret_env": "SECRET"}


class Recorder:
    """Answers with what `then` gives next, and an empty list of orders after it."""

    def __init__(self, *then: httpx.Response) -> None:
        self.then = list(then)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.then.pop(0) if self.then else httpx.Response(200, json=EMPTY)


def fault_of(respond: Respond, clock: Clock | None = None, **changes: Any) -> ChannelFault:
    with pytest.raises(ChannelFault) as caught:
        opened(respond, clock, **changes).pull_orders(NOW)
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    return caught.value


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"kind": "bearer", "token_env": "T"}, "authorization", f"Bearer {SECRET}"),
        (
            {"kind": "basic", "user_env": "U", "password_env": "P"},
            "authorization",
            "Basic " + base64.b64encode(f"{SECRET}:{SECRET}".encode()).decode(),
        ),
        ({"kind": "header", "name": "X-Key", "value_env": "K"}, "x-key", SECRET),
        (
            {"kind": "header", "name": "Authorization", "value_env": "K", "prefix": "Token "},
            "authorization",
            f"Token {SECRET}",
        ),
    ],
)
def test_fixed_credentials(auth: dict[str, Any], header: str, value: str) -> None:
    recorder = Recorder()
    opened(recorder, auth=auth).pull_orders(NOW)
    assert recorder.requests[0].headers[header] == value
    assert SECRET not in str(recorder.requests[0].url)


class TokenServer:
    def __init__(self, **answer: Any) -> None:
        self.given = 0
        self.valid: set[str] = set()
        self.answer = answer
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path.endswith("/oauth/token"):
            self.given += 1
            token = f"token-{self.given}"
            self.valid.add(token)
            return httpx.Response(200, json={"access_token": token, "token_type": "bearer", **self.answer})
        known = request.headers["authorization"].removeprefix("Bearer ") in self.valid
        return httpx.Response(200, json=EMPTY) if known else httpx.Response(401, json={"code": "expired"})


def test_a_token_is_fetched_once_shared_and_renewed_in_time() -> None:
    clock, server = Clock(), TokenServer(expires_in=600)
    shared = Shared(clock=clock)
    config = described(auth={**OAUTH, "scope": "orders stock", "params": {"audience": "b2b"}, "early_s": 100})

    def pull() -> None:
        channel = config.open(
            lambda name: SecretStr(f"{name}: ü/"),
            transport=httpx.MockTransport(server),
            shared=shared,
            sleep=clock.sleep,
        )
        channel.pull_orders(NOW)
        channel.close()

    for _ in range(3):
        pull()
    assert server.given == 1
    first = server.requests[0]
    form = {"grant_type": "client_credentials", "audience": "b2b", "scope": "orders stock"}
    assert {name: value for name, (value,) in parse_qs(first.content.decode()).items()} == form
    given = base64.b64decode(first.headers["authorization"].removeprefix("Basic ")).decode()
    assert given == "ID%3A%20%C3%BC%2F:SECRET%3A%20%C3%BC%2F"
    clock.seconds += 499
    pull()
    assert server.given == 1
    clock.seconds += 2
    pull()
    assert server.given == 2
    server.valid.clear()
    pull()
    assert server.given == 3, "refused, so renewed and asked again"


@pytest.mark.parametrize(
    ("answer", "resolution"),
    [
        (httpx.Response(401, json={"error": "invalid_client"}), Resolution.REAUTHENTICATE),
        (httpx.Response(400, json={"error": "invalid_scope"}), Resolution.REAUTHENTICATE),
        (httpx.Response(503, text="down"), Resolution.RETRY),
        (httpx.Response(200, json={}), Resolution.MALFORMED),
        (httpx.Response(200, json=[]), Resolution.MALFORMED),
        (httpx.Response(200, json={"access_token": "a\r\nX-Evil: 1", "token_type": "Bearer"}), Resolution.MALFORMED),
        (httpx.Response(200, json={"access_token": "a", "token_type": "mac"}), Resolution.MALFORMED),
        (httpx.Response(200, text="<html>"), Resolution.MALFORMED),
    ],
)
def test_a_token_that_is_not_given(answer: httpx.Response, resolution: Resolution) -> None:
    recorder = Recorder(answer)
    assert fault_of(recorder, auth={**OAUTH, "send": "body"}).resolution is resolution
    form = parse_qs(recorder.requests[0].content.decode())
    assert (form["client_id"], form["client_secret"]) == ([SECRET], [SECRET])
    assert len(recorder.requests) == 1


@pytest.mark.parametrize("expires_in", [None, "soon", -5, 0, 1e400, [], True, "3600"])
def test_a_strange_lifetime_does_no_harm(expires_in: Any) -> None:
    server = TokenServer()
    text = "1e400" if expires_in == 1e400 else None

    def respond(request: httpx.Request) -> httpx.Response:
        if text and request.url.path.endswith("/oauth/token"):
            server.valid.add("t")
            return httpx.Response(200, content=f'{{"access_token":"t","expires_in":{text}}}'.encode())
        server.answer = {"expires_in": expires_in}
        return server(request)

    assert list(opened(respond, auth=OAUTH).pull_orders(NOW)) == []


def test_a_token_that_is_always_refused_is_renewed_once() -> None:
    calls: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        if request.url.path.endswith("/oauth/token"):
            return httpx.Response(200, json={"access_token": "t", "token_type": "Bearer"})
        return httpx.Response(401, json={})

    assert fault_of(respond, auth=OAUTH).resolution is Resolution.REAUTHENTICATE
    assert calls == ["/api/oauth/token", "/api/orders"] * 2


def test_the_allowance_is_kept() -> None:
    clock, recorder = Clock(), Recorder()
    channel = opened(recorder, clock, limits={"requests_per_second": 2, "burst": 3})
    for _ in range(6):
        channel.pull_orders(NOW)
    assert clock.slept == [0.5, 0.5, 0.5]
    clock.seconds += 60
    for _ in range(3):
        channel.pull_orders(NOW)
    assert len(clock.slept) == 3, "rested"


def test_an_allowance_that_is_used_up_for_long_is_a_fault_and_takes_no_place() -> None:
    clock, recorder = Clock(), Recorder()
    limits = {"requests_per_second": 0.01, "max_wait_s": 30}
    channel = opened(recorder, clock, limits=limits)
    channel.pull_orders(NOW)
    for _ in range(3):
        with pytest.raises(ChannelFault) as caught:
            channel.pull_orders(NOW)
        assert caught.value.resolution is Resolution.RATE_LIMITED
        assert caught.value.retry_after == pytest.approx(100)
    assert len(recorder.requests) == 1
    clock.seconds += 100
    channel.pull_orders(NOW)


def test_one_process_shares_by_channel() -> None:
    assert shared_for("a", "x") is shared_for("a", "x")
    assert shared_for("a", "x") is not shared_for("b", "x")
    assert described(limits={"one_at_a_time": True}).limits.one_at_a_time
    recorder = Recorder()
    channel = opened(recorder, limits={"one_at_a_time": True})
    channel.pull_orders(NOW)
    channel.pull_orders(NOW)
    assert len(recorder.requests) == 2


@pytest.mark.parametrize(
    ("limits", "headers", "waits"),
    [
        ({}, {"Retry-After": "3"}, [3.0]),
        ({}, {}, [0.5]),
        ({"retry_after_header": "X-Wait", "retry_after_unit": "milliseconds"}, {"X-Wait": "1500"}, [1.5]),
        ({"retry_after_header": "X-Wait", "retry_after_unit": "epoch_s"}, {"X-Wait": str(NOW.timestamp() + 4)}, [4.0]),
        ({"retry_after_header": "X-Wait", "retry_after_unit": "epoch_s"}, {"X-Wait": "5"}, []),
        ({"retry_after_header": "X-Wait"}, {"X-Wait": "soon", "Retry-After": "2"}, [2.0]),
    ],
)
def test_too_fast_waits_as_it_is_told(limits: dict[str, Any], headers: dict[str, str], waits: list[float]) -> None:
    clock, recorder = Clock(), Recorder(httpx.Response(429, headers=headers))
    opened(recorder, clock, limits=limits).pull_orders(NOW)
    assert clock.slept == waits
    assert len(recorder.requests) == 2


def test_too_fast_for_ever_is_a_fault_after_the_longest_wait() -> None:
    clock = Clock()
    fault = fault_of(lambda request: httpx.Response(429), clock, limits={"max_wait_s": 10})
    assert fault.resolution is Resolution.RATE_LIMITED
    assert clock.slept == [0.5, 1.0, 2.0, 4.0]
    assert fault_of(lambda request: httpx.Response(429, headers={"Retry-After": "60"})).retry_after == 60


@pytest.mark.parametrize(
    ("status", "statuses", "resolution"),
    [
        (500, {}, Resolution.RETRY),
        (404, {}, Resolution.REJECT),
        (403, {}, Resolution.REAUTHENTICATE),
        (302, {}, Resolution.REJECT),
        (403, {403: "retry"}, Resolution.RETRY),
        (418, {418: "rate_limited"}, Resolution.RATE_LIMITED),
    ],
)
def test_statuses_by_the_usual_table_or_by_its_own(status: int, statuses: Any, resolution: Resolution) -> None:
    refusal = httpx.Response(status, headers={"location": "https://evil.test/"})
    fault = fault_of(lambda request: refusal, limits={"statuses": statuses})
    assert (fault.resolution, fault.status) == (resolution, status)


SINGLE = {"single": {"path": "/orders/{order_id}"}}


@pytest.mark.parametrize("name", ["7", "a/b", "a?b=1#c", "ü", "%2e%2e", "https://evil.test", "a\\b", "a b", "{id}"])
def test_an_id_in_a_path_is_quoted_and_stays_on_the_host(name: str) -> None:
    recorder = Recorder(httpx.Response(404))
    opened(recorder, orders=SINGLE).read_orders([name])
    (request,) = recorder.requests
    assert (request.url.host, request.url.query) == ("shop.test", b"")
    raw = request.url.raw_path.decode()
    assert raw.startswith("/api/orders/") and raw.count("/") == 3


@pytest.mark.parametrize("name", ["..", ".", "", "a\r\nb", "a\0b"])
def test_an_id_that_no_path_can_hold_is_not_sent(name: str) -> None:
    recorder = Recorder()
    with pytest.raises(ChannelFault) as caught:
        opened(recorder, orders=SINGLE).read_orders([name])
    assert (caught.value.resolution, recorder.requests) == (Resolution.REJECT, [])


def test_a_key_that_no_header_can_hold_is_not_sent() -> None:
    recorder = Recorder()
    channel = opened(recorder, stock_write={"headers": {"Idempotency-Key": "{key}"}})
    assert channel.capabilities.idempotency_keys
    (result,) = channel.set_quantities([Change("A", 1, None)], "k\r\nX-Evil: 1")
    assert (result.status.value, recorder.requests) == ("rejected", [])
    channel.set_quantities([Change("A", 1, None)], "k-1")
    assert recorder.requests[0].headers["idempotency-key"] == "k-1"


def test_single_orders_one_by_one_in_batches_and_by_a_window() -> None:
    rows = {number: order(number) for number in range(1, 8)}

    def respond(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        if "ids" in request.url.params:
            ids = request.url.params["ids"].split(",")
            return httpx.Response(200, json={"data": [rows[int(one)] for one in ids if int(one) in rows] + [order(99)]})
        last = request.url.path.rpartition("/")[2]
        if last == "orders":
            return httpx.Response(200, json={"orders": list(rows.values())})
        return httpx.Response(200, json=rows[int(last)]) if int(last) in rows else httpx.Response(404)

    wanted = ["3", "5", "50", "3", "7", "1"]
    batched = {"path": "/orders", "params": {"ids": "{order_ids}"}, "batch": 2, "records": "data"}
    for single, count in ((SINGLE["single"], 5), (batched, 3), (None, 1)):
        calls: list[httpx.Request] = []
        channel = opened(respond, orders={"single": single} if single else {})
        page = channel.read_orders(wanted)
        assert {one["order_id"] for one in page.orders} == {"1", "3", "5", "7"}
        assert (page.defects, len(calls)) == ([], count)
        assert channel.capabilities.reads_singly is (single is not None)
    assert opened(respond, capabilities={"reads_singly": True, "revisions_per_day": 250}).capabilities.reads_singly


def test_an_order_that_cannot_be_translated_is_a_defect_and_the_others_go_on() -> None:
    bad = {**order(2), "lines": "Wilhelmina"}
    respond = Recorder(httpx.Response(200, json={"orders": [order(1), bad, "Wilhelmina", order(3, 5)]}))
    (page,) = opened(respond).pull_orders(NOW)
    assert [one["order_id"] for one in page.orders] == ["1", "3"]
    assert page.defects[0].key == "2"
    assert len(page.defects) == 2 and "Wilhelmina" not in repr(page.defects)
