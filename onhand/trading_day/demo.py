"""`onhand demo`: one trading day on five imitated channels, kept right by the flows, and a verdict that proves it."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table
from sqlalchemy import Engine, text

from adapters.database import create_engine
from adapters.sandbox.demand import hottest, stock_for
from adapters.sandbox.generator import cancellations_for, generate
from adapters.sandbox.shoppers import Rush, Shoppers
from adapters.sandbox.timetable import Storefront
from adapters.sandbox.trace import Trace, read_trace
from adapters.settings import PROJECT_ROOT, settings
from onhand.prefect_api import PrefectApi
from onhand.stack import Stack, interruptible
from onhand.trading_day.exposure_story import Sampler, story, summed_up
from onhand.trading_day.live import view
from onhand.trading_day.promises import Line, Span, Truth, verdict
from onhand.trading_day.stage import fresh_stack, set_faults, set_up, shop_state, shop_urls
from onhand.trading_day.stage_channels import introduce

RECORDED = PROJECT_ROOT.parent / "shared" / "data" / "online_retail" / "busiest_week.csv.gz"
SHIFT_MINUTES = 10.0
"""The flow runs of the demo go on for so long at most; they are ended when the day is over."""
POLL = 5.0
"""Seconds between two full pulls of a channel; in between it tells by itself, by webhook or queue."""
DRAIN_SECONDS = 60.0
RACE_S = 3.0
"""So long the buyers of one instant keep everybody busy."""


@dataclass(frozen=True, slots=True)
class Options:
    orders: Path | None = None
    """A CSV of orders (columns: docs/orders_csv.md). None: a recorded day if there is one, else a generated one."""
    day: int = 3
    """Which trading day of the file, from 1."""
    seconds: float = 75.0
    """Real time that the trading day takes."""
    cover: float = 0.7
    """Opening stock, as a share of what the day's customers want."""
    seed: int = 11
    stay: bool = False


def run_demo(options: Options) -> int:
    """0 when every promise was kept, 1 when one was broken."""
    console = Console()
    begun = time.monotonic()
    trace, source = _day(options)
    rng = np.random.default_rng(options.seed)
    units = stock_for(trace, options.cover, rng)
    console.print(
        f"[bold]onhand demo[/bold]  {source}: {len(trace.orders):,} orders, {len(units):,} SKUs, "
        f"{sum(units.values()):,} units in stock\n",
        highlight=False,
    )
    stack = fresh_stack(settings(), "demo", lambda line: console.print(f"  {line}", markup=False, highlight=False))
    with interruptible(), stack:
        engine = create_engine(stack.database_url, application_name="onhand demo")
        api = PrefectApi(stack.api_url)
        try:
            sampler = Sampler(engine)
            lines = _trade(console, stack, engine, api, trace, units, options, sampler)
            with engine.connect() as connection:
                taken = sampler.taken(connection)
            lines.append(Line("worst case above what is sellable", summed_up(taken)))
            console.print(story(taken))
        finally:
            api.close()
            engine.dispose()
        broken = _print_verdict(console, lines, time.monotonic() - begun)
        if options.stay:
            console.print(f"\nstaying up: {stack.ui_url}  (Ctrl-C stops it)", highlight=False)
            stack.wait()
    return 1 if broken else 0


def _day(options: Options) -> tuple[Trace, str]:
    """The orders of one day, with cancellations later on the same day."""
    path = options.orders or (RECORDED if RECORDED.is_file() else None)
    if path is None:
        return generate(options.seed), "a generated trading day"
    trace = read_trace(path)
    days = trace.trading_days()
    number = min(options.day, len(days))
    day = trace.day(number)
    rng = np.random.default_rng(options.seed)
    return replace(day, cancellations=tuple(cancellations_for(day.orders, rng))), f"{path.name}, {days[number - 1]}"


def _trade(
    console: Console,
    stack: Stack,
    engine: Engine,
    api: PrefectApi,
    trace: Trace,
    units: dict[str, int],
    options: Options,
    sampler: Sampler,
) -> list[Line]:
    urls = shop_urls(stack)
    api.pause_schedules()
    set_up(stack, engine, units)
    introduce(stack)
    console.print("  the shops are set up and show nothing yet; the flows are started", highlight=False)
    shifts = [
        api.start("publish_availability", "all-channels", minutes=SHIFT_MINUTES, every_seconds=0.3),
        api.start("pull_channels", "channels", channels=list(urls), minutes=SHIFT_MINUTES, every_seconds=POLL),
    ]
    _await_first_numbers(console, engine, api, shifts)
    storefronts = [Storefront(code, url) for code, url in urls.items()]
    rush = Rush(skus=tuple(hottest(trace, 5)), racers=1, attempts=3)
    shoppers = Shoppers(storefronts, trace, seconds=options.seconds, rush=rush, timeout=5.0)
    spans = _open_the_shops(console, engine, shoppers, urls, options, sampler, rush)
    _drain(console, engine, urls)
    checks = [
        api.start("reconcile", "quantities", channels=list(urls)),
        api.start("expire_reservations", "holds", minutes=0),
    ]
    for run, name in zip(checks, ("reconcile", "expire_reservations"), strict=True):
        console.print(f"  {name}: {api.wait(run, 90)[0].lower()}", highlight=False)
    _drain(console, engine, urls)
    failed = [run for run in (*shifts, *checks) if api.state(run)[0] in ("FAILED", "CRASHED")]
    for run in shifts:
        api.cancel(run)
    truth = Truth.of({code: shop_state(url) for code, url in urls.items()})
    with engine.connect() as connection:
        lines = verdict(connection, truth, units, spans)
    runs = Line("flow runs that failed", f"{len(failed)} of {len(shifts) + len(checks)}", not failed)
    return [*lines, runs]


