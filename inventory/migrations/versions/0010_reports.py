"""The health report: a figure a day, and publications found by when they were sent."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "health_sample",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "subject", "day"),
    )
    op.create_index("publication_sent", "publication", ["sent_at"], unique=False, postgresql_using="brin")


def downgrade() -> None:
    op.drop_index("publication_sent", table_name="publication", postgresql_using="brin")
    op.drop_table("health_sample")
