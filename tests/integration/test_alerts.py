"""Alerts from an incident to the target and back, over days of a virtual clock: nothing lost, little repeated."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from adapters.alert_targets import SlackConfig
from adapters.messenger import Messenger
from adapters.sandbox.slack import WEBHOOK, SlackSandbox
from adapters.settings import SettingsError
from adapters.slack import Slack
from inventory.alerting import alerts
from inventory.alerting.alert_kinds import Owner
from inventory.alerting.alert_policy import BURST, BURST_TIME, SETTLED
from inventory.alerting.alert_text import Links
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.words import IncidentKind, Severity
from tasks.health.tell import MOST_AT_ONCE, REFUSED_PAUSE, Office, TellReport, tell
from tasks.runtime import Runtime

DUTY = SlackConfig(name="duty", type="slack", webhook_url_env="DUTY")
LEAD = SlackConfig(name="lead", type="slack", webhook_url_env="LEAD", from_level=1, least=Severity.WARNING)
SHELF = SlackConfig(name="shelf", type="slack", webhook_url_env="SHELF", owners=frozenset({Owner.WAREHOUSE}))
LINKS = Links("https://prefect.test/v2", "https://docs.test/runbooks")


@dataclass
class Desk:
    """A clock, three targets, and what they were told."""

    engine: Engine
    now: datetime = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    boxes: dict[str, SlackSandbox] = field(
        default_factory=lambda: {name: SlackSandbox() for name in ("duty", "lead", "shelf")}
    )
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runtime = Runtime(self.engine, open=lambda code: pytest.fail(code), now=lambda: self.now)
        self.office = Office((DUTY, LEAD, SHELF), LINKS, self.messenger, self.waits.append)

    def messenger(self, config: Any) -> Messenger:
        return Slack(SecretStr(WEBHOOK), transport=self.boxes[config.name].transport())

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    def tell(self) -> dict[str, TellReport]:
        return {report.target: report for report in tell(self.runtime, self.office)}

    def heard(self, target: str = "duty") -> list[str]:
        """The headlines since the last time."""
        taken = self.boxes[target].taken
        lines = [one["blocks"][0]["text"]["text"] if "blocks" in one else one["text"] for one in taken]
        taken.clear()
        return lines

    def open(self, kind: IncidentKind, *subjects: str, severity: Severity = Severity.CRITICAL) -> None:
        with self.engine.begin() as connection:
            new = [NewIncident(kind, severity, one, f"{one} is in trouble") for one in subjects]
            open_incidents(connection, new, now=self.now)

    def close(self, kind: IncidentKind, *subjects: str) -> None:
        with self.engine.begin() as connection:
            resolve_incidents(connection, kind, subjects, now=self.now)

    def one(self, sql: str) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(text(sql)).scalar_one()


@pytest.fixture
def desk(engine: Engine) -> Desk:
    return Desk(engine)


def test_the_life_of_an_incident(desk: Desk) -> None:
    desk.open(IncidentKind.OVERSOLD, "SKU-1")
    assert desk.tell()["duty"].sent == 1
    assert desk.heard() == ["🔴 Oversold: SKU-1"]
    assert desk.heard("lead") == desk.heard("shelf") == []

    # Repeats say nothing, and neither does the next pass.
    for _ in range(5):
        desk.later(minutes=4)
        desk.open(IncidentKind.OVERSOLD, "SKU-1")
        desk.tell()
    assert desk.heard() == []

    desk.later(minutes=15)
    desk.tell()
    assert desk.heard() == desk.heard("lead") == ["🔴 Still open after 35 min: Oversold: SKU-1"]
    desk.later(hours=2)
    desk.tell()
    assert desk.heard() == ["🔴 Still open after 2 h 35 min: Oversold: SKU-1"]
    desk.later(hours=4)
    desk.tell()
    assert desk.heard() == ["🔴 Open for 6 h 35 min: Oversold: SKU-1"]

    desk.close(IncidentKind.OVERSOLD, "SKU-1")
    desk.later(minutes=1)
    desk.tell()
    desk.tell()
    assert desk.heard() == ["✅ Resolved: Oversold: SKU-1"]
    assert desk.heard("lead")[-1] == "✅ Resolved: Oversold: SKU-1"
    assert desk.heard("shelf") == []
    assert desk.one("SELECT count(*) FROM alert WHERE closed_at IS NULL") == 0
    desk.later(days=91)
    desk.tell()
    assert desk.one("SELECT (SELECT count(*) FROM alert) + (SELECT count(*) FROM alert_message)") == 0


def test_what_heals_in_its_grace_is_never_told_and_many_come_as_one(desk: Desk) -> None:
    desk.open(IncidentKind.FOREIGN_WRITE, "shopify/1", severity=Severity.WARNING)
    desk.tell()
    desk.close(IncidentKind.FOREIGN_WRITE, "shopify/1")
    desk.later(minutes=30)
    desk.open(IncidentKind.FOREIGN_WRITE, *[f"shopify/{number}" for number in range(2, 42)], severity=Severity.WARNING)
    desk.tell()
    assert desk.heard() == []
    desk.later(minutes=3)
    desk.tell()
    assert desk.heard() == ["🟡 Somebody else writes: 40 at once"]
    desk.close(IncidentKind.FOREIGN_WRITE, *[f"shopify/{number}" for number in range(2, 12)])
    desk.tell()
    assert desk.heard() == ["✅ Resolved: Somebody else writes: 10 at once"]


def test_a_stream_of_new_ones_becomes_quiet(desk: Desk) -> None:
    for number in range(60):
        desk.open(IncidentKind.OVERSOLD, f"SKU-{number}")
        desk.later(seconds=15)
        desk.tell()
    heard = desk.heard()
    assert heard[:BURST] == [f"🔴 Oversold: SKU-{number}" for number in range(BURST)]
    # 60 in a quarter of an hour: the first five singly, then what has gathered.
    assert BURST < len(heard) <= 3 * BURST
    desk.later(seconds=BURST_TIME.total_seconds())
    desk.tell()
    assert desk.one("SELECT count(*) FROM alert WHERE target = 'duty'") == 60


def test_what_comes_and_goes_is_told_thrice_and_then_when_it_stays(desk: Desk) -> None:
    heard = []
    for _ in range(10):
        desk.open(IncidentKind.NEGATIVE_STOCK, "shopify/9")
        desk.tell()
        desk.later(minutes=1)
        desk.close(IncidentKind.NEGATIVE_STOCK, "shopify/9")
        desk.tell()
        desk.later(minutes=1)
        heard += desk.heard()
    assert (
        heard
        == ["🔴 Negative stock at the channel: shopify/9", "✅ Resolved: Negative stock at the channel: shopify/9"] * 3
    )
    desk.open(IncidentKind.NEGATIVE_STOCK, "shopify/9")
    desk.later(seconds=SETTLED.total_seconds())
    desk.tell()
    assert desk.heard() == ["🔴 Negative stock at the channel: shopify/9"]


class Killed(BaseException):
    """As kill -9: nothing is tidied up."""


@pytest.mark.parametrize("taken", [False, True], ids=["before the target had it", "after"])
def test_a_killed_process_loses_nothing_and_says_so_when_it_repeats(desk: Desk, taken: bool) -> None:
    desk.open(IncidentKind.OVERSOLD, "SKU-1")

    class Dying(Slack):
        def send(self, message: Any) -> None:
            if taken:
                super().send(message)
            raise Killed

    alive = desk.office.open
    desk.office.open = lambda config: Dying(SecretStr(WEBHOOK), transport=desk.boxes[config.name].transport())
    with pytest.raises(Killed):
        desk.tell()
    first = json.dumps(desk.boxes["duty"].taken)
    desk.heard()
    desk.office.open = alive
    desk.later(seconds=5)
    assert desk.tell()["duty"].sent == 0  # the lease of the dead still runs
    desk.later(minutes=3)
    assert desk.tell()["duty"].sent == 1
    again = json.dumps(desk.boxes["duty"].taken)
    assert "may be told twice" in again
    key = desk.one("SELECT dedupe_key FROM alert_message WHERE target = 'duty'")
    assert key in again
    assert (key in first) is taken
    desk.later(minutes=10)
    assert desk.tell()["duty"].sent == 0


def test_a_throttled_target_is_left_alone_for_as_long_as_it_asks(desk: Desk) -> None:
    desk.open(IncidentKind.OVERSOLD, "SKU-1", "SKU-2")
    box = desk.boxes["duty"]
    box.faults[:] = [429]
    assert desk.tell()["duty"].problem == "Slack answered 429 rollup_error"
    assert box.attempts == 1
    desk.later(seconds=6)
    desk.tell()
    assert box.attempts == 1
    desk.later(seconds=2)
    desk.tell()
    assert sorted(desk.heard()) == ["🔴 Oversold: SKU-1", "🔴 Oversold: SKU-2"]
    assert desk.waits == [1.0]


def test_a_target_that_is_gone_is_told_of_elsewhere_and_hears_the_rest_later(desk: Desk) -> None:
    desk.office.targets = (DUTY, SlackConfig(name="mailbox", type="slack", webhook_url_env="X"))
    desk.boxes["mailbox"] = SlackSandbox()
    desk.boxes["duty"].gone = True
    desk.open(IncidentKind.OVERSOLD, "SKU-1")
    desk.open(IncidentKind.BATCH_BLOCKED, "orders_pulled/shopify")
    desk.tell()
    desk.tell()
    heard = desk.heard("mailbox")
    assert "🔴 Alerts do not arrive: duty" in heard
    assert len(heard) == 3
    assert desk.boxes["duty"].attempts == 1
    # One of the two ends before the webhook is mended: of that nothing is said there.
    desk.close(IncidentKind.BATCH_BLOCKED, "orders_pulled/shopify")
    desk.boxes["duty"].gone = False
    desk.later(seconds=REFUSED_PAUSE.total_seconds() + 1)
    report = desk.tell()["duty"]
    assert (report.sent, report.overtaken) == (1, 1)
    assert desk.heard() == ["🔴 Oversold: SKU-1"]
    desk.tell()
    assert "✅ Resolved: Alerts do not arrive: duty" in desk.heard("mailbox")
    assert desk.heard() == []


def test_an_outage_of_the_target_opens_an_incident_after_a_while(desk: Desk) -> None:
    desk.office.targets = (DUTY, LEAD)
    desk.boxes["duty"].faults[:] = ["hang_up"] * 8
    desk.open(IncidentKind.OVERSOLD, "SKU-1")
    for _ in range(8):
        desk.tell()
        desk.later(minutes=3)
    assert desk.one("SELECT message FROM incident WHERE kind = 'not_told'") == (
        "duty takes no messages: Slack cannot be reached (ConnectError)"
    )
    assert 3 < desk.boxes["duty"].attempts < 8, "the pauses grow"
    desk.boxes["duty"].faults.clear()
    desk.later(minutes=11)
    desk.tell()
    # Told once, with what is true now; not opened and escalated at once.
    desk.later(seconds=15)
    desk.tell()
    assert desk.heard() == ["🔴 Oversold: SKU-1"]
    assert desk.one("SELECT status FROM incident WHERE kind = 'not_told'") == "resolved"


def test_blocks_that_are_refused_come_as_words(desk: Desk) -> None:
    desk.boxes["duty"].refuse_blocks = True
    desk.open(IncidentKind.OVERSOLD, "SKU-1")
    desk.tell()
    (words,) = desk.heard()
    assert words.startswith("Oversold: SKU-1\n")
    assert "To do: Find the units" in words


def test_a_missing_secret_is_told_of_elsewhere_without_its_value(desk: Desk) -> None:
    def no_secret(config: Any) -> Messenger:
        if config.name == "duty":
            raise SettingsError("DUTY is not set")
        return desk.messenger(config)

    desk.office.targets = (DUTY, SlackConfig(name="mailbox", type="slack", webhook_url_env="X"))
    desk.boxes["mailbox"] = SlackSandbox()
    desk.office.open = no_secret
    desk.open(IncidentKind.OVERSOLD, "SKU-1")
    assert desk.tell()["duty"].problem == "DUTY is not set"
    desk.tell()
    assert "🔴 Alerts do not arrive: duty" in desk.heard("mailbox")


def test_two_that_plan_and_send_at_once_tell_once(desk: Desk, engine: Engine) -> None:
    desk.open(IncidentKind.OVERSOLD, *[f"SKU-{number}" for number in range(3)])
    targets = [DUTY.target()]
    with engine.connect() as first, engine.connect() as second:
        assert alerts.plan(first, targets, now=desk.now) == 3
        assert alerts.plan(second, targets, now=desk.now) == 0
        first.commit()
        second.commit()
        assert alerts.plan(second, targets, now=desk.now) == 0
        claims: list[Callable[[], Any]] = [
            lambda one=one: alerts.claim(one, "duty", owner="x", lease=timedelta(minutes=1), now=desk.now)
            for one in (first, second, first, second)
        ]
        claimed = [claim() for claim in claims]
    assert len({one.id for one in claimed if one}) == 3
    assert claimed[3] is None


def test_a_pass_ends_and_at_risk_is_said(desk: Desk, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO item (sku, title, safety_stock, accuracy_margin) VALUES ('SKU-1', '', 0, 0)")
        )
        connection.execute(
            text(
                "INSERT INTO channel (code, vendor, mode, write_mode, share, settle_seconds, in_doubt_seconds, "
                "overlap_seconds) VALUES ('shopify', 'shopify', 'live', 'absolute', 1, 60, 60, 60)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO listing (channel, ref, sku, units_per_listing, tracked, exposure) "
                "VALUES ('shopify', 'a/1', 'SKU-1', 6, true, 4)"
            )
        )
    desk.open(IncidentKind.OVERSOLD, "SKU-1")
    desk.open(IncidentKind.REJECTED, "shopify/a/1")
    desk.open(IncidentKind.NOT_RUNNING, "pull/shopify")
    desk.open(IncidentKind.UNMATCHED_REVERSAL, "order:shopify:1/2")
    desk.tell()
    told = {one["blocks"][0]["text"]["text"]: json.dumps(one, ensure_ascii=False) for one in desk.boxes["duty"].taken}
    at_risk = {headline for headline, whole in told.items() if "At risk: 24 units on show or sold unseen" in whole}
    assert len(told) == 4
    assert at_risk == set(told) - {"🔴 Reversal without a sale: order:shopify:1/2"}
    assert all("https://docs.test/runbooks#" in whole for whole in told.values())
    assert all("https://prefect.test/v2/runs" in whole for whole in told.values())
    assert MOST_AT_ONCE >= len(told)
