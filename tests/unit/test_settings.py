"""Settings: what is refused, in what words, and that secrets stay secret."""

import os
from pathlib import Path

import pytest

from adapters.settings import PROJECT_ROOT, Settings, SettingsError, read_settings

SECRET = "s3cr3t-word"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of this machine reaches a test."""
    for name in list(os.environ):
        if name.upper().startswith("ONHAND_"):
            monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / ".env")


def test_defaults_are_the_embedded_stack() -> None:
    found = read_settings()
    assert found.database_url is None
    assert found.prefect_api_url is None
    assert found.data_dir == PROJECT_ROOT / ".onhand"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_postgres_url_is_taken_in_any_spelling(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("ONHAND_DATABASE_URL", f"{scheme}://me:{SECRET}@db:5433/stock")
    found = read_settings().database_url
    assert found is not None
    assert found.get_secret_value() == f"postgresql+psycopg://me:{SECRET}@db:5433/stock"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DATABASE_URL", f"mysql://me:{SECRET}@db/stock", "must be PostgreSQL"),
        ("DATABASE_URL", f"{SECRET} is no url", "is no URL"),
        ("DATABASE_URL", f"postgresql://me:{SECRET}@db", "names no database"),
        ("DATABASE_URL", f"postgresql://me:{SECRET}@db:port/stock", "is no URL"),
        ("SLACK_WEBHOOK_URL", f"http://example.com/{SECRET}", "https"),
        ("PREFECT_API_URL", "localhost:4200", "http://host:4200/api"),
        ("PREFECT_API_URL", "http://localhost:4200", "must end in /api"),
        ("PREFECT_PORT", "0", "greater than or equal to 1"),
        ("PREFECT_PORT", "many", "integer"),
        ("LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("DATABASE_POOL_SIZE", "1000", "less than or equal to 100"),
        ("DATA_DIR", "/", "root of the file system"),
        ("DATA_DIR", str(PROJECT_ROOT / "pyproject.toml"), "is a file"),
    ],
)
def test_nonsense_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(f"ONHAND_{name}", value)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert f"ONHAND_{name}" in str(caught.value)
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONHAND_LOG_LEVEL", "loud")
    monkeypatch.setenv("ONHAND_PREFECT_PORT", "-1")
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert len(str(caught.value).splitlines()) == 2


def test_a_misspelt_name_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONHAND_DATABSE_URL", "postgresql://db/stock")
    with pytest.raises(SettingsError, match="did you mean ONHAND_DATABASE_URL"):
        read_settings()


def test_names_of_other_parts_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONHAND_SANDBOX_SHOPIFY_URL", "http://127.0.0.1:1")
    read_settings()


def test_the_env_file_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ONHAND_LOG_LEVEL=debug\nOTHER=1\n")
    assert Settings(_env_file=tmp_path / ".env").log_level == "DEBUG"


def test_secrets_do_not_show() -> None:
    found = Settings(
        database_url=f"postgresql://me:{SECRET}@db/stock", slack_webhook_url=f"https://hooks.example.com/{SECRET}"
    )
    assert SECRET not in repr(found) + str(found) + found.model_dump_json()
