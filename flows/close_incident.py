"""A person closes an incident that nothing closes by itself, with name and reason."""

from typing import Annotated

from prefect import flow, get_run_logger, task
from pydantic import Field

from flows.forms import Person, Reason, shown
from inventory.words import IncidentKind
from tasks.close import close
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Kind = Annotated[
    str,
    Field(
        json_schema_extra={
            "title": "Kind",
            "description": "As in the alert's runbook",
            "enum": [kind.value for kind in IncidentKind],
        }
    ),
]
Subject = Annotated[
    str,
    shown("Subject", "As in the alert: a SKU, a channel, an order, …", min_length=1, max_length=300, pattern=r"\S"),
]


@task(task_run_name="close-{kind}", **RETRIES)
def close_one(kind: str, subject: str, actor: str, reason: str) -> list[dict[str, object]]:
    return close(runtime(), IncidentKind(kind), subject, actor=actor, reason=reason)


@flow(name="close_incident", flow_run_name=run_name("close-{kind}"), log_prints=False)
def close_incident(kind: Kind, subject: Subject, actor: Person, reason: Reason) -> None:
    """It opens again by itself if its cause is still there. Fails when there is no such open incident."""
    closed = close_one(kind, subject, actor, reason)
    get_run_logger().info("closed %s", subject)
    table("closed-incidents", closed, "The incident as it was when it was closed")
