"""Several runs of the deployment that this run is of, side by side on its work pool: wherever its workers are."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelling

from tasks.reconciling.wide_reconciliation import Ended, Piece

_LOOK_EVERY_S = 3.0


class NoDeployment(ValueError):
    """Only a run of a deployment can be divided: the others have no work pool."""


def run_pieces(pieces: Sequence[Piece], *, at_once: int, most_s: float) -> list[Ended]:
    """Run them, at most `at_once` at a time, and say what became of each, in their order. What has not ended after
    `most_s` seconds is cancelled. Raises NoDeployment."""
    mine = deployment.get_id()
    if mine is None:
        raise NoDeployment("start it from a deployment, or leave 'Runs side by side' at 1")
    waiting = list(enumerate(pieces))
    runs: dict[int, FlowRun] = {}
    ended: dict[int, Ended] = {}
    end = time.monotonic() + most_s
    with get_client(sync_client=True) as client:
        while len(ended) < len(pieces):
            while waiting and len(runs) < at_once:
                number, piece = waiting.pop(0)
                runs[number] = _start(mine, piece)
            for number, run in list(runs.items()):
                now = client.read_flow_run(run.id)
                late = time.monotonic() > end
                if now.state is not None and (now.state.is_final() or late):
                    if not now.state.is_final():
                        client.set_flow_run_state(run.id, Cancelling(), force=True)
                    ended[number] = _told(client, pieces[number], now)
                    del runs[number]
            if len(ended) < len(pieces):
                time.sleep(_LOOK_EVERY_S)
    return [ended[number] for number in range(len(pieces))]


def _start(of_deployment: str, piece: Piece) -> FlowRun:
    parameters = {**flow_run.get_parameters(), **piece.parameters}
    started = run_deployment(UUID(of_deployment), parameters=parameters, timeout=0, as_subflow=True)
    assert isinstance(started, FlowRun)
    return started


def _told(client: SyncPrefectClient, piece: Piece, run: FlowRun) -> Ended:
    state = run.state
    assert state is not None
    fault = ""
    if not state.is_completed():
        fault = f"{state.type.value.lower()}: {state.message or 'it did not say why'}"[:300]
    if not state.is_final():
        fault = "it took too long and was cancelled"
    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
    return Ended(piece, fault, tables_of(client.read_artifacts(artifact_filter=mine)))


def tables_of(artifacts: Sequence[Any]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """{key: rows} of the table artifacts."""
    return {one.key: json.loads(one.data) for one in artifacts if one.type == "table" and one.key}
