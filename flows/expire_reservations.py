"""Release the holds that are past their time."""

from datetime import timedelta

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State

from adapters.settings import settings
from flows.forms import EverySeconds, Minutes
from tasks.policies import RETRIES
from tasks.publishing.sweep import sweep
from tasks.report import table
from tasks.runtime import runtime
from tasks.selling.noticed import clear_old
from tasks.shift import beats, run_name, work


@task(task_run_name="sweep-for-{seconds:.0f}s", **RETRIES)
def sweep_for(seconds: float, every_seconds: float) -> int:
    """Also deletes the notices that were read long ago."""
    clear_old(runtime(), timedelta(days=settings().notices_kept_days))
    return sum(sweep(runtime()) for _ in beats(seconds, every_seconds))


@flow(name="expire_reservations", flow_run_name=run_name("expire"), log_prints=False)
def expire_reservations(minutes: Minutes = 0, every_seconds: EverySeconds = 60) -> None:
    """Housekeeping: an expired hold counts as expired before this has run, too."""

    def sweeps(seconds: float) -> State[int]:
        return sweep_for(seconds, every_seconds, return_state=True)

    total = sum(work(minutes, every_seconds, sweeps))
    get_run_logger().info("%s holds expired", total)
    table("expired-holds", [{"holds expired": total}], "Holds that were past their time")
