"""The policy in force, and what it was learned from."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _json(name: str) -> sa.Column[Any]:
    return sa.Column(name, postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "policy_version",
        sa.Column("version", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        _moment("in_force_at"),
        _moment("looked_at"),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "learned_market",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        _moment("learned_at"),
        sa.Column("order_lines", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        _json("facts"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "learned_demand",
        sa.Column("sku", sa.String(), nullable=False),
        _json("rates"),
        sa.Column("shape", sa.Float(), nullable=False),
        sa.Column("size_class", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sku"),
    )
    op.create_table(
        "channel_lag",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        _moment("measured_at"),
        sa.ForeignKeyConstraint(["channel"], ["channel.code"]),
        sa.PrimaryKeyConstraint("channel"),
    )
    op.create_table(
        "channel_outage",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        _moment("began_at"),
        _moment("noticed_at"),
        sa.Column("planned_seconds", sa.Float(), nullable=False),
        _moment("mark_at"),
        _moment("ended_at", nullable=True),
        sa.ForeignKeyConstraint(["channel"], ["channel.code"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "channel_outage_open",
        "channel_outage",
        ["channel"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "pool_kept",
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("pieces", sa.Integer(), nullable=True),
        sa.Column("safety", sa.Integer(), nullable=False),
        sa.CheckConstraint("pieces >= 0 AND safety >= 0"),
        sa.ForeignKeyConstraint(["sku"], ["item.sku"]),
        sa.PrimaryKeyConstraint("sku"),
    )
    op.create_table(
        "exposure_sample",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        _moment("at"),
        sa.Column("exposed", sa.Integer(), nullable=False),
        sa.Column("sellable", sa.Integer(), nullable=False),
        sa.Column("beyond", sa.Integer(), nullable=False),
        sa.Column("oversold", sa.Integer(), nullable=False),
        _json("by_channel"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("at"),
    )
    op.add_column("item", sa.Column("item_class", sa.String(), server_default="", nullable=False))
    op.add_column("channel", sa.Column("pulls_every", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("channel", "pulls_every")
    op.drop_column("item", "item_class")
    for table in (
        "exposure_sample",
        "pool_kept",
        "channel_outage",
        "channel_lag",
        "learned_demand",
        "learned_market",
        "policy_version",
    ):
        op.drop_table(table)
