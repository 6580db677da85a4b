"""What goes wrong in a sandbox shop, and when: a plan that the shop consults at each call."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    THROTTLE = "throttle"
    """Refused as too fast, in the vendor's own way. Not applied."""
    ERROR_BEFORE = "error_before"
    """A 5xx; not applied."""
    ERROR_AFTER = "error_after"
    """Applied, then a 5xx."""
    TIMEOUT_BEFORE = "timeout_before"
    """Hangs for `delay_s`; not applied."""
    TIMEOUT_AFTER = "timeout_after"
    """Applied, then hangs for `delay_s`."""
    MALFORMED = "malformed"
    """Applied; the JSON of the answer is cut short."""
    HTML = "html"
    """A page of HTML with status 200, as a proxy sends it; not applied."""
    REPEAT = "repeat"
    """The previous page of orders once more."""
    LATE = "late"
    """A new order becomes visible to the API only `delay_s` after it was placed."""
    SLOW = "slow"
    """Waits `delay_s`, then applies and answers. Longer than the client's time-out: applied after
    the client gave up."""


class Operation(StrEnum):
    ORDERS = "orders"
    READ = "read"
    WRITE = "write"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of trouble. Times are seconds since the plan was set; `times` None = no limit."""

    kind: FaultKind
    operation: Operation = Operation.ANY
    probability: float = 1.0
    times: int | None = None
    from_s: float = 0.0
    until_s: float | None = None
    delay_s: float = 5.0

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Fault":
        """Raises ValueError or TypeError when the values make no fault."""
        values = dict(raw)
        kind = FaultKind(values.pop("kind"))
        fault = cls(kind, Operation(values.pop("operation", Operation.ANY)), **values)
        if not 0.0 <= fault.probability <= 1.0 or fault.delay_s < 0:
            raise ValueError("probability is from 0 to 1, delay_s is not negative")
        return fault

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class FaultPlan:
    """Faults by seed and clock. Thread safe. `counts` says how often each kind struck."""

    def __init__(
        self, faults: Sequence[Fault] = (), *, seed: int = 0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._now = now
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose, protects nothing
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.replace(faults)

    def replace(self, faults: Sequence[Fault]) -> None:
        """Start the clock again with these faults. The counts go on."""
        with self._lock:
            self._faults = tuple(faults)
            self._left = [fault.times for fault in self._faults]
            self._started = self._now()

    def draw(self, operation: Operation) -> Fault | None:
        """The fault that strikes this call, or None. LATE never strikes a call: see `lateness`."""
        return self._strike(lambda f: f.kind is not FaultKind.LATE and f.operation in (operation, Operation.ANY))

    def lateness(self) -> float:
        """For how many seconds an order that is placed now stays hidden from the API."""
        fault = self._strike(lambda f: f.kind is FaultKind.LATE)
        return fault.delay_s if fault else 0.0

    def faults(self) -> list[Fault]:
        return list(self._faults)

    def _strike(self, wanted: Callable[[Fault], bool]) -> Fault | None:
        with self._lock:
            elapsed = self._now() - self._started
            for index, fault in enumerate(self._faults):
                if not wanted(fault) or not self._open(index, elapsed):
                    continue
                if fault.probability < 1.0 and self._random.random() >= fault.probability:
                    continue
                left = self._left[index]
                self._left[index] = None if left is None else left - 1
                self.counts[fault.kind.value] += 1
                return fault
        return None

    def _open(self, index: int, elapsed: float) -> bool:
        fault, left = self._faults[index], self._left[index]
        if left is not None and left <= 0:
            return False
        return fault.from_s <= elapsed and (fault.until_s is None or elapsed < fault.until_s)
