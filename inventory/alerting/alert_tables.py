"""The tables of alerts: what each target was told of each incident, the messages on their way, and who is alive."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from inventory.columns import serial, when


class Alert(SQLModel, table=True):
    """What one target knows of one incident."""

    __tablename__ = "alert"
    __table_args__ = (Index("alert_unclosed", "incident_id", postgresql_where=sql("closed_at IS NULL")),)
    incident_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    target: str = Field(primary_key=True)
    level: int = 0
    """How often it was escalated: 0 is its owner's business alone."""
    planned_at: datetime = when()
    """When the last message about it was written."""
    delivered_at: datetime | None = when(nullable=True)
    """When a message about it last arrived. None: the target knows nothing of it yet."""
    closed_at: datetime | None = when(nullable=True)
    """When its end was noted; a target that had been told gets a message of it."""


class AlertMessage(SQLModel, table=True):
    """A message to one target, written in the transaction that decided on it and sent afterwards. Its text is made
    when it is sent, from what is true then."""

    __tablename__ = "alert_message"
    __table_args__ = (
        UniqueConstraint("dedupe_key", name="alert_message_once"),
        Index("alert_message_waiting", "target", "id", postgresql_where=sql("status = 'waiting'")),
    )
    id: int | None = serial()
    target: str
    occasion: str
    kind: str
    incident_ids: list[int] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    dedupe_key: str
    """Target, occasion, incidents and levels: deciding twice writes once."""
    status: str = "waiting"
    created_at: datetime = when()
    due_at: datetime = when()
    """Not to be sent before."""
    lease_until: datetime | None = when(nullable=True)
    lease_owner: str | None = None
    tries: int = 0
    """How often it was taken up. More than one and no error: an earlier answer never came."""
    error: str = ""
    """What the target said last; holds no address and no secret."""
    sent_at: datetime | None = when(nullable=True)


class Heartbeat(SQLModel, table=True):
    """A part that says by itself that it is alive. Gone when the part ended as it should."""

    __tablename__ = "heartbeat"
    part: str = Field(primary_key=True)
    instance: str = Field(primary_key=True)
    """Which of several processes, as host:pid."""
    at: datetime = when()
    due_at: datetime = when()
    """By then it means to have said so again."""
    detail: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=sql("'{}'"))
    )
