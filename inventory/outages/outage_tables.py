"""The tables of outages: what went wrong lately, how each source is, and what was done about it."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from inventory.columns import json, serial, when


class ChannelFault(SQLModel, table=True):
    """Calls of one kind that failed in one way. Cleared by the next one that succeeds; nothing is written while all
    is well."""

    __tablename__ = "channel_fault"
    channel: str = Field(primary_key=True, foreign_key="channel.code")
    call: str = Field(primary_key=True)
    """pull, read or write."""
    resolution: str = Field(primary_key=True)
    """Its class, as the adapters name it (`adapters.http.Resolution`)."""
    times: int
    """In a row."""
    first_at: datetime = when()
    last_at: datetime = when()
    cleared_at: datetime | None = when(nullable=True)


class SourceHealth(SQLModel, table=True):
    """How a channel, a location or a supplier is now (`inventory.outages.source_health`)."""

    __tablename__ = "source_health"
    __table_args__ = (CheckConstraint("percent BETWEEN 0 AND 100"),)
    kind: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    state: str
    since: datetime = when()
    cause: str = ""
    good_since: datetime | None = when(nullable=True)
    """Nothing was wrong from then on. None: something is."""
    stage: int = 0
    """Of a channel that recovers: the stage of its raise."""
    stage_at: datetime | None = when(nullable=True)
    percent: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """Of a location: so much of what is available there is not shown, because nobody has confirmed it for long."""
    looked_at: datetime = when()


class HealthChange(SQLModel, table=True):
    """The history of those states. Append-only by habit."""

    __tablename__ = "health_change"
    __table_args__ = (Index("health_change_subject", "kind", "subject", "id"),)
    id: int | None = serial()
    kind: str
    subject: str
    before: str
    after: str
    cause: str
    evidence: dict[str, Any] = json()
    at: datetime = when()


class FallbackStep(SQLModel, table=True):
    """Something that the ladder did for a channel in trouble. While open, hide, throttle and raise are limits."""

    __tablename__ = "fallback_step"
    __table_args__ = (
        Index(
            "fallback_step_open", "channel", "step", "on_channel", "sku",
            unique=True, postgresql_where=sql("ended_at IS NULL"),
        ),
        CheckConstraint("percent BETWEEN 0 AND 100"),
    )  # fmt: skip
    id: int | None = serial()
    channel: str = Field(foreign_key="channel.code")
    """The one in trouble."""
    step: str
    on_channel: str = Field(foreign_key="channel.code")
    """Where it limits something."""
    sku: str = ""
    """Empty: everything that is listed there."""
    percent: int
    """Of what is sellable may so much be shown; hide: 0."""
    cause: str
    risk_before: float
    risk_after: float
    began_at: datetime = when()
    ended_at: datetime | None = when(nullable=True)


class LocationReading(SQLModel, table=True):
    """When a location's own system last said what lies there, and how often it does."""

    __tablename__ = "location_reading"
    location: str = Field(primary_key=True, foreign_key="location.code")
    taken_at: datetime = when()
    """Of the newest snapshot that was believed."""
    every_seconds: float | None = None
    """Between two of them. None: there was only one."""
