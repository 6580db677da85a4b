"""The command `onhand`. Thin: each command reads its arguments and calls one function of another module.

Modules are imported inside the commands, so that `onhand --help` answers at once.

Exit codes: 0 all is well; 1 something is wrong and the output says what; 2 the arguments or settings
make no sense, said in one line; 130 interrupted.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer.exceptions import TyperException

PROBLEM = 1
NONSENSE = 2
INTERRUPTED = 130

app = typer.Typer(
    name="onhand",
    help="One true stock ledger for every sales channel.",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root() -> None:
    """One true stock ledger for every sales channel."""


@app.command()
def up(
    shops: bool = typer.Option(True, help="Imitated shops with stock; without: your own, of channels.toml."),
    deploy: bool = typer.Option(True, help="Register the deployments of prefect.yaml."),
) -> None:
    """Start everything on this machine, and stay up until Ctrl-C."""
    from onhand.up import run_up

    raise typer.Exit(run_up(shops=shops, deploy=deploy))


@app.command()
def demo(
    orders: Path | None = typer.Option(
        None, exists=True, dir_okay=False, help="CSV of orders, plain or .gz; default: a recorded or a generated day."
    ),
    day: int = typer.Option(3, min=1, help="Which trading day of the file."),
    seconds: float = typer.Option(75.0, min=10, max=3600, help="Real seconds that the day takes."),
    cover: float = typer.Option(0.7, min=0.01, max=100, help="Opening stock as a share of the day's demand."),
    seed: int = typer.Option(11, help="Of everything that is drawn by chance."),
    stay: bool = typer.Option(False, help="Stay up afterwards, to look around in the UI."),
) -> None:
    """Trade one day on two imitated shops, and judge what was promised."""
    from onhand.trading_day.demo import Options, run_demo

    raise typer.Exit(run_demo(Options(orders, day, seconds, cover, seed, stay)))


@app.command()
def explain(
    sku: str = typer.Argument(help="A SKU, or an alias of one."),
    last: int = typer.Option(10, min=1, max=1000, help="How many movements and publications to show."),
    json: bool = typer.Option(False, "--json", help="For programs."),
) -> None:
    """Why is this number what it is: everything the ledger knows about one SKU."""
    from onhand.commands.explain import run_explain

    raise typer.Exit(run_explain(sku, last=last, as_json=json))


@app.command()
def rebuild(
    repair: bool = typer.Option(False, "--repair", help="Rewrite the balances that differ."),
    json: bool = typer.Option(False, "--json", help="For programs."),
) -> None:
    """Compare the ledger with itself; exit code 1 when something differs."""
    from onhand.commands.rebuild import run_rebuild

    raise typer.Exit(run_rebuild(repairing=repair, as_json=json))


@app.command()
def doctor() -> None:
    """Check this installation and what it can reach; exit code 1 when something is wrong."""
    from onhand.commands.doctor import run_doctor

    raise typer.Exit(run_doctor())


@app.command()
def migrate() -> None:
    """Bring the ledger of ONHAND_DATABASE_URL to the newest version of its tables."""
    from onhand.commands.migrate_command import run_migrate

    raise typer.Exit(run_migrate())


@app.command()
def replay(
    orders: Path = typer.Option(..., exists=True, dir_okay=False, help="CSV of orders, plain or .gz."),
    policies: str = typer.Option("mirror,strict,calibrated:0.001", help="Separated by commas; see docs/policies.md."),
    lag: list[float] = typer.Option([60.0], help="Seconds until the others know of an order. May be repeated."),
    outage: list[str] = typer.Option(["none"], help="channel=2,weekday=thu,from=10:00,to=16:00. May be repeated."),
    channels: int = typer.Option(4, help="How many the orders are dealt out to."),
    shares: str = typer.Option("", help="Of the channels, as 50,30,15,5; default: equal."),
    pool: str = typer.Option("", help="Channels that ask before they sell, as 1,3."),
    split: str = typer.Option("customer", help="What decides an order's channel: customer or order."),
    cover_weeks: float = typer.Option(2.0, help="Stock is topped up each Monday to so many weeks of demand."),
    units: str = typer.Option("line", help="line: each line is one unit; quantity: real quantities."),
    writes: str = typer.Option("usual", help="usual, absolute or compare-and-set."),
    restock_known: bool = typer.Option(True, help="Policies are told when stock is topped up next."),
    seed: int = typer.Option(0, help="Of everything that is drawn by chance."),
    processes: int = typer.Option(0, min=0, max=64, help="0: one a core."),
    oversell_cost: float = typer.Option(0.0, min=0, help="What an oversold unit costs you."),
    margin: float = typer.Option(0.0, min=0, help="What a delivered unit earns you."),
    json: Path | None = typer.Option(None, help="Write the figures into this file."),
    html: Path | None = typer.Option(None, help="Write a page with table and picture into this file."),
) -> None:
    """Replay your own orders against each policy: oversold, hidden, fill, calls."""
    from onhand.commands.replay_command import run_replay
    from tasks.replaying.replay_orders import Request

    request = Request(
        orders, policies, lag, outage, channels, shares, pool, split, cover_weeks, units, writes, restock_known,
        seed, processes, oversell_cost, margin,
    )  # fmt: skip
    raise typer.Exit(run_replay(request, to_json=json, to_html=html))


@app.command()
def policy(
    action: str = typer.Argument("show", help="show, check, diff or apply."),
    file: Path | None = typer.Argument(None, dir_okay=False, help="A policy file; default: ONHAND_POLICY_FILE."),
    actor: str = typer.Option("", help="Your name: who brings it in force."),
    reason: str = typer.Option("", help="Why; people will read it later."),
    json: bool = typer.Option(False, "--json", help="For programs."),
) -> None:
    """The policy in force; is a file sound; which numbers would it change and why; bring it in force."""
    from onhand.commands.policy_command import run_policy

    raise typer.Exit(run_policy(action, file, actor=actor, reason=reason, as_json=json))


@app.command()
def exposure(
    sku: str | None = typer.Argument(None, help="One SKU and its listings; default: the tightest SKUs."),
    most: int = typer.Option(20, min=1, max=100_000, help="How many SKUs to show."),
    hours: float = typer.Option(0, min=0, max=24 * 365, help="With the samples of so many hours."),
    json: bool = typer.Option(False, "--json", help="For programs."),
) -> None:
    """What could be oversold at worst: in total, by channel, SKU and listing; exit code 1 when it is anything."""
    from onhand.commands.exposure_command import run_exposure

    raise typer.Exit(run_exposure(sku, most=most, hours=hours, as_json=json))


@app.command()
def status(
    most: int = typer.Option(5, min=1, max=100, help="Rows of each section that is not fine."),
    whole: bool | None = typer.Option(None, help="Measure also what takes seconds of a million listings."),
    json: bool = typer.Option(False, "--json", help="For programs."),
) -> None:
    """How the business is, the worst first; exit code 1 when something critical is open."""
    from onhand.commands.status import run_status

    raise typer.Exit(run_status(as_json=json, most=most, whole=whole))


@app.command()
def audit(
    export: list[str] = typer.Option(..., help="CHANNEL=FILE: its own export of SKUs and quantities. At least two."),
    orders: Path | None = typer.Option(None, exists=True, dir_okay=False, help="CSV of orders, plain or .gz."),
    lag: float = typer.Option(300.0, help="Seconds until a channel hears of the others' sales today."),
    cover_weeks: float | None = typer.Option(None, help="Weeks of stock to replay upon; default: today's numbers."),
    most: int = typer.Option(10, min=1, max=1000, help="Rows of each table in the terminal."),
    json: Path | None = typer.Option(None, help="Write the figures into this file."),
    html: Path | None = typer.Option(None, help="Write a page into this file."),
) -> None:
    """Before anything is connected: what is out of sync, what would have oversold, what to do first."""
    from onhand.commands.audit_command import run_audit

    code = run_audit(export, orders, lag=lag, cover_weeks=cover_weeks, most=most, to_json=json, to_html=html)
    raise typer.Exit(code)


@app.command()
def runbook(
    channel: str = typer.Argument(help="Code of the channel."),
    to: Path | None = typer.Option(None, dir_okay=False, help="Write it into this file instead."),
) -> None:
    """What to do when a channel is dark: from the policy in force, its switch and the ladder's settings."""
    from onhand.commands.runbook_command import run_runbook

    raise typer.Exit(run_runbook(channel, to=to))


