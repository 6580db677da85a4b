"""`onhand watchdog`: the look of the flow of that name without Prefect, for cron on another machine."""

import time
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from rich.console import Console
from rich.table import Table

from adapters.channels.registry import ChannelConfig, ChannelFileError, read_channels
from adapters.settings import Settings, read_settings
from onhand.commands.ledger_access import LedgerUnreachable, reach_ledger
from onhand.commands.shown import escape
from tasks.health.roll_call import RollCall, call_the_roll, pinger, prefect_of, tell_ledger_is_back, tell_without_ledger
from tasks.health.tell import office_of, tell
from tasks.runtime import Runtime

PART = "watchdog/cron"


def run_watchdog(*, once: bool, every_minutes: float, console: Console | None = None) -> int:
    """0 when everybody is alive, 1 when somebody is silent, runs fail or a message could not be delivered.

    `every_minutes`: how often it is called, or looks. Twice that time without it is told by the other watchdog.
    """
    console = console or Console()
    while True:
        code = _look(read_settings(), timedelta(minutes=every_minutes), console)
        if once:
            return code
        time.sleep(every_minutes * 60)


def _look(settings: Settings, every: timedelta, console: Console) -> int:
    office, memory = office_of(settings), settings.data_dir / "ledger-away.json"
    prefect = prefect_of(settings)
    try:
        with reach_ledger() as engine:
            runtime = Runtime(engine, _no_channel, lambda: datetime.now(UTC), configs=_channels(settings))
            found = call_the_roll(runtime, prefect, by=PART, again_within=2 * every + timedelta(minutes=1))
            tell_ledger_is_back(office, memory, now=found.at)
            problems = [f"{one.target}: {one.problem}" for one in tell(runtime, office) if one.problem]
            if (ping := pinger(settings.ping_url)) is not None:
                ping()
    except LedgerUnreachable as error:
        console.print(str(error), highlight=False, markup=False)
        told = tell_without_ledger(office, memory, "see onhand doctor", now=datetime.now(UTC))
        console.print(f"told: {', '.join(told) or 'nobody'}", highlight=False)
        return 1
    finally:
        if prefect is not None:
            prefect.close()
    _show(console, found)
    for problem in problems:
        console.print(f"not told: {problem}", highlight=False, markup=False)
    return 1 if found.silent or found.troubled or problems else 0


def _show(console: Console, found: RollCall) -> None:
    shown = Table(box=None, pad_edge=False)
    for column in ("part", "state", "last", "story"):
        shown.add_column(column)
    for row in found.rows():
        shown.add_row(*(escape(str(row[column])) for column in ("part", "state", "last", "story")))
    console.print(shown)


def _channels(settings: Settings) -> dict[str, ChannelConfig]:
    """Of the file; without one all that the ledger knows are watched."""
    try:
        return read_channels(settings.channels_file)
    except ChannelFileError:
        return {}


def _no_channel(code: str) -> NoReturn:
    raise AssertionError(f"the watchdog opens no channel, {code} neither")
