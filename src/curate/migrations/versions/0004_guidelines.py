"""What each class is, as the team has written it down: every version of it, as decisions name the one they follow."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "guidelines",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("label", sa.Text, nullable=False, index=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("written_at", sa.Text, nullable=False),
    )