@app.command()
def raci(json: bool = typer.Option(False, "--json", help="For programs.")) -> None:
    """Check who may do and approve what, and show it; exit code 2 when the file makes no sense."""
    from onhand.commands.raci_table import run_raci

    raise typer.Exit(run_raci(as_json=json))


@app.command()
def intake(
    host: str = typer.Option("127.0.0.1", help="Address to listen at."),
    port: int = typer.Option(8080, min=1, max=65535, help="Port to listen at."),
) -> None:
    """Receive the channels' webhooks, until Ctrl-C."""
    from onhand.services.serve import run_intake

    raise typer.Exit(run_intake(host, port))


@app.command()
def reservations(
    host: str = typer.Option("127.0.0.1", help="Address to listen at."),
    port: int = typer.Option(8090, min=1, max=65535, help="Port to listen at."),
) -> None:
    """Answer the channels that ask before they sell, until Ctrl-C."""
    from onhand.services.serve import run_reservations

    raise typer.Exit(run_reservations(host, port))


@app.command()
def watchdog(
    once: bool = typer.Option(True, help="Look once, for cron; without: go on until Ctrl-C."),
    every_minutes: float = typer.Option(5.0, min=0.5, max=1440, help="How often it is called, or looks."),
) -> None:
    """Is everybody alive? Opens and closes incidents and sends alerts, without Prefect."""
    from onhand.commands.watchdog_command import run_watchdog

    raise typer.Exit(run_watchdog(once=once, every_minutes=every_minutes))


