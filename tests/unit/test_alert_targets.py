"""Who is told of what: the file, its mistakes, and the settings that stand in for it."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from adapters.alert_targets import EVERYTHING, AlertFileError, MailConfig, SlackConfig, read_targets
from adapters.mail import Mail
from adapters.settings import Settings, SettingsError, read_settings
from adapters.slack import Slack
from inventory.alerting.alert_kinds import Owner
from inventory.words import Severity
from tasks.health.tell import links_of, office_of

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "alerts.example.toml"
URL = "https://hooks.slack.test/notARealSecret"
SLACK = '[[target]]\nname = "a"\ntype = "slack"\nwebhook_url_env = "A"\n'
MAIL = '[[target]]\nname = "b"\ntype = "mail"\nhost = "h"\nsender = "a@b.c"\nto = ["d@e.f"]\n'


def settings(**values: object) -> Settings:
    return read_settings().model_copy(update=values)


def test_the_example_is_taken() -> None:
    asked: list[str] = []

    def secret(name: str) -> SecretStr:
        asked.append(name)
        return SecretStr(URL)

    first, second, third = read_targets(EXAMPLE, webhook_is_set=False)
    assert isinstance(first, SlackConfig)
    assert isinstance(third, MailConfig)
    assert second.target().owners == {Owner.WAREHOUSE}
    assert (third.least, third.from_level) == (Severity.CRITICAL, 1)
    messengers = [one.open(secret) for one in (first, second, third)]
    assert [type(one) for one in messengers] == [Slack, Slack, Mail]
    assert asked[2] == "block:onhand-mail/main.password"
    assert URL not in repr(messengers) + repr([first, second, third])
    for one in messengers:
        one.close()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[[target", "cannot be read"),
        ("[[targets]]\n", "targets is unknown"),
        (SLACK + SLACK, "two targets with the name a"),
        (SLACK.replace('"slack"', '"pager"'), "target.0"),
        (SLACK.replace('"a"', '"A b"'), "target.0.slack.name"),
        (SLACK + 'owners = ["boss"]\n', "target.0.slack.owners"),
        (SLACK + 'least = "loud"\n', "target.0.slack.least"),
        (SLACK + "from_level = 4\n", "target.0.slack.from_level"),
        (SLACK + f'webhook_url = "{URL}"\n', "target.0.slack.webhook_url"),
        (MAIL.replace('["d@e.f"]', '["d@e.f\\nBcc: x@y.z"]'), "target.0.mail.to"),
        (MAIL.replace('["d@e.f"]', "[]"), "target.0.mail.to"),
        (MAIL.replace('"h"', '"h; rm"'), "target.0.mail.host"),
        (MAIL + "port = 0\n", "target.0.mail.port"),
    ],
)
def test_a_mistake_names_its_place_and_no_value(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text(content)
    with pytest.raises(AlertFileError) as caught:
        read_targets(file, webhook_is_set=True)
    assert says in str(caught.value)
    assert "notARealSecret" not in str(caught.value)


def test_the_settings_stand_in_for_the_file(tmp_path: Path) -> None:
    missing = tmp_path / "alerts.toml"
    assert read_targets(missing, webhook_is_set=False) == []
    assert read_targets(missing, webhook_is_set=True) == [EVERYTHING]
    office = office_of(settings(alerts_file=missing, slack_webhook_url=SecretStr(URL)))
    messenger = office.open(EVERYTHING)
    assert isinstance(messenger, Slack)
    assert messenger._url.get_secret_value() == URL
    messenger.close()
    with pytest.raises(SettingsError, match="NOWHERE is not set"):
        office.open(SlackConfig(name="x", type="slack", webhook_url_env="NOWHERE"))


def test_where_the_links_lead() -> None:
    links = links_of(settings(prefect_api_url="http://host:4200/api", prefect_ui_url=None, runbooks_url=None))
    assert (links.prefect, links.runbooks) == ("http://host:4200/v2", "")
    links = links_of(settings(prefect_ui_url="https://prefect.test", runbooks_url="https://docs.test/r"))
    assert (links.prefect, links.runbooks) == ("https://prefect.test", "https://docs.test/r")


@pytest.mark.parametrize(
    ("name", "value"),
    [("RUNBOOKS_URL", "docs"), ("PREFECT_UI_URL", "https://x|y"), ("PING_URL", "http://ping.test/secret")],
)
def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"ONHAND_{name}", value)
    with pytest.raises(SettingsError, match=f"ONHAND_{name}") as caught:
        read_settings()
    assert value not in str(caught.value)
