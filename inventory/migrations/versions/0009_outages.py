"""Faults of calls, health of sources, steps of the fallback ladder."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _when(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _word(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "channel_fault",
        _word("channel"),
        _word("call"),
        _word("resolution"),
        sa.Column("times", sa.Integer(), nullable=False),
        _when("first_at"),
        _when("last_at"),
        _when("cleared_at", nullable=True),
        sa.ForeignKeyConstraint(["channel"], ["channel.code"]),
        sa.PrimaryKeyConstraint("channel", "call", "resolution"),
    )
    op.create_table(
        "source_health",
        _word("kind"),
        _word("subject"),
        _word("state"),
        _when("since"),
        _word("cause"),
        _when("good_since", nullable=True),
        sa.Column("stage", sa.Integer(), nullable=False),
        _when("stage_at", nullable=True),
        sa.Column("percent", sa.Integer(), server_default="0", nullable=False),
        _when("looked_at"),
        sa.CheckConstraint("percent BETWEEN 0 AND 100"),
        sa.PrimaryKeyConstraint("kind", "subject"),
    )
    op.create_table(
        "health_change",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        _word("kind"),
        _word("subject"),
        _word("before"),
        _word("after"),
        _word("cause"),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        _when("at"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("health_change_subject", "health_change", ["kind", "subject", "id"], unique=False)
    op.create_table(
        "fallback_step",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        _word("channel"),
        _word("step"),
        _word("on_channel"),
        _word("sku"),
        sa.Column("percent", sa.Integer(), nullable=False),
        _word("cause"),
        sa.Column("risk_before", sa.Float(), nullable=False),
        sa.Column("risk_after", sa.Float(), nullable=False),
        _when("began_at"),
        _when("ended_at", nullable=True),
        sa.CheckConstraint("percent BETWEEN 0 AND 100"),
        sa.ForeignKeyConstraint(["channel"], ["channel.code"]),
        sa.ForeignKeyConstraint(["on_channel"], ["channel.code"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "fallback_step_open",
        "fallback_step",
        ["channel", "step", "on_channel", "sku"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "location_reading",
        _word("location"),
        _when("taken_at"),
        sa.Column("every_seconds", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["location"], ["location.code"]),
        sa.PrimaryKeyConstraint("location"),
    )


def downgrade() -> None:
    op.drop_table("location_reading")
    op.drop_table("fallback_step")
    op.drop_table("health_change")
    op.drop_table("source_health")
    op.drop_table("channel_fault")
