"""The command line: exit codes, one-line errors, and what `doctor` concludes."""

import subprocess
import sys
from pathlib import Path

import pytest

from adapters.settings import Settings, SettingsError
from onhand import command_line
from onhand.commands import doctor
from onhand.commands.doctor import Outcome
from onhand.stack import StackError, running_stack

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--nonsense"],
        ["up", "--nonsense"],
        ["up", "surplus"],
        ["doctor", "surplus"],
        ["up", "--port", "x"],
    ],
    ids=" ".join,
)
def test_nonsense_is_answered_in_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert said.err.startswith("onhand: ")
    assert "--help`" in said.err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["up", "--help"]], ids=" ".join)
def test_help_is_no_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(arguments) == 0
    assert "Usage: onhand" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [(SettingsError("ONHAND_A is wrong\nONHAND_B too"), 2), (StackError("it runs already"), 1)],
    ids=["settings", "stack"],
)
def test_what_a_user_did_has_no_traceback(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise error

    monkeypatch.setattr(doctor, "run_doctor", fail)
    assert command_line.run(["doctor"]) == code
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_an_interrupt_ends_quietly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run_doctor", interrupt)
    assert command_line.run(["doctor"]) == 130
    assert len(capsys.readouterr().err.splitlines()) <= 1


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(doctor, "run_doctor", fail)
    with pytest.raises(ZeroDivisionError):
        command_line.run(["doctor"])


def test_python_m_onhand_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "onhand", "nonsense"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, onhand.command_line; print([m for m in ('prefect', 'pandas', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_doctor_refuses_an_old_python() -> None:
    assert doctor.check_python((3, 10, 4)).outcome is Outcome.PROBLEM
    assert doctor.check_python((3, 11, 0)).outcome is Outcome.OK


def test_doctor_sees_a_package_that_differs_from_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "pytest==0.0.1 \\\n    --hash=sha256:00\n"
        "no-such-package==1.0 \\\n    --hash=sha256:00\n"
        "also-not==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
    )
    found = doctor.check_packages(lock)
    assert found.outcome is Outcome.PROBLEM
    assert "instead of 0.0.1" in found.detail
    assert "no-such-package absent instead of 1.0" in found.detail
    assert "also-not" not in found.detail
    assert doctor.check_packages(tmp_path / "none").outcome is Outcome.PROBLEM


def test_doctor_sees_another_owner_of_our_names() -> None:
    assert doctor.check_top_level({"tasks": ["onhand"], "os": ["other"]}).outcome is Outcome.OK
    found = doctor.check_top_level({"tasks": ["onhand", "celery-thing"]})
    assert found.outcome is Outcome.PROBLEM
    assert "tasks (celery-thing)" in found.detail


def test_doctor_with_nothing_running_is_content(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    assert doctor.check_folder(settings).outcome is Outcome.OK
    assert doctor.check_database(settings).outcome is Outcome.IDLE
    assert doctor.check_prefect(settings).outcome is Outcome.IDLE


def test_doctor_reports_what_was_set_and_does_not_answer() -> None:
    secret = "s3cr3t"
    settings = Settings(
        database_url=f"postgresql://me:{secret}@127.0.0.1:9/stock", prefect_api_url="http://127.0.0.1:9/api"
    )
    database, prefect = doctor.check_database(settings), doctor.check_prefect(settings)
    assert (database.outcome, prefect.outcome) == (Outcome.PROBLEM, Outcome.PROBLEM)
    assert secret not in repr(database)
    assert database.remedy and prefect.remedy


def test_a_state_file_without_its_stack_is_no_stack(tmp_path: Path) -> None:
    assert running_stack(tmp_path) is None
    (tmp_path / "stack.json").write_text('{"pid": 1, "api_url": "a", "ui_url": "b", "shop_urls": {}}')
    (tmp_path / "stack.lock").write_text("1")
    assert running_stack(tmp_path) is None
    (tmp_path / "stack.json").write_text("half a fi")
    assert running_stack(tmp_path) is None
