"""Goods from suppliers: what is expected, and what arrived."""

from typing import Annotated

from prefect import flow, get_run_logger, task

from adapters.settings import settings
from flows.forms import Actor, Person, csv_field, shown
from tasks.goods.expect import (
    EXPECTED_COLUMNS,
    EXPECTED_OPTIONAL,
    ExpectedReport,
    expect_goods,
)
from tasks.goods.receive import RECEIPT_COLUMNS, RECEIPT_OPTIONAL, ReceiptReport, receive
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Expected = Annotated[
    str,
    csv_field(
        "Expected (CSV)",
        ",".join(EXPECTED_COLUMNS),
        f"; if wanted {', '.join(EXPECTED_OPTIONAL)}. Lines of purchases as they are to be; a smaller quantity gives "
        "up the rest",
        needed=False,
    ),
]
Arrived = Annotated[
    str,
    csv_field(
        "Arrived (CSV)",
        ",".join(RECEIPT_COLUMNS),
        f"; if wanted {', '.join(RECEIPT_OPTIONAL)}. quantity is what is sound",
        needed=False,
    ),
]
Receipt = Annotated[
    str,
    shown(
        "Delivery",
        "Number of the delivery note: the same one again books nothing twice. Needed with Arrived",
        max_length=80,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/-]*$|^$",
    ),
]
Place = Annotated[
    str,
    shown("Location", "Where rows lie that name neither a location nor a purchase", max_length=80),
]


class Blocked(Exception):
    """The gate blocks the whole receipt; nothing was booked."""


@task(task_run_name="expect", **RETRIES)
def expect(csv: str, actor: str) -> ExpectedReport:
    return expect_goods(runtime(), csv, folder=settings().data_dir, actor=actor)


@task(task_run_name="receive", **RETRIES)
def book(csv: str, receipt: str, actor: str, location: str, approved_by: str) -> ReceiptReport:
    return receive(
        runtime(),
        csv,
        receipt=receipt,
        folder=settings().data_dir,
        actor=actor,
        location=location,
        approved_by=approved_by,
    )


@flow(name="receive_goods", flow_run_name=run_name("receive-goods"), log_prints=False)
def receive_goods(
    actor: Person,
    expected: Expected = "",
    arrived: Arrived = "",
    receipt: Receipt = "",
    location: Place = "",
    approved_by: Actor = "",
) -> None:
    """Say what suppliers owe us, book what arrived of it, or both. Damaged and doubtful units are kept apart; an
    unknown SKU, and more than was ordered, are held back and named; the same delivery again changes nothing."""
    if not expected.strip() and not arrived.strip():
        raise ValueError("neither Expected nor Arrived says anything")
    if arrived.strip() and not receipt.strip():
        raise ValueError("Arrived needs the number of its delivery")
    log = get_run_logger()
    if expected.strip():
        lines = expect(expected, actor)
        said = (
            f"{lines.new} lines new, {lines.changed} changed, {lines.repeated} as they were ({lines.units:+} inbound)"
        )
        log.info("expected: %s, %s held back", said, len(lines.held))
        table("goods-expected", lines.held, f"{said}. The table has the {len(lines.held)} rows held back")
    if arrived.strip():
        result = book(arrived, receipt, actor, location, approved_by)
        said = f"{receipt}: {result.rows} rows booked ({result.units} units), {result.repeated} booked before"
        log.info("%s, %s held back", said, len(result.held))
        gate = f". Gate: {result.verdict.summary()}" if result.verdict else ""
        table("goods-received", result.held, f"{said}. The table has the {len(result.held)} rows held back{gate}")
        if result.blocked:
            raise Blocked(f"nothing was booked: {result.verdict.summary() if result.verdict else ''}")
