"""A person approves or rejects the variances that are too large to be posted without one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from adapters.count_csv import harmless
from adapters.database import in_transaction, unit_of_work
from adapters.wakeups import PUBLISH, wake
from inventory.counting.counting import CountPolicy, worth
from inventory.counting.counting_record import Judged, decide_by_person
from inventory.counting.counting_sheets import awaiting
from inventory.people.raci import Action, Raci, check_may
from tasks.runtime import Runtime


@dataclass(slots=True)
class DecisionReport:
    decided: list[Judged] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    """{number: why not}"""


def decide_counts(
    runtime: Runtime,
    numbers: Sequence[int],
    *,
    raci: Raci,
    approve: bool,
    actor: str,
    reason: str,
    policy: CountPolicy,
) -> DecisionReport:
    """Each of these counts that waits for approval; the others are named. A second time changes nothing. Raises
    NotAllowed."""
    check_may(raci, Action.APPROVE_COUNTS, actor)

    def work(connection: Connection) -> DecisionReport:
        decided, refused = decide_by_person(
            connection, set(numbers), approve=approve, actor=" ".join(actor.split()), reason=reason.strip(),
            policy=policy, now=runtime.now(),
        )  # fmt: skip
        return DecisionReport(decided, refused)

    report = in_transaction(runtime.engine, work)
    if any(one.posted for one in report.decided):
        wake(runtime.engine, PUBLISH)
    return report


def waiting_rows(runtime: Runtime, policy: CountPolicy) -> list[dict[str, Any]]:
    """What waits for a person, the dearest first."""
    with unit_of_work(runtime.engine) as connection:
        found = awaiting(connection)
    return [
        {
            "number": one.bin_count,
            "SKU": harmless(one.sku),
            "location": harmless(one.location),
            "ledger": one.expected,
            "difference": one.variance,
            "value": f"{worth(abs(one.variance), one.unit_cost, policy):.2f}",
            "counted": harmless(one.counted),
            "since": f"{one.since:%Y-%m-%d %H:%M}",
            "why": one.why,
        }
        for one in found
    ]
