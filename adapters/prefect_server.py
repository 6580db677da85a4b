"""What Prefect's server says of runs, deployments and workers, by its REST API, without importing Prefect (seconds).

Source of paths and filters: Prefect 3.8, server/api and server/schemas/filters.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from adapters.http import call, make_client

MOST = 200
"""Runs that one question gives."""
ENDED_BADLY = ("FAILED", "CRASHED")
ENDED = ("COMPLETED", "CANCELLED", *ENDED_BADLY)
BEGUN = ("PENDING", "RUNNING", "CANCELLING")
"""A worker has taken such a run, and its process has not ended."""


@dataclass(frozen=True, slots=True)
class Deployment:
    id: str
    name: str
    """`flow/deployment`."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    is_scheduled: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    id: str
    name: str
    deployment_id: str | None
    flow_id: str
    state: str
    """Its type: RUNNING, COMPLETED, …"""
    message: str
    due_at: datetime | None
    started_at: datetime | None
    minutes: float | None
    """For how long it was to go on, where its parameters say so."""


class PrefectServer:
    """For one thread. Every question raises ChannelFault when the server does not answer as it should."""

    def __init__(
        self, api_url: str, *, auth: SecretStr | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        """`auth`: `user:password`, where the server asks for one."""
        user, _, password = auth.get_secret_value().partition(":") if auth else ("", "", "")
        self._client = make_client(
            base_url=api_url, auth=(user, password) if user else None, timeout_s=15.0, transport=transport
        )

    def close(self) -> None:
        self._client.close()

    def deployments(self) -> dict[str, Deployment]:
        """By id."""
        flows = {one["id"]: str(one["name"]) for one in self._ask("/flows/filter", {"limit": MOST})}
        return {
            one["id"]: Deployment(
                one["id"],
                f"{flows.get(one['flow_id'], 'unknown')}/{one['name']}",
                one.get("parameters") or {},
                not one.get("paused") and any(schedule["active"] for schedule in one.get("schedules") or ()),
            )
            for one in self._ask("/deployments/filter", {"limit": MOST})
        }

    def idle_pools(self) -> list[str]:
        """Work pools without a worker that is online."""
        found = self._ask("/work_pools/filter", {"limit": MOST})
        return sorted(one["name"] for one in found if one.get("status") == "NOT_READY")

    def late(self, before: datetime) -> list[Run]:
        """Runs that should have begun before this moment and have not."""
        wanted = {"state": {"name": {"any_": ["Late"]}}, "expected_start_time": {"before_": before.isoformat()}}
        return self._runs(wanted)

    def ended_badly(self, since: datetime) -> list[Run]:
        return self._runs({"state": {"type": {"any_": list(ENDED_BADLY)}}, "end_time": {"after_": since.isoformat()}})

    def running(self) -> list[Run]:
        return self._runs({"state": {"type": {"any_": ["RUNNING"]}}})

    def begun(self, pool: str) -> list[Run]:
        """The runs that workers of this pool are at now."""
        return self._runs({"state": {"type": {"any_": list(BEGUN)}}}, pool=pool)

    def planned(self, before: datetime) -> list[Run]:
        """Runs that are to begin before this moment, or should have; the first first."""
        wanted = {"state": {"type": {"any_": ["SCHEDULED"]}}, "expected_start_time": {"before_": before.isoformat()}}
        return self._runs(wanted, sort="EXPECTED_START_TIME_ASC")

    def ended(self, run_ids: Collection[str]) -> set[str]:
        """Those of these runs that have ended, however they did."""
        wanted = {"id": {"any_": sorted(run_ids)}, "state": {"type": {"any_": list(ENDED)}}}
        return {run.id for run in self._runs(wanted)}

    def newest(self, deployment_id: str) -> Run | None:
        """The run of a deployment that began last."""
        runs = self._runs({"start_time": {"is_null_": False}}, deployment_id, limit=1)
        return runs[0] if runs else None

    def start(self, deployment_id: str, parameters: Mapping[str, Any], key: str) -> None:
        """A run of the deployment now, these parameters over its own. The same `key` twice is one run."""
        body = {"parameters": dict(parameters), "idempotency_key": key}
        call(self._client, "prefect", "POST", f"/deployments/{deployment_id}/create_flow_run", writes=True, json=body)

    def say_crashed(self, run_id: str, message: str) -> None:
        """For a run whose process has gone without a word: nobody else says it."""
        body = {"state": {"type": "CRASHED", "name": "Crashed", "message": message}, "force": True}
        call(self._client, "prefect", "POST", f"/flow_runs/{run_id}/set_state", writes=True, json=body)

    def _runs(
        self,
        wanted: Mapping[str, Any],
        deployment_id: str | None = None,
        *,
        limit: int = MOST,
        pool: str | None = None,
        sort: str = "START_TIME_DESC",
    ) -> list[Run]:
        body: dict[str, Any] = {"flow_runs": dict(wanted), "sort": sort, "limit": limit}
        if deployment_id is not None:
            body["deployments"] = {"id": {"any_": [deployment_id]}}
        if pool is not None:
            body["work_pools"] = {"name": {"any_": [pool]}}
        return [_run(one) for one in self._ask("/flow_runs/filter", body)]

    def _ask(self, path: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        answer = call(self._client, "prefect", "POST", path, writes=False, json=body)
        return list(answer.body)


def _run(one: Mapping[str, Any]) -> Run:
    state = one.get("state") or {}
    minutes = (one.get("parameters") or {}).get("minutes")
    return Run(
        str(one["id"]),
        str(one["name"]),
        one.get("deployment_id"),
        str(one.get("flow_id")),
        str(state.get("type") or one.get("state_type") or "UNKNOWN"),
        str(state.get("message") or ""),
        _moment(one.get("expected_start_time")),
        _moment(one.get("start_time")),
        float(minutes) if isinstance(minutes, int | float) else None,
    )


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def intervals(deployments: Mapping[str, Deployment]) -> dict[str, timedelta]:
    """How often each channel is read, by the parameters of the deployments that are scheduled."""
    found: dict[str, timedelta] = {}
    for one in deployments.values():
        every = one.parameters.get("every_seconds")
        if not one.is_scheduled or not isinstance(every, int | float):
            continue
        codes = one.parameters.get("channels") or [one.parameters.get("channel")]
        for code in codes if isinstance(codes, list) else []:
            if isinstance(code, str):
                found[code] = min(found.get(code, timedelta.max), timedelta(seconds=every))
    return found