@app.command()
def leaks(
    also: list[str] = typer.Option([], help="Look for this text, too: a buyer's name, a token that was replaced."),
) -> None:
    """Does a secret that is in use stand in the ledger, in Prefect's database, in a log? Exit code 1 when it does."""
    from onhand.commands.leaks_command import run_leaks

    raise typer.Exit(run_leaks(also))


@app.command()
def simulate(
    seeds: int = typer.Option(100, min=1, max=10_000_000, help="How many."),
    start: int = typer.Option(1, min=0, help="The first one."),
    days: float = typer.Option(1.0, min=0.1, max=365, help="Virtual days of each."),
    jobs: int = typer.Option(1, min=1, max=64, help="Processes, each with a database of its own."),
    json: Path | None = typer.Option(None, dir_okay=False, help="Write the figures into this file."),
) -> None:
    """Everything fails at once, on imitated shops and a virtual clock: are the promises kept? Exit code 1: not all."""
    from onhand.commands.simulate_command import run_simulate

    raise typer.Exit(run_simulate(seeds, start, days, jobs, json))


@app.command()
def drill(
    scenario: str = typer.Option("marketplace_times_out", help="Its name; see --list."),
    listing: bool = typer.Option(False, "--list", help="Name them all."),
) -> None:
    """Rehearse an outage or a rush on imitated shops: what happened, what onhand did, what it came to."""
    from onhand.commands.drill_command import run_drill

    raise typer.Exit(run_drill(scenario, listing=listing))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit with its code. Never shows a traceback for what a user did."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    given = list(arguments) or ["--help"]
    try:
        code: Any = typer.main.get_command(app).main(args=given, prog_name="onhand", standalone_mode=False)
    except TyperException as error:
        return _say(f"{error.format_message().rstrip('.')}: {_hint(error)}", NONSENSE)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", INTERRUPTED)
    except Exception as error:
        known = _known(error)
        if known is None:
            raise
        return _say(str(error), known)
    return int(code or 0)


def _known(error: Exception) -> int | None:
    """The exit code of an error that is the user's or the machine's; None for a fault of ours."""
    from sqlalchemy.exc import OperationalError

    from adapters.channels.registry import ChannelFileError
    from adapters.embedded_postgres import EmbeddedPostgresError
    from adapters.export_csv import ExportError
    from adapters.raci_file import RaciError
    from adapters.sandbox.trace import TraceError
    from adapters.settings import SettingsError
    from inventory.channels import UnknownChannel
    from inventory.ledger.explanation import UnknownSku
    from inventory.ledger.rebuilding import NotRebuildable
    from inventory.policies.policy_file import PolicyFileError
    from inventory.policies.policy_text import PolicyError
    from inventory.replaying.outage_pattern import OutageError
    from onhand.commands.drill_command import DrillError
    from onhand.commands.ledger_access import LedgerUnreachable
    from onhand.commands.policy_command import PolicyCommandError
    from onhand.commands.runbook_command import RunbookError
    from onhand.commands.simulate_command import SimulationError
    from onhand.processes import ProcessError
    from onhand.services.tokens import TokenError
    from onhand.simulation.totals import Lost
    from onhand.stack import StackError
    from tasks.onboarding.readiness_check import AuditError
    from tasks.replaying.replay_orders import ReplayError

    if isinstance(error, PolicyError | PolicyFileError | PolicyCommandError | OutageError | ReplayError):
        return NONSENSE
    if isinstance(error, AuditError | ExportError):
        return NONSENSE
    if isinstance(error, UnknownChannel | RunbookError | SimulationError | DrillError):
        return NONSENSE
    if isinstance(error, RaciError | SettingsError | ChannelFileError | TraceError | UnknownSku | TokenError):
        return NONSENSE
    if isinstance(error, EmbeddedPostgresError | ProcessError | StackError | OperationalError | Lost):
        return PROBLEM
    if isinstance(error, LedgerUnreachable | NotRebuildable):
        return PROBLEM
    return None


def _hint(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path if context else 'onhand'} --help`"


def _say(message: str, code: int) -> int:
    """One line, whatever the message was made of."""
    print("onhand:", " ".join(message.split()), file=sys.stderr)
    return code
