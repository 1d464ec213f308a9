"""What a review session records beside the answer, and who has which picture before them."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    """Add the columns, empty for what was decided before, and the table of leases."""
    for name, empty in (("round", ""), ("undoes", ""), ("context", "{}"), ("chain", "")):
        op.add_column("decisions", sa.Column(name, sa.Text, nullable=False, server_default=empty))
    op.add_column("decisions", sa.Column("quota", sa.Integer, nullable=False, server_default="1"))
    op.create_table(
        "leases",
        sa.Column("item", sa.String, primary_key=True),
        sa.Column("tab", sa.String, primary_key=True),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
