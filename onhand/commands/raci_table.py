"""`onhand raci`: the RACI file checked, and shown as a table."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from adapters.raci_file import read_raci
from adapters.settings import read_settings
from inventory.people.raci import EVERYBODY, Duty, Raci, Right


def run_raci(*, as_json: bool) -> int:
    """Print it; 0. Raises RaciError, SettingsError."""
    path = read_settings().raci_file
    raci = read_raci(path)
    if as_json:
        print(json.dumps(_plain(raci)))
        return 0
    console = Console()
    console.print(_table("What flows check", [(str(action), right) for action, right in raci.rights.items()]))
    if raci.duties:
        console.print(_table("What nothing checks", list(raci.duties.items())))
    console.print(_roles(raci))
    console.print(f"{path} makes sense.")
    if any(EVERYBODY in members for members in raci.roles.values()):
        console.print("A role filled with * is anybody who gives a name; names are claims (docs/operations.md).")
    return 0


def _table(title: str, rows: Sequence[tuple[str, Right | Duty]]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("what", "responsible", "accountable", "consulted", "informed", "approval above"):
        table.add_column(column, overflow="fold", no_wrap=column == "what")
    for name, one in rows:
        table.add_row(
            name, ", ".join(one.responsible), one.accountable, ", ".join(one.consulted), ", ".join(one.informed),
            _limits(one),
        )  # fmt: skip
    return table


def _limits(one: Right | Duty) -> str:
    if isinstance(one, Duty):
        return ""
    if one.units == 0 or one.value == 0:
        return "always"
    limits = [] if one.units is None else [f"{one.units} units"]
    limits += [] if one.value is None else [f"a value of {one.value}"]
    return ", ".join(limits) or "never"


def _roles(raci: Raci) -> Table:
    table = Table(title="Roles", title_justify="left")
    table.add_column("role")
    table.add_column("people", overflow="fold")
    for role, members in raci.roles.items():
        table.add_row(role, "anybody" if EVERYBODY in members else ", ".join(members))
    return table


def _plain(raci: Raci) -> dict[str, Any]:
    def plain(one: Right | Duty) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "responsible": list(one.responsible),
            "accountable": one.accountable,
            "consulted": list(one.consulted),
            "informed": list(one.informed),
        }
        if isinstance(one, Right):
            shown |= {"units": one.units, "value": None if one.value is None else str(one.value)}
        return shown

    return {
        "roles": {role: list(members) for role, members in raci.roles.items()},
        "actions": {str(action): plain(right) for action, right in raci.rights.items()},
        "duties": {name: plain(duty) for name, duty in raci.duties.items()},
    }
