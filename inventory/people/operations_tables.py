"""The tables of what people do from the UI: operations, approvals, pauses of channels, guards of promotions."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from inventory.columns import json, serial, when
from inventory.words import ApprovalStatus, PauseStatus


class Operation(SQLModel, table=True):
    """Somebody did something by hand. Append-only by habit: nothing here updates or deletes."""

    __tablename__ = "operation"
    __table_args__ = (Index("operation_subject", "subject", "id"),)
    id: int | None = serial()
    request_key: str = Field(unique=True)
    """Of the run it was asked for in, so that a run that is repeated is one operation."""
    action: str
    subject: str
    """What it was done to: a SKU, a channel, a promotion."""
    actor: str
    approved_by: str = ""
    reason: str
    detail: dict[str, Any] = json()
    at: datetime = when()


class Approval(SQLModel, table=True):
    """What somebody wants to do above their limit, and who decided. Without a decision in time nothing happens."""

    __tablename__ = "approval"
    __table_args__ = (
        CheckConstraint("lower(trim(decided_by)) <> lower(trim(actor)) OR status <> 'approved'", name="never_by_actor"),
        Index("approval_waiting", "expires_at", postgresql_where=sql("status = 'asked'")),
    )
    id: int | None = serial()
    request_key: str = Field(unique=True)
    action: str
    subject: str
    message: str
    """What would be done, and why it needs somebody else."""
    detail: dict[str, Any] = json()
    actor: str
    reason: str
    status: str = Field(default=ApprovalStatus.ASKED)
    tries: int = 0
    """Answers that did not count, as one of the actor's own."""
    asked_at: datetime = when()
    expires_at: datetime = when()
    decided_at: datetime | None = when(nullable=True)
    decided_by: str = ""
    note: str = ""


class ChannelPause(SQLModel, table=True):
    """A channel was taken off sale, by whom, and what puts it back. It is paused while any of its pauses is open."""

    __tablename__ = "channel_pause"
    __table_args__ = (
        Index("channel_pause_open", "channel", "owner", unique=True, postgresql_where=sql("status <> 'lifted'")),
    )
    id: int | None = serial()
    channel: str = Field(foreign_key="channel.code")
    owner: str
    actor: str
    reason: str
    status: str = Field(default=PauseStatus.TURNING)
    prior: list[Any] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False, server_default=sql("'[]'::jsonb"))
    )
    """The adapter's states before each switch that was turned, oldest first; kept before it was turned."""
    by_switch: bool = False
    """Nothing is sold whatever the quantities show."""
    started_at: datetime = when()
    confirmed_at: datetime | None = when(nullable=True)
    """From then on the channel is known to sell nothing. None: what it shows goes on counting."""
    lifted_at: datetime | None = when(nullable=True)
    lifted_by: str = ""
    lift_reason: str = ""


class PromotionGuard(SQLModel, table=True):
    """For the time of a promotion one SKU is kept shorter on one channel, or on all (channel '')."""

    __tablename__ = "promotion_guard"
    __table_args__ = (
        UniqueConstraint("name", "sku", "channel"),
        CheckConstraint("until_at > from_at"),
        CheckConstraint("reserve >= 0 AND (cap IS NULL OR cap >= 0)"),
        CheckConstraint("reserve > 0 OR cap IS NOT NULL OR no_raises", name="promotion_guard_does_something"),
        Index("promotion_guard_open", "sku", postgresql_where=sql("turned <> 'over'")),
    )
    id: int | None = serial()
    name: str
    sku: str = Field(foreign_key="item.sku")
    channel: str = ""
    from_at: datetime = when()
    until_at: datetime = when()
    cap: int | None = None
    """Listing units that the channel shows at most."""
    reserve: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    """Pieces of what is sellable that are not for this channel."""
    no_raises: bool = False
    """What it shows is not raised."""
    turned: str = "waiting"
    """waiting, on, over: which of its turns have been published."""
    actor: str
    reason: str
    created_at: datetime = when()
