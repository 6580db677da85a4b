"""Count sheets, counts and variances."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "item_cost",
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("unit_cost", sa.Numeric(14, 4), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("unit_cost >= 0"),
        sa.ForeignKeyConstraint(["sku"], ["item.sku"]),
        sa.PrimaryKeyConstraint("sku"),
    )
    op.create_table(
        "count_sheet",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("recount", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["location"], ["location.code"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "bin_count",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("causes", sa.String(), nullable=False),
        sa.Column("prompted", sa.Boolean(), nullable=False),
        sa.Column("abc", sa.String(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expected", sa.BigInteger(), nullable=True),
        sa.Column("variance", sa.BigInteger(), nullable=True),
        sa.Column("posted", sa.BigInteger(), nullable=False),
        sa.Column("unit_cost", sa.Numeric(14, 4), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decision_reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["location"], ["location.code"]),
        sa.ForeignKeyConstraint(["sku"], ["item.sku"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "bin_count_undecided",
        "bin_count",
        ["sku", "location"],
        unique=True,
        postgresql_where=sa.text("status IN ('open', 'recount', 'awaiting_approval')"),
    )
    op.create_index("bin_count_bin", "bin_count", ["sku", "location", "counted_at"], unique=False)
    op.create_table(
        "count_line",
        sa.Column("sheet", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("bin_count", sa.BigInteger(), nullable=False),
        sa.Column("counter", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("quantity >= 0"),
        sa.CheckConstraint("(quantity IS NULL) = (counted_at IS NULL)", name="count_line_has_time"),
        sa.ForeignKeyConstraint(["bin_count"], ["bin_count.id"]),
        sa.ForeignKeyConstraint(["sheet"], ["count_sheet.id"]),
        sa.PrimaryKeyConstraint("sheet", "line"),
    )
    op.create_index("ix_count_line_bin_count", "count_line", ["bin_count"], unique=False)


def downgrade() -> None:
    op.drop_table("count_line")
    op.drop_table("bin_count")
    op.drop_table("count_sheet")
    op.drop_table("item_cost")
