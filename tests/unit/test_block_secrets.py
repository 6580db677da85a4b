"""Secrets of blocks: how they are named, how long they are kept, and that no message holds one."""

from typing import Any

import httpx
import pytest
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from adapters.settings import SettingsError
from tasks import credentials, named_secrets
from tasks.credentials import BLOCKS, KEPT_SECONDS, STALE_SECONDS, BlockSecrets, _Unreachable

NAME = "block:onhand-shopify/main.access_token"


class Server:
    def __init__(self) -> None:
        self.calls = 0
        self.at = 0.0
        self.answer: dict[str, Any] | Exception = {"access_token": "hush", "client_secret": None}

    def read(self, slug: str, document: str) -> dict[str, Any]:
        self.calls += 1
        assert (slug, document) == ("onhand-shopify", "main")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def secrets(self) -> BlockSecrets:
        return BlockSecrets(self.read, lambda: self.at)


def test_a_secret_is_read_once_and_again_after_a_while() -> None:
    server = Server()
    secrets = server.secrets()
    assert secrets(NAME).get_secret_value() == "hush"
    server.answer = {"access_token": "other"}
    server.at = KEPT_SECONDS - 1
    assert secrets(NAME).get_secret_value() == "hush" and server.calls == 1
    server.at = KEPT_SECONDS + 1
    assert secrets(NAME).get_secret_value() == "other"
    assert "other" not in repr(secrets(NAME))


def test_a_server_that_is_away_for_a_moment_stops_nothing() -> None:
    server = Server()
    secrets = server.secrets()
    secrets(NAME)
    server.answer = _Unreachable("did not answer")
    server.at = STALE_SECONDS - 1
    assert secrets(NAME).get_secret_value() == "hush"
    server.at = STALE_SECONDS + 1
    with pytest.raises(SettingsError, match="did not answer"):
        secrets(NAME)


def test_what_is_not_there_is_said_without_values() -> None:
    secrets = Server().secrets()
    for wanted in ("client_secret", "nonsense"):
        with pytest.raises(SettingsError, match=f"no {wanted} filled in; it has access_token") as caught:
            secrets(f"block:onhand-shopify/main.{wanted}")
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["block:", "block:shopify/main.x", "block:onhand-shopify/main", "block:onhand-a/b/c.d"]
)
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(SettingsError, match="names no block"):
        Server().secrets()(name)


def test_without_a_server_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_api_url", lambda: None)
    with pytest.raises(SettingsError, match="PREFECT_API_URL"):
        credentials.read_block("onhand-shopify", "main")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ObjectNotFound(ValueError()), "there is no block onhand-shopify/main"),
        (httpx.ConnectError("hush"), "did not answer, ConnectError"),
    ],
)
def test_what_prefects_server_says(monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
    def fails(**_: object) -> None:
        raise error

    monkeypatch.setattr(credentials, "_api_url", lambda: "http://127.0.0.1:1/api")
    monkeypatch.setattr(credentials, "get_client", fails)
    with pytest.raises((SettingsError, _Unreachable), match=said) as caught:
        credentials.read_block("onhand-shopify", "main")
    assert "hush" not in str(caught.value)


def test_a_name_leads_to_the_environment_or_to_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "from the environment")
    monkeypatch.setattr(credentials, "block_secret", lambda name: SecretStr(f"from {name}"))
    assert named_secrets.named_secret("SHOP_TOKEN").get_secret_value() == "from the environment"
    assert named_secrets.named_secret(NAME).get_secret_value() == f"from {NAME}"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.__name__)
def test_every_form_explains_itself_and_holds_secrets_alone(block: Any) -> None:
    schema = block.model_json_schema()
    assert block._block_type_slug.startswith("onhand-")
    assert block.get_description()
    for name in block.model_fields:
        field = schema["properties"][name]
        assert field["title"] and field["description"]
        assert name in schema["secret_fields"]
