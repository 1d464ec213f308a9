"""People who sign in with a password."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "reviewers",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("added_at", sa.Text, nullable=False),
    )
