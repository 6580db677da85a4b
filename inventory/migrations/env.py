"""Alembic's environment. The connection is handed in (`adapters.database.migrate`); nothing is configured here."""

from alembic import context
from sqlmodel import SQLModel

from inventory import (  # noqa: F401 - registers the tables
    alert_tables,
    counting_tables,
    goods_tables,
    health_tables,
    onboarding_tables,
    operations_tables,
    outage_tables,
    policy_tables,
    sharing_tables,
    shipment_tables,
    tables,
    traffic_tables,
)

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
