"""`onhand drill`: what onhand would do in an outage or a rush, played in seconds on imitated shops, as a table."""

import logging
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from onhand.simulation.drills import Told


class DrillError(Exception):
    """There is no such drill; the message names those that are."""


def run_drill(scenario: str, *, listing: bool) -> int:
    """0 when every promise was kept. Raises DrillError."""
    # Imported here: the command line knows the error of this module, and need not import the world for it.
    from onhand.simulation.drill_book import DRILLS

    console = Console()
    if listing:
        for name, make in DRILLS.items():
            console.print(f"{name:28} {make().title}", highlight=False)
        return 0
    if scenario not in DRILLS:
        raise DrillError(f"there is no drill {scenario!r}; there are {', '.join(DRILLS)}")
    from onhand.simulation.drills import rehearse
    from onhand.simulation.ground import own_ground

    logging.getLogger("tasks").setLevel(logging.ERROR)
    with own_ground() as ground:
        told = rehearse(DRILLS[scenario](), ground)
    show(console, told)
    return 1 if told.violation else 0


def show(console: Console, told: "Told") -> None:
    """One row a beat: what happened, what onhand had done by the next one, and the figures then."""
    table = Table(title=told.title, title_justify="left", box=None, pad_edge=False, show_header=False)
    table.add_column("time", no_wrap=True)
    table.add_column("what", overflow="fold")
    for row in told.rows:
        shown = ", ".join(f"{code} {units}" for code, units in row.shown.items())
        table.add_row(row.time.rpartition(".")[0], f"[bold]{escape(row.happened)}[/bold]")
        table.add_row("onhand", escape(row.did))
        table.add_row("then", f"shown: {shown}; sellable {row.sellable}; sold {row.sold} of {row.wanted} asked for")
        table.add_section()
    console.print(table)
    for line in told.verdict:
        console.print(line, highlight=False, soft_wrap=True)
    console.print("The promises were broken." if told.violation else "The promises were kept.", style="bold")
