"""Shipments: what was routed to a location, and what has left the building."""

from typing import Annotated

from prefect import flow, get_run_logger, task

from adapters.settings import settings
from flows.forms import Actor, Person, csv_field, shown
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.selling.ship import COLUMNS, OPTIONAL, ShipmentReport, ship
from tasks.shift import run_name

Sent = Annotated[
    str,
    csv_field(
        "Shipments (CSV)",
        ",".join(COLUMNS),
        f"; if wanted {', '.join(OPTIONAL)}. step is ship (also where it is empty) or allocate",
    ),
]
Name = Annotated[
    str,
    shown(
        "Shipment",
        "Name of the shipment, or of the table, where a row has none: the same one again posts nothing twice",
        max_length=80,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/-]*$|^$",
    ),
]
Place = Annotated[
    str,
    shown("Location", "Where units lay whose row names none; empty: where they are held for the order", max_length=80),
]


class Blocked(Exception):
    """The gate blocks the whole table; nothing was posted."""


@task(task_run_name="post-shipments", **RETRIES)
def post(csv: str, shipment: str, actor: str, location: str, approved_by: str) -> ShipmentReport:
    return ship(
        runtime(),
        csv,
        folder=settings().data_dir,
        actor=actor,
        shipment=shipment,
        location=location,
        approved_by=approved_by,
    )


@flow(name="post_shipments", flow_run_name=run_name("post-shipments"), log_prints=False)
def post_shipments(
    actor: Person, shipments: Sent, shipment: Name = "", location: Place = "", approved_by: Actor = ""
) -> None:
    """Post what was routed (allocate) or has left (ship), for each order and SKU, in parts as they go. Never more
    leaves than an order holds: an unknown order, too much, and a cancelled line are held back and named."""
    result = post(shipments, shipment, actor, location, approved_by)
    said = (
        f"{result.units} units in {result.rows} rows posted, {result.moved} pieces moved by it, "
        f"{result.repeated} rows known"
    )
    get_run_logger().info("%s, %s held back", said, len(result.held))
    gate = f". Gate: {result.verdict.summary()}" if result.verdict else ""
    table("shipments-posted", result.held, f"{said}. The table has the {len(result.held)} rows held back{gate}")
    if result.blocked:
        raise Blocked(f"nothing was posted: {result.verdict.summary() if result.verdict else ''}")
