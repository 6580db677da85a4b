"""A Prefect server on SQLite that is slow or locked is asked again; an answer that says no is told at once."""

from collections.abc import Callable
from unittest.mock import patch

import httpx
import pytest

from onhand import prefect_api
from onhand.prefect_api import ATTEMPTS, PrefectApi


@pytest.fixture
def pauses() -> list[float]:
    return []


def api_that(answer: Callable[[int], httpx.Response]) -> tuple[PrefectApi, list[httpx.Request]]:
    """An API whose n-th answer is `answer(n)`, and what it is asked."""
    asked: list[httpx.Request] = []

    def receive(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer(len(asked))

    api = PrefectApi("http://prefect.test/api")
    api._client.close()
    api._client = httpx.Client(base_url="http://prefect.test/api", transport=httpx.MockTransport(receive))
    return api, asked


def completed(number: int) -> httpx.Response:
    if number == 1:
        raise httpx.ReadTimeout("timed out")
    if number == 2:
        return httpx.Response(503, text="database is locked")
    return httpx.Response(200, json={"state": {"type": "COMPLETED", "message": "well"}})


def never(number: int) -> httpx.Response:
    raise httpx.ReadTimeout("timed out")


def test_a_slow_and_a_locked_server_are_asked_again(pauses: list[float]) -> None:
    api, asked = api_that(completed)
    with patch.object(prefect_api.time, "sleep", pauses.append):
        assert api.state("1") == ("COMPLETED", "well")
    assert len(asked) == 3
    assert pauses == sorted(pauses) and len(pauses) == 2


def test_a_start_that_is_asked_again_carries_the_same_key(pauses: list[float]) -> None:
    def begun(number: int) -> httpx.Response:
        if number == 2:
            raise httpx.ReadTimeout("timed out")
        return httpx.Response(200, json={"id": "run"})

    api, asked = api_that(begun)
    with patch.object(prefect_api.time, "sleep", pauses.append):
        assert api.start("flow", "deployment", minutes=0) == "run"
    _, first, second = asked
    assert first.content == second.content and b"idempotency_key" in first.content


def test_it_gives_up_in_the_end_and_does_not_ask_twice_what_was_refused(pauses: list[float]) -> None:
    with patch.object(prefect_api.time, "sleep", pauses.append):
        api, asked = api_that(never)
        with pytest.raises(httpx.ReadTimeout):
            api.state("1")
        assert len(asked) == ATTEMPTS
        api, asked = api_that(lambda number: httpx.Response(404))
        with pytest.raises(httpx.HTTPStatusError):
            api.state("1")
        assert len(asked) == 1
    assert max(pauses) == 2.0


def test_a_database_that_stays_locked_is_an_error_in_the_end(pauses: list[float]) -> None:
    api, asked = api_that(lambda number: httpx.Response(503))
    with patch.object(prefect_api.time, "sleep", pauses.append), pytest.raises(httpx.HTTPStatusError):
        api.deployments()
    assert len(asked) == ATTEMPTS
