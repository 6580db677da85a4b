"""The HTTP layer: what came back, what to do about it, and what is never said."""

import logging
import socket
import threading
import traceback
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from adapters.http import Answer, ChannelFault, Resolution, call, make_client, parse_retry_after, resolve

SECRETS = ("tok-header-secret", "basic-secret", "query-secret", "userinfo-secret", "Wilhelmina Body")

Respond = Callable[[httpx.Request], httpx.Response]


def client_for(respond: Respond) -> httpx.Client:
    return make_client(
        base_url="https://user:userinfo-secret@shop.test/base",
        headers={"x-token": "tok-header-secret"},
        auth=("key", "basic-secret"),
        transport=httpx.MockTransport(respond),
    )


def ask(respond: Respond, *, writes: bool = False, **options: Any) -> Answer:
    # By name: a traceback quotes the source line, and that is not what is looked for.
    query = SECRETS[2]
    with client_for(respond) as client:
        path, params = f"/orders?also={query}", {"consumer_secret": query}
        return call(client, "shop", "GET", path, writes=writes, params=params, **options)


def fault(respond: Respond, *, writes: bool = False, **options: Any) -> ChannelFault:
    """The fault; that it says no secret is checked for every one."""
    with pytest.raises(ChannelFault) as caught:
        ask(respond, writes=writes, **options)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(vars(caught.value))
    assert not [secret for secret in SECRETS if secret in told]
    assert caught.value.__context__ is None
    return caught.value


def raising(error: Exception) -> Respond:
    def respond(request: httpx.Request) -> httpx.Response:
        raise error

    return respond


def test_an_answer_has_status_headers_and_body() -> None:
    answer = ask(lambda request: httpx.Response(201, json={"a": [1, None]}, headers={"X-Total": "3"}))
    assert (answer.status, answer.headers["x-total"], answer.body) == (201, "3", {"a": [1, None]})


def test_the_client_says_who_it_is_and_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    seen: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    ask(respond)
    assert seen[0].headers["user-agent"].startswith("onhand/")
    assert seen[0].url.path == "/base/orders"


STATUSES = [
    (400, Resolution.REJECT, Resolution.REJECT),
    (401, Resolution.REAUTHENTICATE, Resolution.REAUTHENTICATE),
    (403, Resolution.REAUTHENTICATE, Resolution.REAUTHENTICATE),
    (404, Resolution.REJECT, Resolution.REJECT),
    (408, Resolution.RETRY, Resolution.UNKNOWN),
    (422, Resolution.REJECT, Resolution.REJECT),
    (429, Resolution.RATE_LIMITED, Resolution.RATE_LIMITED),
    (301, Resolution.REJECT, Resolution.REJECT),
    (500, Resolution.RETRY, Resolution.UNKNOWN),
    (502, Resolution.RETRY, Resolution.UNKNOWN),
    (503, Resolution.RETRY, Resolution.UNKNOWN),
    (504, Resolution.RETRY, Resolution.UNKNOWN),
]


@pytest.mark.parametrize(("status", "read", "write"), STATUSES)
def test_the_table_of_statuses(status: int, read: Resolution, write: Resolution) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, text="<p>Wilhelmina Body</p>", headers={"location": "/x?k=query-secret"})

    for writes, expected in ((False, read), (True, write)):
        caught = fault(respond, writes=writes)
        assert (caught.resolution, caught.status, caught.channel) == (expected, status, "shop")
        assert resolve(status, writes=writes, has_retry_after=False) is expected


def test_503_that_says_when_was_certainly_not_applied() -> None:
    caught = fault(lambda request: httpx.Response(503, headers={"retry-after": "7"}), writes=True)
    assert (caught.resolution, caught.retry_after) == (Resolution.RATE_LIMITED, 7.0)


