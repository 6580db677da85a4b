"""Shipments: what was routed and sent, of each order line and of each SKU that is held."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def _units(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def _word(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def upgrade() -> None:
    for name in ("allocated", "sent", "early"):
        op.add_column("reservation_line", _units(name))
    for name in ("shipped", "sent_back"):
        op.add_column("order_line", _units(name))
    # What had been sent stood in `held` of ended reservations.
    op.execute(
        "UPDATE reservation_line AS line SET sent = held, held = 0 FROM reservation "
        "WHERE reservation.holder = line.holder AND reservation.status = 'shipped'"
    )
    op.execute(
        "UPDATE order_line AS line SET shipped = quantity - reversed FROM reservation "
        "WHERE reservation.holder = line.holder AND reservation.status = 'shipped'"
    )
    # Parcels that came back of orders that still held their units.
    op.execute(
        "INSERT INTO reservation_line (holder, sku, location, held, oversold, synced, early) "
        "SELECT holder, sku, '', 0, 0, true, sum(taken - absorbed) FROM return_line JOIN reservation USING (holder) "
        "WHERE reservation.status = 'live' AND taken > absorbed GROUP BY holder, sku "
        "ON CONFLICT (holder, sku, location) DO UPDATE SET early = EXCLUDED.early"
    )
    op.create_check_constraint(
        "line_adds_up",
        "reservation_line",
        "allocated >= 0 AND allocated <= held AND sent >= 0 AND early >= 0",
    )
    op.create_check_constraint(
        "order_line_adds_up",
        "order_line",
        "sent_back >= 0 AND sent_back <= least(reversed, shipped) AND shipped + reversed - sent_back <= quantity",
    )
    op.create_table(
        "shipment_line",
        _word("step"),
        _word("shipment"),
        _word("holder"),
        _word("line_id"),
        _word("location"),
        _word("sku"),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        _word("actor"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity > 0 AND units > 0"),
        sa.PrimaryKeyConstraint("step", "shipment", "holder", "line_id", "location"),
    )
    op.create_index("shipment_line_holder", "shipment_line", ["holder", "line_id"], unique=False)


def downgrade() -> None:
    op.drop_table("shipment_line")
    op.drop_constraint("order_line_adds_up", "order_line", type_="check")
    op.drop_constraint("line_adds_up", "reservation_line", type_="check")
    op.execute(
        "UPDATE reservation_line AS line SET held = sent FROM reservation "
        "WHERE reservation.holder = line.holder AND reservation.status = 'shipped'"
    )
    for name in ("sent_back", "shipped"):
        op.drop_column("order_line", name)
    for name in ("early", "sent", "allocated"):
        op.drop_column("reservation_line", name)
