"""How the business is: accuracy and failed syncs first, then the worst. Tables, a picture, a page, a figure a day."""

from base64 import b64encode
from typing import Annotated

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_image_artifact, create_markdown_artifact

from adapters.settings import settings
from flows.forms import shown
from inventory.health.health_limits import Targets, parse_limits
from tasks.health.health_plots import trend_picture
from tasks.health.health_sections import worst
from tasks.health.measure_health import HealthReport, report_health_of
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Days = Annotated[int, shown("Days", "How far back the trends go", ge=1, le=730)]
LowDays = Annotated[float, shown("Low stock (days)", "A SKU that sells out sooner is low", gt=0, le=365)]
HEADLINES = ("ira", "failed syncs", "sync gap")


@task(task_run_name="measure", **RETRIES)
def measured(days: int, low_days: float) -> HealthReport:
    configured = settings()
    return report_health_of(
        runtime().engine,
        now=runtime().now(),
        limits=parse_limits(configured.cancellation_limits),
        folder=configured.data_dir,
        days=days,
        targets=Targets(low_days=low_days),
    )


@flow(name="report_health", flow_run_name=run_name("health"), log_prints=False)
def report_health(days: Days = 90, low_stock_days: LowDays = 7.0) -> None:
    """Reads the ledger, asks no channel. What each section says and when it is a warning: docs/health.md."""
    report = measured(days, low_stock_days)
    logger = get_run_logger()
    for one in report.sections:
        logger.info("%s: %s %s", one.title, one.state.word, one.figure)
        if one.rows:
            table(f"health-{one.key}", one.rows, f"**{one.title}** ({one.state.word}): {one.says}")
    create_markdown_artifact(summary(report), key="health", description="How the business is, the worst first")
    for name in HEADLINES:
        if picture := trend_picture(name, report.trends.get(name, ())):
            create_image_artifact(
                f"data:image/svg+xml;base64,{b64encode(picture.encode()).decode()}",
                key=f"health-trend-{name.replace(' ', '-')}",
                description=f"{name} by day",
            )


def summary(report: HealthReport) -> str:
    """Words of sections are ours; what people named (channels, SKUs) is kept from making markup."""
    rows = [f"| {one.title} | {one.state.word} | {one.figure} | {_plain(one.says)} |" for one in report.sections]
    head = [
        f"## {worst(report.sections).word.capitalize()}",
        f"As of {report.at:%Y-%m-%d %H:%M} UTC. The page with plots: `{report.page}` on the worker's machine.",
        "",
        "| | state | | |",
        "|---|---|---|---|",
    ]
    return "\n".join([*head, *rows])


def _plain(words: str) -> str:
    for mark in "\\`*_[]<>|":
        words = words.replace(mark, f"\\{mark}")
    return words