LOST = [
    (httpx.ConnectError("tok-header-secret"), Resolution.RETRY, Resolution.RETRY),
    (httpx.ConnectTimeout("x"), Resolution.RETRY, Resolution.RETRY),
    (httpx.PoolTimeout("x"), Resolution.RETRY, Resolution.RETRY),
    (httpx.ReadTimeout("query-secret"), Resolution.RETRY, Resolution.UNKNOWN),
    (httpx.WriteTimeout("x"), Resolution.RETRY, Resolution.UNKNOWN),
    (httpx.ReadError("x"), Resolution.RETRY, Resolution.UNKNOWN),
    (httpx.WriteError("x"), Resolution.RETRY, Resolution.UNKNOWN),
    (httpx.RemoteProtocolError("Wilhelmina Body"), Resolution.RETRY, Resolution.UNKNOWN),
    (httpx.LocalProtocolError("Illegal header value b'tok-header-secret'"), Resolution.REJECT, Resolution.REJECT),
    (httpx.DecodingError("x"), Resolution.MALFORMED, Resolution.UNKNOWN),
]


@pytest.mark.parametrize(("error", "read", "write"), LOST, ids=[type(row[0]).__name__ for row in LOST])
def test_the_table_of_broken_connections(error: Exception, read: Resolution, write: Resolution) -> None:
    assert fault(raising(error)).resolution is read
    assert fault(raising(error), writes=True).resolution is write


@pytest.mark.parametrize(
    "content",
    [b"", b'{"a": ', b"<html>Wilhelmina Body</html>", b'{"a": NaN}', b"\xff\xfe", b"[" * 100_000, b'"\xc3\x28"'],
)
def test_what_is_no_json_is_malformed_and_after_a_write_unknown(content: bytes) -> None:
    assert fault(lambda request: httpx.Response(200, content=content)).resolution is Resolution.MALFORMED
    assert fault(lambda request: httpx.Response(200, content=content), writes=True).resolution is Resolution.UNKNOWN


def test_an_answer_too_large_is_not_read_to_its_end() -> None:
    body = httpx.Response(200, json="x" * 5000)
    caught = fault(lambda request: body, max_bytes=1000)
    assert caught.resolution is Resolution.MALFORMED
    assert ask(lambda request: httpx.Response(200, json="x" * 5000), max_bytes=6000).body == "x" * 5000


def test_a_plain_error_code_is_kept_and_nothing_else() -> None:
    code = fault(lambda request: httpx.Response(404, json={"code": "invalid_id", "message": "Wilhelmina Body"}))
    assert (code.code, code.status) == ("invalid_id", 404)
    assert fault(lambda request: httpx.Response(400, json={"code": "Wilhelmina Body"})).code is None
    assert fault(lambda request: httpx.Response(400, json=["code"])).code is None


def test_retriable() -> None:
    retriable = {resolution for resolution in Resolution if ChannelFault("c", resolution, "x").retriable}
    assert retriable == {Resolution.RETRY, Resolution.RATE_LIMITED, Resolution.UNKNOWN}


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        (None, None, None),
        ("3", None, 3.0),
        (" 2.5 ", None, 2.5),
        ("-3", None, None),
        ("soon", None, None),
        ("Fri, 20 Nov 2026 08:00:30 GMT", "Fri, 20 Nov 2026 08:00:00 GMT", 30.0),
        ("Fri, 20 Nov 2026 08:00:00 GMT", "Fri, 20 Nov 2026 08:01:00 GMT", 0.0),
        ("Fri, 20 Nov 2020 08:00:00 GMT", "nonsense", 0.0),
    ],
)
def test_retry_after(value: str | None, date: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, date) == seconds


def test_httpx_does_not_log_the_url(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ask(lambda request: httpx.Response(200, json={}))
    assert "query-secret" not in caplog.text


def test_a_real_connection_cut_after_the_request_is_unknown_for_a_write() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=take_and_hang_up, args=(server, 2))
        thread.start()
        with make_client(base_url=f"http://127.0.0.1:{server.getsockname()[1]}", timeout_s=2) as client:
            for writes, expected in ((True, Resolution.UNKNOWN), (False, Resolution.RETRY)):
                with pytest.raises(ChannelFault) as caught:
                    call(client, "shop", "POST", "/x", writes=writes, json={})
                assert caught.value.resolution is expected
        thread.join()


def take_and_hang_up(server: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = server.accept()
        connection.recv(65536)
        connection.close()
