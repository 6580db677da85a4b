"""The table of the health report: one figure a day, so that the report shows where things are going."""

from datetime import date

from sqlmodel import Field, SQLModel


class HealthSample(SQLModel, table=True):
    """A figure as it was last measured on that day (UTC)."""

    __tablename__ = "health_sample"
    name: str = Field(primary_key=True)
    """As `inventory.health.health_samples` names it."""
    subject: str = Field(primary_key=True)
    """Channel, location, … that it is about; empty: the whole business."""
    day: date = Field(primary_key=True)
    value: float
