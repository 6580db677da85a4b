"""the ledger"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# The journal is append-only: not by convention, the database refuses. No role but the owner of the
# table can take the triggers away, and `onhand rebuild` would show it.
APPEND_ONLY = """
CREATE FUNCTION movement_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'movements are append-only: % is refused; post a movement in the other direction', TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER movement_no_change BEFORE UPDATE OR DELETE ON movement
    FOR EACH ROW EXECUTE FUNCTION movement_is_append_only();
CREATE TRIGGER movement_no_truncate BEFORE TRUNCATE ON movement
    FOR EACH STATEMENT EXECUTE FUNCTION movement_is_append_only();
"""


def upgrade() -> None:
    op.create_table(
        "channel",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("vendor", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("write_mode", sa.String(), nullable=False),
        sa.Column("share", sa.Integer(), nullable=False),
        sa.Column("settle_seconds", sa.Float(), nullable=False),
        sa.Column("in_doubt_seconds", sa.Float(), nullable=False),
        sa.Column("overlap_seconds", sa.Float(), nullable=False),
        sa.Column("watermark", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pulled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("share > 0"),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "discrepancy",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("listing_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("observed", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("resolution", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "discrepancy_open", "discrepancy", ["listing_id"], unique=True, postgresql_where=sa.text("status = 'open'")
    )
    op.create_table(
        "gate_run",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("suite", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("failed_rows", sa.Integer(), nullable=False),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("duration_ms", sa.Float(), nullable=False),
        sa.Column("ran_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("channel", "event_id"),
    )
    op.create_index(
        "inbox_pending", "inbox", ["channel", "id"], unique=False, postgresql_where=sa.text("status = 'pending'")
    )
    op.create_table(
        "incident",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "incident_open", "incident", ["kind", "subject"], unique=True, postgresql_where=sa.text("status = 'open'")
    )
    op.create_table(
        "item",
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("safety_stock", sa.Integer(), nullable=False),
        sa.Column("accuracy_margin", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sku"),
    )
    op.create_table(
        "location",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "movement",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("to_location", sa.String(), nullable=False),
        sa.Column("from_state", sa.String(), nullable=False),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("event_key", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("from_state <> to_state OR location <> to_location", name="movement_goes_somewhere"),
        sa.CheckConstraint("quantity > 0"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_key"),
    )
    op.create_index("movement_sku", "movement", ["sku", "id"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("dirty_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("sku"),
    )
    op.create_index(op.f("ix_outbox_due_at"), "outbox", ["due_at"], unique=False)
    op.create_table(
        "publication",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("listing_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=True),
        sa.Column("growth", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("inputs", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("gate_run_id", sa.BigInteger(), nullable=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_back", sa.Integer(), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("publication_listing", "publication", ["listing_id", "id"], unique=False)
    op.create_index(
        "publication_open", "publication", ["channel"], unique=False, postgresql_where=sa.text("status = 'sent'")
    )
    op.create_table(
        "quarantined_row",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("suite", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("row_key", sa.String(), nullable=False),
        sa.Column("rules", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), nullable=True),
        sa.Column("listing_ref", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("suite", "row_key", name="quarantined_row_once"),
    )
    op.create_table(
        "reservation",
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("holder"),
    )
    op.create_index(
        "reservation_expiry",
        "reservation",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'live' AND expires_at IS NOT NULL"),
    )
    op.create_index(
        "reservation_unsynced",
        "reservation",
        ["recorded_at"],
        unique=False,
        postgresql_where=sa.text("synced_at IS NULL AND kind = 'order'"),
    )
    op.create_table(
        "reversal",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("reversal_id", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("line_id", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("restocked", sa.Boolean(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("channel", "reversal_id"),
    )
    op.create_index(
        "reversal_waiting", "reversal", ["holder"], unique=False, postgresql_where=sa.text("status = 'unmatched'")
    )
    op.create_table(
        "balance",
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "quantity >= 0 OR state IN ('count_gain', 'count_loss', 'shipped', 'supplier', 'written_off')",
            name="balance_never_negative",
        ),
        sa.ForeignKeyConstraint(
            ["location"],
            ["location.code"],
        ),
        sa.ForeignKeyConstraint(
            ["sku"],
            ["item.sku"],
        ),
        sa.PrimaryKeyConstraint("sku", "location", "state"),
    )
    op.create_table(
        "bundle_component",
        sa.Column("bundle_sku", sa.String(), nullable=False),
        sa.Column("component_sku", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.CheckConstraint("bundle_sku <> component_sku"),
        sa.CheckConstraint("quantity > 0"),
        sa.ForeignKeyConstraint(
            ["bundle_sku"],
            ["item.sku"],
        ),
        sa.ForeignKeyConstraint(
            ["component_sku"],
            ["item.sku"],
        ),
        sa.PrimaryKeyConstraint("bundle_sku", "component_sku"),
    )
    op.create_index(op.f("ix_bundle_component_component_sku"), "bundle_component", ["component_sku"], unique=False)
    op.create_table(
        "channel_location",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel"],
            ["channel.code"],
        ),
        sa.ForeignKeyConstraint(
            ["location"],
            ["location.code"],
        ),
        sa.PrimaryKeyConstraint("channel", "location"),
    )
    op.create_table(
        "listing",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("units_per_listing", sa.Integer(), nullable=False),
        sa.Column("cap", sa.Integer(), nullable=True),
        sa.Column("tracked", sa.Boolean(), nullable=False),
        sa.Column("exposure", sa.Integer(), nullable=True),
        sa.Column("settling", sa.Integer(), nullable=True),
        sa.Column("settling_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("observed", sa.Integer(), nullable=True),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published", sa.Integer(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed", sa.Integer(), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unconfirmed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_since", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("exposure >= 0"),
        sa.CheckConstraint("settling >= 0"),
        sa.CheckConstraint("units_per_listing > 0"),
        sa.ForeignKeyConstraint(
            ["channel"],
            ["channel.code"],
        ),
        sa.ForeignKeyConstraint(
            ["sku"],
            ["item.sku"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("channel", "ref"),
    )
    op.create_index(op.f("ix_listing_sku"), "listing", ["sku"], unique=False)
    op.create_index(
        "listing_settling", "listing", ["channel"], unique=False, postgresql_where=sa.text("settling IS NOT NULL")
    )
    op.create_table(
        "order_line",
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("line_id", sa.String(), nullable=False),
        sa.Column("listing_id", sa.BigInteger(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("components", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("reversed", sa.Integer(), nullable=False),
        sa.CheckConstraint("reversed <= quantity AND reversed >= 0"),
        sa.ForeignKeyConstraint(
            ["holder"],
            ["reservation.holder"],
        ),
        sa.PrimaryKeyConstraint("holder", "line_id"),
    )
    op.create_table(
        "reservation_line",
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("oversold", sa.Integer(), nullable=False),
        sa.Column("synced", sa.Boolean(), nullable=False),
        sa.CheckConstraint("held >= 0 AND oversold >= 0"),
        sa.ForeignKeyConstraint(
            ["holder"],
            ["reservation.holder"],
        ),
        sa.PrimaryKeyConstraint("holder", "sku", "location"),
    )
    op.create_index(
        "reservation_line_oversold", "reservation_line", ["sku"], unique=False, postgresql_where=sa.text("oversold > 0")
    )
    op.create_index(
        "reservation_line_unsynced", "reservation_line", ["sku"], unique=False, postgresql_where=sa.text("NOT synced")
    )
    op.create_table(
        "sku_alias",
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sku"],
            ["item.sku"],
        ),
        sa.PrimaryKeyConstraint("alias"),
    )
    op.create_index(op.f("ix_sku_alias_sku"), "sku_alias", ["sku"], unique=False)
    op.execute(APPEND_ONLY)


def downgrade() -> None:
    op.drop_index(op.f("ix_sku_alias_sku"), table_name="sku_alias")
    op.drop_table("sku_alias")
    op.drop_index("reservation_line_unsynced", table_name="reservation_line", postgresql_where=sa.text("NOT synced"))
    op.drop_index("reservation_line_oversold", table_name="reservation_line", postgresql_where=sa.text("oversold > 0"))
    op.drop_table("reservation_line")
    op.drop_table("order_line")
    op.drop_index("listing_settling", table_name="listing", postgresql_where=sa.text("settling IS NOT NULL"))
    op.drop_index(op.f("ix_listing_sku"), table_name="listing")
    op.drop_table("listing")
    op.drop_table("channel_location")
    op.drop_index(op.f("ix_bundle_component_component_sku"), table_name="bundle_component")
    op.drop_table("bundle_component")
    op.drop_table("balance")
    op.drop_index("reversal_waiting", table_name="reversal", postgresql_where=sa.text("status = 'unmatched'"))
    op.drop_table("reversal")
    op.drop_index(
        "reservation_unsynced",
        table_name="reservation",
        postgresql_where=sa.text("synced_at IS NULL AND kind = 'order'"),
    )
    op.drop_index(
        "reservation_expiry",
        table_name="reservation",
        postgresql_where=sa.text("status = 'live' AND expires_at IS NOT NULL"),
    )
    op.drop_table("reservation")
    op.drop_table("quarantined_row")
    op.drop_index("publication_open", table_name="publication", postgresql_where=sa.text("status = 'sent'"))
    op.drop_index("publication_listing", table_name="publication")
    op.drop_table("publication")
    op.drop_index(op.f("ix_outbox_due_at"), table_name="outbox")
    op.drop_table("outbox")
    op.drop_index("movement_sku", table_name="movement")
    op.drop_table("movement")
    op.drop_table("location")
    op.drop_table("item")
    op.drop_index("incident_open", table_name="incident", postgresql_where=sa.text("status = 'open'"))
    op.drop_table("incident")
    op.drop_index("inbox_pending", table_name="inbox", postgresql_where=sa.text("status = 'pending'"))
    op.drop_table("inbox")
    op.drop_table("gate_run")
    op.drop_index("discrepancy_open", table_name="discrepancy", postgresql_where=sa.text("status = 'open'"))
    op.drop_table("discrepancy")
    op.drop_table("channel")
    op.execute("DROP FUNCTION movement_is_append_only")
