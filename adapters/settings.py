"""What can be set from outside, once: `ONHAND_*` in the environment or in `.env` at the root.

Read by `settings()` and handed on; nothing else of onhand looks at the environment.
"""

import difflib
import os
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from inventory.health.health_limits import LimitError, parse_limits

PROJECT_ROOT = Path(__file__).resolve().parent.parent
PREFIX = "ONHAND_"

ANALYTICS_OFF = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "GX_ANALYTICS_ENABLED": "false",
}
"""Environment of every process that we start, so that nothing calls home."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class SettingsError(ValueError):
    """A setting that makes no sense. One line a setting, each naming it; values are never repeated."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=PROJECT_ROOT / ".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = None
    """PostgreSQL of the ledger. None: the embedded one in `data_dir`."""
    data_dir: Path = Path(".onhand")
    """Everything that onhand keeps on disk; a relative path counts from the project's root."""
    prefect_api_url: str | None = None
    """An existing Prefect server, ending in /api. None: the embedded one."""
    prefect_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the embedded Prefect server on loopback. None: 4200, or a free one when that is taken."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    database_pool_size: int = Field(default=10, ge=1, le=100)
    """Connections that one process keeps at most, each way (kept, and more under load)."""
    channels_file: Path = Path("channels.toml")
    """The sales channels (see `adapters.channels.registry`); a relative path counts from the project's root."""
    suppliers_file: Path = Path("suppliers.toml")
    """The suppliers whose feeds are read (see `adapters.suppliers.supplier_config`); a relative path as above."""
    policy_file: Path = Path("policy.toml")
    """What `onhand policy` checks and brings in force, unless it is told another one; a relative path counts from the
    project's root."""
    reservation_ttl_seconds: int = Field(default=900, ge=1, le=86400)
    """How long a hold of the reservation API lasts when its channel does not say."""
    reservation_longest_ttl_seconds: int = Field(default=3600, ge=1, le=30 * 86400)
    """No channel may ask for a longer one."""
    webhook_max_bytes: int = Field(default=1024 * 1024, ge=1024, le=16 * 1024 * 1024)
    """A webhook with a larger body is refused."""
    webhook_replay_seconds: float = Field(default=300, ge=10, le=86400)
    """A webhook whose signed time is further away than this is refused, where the vendor signs a time."""
    notices_kept_days: float = Field(default=30, ge=1, le=3650)
    """How long a notice that was read is kept; so long a repeated message is known as one."""
    raci_file: Path = Path("raci.toml")
    """Who may do and approve what; a relative path counts from the project's root."""
    approval_hours: float = Field(default=24, ge=0.01, le=24 * 30)
    """So long a run waits for somebody to approve it; then it fails, and nothing was done."""
    slack_webhook_url: SecretStr | None = None
    """Incoming webhook for alerts. None: alerts are stored and logged only."""
    alerts_file: Path = Path("alerts.toml")
    """Who is told of what (see `adapters.alert_targets`); a relative path counts from the project's root. Without the
    file `slack_webhook_url` is told of everything."""
    runbooks_url: str | None = None
    """Address of docs/runbooks.md as your people read it, for the links in alerts. None: its path is named."""
    prefect_ui_url: str | None = None
    """Address of Prefect's UI as your people reach it, for the links in alerts. None: from `prefect_api_url`."""
    cancellation_limits: str = ""
    """Marketplaces' limits of cancellations where they are not as `inventory.health.health_limits` has them, by vendor
    or channel: amazon=2.5/7, portal=1/30 (per cent / days)."""
    ping_url: SecretStr | None = None
    """Called by each pass of the watchdog that went well, so that somebody outside notices when none comes."""

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        path = value.expanduser()
        path = path if path.is_absolute() else PROJECT_ROOT / path
        if path.exists() and not path.is_dir():
            raise ValueError("is a file; give a folder")
        if path == Path(path.anchor):
            raise ValueError("is the root of the file system; give a folder of its own")
        return path

    @field_validator("channels_file", "suppliers_file", "raci_file")
    @classmethod
    def _from_root(cls, value: Path) -> Path:
        path = value.expanduser()
        return path if path.is_absolute() else PROJECT_ROOT / path

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        try:
            url = make_url(value.get_secret_value())
        except (ArgumentError, ValueError):
            raise ValueError("is no URL; write postgresql://user:password@host:5432/database") from None
        if url.drivername not in ("postgres", "postgresql", "postgresql+psycopg"):
            raise ValueError("must be PostgreSQL: postgresql://user:password@host:5432/database")
        if not url.database:
            raise ValueError("names no database: postgresql://user:password@host:5432/database")
        return SecretStr(url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False))

    @field_validator("prefect_api_url")
    @classmethod
    def _api(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("is no URL; write http://host:4200/api")
        if not parts.path.rstrip("/").endswith("/api"):
            raise ValueError("must end in /api, as in http://host:4200/api")
        return value.rstrip("/")

    @field_validator("runbooks_url", "prefect_ui_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or set(value) & set(' <>|"'):
            raise ValueError("is no URL; write https://host/path")
        return value.rstrip("/")

    @field_validator("cancellation_limits")
    @classmethod
    def _limits(cls, value: str) -> str:
        try:
            parse_limits(value)
        except LimitError:
            raise ValueError("names no limits; write amazon=2.5/7, portal=1/30 (per cent / days)") from None
        return value

    @field_validator("slack_webhook_url", "ping_url")
    @classmethod
    def _webhook(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        parts = urlsplit(value.get_secret_value())
        if not parts.hostname or not (parts.scheme == "https" or parts.hostname in _LOOPBACK):
            raise ValueError("must be an https URL")
        return value


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read at the first call. Raises SettingsError."""
    return read_settings()


def secret(name: str) -> SecretStr:
    """The value of the environment variable that a channel's configuration names. Raises SettingsError."""
    value = os.environ.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set: a channel's configuration names it as the place of a secret")
    return SecretStr(value)


def run_of_this_process() -> str | None:
    """The id of the flow run that this process was started for, and that dies with it; None for any other process."""
    return os.environ.get("PREFECT__FLOW_RUN_ID") or None


def read_settings() -> Settings:
    """Read the environment now; `settings()` is what programs use."""
    _refuse_misspelt()
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(error))) from None


def _explain(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        name = PREFIX + "_".join(str(part) for part in problem["loc"]).upper()
        lines.append(f"{name} {problem['msg'].removeprefix('Value error, ')}")
    return lines


def _refuse_misspelt() -> None:
    """A name that is almost a setting would be ignored in silence. Other parts may add names of their own."""
    known = [PREFIX + field.upper() for field in Settings.model_fields]
    env_file = PROJECT_ROOT / ".env"
    given = [*os.environ, *(dotenv_values(env_file) if env_file.is_file() else ())]
    for name in sorted({name.upper() for name in given}):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            if close:
                raise SettingsError(f"{name} is no setting; did you mean {close[0]}?")
