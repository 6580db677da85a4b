"""The tables. SQLModel declares them; the hot paths speak SQL to them (ORM is 10 to 27 times slower there).

Units are whole pieces of a SKU unless a name says *listing units* (one listing unit = `units_per_listing`
pieces). Every timestamp is UTC with time zone, handed in by the caller. No table holds personal data.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from inventory.columns import json, serial, when
from inventory.words import OUTSIDE_ACCOUNTS, ChannelMode, WriteMode

_OUTSIDE = ", ".join(f"'{state}'" for state in sorted(OUTSIDE_ACCOUNTS))


class Item(SQLModel, table=True):
    """A thing that is stocked or, when it has components, a bundle."""

    __tablename__ = "item"
    sku: str = Field(primary_key=True)
    title: str = ""
    safety_stock: int = Field(default=0, ge=0)
    """Units never shown anywhere."""
    accuracy_margin: int = Field(default=0, ge=0)
    """Units not shown because the record may be wrong by that much."""
    item_class: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """A word of the seller's own, by which policies are scoped: `fragile`, `high-value`, …"""


class SkuAlias(SQLModel, table=True):
    __tablename__ = "sku_alias"
    alias: str = Field(primary_key=True)
    sku: str = Field(foreign_key="item.sku", index=True)


class BundleComponent(SQLModel, table=True):
    __tablename__ = "bundle_component"
    __table_args__ = (CheckConstraint("quantity > 0"), CheckConstraint("bundle_sku <> component_sku"))
    bundle_sku: str = Field(primary_key=True, foreign_key="item.sku")
    component_sku: str = Field(primary_key=True, foreign_key="item.sku", index=True)
    quantity: int


class Location(SQLModel, table=True):
    __tablename__ = "location"
    code: str = Field(primary_key=True)
    name: str = ""
    priority: int = 0
    """Lower is used first, among locations that equally many channels share."""


class Channel(SQLModel, table=True):
    __tablename__ = "channel"
    __table_args__ = (CheckConstraint("share > 0"),)
    code: str = Field(primary_key=True)
    vendor: str
    mode: str = Field(default=ChannelMode.SHADOW)
    write_mode: str = Field(default=WriteMode.ABSOLUTE)
    share: int = 1
    """Weight of this channel when scarce stock is split."""
    settle_seconds: float = 600
    """An order is visible to a pull at most this long after it was placed."""
    in_doubt_seconds: float = 600
    """A write whose answer never came is applied within this time, or never."""
    overlap_seconds: float = 600
    """How far each pull reaches back behind the watermark."""
    asks_first: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false")})
    """It asks for a hold before each sale, so what it shows is no promise: its listings have no exposure."""
    watermark: datetime | None = when(nullable=True)
    """The channel's clock: all that it changed up to here has been read and stored."""
    placed_watermark: datetime | None = when(nullable=True)
    """The watermark of the last pull that searched by the instant of placing too, where changes hide new orders."""
    pulled_at: datetime | None = when(nullable=True)
    """Our clock: start of the last complete pull."""
    pulls_every: float | None = None
    """Seconds between two complete pulls, as four in five of the last ones were; by it a channel is told to be dark."""
    audited_at: datetime | None = when(nullable=True)
    """Our clock: start of the last complete reading of its catalogue."""
    compared_up_to: int | None = Field(default=None, sa_column=Column(BigInteger))
    """Id of the last inbox event that was compared with the notices (see `inventory.orders.notice_gaps`)."""


class ChannelLocation(SQLModel, table=True):
    """A channel may sell what lies at these locations."""

    __tablename__ = "channel_location"
    channel: str = Field(primary_key=True, foreign_key="channel.code")
    location: str = Field(primary_key=True, foreign_key="location.code")


class Listing(SQLModel, table=True):
    """One SKU or bundle as one channel sells it. Quantities here are listing units."""

    __tablename__ = "listing"
    __table_args__ = (
        UniqueConstraint("channel", "ref"),
        CheckConstraint("units_per_listing > 0"),
        CheckConstraint("exposure >= 0"),
        CheckConstraint("settling >= 0"),
        Index("listing_settling", "channel", postgresql_where=sql("settling IS NOT NULL")),
    )
    id: int | None = serial()
    channel: str = Field(foreign_key="channel.code")
    ref: str
    sku: str = Field(foreign_key="item.sku", index=True)
    units_per_listing: int = 1
    mapped_at: datetime | None = when(nullable=True)
    """When it was said to be this SKU. None: since the ledger was set up."""
    cap: int | None = None
    tracked: bool = True
    exposure: int | None = None
    """Upper bound of what the channel has sold unseen plus what it may still sell. None: never read."""
    settling: int | None = None
    """The exposure once every order placed before `settling_since` has been read (see
    `inventory.publishing.exposure`)."""
    settling_since: datetime | None = when(nullable=True)
    observed: int | None = None
    observed_at: datetime | None = when(nullable=True)
    fall: int = Field(default=0, sa_column_kwargs={"server_default": sql("0")})
    """What the last lowering takes off the exposure, once the number was seen."""
    put_back_at: datetime | None = when(nullable=True)
    """When units that the channel has put back on its own counter were last added to the exposure."""
    published: int | None = None
    published_at: datetime | None = when(nullable=True)
    confirmed: int | None = None
    confirmed_at: datetime | None = when(nullable=True)
    unconfirmed_until: datetime | None = when(nullable=True)
    """A write is on its way or in doubt; until then nothing else is written and nothing observed is believed."""
    held_since: datetime | None = when(nullable=True)
    """The gate has been holding this listing's number back since then."""
    disputed_since: datetime | None = when(nullable=True)
    """Somebody else changes its number back: until a person decides it is written to only where units that do not
    exist are on sale."""


