"""The benchmarks, one line each, in the order in which they run."""

from dataclasses import dataclass
from importlib import import_module

from benchmarks.figures import Result, Say


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`module.measure(quick, say)` gives its Result; what breaks a promise raises `audit.Violation`."""

    module: str
    title: str
    quick: bool = True
    """Part of the smoke test."""

    def run(self, quick: bool, say: Say) -> Result:
        found = import_module(f"benchmarks.{self.module}").measure(quick, say)
        assert isinstance(found, Result)
        return found


BENCHMARKS = {
    "reservations": Benchmark("reservations", "Durable reservations, beside a bare update and the peers' pattern"),
    "pages": Benchmark("pages", "A pulled page of orders, and the expiry of holds"),
    "api": Benchmark("reservation_api", "The reservation API over loopback HTTP", quick=False),
    "webhooks": Benchmark("webhooks", "A burst of webhooks", quick=False),
    "availability": Benchmark("availability_rows", "Availability, and the numbers of five channels"),
    "reconciliation": Benchmark("reconciliation", "A channel's listings against the ledger", quick=False),
    "gate": Benchmark("gate_rows", "The gate, beside its rules in plain pandas", quick=False),
    "backlog": Benchmark("backlog", "Publishing under backlog, beside the vendor's allowance"),
    "stack": Benchmark("whole_stack", "The whole embedded stack", quick=False),
}
