"""The command `onhand`. Thin: each command reads its arguments and calls one function of another module.

Modules are imported inside the commands, so that `onhand --help` answers at once.

Exit codes: 0 all is well; 1 something is wrong and the output says what; 2 the arguments or settings
make no sense, said in one line; 130 interrupted.
"""

import sys
from collections.abc import Sequence
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
    shops: bool = typer.Option(True, help="Run the imitated shops as well."),
    deploy: bool = typer.Option(True, help="Register the deployments of prefect.yaml."),
) -> None:
    """Start everything on this machine, and stay up until Ctrl-C."""
    from onhand.up import run_up

    raise typer.Exit(run_up(shops=shops, deploy=deploy))


@app.command()
def doctor() -> None:
    """Check this installation and what it can reach; exit code 1 when something is wrong."""
    from onhand.doctor import run_doctor

    raise typer.Exit(run_doctor())


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

    from adapters.embedded_postgres import EmbeddedPostgresError
    from adapters.settings import SettingsError
    from onhand.processes import ProcessError
    from onhand.stack import StackError

    if isinstance(error, SettingsError):
        return NONSENSE
    if isinstance(error, EmbeddedPostgresError | ProcessError | StackError | OperationalError):
        return PROBLEM
    return None


def _hint(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path if context else 'onhand'} --help`"


def _say(message: str, code: int) -> int:
    """One line, whatever the message was made of."""
    print("onhand:", " ".join(message.split()), file=sys.stderr)
    return code
