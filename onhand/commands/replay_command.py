"""`onhand replay`: the seller's own orders against each policy, shown in the terminal and written to files."""

import json
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tasks.replaying.replay_orders import Replay, ReplayError, Request, as_json, replay_orders
from tasks.replaying.replay_report import about, html_page, table_rows

WORTH_SHOWING = 2.0
"""Seconds after which a person wants to see that something is going on."""


def run_replay(request: Request, *, to_json: Path | None, to_html: Path | None) -> int:
    for path in (to_json, to_html):
        if path is not None and not path.resolve().parent.is_dir():
            raise ReplayError(f"there is no folder {path.resolve().parent} to write {path.name} into")
    replay = _with_progress(request)
    _show(replay)
    if to_json is not None:
        _write(to_json, json.dumps(as_json(replay), indent=2) + "\n")
    if to_html is not None:
        _write(to_html, html_page(replay))
    return 0


def _with_progress(request: Request) -> Replay:
    """On the error output, so that the table can be piped; nothing at all when it is quick."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(),
        console=console, transient=console.is_terminal,
    )  # fmt: skip
    started, said = time.monotonic(), ""
    job = bar.add_task("", total=1.0)

    def say(what: str, share: float) -> None:
        nonlocal said
        if time.monotonic() - started < WORTH_SHOWING:
            return
        if console.is_terminal:
            bar.start()
            bar.update(job, description=what, completed=share)
        elif what != said:
            console.print(f"{what} ...")
        said = what

    try:
        return replay_orders(request, say)
    finally:
        if bar.live.is_started:
            bar.stop()


def _show(replay: Replay) -> None:
    console = Console()
    rows = table_rows(replay)
    # What is the same in every row is no news.
    shown = [name for name in rows[0] if name not in ("lag", "outage") or len({row[name] for row in rows}) > 1]
    table = Table(box=None, pad_edge=False)
    for name in shown:
        table.add_column(name, justify="left" if name in ("policy", "outage") else "right", no_wrap=name != "outage")
    for row in rows:
        table.add_row(*(row[name] for name in shown))
    console.print(table)
    for one in about(replay):
        console.print(one, style="dim", highlight=False, soft_wrap=True)


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.resolve().parent, delete=False) as file:
            file.write(text)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(path)
    except OSError as error:
        raise ReplayError(f"cannot write {path}: {error.strerror or 'failed'}") from error
