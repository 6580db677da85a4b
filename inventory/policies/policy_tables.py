"""The tables of the policies: what is in force, what was learned of demand, how channels are read, what is exposed."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from inventory.columns import json, serial, when


class PolicyVersion(SQLModel, table=True):
    """A policy file that came in force. The newest is in force; without any it is `strict` for all."""

    __tablename__ = "policy_version"
    version: int | None = serial()
    content_hash: str
    """SHA-256 of the text, 64 hex digits."""
    content: str
    """The TOML as it was given."""
    actor: str
    reason: str
    in_force_at: datetime = when()
    looked_at: datetime = when()
    """Promotions that began or ended up to here have been published."""


class LearnedMarket(SQLModel, table=True):
    """What was learned of demand over all SKUs. The newest counts; `learned_demand` belongs to it."""

    __tablename__ = "learned_market"
    id: int | None = serial()
    learned_at: datetime = when()
    order_lines: int
    days: int
    """From the first order line to the last."""
    facts: dict[str, Any] = json()
    """`hours`, `weekday`, `sizes` and the `prior` of a SKU of which nothing is known (see
    `inventory.policies.learned`)."""


class LearnedDemand(SQLModel, table=True):
    __tablename__ = "learned_demand"
    sku: str = Field(primary_key=True)
    rates: dict[str, Any] = json()
    """{channel: order lines on a trading day of average strength}"""
    shape: float
    """Of the gamma distribution of the rate: the larger, the better known."""
    size_class: int


class ChannelLag(SQLModel, table=True):
    """How long it took lately from an order on this channel until all others showed a number that knows of it."""

    __tablename__ = "channel_lag"
    channel: str = Field(primary_key=True, foreign_key="channel.code")
    seconds: float
    """Nineteen in twenty orders took no longer."""
    orders: int
    """Measured on so many; 0: none, it is what the intervals of its pulls suggest."""
    measured_at: datetime = when()


class ChannelOutage(SQLModel, table=True):
    """A channel that could not be read for longer than its own interval: it is dark until a complete pull."""

    __tablename__ = "channel_outage"
    __table_args__ = (Index("channel_outage_open", "channel", unique=True, postgresql_where=sql("ended_at IS NULL")),)
    id: int | None = serial()
    channel: str = Field(foreign_key="channel.code")
    began_at: datetime = when()
    """Start of the last complete pull before it: all that was sold up to here is known."""
    noticed_at: datetime = when()
    planned_seconds: float
    """How long it was expected to last, by earlier ones of this channel."""
    mark_at: datetime = when()
    """When the others are to give up more if it still lasts."""
    ended_at: datetime | None = when(nullable=True)
    """Start of the complete pull that ended it."""


class PoolKept(SQLModel, table=True):
    """Pieces that policies keep from the channels that ask first. No row: what the others may sell (their exposure)."""

    __tablename__ = "pool_kept"
    __table_args__ = (CheckConstraint("pieces >= 0 AND safety >= 0"),)
    sku: str = Field(primary_key=True, foreign_key="item.sku")
    pieces: int | None = None
    """Instead of the exposure of the others. None: `strict` holds, and it is their exposure."""
    safety: int = 0
    """Besides the item's own safety stock."""


class ExposureSample(SQLModel, table=True):
    """The worst case at one moment, so that the bound can be seen over time."""

    __tablename__ = "exposure_sample"
    __table_args__ = (UniqueConstraint("at"),)
    id: int | None = serial()
    at: datetime = when()
    exposed: int
    """Pieces that all listings together may sell unseen."""
    sellable: int
    beyond: int
    """Of the exposed pieces, those beyond what is sellable of their SKU: the most that could be oversold."""
    oversold: int
    """Pieces that were sold and did not exist, up to now, as the ledger knows it."""
    by_channel: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default="{}")
    )
    """{channel: exposed pieces}"""
