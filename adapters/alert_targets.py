"""Who is told of what: `alerts.toml`, and the messengers that carry it.

Secrets are named as in `channels.toml`: an environment variable or a block. Every mistake is told in one line that
names the target and the field.
"""

import tomllib
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from adapters.channels.http_config import problems_of
from adapters.mail import Mail
from adapters.messenger import Messenger
from adapters.settings import SettingsError
from adapters.slack import Slack
from inventory.alerting.alert_kinds import Owner
from inventory.alerting.alert_policy import Target
from inventory.words import Severity

Secret = Callable[[str], SecretStr]
"""Name of a secret, as the file has it → its value."""

Address = Annotated[str, Field(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$", max_length=254)]


class AlertFileError(SettingsError):
    """The file of targets makes no sense; one line a mistake."""


class TargetConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    owners: frozenset[Owner] = frozenset()
    """Told only of what these roles own. Empty: of everything."""
    least: Severity = Severity.INFO
    from_level: int = Field(default=0, ge=0, le=3)
    """1 to 3: told only of what nobody has closed in time, and that has risen so far."""

    def target(self) -> Target:
        return Target(self.name, self.owners, self.least, self.from_level)

    @abstractmethod
    def open(self, secret: Secret) -> Messenger:
        """For one thread; close it when done. Raises SettingsError when its secret is not there."""


class SlackConfig(TargetConfig):
    type: Literal["slack"]
    webhook_url_env: str = Field(min_length=1)

    def open(self, secret: Secret) -> Messenger:
        return Slack(secret(self.webhook_url_env))


class MailConfig(TargetConfig):
    type: Literal["mail"]
    host: str = Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")
    port: int = Field(default=587, ge=1, le=65535)
    sender: Address
    to: tuple[Address, ...] = Field(min_length=1, max_length=50)
    user: str = Field(default="", max_length=254)
    password_env: str | None = None

    def open(self, secret: Secret) -> Messenger:
        password = secret(self.password_env) if self.password_env else None
        return Mail(self.host, self.port, sender=self.sender, to=self.to, user=self.user, password=password)


AnyTarget = Annotated[SlackConfig | MailConfig, Field(discriminator="type")]
_targets: TypeAdapter[list[AnyTarget]] = TypeAdapter(list[AnyTarget])

EVERYTHING = SlackConfig(name="slack", type="slack", webhook_url_env="ONHAND_SLACK_WEBHOOK_URL")
"""The one target where there is no file but a webhook in the settings."""


def read_targets(path: Path, *, webhook_is_set: bool) -> list[SlackConfig | MailConfig]:
    """The targets of the file, or the one of the settings, or none. Raises AlertFileError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [EVERYTHING] if webhook_is_set else []
    except (OSError, ValueError, RecursionError) as error:
        raise AlertFileError(f"{path} cannot be read: {error}") from None
    if unknown := sorted(set(content) - {"target"}):
        raise AlertFileError(f"{path}: {unknown[0]} is unknown; it has [[target]] only")
    try:
        targets = _targets.validate_python(content.get("target", []))
    except ValidationError as error:
        raise AlertFileError("\n".join(f"{path}: {line}" for line in problems_of(error, "target"))) from None
    names = [target.name for target in targets]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise AlertFileError(f"{path} has two targets with the name {twice[0]}")
    return targets
