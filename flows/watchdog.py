"""Are the others alive? Look twice a minute, tell people, and say outside that the watchdog itself is alive."""

from datetime import UTC, datetime

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State
from prefect.runtime import task_run
from sqlalchemy.exc import OperationalError

from adapters.settings import settings
from flows.forms import EverySeconds, Minutes
from tasks.health.roll_call import (
    RollCall,
    call_the_roll,
    pinger,
    prefect_of,
    tell_ledger_is_back,
    tell_without_ledger,
)
from tasks.health.tell import office_of, tell
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import beats, run_name, work

PATIENT_TRIES = 3


def tries_so_far() -> int:
    return int(task_run.run_count)


@task(task_run_name="watch-for-{seconds:.0f}s", **RETRIES)
def watch_for(seconds: float, every_seconds: float) -> RollCall | None:
    """Looks once, at the beginning, and tells at each beat."""
    configured = settings()
    office, memory = office_of(configured), configured.data_dir / "ledger-away.json"
    prefect, ping = prefect_of(configured), pinger(configured.ping_url)
    found: RollCall | None = None
    try:
        for _ in beats(seconds, every_seconds):
            if found is None:
                found = call_the_roll(runtime(), prefect)
                tell_ledger_is_back(office, memory, now=datetime.now(UTC))
                tell(runtime(), office)
                if ping is not None:
                    ping()
            else:
                tell(runtime(), office)
    except OperationalError as error:
        # A database that only restarts is back at the next try.
        if tries_so_far() >= PATIENT_TRIES:
            tell_without_ledger(office, memory, type(error.orig).__name__, now=datetime.now(UTC))
        raise
    finally:
        if prefect is not None:
            prefect.close()
    return found


@flow(name="watchdog", flow_run_name=run_name("watchdog"), log_prints=False)
def watchdog(minutes: Minutes = 0, every_seconds: EverySeconds = 20) -> None:
    """Opens an incident for each part that is silent and each deployment whose runs fail; closes it when that ends."""

    def looks(seconds: float) -> State[RollCall | None]:
        return watch_for(seconds, every_seconds, return_state=True)

    shown: list[tuple[str, str]] | None = None
    for report in work(minutes, every_seconds, looks):
        if report is None:
            continue
        state = sorted((sign.part, "silent") for sign in report.silent) + sorted(report.troubled.items())
        if state != shown:
            get_run_logger().info("%s parts, silent %s, runs in trouble %s", len(report.signs), len(report.silent),
                                  len(report.troubled))  # fmt: skip
            table("watchdog", report.rows(), "Which parts are alive, and whose runs fail; the worst first")
            shown = state
