"""Requests say which attempt and step they were made for; 0 is what those before knew: none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both columns."""
    for name in ("attempt", "step"):
        op.add_column("requests", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop them."""
    for name in ("step", "attempt"):
        op.drop_column("requests", name)
