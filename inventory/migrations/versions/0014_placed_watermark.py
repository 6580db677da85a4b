"""How far orders were searched by the instant they were placed, where a search for changes may miss new ones."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("channel", sa.Column("placed_watermark", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("channel", "placed_watermark")
