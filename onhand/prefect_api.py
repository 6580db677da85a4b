"""The few calls to Prefect's REST API that the demo needs, without importing Prefect (seconds of CPU)."""

import time
from typing import Any
from uuid import uuid4

import httpx

ATTEMPTS = 8
ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


class PrefectApi:
    def __init__(self, api_url: str) -> None:
        self._client = httpx.Client(base_url=api_url, trust_env=False, timeout=30)

    def close(self) -> None:
        self._client.close()

    def deployments(self) -> list[dict[str, Any]]:
        return list(self._call("POST", "/deployments/filter", {}))

    def pause_schedules(self) -> None:
        """Nothing starts by itself until the next `prefect deploy`."""
        for deployment in self.deployments():
            for schedule in deployment["schedules"]:
                self._call("PATCH", f"/deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": False})

    def start(self, flow: str, deployment: str, **parameters: Any) -> str:
        """Start a run of a deployment, as the button in the UI does; returns its id."""
        found = self._call("GET", f"/deployments/name/{flow}/{deployment}")
        body = {"parameters": parameters, "idempotency_key": uuid4().hex}
        run = self._call("POST", f"/deployments/{found['id']}/create_flow_run", body)
        return str(run["id"])

    def state(self, run_id: str) -> tuple[str, str]:
        """(type, message) of the run's state."""
        state = self._call("GET", f"/flow_runs/{run_id}").get("state") or {}
        return str(state.get("type", "PENDING")), str(state.get("message") or "")

    def wait(self, run_id: str, timeout: float) -> tuple[str, str]:
        """The state in which the run ended, or in which it is after `timeout` seconds."""
        end = time.monotonic() + timeout
        while True:
            state = self.state(run_id)
            if state[0] in ENDED or time.monotonic() > end:
                return state
            time.sleep(0.5)

    def cancel(self, run_id: str) -> None:
        self._call("POST", f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}, "force": True})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask, and again when there is no answer.

        On SQLite a busy server answers 503 ("database is locked") and has done nothing, or takes longer than any
        time-out. Each call here says the same a second time: it reads, sets what it names, or carries an
        idempotency key.
        """
        for left in reversed(range(ATTEMPTS)):
            try:
                response = self._client.request(method, path, json=body)
            except httpx.TransportError:
                if not left:
                    raise
            else:
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or not left:
                    break
            time.sleep(min(2.0, 0.2 * 2 ** (ATTEMPTS - left)))
        response.raise_for_status()
        return response.json() if response.content else None
