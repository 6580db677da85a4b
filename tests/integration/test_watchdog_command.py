"""`onhand watchdog` for cron, and the watchdog's task, against a ledger of their own; without Prefect's server."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from adapters.database import create_engine
from adapters.sandbox.slack import WEBHOOK, SlackSandbox
from adapters.settings import read_settings
from adapters.slack import Slack
from flows import send_alerts, watchdog
from onhand.commands.watchdog_command import run_watchdog
from tasks.health import tell
from tasks.runtime import Runtime


@pytest.fixture
def box(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlackSandbox:
    """The settings name a fresh ledger and a Slack that is imitated."""
    box = SlackSandbox()
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    for name, value in {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(tmp_path),
        "CHANNELS_FILE": str(tmp_path / "none.toml"),
        "ALERTS_FILE": str(tmp_path / "none-either.toml"),
        "SLACK_WEBHOOK_URL": WEBHOOK,
    }.items():
        monkeypatch.setenv(f"ONHAND_{name}", value)
    real = tell.office_of

    def imitated(settings: object) -> tell.Office:
        office = real(settings)  # type: ignore[arg-type]
        office.open = lambda target: Slack(read_settings().slack_webhook_url, transport=box.transport())  # type: ignore[arg-type]
        office.wait = lambda seconds: None
        return office

    for module in ("onhand.commands.watchdog_command", "flows.watchdog", "flows.send_alerts"):
        monkeypatch.setattr(f"{module}.office_of", imitated)
    return box


def look() -> tuple[int, str]:
    written = io.StringIO()
    code = run_watchdog(once=True, every_minutes=5, console=Console(file=written, width=200))
    return code, written.getvalue()


def add_channel(engine: Engine, pulled_at: datetime) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO channel (code, vendor, mode, write_mode, share, settle_seconds, in_doubt_seconds, "
                "overlap_seconds, pulled_at) VALUES ('shopify', 'x', 'live', 'absolute', 1, 60, 60, 60, :pulled)"
            ),
            {"pulled": pulled_at},
        )


def test_the_command_tells_by_exit_code_table_and_slack(box: SlackSandbox, engine: Engine) -> None:
    code, shown = look()
    assert (code, box.taken) == (0, [])
    assert "watchdog/cron" in shown
    add_channel(engine, datetime.now(UTC) - timedelta(days=1))
    code, shown = look()
    assert code == 1
    assert "pull/shopify" in shown
    assert [one["text"] for one in box.taken] == ["🔴 A part has stopped: pull/shopify"]
    assert look()[0] == 1
    assert len(box.taken) == 1


def test_a_ledger_that_is_away_is_told_and_its_return(
    box: SlackSandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONHAND_DATABASE_URL", "postgresql://nobody:secretword@127.0.0.1:1/nowhere")
    code, shown = look()
    assert (code, shown.count("told: slack")) == (1, 1)
    assert look()[1].count("told: nobody") == 1
    assert [one["text"] for one in box.taken] == ["🔴 A part has stopped: database"]
    assert "secretword" not in shown + str(box.taken)
    monkeypatch.setenv("ONHAND_DATABASE_URL", database_url)
    assert look()[0] == 0
    assert box.taken[-1]["text"] == "✅ Resolved: A part has stopped: database"


def test_the_flows_tasks_look_and_tell(
    box: SlackSandbox, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runtime = Runtime(engine, open=lambda code: pytest.fail(code), now=lambda: datetime.now(UTC))
    for module in (watchdog, send_alerts):
        monkeypatch.setattr(module, "runtime", lambda: runtime)
        monkeypatch.setattr(module, "settings", read_settings)
    add_channel(engine, datetime.now(UTC) - timedelta(days=1))
    told_before_ping: list[int] = []
    monkeypatch.setattr(watchdog, "pinger", lambda url: lambda: told_before_ping.append(len(box.taken)))
    found = watchdog.watch_for.fn(0, 20)
    assert found is not None
    assert told_before_ping == [1]
    assert [sign.part for sign in found.silent] == ["pull/shopify"]
    assert [one["text"] for one in box.taken] == ["🔴 A part has stopped: pull/shopify"]
    send_alerts.look_once.fn()
    assert [report.as_row() for report in send_alerts.tell_once.fn()] == [
        {"target": "slack", "sent": 0, "no longer true": 0, "problem": "none"}
    ]

    # A database that is only starting again is nobody's alarm; one that stays away is.
    runtime.engine = create_engine("postgresql://nobody@127.0.0.1:1/nowhere")
    for tries, messages in ((1, 1), (watchdog.PATIENT_TRIES, 2)):
        monkeypatch.setattr(watchdog, "tries_so_far", lambda tries=tries: tries)
        with pytest.raises(OperationalError):
            watchdog.watch_for.fn(0, 20)
        assert len(box.taken) == messages
    assert box.taken[-1]["text"] == "🔴 A part has stopped: database"
    runtime.engine.dispose()
