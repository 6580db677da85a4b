"""The table of what was told to have been routed or sent."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from inventory.columns import when


class ShipmentLine(SQLModel, table=True):
    """What one shipment says of one order line. It says it once: the same again changes nothing."""

    __tablename__ = "shipment_line"
    __table_args__ = (
        CheckConstraint("quantity > 0 AND units > 0"),
        Index("shipment_line_holder", "holder", "line_id"),
    )
    step: str = Field(primary_key=True)
    """`allocate` or `ship`."""
    shipment: str = Field(primary_key=True)
    holder: str = Field(primary_key=True)
    line_id: str = Field(primary_key=True)
    location: str = Field(primary_key=True)
    """As the shipment says it; empty where it does not."""
    sku: str
    quantity: int
    """Listing units."""
    units: int
    """The same in units of the SKU: pieces, or bundles."""
    actor: str = ""
    at: datetime = when()
    """When it left, as told."""
    recorded_at: datetime = when()
