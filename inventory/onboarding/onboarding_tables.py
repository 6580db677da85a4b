"""The tables of onboarding: changes of a channel's mode, findings of catalogue audits, opening stock."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from inventory.columns import serial, when


class ChannelChange(SQLModel, table=True):
    """A person set a channel's mode. Append-only by habit: nothing here updates or deletes."""

    __tablename__ = "channel_change"
    __table_args__ = (Index("channel_change_channel", "channel", "id"),)
    id: int | None = serial()
    channel: str = Field(foreign_key="channel.code")
    at: datetime = when()
    actor: str
    reason: str
    from_mode: str
    to_mode: str


class CatalogueFinding(SQLModel, table=True):
    """What is wrong with one listing at its channel. Open until an audit no longer finds it."""

    __tablename__ = "catalogue_finding"
    __table_args__ = (
        Index(
            "catalogue_finding_open", "channel", "kind", "listing_ref", unique=True,
            postgresql_where=sql("status = 'open'"),
        ),
    )  # fmt: skip
    id: int | None = serial()
    channel: str
    kind: str
    severity: str
    listing_ref: str
    sku: str
    """As the channel writes it."""
    message: str
    advice: str
    suggestion: str = ""
    """Our SKU, where the channel's own clearly means it."""
    status: str = "open"
    opened_at: datetime = when()
    last_seen_at: datetime = when()
    resolved_at: datetime | None = when(nullable=True)
    times: int = 1


class OpeningBalance(SQLModel, table=True):
    """A row of opening stock, or of its correction, that was posted. A reference is posted once a SKU and location."""

    __tablename__ = "opening_balance"
    __table_args__ = (UniqueConstraint("reference", "sku", "location"), CheckConstraint("quantity >= 0"))
    id: int | None = serial()
    reference: str
    """`opening`, or the name of a correction."""
    sku: str = Field(foreign_key="item.sku", index=True)
    location: str = Field(foreign_key="location.code")
    quantity: int = Field(sa_column=Column(BigInteger, nullable=False))
    """Units that were said to be there."""
    posted: int = Field(sa_column=Column(BigInteger, nullable=False))
    """Units by which the balance changed."""
    actor: str
    reason: str
    at: datetime = when()
