"""Shopify's GraphQL over HTTP: sends an operation, keeps inside the cost bucket, names the fault.

Source: shopify.dev, "GraphQL Admin API rate limits". A throttled call is an HTTP 200 whose error has
the code THROTTLED; it was certainly not carried out, so it is sent again after a wait, writes too.
"""

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import httpx
from pydantic import SecretStr

from adapters.channels.shopify.shopify_queries import Operation
from adapters.http import ChannelFault, Resolution, call, make_client

MAX_WAIT_S = 30.0
"""The longest that one call waits for points, all its waits together."""

_BY_CODE = {
    "ACCESS_DENIED": Resolution.REAUTHENTICATE,
    "UNAUTHORIZED": Resolution.REAUTHENTICATE,
    "SHOP_INACTIVE": Resolution.REAUTHENTICATE,
    "MAX_COST_EXCEEDED": Resolution.REJECT,
    "BAD_REQUEST": Resolution.REJECT,
    "INVALID_VARIABLE": Resolution.REJECT,
}


class CostBudget:
    """What is known of the vendor's leaky bucket: points now, refill, and what each operation asks for."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._available = 0.0
        self._maximum = 0.0
        self._rate = 0.0
        self._at = 0.0
        self._costs: dict[str, float] = {}

    def note(self, name: str, extensions: Any) -> None:
        """Learn from the `extensions.cost` of an answer; anything else is ignored."""
        cost = extensions.get("cost") if isinstance(extensions, dict) else None
        status = cost.get("throttleStatus") if isinstance(cost, dict) else None
        if not isinstance(cost, dict) or not isinstance(status, dict):
            return
        requested, available = _number(cost.get("requestedQueryCost")), _number(status.get("currentlyAvailable"))
        maximum, rate = _number(status.get("maximumAvailable")), _number(status.get("restoreRate"))
        if requested is None or available is None or maximum is None or rate is None or rate <= 0:
            return
        self._costs[name] = requested
        self._available, self._maximum, self._rate, self._at = available, maximum, rate, self._clock()

    def wait_s(self, name: str) -> float:
        """Seconds until the operation's cost is there; 0 when nothing is known yet."""
        if not self._rate:
            return 0.0
        now = min(self._maximum, self._available + self._rate * (self._clock() - self._at))
        # One point more: the vendor rounds what it tells.
        needed = min(self._costs.get(name, 0.0) + 1.0, self._maximum)
        return max(0.0, (needed - now) / self._rate)


class ShopifyClient:
    """One shop's endpoint. Not for use by several threads at once."""

    def __init__(
        self,
        channel: str,
        *,
        base_url: str,
        access_token: SecretStr,
        api_version: str,
        timeout_s: float,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = channel
        self._path = f"/admin/api/{api_version}/graphql.json"
        self._sleep = sleep
        self._budget = CostBudget(clock)
        self._http = make_client(
            base_url=base_url,
            headers={"x-shopify-access-token": access_token.get_secret_value().strip()},
            timeout_s=timeout_s,
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def run(self, operation: Operation, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The `data` of the answer, whole: an answer with any error in it is a fault.

        Raises ChannelFault. RATE_LIMITED (nothing applied) when points do not come within MAX_WAIT_S.
        """
        waited = self._wait(operation, self._budget.wait_s(operation.name), 0.0)
        # Our clock and the vendor's may disagree about the last points: each refusal waits longer.
        for patience in itertools.count():
            answer = call(
                self._http,
                self._channel,
                "POST",
                self._path,
                writes=operation.writes,
                json={"query": operation.text, "operationName": operation.name, "variables": dict(variables)},
            )
            body = answer.body
            if not isinstance(body, dict):
                self._malformed(operation, "a body that is no object")
            self._budget.note(operation.name, body.get("extensions"))
            codes = _codes(body.get("errors"))
            if codes is None:
                data = body.get("data")
                if not isinstance(data, dict):
                    self._malformed(operation, "no data")
                return data
            if codes[:1] != ["THROTTLED"]:
                raise self._fault(operation, codes)
            waited = self._wait(operation, max(0.1 * 2**patience, self._budget.wait_s(operation.name)), waited)
        raise AssertionError("a wait that never ends")

    def _wait(self, operation: Operation, seconds: float, waited: float) -> float:
        if waited + seconds > MAX_WAIT_S:
            what = f"{operation.name} was throttled"
            raise ChannelFault(self._channel, Resolution.RATE_LIMITED, what, retry_after=seconds, code="THROTTLED")
        if seconds > 0:
            self._sleep(seconds)
        return waited + seconds

    def _fault(self, operation: Operation, codes: list[str]) -> ChannelFault:
        code = codes[0] if codes else ""
        otherwise = Resolution.UNKNOWN if operation.writes else Resolution.RETRY
        resolution = _BY_CODE.get(code, otherwise)
        return ChannelFault(
            self._channel,
            resolution,
            f"{operation.name} answered the error {code or 'without a code'}",
            status=200,
            code=code or None,
        )

    def _malformed(self, operation: Operation, what: str) -> NoReturn:
        resolution = Resolution.UNKNOWN if operation.writes else Resolution.MALFORMED
        raise ChannelFault(self._channel, resolution, f"{operation.name} answered {what}", status=200)


def _codes(errors: Any) -> list[str] | None:
    """The codes of the errors, "" where one has none; None when the answer has no errors.

    An error of validation is a BAD_REQUEST: it came before anything ran. It has a code in camel case
    (`undefinedField`), or none and points into the document and not into the data.
    """
    if not errors:
        return None
    found: list[str] = []
    for error in errors if isinstance(errors, list) else [errors]:
        extensions = error.get("extensions") if isinstance(error, dict) else None
        code = extensions.get("code") if isinstance(extensions, dict) else None
        word = code if isinstance(code, str) and code.replace("_", "").isalnum() and len(code) < 64 else ""
        unnamed = not word and isinstance(error, dict) and "locations" in error and "path" not in error
        if unnamed or word[:1].islower():
            word = "BAD_REQUEST"
        found.append(word)
    return found


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
