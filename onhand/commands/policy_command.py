"""`onhand policy`: look at the policy in force, check a file, see what it would change, bring it in force."""

import json
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from adapters.database import in_transaction
from adapters.settings import read_settings
from adapters.wakeups import PUBLISH, wake
from inventory.policies.policy_file import PolicyFile, PolicyFileError, parse_policy_file
from inventory.policies.policy_store import bring_in_force, check, versions
from inventory.publishing.foresight import Foreseen, differences
from onhand.commands.ledger_access import reach_ledger
from onhand.commands.shown import escape

ACTIONS = ("show", "check", "diff", "apply")
MOST_ROWS = 200
"""Shown in a terminal."""


class PolicyCommandError(ValueError):
    """The arguments make no sense, said in one line."""


def run_policy(action: str, file: Path | None, *, actor: str, reason: str, as_json: bool) -> int:
    """0; of `diff` 1 when a number would change. Raises PolicyFileError, PolicyCommandError, LedgerUnreachable."""
    if action not in ACTIONS:
        raise PolicyCommandError(f"{action!r} is nothing to do with a policy: there are {', '.join(ACTIONS)}")
    console = Console()
    if action == "show":
        with reach_ledger() as engine:
            return _show(console, engine, as_json)
    text = _read(file or read_settings().policy_file)
    parse_policy_file(text)
    if action == "apply" and not (actor.strip() and reason.strip()):
        raise PolicyCommandError("say who brings it in force and why: --actor NAME --reason TEXT")
    with reach_ledger() as engine:
        if action == "check":
            found = in_transaction(engine, lambda connection: check(connection, text))
            console.print(f"sound: {_about(found)}", markup=False, highlight=False)
            return 0
        if action == "diff":
            return _diff(console, engine, text, as_json)
        return _apply(console, engine, text, actor.strip(), reason.strip())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PolicyFileError(f"{path} does not exist; see docs/policy.example.toml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyFileError(f"{path} cannot be read: {error}") from None


def _about(file: PolicyFile) -> str:
    review = f", to be looked at again until {file.review_by}" if file.review_by else ""
    return f"{file.default.policy} by default, {len(file.rule)} rules{review}"


def _show(console: Console, engine: Engine, as_json: bool) -> int:
    found = in_transaction(engine, versions)
    if as_json:
        print(json.dumps([asdict(one) for one in found], default=str))
        return 0
    if not found:
        console.print("No policy file is in force: strict holds for everything.")
        return 0
    newest, file = found[0], parse_policy_file(found[0].content)
    console.print(f"Version {newest.version} ({newest.content_hash[:8]}) is in force: {_about(file)}", highlight=False)
    if file.review_by and file.review_by < datetime.now(UTC).date():
        console.print(f"[yellow]It was to be looked at again until {file.review_by}.[/]")
    table = Table("version", "hash", "in force since", "by", "because")
    for one in found:
        table.add_row(
            str(one.version), one.content_hash[:8], f"{one.in_force_at:%Y-%m-%d %H:%M:%S}", escape(one.actor),
            escape(one.reason),
        )  # fmt: skip
    console.print(table)
    console.print(newest.content, markup=False, highlight=False)
    return 0


def _diff(console: Console, engine: Engine, text: str, as_json: bool) -> int:
    file = in_transaction(engine, lambda connection: check(connection, text))
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        found = list(differences(connection, file, now=datetime.now(UTC)))
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
        return int(bool(found))
    if found:
        console.print(_table(found))
    counts = Counter(_direction(one) for one in found)
    said = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    console.print(said or "No number would change.", highlight=False)
    return int(bool(found))


def _direction(one: Foreseen) -> str:
    return "raised" if (one.then or 0) > (one.now or 0) else "lowered"


def _table(found: list[Foreseen]) -> Table:
    more = f", the first {MOST_ROWS} (all: --json)" if len(found) > MOST_ROWS else ""
    table = Table(title=f"{len(found):,} listings would show another number{more}", title_justify="left")
    for column in ("channel", "listing", "SKU", "shows", "in force", "would show", "why"):
        table.add_column(column, overflow="fold")
    for one in found[:MOST_ROWS]:
        cells = (one.channel, one.ref, one.sku, one.shown, one.now, one.then, one.why)
        table.add_row(*("–" if cell is None else escape(str(cell)) for cell in cells))
    return table


def _apply(console: Console, engine: Engine, text: str, actor: str, reason: str) -> int:
    now = datetime.now(UTC)
    done = in_transaction(engine, lambda c: bring_in_force(c, text, actor=actor, reason=reason, now=now))
    if done.changed:
        wake(engine, PUBLISH)
        console.print(
            f"Version {done.version} ({done.content_hash[:8]}) is in force; {done.skus:,} SKUs are computed anew.",
            highlight=False,
        )
    else:
        console.print(f"Version {done.version} ({done.content_hash[:8]}) is this text already.", highlight=False)
    return 0
