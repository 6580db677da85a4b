"""`onhand leaks`: does a secret that is in use, or a text that is given, stand where it should not?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from rich.console import Console
from sqlalchemy.engine import make_url

from adapters.alert_targets import read_targets
from adapters.channels.registry import read_channels
from adapters.settings import Settings, SettingsError, read_settings
from adapters.suppliers.supplier_config import read_suppliers
from onhand.commands.leaks import SHORTEST, Wanted, in_files, in_ledger, in_sqlite
from onhand.commands.ledger_access import reach_ledger
from onhand.commands.shown import escape
from tasks.named_secrets import named_secret


def run_leaks(also: Sequence[str]) -> int:
    """Print where, by name, never what; 1 when there is anything. Raises SettingsError, LedgerUnreachable, and what
    the files of settings raise."""
    configured = read_settings()
    values, unread = secrets_in_use(configured)
    values |= {f"--also, number {number}": text for number, text in enumerate(also, start=1)}
    short = sorted(name for name, value in values.items() if len(value) < SHORTEST)
    wanted = Wanted({name: value for name, value in values.items() if name not in short})
    console = Console()
    for why, names in ((f"is shorter than {SHORTEST} characters", short), ("is not set here", unread)):
        for name in names:
            console.print(f"not looked for: {escape(name)} {why}", highlight=False)
    with reach_ledger() as engine:
        found = [f"ledger, {one}" for one in in_ledger(engine, wanted)]
    found += [f"file {one}" for one in in_files(_logs(configured.data_dir), wanted)]
    for database in sorted(configured.data_dir.rglob("prefect.db")):
        found += sorted({f"Prefect, {one}" for one in in_sqlite(database, wanted)})
    for one in found:
        console.print(f"[red]{escape(one)}[/]", highlight=False)
    console.print(f"{len({name for name, _ in wanted.pairs})} texts looked for, found in {len(found)} places.")
    return 1 if found else 0


def secrets_in_use(configured: Settings) -> tuple[dict[str, str], list[str]]:
    """{name: value}, and the names that cannot be read by this process."""
    values = {name: value.get_secret_value() for name, value in configured if isinstance(value, SecretStr)}
    if configured.database_url is not None and (password := make_url(values.pop("database_url")).password):
        values["the password of the ledger"] = password
    unread = []
    for name in sorted(set(_named(configured))):
        try:
            values[name] = named_secret(name).get_secret_value()
        except SettingsError:
            unread.append(name)
    return values, unread


def _named(configured: Settings) -> Iterator[str]:
    tables: list[Any] = []
    if configured.channels_file.is_file():
        tables += read_channels(configured.channels_file).values()
    tables += read_suppliers(configured.suppliers_file).values()
    tables += read_targets(configured.alerts_file, webhook_is_set=False)
    for table in tables:
        yield from _names_in(table.model_dump())


def _names_in(table: Mapping[str, Any]) -> Iterator[str]:
    """What the fields hold whose name says that they name a secret."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _names_in(value)
        elif key.endswith(("_env", "_envs")) and value:
            yield from [value] if isinstance(value, str) else value


def _logs(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*.log*") if path.is_file())
