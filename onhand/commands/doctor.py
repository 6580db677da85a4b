"""`onhand doctor`: is this installation sound, and does it reach what it needs? Changes nothing."""

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import sqlalchemy
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from adapters.database import create_engine, database_url, revisions
from adapters.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from adapters.settings import PROJECT_ROOT, Settings, SettingsError, read_settings
from onhand.children import answers
from onhand.stack import running_stack

TOP_LEVEL = ("onhand", "flows", "tasks", "inventory", "adapters", "expectations")
OLDEST_PYTHON = (3, 11)
_COMPILED = ("great_expectations", "prefect", "pandas", "sqlalchemy")


class Outcome(StrEnum):
    OK = "ok"
    IDLE = "not running"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    what: str
    outcome: Outcome
    detail: str
    remedy: str = ""


def run_doctor() -> int:
    """Print what was found; 0 when nothing is wrong, else 1."""
    findings = examine()
    table = Table(title="onhand doctor", title_justify="left")
    for column in ("what", "is", "detail", "what to do"):
        table.add_column(column, overflow="fold")
    style = {Outcome.OK: "green", Outcome.IDLE: "yellow", Outcome.PROBLEM: "bold red"}
    for found in findings:
        table.add_row(
            found.what, f"[{style[found.outcome]}]{found.outcome}[/]", _plain(found.detail), _plain(found.remedy)
        )
    Console().print(table)
    return int(any(found.outcome is Outcome.PROBLEM for found in findings))


def examine() -> list[Finding]:
    """Every check, each on its own: one that fails does not hide the next."""
    findings = [check_python(), check_packages(), check_top_level(), check_bytecode()]
    try:
        settings = read_settings()
    except SettingsError as error:
        return [*findings, Finding("settings", Outcome.PROBLEM, str(error), "correct the environment or .env")]
    checks: list[Callable[[Settings], Finding]] = [check_folder, check_database, check_prefect]
    return [*findings, Finding("settings", Outcome.OK, "read"), *(check(settings) for check in checks)]


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    detail = ".".join(map(str, version))
    if version[:2] < OLDEST_PYTHON:
        return Finding("python", Outcome.PROBLEM, detail, "use Python 3.11 or later: make install PYTHON=python3.12")
    return Finding("python", Outcome.OK, detail)


def check_packages(lock: Path = PROJECT_ROOT / "requirements.lock") -> Finding:
    """Each package that the lock asks for on this platform is installed in that very version."""
    if not lock.is_file():
        return Finding("packages", Outcome.PROBLEM, f"{lock.name} is missing", "restore it from the repository")
    wanted = dict(_pins(lock.read_text().splitlines()))
    wrong = []
    for name, version in wanted.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "absent"
        if installed != version:
            wrong.append(f"{name} {installed} instead of {version}")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        return Finding("packages", Outcome.PROBLEM, "; ".join(wrong[:3]) + more, "make install")
    return Finding("packages", Outcome.OK, f"{len(wanted)} as locked")


def check_top_level(owners: dict[str, list[str]] | None = None) -> Finding:
    """Names as plain as `tasks` are ours only in an environment of our own: another package would win."""
    if owners is None:
        owners = {name: list(found) for name, found in importlib.metadata.packages_distributions().items()}
    foreign = {
        name: sorted({owner for owner in owners.get(name, []) if canonicalize_name(owner) != "onhand"})
        for name in TOP_LEVEL
    }
    taken = [f"{name} ({', '.join(by)})" for name, by in foreign.items() if by]
    taken += [f"{name} ({place})" for name in TOP_LEVEL if (place := _elsewhere(name))]
    if taken:
        remedy = "run onhand in an environment of its own: make install"
        return Finding("top-level packages", Outcome.PROBLEM, "taken by another: " + ", ".join(taken), remedy)
    return Finding("top-level packages", Outcome.OK, "owned by onhand alone")


def check_bytecode() -> Finding:
    """Without compiled bytecode, every process that a flow needs starts seconds later."""
    lacking = []
    for name in _COMPILED:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            lacking.append(f"{name} is absent")
        elif not Path(importlib.util.cache_from_source(spec.origin)).is_file():
            lacking.append(name)
    if lacking:
        return Finding("bytecode", Outcome.PROBLEM, "not compiled: " + ", ".join(lacking), "make clean install")
    return Finding("bytecode", Outcome.OK, "compiled")


def check_folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        return Finding("data folder", Outcome.PROBLEM, f"cannot write {nearest}", "give access, or set ONHAND_DATA_DIR")
    return Finding("data folder", Outcome.OK, str(folder))


def check_database(settings: Settings) -> Finding:
    if settings.database_url is None:
        try:
            running = EmbeddedPostgres(settings.data_dir).is_running()
        except EmbeddedPostgresError as error:
            return Finding("database", Outcome.PROBLEM, str(error), "make install")
        if not running:
            return Finding("database", Outcome.IDLE, "embedded", "`make up` starts it")
    engine = create_engine(database_url(settings), application_name="onhand doctor", poolclass=sqlalchemy.NullPool)
    try:
        with engine.connect() as connection:
            present, wanted = revisions(connection)
    except SQLAlchemyError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        return Finding("database", Outcome.PROBLEM, reason, "start it, or correct ONHAND_DATABASE_URL")
    finally:
        engine.dispose()
    if present != wanted:
        detail = f"at revision {', '.join(sorted(present)) or 'none'}, wanted {', '.join(sorted(wanted))}"
        return Finding("database", Outcome.PROBLEM, detail, "`onhand migrate` migrates it; the embedded one, `make up`")
    return Finding("database", Outcome.OK, f"reachable, at revision {', '.join(sorted(present)) or 'none'}")


def check_prefect(settings: Settings) -> Finding:
    stack = running_stack(settings.data_dir)
    url = settings.prefect_api_url or (stack.api_url if stack else None)
    if url is None:
        return Finding("prefect server", Outcome.IDLE, "embedded", "`make up` starts it")
    if not answers(f"{url}/health"):
        remedy = "start it, or correct ONHAND_PREFECT_API_URL" if settings.prefect_api_url else "restart `make up`"
        return Finding("prefect server", Outcome.PROBLEM, f"no answer from {url}", remedy)
    return Finding("prefect server", Outcome.OK, url)


def _pins(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        if line and not line.startswith((" ", "#", "-")):
            requirement = Requirement(line.rstrip(" \\"))
            pinned = next(iter(requirement.specifier), None)
            if pinned is not None and (requirement.marker is None or requirement.marker.evaluate()):
                yield requirement.name, pinned.version


def _elsewhere(name: str) -> Path | None:
    """Where Python finds the package, if that is not this repository."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return None
    place = Path(spec.origin).resolve()
    return None if place.is_relative_to(PROJECT_ROOT) else place


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
