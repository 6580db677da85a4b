"""Receipts, returns, transfers and supplier feeds."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "transfer",
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("from_location", sa.String(), nullable=False),
        sa.Column("to_location", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expected_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("from_location <> to_location"),
        sa.ForeignKeyConstraint(
            ["from_location"],
            ["location.code"],
        ),
        sa.ForeignKeyConstraint(
            ["to_location"],
            ["location.code"],
        ),
        sa.PrimaryKeyConstraint("reference"),
    )
    op.create_index(
        "transfer_open", "transfer", ["expected_by"], unique=False, postgresql_where=sa.text("closed_at IS NULL")
    )
    op.create_table(
        "transfer_line",
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("arrived", sa.Integer(), nullable=False),
        sa.Column("damaged", sa.Integer(), nullable=False),
        sa.Column("lost", sa.Integer(), nullable=False),
        sa.CheckConstraint("arrived >= 0 AND damaged >= 0 AND lost >= 0 AND arrived + damaged + lost <= sent"),
        sa.CheckConstraint("sent > 0"),
        sa.ForeignKeyConstraint(
            ["reference"],
            ["transfer.reference"],
        ),
        sa.ForeignKeyConstraint(
            ["sku"],
            ["item.sku"],
        ),
        sa.PrimaryKeyConstraint("reference", "sku"),
    )
    op.create_table(
        "transfer_arrival",
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("delivery", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["reference"],
            ["transfer.reference"],
        ),
        sa.PrimaryKeyConstraint("reference", "delivery"),
    )
    op.create_table(
        "purchase_line",
        sa.Column("purchase", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("supplier", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("ordered", sa.Integer(), nullable=False),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("promised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("ordered >= received AND received >= 0"),
        sa.ForeignKeyConstraint(
            ["location"],
            ["location.code"],
        ),
        sa.ForeignKeyConstraint(
            ["sku"],
            ["item.sku"],
        ),
        sa.PrimaryKeyConstraint("purchase", "sku"),
    )
    op.create_index(
        "purchase_line_open", "purchase_line", ["sku"], unique=False, postgresql_where=sa.text("ordered > received")
    )
    op.create_table(
        "receipt_line",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("receipt", sa.String(), nullable=False),
        sa.Column("purchase", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("sound", sa.Integer(), nullable=False),
        sa.Column("damaged", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("over", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("sound >= 0 AND damaged >= 0 AND quarantined >= 0 AND sound + damaged + quarantined > 0"),
        sa.ForeignKeyConstraint(
            ["location"],
            ["location.code"],
        ),
        sa.ForeignKeyConstraint(
            ["sku"],
            ["item.sku"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("receipt", "purchase", "sku", "location"),
    )
    op.create_index("receipt_line_purchase", "receipt_line", ["purchase", "sku"], unique=False)
    op.create_table(
        "return_line",
        sa.Column("parcel", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("arrived", sa.Integer(), nullable=False),
        sa.Column("damaged", sa.Integer(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("absorbed", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("arrived > 0 AND damaged >= 0 AND damaged <= arrived"),
        sa.CheckConstraint("taken >= 0 AND taken <= arrived AND absorbed >= 0 AND absorbed <= taken"),
        sa.CheckConstraint("waiting >= 0 AND waiting <= arrived"),
        sa.ForeignKeyConstraint(
            ["location"],
            ["location.code"],
        ),
        sa.ForeignKeyConstraint(
            ["sku"],
            ["item.sku"],
        ),
        sa.PrimaryKeyConstraint("parcel", "sku"),
    )
    op.create_index(
        "return_line_holder", "return_line", ["holder"], unique=False, postgresql_where=sa.text("holder <> ''")
    )
    op.create_index("return_line_waiting", "return_line", ["at"], unique=False, postgresql_where=sa.text("waiting > 0"))
    op.create_table(
        "return_inspection",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("sheet", sa.String(), nullable=False),
        sa.Column("parcel", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("available", sa.Integer(), nullable=False),
        sa.Column("damaged", sa.Integer(), nullable=False),
        sa.Column("written_off", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("available + damaged + written_off > 0"),
        sa.CheckConstraint("available >= 0 AND damaged >= 0 AND written_off >= 0"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sheet", "parcel", "sku"),
    )
    op.create_table(
        "write_off",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity > 0"),
        sa.ForeignKeyConstraint(
            ["location"],
            ["location.code"],
        ),
        sa.ForeignKeyConstraint(
            ["sku"],
            ["item.sku"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("reference", "sku", "location", "state"),
    )
    op.create_table(
        "supplier_feed",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("supplier", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pulled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("known", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("stocked", sa.Integer(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("supplier_feed_latest", "supplier_feed", ["supplier", "id"], unique=False)
    op.create_table(
        "supplier_stock",
        sa.Column("supplier", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("promised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pulled_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity >= 0"),
        sa.ForeignKeyConstraint(
            ["sku"],
            ["item.sku"],
        ),
        sa.PrimaryKeyConstraint("supplier", "sku"),
    )
    op.create_index(op.f("ix_supplier_stock_sku"), "supplier_stock", ["sku"], unique=False)


def downgrade() -> None:
    op.drop_table("supplier_stock")
    op.drop_table("supplier_feed")
    op.drop_table("write_off")
    op.drop_table("return_inspection")
    op.drop_table("return_line")
    op.drop_table("receipt_line")
    op.drop_table("purchase_line")
    op.drop_table("transfer_arrival")
    op.drop_table("transfer_line")
    op.drop_table("transfer")
