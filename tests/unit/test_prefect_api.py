"""The demo's small client of Prefect's API, against answers of a busy server."""

import httpx
import pytest

from onhand import prefect_api
from onhand.prefect_api import PrefectApi


def api_answering(*statuses: int, calls: list[str]) -> PrefectApi:
    left = list(statuses)

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        return httpx.Response(left.pop(0), json=[])

    api = PrefectApi("http://127.0.0.1:1/api")
    api._client = httpx.Client(base_url="http://127.0.0.1:1/api", transport=httpx.MockTransport(answer))
    return api


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_api.time, "sleep", lambda seconds: None)


def test_a_locked_database_is_asked_again() -> None:
    calls: list[str] = []
    assert api_answering(503, 503, 200, calls=calls).deployments() == []
    assert len(calls) == 3


def test_it_gives_up_in_the_end() -> None:
    calls: list[str] = []
    with pytest.raises(httpx.HTTPStatusError):
        api_answering(*[503] * 20, calls=calls).deployments()
    assert len(calls) == prefect_api.ATTEMPTS


def test_other_errors_are_not_repeated() -> None:
    calls: list[str] = []
    with pytest.raises(httpx.HTTPStatusError):
        api_answering(422, 200, calls=calls).deployments()
    assert len(calls) == 1
