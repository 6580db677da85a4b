"""The tables of what comes in and goes out: events, notices, pushes, verdicts, and what a person must look at."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from inventory.columns import json, serial, when
from inventory.words import Comparison, Drift, InboxStatus, NoticeStatus, Severity


class InboxEvent(SQLModel, table=True):
    """Every event received, stored before it is acknowledged."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("channel", "event_id"),
        Index("inbox_pending", "channel", "id", postgresql_where=sql("status = 'pending'")),
    )
    id: int | None = serial()
    channel: str
    event_id: str
    payload: dict[str, Any] = json()
    received_at: datetime = when()
    status: str = Field(default=InboxStatus.PENDING)
    lease_until: datetime | None = when(nullable=True)
    lease_owner: str | None = None
    applied_at: datetime | None = when(nullable=True)


class Notice(SQLModel, table=True):
    """A channel said that an order changed (webhook, queue). Stored before it is acknowledged; the order itself is
    then read from the channel, so a notice can be forged, doubled or late without doing harm."""

    __tablename__ = "notice"
    __table_args__ = (
        UniqueConstraint("channel", "event_id", "order_id", "listing_ref"),
        Index("notice_pending", "channel", "id", postgresql_where=sql("status = 'pending'")),
        Index("notice_order", "channel", "order_id", "received_at"),
        Index("notice_received", "channel", "received_at"),
    )
    id: int | None = serial()
    channel: str
    event_id: str
    """The vendor's id of the message, the same when it is delivered again."""
    topic: str
    order_id: str
    """As `read_orders` takes it; empty where the notice does not say which."""
    listing_ref: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """Of a notice about a listing's quantity; empty otherwise."""
    received_at: datetime = when()
    status: str = Field(default=NoticeStatus.PENDING)
    tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """How often the channel was asked and did not show the order."""
    due_at: datetime | None = when(nullable=True)
    """Not to be taken up before. None: at once."""
    lease_until: datetime | None = when(nullable=True)
    lease_owner: str | None = None
    applied_at: datetime | None = when(nullable=True)


class IntakeCount(SQLModel, table=True):
    """What arrived at the webhook intake, by hour: accepted, repeated, and each reason of refusal."""

    __tablename__ = "intake_count"
    channel: str = Field(primary_key=True)
    hour: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    outcome: str = Field(primary_key=True)
    times: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class OutboxEntry(SQLModel, table=True):
    """A SKU whose listings must be computed again. Many movements, one pending entry."""

    __tablename__ = "outbox"
    sku: str = Field(primary_key=True)
    eager: bool = Field(default=True, sa_column_kwargs={"server_default": sql("true")})
    """Stock changed. False: only how it is divided may, which waits for all that did."""
    generation: int = Field(default=1, sa_column=Column(BigInteger, nullable=False))
    dirty_at: datetime = when()
    due_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, index=True))
    lease_until: datetime | None = when(nullable=True)
    lease_owner: str | None = None


class Publication(SQLModel, table=True):
    """Each number sent, why it was that number, and what became of it."""

    __tablename__ = "publication"
    __table_args__ = (
        Index("publication_listing", "listing_id", "id"),
        Index("publication_open", "channel", postgresql_where=sql("status = 'sent'")),
        # In the order in which rows are added, so a few pages tell where a day begins.
        Index("publication_sent", "sent_at", postgresql_using="brin"),
    )
    id: int | None = serial()
    listing_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    channel: str
    sku: str
    quantity: int
    expected: int | None = None
    growth: int = 0
    """Listing units by which the exposure grew when this was sent."""
    status: str
    inputs: dict[str, Any] = json()
    policy_version: str
    gate_run_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    key: str
    reason: str = ""
    sent_at: datetime = when()
    answered_at: datetime | None = when(nullable=True)
    read_back: int | None = None
    """What the channel showed when it was read after the answer."""
    confirmed_at: datetime | None = when(nullable=True)


class GateRun(SQLModel, table=True):
    __tablename__ = "gate_run"
    id: int | None = serial()
    suite: str
    channel: str
    status: str
    rows: int
    failed_rows: int
    findings: dict[str, Any] = json()
    duration_ms: float
    ran_at: datetime = when()


class QuarantinedRow(SQLModel, table=True):
    """A row the gate held back. Released by a person or by a later, sound version of the same row."""

    __tablename__ = "quarantined_row"
    __table_args__ = (UniqueConstraint("suite", "row_key", name="quarantined_row_once"),)
    id: int | None = serial()
    suite: str
    channel: str
    row_key: str
    rules: str
    reason: str
    inbox_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    listing_ref: str | None = None
    """The listing it is about, where the row says. None: it may be any of the channel's."""
    status: str = "open"
    first_at: datetime = when()
    last_at: datetime = when()
    times: int = 1


class Incident(SQLModel, table=True):
    __tablename__ = "incident"
    __table_args__ = (Index("incident_open", "kind", "subject", unique=True, postgresql_where=sql("status = 'open'")),)
    id: int | None = serial()
    kind: str
    severity: str
    subject: str
    """What it is about: a SKU, a channel, an order. One open incident a kind and subject."""
    message: str
    detail: dict[str, Any] = json()
    status: str = "open"
    times: int = 1
    first_at: datetime = when()
    last_at: datetime = when()


def _words() -> Any:
    return Field(default="", sa_column_kwargs={"server_default": ""})


class Discrepancy(SQLModel, table=True):
    """The ledger and something else (a channel's number or orders, a warehouse's count, itself) do not agree."""

    __tablename__ = "discrepancy"
    __table_args__ = (
        Index("discrepancy_open", "listing_id", unique=True, postgresql_where=sql("status = 'open'")),
        Index(
            "discrepancy_subject", "comparison", "subject", unique=True,
            postgresql_where=sql("status = 'open' AND subject <> ''"),
        ),
        Index("discrepancy_opened", "opened_at"),
    )  # fmt: skip
    id: int | None = serial()
    listing_id: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    """Of a listing's quantity; else none."""
    comparison: str = Field(default=Comparison.QUANTITIES, sa_column_kwargs={"server_default": "quantities"})
    drift: str = Field(default=Drift.QUANTITY, sa_column_kwargs={"server_default": "quantity"})
    subject: str = _words()
    """What it is about; one open discrepancy a comparison and subject."""
    channel: str
    """Empty where it is about no channel."""
    location: str = _words()
    sku: str
    kind: str
    """A `DiscrepancyClass`."""
    severity: str = Field(default=Severity.WARNING, sa_column_kwargs={"server_default": "warning"})
    """Grows with age (`inventory.reconciling.discrepancies`)."""
    expected: int = Field(sa_column=Column(BigInteger, nullable=False))
    observed: int = Field(sa_column=Column(BigInteger, nullable=False))
    message: str = _words()
    status: str = "open"
    resolution: str = _words()
    actor: str = _words()
    """Who resolved it, if a person did, and why."""
    reason: str = _words()
    opened_at: datetime = when()
    last_seen_at: datetime = when()
    healing_since: datetime | None = when(nullable=True)
    """What policy does about it was begun then."""
    resolved_at: datetime | None = when(nullable=True)
    times: int = 1
