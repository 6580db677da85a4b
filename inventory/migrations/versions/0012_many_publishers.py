"""Several publishers: SKUs that belong together, and vendors' allowances that all processes share."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_JOIN = """
CREATE FUNCTION join_families() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    pair record;
    one text;
    other text;
BEGIN
    -- Two that join families at once would each miss what the other does.
    PERFORM pg_advisory_xact_lock(hashtextextended('sku_family', 0));
    FOR pair IN SELECT bundle_sku, component_sku FROM added LOOP
        INSERT INTO sku_family (sku, family) VALUES (pair.bundle_sku, pair.bundle_sku) ON CONFLICT DO NOTHING;
        INSERT INTO sku_family (sku, family) VALUES (pair.component_sku, pair.component_sku) ON CONFLICT DO NOTHING;
        SELECT family INTO one FROM sku_family WHERE sku = pair.bundle_sku;
        SELECT family INTO other FROM sku_family WHERE sku = pair.component_sku;
        IF one <> other THEN
            UPDATE sku_family SET family = least(one, other) WHERE family = greatest(one, other);
        END IF;
    END LOOP;
    RETURN NULL;
END $$
"""
_ON_INSERT = """
CREATE TRIGGER bundle_joins AFTER INSERT ON bundle_component
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION join_families()
"""
_ON_UPDATE = """
CREATE TRIGGER bundle_rejoins AFTER UPDATE ON bundle_component
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION join_families()
"""


def upgrade() -> None:
    op.create_table(
        "sku_family",
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("sku"),
    )
    op.create_index("ix_sku_family_family", "sku_family", ["family"], unique=False)
    op.create_table(
        "allowance",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", "operation"),
    )
    op.execute(_JOIN)
    op.execute(_ON_INSERT)
    op.execute(_ON_UPDATE)
    # The bundles that are there already, as if they were added now.
    op.execute("UPDATE bundle_component SET quantity = quantity")


def downgrade() -> None:
    op.execute("DROP TRIGGER bundle_rejoins ON bundle_component")
    op.execute("DROP TRIGGER bundle_joins ON bundle_component")
    op.execute("DROP FUNCTION join_families()")
    op.drop_table("allowance")
    op.drop_index("ix_sku_family_family", table_name="sku_family")
    op.drop_table("sku_family")
