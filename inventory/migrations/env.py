"""Alembic's environment. The connection is handed in (`adapters.database.migrate`); nothing is configured here."""

from alembic import context
from sqlmodel import SQLModel

from inventory import tables, traffic_tables  # noqa: F401 - registers the tables
from inventory.alerting import alert_tables  # noqa: F401 - registers the tables
from inventory.counting import counting_tables  # noqa: F401 - registers the tables
from inventory.goods import goods_tables, shipment_tables  # noqa: F401 - registers the tables
from inventory.health import health_tables  # noqa: F401 - registers the tables
from inventory.onboarding import onboarding_tables  # noqa: F401 - registers the tables
from inventory.outages import outage_tables  # noqa: F401 - registers the tables
from inventory.people import operations_tables  # noqa: F401 - registers the tables
from inventory.policies import policy_tables  # noqa: F401 - registers the tables
from inventory.publishing import sharing_tables  # noqa: F401 - registers the tables

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
