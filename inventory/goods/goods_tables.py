"""The tables of goods: what is expected and received, what comes back, what is on its way between locations, and what
suppliers say they have. Units are pieces of a SKU."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from inventory.columns import serial, when


class Transfer(SQLModel, table=True):
    """Units that left one location for another; what has not arrived is `in_transit` at the one they go to."""

    __tablename__ = "transfer"
    __table_args__ = (
        CheckConstraint("from_location <> to_location"),
        Index("transfer_open", "expected_by", postgresql_where=sql("closed_at IS NULL")),
    )
    reference: str = Field(primary_key=True)
    from_location: str = Field(foreign_key="location.code")
    to_location: str = Field(foreign_key="location.code")
    actor: str
    reason: str
    sent_at: datetime = when()
    expected_by: datetime = when()
    closed_at: datetime | None = when(nullable=True)
    """When the last unit had arrived or was given up."""


class TransferLine(SQLModel, table=True):
    __tablename__ = "transfer_line"
    __table_args__ = (
        CheckConstraint("sent > 0"),
        CheckConstraint("arrived >= 0 AND damaged >= 0 AND lost >= 0 AND arrived + damaged + lost <= sent"),
    )
    reference: str = Field(primary_key=True, foreign_key="transfer.reference")
    sku: str = Field(primary_key=True, foreign_key="item.sku")
    sent: int
    arrived: int = 0
    """Sound."""
    damaged: int = 0
    lost: int = 0
    """Given up: written off."""


class TransferArrival(SQLModel, table=True):
    """One delivery of a transfer, so that telling of it twice books it once."""

    __tablename__ = "transfer_arrival"
    reference: str = Field(primary_key=True, foreign_key="transfer.reference")
    delivery: str = Field(primary_key=True)
    actor: str
    reason: str
    at: datetime = when()


class PurchaseLine(SQLModel, table=True):
    """Units that a supplier owes us. What of them has not come is `inbound` at the location they are for."""

    __tablename__ = "purchase_line"
    __table_args__ = (
        CheckConstraint("ordered >= received AND received >= 0"),
        Index("purchase_line_open", "sku", postgresql_where=sql("ordered > received")),
    )
    purchase: str = Field(primary_key=True)
    sku: str = Field(primary_key=True, foreign_key="item.sku")
    supplier: str
    location: str = Field(foreign_key="location.code")
    ordered: int
    received: int = 0
    """Of those ordered, in whatever state they came."""
    promised_at: datetime | None = when(nullable=True)
    """When the supplier says they will be here. None: not said."""
    changes: int = 0
    """How often `ordered` was said anew."""
    actor: str
    updated_at: datetime = when()


class ReceiptLine(SQLModel, table=True):
    """A row of a receipt that was booked. A receipt books a SKU of a purchase once a location."""

    __tablename__ = "receipt_line"
    __table_args__ = (
        UniqueConstraint("receipt", "purchase", "sku", "location"),
        CheckConstraint("sound >= 0 AND damaged >= 0 AND quarantined >= 0 AND sound + damaged + quarantined > 0"),
        Index("receipt_line_purchase", "purchase", "sku"),
    )
    id: int | None = serial()
    receipt: str
    """Name of the delivery, as on its note."""
    purchase: str
    """Empty: nobody had ordered it."""
    sku: str = Field(foreign_key="item.sku")
    location: str = Field(foreign_key="location.code")
    sound: int
    damaged: int
    quarantined: int
    over: int = 0
    """Units of these beyond what was ordered; somebody approved them."""
    actor: str
    at: datetime = when()


class ReturnLine(SQLModel, table=True):
    """Units of a SKU that came back in one parcel."""

    __tablename__ = "return_line"
    __table_args__ = (
        CheckConstraint("arrived > 0 AND damaged >= 0 AND damaged <= arrived"),
        CheckConstraint("taken >= 0 AND taken <= arrived AND absorbed >= 0 AND absorbed <= taken"),
        CheckConstraint("waiting >= 0 AND waiting <= arrived"),
        Index("return_line_holder", "holder", postgresql_where=sql("holder <> ''")),
        Index("return_line_waiting", "at", postgresql_where=sql("waiting > 0")),
    )
    parcel: str = Field(primary_key=True)
    """Name of the return: its authorisation or its parcel's number."""
    sku: str = Field(primary_key=True, foreign_key="item.sku")
    holder: str = ""
    """`order:<channel>:<order id>`; empty where nobody knows the sale."""
    location: str = Field(foreign_key="location.code")
    """Where they lie and wait."""
    arrived: int
    damaged: int = 0
    """Of these, visibly damaged at arrival."""
    taken: int = 0
    """Of these, moved when the parcel was opened; of the others the channel had told, and they had moved before."""
    absorbed: int = 0
    """Of the taken, those that the channel told of afterwards: they were not moved a second time."""
    waiting: int = 0
    """Quarantined, not inspected yet."""
    actor: str
    at: datetime = when()


class ReturnInspection(SQLModel, table=True):
    """What an inspection found. A sheet decides on a SKU of a parcel once."""

    __tablename__ = "return_inspection"
    __table_args__ = (
        UniqueConstraint("sheet", "parcel", "sku"),
        CheckConstraint("available >= 0 AND damaged >= 0 AND written_off >= 0"),
        CheckConstraint("available + damaged + written_off > 0"),
    )
    id: int | None = serial()
    sheet: str
    parcel: str
    sku: str
    available: int
    damaged: int
    written_off: int
    actor: str
    at: datetime = when()


class WriteOff(SQLModel, table=True):
    """Units that were written off, once under each name."""

    __tablename__ = "write_off"
    __table_args__ = (UniqueConstraint("reference", "sku", "location", "state"), CheckConstraint("quantity > 0"))
    id: int | None = serial()
    reference: str
    sku: str = Field(foreign_key="item.sku")
    location: str = Field(foreign_key="location.code")
    state: str
    """Where they were: available, damaged or quarantined."""
    quantity: int
    actor: str
    reason: str
    at: datetime = when()


class SupplierFeed(SQLModel, table=True):
    """One reading of a supplier's feed that the gate has judged."""

    __tablename__ = "supplier_feed"
    __table_args__ = (Index("supplier_feed_latest", "supplier", "id"),)
    id: int | None = serial()
    supplier: str
    status: str
    """`applied` or `blocked`."""
    digest: str
    """Of the content, so that the same file again is noticed."""
    as_of: datetime | None = when(nullable=True)
    """The supplier's clock: when these numbers were true."""
    pulled_at: datetime = when()
    rows: int
    known: int
    """Rows whose SKU is ours."""
    held: int
    stocked: int
    """SKUs of which there is more than zero."""
    units: int = Field(sa_column=Column(BigInteger, nullable=False))
    approved_by: str = ""


class SupplierStock(SQLModel, table=True):
    """What a supplier says it has. Never ours, and never sellable by itself: see `inventory.goods.expected_stock`."""

    __tablename__ = "supplier_stock"
    __table_args__ = (CheckConstraint("quantity >= 0"),)
    supplier: str = Field(primary_key=True)
    sku: str = Field(primary_key=True, foreign_key="item.sku", index=True)
    code: str
    """As the supplier calls it."""
    quantity: int = Field(sa_column=Column(BigInteger, nullable=False))
    as_of: datetime = when()
    promised_at: datetime | None = when(nullable=True)
    """When the supplier expects more, or can send these. None: not said."""
    pulled_at: datetime = when()
