"""Issues with guidelines that somebody has closed; that they were opened stands in the log."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "closed_issues",
        sa.Column("decision", sa.String, primary_key=True),
        sa.Column("label", sa.String, primary_key=True),
        sa.Column("closed_by", sa.Text, nullable=False),
        sa.Column("closed_at", sa.Text, nullable=False),
    )
