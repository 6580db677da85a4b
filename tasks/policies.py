"""How tasks are retried: by the orchestrator, exponentially, with jitter, and only what can succeed later."""

from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff
from sqlalchemy.exc import InterfaceError, OperationalError

from adapters.http import ChannelFault, Resolution


async def can_succeed_later(task: Any, task_run: TaskRun, state: State[Any]) -> bool:
    """A channel that is throttled or away, or answers with a page of maintenance; a database that restarts: yes.
    A wrong token, a bug: no."""
    error = await state.aresult(raise_on_failure=False)
    if isinstance(error, ChannelFault):
        return error.retriable or error.resolution is Resolution.MALFORMED
    return isinstance(error, OperationalError | InterfaceError)


RETRIES: dict[str, Any] = {
    "retries": 4,
    "retry_delay_seconds": exponential_backoff(backoff_factor=2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": can_succeed_later,
}
