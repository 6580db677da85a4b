"""Tell people: decide, claim, send, note. One pass; what is not taken now is sent at a later one."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from pydantic import SecretStr
from sqlalchemy import Connection

from adapters.alert_targets import EVERYTHING, MailConfig, SlackConfig, read_targets
from adapters.database import in_transaction
from adapters.messenger import Messenger, NotDelivered
from adapters.settings import Settings, SettingsError
from inventory.alerting import alerts
from inventory.alerting.alert_facts import read_facts
from inventory.alerting.alert_policy import Occasion
from inventory.alerting.alert_text import AlertText, Fact, Links, compose
from inventory.alerting.alerts import Message
from tasks.named_secrets import named_secret
from tasks.runtime import Runtime

MOST_AT_ONCE = 30
"""Messages that one target gets in one pass."""
FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=10)
REFUSED_PAUSE = timedelta(minutes=15)
"""A target that refuses everything is asked again so often: its webhook may have been mended."""

TargetConfig = SlackConfig | MailConfig


@dataclass
class Office:
    """Who is told, and how. `open` makes a target's messenger."""

    targets: Sequence[TargetConfig]
    links: Links
    open: Callable[[TargetConfig], Messenger]
    wait: Callable[[float], object] = time.sleep


@dataclass
class TellReport:
    target: str
    sent: int = 0
    overtaken: int = 0
    problem: str = ""

    def as_row(self) -> dict[str, object]:
        row = {"target": self.target, "sent": self.sent, "no longer true": self.overtaken}
        return row | {"problem": self.problem or "none"}


def office_of(settings: Settings) -> Office:
    """The targets of the settings. Raises SettingsError."""
    targets = read_targets(settings.alerts_file, webhook_is_set=settings.slack_webhook_url is not None)
    secret = secret_of(settings)
    return Office(targets, links_of(settings), lambda target: target.open(secret))


def secret_of(settings: Settings) -> Callable[[str], SecretStr]:
    """Secrets by name. That of the settings may come from a file, which is not in the environment."""
    webhook = settings.slack_webhook_url
    return lambda name: webhook if webhook is not None and name == EVERYTHING.webhook_url_env else named_secret(name)


def links_of(settings: Settings) -> Links:
    prefect = settings.prefect_ui_url
    if prefect is None and settings.prefect_api_url is not None:
        prefect = settings.prefect_api_url.removesuffix("/api") + "/v2"
    return Links(prefect or "", settings.runbooks_url or "")


def tell(runtime: Runtime, office: Office) -> list[TellReport]:
    """One report a target. A target that fails does not keep the others from being told."""
    targets = [config.target() for config in office.targets]

    def decide(connection: Connection) -> int:
        alerts.forget_old(connection, now=runtime.now())
        return alerts.plan(connection, targets, now=runtime.now())

    in_transaction(runtime.engine, decide)
    return [_tell_one(runtime, office, config) for config in office.targets]


def _tell_one(runtime: Runtime, office: Office, config: TargetConfig) -> TellReport:
    report = TellReport(config.name)
    messenger: Messenger | None = None
    try:
        for number in range(MOST_AT_ONCE):
            claimed = in_transaction(runtime.engine, partial(_claim, runtime=runtime, target=config.name))
            if claimed is None:
                break
            message, facts = claimed
            if not facts:
                in_transaction(runtime.engine, partial(alerts.overtaken, message=message, now=runtime.now()))
                report.overtaken += 1
                continue
            if messenger is None:
                messenger = _opened(office, config)
            if number:
                office.wait(messenger.pace_s)
            try:
                messenger.send(_text(message, facts, office.links, runtime.now()))
            except NotDelivered as fault:
                report.problem = str(fault)
                in_transaction(runtime.engine, partial(_put_off, message=message, fault=fault, now=runtime.now()))
                if not fault.refused:
                    break
                continue
            now = runtime.now()
            levels = {one.id: alerts.level_of(one.severity, one.opened_at, now) for one in facts}
            in_transaction(runtime.engine, partial(alerts.delivered, message=message, levels=levels, now=now))
            report.sent += 1
    finally:
        if messenger is not None:
            messenger.close()
    return report


def _claim(connection: Connection, *, runtime: Runtime, target: str) -> tuple[Message, list[Fact]] | None:
    """The next message, and what of it is still true."""
    message = alerts.claim(connection, target, owner=runtime.owner, lease=runtime.lease, now=runtime.now())
    if message is None:
        return None
    facts = read_facts(connection, message.incident_ids)
    return message, [one for one in facts if message.occasion is Occasion.RESOLVED or one.is_open]


class _Closed:
    """Stands for a target that cannot be opened, so that its messages are put off like any other."""

    pace_s = 0.0

    def __init__(self, why: str) -> None:
        self._why = why

    def send(self, text: AlertText) -> None:
        raise NotDelivered(self._why, for_good=True)

    def close(self) -> None:
        """Nothing is open."""


def _opened(office: Office, config: TargetConfig) -> Messenger:
    try:
        return office.open(config)
    except SettingsError as error:
        return _Closed(str(error))


def _text(message: Message, facts: Sequence[Fact], links: Links, now: datetime) -> AlertText:
    return compose(message.occasion, facts, links, key=message.dedupe_key, now=now, repeated=message.in_doubt)


def _put_off(connection: Connection, *, message: Message, fault: NotDelivered, now: datetime) -> None:
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(message.tries - 1, 10))
    if fault.for_good:
        pause = REFUSED_PAUSE
    if fault.retry_after is not None:
        pause = timedelta(seconds=min(fault.retry_after, 3600.0))
    if not fault.refused:
        error = alerts.NO_ANSWER if fault.in_doubt else str(fault)
        alerts.put_off(connection, message, error=error, until=now + pause)
    alerts.note_untold(connection, message, str(fault), for_good=fault.for_good, refused=fault.refused, now=now)