def _await_first_numbers(console: Console, engine: Engine, api: PrefectApi, shifts: list[str]) -> None:
    """Until every listing has its first number, and both pulls run."""
    end = time.monotonic() + 240
    with console.status("the first numbers go out"):
        while time.monotonic() < end:
            with engine.connect() as connection:
                # What settles after its first number is divided anew again and again; it has a number.
                left = connection.execute(text("SELECT count(*) FROM outbox WHERE eager")).scalar_one()
                pulled = connection.execute(text("SELECT count(*) FROM channel WHERE pulled_at IS NULL")).scalar_one()
            if not left and not pulled:
                break
            dead = [api.state(run) for run in shifts if api.state(run)[0] in ("FAILED", "CRASHED")]
            if dead:
                raise RuntimeError(f"a flow run ended before the day began: {dead[0][1]}")
            time.sleep(0.5)
        else:
            raise RuntimeError("the first numbers were not confirmed within four minutes; see the logs of the stack")
    with engine.connect() as connection:
        shown = connection.execute(text("SELECT count(*) FROM listing WHERE confirmed > 0")).scalar_one()
    console.print(f"  {shown:,} listings show a confirmed number; the shops open\n", highlight=False)


def _open_the_shops(
    console: Console,
    engine: Engine,
    shoppers: Shoppers,
    urls: dict[str, str],
    options: Options,
    sampler: Sampler,
    rush: Rush,
) -> list[Span]:
    """The day itself, with the Shopify shop in trouble during it; returns the times that were not like the others."""
    trouble = _trouble(options.seconds)
    told = 0
    begun, opened = time.monotonic(), datetime.now(UTC)
    shoppers.start()
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        while True:
            elapsed = time.monotonic() - begun
            while told < len(trouble) and elapsed >= trouble[told][0]:
                set_faults(urls["shopify"], trouble[told][2])
                told += 1
            note = trouble[told - 1][1] if told else "a quiet morning"
            with engine.connect() as connection:
                live.update(view(connection, shoppers, urls, min(1.0, elapsed / options.seconds), note))
            sampler()
            if shoppers.join(timeout=0.4):
                break
    set_faults(urls["shopify"], [])
    first, last = (opened + timedelta(seconds=when) for when in (trouble[0][0], trouble[-1][0]))
    races = [opened + timedelta(seconds=share * options.seconds) for share in rush.at]
    everywhere = f"{len(urls) * rush.racers * len(rush.skus)} buyers at one instant"
    return [
        Span("while shopify was in trouble", first, last),
        *(Span(everywhere, at - timedelta(seconds=0.5), at + timedelta(seconds=RACE_S)) for at in races),
    ]


def _trouble(seconds: float) -> list[tuple[float, str, list[dict[str, object]]]]:
    """(when, what to say, faults from then on)"""
    return [
        (0.5 * seconds, "shopify throttles", [{"kind": "throttle", "operation": "any", "probability": 0.3}]),
        (0.6 * seconds, "shopify repeats itself", [{"kind": "repeat", "operation": "orders", "probability": 0.5}]),
        (
            0.7 * seconds,
            "shopify applies writes and does not answer",
            [{"kind": "timeout_after", "operation": "write", "times": 3, "delay_s": 4.0}],
        ),
        (
            0.8 * seconds,
            "shopify shows orders late, and fails now and then",
            [
                {"kind": "late", "operation": "orders", "delay_s": 0.8},
                {"kind": "error_before", "operation": "any", "probability": 0.1},
            ],
        ),
        (0.9 * seconds, "all is well again", []),
    ]


def _drain(console: Console, engine: Engine, urls: dict[str, str]) -> None:
    """Until the last order has reached every shop: everything pulled, applied, published, nothing in doubt."""
    asked = datetime.now(UTC) + timedelta(seconds=1)
    end = time.monotonic() + DRAIN_SECONDS
    with console.status("the last orders are synchronised"):
        while time.monotonic() < end:
            with engine.connect() as connection:
                waiting = connection.execute(
                    text(
                        """
                        SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM inbox WHERE status = 'pending')
                             + (SELECT count(*) FROM listing WHERE settling IS NOT NULL)
                             + (SELECT count(*) FROM channel WHERE pulled_at < :asked)
                        """
                    ),
                    {"asked": asked},
                ).scalar_one()
            if not waiting:
                return
            time.sleep(0.3)


def _print_verdict(console: Console, lines: list[Line], seconds: float) -> list[Line]:
    table = Table(title="\nVerdict", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("what was promised, or counted")
    table.add_column("figure")
    table.add_column("")
    marks = {True: "[green]kept[/green]", False: "[bold red]BROKEN[/bold red]", None: ""}
    for line in lines:
        table.add_row(line.what, line.figure, marks[line.kept])
    console.print(table)
    broken = [line for line in lines if line.kept is False]
    promises = sum(line.kept is not None for line in lines)
    if broken:
        console.print(f"\n[bold red]{len(broken)} of {promises} promises were broken[/bold red] in {seconds:.0f} s")
    else:
        console.print(f"\n[bold green]All {promises} promises were kept[/bold green] in {seconds:.0f} s")
    return broken
