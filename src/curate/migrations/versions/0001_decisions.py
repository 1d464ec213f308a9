"""The log as curate 0.1 had it before there were sessions; such logs carry no number yet."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None

TEXTS = ("decided_at", "reviewer", "path", "sha256", "answer", "label", "note")


def upgrade() -> None:
    """Make the table, unless an older curate has."""
    op.create_table(
        "decisions",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("id", sa.String, unique=True, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in TEXTS),
        if_not_exists=True,
    )
