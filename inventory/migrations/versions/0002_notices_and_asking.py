"""Notices of changed orders, counts of what arrives, channels that ask before they sell."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

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
    op.add_column("reservation", sa.Column("outcome", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("reservation", sa.Column("order_id", sa.String(), nullable=True))
    op.add_column("outbox", sa.Column("eager", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("channel", sa.Column("asks_first", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("channel", sa.Column("audited_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("listing", sa.Column("mapped_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "channel_change",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("from_mode", sa.String(), nullable=False),
        sa.Column("to_mode", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["channel"], ["channel.code"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("channel_change_channel", "channel_change", ["channel", "id"], unique=False)
    op.create_table(
        "catalogue_finding",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("listing_ref", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("advice", sa.String(), nullable=False),
        sa.Column("suggestion", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "catalogue_finding_open",
        "catalogue_finding",
        ["channel", "kind", "listing_ref"],
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "opening_balance",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("posted", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity >= 0"),
        sa.ForeignKeyConstraint(["location"], ["location.code"]),
        sa.ForeignKeyConstraint(["sku"], ["item.sku"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("reference", "sku", "location"),
    )
    op.create_index("ix_opening_balance_sku", "opening_balance", ["sku"], unique=False)


def downgrade() -> None:
    op.drop_table("opening_balance")
    op.drop_table("catalogue_finding")
    op.drop_table("channel_change")
    op.drop_column("listing", "mapped_at")
    op.drop_column("channel", "audited_at")
    op.drop_column("channel", "asks_first")
    op.drop_column("outbox", "eager")
    op.drop_column("reservation", "order_id")
    op.drop_column("reservation", "outcome")
    op.drop_column("channel", "compared_up_to")
    op.drop_index("notice_received", table_name="notice")
    op.drop_index("notice_order", table_name="notice")
    op.drop_index("notice_pending", table_name="notice", postgresql_where=sa.text("status = 'pending'"))
    op.drop_table("notice")
    op.drop_table("intake_count")
