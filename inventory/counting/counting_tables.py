"""The tables of cycle counting: what an item is worth, which bins are to be counted, sheets, and what was found.

A *bin* is one SKU at one location. A `BinCount` is one answer to "how many lie there?"; it may take the counts of
several people, each a line of a sheet.
"""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Numeric
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from inventory.columns import serial, when

_UNDECIDED = "status IN ('open', 'recount', 'awaiting_approval')"


class ItemCost(SQLModel, table=True):
    """What one unit costs the seller, in the seller's one currency. An item without a row: unknown."""

    __tablename__ = "item_cost"
    __table_args__ = (CheckConstraint("unit_cost >= 0"),)
    sku: str = Field(primary_key=True, foreign_key="item.sku")
    unit_cost: Decimal = Field(sa_column=Column(Numeric(14, 4), nullable=False))
    set_at: datetime = when()


class CountSheet(SQLModel, table=True):
    """Lines that one person counts at one location in one go."""

    __tablename__ = "count_sheet"
    id: int | None = serial()
    location: str = Field(foreign_key="location.code")
    recount: bool = False
    """Its lines have been counted by somebody else before."""
    created_at: datetime = when()
    created_by: str = ""


class BinCount(SQLModel, table=True):
    """One bin that is, or was, to be counted. At most one undecided a bin."""

    __tablename__ = "bin_count"
    __table_args__ = (
        Index("bin_count_undecided", "sku", "location", unique=True, postgresql_where=sql(_UNDECIDED)),
        Index("bin_count_bin", "sku", "location", "counted_at"),
    )
    id: int | None = serial()
    sku: str = Field(foreign_key="item.sku")
    location: str = Field(foreign_key="location.code")
    causes: str
    """`CountCause`s separated by commas, the strongest first."""
    prompted: bool
    """Picked on evidence or risk. False: its turn alone, so that such counts are a fair sample of the record."""
    abc: str
    score: float
    status: str
    opened_at: datetime = when()
    due_at: datetime = when()
    """To be counted before, so that no bin waits for longer than promised."""
    counted_at: datetime | None = when(nullable=True)
    """When the last of its counts was made."""
    expected: int | None = Field(default=None, sa_column=Column(BigInteger))
    """Units on hand by the ledger at that time."""
    variance: int | None = Field(default=None, sa_column=Column(BigInteger))
    """Units counted less units expected, as it was decided on."""
    posted: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    """Of it, what the ledger took over."""
    unit_cost: Decimal | None = Field(default=None, sa_column=Column(Numeric(14, 4)))
    """When it was decided."""
    decided_at: datetime | None = when(nullable=True)
    decided_by: str = ""
    decision_reason: str = ""


class CountLine(SQLModel, table=True):
    """One person's count of one bin; filled once."""

    __tablename__ = "count_line"
    __table_args__ = (
        CheckConstraint("quantity >= 0"),
        CheckConstraint("(quantity IS NULL) = (counted_at IS NULL)", name="count_line_has_time"),
    )
    sheet: int = Field(sa_column=Column(BigInteger, ForeignKey("count_sheet.id"), primary_key=True))
    line: int = Field(primary_key=True)
    bin_count: int = Field(sa_column=Column(BigInteger, ForeignKey("bin_count.id"), nullable=False, index=True))
    counter: str = ""
    quantity: int | None = Field(default=None, sa_column=Column(BigInteger))
    counted_at: datetime | None = when(nullable=True)
    """As the counter says."""
    recorded_at: datetime | None = when(nullable=True)
    """Our clock."""
