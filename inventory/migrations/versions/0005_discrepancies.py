"""Discrepancies of every class, with age and escalation."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _words(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.String(), server_default=default, nullable=False)


def upgrade() -> None:
    for name, default in (("comparison", "quantities"), ("drift", "quantity"), ("severity", "warning")):
        op.add_column("discrepancy", _words(name, default))
    for name in ("subject", "location", "message", "actor", "reason"):
        op.add_column("discrepancy", _words(name))
    op.add_column("discrepancy", sa.Column("healing_since", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("discrepancy", "resolution", server_default="")
    op.alter_column("discrepancy", "listing_id", existing_type=sa.BigInteger(), nullable=True)
    for name in ("expected", "observed"):
        op.alter_column("discrepancy", name, existing_type=sa.Integer(), type_=sa.BigInteger())
    op.execute(
        "UPDATE discrepancy SET subject = discrepancy.channel || '/' || listing.ref "
        "FROM listing WHERE listing.id = discrepancy.listing_id"
    )
    op.create_index(
        "discrepancy_subject", "discrepancy", ["comparison", "subject"], unique=True,
        postgresql_where=sa.text("status = 'open' AND subject <> ''"),
    )  # fmt: skip
    op.create_index("discrepancy_opened", "discrepancy", ["opened_at"])
    op.add_column("listing", sa.Column("disputed_since", sa.DateTime(timezone=True), nullable=True))
    op.create_index("movement_recorded", "movement", ["recorded_at"], postgresql_using="brin")
    op.create_index(
        "reservation_placed", "reservation", ["channel", "placed_at"], postgresql_where=sa.text("kind = 'order'")
    )


def downgrade() -> None:
    op.drop_index("reservation_placed", table_name="reservation")
    op.drop_index("movement_recorded", table_name="movement")
    op.drop_column("listing", "disputed_since")
    op.drop_index("discrepancy_opened", table_name="discrepancy")
    op.drop_index("discrepancy_subject", table_name="discrepancy")
    # What is about no listing has no place in the table as it was.
    op.execute("DELETE FROM discrepancy WHERE listing_id IS NULL")
    for name in ("expected", "observed"):
        op.alter_column("discrepancy", name, existing_type=sa.BigInteger(), type_=sa.Integer())
    op.alter_column("discrepancy", "listing_id", existing_type=sa.BigInteger(), nullable=False)
    op.alter_column("discrepancy", "resolution", server_default=None)
    op.drop_column("discrepancy", "healing_since")
    for name in ("reason", "actor", "message", "location", "subject", "severity", "drift", "comparison"):
        op.drop_column("discrepancy", name)
