"""Goods that wait for too long."""

from datetime import timedelta
from typing import Annotated

from prefect import flow, get_run_logger, task

from flows.forms import shown
from tasks.goods.goods_watch import GoodsReport, watch_goods
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Days = Annotated[float, shown("Inspected within (days)", "Returned units that wait for longer are named", gt=0, le=60)]


@task(task_run_name="check-goods", **RETRIES)
def watch(days: float) -> GoodsReport:
    return watch_goods(runtime(), inspect_within=timedelta(days=days))


@flow(name="check_goods", flow_run_name=run_name("check-goods"), log_prints=False)
def check_goods(inspect_within_days: Days = 2) -> None:
    """Name the transfers that are stuck, the deliveries that are late and the returns that nobody has inspected."""
    report = watch(inspect_within_days)
    said = (
        f"{report.stuck} transfers stuck, {report.late} deliveries late, "
        f"{report.uninspected} returned units uninspected for too long"
    )
    get_run_logger().info(said)
    table("goods-waiting", report.rows, said)
