"""Random samples that tell how many wrong labels are left: planned before anybody looks, and never changed."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "samples",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("planned_at", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("after_event", sa.Integer, nullable=False),
        sa.Column("population", sa.Integer, nullable=False),
        sa.Column("labels", sa.Integer, nullable=False),
        sa.Column("target", sa.Float, nullable=False),
        sa.Column("items", sa.Text, nullable=False),
    )
