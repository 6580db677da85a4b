"""What the orchestrator tries again, and what not."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from adapters.http import ChannelFault, Resolution
from tasks.policies import can_succeed_later


class Failed:
    """The one thing of a Prefect state that the policy asks for."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def aresult(self, raise_on_failure: bool) -> Exception:
        assert raise_on_failure is False
        return self.error


def tried_again(error: Exception) -> bool:
    state: Any = Failed(error)
    task_run: Any = None
    return asyncio.run(can_succeed_later(None, task_run, state))


@pytest.mark.parametrize("resolution", list(Resolution))
def test_a_fault_of_a_channel(resolution: Resolution) -> None:
    final = (Resolution.REAUTHENTICATE, Resolution.REJECT)
    assert tried_again(ChannelFault("shop", resolution, "GET /orders")) is (resolution not in final)


def test_a_database_that_restarts() -> None:
    assert tried_again(OperationalError("SELECT 1", {}, Exception("the server closed the connection")))


def test_a_bug_is_not_tried_again() -> None:
    assert not tried_again(KeyError("sku"))
