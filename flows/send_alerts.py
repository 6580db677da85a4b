"""Tell people of the incidents that are open, and of those that ended, once and now."""

from typing import Annotated

from prefect import flow, get_run_logger, task

from adapters.settings import settings
from flows.forms import shown
from tasks.health.roll_call import call_the_roll, prefect_of
from tasks.health.tell import TellReport, office_of, tell
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Look = Annotated[bool, shown("Look first", "Also look whether every part is alive, as the watchdog does each minute")]


@task(task_run_name="look", **RETRIES)
def look_once() -> None:
    prefect = prefect_of(settings())
    try:
        call_the_roll(runtime(), prefect)
    finally:
        if prefect is not None:
            prefect.close()


@task(task_run_name="tell", **RETRIES)
def tell_once() -> list[TellReport]:
    return tell(runtime(), office_of(settings()))


@flow(name="send_alerts", flow_run_name=run_name("alerts"), log_prints=False)
def send_alerts(look: Look = False) -> None:
    """What is told, to whom and when, is said in docs/alerts.md. Running it twice tells nothing twice."""
    if look:
        look_once()
    reports = tell_once()
    if not reports:
        get_run_logger().warning("nobody is told: there is neither an alerts file nor a Slack webhook in the settings")
    table("alerts", [report.as_row() for report in reports], "What each target was told in this pass")