class Balance(SQLModel, table=True):
    __tablename__ = "balance"
    __table_args__ = (CheckConstraint(f"quantity >= 0 OR state IN ({_OUTSIDE})", name="balance_never_negative"),)
    sku: str = Field(primary_key=True, foreign_key="item.sku")
    location: str = Field(primary_key=True, foreign_key="location.code")
    state: str = Field(primary_key=True)
    quantity: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class Movement(SQLModel, table=True):
    """The journal. Append-only: the database refuses UPDATE, DELETE and TRUNCATE."""

    __tablename__ = "movement"
    __table_args__ = (
        CheckConstraint("quantity > 0"),
        CheckConstraint("from_state <> to_state OR location <> to_location", name="movement_goes_somewhere"),
        Index("movement_sku", "sku", "id"),
        # In the order in which rows are added, so a few pages tell where a time begins.
        Index("movement_recorded", "recorded_at", postgresql_using="brin"),
    )
    id: int | None = serial()
    sku: str
    location: str
    to_location: str
    from_state: str
    to_state: str
    quantity: int = Field(sa_column=Column(BigInteger, nullable=False))
    reason: str
    source: str
    """The system that caused it: a channel's code, a flow, `operator`."""
    actor: str = ""
    reference: str = ""
    event_key: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    """Made by the caller from the event, so that repeating the event repeats the key."""
    occurred_at: datetime = when()
    recorded_at: datetime = when()


class Reservation(SQLModel, table=True):
    """Who holds units: an order or a hold. `live` holds; every other status is terminal."""

    __tablename__ = "reservation"
    __table_args__ = (
        Index("reservation_expiry", "expires_at", postgresql_where=sql("status = 'live' AND expires_at IS NOT NULL")),
        Index("reservation_unsynced", "recorded_at", postgresql_where=sql("synced_at IS NULL AND kind = 'order'")),
        Index("reservation_placed", "channel", "placed_at", postgresql_where=sql("kind = 'order'")),
    )
    holder: str = Field(primary_key=True)
    """`order:<channel>:<order id>` or `hold:<channel>:<idempotency key>`."""
    kind: str
    channel: str
    status: str
    placed_at: datetime = when()
    updated_at: datetime = when()
    recorded_at: datetime = when()
    expires_at: datetime | None = when(nullable=True)
    ended_at: datetime | None = when(nullable=True)
    synced_at: datetime | None = when(nullable=True)
    """When every other channel showed a confirmed number that knows of this order."""
    fingerprint: str = ""
    """What was asked, so that a key used again for something else is noticed."""
    outcome: list[Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    """Of a hold: [units held, units free, known] of each line of the fingerprint, where it is not all that was
    asked."""
    order_id: str | None = None
    """Of a hold: the channel's order that it was committed for."""


class ReservationLine(SQLModel, table=True):
    """Units of one SKU held for one holder at one location. Oversold units lie nowhere: location ''."""

    __tablename__ = "reservation_line"
    __table_args__ = (
        CheckConstraint("held >= 0 AND oversold >= 0"),
        CheckConstraint("allocated >= 0 AND allocated <= held AND sent >= 0 AND early >= 0", name="line_adds_up"),
        Index("reservation_line_oversold", "sku", postgresql_where=sql("oversold > 0")),
        Index("reservation_line_unsynced", "sku", postgresql_where=sql("NOT synced")),
    )
    holder: str = Field(primary_key=True, foreign_key="reservation.holder")
    sku: str = Field(primary_key=True)
    location: str = Field(primary_key=True)
    held: int = 0
    """Real units, in the balance `reserved` (or `allocated`)."""
    oversold: int = 0
    """Units the channel sold that did not exist. In no balance."""
    synced: bool = False
    """Every other channel has confirmed a number that knows of this line."""
    allocated: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """Of `held`, the units that are routed: they are in the balance `allocated`, the others in `reserved`."""
    sent: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """Units that left from this location for this holder and have not come back."""
    early: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """At location '': units that a parcel brought back before their shipment was posted or their return told."""


class OrderLine(SQLModel, table=True):
    """What a channel sold, as it counts it: the record that reversals are matched against."""

    __tablename__ = "order_line"
    __table_args__ = (
        CheckConstraint("reversed <= quantity AND reversed >= 0"),
        CheckConstraint(
            "sent_back >= 0 AND sent_back <= least(reversed, shipped) AND shipped + reversed - sent_back <= quantity",
            name="order_line_adds_up",
        ),
    )
    holder: str = Field(primary_key=True, foreign_key="reservation.holder")
    line_id: str = Field(primary_key=True)
    listing_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    sku: str
    components: dict[str, int] = json()
    """Pieces of each SKU in one listing unit, as they were when it was sold."""
    quantity: int
    reversed: int = 0
    shipped: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """Listing units that have left, those included that were reversed since. It never shrinks by a return."""
    sent_back: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """Of `reversed`, the listing units that had left before."""


class Reversal(SQLModel, table=True):
    """A cancellation, refund or return. `applied` < `quantity` means part of it had nothing to reverse."""

    __tablename__ = "reversal"
    __table_args__ = (Index("reversal_waiting", "holder", postgresql_where=sql("status = 'unmatched'")),)
    channel: str = Field(primary_key=True)
    reversal_id: str = Field(primary_key=True)
    holder: str
    line_id: str
    quantity: int
    applied: int = 0
    kind: str
    reason: str
    restocked: bool | None = None
    status: str = "applied"
    occurred_at: datetime = when()
    recorded_at: datetime = when()
