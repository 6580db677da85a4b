"""Whether somebody may do a thing alone, and what became of asking somebody else. Plain functions; `tasks.approve`
waits for the answer."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from adapters.database import in_transaction
from adapters.raci_file import read_raci
from adapters.settings import settings
from inventory.people import approvals
from inventory.people.approvals import Approval, NotApproved, Wanted, expire_approvals
from inventory.people.raci import Action, Raci, check_may, needs_approval
from inventory.words import ApprovalStatus
from tasks.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants to do. `units` and `value` are held against the limits of the action."""

    action: Action
    subject: str
    message: str
    """What would be done, as a sentence without its full stop."""
    actor: str
    reason: str
    units: int = 0
    value: Decimal | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def the_raci() -> Raci:
    """As the file says now: a change holds from the next run on. Raises RaciError."""
    return read_raci(settings().raci_file)


def ask_if_needed(runtime: Runtime, raci: Raci, request: Request, key: str, *, within: timedelta) -> Approval | None:
    """Whether it may be done, and whether somebody else has to approve it: the request as it stands, None for none.

    Asking again changes nothing. Raises NotAllowed, before anything was written, and NotApproved when what would be
    done is no longer what was asked: a table was replaced, or more rows are meant by now.
    """
    check_may(raci, request.action, request.actor)
    why = needs_approval(raci, request.action, units=request.units, value=request.value)
    now = runtime.now()
    if not why:
        # A limit that was lifted meanwhile does not undo a refusal.
        return in_transaction(runtime.engine, lambda connection: approvals.find(connection, key, now=now))
    wanted = Wanted(
        key,
        request.action,
        request.subject,
        f"{request.message}; {why}; {raci.who(raci.rights[request.action].accountable)} may approve",
        request.actor,
        request.reason,
        now + within,
        {
            **request.detail,
            "units": request.units,
            "value": None if request.value is None else str(request.value),
            "flow_run_id": key,
        },
    )
    approval = in_transaction(runtime.engine, lambda connection: approvals.ask(connection, wanted, now=now))
    if _size(approval.detail) != _size(json.loads(json.dumps(wanted.detail))):
        raise NotApproved(
            f"{request.message}: that is not what somebody was asked to approve. Nothing was changed: begin anew"
        )
    return approval


def _size(detail: dict[str, Any]) -> dict[str, Any]:
    """What is to be done, without what it is worth: a cost may change meanwhile."""
    return {name: value for name, value in detail.items() if name != "value"}


def answer(runtime: Runtime, raci: Raci, key: str, *, approve: bool, by: str, note: str = "") -> tuple[Approval, str]:
    """Take what a person answered. See `approvals.decide`."""
    return in_transaction(
        runtime.engine,
        lambda connection: approvals.decide(
            connection, raci, key, approve=approve, by=by, note=note, now=runtime.now()
        ),
    )


def who_approved(approval: Approval | None) -> str:
    """The approver's name, empty where none was needed. Raises NotApproved for one that was not given."""
    if approval is None:
        return ""
    if approval.status is ApprovalStatus.APPROVED:
        return approval.decided_by
    if approval.status is ApprovalStatus.REFUSED:
        note = f": {approval.note}" if approval.note else ""
        raise NotApproved(f"{approval.decided_by} refused{note}. Nothing was changed")
    raise NotApproved("nobody approved it in time. Nothing was changed")


def expire(runtime: Runtime) -> int:
    """End the requests that nobody decided in time; returns how many."""
    return in_transaction(runtime.engine, lambda connection: expire_approvals(connection, now=runtime.now()))
