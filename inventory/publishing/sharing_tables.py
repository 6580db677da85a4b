"""The tables by which several processes share the work: what belongs together, and what a vendor still allows."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from inventory.columns import when


class SkuFamily(SQLModel, table=True):
    """SKUs that share a bundle, near or far, have one name: all of them are published by the same publisher.

    Kept by the database itself whenever a component is added (a trigger on `bundle_component`). Families that a removed
    component held together stay together: that is never wrong, only coarser. A SKU without bundles has no row.
    """

    __tablename__ = "sku_family"
    sku: str = Field(primary_key=True)
    family: str = Field(index=True)


class Allowance(SQLModel, table=True):
    """What a vendor still allows of one kind of call, to all processes together (see
    `inventory.publishing.call_budgets`)."""

    __tablename__ = "allowance"
    account: str = Field(primary_key=True)
    """The channel's code."""
    operation: str = Field(primary_key=True)
    tokens: float
    """Below zero: calls that wait for theirs."""
    at: datetime = when()
    """The database's clock: when `tokens` was true."""
