"""Demand and lags, learned from the ledger's own orders for the policies that need to know them."""

from typing import Annotated

from prefect import flow, get_run_logger, task

from flows.forms import shown
from tasks.learn import LearnReport, learn
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Weeks = Annotated[int, shown("Weeks", "How far back orders are read; older ones hardly count any more", ge=1, le=104)]


@task(task_run_name="learn-from-orders", **RETRIES)
def learn_from_orders(weeks: int) -> LearnReport:
    return learn(runtime(), weeks=weeks)


@flow(name="learn_demand", flow_run_name=run_name("learn"), log_prints=False)
def learn_demand(weeks: Weeks = 26) -> None:
    """What the orders of the last weeks say of demand, and those of the last one of each channel's lag."""
    report = learn_from_orders(weeks)
    found = report.learned
    said = f"{found.order_lines:,} order lines of {found.skus:,} SKUs over {found.days:,} days"
    get_run_logger().info("learned from %s", said)
    table("learned-lags", report.lags, f"Learned from {said}. How long each channel's orders take to reach the others:")
