"""Notices of changed orders, counts of what arrives, channels that ask before they sell."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "intake_count",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "hour", "outcome"),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("listing_ref", sa.String(), server_default="", nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("channel", "event_id", "order_id", "listing_ref"),
    )
    op.create_index(
        "notice_pending", "notice", ["channel", "id"], unique=False, postgresql_where=sa.text("status = 'pending'")
    )
    op.create_index("notice_order", "notice", ["channel", "order_id", "received_at"], unique=False)
    op.create_index("notice_received", "notice", ["channel", "received_at"], unique=False)
    op.add_column("channel", sa.Column("compared_up_to", sa.BigInteger(), nullable=True))
    op.add_column("channel", sa.Column("asks_first", sa.Boolean(), server_default=sa.text("false"), nullable=False))


def downgrade() -> None:
    op.drop_column("channel", "asks_first")
    op.drop_column("channel", "compared_up_to")
    op.drop_index("notice_received", table_name="notice")
    op.drop_index("notice_order", table_name="notice")
    op.drop_index("notice_pending", table_name="notice", postgresql_where=sa.text("status = 'pending'"))
    op.drop_table("notice")
    op.drop_table("intake_count")
